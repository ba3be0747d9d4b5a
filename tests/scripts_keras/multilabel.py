"""Several answers at once: one sigmoid for each label."""

# mypy: ignore-errors

import keras
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
X = rng.normal(size=(600, 10))
y = (X @ rng.normal(size=(10, 4)) > 0).astype("int64")
X_train, X_test, y_train, y_test = X[:500], X[500:], y[:500], y[500:]


def get_model(n_inputs, n_outputs):
    model = Sequential()
    model.add(Dense(20, input_dim=n_inputs, kernel_initializer="he_uniform", activation="relu"))
    model.add(Dense(n_outputs, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["binary_accuracy"])
    return model


model = get_model(X_train.shape[1], y_train.shape[1])
model.fit(X_train, y_train, verbose=0, epochs=60)
yhat = model.predict(X_test).round()
exact = (yhat == y_test).all(axis=1).mean()
loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
print("labels right:", accuracy, "rows right:", exact)

assert accuracy > 0.88, accuracy
assert abs((yhat == y_test).mean() - accuracy) < 1e-6
