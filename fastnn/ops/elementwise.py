"""Functions of each element."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.symbolic import Operand, call
from ..core.types import ArrayOrTensor
from .dispatch import binary, no_out, unary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..core.arrays import Array
    from ..core.symbolic import Tensor


def abs(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """|x|; its gradient at 0 is 0.

    >>> abs([-2.0, 0.0, 3.0])
    array([2., 0., 3.])
    """
    return unary("abs", "abs", x, out)


def arctan(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The inverse tangent, from -pi / 2 to pi / 2.

    >>> arctan([0.0, 1.0])
    array([0.        , 0.78539816])
    """
    return unary("arctan", "arctan", x, out)


def cos(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The cosine, within 4 ulp for every finite x.

    >>> cos([0.0, 1e22])
    array([1.        , 0.52321479])
    """
    return unary("cos", "cos", x, out)


def cosh(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """(e^x + e^-x) / 2.

    >>> cosh([0.0, 1.0])
    array([1.        , 1.54308063])
    """
    return unary("cosh", "cosh", x, out)


def erf(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    >>> erf([0.0, 1.0])
    array([0.        , 0.84270079])
    """
    return unary("erf", "erf", x, out)


def erfinv(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The number of which x is the error function; NaN beyond -1 and 1.

    >>> erfinv([0.0, 0.5])
    array([0.        , 0.47693628])
    """
    return unary("erfinv", "erfinv", x, out)


def exp(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """e^x.

    >>> exp([0.0, 1.0])
    array([1.        , 2.71828183])
    """
    return unary("exp", "exp", x, out)


def expm1(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """e^x - 1, exact near 0.

    >>> expm1([0.0, 1e-5])
    array([0.000000e+00, 1.000005e-05])
    """
    return unary("expm1", "expm1", x, out)


def floor(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The largest whole number not above x; its gradient is 0.

    >>> floor([-1.5, 1.5])
    array([-2.,  1.])
    """
    return unary("floor", "floor", x, out)


def gelu(x: ArrayLike | Tensor, approximate: bool = True, out: Array | None = None) -> ArrayOrTensor:
    """x times the normal distribution function of x; `approximate`, as it is in Keras: by tanh.

    >>> gelu([-1.0, 1.0])
    array([-0.15880801,  0.84119199])
    """
    return unary("gelu", "gelu_tanh" if approximate else "gelu", x, out)


def log(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The natural logarithm; -inf at 0, NaN below.

    >>> log([1.0, 10.0])
    array([0.        , 2.30258509])
    """
    return unary("log", "log", x, out)


def log1p(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """log(1 + x), exact near 0.

    >>> log1p([0.0, 1e-5])
    array([0.00000e+00, 9.99995e-06])
    """
    return unary("log1p", "log1p", x, out)


def negative(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """-x.

    >>> negative([1.0, -2.0])
    array([-1.,  2.])
    """
    if isinstance(x, Operand):
        no_out("negative", out)
        return -x
    return binary("negative", "multiply", x, -1, out)


def relu(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x where x > 0, else 0.

    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """
    return unary("relu", "relu", x, out)


def round(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The nearest whole number, of two the even one; its gradient is 0.

    >>> round([0.5, 1.5, 2.4])
    array([0., 2., 2.])
    """
    return unary("round", "round", x, out)


def rsqrt(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """1 / sqrt(x).

    >>> rsqrt([1.0, 4.0])
    array([1. , 0.5])
    """
    return unary("rsqrt", "rsqrt", x, out)


def sigmoid(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """1 / (1 + e^-x).

    >>> sigmoid([0.0, 1.0])
    array([0.5       , 0.73105858])
    """
    return unary("sigmoid", "sigmoid", x, out)


def sign(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """-1, 0 or 1; its gradient is 0.

    >>> sign([-2.0, 0.0, 3.0])
    array([-1.,  0.,  1.])
    """
    return unary("sign", "sign", x, out)


def silu(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x sigmoid(x).

    >>> silu([0.0, 1.0])
    array([0.        , 0.73105858])
    """
    return unary("silu", "silu", x, out)


def sin(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The sine, within 4 ulp for every finite x.

    >>> sin([0.0, 1e22])
    array([ 0.        , -0.85220085])
    """
    return unary("sin", "sin", x, out)


def sinh(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """(e^x - e^-x) / 2.

    >>> sinh([0.0, 1.0])
    array([0.        , 1.17520119])
    """
    return unary("sinh", "sinh", x, out)


def softplus(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """log(1 + e^x).

    >>> softplus([0.0, 1.0])
    array([0.69314718, 1.31326169])
    """
    return unary("softplus", "softplus", x, out)


def sqrt(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The square root; NaN below 0.

    >>> sqrt([4.0, 2.0])
    array([2.        , 1.41421356])
    """
    return unary("sqrt", "sqrt", x, out)


def square(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x x.

    >>> square([2.0, 3.0])
    array([4., 9.])
    """
    if isinstance(x, Operand):
        no_out("square", out)
        return call("square", x)
    return binary("square", "multiply", x, x, out)


def tan(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The tangent, within 4 ulp for every finite x.

    >>> tan([0.0, 1.0])
    array([0.        , 1.55740772])
    """
    return unary("tan", "tan", x, out)


def tanh(x: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The hyperbolic tangent.

    >>> tanh([0.0, 1.0])
    array([0.        , 0.76159416])
    """
    return unary("tanh", "tanh", x, out)
