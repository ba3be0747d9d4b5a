"""Seeds, clearing the session, and models that are written and read."""

# mypy: ignore-errors

import os

import keras
import numpy as np
from keras import backend as K
from keras.layers import Dense, Dropout
from keras.models import Sequential, load_model, model_from_json

X = np.random.default_rng(3).normal(size=(300, 5))
y = (X[:, 0] > X[:, 1]).astype(int)


def train():
    keras.utils.set_random_seed(1)
    K.clear_session()
    model = Sequential([Dense(16, activation="relu", input_dim=5), Dropout(0.1), Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["acc"])
    model.fit(X, y, epochs=15, verbose=0)
    return model


model, again = train(), train()
for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
    np.testing.assert_array_equal(a, b)

score = model.evaluate(X, y, verbose=0)
print(f"{model.metrics_names[1]}: {score[1] * 100:.2f}%")
assert score[1] > 0.93, score

# the whole model, then the weights alone with the architecture as JSON
model.save("model.keras")
loaded_model = load_model("model.keras")
loaded_model.summary()
np.testing.assert_array_equal(loaded_model.predict(X, verbose=0), model.predict(X, verbose=0))
assert loaded_model.evaluate(X, y, verbose=0) == score

with open("model.json", "w") as json_file:
    json_file.write(model.to_json())
model.save_weights("model.weights.h5")
with open("model.json") as json_file:
    other = model_from_json(json_file.read())
other.load_weights("model.weights.h5")
other.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
assert abs(other.evaluate(X, y, verbose=0)[0] - score[0]) < 1e-6
np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))

# training goes on from the file
loaded_model.fit(X, y, epochs=5, verbose=0)
assert loaded_model.evaluate(X, y, verbose=0)[0] < score[0]
assert os.path.getsize("model.keras") > 0
