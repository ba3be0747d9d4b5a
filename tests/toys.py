"""A layer and an optimizer that nobody needs, added from outside in the places where one is added: `test_toys.py` puts
the formulas and rows into a copy of the package, here are the declarations and the exact values.

Run with the names of backends: prints where the package is, and a digest of a training for each."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np

import fastnn
from fastnn import gradcheck, layers, optimizers
from fastnn.core.lowering import Lowering
from fastnn.core.specs import ParameterSpec

# What stands in core/rowwise.py: its formulas, then its row.
LAYER_FORMULAS = """
def toy(o, z, row):
    return o.fma(row.vectors[0] * z, z, -row.constants[0] * row.sums[0])


def toy_sum(o, lane, z, row):
    return lane + z


def toy_slope(o, d, s, row):
    return o.fma((2.0 * row.vectors[0]) * s, d, -row.constants[0] * row.sums[0])


def toy_slope_sum(o, lane, d, s, row):
    return lane + d


def toy_gamma_slope(o, total, d, s):
    return o.fma(d * s, s, total)


"""
LAYER_ROW = """
    "toy": RowWise(
        toy, toy_slope, "input", (toy_sum,), (toy_slope_sum,),
        vectors=("gamma",), slopes=(toy_gamma_slope,), constants=("share",),
    ),"""

# What stands in core/steps.py likewise.
OPTIMIZER_FORMULAS = """
def toy(o, theta, slots, g, h):
    (m,), (lr, mu) = slots, h
    m = o.fma(mu, m, o.abs(g))
    return theta - (lr * g) / (m + 1.0), (m,)


"""
OPTIMIZER_ROW = """
    "toy": Optimizer(toy, ("size",), ("mu",), ("rate", "mu"), as_they_are),"""


class Toy(layers.Layer):
    """A = gamma Z^2 - share * the sum of Z over the row."""

    fields = ("share", "name", "dtype", "trainable")

    def __init__(self, share: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def parameters(self) -> list[Any]:
        from fastnn.initializers import Constant
        from fastnn.layers.bound import Weight

        return [Weight("gamma", Constant(0.75))]

    def lower(self, builder: Lowering, decays: Any = lambda path: True) -> None:
        builder.row_wise("toy", self.name, (ParameterSpec(),), (self.share,))


class ToyStep(optimizers.Optimizer):
    """theta -= lr g / (m + 1) with m = mu m + |g|."""

    fields = ("learning_rate", "mu")

    def __init__(self, learning_rate: float = 0.1, mu: float = 0.5) -> None:
        super().__init__(learning_rate)
        self.mu = mu

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "toy", (self.mu,)


def model(backend: str) -> fastnn.Sequential:
    fastnn.utils.set_random_seed(5)
    fastnn.config.set_floatx("float64")
    made = fastnn.Sequential([layers.Input((3,)), layers.Dense(21, "tanh"), Toy(), layers.Dense(2)])
    made.compile(ToyStep(), "mse", backend=backend)
    return made


def check(backend: str) -> str:
    """Against the exact values; then a digest of the weights after a training."""
    random = np.random.RandomState(1)
    X, y = random.standard_normal((13, 3)), random.standard_normal((13, 2))
    exact = model(backend)
    assert gradcheck.check(exact, X, y, verbose=0)
    W, b, gamma, V, c = exact.get_weights()
    Z = np.tanh(X @ W + b)
    np.testing.assert_allclose(
        exact.predict(X, verbose=0), (gamma * Z**2 - 0.5 * Z.sum(1)[:, None]) @ V + c, rtol=1e-12
    )
    g = (2 / y.size) * (exact.predict(X, verbose=0) - y).sum(axis=0)  # of the last bias
    exact.train_on_batch(X, y)
    np.testing.assert_allclose(exact.get_weights()[-1], c - 0.1 * g / (np.abs(g) + 1), rtol=1e-12)
    trained = model(backend)
    trained.fit(X, y, batch_size=4, epochs=3, verbose=0)
    return hashlib.sha256(b"".join(weight.tobytes() for weight in trained.get_weights())).hexdigest()


if __name__ == "__main__":
    optimizers.CLASSES = (*optimizers.CLASSES, ToyStep)
    print(fastnn.__file__)
    for name in sys.argv[1:]:
        print(check(name))
