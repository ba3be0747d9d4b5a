"""Functions of two elements, and what chooses by them."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

from ..backends import eager
from ..core.binary import POWERS
from ..core.symbolic import Operand, any_tensor, arithmetic, call
from ..core.types import ArrayOrTensor
from ..errors import ArgumentTypeError
from .dispatch import binary, comparison
from .elementwise import rsqrt, sqrt, square

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..core.arrays import Array
    from ..core.symbolic import Tensor


def add(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x1 + x2.

    >>> add([1.0, 2.0], 10)
    array([11., 12.])
    """
    return binary("add", "add", x1, x2, out)


def clip(
    x: ArrayLike | Tensor, x_min: ArrayLike | Tensor, x_max: ArrayLike | Tensor, out: Array | None = None
) -> ArrayOrTensor:
    """x within x_min and x_max; NaN stays, and at an end the gradient is half.

    >>> clip([-2.0, 0.5, 2.0], 0, 1)
    array([0. , 0.5, 1. ])
    """
    return binary("clip", "minimum", binary("clip", "maximum", x, x_min), x_max, out)


def divide(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x1 / x2.

    >>> divide(1, [2.0, 4.0])
    array([0.5 , 0.25])
    """
    return binary("divide", "divide", x1, x2, out)


def equal(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x1 = x2; NaN equals nothing.

    >>> equal([1.0, 2.0], 2)
    array([False,  True])
    """
    return comparison("equal", "equal", x1, x2)


def greater(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x1 > x2.

    >>> greater([1.0, 3.0], 2)
    array([False,  True])
    """
    return comparison("greater", "less", x2, x1)


def greater_equal(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x1 >= x2.

    >>> greater_equal([1.0, 2.0], 2)
    array([False,  True])
    """
    return comparison("greater_equal", "less_equal", x2, x1)


def less(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x1 < x2.

    >>> less([1.0, 3.0], 2)
    array([ True, False])
    """
    return comparison("less", "less", x1, x2)


def less_equal(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x1 <= x2.

    >>> less_equal([2.0, 3.0], 2)
    array([ True, False])
    """
    return comparison("less_equal", "less_equal", x1, x2)


def logical_and(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether both are other than 0.

    >>> logical_and([1.0, 2.0], [0.0, 3.0])
    array([False,  True])
    """
    return not_equal(multiply(_truth(x1), _truth(x2)), 0)


def logical_not(x: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x = 0.

    >>> logical_not([0.0, 2.0])
    array([ True, False])
    """
    return equal(x, 0)


def logical_or(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether one of both is other than 0.

    >>> logical_or([0.0, 2.0], [0.0, 0.0])
    array([False,  True])
    """
    return not_equal(add(_truth(x1), _truth(x2)), 0)


def maximum(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The larger one, NaN where either is; of equal ones each has half of the gradient.

    >>> maximum([1.0, 3.0], 2)
    array([2., 3.])
    """
    return binary("maximum", "maximum", x1, x2, out)


def minimum(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The smaller one, NaN where either is; of equal ones each has half of the gradient.

    >>> minimum([1.0, 3.0], 2)
    array([1., 2.])
    """
    return binary("minimum", "minimum", x1, x2, out)


def multiply(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x1 x2.

    >>> multiply([1.0, 2.0], [3.0, 4.0])
    array([3., 8.])
    """
    return binary("multiply", "multiply", x1, x2, out)


def not_equal(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
    """Whether x1 differs from x2.

    >>> not_equal([1.0, 2.0], 2)
    array([ True, False])
    """
    return comparison("not_equal", "not_equal", x1, x2)


def power(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x1 to the power x2; NaN for a negative x1 and an x2 that is not whole. Its error grows with |x2 log x1|.

    >>> power([2.0, 3.0], 2)
    array([4., 9.])
    """
    exponent: object = x2
    if isinstance(exponent, Real) and not isinstance(x1, Operand) and exponent in POWERS:
        return {"square": square, "sqrt": sqrt, "rsqrt": rsqrt}[POWERS[float(exponent)]](x1, out)
    return binary("power", "power", x1, x2, out)


def subtract(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """x1 - x2.

    >>> subtract(1, [2.0, 3.0])
    array([-1., -2.])
    """
    return binary("subtract", "subtract", x1, x2, out)


def where(condition: ArrayLike | Tensor, x1: ArrayLike | Tensor, x2: ArrayLike | Tensor) -> ArrayOrTensor:
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
    return binary("logical", "not_equal", x, 0)


def _chosen(name: str, x: Any, condition: Any) -> Any:
    if isinstance(x, Real) and isinstance(condition, Operand):
        return arithmetic(name, call("full", condition, number=float(x)), condition)
    if isinstance(x, Real) and isinstance(condition, Real):
        return float(x) if (condition != 0) == (name == "keep") else 0.0
    if not any_tensor([x, condition]):
        raise ArgumentTypeError("ops.where: it was given symbolic tensors and arrays, expected one of both, or numbers")
    return arithmetic(name, x, condition)
