"""The exact value of every operation, from textbook formulas in higher precision, and the scale of its error.

Float32 operations are computed in float64, float64 ones and float64 totals in long double. A result is right if it lies
within `bound` (of the operation's row) times eps times `scale` of the exact value. The scale is the sum of the
magnitudes of the terms that any such computation adds, each multiplied by the condition number of what it is computed
from where that exceeds 1, as |z - m| in e^(z - m). So cancellation is forgiven and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exact_activations import ACTIVATIONS, SLOPES
from exact_losses import (
    LOSSES,
    ROWS,
    crossentropy,
    crossentropy_gradient,
    elementwise_loss,
    probability_gradient,
    probability_loss,
    row_loss,
    softmax,
)
from exact_merges import MERGES
from exact_norms import NORMALIZATIONS
from exact_steps import OPTIMIZERS
from fastnn.core.operations import Family, Operation
from fastnn.core.random import Purpose, bits32

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error


def exact(operation: Operation, arrays: Mapping[str, Array], scalars: tuple[float, ...], dtype: Any) -> dict[str, Pair]:
    """The exact value and the scale of each output, from the arrays as they were before."""
    totals = any(argument.total for argument in operation.arguments)
    wide = np.longdouble if totals or np.dtype(dtype) == np.float64 else np.float64
    values = [arrays[argument.name].astype(wide) for argument in operation.arguments if not argument.output]
    old = [arrays[argument.name].astype(wide) for argument in operation.arguments if argument.updated]
    with np.errstate(all="ignore"):
        if operation.family == Family.OPTIMIZER_STEP:
            results = OPTIMIZERS[operation.name.removesuffix("_step")](*old, *values, *scalars)
        elif operation.family == Family.DROPOUT:
            results = [_dropout(values[0], scalars)]
        elif operation.family == Family.UNIFORM:
            results = [_uniform(arrays["A"], scalars)]
        elif operation.name in MERGES:
            results = [MERGES[operation.name](*old, *values, *scalars)]
        elif operation.name in NORMALIZATIONS:
            results = NORMALIZATIONS[operation.name](*old, *values, *scalars, np.finfo(dtype).eps)
        else:
            results = _single(operation, old + values, scalars, np.dtype(dtype))
    names = [argument.name for argument in operation.arguments if argument.output]
    return dict(zip(names, results, strict=True))


def _single(operation: Operation, values: list[Array], scalars: tuple[float, ...], dtype: np.dtype[Any]) -> list[Pair]:
    name, family = operation.name, operation.family
    base = name.removesuffix("_forward").removesuffix("_backward")
    match family:
        case Family.ACTIVATION_FORWARD:
            return [ACTIVATIONS[base](values[0], scalars[0])]
        case Family.ACTIVATION_BACKWARD:
            d, saved = values
            slope, scale = SLOPES[base](saved, scalars[0])
            return [(d * slope, np.abs(d) * scale)]
        case Family.LOSS_FORWARD | Family.LOSS_BACKWARD if base in LOSSES:
            return [elementwise_loss(base, family == Family.LOSS_FORWARD, values, scalars, dtype)]
        case Family.LOSS_FORWARD | Family.LOSS_BACKWARD if base in ROWS:
            return [row_loss(base, family == Family.LOSS_FORWARD, values, scalars)]
        case Family.LOSS_FORWARD:
            return [probability_loss(values, scalars, dtype)]
        case Family.LOSS_BACKWARD:
            return [probability_gradient(values, scalars, dtype)]
        case Family.CROSSENTROPY_FORWARD:
            return crossentropy(values, scalars)
        case Family.CROSSENTROPY_BACKWARD:
            return [crossentropy_gradient(values, scalars)]
    return [PLAIN[name](*values, *scalars)]


# --- products and sums ----------------------------------------------------------------------------------------------


def _product(A: Array, B: Array) -> Pair:
    return A @ B, np.abs(A) @ np.abs(B)


def _dense(X: Array, W: Array, b: Array) -> Pair:
    value, scale = _product(X, W)
    return value + b, scale + np.abs(b)


def _weighted_sum(total: Array, l: Array, w: Array) -> Pair:  # noqa: E741 - the row's own letter
    return total + (l * w).sum(), np.abs(total) + np.abs(l * w).sum()


def _r2_sums(total: Array, A: Array, Y: Array, w: Array) -> Pair:
    parts = [w[:, None] * part for part in (Y, Y * Y, (Y - A) ** 2)] + [w[:, None]]
    value = np.concatenate([part.sum(axis=0) for part in parts])
    scale = np.concatenate([np.abs(part).sum(axis=0) for part in parts])
    return total + value, np.abs(total) + scale


def _penalty(g: Array, w: Array, l1: float, two_l2: float) -> Pair:
    return g + two_l2 * w + l1 * np.sign(w), np.abs(g) + np.abs(two_l2 * w) + np.abs(l1)


def _accuracy(right: Array) -> Pair:
    value = right.astype(np.float64)
    return value, value


PLAIN: dict[str, Callable[..., Pair]] = {
    "gemm_nn": _product,
    "gemm_tn": lambda A, B: _product(A.T, B),
    "gemm_nt": lambda A, B: _product(A, B.T),
    "dense_forward": _dense,
    "bias_backward": lambda dZ: (dZ.sum(axis=0), np.abs(dZ).sum(axis=0)),
    "softmax_forward": softmax,
    "softmax_backward": lambda dP, P: (
        P * (dP - (dP * P).sum(axis=1, keepdims=True)),
        P * (np.abs(dP) + np.abs(dP * P).sum(axis=1, keepdims=True)),
    ),
    "binary_accuracy": lambda A, Y: _accuracy(((A > 0.5) == Y).mean(axis=1)),
    "categorical_accuracy": lambda A, Y: _accuracy(A.argmax(axis=1) == Y.argmax(axis=1)),
    "sparse_categorical_accuracy": lambda A, y: _accuracy(A.argmax(axis=1) == y),
    "r2_sums": _r2_sums,
    "weighted_sum": _weighted_sum,
    "row_scale": lambda w, factor: (w * factor, np.abs(w * factor)),
    "sum_abs": lambda total, w: (total + np.abs(w).sum(), np.abs(total) + np.abs(w).sum()),
    "sum_squares": lambda total, w: (total + (w * w).sum(), np.abs(total) + (w * w).sum()),
    "penalty_backward": _penalty,
    "affine": lambda Z, scale, offset: (Z * scale + offset, np.abs(Z * scale) + abs(offset)),
    "scale_backward": lambda dA, N: ((dA * N).sum(axis=0), np.abs(dA * N).sum(axis=0)),
    "clip_value": lambda g, limit: (np.clip(g, -limit, limit), np.abs(g)),
    "gradient_scale": lambda g, factor: (g * factor, np.abs(g * factor)),
    "decay_step": lambda theta, factor: (theta * (1 + factor), np.abs(theta) * (1 + abs(factor))),
}


def _uniform(A: Array, scalars: tuple[float, ...]) -> Pair:
    """Element (r, c) is made of number r * (columns rounded up to 64) + c, as an odd multiple of 2^-23."""
    seed, step, layer, first = (int(scalar) for scalar in scalars)
    rows, columns = A.shape
    stride = -(-columns // 64) * 64
    value = np.zeros((rows, columns))
    for row in range(rows):
        whole = bits32(seed, Purpose.NOISE, step, layer, columns, (first + row) * stride) // 512
        value[row] = (whole.astype(np.float64) + 0.5) / 2.0**22 - 1.0
    return value, np.abs(value)


def _dropout(Z: Array, scalars: tuple[float, ...]) -> Pair:
    """Element (r, c) draws number r * (columns rounded up to 64) + c."""
    rate, seed, step, layer = scalars[0], *(int(scalar) for scalar in scalars[1:])
    rows, columns = Z.shape
    stride = -(-columns // 64) * 64
    draws = np.zeros((rows, columns))
    for row in range(rows):
        draws[row] = bits32(seed, Purpose.DROPOUT, step, layer, columns, row * stride)
    value = np.where(draws / 2.0**32 >= rate, Z / (1 - rate), 0)
    return value, np.abs(value)
