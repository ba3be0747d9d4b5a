"""A deeper net for numbers on very different scales, with batch normalization before the activations."""

# mypy: ignore-errors

import keras
import numpy as np
from keras import layers, regularizers

keras.utils.set_random_seed(21)
rng = np.random.default_rng(21)
Z = rng.normal(size=(900, 12))
y = (Z @ rng.normal(size=(12, 5))).argmax(axis=1)
X = Z * 10.0 ** rng.uniform(-2, 2, 12) + rng.normal(size=12)
X_train, X_valid, y_train, y_valid = X[:700], X[700:], y[:700], y[700:]

model = keras.models.Sequential()
model.add(keras.Input(shape=(12,)))
model.add(layers.BatchNormalization(momentum=0.9))
for units in (64, 32):
    penalty = regularizers.l2(1e-4)
    model.add(layers.Dense(units, use_bias=False, kernel_initializer="he_normal", kernel_regularizer=penalty))
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.Activation("relu"))
model.add(layers.Dense(5, activation="softmax"))
model.summary()
print([(w.shape) for w in model.layers[0].get_weights()])

optimizer = keras.optimizers.Adam(learning_rate=0.005, clipnorm=1.0)
model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
history = model.fit(X_train, y_train, epochs=12, batch_size=50, validation_data=(X_valid, y_valid), verbose=2)

loss, accuracy = model.evaluate(X_valid, y_valid, verbose=0)
assert accuracy > 0.75, accuracy  # the commonest class: about 0.3
assert [w.shape for w in model.layers[0].get_weights()] == [(12,)] * 4
assert model.count_params() == 12 * 4 + 12 * 64 + 64 * 4 + 64 * 32 + 32 * 4 + 32 * 5 + 5
assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == model.count_params() - 2 * (12 + 64 + 32)
