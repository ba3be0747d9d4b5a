"""Regression with columns of very different scale: the model holds the scaling, and predicts from raw numbers.

$ python -m fastnn.examples.scaled_regression
noise in y: 0.5, so no model has a mean error under 0.4
raw columns: 2.55
scaled columns: 0.46
"""

from __future__ import annotations

import numpy as np

import fastnn as keras
from fastnn import layers

random = np.random.default_rng(0)
X = random.uniform((20, 0, 900), (200, 10, 1100), size=(2000, 3))  # degrees, metres a second, hectopascals
y = 0.3 * X[:, 0] - 2 * np.sqrt(X[:, 1]) + 0.05 * (X[:, 2] - 1000) + random.normal(0, 0.5, 2000)


def error_of(first: list[layers.Layer]) -> float:
    """The mean error on new rows, of a network behind these layers."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([*first, layers.Dense(32, "relu"), layers.Dense(32, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    stop = keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    model.fit(X[:1600], y[:1600], epochs=100, validation_split=0.2, callbacks=[stop], verbose=0)
    return float(model.evaluate(X[1600:], y[1600:], verbose=0)[1])


scaling = layers.Normalization()
scaling.adapt(X[:1600])
print("noise in y: 0.5, so no model has a mean error under 0.4")
print(f"raw columns: {error_of([]):.2f}")
print(f"scaled columns: {error_of([scaling]):.2f}")
