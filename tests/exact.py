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

from exact_functions import FUNCTION_SLOPES, FUNCTIONS
from exact_merges import MERGES
from exact_norms import NORMALIZATIONS
from exact_steps import OPTIMIZERS
from fastnn.core.operations import Family, Operation
from fastnn.core.random import Purpose, bits32

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error

FLOOR = 1e-7
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


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
            return [_elementwise_loss(base, family == Family.LOSS_FORWARD, values, scalars, dtype)]
        case Family.LOSS_FORWARD | Family.LOSS_BACKWARD if base in ROWS:
            return [_row_loss(base, family == Family.LOSS_FORWARD, values, scalars)]
        case Family.LOSS_FORWARD:
            return [_probability_loss(values, scalars, dtype)]
        case Family.LOSS_BACKWARD:
            return [_probability_gradient(values, scalars, dtype)]
        case Family.CROSSENTROPY_FORWARD:
            return _crossentropy(values, scalars)
        case Family.CROSSENTROPY_BACKWARD:
            return [_crossentropy_gradient(values, scalars)]
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
    "softmax_forward": lambda Z: _softmax(Z),
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


# --- activations ----------------------------------------------------------------------------------------------------


def _erf(x: Array) -> Array:
    """The error function by its series of positive terms."""
    x = np.clip(x, -7.0, 7.0)
    term = total = x
    for n in range(1, 250):
        term = term * (2 * x * x) / (2 * n + 1)
        total = total + term
    return np.asarray(total * np.exp(-x * x) * 2 / np.sqrt(4 * np.arctan(np.ones((), x.dtype))))


def _sigmoid(z: Array) -> Array:
    return np.asarray(np.where(z < 0, np.exp(-np.abs(z)), 1) / (1 + np.exp(-np.abs(z))))


def _softplus(z: Array) -> Array:
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


def _gelu(z: Array, p: float) -> Pair:
    erf = _erf(z / np.sqrt(z.dtype.type(2)))
    return z * (1 + erf) / 2, np.abs(z) * (1 + np.abs(erf)) / 2


def _gelu_tanh(z: Array, p: float) -> Pair:
    t = np.tanh(_cubic(z))
    return z * (1 + t) / 2, np.abs(z) * (1 + np.abs(t)) / 2


def _silu_slope(z: Array, p: float) -> Pair:
    g = _sigmoid(z)
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
    rest = z * _sigmoid(z) * 2 / (np.exp(np.minimum(z, 60)) * (np.exp(np.minimum(z, 60)) + 2) + 2) * (1 + t)
    return t + rest, t + np.abs(rest)


def _hard_silu_slope(z: Array, p: float) -> Pair:
    inside = (z >= -3) & (z <= 3)
    return np.where(inside, z / 3 + 0.5, z > 3), np.where(inside, np.abs(z) / 3 + 0.5, z > 3)


ACTIVATIONS: dict[str, Callable[[Array, float], Pair]] = {
    "relu": _relative(lambda z, p: np.maximum(z, 0)),
    "leaky_relu": _relative(lambda z, p: np.where(z < 0, p * z, z)),
    "elu": _relative(lambda z, p: np.where(z < 0, p * np.expm1(z), z)),
    "selu": _relative(lambda z, p: SCALE * np.where(z > 0, z, ALPHA * np.expm1(z))),
    "sigmoid": _relative(lambda z, p: _sigmoid(z)),
    "tanh": _relative(lambda z, p: np.tanh(z)),
    "softplus": _relative(lambda z, p: _softplus(z)),
    "silu": _relative(lambda z, p: z * _sigmoid(z)),
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
    "softplus": _relative(lambda z, p: _sigmoid(z)),
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
}


# --- losses ---------------------------------------------------------------------------------------------------------

Element = tuple[Array, Array, Array, Array]  # value, its scale, slope by a, its scale


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The bounds that probabilities are clipped to: constants of the dtype."""
    return float(dtype.type(FLOOR)), float(dtype.type(1 - FLOOR))


def _power(p: float) -> Callable[..., Element]:
    def element(a: Array, y: Array, size: Array, _: float, dtype: np.dtype[Any]) -> Element:
        d = a - y
        m = np.abs(d)
        slope = p * m ** (p - 1)
        # |log d| comes with computing the power through exp and log.
        through = np.where(m > 0, np.abs(p * np.log(np.where(m > 0, m, 1))), 0) if p % 1 else 0 * m
        curve = p * (p - 1) * m ** max(p - 2, 0)
        return m**p, (1 + through) * m**p + slope * size, np.sign(d) * slope, (1 + through) * slope + curve * size

    return element


def _huber(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    d = a - y
    m = np.abs(d)
    value = np.where(m > p, p * m - p * p / 2, m * m / 2)
    slope = np.clip(d, -p, p)
    return value, value + np.abs(slope) * size + p * p, slope, np.abs(slope) + size


def _binary(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    q = np.clip(a, *_limits(dtype))
    value = -(y * np.log(q) + (1 - y) * np.log1p(-q))
    here, there = np.abs(np.log(q)), np.abs(np.log1p(-q))
    scale = np.abs(y) * here + np.abs(1 - y) * (1 + there) + size * (1 + here + there)
    inside = np.where(a == q, 1 / (q * (1 - q)), 0)
    return value, scale, (q - y) * inside, (np.abs(q - y) + size) * inside


def _kl(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    low, _ = _limits(dtype)
    q, t = np.clip(a, low, 1), np.clip(y, low, 1)
    log = np.log(t / q)
    return t * log, (t + size) * (1 + np.abs(log)), np.where(a != q, 0, -t / q), np.where(a != q, 0, (t + size) / q)


def _sigmoid_loss(z: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    g = _sigmoid(z)
    return _softplus(z) - z * y, _softplus(z) + np.abs(z) * (1 + size), g - y, g + np.abs(y) + size


def _percentage(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    d, base = a - y, np.maximum(np.abs(y), FLOOR) / 100
    share = np.abs(d) / base
    return share, share + (1 + share) * size / base, np.sign(d) / base, (1 + size / base) / base


def _logarithmic(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    low, _ = _limits(dtype)
    q = 1 + np.maximum(a, low)
    d = np.log(q / (1 + np.maximum(y, low)))
    # log of a ratio near 1 has the ratio's own error; size is that of y.
    return d * d, np.abs(d) * (1 + np.abs(d) + size), np.where(a < low, 0, 2 * d / q), (1 + np.abs(d) + size) / q


def _log_cosh(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    d = a - y
    m = np.abs(d)
    value = np.where(m < 1, np.log1p(2 * np.sinh(m / 2) ** 2), m + np.log1p(np.exp(-2 * m)) - np.log(2 + 0 * m))
    slope = np.tanh(d)
    return value, value + np.abs(slope) * size, slope, np.abs(slope) + size


def _hinge(power: int) -> Callable[..., Element]:
    def element(a: Array, y: Array, size: Array, _: float, dtype: np.dtype[Any]) -> Element:
        label = np.where(y == 0, -1, y)
        m = np.maximum(1 - label * a, 0)
        terms = (m > 0) * (1 + (np.abs(label) + size) * np.abs(a))
        if power == 1:
            return m, terms, np.where(m > 0, -label, 0), (m > 0) * (np.abs(label) + size)
        return m * m, m * terms, -2 * label * m, 2 * (np.abs(label) * terms + size * m)

    return element


def _poisson(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    q = a + FLOOR
    log = np.log(q)
    return a - y * log, a + (np.abs(y) + size) * (1 + np.abs(log)), 1 - y / q, 1 + (np.abs(y) + size) / q


def _poisson_deviance(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    log = np.log(np.where(y > 0, y, a) / a)
    value = np.where(y > 0, y * log, 0) - y + a
    return value, a + (np.abs(y) + size) * (1 + np.abs(log)), 1 - y / a, 1 + (np.abs(y) + size) / a


def _log_poisson_deviance(z: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    a, log = np.exp(z), np.log(np.where(y > 0, y, 1))
    value = np.where(y > 0, y * (log - z), 0) - y + a
    return value, a + (np.abs(y) + size) * (1 + np.abs(log) + np.abs(z)), a - y, a + np.abs(y) + size


def _quantile(a: Array, y: Array, size: Array, p: float, dtype: np.dtype[Any]) -> Element:
    d = y - a
    slope = np.where(d > 0, -p, np.where(d < 0, 1 - p, 0))
    return np.maximum(p * d, (p - 1) * d), np.abs(d) + size, slope, np.abs(slope) + size


LOSSES: dict[str, Callable[..., Element]] = {
    "mean_squared_error": _power(2),
    "mean_absolute_error": _power(1),
    "lp3": _power(3),
    "lp4": _power(4),
    "lp": lambda a, y, size, p, dtype: _power(p)(a, y, size, p, dtype),
    "huber": _huber,
    "binary_crossentropy": _binary,
    "kl_divergence": _kl,
    "sigmoid_crossentropy": _sigmoid_loss,
    "mean_absolute_percentage_error": _percentage,
    "mean_squared_logarithmic_error": _logarithmic,
    "log_cosh": _log_cosh,
    "hinge": _hinge(1),
    "squared_hinge": _hinge(2),
    "poisson": _poisson,
    "poisson_deviance": _poisson_deviance,
    "log_poisson_deviance": _log_poisson_deviance,
    "quantile": _quantile,
}


def _smoothed(Y: Array, keep: float, add: float) -> tuple[Array, Array]:
    """The smoothed targets, and the magnitude of their rounding error, which is 0 without smoothing."""
    return Y * keep + add, (np.abs(Y * keep) + abs(add)) * (0 if (keep, add) == (1.0, 0.0) else 1)


def _elementwise_loss(
    name: str, forward: bool, values: list[Array], scalars: tuple[float, ...], dtype: np.dtype[Any]
) -> Pair:
    p, keep, add = scalars
    Y, size = _smoothed(values[1], keep, add)
    value, value_scale, slope, slope_scale = LOSSES[name](values[0], Y, size, p, dtype)
    if not forward:
        s = values[2][:, None]
        return slope * s, slope_scale * np.abs(s)
    share = 1.0 if name == "kl_divergence" else 1.0 / values[0].shape[1]
    return value.sum(axis=1) * share, value_scale.sum(axis=1) * share


def _categorical_hinge(A: Array, Y: Array, size: Array) -> tuple[Pair, Pair]:
    """Value and slope; elements that tie for the largest share its slope."""
    others = (1 - Y) * A
    other = others.max(axis=1, keepdims=True)
    missing = other - (Y * A).sum(axis=1, keepdims=True) + 1
    tied = others == other
    slope = np.where(missing > 0, tied * (1 - Y) / tied.sum(axis=1, keepdims=True) - Y, 0)
    scale = 1 + ((1 + 2 * np.abs(Y) + size) * np.abs(A)).sum(axis=1)
    return (np.maximum(missing, 0)[:, 0], scale), (slope, (missing > 0) * (1 + 2 * np.abs(Y) + size))


def _cosine_similarity(A: Array, Y: Array, size: Array) -> tuple[Pair, Pair]:
    """Value and slope; what is a sum of products here has their magnitudes as its scale."""
    norm_a, norm_y = (np.sqrt((X * X).sum(axis=1, keepdims=True)) for X in (A, Y))
    cosine = (A * Y).sum(axis=1, keepdims=True) / (norm_a * norm_y)
    off = (np.abs(Y) * size).sum(axis=1, keepdims=True) / (norm_y * norm_y)
    terms = (np.abs(A) * (np.abs(Y) + size)).sum(axis=1, keepdims=True) / (norm_a * norm_y)
    slope = (A / norm_a * cosine - Y / norm_y) / norm_a
    slope_scale = (np.abs(A) / norm_a * (terms + off) + (np.abs(Y) + size) / norm_y * (1 + off)) / norm_a
    return (-cosine[:, 0], (terms + np.abs(cosine) * off)[:, 0]), (slope, slope_scale)


ROWS = {"categorical_hinge": _categorical_hinge, "cosine_similarity": _cosine_similarity}


def _row_loss(name: str, forward: bool, values: list[Array], scalars: tuple[float, ...]) -> Pair:
    value, (slope, scale) = ROWS[name](values[0], *_smoothed(values[1], *scalars[1:]))
    if forward:
        return value
    s = values[2][:, None]
    return slope * s, scale * np.abs(s)


def _one_hot(X: Array, y: Array) -> Array:
    return (np.arange(X.shape[1]) == y[:, None]).astype(X.dtype) if y.ndim == 1 else y


def _shift(Z: Array) -> Array:
    return np.asarray(Z - Z.max(axis=1, keepdims=True, initial=-np.inf))


def _softmax(Z: Array) -> Pair:
    shifted = _shift(Z)
    e = np.exp(shifted)
    P = e / e.sum(axis=1, keepdims=True)
    spread = (P * np.abs(shifted)).sum(axis=1, keepdims=True)
    return P, P * (1 + np.abs(shifted) + spread)


def _crossentropy(values: list[Array], scalars: tuple[float, ...]) -> list[Pair]:
    Z = values[0]
    Y, size = _smoothed(_one_hot(Z, values[1]), *scalars[1:])
    shifted = _shift(Z)
    P, P_scale = _softmax(Z)
    log = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    spread = 1 + log + (P * np.abs(shifted)).sum(axis=1, keepdims=True)
    terms = (np.abs(Y) + size) * (spread + np.abs(shifted))
    return [((Y * (log - shifted)).sum(axis=1), terms.sum(axis=1)), (P, P_scale)]


def _crossentropy_gradient(values: list[Array], scalars: tuple[float, ...]) -> Pair:
    P, _, s = values
    Y, size = _smoothed(_one_hot(P, values[1]), *scalars[1:])
    mass = (np.abs(Y) + size).sum(axis=1, keepdims=True)
    return (P * Y.sum(axis=1, keepdims=True) - Y) * s[:, None], (P * mass + np.abs(Y) + size) * np.abs(s)[:, None]


def _probability_loss(values: list[Array], scalars: tuple[float, ...], dtype: np.dtype[Any]) -> Pair:
    A = values[0]
    Y, size = _smoothed(_one_hot(A, values[1]), *scalars[1:])
    log = np.log(np.clip(A / A.sum(axis=1, keepdims=True), *_limits(dtype)))
    return -(Y * log).sum(axis=1), ((np.abs(Y) + size) * (1 + np.abs(log))).sum(axis=1)


def _probability_gradient(values: list[Array], scalars: tuple[float, ...], dtype: np.dtype[Any]) -> Pair:
    A, _, s = values
    Y, size = _smoothed(_one_hot(A, values[1]), *scalars[1:])
    total = A.sum(axis=1, keepdims=True)
    q = A / total
    clipped = np.clip(q, *_limits(dtype))
    g = np.where(q != clipped, 0, -Y / clipped)
    g_scale = np.where(q != clipped, 0, (np.abs(Y) + size) / clipped)
    mean, mean_scale = (g * q).sum(axis=1, keepdims=True), (g_scale * q).sum(axis=1, keepdims=True)
    return (g - mean) / total * s[:, None], (g_scale + mean_scale) / total * np.abs(s)[:, None]


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
