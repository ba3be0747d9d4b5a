"""What each operation computes, element by element, as formulas over the algebra of `arithmetic.py`.

A backend traces these texts (NumPy arrays in `reference`, LLVM vectors in `numba_cpu`), so twins share one definition
and the tests compare it with an exact value. Tables keep their order: the position of a name is its code in a `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import arithmetic as ar

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
PROBABILITY_FLOOR = 1e-7  # Keras's epsilon: probabilities are clipped to [floor, 1 - floor]
SQRT_2_OVER_PI = 0.7978845608028654
GELU_CUBIC = 0.044715

Formula = Callable[..., Any]


class Activation(NamedTuple):
    """One activation: `forward(o, z, p)`, `backward(o, d, s, p)` = d * f'(.) where s is the saved `output` or
    `input`."""

    forward: Formula
    backward: Formula
    saved: str
    parameter: str = ""


class Loss(NamedTuple):
    """One loss over the outputs of a row, element by element.

    `accumulate(o, lane, a, y, p)` adds the element's value to a lane; `slope(o, a, y, p)` is its derivative by a.
    `mean` says whether the row's sum is divided by the number of outputs.
    """

    accumulate: Formula
    slope: Formula
    mean: bool
    parameter: str = ""


# --- activations ----------------------------------------------------------------------------------------------------


def relu(o: Any, z: Any, p: Any) -> Any:
    return o.select(z < 0.0, 0.0, z)


def relu_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return o.select(s > 0.0, d, 0.0)


def leaky_relu(o: Any, z: Any, p: Any) -> Any:
    return o.select(z < 0.0, z * p, z)


def leaky_relu_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return o.select(s < 0.0, d * p, d)


def elu(o: Any, z: Any, p: Any) -> Any:
    return o.select(z < 0.0, p * ar.expm1(o, z), z)


def elu_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return o.select(s < 0.0, d * (p * ar.exp_nonpositive(o, s)), d)


def selu(o: Any, z: Any, p: Any) -> Any:
    return o.select(z > 0.0, SELU_SCALE * z, (SELU_SCALE * SELU_ALPHA) * ar.expm1(o, z))


def selu_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return o.select(s > 0.0, d * SELU_SCALE, d * (s + SELU_SCALE * SELU_ALPHA))


def sigmoid(o: Any, z: Any, p: Any) -> Any:
    return ar.sigmoid(o, z)


def sigmoid_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return d * (s * (1.0 - s))


def tanh(o: Any, z: Any, p: Any) -> Any:
    return ar.tanh(o, z)


def tanh_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return d * o.fma(-s, s, 1.0)


def softplus(o: Any, z: Any, p: Any) -> Any:
    """log(1 + e^z) without overflow: max(z, 0) + log1p(e^-|z|)."""
    return ar.log1p_unit(o, ar.exp_nonpositive(o, -o.abs(z)), o.select(z < 0.0, 0.0, z))


def softplus_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return d * ar.sigmoid(o, s)


def silu(o: Any, z: Any, p: Any) -> Any:
    return z * ar.sigmoid(o, z)


def silu_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    g = ar.sigmoid(o, s)
    return d * o.fma(s, g * (1.0 - g), g)


def gelu(o: Any, z: Any, p: Any) -> Any:
    return z * ar.normal_cdf(o, z)


def gelu_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    return d * ar.gelu_slope(o, s)


def _gelu_tanh_inner(o: Any, z: Any) -> Any:
    return SQRT_2_OVER_PI * o.fma(GELU_CUBIC * z, z * z, z)


def gelu_tanh(o: Any, z: Any, p: Any) -> Any:
    return z * o.fma(ar.tanh(o, _gelu_tanh_inner(o, z)), 0.5, 0.5)


def gelu_tanh_slope(o: Any, d: Any, s: Any, p: Any) -> Any:
    t = ar.tanh(o, _gelu_tanh_inner(o, s))
    inner_slope = SQRT_2_OVER_PI * o.fma(3.0 * GELU_CUBIC * s, s, 1.0)
    return d * o.fma((0.5 * s) * o.fma(-t, t, 1.0), inner_slope, o.fma(t, 0.5, 0.5))


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_slope, "output"),
    "leaky_relu": Activation(leaky_relu, leaky_relu_slope, "input", "negative_slope"),
    "elu": Activation(elu, elu_slope, "input", "alpha"),
    "selu": Activation(selu, selu_slope, "output"),
    "sigmoid": Activation(sigmoid, sigmoid_slope, "output"),
    "tanh": Activation(tanh, tanh_slope, "output"),
    "softplus": Activation(softplus, softplus_slope, "input"),
    "silu": Activation(silu, silu_slope, "input"),
    "gelu": Activation(gelu, gelu_slope, "input"),
    "gelu_tanh": Activation(gelu_tanh, gelu_tanh_slope, "input"),
}


# --- losses ---------------------------------------------------------------------------------------------------------


def _sign(o: Any, d: Any) -> Any:
    return o.select(d > 0.0, 1.0, o.select(d < 0.0, -1.0, d))  # keeps 0 and NaN


def clip(o: Any, a: Any, low: Any, high: Any) -> Any:
    a = o.select(low > a, low, a)
    return o.select(a > high, high, a)


def squared_error(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return o.fma(d, d, lane)


def squared_error_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return d + d


def absolute_error(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    return lane + o.abs(a - y)


def absolute_error_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    return _sign(o, a - y)


def cubic_error(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    d = o.abs(a - y)
    return o.fma(d * d, d, lane)


def cubic_error_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return 3.0 * (d * o.abs(d))


def quartic_error(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return o.fma(d * d, d * d, lane)


def quartic_error_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return 4.0 * (d * (d * d))


def power_error(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    return lane + ar.power_abs(o, a - y, p)


def power_error_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return _sign(o, d) * (p * ar.power_abs(o, d, p - 1.0))


def huber(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    d = o.abs(a - y)
    return lane + o.select(d > p, p * o.fma(p, -0.5, d), 0.5 * (d * d))


def huber_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    d = a - y
    return o.select(d > p, p, o.select(-p > d, -p, d))


def binary_crossentropy(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    q = clip(o, a, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return lane - o.fma(y, ar.log(o, q), (1.0 - y) * ar.log(o, 1.0 - q))


def binary_crossentropy_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    q = clip(o, a, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return o.select(a != q, 0.0, (q - y) / (q * (1.0 - q)))


def kl_divergence(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    q = clip(o, a, PROBABILITY_FLOOR, 1.0)
    t = clip(o, y, PROBABILITY_FLOOR, 1.0)
    return o.fma(t, ar.log(o, t / q), lane)


def kl_divergence_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    q = clip(o, a, PROBABILITY_FLOOR, 1.0)
    t = clip(o, y, PROBABILITY_FLOOR, 1.0)
    return o.select(a != q, 0.0, -(t / q))


def sigmoid_crossentropy(o: Any, lane: Any, a: Any, y: Any, p: Any) -> Any:
    """From the logit: max(z, 0) - z y + log1p(e^-|z|), finite for every finite z."""
    positive = o.select(a < 0.0, 0.0, a)
    return lane + ar.log1p_unit(o, ar.exp_nonpositive(o, -o.abs(a)), o.fma(-a, y, positive))


def sigmoid_crossentropy_slope(o: Any, a: Any, y: Any, p: Any) -> Any:
    return ar.sigmoid(o, a) - y


LOSSES: dict[str, Loss] = {
    "mean_squared_error": Loss(squared_error, squared_error_slope, True),
    "mean_absolute_error": Loss(absolute_error, absolute_error_slope, True),
    "lp3": Loss(cubic_error, cubic_error_slope, True),
    "lp4": Loss(quartic_error, quartic_error_slope, True),
    "lp": Loss(power_error, power_error_slope, True, "p"),
    "huber": Loss(huber, huber_slope, True, "delta"),
    "binary_crossentropy": Loss(binary_crossentropy, binary_crossentropy_slope, True),
    "kl_divergence": Loss(kl_divergence, kl_divergence_slope, False),
    "sigmoid_crossentropy": Loss(sigmoid_crossentropy, sigmoid_crossentropy_slope, True),
}

# Losses that need the whole row; each backend's softmax.py has them, after the texts in `reference/softmax.py`.
ROW_LOSSES = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "softmax_crossentropy",
    "sparse_softmax_crossentropy",
)
LOSS_NAMES = (*LOSSES, *ROW_LOSSES)
SPARSE_LOSSES = ("sparse_softmax_crossentropy", "sparse_categorical_crossentropy")

# Metrics with a value per row, beside every loss above; r2_score keeps sums per output instead.
ROW_METRICS = ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
METRIC_NAMES = (*LOSS_NAMES, *ROW_METRICS, "r2_score")


# --- parameters -----------------------------------------------------------------------------------------------------


def decay(o: Any, theta: Any, factor: Any) -> Any:
    """Decoupled weight decay: theta - theta * lr * weight_decay, with factor = -(lr * weight_decay) rounded once."""
    return o.fma(theta, factor, theta)


def penalty_slope(o: Any, g: Any, w: Any, l1: Any, two_l2: Any) -> Any:
    """Gradient of l1 |w| + l2 w^2 added to g; |.|'(0) = 0."""
    return o.fma(two_l2, w, g) + l1 * o.select(w > 0.0, 1.0, o.select(w < 0.0, -1.0, 0.0))


# --- normalization --------------------------------------------------------------------------------------------------


def affine(o: Any, z: Any, scale: Any, offset: Any) -> Any:
    return o.fma(z, scale, offset)


def moving_average(o: Any, m: Any, x: Any, rate: Any) -> Any:
    return o.fma(x - m, rate, m)


def inverse_deviation(o: Any, v: Any, epsilon: Any) -> Any:
    return 1.0 / o.sqrt(v + epsilon)


def inverse_deviation_floor(o: Any, v: Any, epsilon: Any) -> Any:
    s = o.sqrt(v)
    return 1.0 / o.select(epsilon > s, epsilon, s)


def standardized(o: Any, z: Any, mean: Any, inv: Any) -> Any:
    return (z - mean) * inv


def standardize_slope(o: Any, d: Any, inv: Any, gamma: Any) -> Any:
    return d * (inv * gamma)


def batch_norm_slope(o: Any, d: Any, n: Any, inv: Any, gamma: Any, db: Any, dg: Any, inverse_b: Any) -> Any:
    """inv gamma (d - mean of d - n mean of d n), from the sums db of d and dg of d n over the batch."""
    return (inv * gamma) * o.fma(-n, dg * inverse_b, o.fma(-db, inverse_b, d))


def layer_norm_slope(o: Any, d: Any, n: Any, inv: Any, gamma: Any, m1: Any, m2: Any) -> Any:
    """inv (g - m1 - n m2) with g = d gamma, from the means m1 of g and m2 of g n over the row."""
    return inv * o.fma(-n, m2, o.fma(d, gamma, -m1))
