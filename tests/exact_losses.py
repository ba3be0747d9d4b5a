"""The exact values of losses and of their slopes, for `exact.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from exact_activations import sigmoid, softplus

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error

FLOOR = 1e-7

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
    g = sigmoid(z)
    return softplus(z) - z * y, softplus(z) + np.abs(z) * (1 + size), g - y, g + np.abs(y) + size


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
    "poisson_deviance": _poisson_deviance,
    "log_poisson_deviance": _log_poisson_deviance,
    "quantile": _quantile,
    "prediction": lambda a, y, size, p, dtype: (a, np.abs(a), np.ones_like(a), np.ones_like(a)),
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
}


def _smoothed(Y: Array, keep: float, add: float) -> tuple[Array, Array]:
    """The smoothed targets, and the magnitude of their rounding error, which is 0 without smoothing."""
    return Y * keep + add, (np.abs(Y * keep) + abs(add)) * (0 if (keep, add) == (1.0, 0.0) else 1)


def elementwise_loss(
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


def row_loss(name: str, forward: bool, values: list[Array], scalars: tuple[float, ...]) -> Pair:
    value, (slope, scale) = ROWS[name](values[0], *_smoothed(values[1], *scalars[1:]))
    if forward:
        return value
    s = values[2][:, None]
    return slope * s, scale * np.abs(s)


def _one_hot(X: Array, y: Array) -> Array:
    return (np.arange(X.shape[1]) == y[:, None]).astype(X.dtype) if y.ndim == 1 else y


def _shift(Z: Array) -> Array:
    return np.asarray(Z - Z.max(axis=1, keepdims=True, initial=-np.inf))


def softmax(Z: Array) -> Pair:
    shifted = _shift(Z)
    e = np.exp(shifted)
    P = e / e.sum(axis=1, keepdims=True)
    spread = (P * np.abs(shifted)).sum(axis=1, keepdims=True)
    return P, P * (1 + np.abs(shifted) + spread)


def crossentropy(values: list[Array], scalars: tuple[float, ...]) -> list[Pair]:
    Z = values[0]
    Y, size = _smoothed(_one_hot(Z, values[1]), *scalars[1:])
    shifted = _shift(Z)
    P, P_scale = softmax(Z)
    log = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    spread = 1 + log + (P * np.abs(shifted)).sum(axis=1, keepdims=True)
    terms = (np.abs(Y) + size) * (spread + np.abs(shifted))
    return [((Y * (log - shifted)).sum(axis=1), terms.sum(axis=1)), (P, P_scale)]


def crossentropy_gradient(values: list[Array], scalars: tuple[float, ...]) -> Pair:
    P, _, s = values
    Y, size = _smoothed(_one_hot(P, values[1]), *scalars[1:])
    mass = (np.abs(Y) + size).sum(axis=1, keepdims=True)
    return (P * Y.sum(axis=1, keepdims=True) - Y) * s[:, None], (P * mass + np.abs(Y) + size) * np.abs(s)[:, None]


def probability_loss(values: list[Array], scalars: tuple[float, ...], dtype: np.dtype[Any]) -> Pair:
    A = values[0]
    Y, size = _smoothed(_one_hot(A, values[1]), *scalars[1:])
    log = np.log(np.clip(A / A.sum(axis=1, keepdims=True), *_limits(dtype)))
    return -(Y * log).sum(axis=1), ((np.abs(Y) + size) * (1 + np.abs(log))).sum(axis=1)


def probability_gradient(values: list[Array], scalars: tuple[float, ...], dtype: np.dtype[Any]) -> Pair:
    A, _, s = values
    Y, size = _smoothed(_one_hot(A, values[1]), *scalars[1:])
    total = A.sum(axis=1, keepdims=True)
    q = A / total
    clipped = np.clip(q, *_limits(dtype))
    g = np.where(q != clipped, 0, -Y / clipped)
    g_scale = np.where(q != clipped, 0, (np.abs(Y) + size) / clipped)
    mean, mean_scale = (g * q).sum(axis=1, keepdims=True), (g_scale * q).sum(axis=1, keepdims=True)
    return (g - mean) / total * s[:, None], (g_scale + mean_scale) / total * np.abs(s)[:, None]
