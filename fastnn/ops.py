"""Functions of symbolic tensors, which are rows of a plan then, and of arrays, which are computed at once.

    x = fastnn.Input((8,))
    y = ops.relu(x) + ops.sum(x, axis=-1, keepdims=True)    # a symbolic tensor, for a `Model`
    ops.softmax(np.array([1.0, 2.0, 4.0]))                  # an array, on the default backend with a model's bits

Arrays have one float dtype; other dtypes become `config.floatx()`, and a number takes that of the array beside it.
`out` is an array that the result of arrays is written into, of its shape and dtype. A comparison of arrays is an array
of bool, of tensors one of 1 and 0, whose gradient is 0. The errors of all: ArgumentError for shapes that do not fit,
for an `out` of another shape or dtype, or beside a symbolic tensor; ArgumentTypeError for what is no real number. How
exact each is stands in the operation table of `fastnn/README.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from . import config
from .backends import eager
from .core.absent import absent
from .core.arrays import numeric
from .core.binary import POWERS
from .core.declaration import whole
from .core.symbolic import Mean, Operand, Tensor, any_tensor, arithmetic, call, product
from .errors import ArgumentError, ArgumentTypeError


def _unary(function: str, name: str, x: Any, out: Any = None) -> Any:
    if isinstance(x, Operand):
        _no_out(function, out)
        return call(name, x)
    return eager.elementwise(function, _OPERATIONS.get(name, name), x, out)


def _binary(function: str, name: str, x1: Any, x2: Any, out: Any = None) -> Any:
    if any_tensor([x1, x2]):
        _no_out(function, out)
        return arithmetic(name, x1, x2)
    return eager.binary(function, name, x1, x2, out)


def _comparison(function: str, name: str, x1: Any, x2: Any) -> Any:
    found = _binary(function, name, x1, x2)
    return found if isinstance(found, Tensor) else found.astype(bool)


def _no_out(function: str, out: Any) -> None:
    if out is not None:
        raise ArgumentError(f"ops.{function}: out is for arrays; a symbolic tensor has no values yet")


def _last(function: str, x: Any, axis: object) -> None:
    ndim = x.tensor.ndim if isinstance(x, Operand) else np.ndim(x)
    known = (-1, ndim - 1, (-1,), [-1], (ndim - 1,), [ndim - 1])
    if isinstance(axis, bool | np.ndarray) or axis not in known:
        raise ArgumentError(f"ops.{function}: axis={axis!r} is not supported, expected -1: the last axis")


def _by_row(function: str, x: Any, axis: int, out: Any) -> Any:
    if isinstance(x, Operand):
        _no_out(function, out)
        _last(function, x, axis)
        return call(function, x)
    made = eager.activate(function, 0.0, x, axis)
    return made if out is None else eager.binary(function, "add", made, 0.0, out)


def _sum(function: str, x: Any, axis: int | None, keepdims: bool, out: Any) -> Any:
    """Of arrays the sum; of a tensor the function, a sum or a mean, of each row."""
    x = x if isinstance(x, Operand) else eager.floating(x, f"ops.{function}: x")
    if axis is not None:
        _last(function, x, axis)
    if not isinstance(x, Operand):
        return eager.total(function, x, axis, keepdims, out)
    _no_out(function, out)
    if axis is not None:
        return call(function, x, keepdims=keepdims)
    if isinstance(x, Mean):
        return x
    if keepdims or function == "sum":
        raise ArgumentError(
            f"ops.{function}: over all rows of a symbolic tensor it depends on the batch; give axis=-1, of each row, "
            "or take ops.mean, for add_loss"
        )
    return Mean(call("row_mean", x))


def abs(x: Any, out: Any = None) -> Any:
    """|x|; its gradient at 0 is 0.

    >>> abs([-2.0, 0.0, 3.0])
    array([2., 0., 3.])
    """
    return _unary("abs", "abs", x, out)


def add(x1: Any, x2: Any, out: Any = None) -> Any:
    """x1 + x2.

    >>> add([1.0, 2.0], 10)
    array([11., 12.])
    """
    return _binary("add", "add", x1, x2, out)


def arctan(x: Any, out: Any = None) -> Any:
    """The inverse tangent, from -pi / 2 to pi / 2.

    >>> arctan([0.0, 1.0])
    array([0.        , 0.78539816])
    """
    return _unary("arctan", "arctan", x, out)


def clip(x: Any, x_min: Any, x_max: Any, out: Any = None) -> Any:
    """x within x_min and x_max; NaN stays, and at an end the gradient is half.

    >>> clip([-2.0, 0.5, 2.0], 0, 1)
    array([0. , 0.5, 1. ])
    """
    return _binary("clip", "minimum", _binary("clip", "maximum", x, x_min), x_max, out)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """All behind each other along an axis, of tensors the last.

    >>> concatenate([[[1.0, 2.0]], [[3.0]]], axis=-1)
    array([[1., 2., 3.]])
    """
    if not isinstance(xs, list | tuple) or not xs:
        raise ArgumentTypeError(f"ops.concatenate: xs is {type(xs).__name__}, expected a list of tensors or of arrays")
    if not any_tensor(xs):
        arrays = [eager.floating(x, f"ops.concatenate: xs[{n}]") for n, x in enumerate(xs)]
        try:
            return np.concatenate(arrays, whole("ops.concatenate", "axis", axis, -arrays[0].ndim))
        except ValueError:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ArgumentError(f"ops.concatenate: shapes {shapes} do not fit each other along axis {axis}") from None
    if not all(isinstance(x, Operand) for x in xs):
        raise ArgumentTypeError("ops.concatenate: xs has symbolic tensors and arrays, expected one of both")
    _last("concatenate", xs[0], axis)
    return call("concatenate", *xs)


def cos(x: Any, out: Any = None) -> Any:
    """The cosine, within 4 ulp for every finite x.

    >>> cos([0.0, 1e22])
    array([1.        , 0.52321479])
    """
    return _unary("cos", "cos", x, out)


def cosh(x: Any, out: Any = None) -> Any:
    """(e^x + e^-x) / 2.

    >>> cosh([0.0, 1.0])
    array([1.        , 1.54308063])
    """
    return _unary("cosh", "cosh", x, out)


def divide(x1: Any, x2: Any, out: Any = None) -> Any:
    """x1 / x2.

    >>> divide(1, [2.0, 4.0])
    array([0.5 , 0.25])
    """
    return _binary("divide", "divide", x1, x2, out)


def equal(x1: Any, x2: Any) -> Any:
    """Whether x1 = x2; NaN equals nothing.

    >>> equal([1.0, 2.0], 2)
    array([False,  True])
    """
    return _comparison("equal", "equal", x1, x2)


def erf(x: Any, out: Any = None) -> Any:
    """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    >>> erf([0.0, 1.0])
    array([0.        , 0.84270079])
    """
    return _unary("erf", "erf", x, out)


def erfinv(x: Any, out: Any = None) -> Any:
    """The number of which x is the error function; NaN beyond -1 and 1.

    >>> erfinv([0.0, 0.5])
    array([0.        , 0.47693628])
    """
    return _unary("erfinv", "erfinv", x, out)


def exp(x: Any, out: Any = None) -> Any:
    """e^x.

    >>> exp([0.0, 1.0])
    array([1.        , 2.71828183])
    """
    return _unary("exp", "exp", x, out)


def expm1(x: Any, out: Any = None) -> Any:
    """e^x - 1, exact near 0.

    >>> expm1([0.0, 1e-5])
    array([0.000000e+00, 1.000005e-05])
    """
    return _unary("expm1", "expm1", x, out)


def floor(x: Any, out: Any = None) -> Any:
    """The largest whole number not above x; its gradient is 0.

    >>> floor([-1.5, 1.5])
    array([-2.,  1.])
    """
    return _unary("floor", "floor", x, out)


def gelu(x: Any, approximate: bool = True, out: Any = None) -> Any:
    """x times the normal distribution function of x; `approximate`, as it is in Keras: by tanh.

    >>> gelu([-1.0, 1.0])
    array([-0.15880801,  0.84119199])
    """
    return _unary("gelu", "gelu_tanh" if approximate else "gelu", x, out)


def greater(x1: Any, x2: Any) -> Any:
    """Whether x1 > x2.

    >>> greater([1.0, 3.0], 2)
    array([False,  True])
    """
    return _comparison("greater", "less", x2, x1)


def greater_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 >= x2.

    >>> greater_equal([1.0, 2.0], 2)
    array([False,  True])
    """
    return _comparison("greater_equal", "less_equal", x2, x1)


def less(x1: Any, x2: Any) -> Any:
    """Whether x1 < x2.

    >>> less([1.0, 3.0], 2)
    array([ True, False])
    """
    return _comparison("less", "less", x1, x2)


def less_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 <= x2.

    >>> less_equal([2.0, 3.0], 2)
    array([ True, False])
    """
    return _comparison("less_equal", "less_equal", x1, x2)


def log(x: Any, out: Any = None) -> Any:
    """The natural logarithm; -inf at 0, NaN below.

    >>> log([1.0, 10.0])
    array([0.        , 2.30258509])
    """
    return _unary("log", "log", x, out)


def log1p(x: Any, out: Any = None) -> Any:
    """log(1 + x), exact near 0.

    >>> log1p([0.0, 1e-5])
    array([0.00000e+00, 9.99995e-06])
    """
    return _unary("log1p", "log1p", x, out)


def log_softmax(x: Any, axis: int = -1, out: Any = None) -> Any:
    """The logarithm of `softmax`.

    >>> log_softmax([0.0, 0.0])
    array([-0.69314718, -0.69314718])
    """
    return _by_row("log_softmax", x, axis, out)


def logical_and(x1: Any, x2: Any) -> Any:
    """Whether both are other than 0.

    >>> logical_and([1.0, 2.0], [0.0, 3.0])
    array([False,  True])
    """
    return not_equal(multiply(_truth(x1), _truth(x2)), 0)


def logical_not(x: Any) -> Any:
    """Whether x = 0.

    >>> logical_not([0.0, 2.0])
    array([ True, False])
    """
    return equal(x, 0)


def logical_or(x1: Any, x2: Any) -> Any:
    """Whether one of both is other than 0.

    >>> logical_or([0.0, 2.0], [0.0, 0.0])
    array([False,  True])
    """
    return not_equal(add(_truth(x1), _truth(x2)), 0)


def matmul(x1: Any, x2: Any, out: Any = None) -> Any:
    """The product of matrices, (M, K) and (K, N); of a tensor (B, K) and a weight (K, N) of its layer.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    array([[11.]])
    """
    if any_tensor([x1, x2]):
        _no_out("matmul", out)
        return product(x1, x2)
    return eager.matmul(x1, x2, out)


def maximum(x1: Any, x2: Any, out: Any = None) -> Any:
    """The larger one, NaN where either is; of equal ones each has half of the gradient.

    >>> maximum([1.0, 3.0], 2)
    array([2., 3.])
    """
    return _binary("maximum", "maximum", x1, x2, out)


def mean(x: Any, axis: int | None = None, keepdims: bool = False, out: Any = None) -> Any:
    """The mean over the last axis, or over everything: of a symbolic tensor one number for the batch, for `add_loss`.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=-1)
    array([1.5, 3.5])
    """
    if isinstance(x, Operand):
        return _sum("mean", x, axis, keepdims, out)
    given = eager.floating(x, "ops.mean: x")
    count = given.size if axis is None or not given.ndim else given.shape[-1]
    return multiply(_sum("mean", given, axis, keepdims, out), 1.0 / count if count else np.nan, out)


def minimum(x1: Any, x2: Any, out: Any = None) -> Any:
    """The smaller one, NaN where either is; of equal ones each has half of the gradient.

    >>> minimum([1.0, 3.0], 2)
    array([1., 2.])
    """
    return _binary("minimum", "minimum", x1, x2, out)


def multiply(x1: Any, x2: Any, out: Any = None) -> Any:
    """x1 x2.

    >>> multiply([1.0, 2.0], [3.0, 4.0])
    array([3., 8.])
    """
    return _binary("multiply", "multiply", x1, x2, out)


def negative(x: Any, out: Any = None) -> Any:
    """-x.

    >>> negative([1.0, -2.0])
    array([-1.,  2.])
    """
    if isinstance(x, Operand):
        _no_out("negative", out)
        return -x
    return _binary("negative", "multiply", x, -1, out)


def not_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 differs from x2.

    >>> not_equal([1.0, 2.0], 2)
    array([ True, False])
    """
    return _comparison("not_equal", "not_equal", x1, x2)


def one_hot(x: Any, num_classes: int, axis: int = -1) -> Any:
    """1 in the column of a class number, 0 in the others; all 0 for a number out of range.

    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    _last("one_hot", x, axis) if axis != -1 else None
    if isinstance(x, Tensor):
        if x.row not in ((), (1,)):
            raise ArgumentError(f"ops.one_hot: {x!r} has several class numbers in a row, expected one")
        return call("one_hot", x, classes=whole("ops.one_hot", "num_classes", num_classes))
    codes = numeric(x, "ops.one_hot: x")
    columns = np.arange(whole("ops.one_hot", "num_classes", num_classes))
    return (codes[..., None] == columns).astype(config.floatx())


def power(x1: Any, x2: Any, out: Any = None) -> Any:
    """x1 to the power x2; NaN for a negative x1 and an x2 that is not whole. Its error grows with |x2 log x1|.

    >>> power([2.0, 3.0], 2)
    array([4., 9.])
    """
    if isinstance(x2, Real) and not isinstance(x1, Operand) and x2 in POWERS:
        return {"square": square, "sqrt": sqrt, "rsqrt": rsqrt}[POWERS[float(x2)]](x1, out)
    return _binary("power", "power", x1, x2, out)


def relu(x: Any, out: Any = None) -> Any:
    """x where x > 0, else 0.

    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """
    return _unary("relu", "relu", x, out)


def round(x: Any, out: Any = None) -> Any:
    """The nearest whole number, of two the even one; its gradient is 0.

    >>> round([0.5, 1.5, 2.4])
    array([0., 2., 2.])
    """
    return _unary("round", "round", x, out)


def rsqrt(x: Any, out: Any = None) -> Any:
    """1 / sqrt(x).

    >>> rsqrt([1.0, 4.0])
    array([1. , 0.5])
    """
    return _unary("rsqrt", "rsqrt", x, out)


def shape(x: Any) -> Any:
    """The shape; that of a tensor has None for the rows.

    >>> shape([[1.0, 2.0]])
    (1, 2)
    """
    return x.shape if isinstance(x, Tensor) else np.shape(x)


def sigmoid(x: Any, out: Any = None) -> Any:
    """1 / (1 + e^-x).

    >>> sigmoid([0.0, 1.0])
    array([0.5       , 0.73105858])
    """
    return _unary("sigmoid", "sigmoid", x, out)


def sign(x: Any, out: Any = None) -> Any:
    """-1, 0 or 1; its gradient is 0.

    >>> sign([-2.0, 0.0, 3.0])
    array([-1.,  0.,  1.])
    """
    return _unary("sign", "sign", x, out)


def silu(x: Any, out: Any = None) -> Any:
    """x sigmoid(x).

    >>> silu([0.0, 1.0])
    array([0.        , 0.73105858])
    """
    return _unary("silu", "silu", x, out)


def sin(x: Any, out: Any = None) -> Any:
    """The sine, within 4 ulp for every finite x.

    >>> sin([0.0, 1e22])
    array([ 0.        , -0.85220085])
    """
    return _unary("sin", "sin", x, out)


def sinh(x: Any, out: Any = None) -> Any:
    """(e^x - e^-x) / 2.

    >>> sinh([0.0, 1.0])
    array([0.        , 1.17520119])
    """
    return _unary("sinh", "sinh", x, out)


def softmax(x: Any, axis: int = -1, out: Any = None) -> Any:
    """e^x / sum of e^x over the last axis, of arrays any.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    return _by_row("softmax", x, axis, out)


def softplus(x: Any, out: Any = None) -> Any:
    """log(1 + e^x).

    >>> softplus([0.0, 1.0])
    array([0.69314718, 1.31326169])
    """
    return _unary("softplus", "softplus", x, out)


def sqrt(x: Any, out: Any = None) -> Any:
    """The square root; NaN below 0.

    >>> sqrt([4.0, 2.0])
    array([2.        , 1.41421356])
    """
    return _unary("sqrt", "sqrt", x, out)


def square(x: Any, out: Any = None) -> Any:
    """x x.

    >>> square([2.0, 3.0])
    array([4., 9.])
    """
    if isinstance(x, Operand):
        _no_out("square", out)
        return call("square", x)
    return _binary("square", "multiply", x, x, out)


def subtract(x1: Any, x2: Any, out: Any = None) -> Any:
    """x1 - x2.

    >>> subtract(1, [2.0, 3.0])
    array([-1., -2.])
    """
    return _binary("subtract", "subtract", x1, x2, out)


def sum(x: Any, axis: int | None = None, keepdims: bool = False, out: Any = None) -> Any:
    """The sum over the last axis, or of an array over everything.

    >>> sum([[1.0, 2.0], [3.0, 4.0]])
    array(10.)
    """
    return _sum("sum", x, axis, keepdims, out)


def tan(x: Any, out: Any = None) -> Any:
    """The tangent, within 4 ulp for every finite x.

    >>> tan([0.0, 1.0])
    array([0.        , 1.55740772])
    """
    return _unary("tan", "tan", x, out)


def tanh(x: Any, out: Any = None) -> Any:
    """The hyperbolic tangent.

    >>> tanh([0.0, 1.0])
    array([0.        , 0.76159416])
    """
    return _unary("tanh", "tanh", x, out)


def where(condition: Any, x1: Any, x2: Any) -> Any:
    """x1 where the condition is other than 0, else x2; what is not chosen has no gradient, and may be NaN.

    >>> where([True, False], [1.0, 2.0], 0)
    array([1., 0.])
    """
    if not any_tensor([condition, x1, x2]):
        return eager.where(condition, x1, x2)
    return add(_chosen("keep", x1, condition), _chosen("drop", x2, condition))


def _truth(x: Any) -> Any:
    """1 where x is other than 0, else 0."""
    if isinstance(x, Real):
        return float(x != 0)
    return _binary("logical", "not_equal", x, 0)


def _chosen(name: str, x: Any, condition: Any) -> Any:
    if isinstance(x, Real) and isinstance(condition, Operand):
        return arithmetic(name, call("full", condition, number=float(x)), condition)
    if isinstance(x, Real) and isinstance(condition, Real):
        return float(x) if (condition != 0) == (name == "keep") else 0.0
    if not any_tensor([x, condition]):
        raise ArgumentTypeError("ops.where: it was given symbolic tensors and arrays, expected one of both, or numbers")
    return arithmetic(name, x, condition)


# Where the operation of a function has another name.
_OPERATIONS = {"exp": "exponential"}


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)


__all__ = [
    "abs",
    "add",
    "arctan",
    "clip",
    "concatenate",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "erfinv",
    "exp",
    "expm1",
    "floor",
    "gelu",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "power",
    "relu",
    "round",
    "rsqrt",
    "shape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "subtract",
    "sum",
    "tan",
    "tanh",
    "where",
]
