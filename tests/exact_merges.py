"""The exact values of what merges, copies and sums elements of rows, for `exact.py`; what only moves or halves numbers
has the scale 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error


def _rounded(value: Array) -> Pair:
    """Without cancellation: its error is measured by its value."""
    return value, np.abs(value)


def _moved(value: Any) -> Pair:
    return np.asarray(value), np.zeros(())


def _share(d: Array, first: Array, second: Array) -> Pair:
    """The gradient of the first of two where it is the greater one; of two equal ones each has half of it."""
    return _moved(d * (1 + np.sign(first - second)) / 2)


def _power(a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        value: Array = a**b
    return value


def _logs(a: Array, b: Array) -> Array:
    """The error of a power that comes through its logarithm grows with that."""
    return np.asarray(np.abs(b * np.log(np.where(a == 0, 1, np.abs(a)))))


def _power_slope(value: Array, a: Array, b: Array) -> Pair:
    return value, (3 + _logs(a, b)) * np.abs(value)


def _embedding_backward(dW: Array, y: Array, dA: Array) -> Pair:
    parts = dA.reshape(*y.shape, dW.shape[1])
    value, scale = dW.copy(), np.abs(dW)
    np.add.at(value, y.astype(int), parts)
    np.add.at(scale, y.astype(int), np.abs(parts))
    return value, scale


MERGES: dict[str, Callable[..., Pair]] = {
    "add": lambda A, B: _rounded(A + B),
    "subtract": lambda A, B: _rounded(A - B),
    "multiply": lambda A, B: _rounded(A * B),
    "divide": lambda A, B: _rounded(A / B),
    "maximum": lambda A, B: _moved(np.maximum(A, B)),
    "minimum": lambda A, B: _moved(np.minimum(A, B)),
    "subtract_right_backward": lambda dC, A, B: _moved(0 - dC),
    "multiply_left_backward": lambda dC, A, B: _rounded(dC * B),
    "multiply_right_backward": lambda dC, A, B: _rounded(dC * A),
    "divide_left_backward": lambda dC, A, B: _rounded(dC / B),
    "divide_right_backward": lambda dC, A, B: _rounded(-dC * A / (B * B)),
    "maximum_left_backward": lambda dC, A, B: _share(dC, A, B),
    "maximum_right_backward": lambda dC, A, B: _share(dC, B, A),
    "minimum_left_backward": lambda dC, A, B: _share(dC, B, A),
    "minimum_right_backward": lambda dC, A, B: _share(dC, A, B),
    "power": lambda A, B: (_power(A, B), (2 + _logs(A, B)) * np.abs(_power(A, B))),
    "power_left_backward": lambda dC, A, B: _power_slope(dC * B * _power(A, B - 1), A, B - 1),
    "power_right_backward": lambda dC, A, B: _power_slope(dC * np.log(np.where(A == 0, 1, A)) * _power(A, B), A, B),
    "less": lambda A, B: _moved(1.0 * (A < B)),
    "less_equal": lambda A, B: _moved(1.0 * (A <= B)),
    "equal": lambda A, B: _moved(1.0 * (A == B)),
    "not_equal": lambda A, B: _moved(1.0 * (A != B)),
    **{
        f"{name}_{side}_backward": lambda dC, A, B: _moved(0)
        for name in ("less", "less_equal", "equal", "not_equal")
        for side in ("left", "right")
    },
    "keep": lambda A, B: _moved(np.where(B != 0, A, 0)),
    "drop": lambda A, B: _moved(np.where(B != 0, 0, A)),
    "keep_left_backward": lambda dC, A, B: _moved(np.where(B != 0, dC, 0)),
    "drop_left_backward": lambda dC, A, B: _moved(np.where(B != 0, 0, dC)),
    "keep_right_backward": lambda dC, A, B: _moved(0),
    "drop_right_backward": lambda dC, A, B: _moved(0),
    "copy": _moved,
    "embedding_forward": lambda y, W: _moved(W[y.astype(int)].reshape(len(y), y.shape[1] * W.shape[1])),
    "embedding_backward": _embedding_backward,
    "fill": lambda value: _moved(np.float64(value)),
    "row_sum": lambda Z: (Z.sum(axis=1), np.abs(Z).sum(axis=1)),
    "repeat": lambda s: _moved(s[:, None]),
}
