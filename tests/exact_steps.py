"""The exact steps of the optimizers, with the scale of their errors; see `exact.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]  # exact value, scale of the error


def _sgd(theta: Array, g: Array, rate: float) -> list[Pair]:
    return [(theta - rate * g, np.abs(theta) + np.abs(rate * g))]


def _momentum(theta: Array, m: Array, g: Array, rate: float, mu: float) -> list[Pair]:
    scale = np.abs(mu * m) + np.abs(rate * g)
    m = mu * m - rate * g
    return [(theta + m, np.abs(theta) + scale), (m, scale)]


def _nesterov(theta: Array, m: Array, g: Array, rate: float, mu: float) -> list[Pair]:
    scale = np.abs(mu * m) + np.abs(rate * g)
    m = mu * m - rate * g
    return [(theta + mu * m - rate * g, np.abs(theta) + scale + np.abs(rate * g)), (m, scale)]


def _rmsprop(theta: Array, v: Array, g: Array, rate: float, c: float, epsilon: float) -> list[Pair]:
    v = (1 - c) * v + c * g * g
    step = rate * g / np.sqrt(v + epsilon)
    return [(theta - step, np.abs(theta) + np.abs(step)), (v, v)]


def _adagrad(theta: Array, v: Array, g: Array, rate: float, epsilon: float) -> list[Pair]:
    v = v + g * g
    step = rate * g / np.sqrt(v + epsilon)
    return [(theta - step, np.abs(theta) + np.abs(step)), (v, v)]


def _adam(theta: Array, m: Array, v: Array, g: Array, rate: float, c1: float, c2: float, epsilon: float) -> list[Pair]:
    m_scale = np.abs(m) + c1 * np.abs(g)
    m, v = (1 - c1) * m + c1 * g, (1 - c2) * v + c2 * g * g
    per = rate / (np.sqrt(v) + epsilon)
    return [(theta - per * m, np.abs(theta) + per * m_scale), (m, m_scale), (v, v)]


def _amsgrad(
    theta: Array, m: Array, v: Array, u: Array, g: Array, rate: float, c1: float, c2: float, epsilon: float
) -> list[Pair]:
    _, (m, m_scale), (v, _) = _adam(theta, m, v, g, rate, c1, c2, epsilon)
    u = np.maximum(u, v)
    per = rate / (np.sqrt(u) + epsilon)
    return [(theta - per * m, np.abs(theta) + per * m_scale), (m, m_scale), (v, v), (u, u)]


def _adamax(
    theta: Array, m: Array, u: Array, g: Array, rate: float, c1: float, b2: float, epsilon: float
) -> list[Pair]:
    m_scale = np.abs(m) + c1 * np.abs(g)
    m, u = (1 - c1) * m + c1 * g, np.maximum(b2 * u, np.abs(g))
    per = rate / (u + epsilon)
    return [(theta - per * m, np.abs(theta) + per * m_scale), (m, m_scale), (u, u)]


def _nadam(
    theta: Array,
    m: Array,
    v: Array,
    g: Array,
    of_m: float,
    of_g: float,
    c1: float,
    c2: float,
    of_v: float,
    epsilon: float,
) -> list[Pair]:
    m_scale = np.abs(m) + c1 * np.abs(g)
    m, v = (1 - c1) * m + c1 * g, (1 - c2) * v + c2 * g * g
    root = np.sqrt(v * of_v) + epsilon
    scale = (of_m * m_scale + of_g * np.abs(g)) / root
    return [(theta - (of_m * m + of_g * g) / root, np.abs(theta) + scale), (m, m_scale), (v, v)]


def _adadelta(theta: Array, v: Array, d: Array, g: Array, rate: float, c: float, epsilon: float) -> list[Pair]:
    v = (1 - c) * v + c * g * g
    step = np.sqrt(d + epsilon) * g / np.sqrt(v + epsilon)
    d = (1 - c) * d + c * step * step
    return [(theta - rate * step, np.abs(theta) + np.abs(rate * step)), (v, v), (d, d)]


def _lion(theta: Array, m: Array, g: Array, rate: float, c1: float, c2: float) -> list[Pair]:
    direction = np.sign((1 - c1) * m + c1 * g)
    m_scale = np.abs(m) + c2 * np.abs(g)
    return [(theta - rate * direction, np.abs(theta) + rate), ((1 - c2) * m + c2 * g, m_scale)]


def _ftrl(
    theta: Array, v: Array, z: Array, g: Array, inverse: float, l1: float, two_l2: float, two_shrinkage: float,
    power: float = 0.5,
) -> list[Pair]:  # fmt: skip
    w = v + g * g
    after, before = w**power, v**power
    hard = 1 + (0 if power == 0.5 else np.abs(power * np.log(np.maximum(w, 1e-300))))
    z_scale = np.abs(z) + (after + before) * hard * inverse * np.abs(theta) + np.abs(two_shrinkage * theta) + np.abs(g)
    z = z + g + two_shrinkage * theta - (after - before) * inverse * theta
    quadratic = after * inverse + two_l2
    value = (np.clip(z, -l1, l1) - z) / quadratic
    return [(value, (z_scale + l1) / quadratic * hard), (w, w), (z, z_scale)]


def _rmsprop_momentum(
    theta: Array, v: Array, m: Array, g: Array, rate: float, c: float, epsilon: float, mu: float
) -> list[Pair]:
    v = (1 - c) * v + c * g * g
    step = rate * g / np.sqrt(v + epsilon)
    m_scale = np.abs(mu * m) + np.abs(step)
    m = mu * m + step
    return [(theta - m, np.abs(theta) + m_scale), (v, v), (m, m_scale)]


def _centred(v: Array, a: Array, g: Array, rate: float, c: float, epsilon: float) -> tuple[Array, Array, Array, Array]:
    """The running means, a step, and the scale of its error: the variance cancels."""
    v, a = (1 - c) * v + c * g * g, (1 - c) * a + c * g
    variance = v - a * a + epsilon
    step = rate * g / np.sqrt(variance)
    return v, a, step, np.abs(step) * (1 + (v + a * a) / variance)


def _rmsprop_centered(theta: Array, v: Array, a: Array, g: Array, rate: float, c: float, epsilon: float) -> list[Pair]:
    a_scale = np.abs(a) + c * np.abs(g)
    v, a, step, scale = _centred(v, a, g, rate, c, epsilon)
    return [(theta - step, np.abs(theta) + scale), (v, v), (a, a_scale)]


def _rmsprop_centered_momentum(
    theta: Array, v: Array, m: Array, a: Array, g: Array, rate: float, c: float, epsilon: float, mu: float
) -> list[Pair]:
    a_scale = np.abs(a) + c * np.abs(g)
    v, a, step, scale = _centred(v, a, g, rate, c, epsilon)
    m_scale = np.abs(mu * m) + scale
    m = mu * m + step
    return [(theta - m, np.abs(theta) + m_scale), (v, v), (m, m_scale), (a, a_scale)]


OPTIMIZERS: dict[str, Callable[..., list[Pair]]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adam": _adam,
    "amsgrad": _amsgrad,
    "adamax": _adamax,
    "nadam": _nadam,
    "adadelta": _adadelta,
    "lion": _lion,
    "ftrl": _ftrl,
    "ftrl_power": _ftrl,
    "rmsprop_momentum": _rmsprop_momentum,
    "rmsprop_centered": _rmsprop_centered,
    "rmsprop_centered_momentum": _rmsprop_centered_momentum,
}
