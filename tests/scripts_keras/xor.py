"""Exclusive or, the smallest problem that one layer cannot solve."""

# mypy: ignore-errors

import keras
import numpy as np
from keras.layers import Activation, Dense
from keras.models import Sequential
from keras.optimizers import SGD

keras.utils.set_random_seed(3)

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
y = np.array([[0], [1], [1], [0]], "float32")

model = Sequential()
model.add(Dense(8, input_dim=2))
model.add(Activation("tanh"))
model.add(Dense(1))
model.add(Activation("sigmoid"))

sgd = SGD(learning_rate=0.1, momentum=0.9)
model.compile(loss="binary_crossentropy", optimizer=sgd, metrics=["binary_accuracy"])
model.fit(X, y, batch_size=1, epochs=300, verbose=0)

print(model.predict(X).round())
assert (model.predict(X).round() == y).all()
assert model.evaluate(X, y, verbose=0)[1] == 1.0
