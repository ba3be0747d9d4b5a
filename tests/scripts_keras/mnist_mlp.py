"""Digits of 28 x 28 pixels, flattened: two hidden layers with dropout, trained by RMSprop."""

# mypy: ignore-errors

import keras
import numpy as np
from keras.layers import Dense, Dropout
from keras.models import Sequential
from keras.optimizers import RMSprop

batch_size = 128
num_classes = 10
epochs = 4

# Synthetic images stand in for the download: a pattern for each class, shifted, with noise.
rng = np.random.default_rng(7)
patterns = rng.integers(0, 256, (num_classes, 28, 28))


def images(n):
    labels = rng.integers(0, num_classes, n)
    shifted = [np.roll(patterns[label], rng.integers(-1, 2), axis=1) for label in labels]
    noisy = np.array(shifted) * 0.6 + rng.integers(0, 100, (n, 28, 28))
    return noisy.astype("uint8"), labels.astype("uint8")


(x_train, y_train), (x_test, y_test) = images(2000), images(400)
x_train = x_train.reshape(2000, 784).astype("float32")
x_test = x_test.reshape(400, 784).astype("float32")
x_train /= 255
x_test /= 255
print(x_train.shape[0], "train samples")
print(x_test.shape[0], "test samples")

# convert class vectors to binary class matrices
y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)

model = Sequential()
model.add(Dense(128, activation="relu", input_shape=(784,)))
model.add(Dropout(0.2))
model.add(Dense(128, activation="relu"))
model.add(Dropout(0.2))
model.add(Dense(num_classes, activation="softmax"))
model.summary()

model.compile(loss="categorical_crossentropy", optimizer=RMSprop(), metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, verbose=1, validation_data=(x_test, y_test))
score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])

assert score[1] > 0.95, score
assert history.history["val_loss"][-1] < history.history["val_loss"][0] / 2
