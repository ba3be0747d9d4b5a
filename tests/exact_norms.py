"""The exact values of normalization and of layers that take rows, for `exact.py`; `eps` is that of the dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error


def _moments(Z: Array, axis: int, inverse: float, eps: float) -> tuple[Pair, Pair]:
    """Mean and variance; the variance is that about a mean which is itself off by some eps of the mean magnitude."""
    mean, size = Z.sum(axis=axis) * inverse, np.abs(Z).sum(axis=axis) * inverse
    variance = ((Z - np.expand_dims(mean, axis)) ** 2).sum(axis=axis) * inverse
    return (mean, size), (variance, variance + 4 * eps * size**2)


def _deviation(name: str) -> Callable[..., list[Pair]]:
    def inverse(variance: Array, epsilon: float, eps: float) -> list[Pair]:
        floor = name == "inverse_deviation_floor"
        value = 1 / (np.maximum(np.sqrt(variance), epsilon) if floor else np.sqrt(variance + epsilon))
        return [(value, value)]

    return inverse


def _standardize(Z: Array, mean: Array, inv: Array, gamma: Array, beta: Array, eps: float) -> list[Pair]:
    N = (Z - mean) * inv
    return [(N * gamma + beta, np.abs(N * gamma) + np.abs(beta))]


def _batch_norm(Z: Array, mean: Array, inv: Array, gamma: Array, beta: Array, eps: float) -> list[Pair]:
    N = (Z - mean) * inv
    return [*_standardize(Z, mean, inv, gamma, beta, eps), (N, np.abs(N))]


def _batch_norm_slope(
    dA: Array, N: Array, inv: Array, gamma: Array, db: Array, dg: Array, inverse_b: float, eps: float
) -> list[Pair]:
    terms = [dA, -db * inverse_b, -N * dg * inverse_b]
    return [(inv * gamma * sum(terms), np.abs(inv * gamma) * sum(np.abs(term) for term in terms))]


def _layer_norm(Z: Array, gamma: Array, beta: Array, epsilon: float, inverse_o: float, eps: float) -> list[Pair]:
    (mean, size), (variance, spread) = _moments(Z, 1, inverse_o, eps)
    d, inv = Z - mean[:, None], 1 / np.sqrt(variance + epsilon)
    condition = 1 + spread / (variance + epsilon)
    N, N_scale = d * inv[:, None], inv[:, None] * (np.abs(d) * (1 + condition[:, None]) + size[:, None])
    return [(N * gamma + beta, N_scale * np.abs(gamma) + np.abs(beta)), (N, N_scale), (inv, inv * condition)]


def _layer_norm_slope(dA: Array, N: Array, inv: Array, gamma: Array, inverse_o: float, eps: float) -> list[Pair]:
    g = dA * gamma
    terms = [g, -g.sum(axis=1)[:, None] * inverse_o, -N * (g * N).sum(axis=1)[:, None] * inverse_o]
    sizes = [np.abs(g), np.abs(g).sum(axis=1)[:, None], np.abs(N) * np.abs(g * N).sum(axis=1)[:, None]]
    return [(inv[:, None] * sum(terms), np.abs(inv)[:, None] * (sizes[0] + (sizes[1] + sizes[2]) * inverse_o))]


def _log_softmax(Z: Array, eps: float) -> list[Pair]:
    d = Z - Z.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(d)
    total = e.sum(axis=1, keepdims=True)
    spread = (e * (1 + np.abs(d))).sum(axis=1, keepdims=True) / total
    return [(d - np.log(total), np.abs(d) + np.abs(np.log(total)) + spread)]


def _log_softmax_slope(dA: Array, A: Array, eps: float) -> list[Pair]:
    P, total, size = np.exp(A), dA.sum(axis=1, keepdims=True), np.abs(dA).sum(axis=1, keepdims=True)
    return [(dA - P * total, np.abs(dA) + P * (1 + np.abs(A)) * size)]


def _unit(Z: Array, epsilon: float, eps: float) -> list[Pair]:
    value = Z / np.maximum(np.sqrt((Z * Z).sum(axis=1, keepdims=True)), epsilon)
    return [(value, np.abs(value))]


def _unit_slope(dA: Array, Z: Array, epsilon: float, eps: float) -> list[Pair]:
    norm = np.sqrt((Z * Z).sum(axis=1, keepdims=True))
    inv = 1 / np.maximum(norm, epsilon)
    cubed = np.where(norm < epsilon, 0, inv**3)
    products, sizes = (dA * Z).sum(axis=1, keepdims=True), np.abs(dA * Z).sum(axis=1, keepdims=True)
    return [(inv * dA - cubed * Z * products, inv * np.abs(dA) + cubed * np.abs(Z) * sizes)]


def _prelu(Z: Array, alpha: Array, eps: float) -> list[Pair]:
    value = np.where(Z < 0, alpha * Z, Z)
    return [(value, np.abs(value))]


def _prelu_slope(dA: Array, Z: Array, alpha: Array, eps: float) -> list[Pair]:
    value = np.where(Z < 0, alpha * dA, dA)
    return [(value, np.abs(value))]


def _prelu_alpha_slope(dA: Array, Z: Array, eps: float) -> list[Pair]:
    terms = np.where(Z < 0, dA * Z, 0)
    return [(terms.sum(axis=0), np.abs(terms).sum(axis=0))]


ROW_WISE: dict[str, Callable[..., list[Pair]]] = {
    "log_softmax_forward": _log_softmax,
    "log_softmax_backward": _log_softmax_slope,
    "unit_normalization_forward": _unit,
    "unit_normalization_backward": _unit_slope,
    "prelu_forward": _prelu,
    "prelu_backward": _prelu_slope,
    "prelu_alpha_backward": _prelu_alpha_slope,
}

NORMALIZATIONS: dict[str, Callable[..., list[Pair]]] = {
    "batch_moments": lambda Z, inverse_b, eps: list(_moments(Z, 0, inverse_b, eps)),
    "moving_average": lambda m, x, rate, eps: [(m + (x - m) * rate, np.abs(m) + np.abs(x - m) * rate)],
    "inverse_deviation": _deviation("inverse_deviation"),
    "inverse_deviation_floor": _deviation("inverse_deviation_floor"),
    "standardize_forward": _standardize,
    "standardize_backward": lambda dA, inv, gamma, eps: [(dA * inv * gamma, np.abs(dA * inv * gamma))],
    "batch_norm_forward": _batch_norm,
    "batch_norm_backward": _batch_norm_slope,
    "layer_norm_forward": _layer_norm,
    "layer_norm_backward": _layer_norm_slope,
    **ROW_WISE,
}
