"""The exact values of activations and of their slopes, for `exact.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from exact_functions import FUNCTION_SLOPES, FUNCTIONS
from fastnn.core import functions
from fastnn.core.algebra import NumpyAlgebra

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def _erf(x: Array) -> Array:
    """The error function by its series of positive terms."""
    x = np.clip(x, -7.0, 7.0)
    term = total = x
    for n in range(1, 250):
        term = term * (2 * x * x) / (2 * n + 1)
        total = total + term
    return np.asarray(total * np.exp(-x * x) * 2 / np.sqrt(4 * np.arctan(np.ones((), x.dtype))))


def sigmoid(z: Array) -> Array:
    return np.asarray(np.where(z < 0, np.exp(-np.abs(z)), 1) / (1 + np.exp(-np.abs(z))))


def softplus(z: Array) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _cubic(z: Array) -> Array:
    pi = 4 * np.arctan(np.ones((), z.dtype))
    return np.asarray(np.sqrt(2 / pi) * (z + 0.044715 * z**3))


def _relative(f: Callable[[Array, float], Array]) -> Callable[[Array, float], Pair]:
    """A formula without cancellation: its error is measured by its value."""

    def pair(x: Array, p: float) -> Pair:
        value = f(x, p)
        return value, np.abs(value)

    return pair


def _plain(f: Callable[[Array], Array]) -> Callable[[Array, float], Pair]:
    return _relative(lambda x, p: f(x))


def _erfinv(x: Array, p: float) -> Pair:
    """The inverse of the error function by Newton's steps from next to it, with the error that one of x makes."""
    inside, half_root = np.abs(x) < 1, np.sqrt(4 * np.arctan(np.ones((), x.dtype))) / 2
    y = NumpyAlgebra("float64").apply(functions.erfinv, np.where(inside, x, 0).astype(float)).astype(x.dtype)
    for _ in range(3):  # each doubles the digits; what is not next to it stays wrong
        y = y - (_erf(y) - np.where(inside, x, 0)) * half_root * np.exp(y * y)
    value = np.where(inside, y, np.where(np.abs(x) == 1, x * np.inf, np.nan))
    return value, np.abs(value) + np.abs(x) * half_root * np.exp(y * y)


def _gelu(z: Array, p: float) -> Pair:
    erf = _erf(z / np.sqrt(z.dtype.type(2)))
    return z * (1 + erf) / 2, np.abs(z) * (1 + np.abs(erf)) / 2


def _gelu_tanh(z: Array, p: float) -> Pair:
    t = np.tanh(_cubic(z))
    return z * (1 + t) / 2, np.abs(z) * (1 + np.abs(t)) / 2


def _silu_slope(z: Array, p: float) -> Pair:
    g = sigmoid(z)
    return g + z * g * (1 - g), g + np.abs(z) * g


def _gelu_slope(z: Array, p: float) -> Pair:
    erf = _erf(z / np.sqrt(z.dtype.type(2)))
    density = np.exp(-z * z / 2) / np.sqrt(8 * np.arctan(np.ones((), z.dtype)))
    return (1 + erf) / 2 + z * density, (1 + np.abs(erf)) / 2 + np.abs(z) * density * (1 + z * z / 2)


def _gelu_tanh_slope(z: Array, p: float) -> Pair:
    t = np.tanh(_cubic(z))
    inner = _cubic(np.ones((), z.dtype)) / 1.044715 * (1 + 3 * 0.044715 * z * z)
    return (1 + t) / 2 + z / 2 * (1 - t * t) * inner, (1 + np.abs(t)) / 2 + np.abs(z) / 2 * inner


def _softplus_tanh(z: Array) -> Array:
    """tanh(log(1 + e^z)) from n = e^z, which exists in long double for every z there is."""
    n = np.exp(np.minimum(z, 60))
    return np.asarray(n * (n + 2) / (n * (n + 2) + 2))


def _mish_slope(z: Array, p: float) -> Pair:
    t = _softplus_tanh(z)
    rest = z * sigmoid(z) * 2 / (np.exp(np.minimum(z, 60)) * (np.exp(np.minimum(z, 60)) + 2) + 2) * (1 + t)
    return t + rest, t + np.abs(rest)


def _hard_silu_slope(z: Array, p: float) -> Pair:
    inside = (z >= -3) & (z <= 3)
    return np.where(inside, z / 3 + 0.5, z > 3), np.where(inside, np.abs(z) / 3 + 0.5, z > 3)


ACTIVATIONS: dict[str, Callable[[Array, float], Pair]] = {
    "relu": _relative(lambda z, p: np.maximum(z, 0)),
    "leaky_relu": _relative(lambda z, p: np.where(z < 0, p * z, z)),
    "elu": _relative(lambda z, p: np.where(z < 0, p * np.expm1(z), z)),
    "selu": _relative(lambda z, p: SCALE * np.where(z > 0, z, ALPHA * np.expm1(z))),
    "sigmoid": _relative(lambda z, p: sigmoid(z)),
    "tanh": _relative(lambda z, p: np.tanh(z)),
    "softplus": _relative(lambda z, p: softplus(z)),
    "silu": _relative(lambda z, p: z * sigmoid(z)),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "relu6": _relative(lambda z, p: np.clip(z, 0, 6)),
    "hard_sigmoid": lambda z, p: (np.clip(z + 3, 0, 6) / 6, np.clip(np.abs(z) + 3, 0, 6) / 6),
    "hard_silu": lambda z, p: (z * np.clip(z + 3, 0, 6) / 6, np.abs(z) * np.clip(np.abs(z) + 3, 0, 6) / 6),
    "mish": _relative(lambda z, p: z * _softplus_tanh(z)),
    "softsign": _relative(lambda z, p: z / (1 + np.abs(z))),
    "exponential": _relative(lambda z, p: np.exp(z)),
    "celu": _relative(lambda z, p: np.where(z < 0, p * np.expm1(z / p), z)),
    "erf": _relative(lambda z, p: _erf(z)),
    "erfinv": _erfinv,
    **{name: _plain(f) for name, f in FUNCTIONS.items()},
}
# By what the derivative reads, as `formulas.ACTIVATIONS` says: the output or the input.
SLOPES: dict[str, Callable[[Array, float], Pair]] = {
    "relu": _relative(lambda a, p: (a > 0).astype(a.dtype)),
    "leaky_relu": _relative(lambda z, p: np.where(z < 0, p, 1 + 0 * z)),
    "elu": _relative(lambda z, p: np.where(z < 0, p * np.exp(z), 1)),
    "selu": lambda a, p: (np.where(a > 0, SCALE, a + SCALE * ALPHA), np.where(a > 0, SCALE, np.abs(a) + SCALE * ALPHA)),
    "sigmoid": _relative(lambda a, p: a * (1 - a)),
    "tanh": _relative(lambda a, p: 1 - a * a),
    "softplus": _relative(lambda z, p: sigmoid(z)),
    "silu": _silu_slope,
    "gelu": _gelu_slope,
    "gelu_tanh": _gelu_tanh_slope,
    "relu6": _relative(lambda a, p: ((a > 0) & (a < 6)).astype(a.dtype)),
    "hard_sigmoid": _relative(lambda a, p: ((a > 0) & (a < 1)) / a.dtype.type(6)),
    "hard_silu": _hard_silu_slope,
    "mish": _mish_slope,
    "softsign": _relative(lambda a, p: (1 - np.abs(a)) ** 2),
    "exponential": _relative(lambda a, p: a),
    "celu": lambda z, p: (np.where(z < 0, np.exp(z / p), 1), np.where(z < 0, np.exp(z / p) * (1 - z / p), 1)),
    **{name: _plain(f) for name, f in FUNCTION_SLOPES.items()},
    # e^(-z^2) has the error of z^2 by its size
    "erf": lambda z, p: (FUNCTION_SLOPES["erf"](z), FUNCTION_SLOPES["erf"](z) * (1 + z * z)),
    "erfinv": lambda a, p: (FUNCTION_SLOPES["erfinv"](a), FUNCTION_SLOPES["erfinv"](a) * (1 + a * a)),
}
