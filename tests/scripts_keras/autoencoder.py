"""An autoencoder: 16 numbers through a bottleneck of 3."""

# mypy: ignore-errors

import keras
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

keras.utils.set_random_seed(13)
rng = np.random.default_rng(13)
x = 1 / (1 + np.exp(-rng.normal(size=(800, 3)) @ rng.normal(size=(3, 16)) * 1.5))
x_train, x_test = x[:700].astype("float32"), x[700:].astype("float32")

autoencoder = Sequential(name="autoencoder")
autoencoder.add(Dense(3, activation="elu", input_shape=(16,), name="bottleneck"))
autoencoder.add(Dense(16, activation="sigmoid", name="decoder"))
autoencoder.compile(optimizer=keras.optimizers.AdamW(0.02), loss="mse")
history = autoencoder.fit(
    x_train, x_train, epochs=60, batch_size=100, shuffle=True, validation_data=(x_test, x_test), verbose=0
)
decoded = autoencoder.predict(x_test)
error = np.square(decoded - x_test).mean()
print("error:", error, "of", x_test.var(axis=0).mean())

assert error < x_test.var(axis=0).mean() / 10, error
assert autoencoder.get_layer("bottleneck").get_weights()[0].shape == (16, 3)
