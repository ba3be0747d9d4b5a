"""Three kinds of flowers, one-hot encoded, scored by cross-validation with a fresh copy of the model for each fold."""

# mypy: ignore-errors

import keras
import numpy as np
from keras.layers import Dense
from keras.models import Sequential, clone_model
from keras.utils import to_categorical

keras.utils.set_random_seed(42)
rng = np.random.default_rng(42)
centers = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
kinds = np.array(["setosa", "versicolor", "virginica"])
labels = np.repeat(kinds, 50)
X = np.repeat(centers, 50, axis=0) + rng.normal(0, 0.25, (150, 4))

# encode class values as integers, then as one column for each
names, encoded_Y = np.unique(labels, return_inverse=True)
dummy_y = to_categorical(encoded_Y)
shuffled = rng.permutation(150)
X, dummy_y = X[shuffled], dummy_y[shuffled]


def baseline_model():
    model = Sequential()
    model.add(Dense(16, input_dim=4, activation="relu"))
    model.add(Dense(3, activation="softmax"))
    return model


base, results = baseline_model(), []
for fold in np.array_split(np.arange(150), 5):
    rest = np.setdiff1d(np.arange(150), fold)
    model = clone_model(base)
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
    model.fit(X[rest], dummy_y[rest], epochs=40, batch_size=5, verbose=0)
    loss, accuracy = model.evaluate(X[fold], dummy_y[fold], verbose=0)
    results.append(accuracy)
print(f"Baseline: {np.mean(results) * 100:.2f}% ({np.std(results) * 100:.2f}%)")

assert np.mean(results) > 0.9, results
predicted = names[np.argmax(model.predict(X, verbose=0), axis=1)]
assert (predicted == names[dummy_y.argmax(axis=1)]).mean() > 0.9
