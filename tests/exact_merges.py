"""The exact values of the functions of two elements, of copies and of sums over a row; see `exact.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error


def _itself(value: Array) -> Pair:
    return value, np.abs(value)


def _share(d: Array, first: Array, second: Array) -> Pair:
    """What of a maximum's gradient the first has: all, half of it where both are the largest, none."""
    return _itself(np.where(first > second, d, np.where(first == second, d / 2, 0.0)))


def _divide_right(d: Array, A: Array, B: Array) -> Pair:
    return _itself(-d / B * (A / B))


def _embedding_backward(dW: Array, y: Array, dA: Array) -> Pair:
    parts = dA.reshape(*y.shape, dW.shape[1])
    value, scale = dW.copy(), np.abs(dW)
    np.add.at(value, y.astype(int), parts)
    np.add.at(scale, y.astype(int), np.abs(parts))
    return value, scale


MERGES: dict[str, Callable[..., Pair]] = {
    "add": lambda A, B: (A + B, np.abs(A) + np.abs(B)),
    "subtract": lambda A, B: (A - B, np.abs(A) + np.abs(B)),
    "multiply": lambda A, B: _itself(A * B),
    "divide": lambda A, B: _itself(A / B),
    "maximum": lambda A, B: _itself(np.maximum(A, B)),
    "minimum": lambda A, B: _itself(np.minimum(A, B)),
    "subtract_right_backward": lambda d, A, B: _itself(-d),
    "multiply_left_backward": lambda d, A, B: _itself(d * B),
    "multiply_right_backward": lambda d, A, B: _itself(d * A),
    "divide_left_backward": lambda d, A, B: _itself(d / B),
    "divide_right_backward": _divide_right,
    "maximum_left_backward": lambda d, A, B: _share(d, A, B),
    "maximum_right_backward": lambda d, A, B: _share(d, B, A),
    "minimum_left_backward": lambda d, A, B: _share(d, B, A),
    "minimum_right_backward": lambda d, A, B: _share(d, A, B),
    "copy": _itself,
    "embedding_forward": lambda y, W: _itself(W[y.astype(int)].reshape(len(y), y.shape[1] * W.shape[1])),
    "embedding_backward": _embedding_backward,
    "row_sum": lambda Z: (Z.sum(axis=1), np.abs(Z).sum(axis=1)),
}
