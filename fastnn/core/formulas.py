"""What each operation computes, element by element, as formulas over the algebra of `arithmetic.py`; losses have
`losses.py`.

A backend traces these texts (NumPy arrays in `reference`, LLVM vectors in `numba_cpu`), so twins share one definition
and the tests compare it with an exact value. Tables keep their order: the position of a name is its code in a `Plan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import arithmetic as ar
from . import functions as fn

if TYPE_CHECKING:
    from .algebra import Algebra, Formula, Real

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
SQRT_2_OVER_PI = 0.7978845608028654
GELU_CUBIC = 0.044715
TWO_OVER_SQRT_PI = 1.1283791670955126
HALF_SQRT_PI = 0.886226925452758


class Activation(NamedTuple):
    """One activation: `forward(o, z, p)`, `backward(o, d, s, p)` = d * f'(.) where s is the saved `output` or
    `input`."""

    forward: Formula
    backward: Formula
    saved: str
    parameter: str = ""


# --- activations ----------------------------------------------------------------------------------------------------


def relu(o: Algebra, z: Real, p: Real) -> Real:
    return o.select(z < 0.0, 0.0, z)


def relu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s > 0.0, d, 0.0)


def leaky_relu(o: Algebra, z: Real, p: Real) -> Real:
    return o.select(z < 0.0, z * p, z)


def leaky_relu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s < 0.0, d * p, d)


def elu(o: Algebra, z: Real, p: Real) -> Real:
    return o.select(z < 0.0, p * ar.expm1(o, z), z)


def elu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s < 0.0, d * (p * ar.exp_nonpositive(o, s)), d)


def selu(o: Algebra, z: Real, p: Real) -> Real:
    return o.select(z > 0.0, SELU_SCALE * z, (SELU_SCALE * SELU_ALPHA) * ar.expm1(o, z))


def selu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s > 0.0, d * SELU_SCALE, d * (s + SELU_SCALE * SELU_ALPHA))


def sigmoid(o: Algebra, z: Real, p: Real) -> Real:
    return ar.sigmoid(o, z)


def sigmoid_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * (s * (1.0 - s))


def tanh(o: Algebra, z: Real, p: Real) -> Real:
    return ar.tanh(o, z)


def tanh_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * o.fma(-s, s, 1.0)


def softplus(o: Algebra, z: Real, p: Real) -> Real:
    """log(1 + e^z) without overflow: max(z, 0) + log1p(e^-|z|)."""
    return ar.log1p_unit(o, ar.exp_nonpositive(o, -o.abs(z)), o.select(z < 0.0, 0.0, z))


def softplus_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * ar.sigmoid(o, s)


def silu(o: Algebra, z: Real, p: Real) -> Real:
    return z * ar.sigmoid(o, z)


def silu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    g = ar.sigmoid(o, s)
    return d * o.fma(s, g * (1.0 - g), g)


def gelu(o: Algebra, z: Real, p: Real) -> Real:
    return z * ar.normal_cdf(o, z)


def gelu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * ar.gelu_slope(o, s)


def _gelu_tanh_inner(o: Algebra, z: Real) -> Real:
    return SQRT_2_OVER_PI * o.fma(GELU_CUBIC * z, z * z, z)


def gelu_tanh(o: Algebra, z: Real, p: Real) -> Real:
    return z * o.fma(ar.tanh(o, _gelu_tanh_inner(o, z)), 0.5, 0.5)


def gelu_tanh_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    t = ar.tanh(o, _gelu_tanh_inner(o, s))
    inner_slope = SQRT_2_OVER_PI * o.fma(3.0 * GELU_CUBIC * s, s, 1.0)
    return d * o.fma((0.5 * s) * o.fma(-t, t, 1.0), inner_slope, o.fma(t, 0.5, 0.5))


def relu6(o: Algebra, z: Real, p: Real) -> Real:
    return ar.clip(o, z, 0.0, 6.0)


def relu6_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s > 0.0, o.select(s < 6.0, d, 0.0), 0.0)


def hard_sigmoid(o: Algebra, z: Real, p: Real) -> Real:
    return ar.clip(o, z + 3.0, 0.0, 6.0) * (1.0 / 6.0)


def hard_sigmoid_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s > 0.0, o.select(s < 1.0, d * (1.0 / 6.0), 0.0), 0.0)


def hard_silu(o: Algebra, z: Real, p: Real) -> Real:
    return z * hard_sigmoid(o, z, p)


def hard_silu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s < -3.0, 0.0, o.select(s > 3.0, d, d * o.fma(s, 1.0 / 3.0, 0.5)))


def _mish_parts(o: Algebra, z: Real) -> tuple[Real, Real, Real]:
    """e = e^-|z|, and w and r with tanh(softplus(z)) = w / (w + r): (n^2 + 2n) and 2 for n = e^z, divided by n^2 where
    that would overflow."""
    e = ar.exp_nonpositive(o, -o.abs(z))
    negative = z < 0.0
    return e, o.select(negative, o.fma(e, e, e + e), o.fma(e, 2.0, 1.0)), o.select(negative, 2.0, (e + e) * e)


def mish(o: Algebra, z: Real, p: Real) -> Real:
    _, w, r = _mish_parts(o, z)
    return z * (w / (w + r))


def mish_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    e, w, r = _mish_parts(o, s)
    total = w + r
    t = w / total
    square = (r / total) * (1.0 + t)  # 1 - t^2
    return d * o.fma(s * (o.select(s < 0.0, e, 1.0) / (1.0 + e)), square, t)


def softsign(o: Algebra, z: Real, p: Real) -> Real:
    return z / (1.0 + o.abs(z))


def softsign_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    t = 1.0 - o.abs(s)
    return d * (t * t)


def exponential(o: Algebra, z: Real, p: Real) -> Real:
    return ar.exp(o, z)


def exponential_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * s


def celu(o: Algebra, z: Real, p: Real) -> Real:
    return o.select(z < 0.0, p * ar.expm1(o, z / p), z)


def celu_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s < 0.0, d * ar.exp_nonpositive(o, s / p), d)


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
    "relu6": Activation(relu6, relu6_slope, "output"),
    "hard_sigmoid": Activation(hard_sigmoid, hard_sigmoid_slope, "output"),
    "hard_silu": Activation(hard_silu, hard_silu_slope, "input"),
    "mish": Activation(mish, mish_slope, "input"),
    "softsign": Activation(softsign, softsign_slope, "output"),
    "exponential": Activation(exponential, exponential_slope, "output"),
    "celu": Activation(celu, celu_slope, "input", "alpha"),
}


# --- functions of `fastnn.ops` --------------------------------------------------------------------------------------


def absolute(o: Algebra, z: Real, p: Real) -> Real:
    return o.abs(z)


def absolute_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.select(s > 0.0, d, o.select(s < 0.0, -d, 0.0))


def sign(o: Algebra, z: Real, p: Real) -> Real:
    return o.select(z > 0.0, 1.0, o.select(z < 0.0, -1.0, z))


def no_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.constant(0.0)


def sqrt(o: Algebra, z: Real, p: Real) -> Real:
    return o.sqrt(z)


def sqrt_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return (0.5 * d) / s


def rsqrt(o: Algebra, z: Real, p: Real) -> Real:
    return 1.0 / o.sqrt(z)


def rsqrt_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return (-0.5 * d) * (s * (s * s))


def expm1(o: Algebra, z: Real, p: Real) -> Real:
    return ar.expm1(o, z)


def expm1_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return o.fma(d, s, d)


def log(o: Algebra, z: Real, p: Real) -> Real:
    return ar.log(o, z)


def log_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d / s


def log1p(o: Algebra, z: Real, p: Real) -> Real:
    return fn.log1p(o, z)


def log1p_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d / (1.0 + s)


def sin(o: Algebra, z: Real, p: Real) -> Real:
    return fn.sin(o, z)


def sin_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * fn.cos(o, s)


def cos(o: Algebra, z: Real, p: Real) -> Real:
    return fn.cos(o, z)


def cos_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return -d * fn.sin(o, s)


def tan(o: Algebra, z: Real, p: Real) -> Real:
    return fn.tan(o, z)


def tan_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * o.fma(s, s, 1.0)


def arctan(o: Algebra, z: Real, p: Real) -> Real:
    return fn.arctan(o, z)


def arctan_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d / o.fma(s, s, 1.0)


def sinh(o: Algebra, z: Real, p: Real) -> Real:
    return fn.sinh(o, z)


def sinh_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * fn.cosh(o, s)


def cosh(o: Algebra, z: Real, p: Real) -> Real:
    return fn.cosh(o, z)


def cosh_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * fn.sinh(o, s)


def erf(o: Algebra, z: Real, p: Real) -> Real:
    return fn.erf(o, z)


def erf_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * (TWO_OVER_SQRT_PI * ar.exp_nonpositive(o, -s * s))


def erfinv(o: Algebra, z: Real, p: Real) -> Real:
    return fn.erfinv(o, z)


def erfinv_slope(o: Algebra, d: Real, s: Real, p: Real) -> Real:
    return d * (HALF_SQRT_PI * ar.exp(o, s * s))


def floor(o: Algebra, z: Real, p: Real) -> Real:
    return fn.floor(o, z)


def nearest(o: Algebra, z: Real, p: Real) -> Real:
    return fn.nearest(o, z)


FUNCTIONS: dict[str, Activation] = {
    "abs": Activation(absolute, absolute_slope, "input"),
    "sign": Activation(sign, no_slope, "input"),
    "sqrt": Activation(sqrt, sqrt_slope, "output"),
    "rsqrt": Activation(rsqrt, rsqrt_slope, "output"),
    "expm1": Activation(expm1, expm1_slope, "output"),
    "log": Activation(log, log_slope, "input"),
    "log1p": Activation(log1p, log1p_slope, "input"),
    "sin": Activation(sin, sin_slope, "input"),
    "cos": Activation(cos, cos_slope, "input"),
    "tan": Activation(tan, tan_slope, "output"),
    "arctan": Activation(arctan, arctan_slope, "input"),
    "sinh": Activation(sinh, sinh_slope, "input"),
    "cosh": Activation(cosh, cosh_slope, "input"),
    "erf": Activation(erf, erf_slope, "input"),
    "erfinv": Activation(erfinv, erfinv_slope, "output"),
    "floor": Activation(floor, no_slope, "input"),
    "round": Activation(nearest, no_slope, "input"),
}
ELEMENTWISE = ACTIVATIONS | FUNCTIONS  # all that an instruction of kind ACTIVATION may be


# --- parameters -----------------------------------------------------------------------------------------------------


def decay(o: Algebra, theta: Real, factor: Real) -> Real:
    """Decoupled weight decay: theta - theta * lr * weight_decay, with factor = -(lr * weight_decay) rounded once."""
    return o.fma(theta, factor, theta)


def penalty_slope(o: Algebra, g: Real, w: Real, l1: Real, two_l2: Real) -> Real:
    """Gradient of l1 |w| + l2 w^2 added to g; |.|'(0) = 0."""
    return o.fma(two_l2, w, g) + l1 * o.select(w > 0.0, 1.0, o.select(w < 0.0, -1.0, 0.0))


# --- normalization --------------------------------------------------------------------------------------------------


def affine(o: Algebra, z: Real, scale: Real, offset: Real) -> Real:
    return o.fma(z, scale, offset)


def moving_average(o: Algebra, m: Real, x: Real, rate: Real) -> Real:
    return o.fma(x - m, rate, m)


def inverse_deviation(o: Algebra, v: Real, epsilon: Real) -> Real:
    return 1.0 / o.sqrt(v + epsilon)


def inverse_deviation_floor(o: Algebra, v: Real, epsilon: Real) -> Real:
    s = o.sqrt(v)
    return 1.0 / o.select(epsilon > s, epsilon, s)


def standardized(o: Algebra, z: Real, mean: Real, inv: Real) -> Real:
    return (z - mean) * inv


def standardize_slope(o: Algebra, d: Real, inv: Real, gamma: Real) -> Real:
    return d * (inv * gamma)


def batch_norm_slope(o: Algebra, d: Real, n: Real, inv: Real, gamma: Real, db: Real, dg: Real, inverse_b: Real) -> Real:
    """inv gamma (d - mean of d - n mean of d n), from the sums db of d and dg of d n over the batch."""
    return (inv * gamma) * o.fma(-n, dg * inverse_b, o.fma(-db, inverse_b, d))


def layer_norm_slope(o: Algebra, d: Real, n: Real, inv: Real, gamma: Real, m1: Real, m2: Real) -> Real:
    """inv (g - m1 - n m2) with g = d gamma, from the means m1 of g and m2 of g n over the row."""
    return inv * o.fma(-n, m2, o.fma(d, gamma, -m1))
