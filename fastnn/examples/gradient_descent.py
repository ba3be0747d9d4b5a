"""Gradient descent by hand, as a textbook writes it: gradients of a batch, a step against them, again.

$ python -m fastnn.examples.gradient_descent
slope of the loss by dense_1/bias[9]: -0.0624, gradient: -0.0624
epoch 1: loss 0.72, accuracy 0.791
epoch 5: loss 0.38, accuracy 0.882
epoch 10: loss 0.33, accuracy 0.912

`gradients` and `set_weights` are all that it needs; `apply_gradients` would take the step with the model's optimizer.
"""

from __future__ import annotations

import numpy as np

import fastnn as keras
from fastnn import layers

keras.utils.set_random_seed(0)
X, y = keras.datasets.load_digits()
X_train, y_train, X_test, y_test = X[:1500], y[:1500], X[1500:], y[1500:]

model = keras.Sequential([keras.Input((64,)), layers.Dense(32, "tanh"), layers.Dense(10, "softmax")])
model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])

# What a gradient is: how the loss changes with a weight.
name, h = "dense_1/bias", 1e-2
weights = model.get_weights()


def loss_at(change: float) -> float:
    """Of the first 50 rows, with the last bias changed."""
    moved = [weight.copy() for weight in weights]
    moved[3][9] += change
    model.set_weights(moved)
    return float(model.evaluate(X[:50], y[:50], verbose=0)[0])


slope = (loss_at(h) - loss_at(-h)) / (2 * h)
model.set_weights(weights)
print(f"slope of the loss by {name}[9]: {slope:.4f}, gradient: {model.gradients(X[:50], y[:50])[name][9]:.4f}")

rate, batch = 0.5, 50
order = np.random.default_rng(0)
for epoch in range(10):
    rows = order.permutation(len(X_train))
    for first in range(0, len(rows), batch):
        chosen = rows[first : first + batch]
        gradients = model.gradients(X_train[chosen], y_train[chosen])
        steps = zip(model.get_weights(), gradients.values(), strict=True)
        model.set_weights([weight - rate * gradient for weight, gradient in steps])
    if epoch in (0, 4, 9):
        loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
        print(f"epoch {epoch + 1}: loss {loss:.2f}, accuracy {accuracy:.3f}")
