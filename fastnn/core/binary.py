"""What merges two values element by element, as formulas over the algebra of `arithmetic.py`.

A row of `BINARY` is a name, its formula and the gradients of its two sides. Kernels, operations and programs of every
backend follow. The table keeps its order: the position of a name is its code in a `Plan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import arithmetic as ar
from . import functions as fn
from .formulas import no_slope

if TYPE_CHECKING:
    from .algebra import Algebra, Formula, Real


class Binary(NamedTuple):
    """One function of two elements.

    `forward(o, a, b)` is its value; `left(o, d, a, b)` and `right(o, d, a, b)` are the gradients of a and of b from
    that of the value. None: it is that of the value. `bound` is the error of all three, as `Operation` has it.
    """

    forward: Formula
    left: Formula | None
    right: Formula | None
    bound: float = 1.0


def add(o: Algebra, a: Real, b: Real) -> Real:
    return a + b


def subtract(o: Algebra, a: Real, b: Real) -> Real:
    return a - b


def subtract_right(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return -d


def multiply(o: Algebra, a: Real, b: Real) -> Real:
    return a * b


def multiply_left(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return d * b


def multiply_right(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return d * a


def divide(o: Algebra, a: Real, b: Real) -> Real:
    return a / b


def divide_left(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return d / b


def divide_right(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return -(d / b) * (a / b)


def maximum(o: Algebra, a: Real, b: Real) -> Real:
    """NaN where either is NaN."""
    return o.select((b > a) | (b != b), b, a)


def maximum_left(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    """Where both are the maximum, each has half of the gradient."""
    return o.select(a > b, d, o.select(a == b, 0.5 * d, 0.0))


def maximum_right(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return o.select(b > a, d, o.select(a == b, 0.5 * d, 0.0))


def minimum(o: Algebra, a: Real, b: Real) -> Real:
    """NaN where either is NaN."""
    return o.select((b < a) | (b != b), b, a)


def power(o: Algebra, a: Real, b: Real) -> Real:
    """a^b, e^(b log |a|) with the sign of a to a whole power; the error grows with |b log |a||. NaN for a negative a to
    another power."""
    size = ar.exp(o, b * ar.log(o, o.abs(a)))
    half = 0.5 * b
    signed = o.select(fn.nearest(o, b) == b, o.select(fn.nearest(o, half) == half, size, -size), o.constant(ar.NAN))
    return o.select((b == 0.0) | (a == 1.0), 1.0, o.select(a < 0.0, signed, size))


def power_left(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return o.select(b == 0.0, 0.0, d * (b * power(o, a, b - 1.0)))


def power_right(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return d * (ar.log(o, o.select(a == 0.0, 1.0, a)) * power(o, a, b))


def less(o: Algebra, a: Real, b: Real) -> Real:
    return o.select(a < b, 1.0, o.constant(0.0))


def less_equal(o: Algebra, a: Real, b: Real) -> Real:
    return o.select(a <= b, 1.0, o.constant(0.0))


def equal(o: Algebra, a: Real, b: Real) -> Real:
    return o.select(a == b, 1.0, o.constant(0.0))


def not_equal(o: Algebra, a: Real, b: Real) -> Real:
    return o.select(a != b, 1.0, o.constant(0.0))


def keep(o: Algebra, a: Real, b: Real) -> Real:
    """a where b is not 0, else 0: with `drop` what `where` is made of, in which what is not chosen may be NaN."""
    return o.select(b != 0.0, a, 0.0)


def keep_left(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return o.select(b != 0.0, d, 0.0)


def drop(o: Algebra, a: Real, b: Real) -> Real:
    return o.select(b != 0.0, 0.0, a)


def drop_left(o: Algebra, d: Real, a: Real, b: Real) -> Real:
    return o.select(b != 0.0, 0.0, d)


BINARY: dict[str, Binary] = {
    "add": Binary(add, None, None),
    "subtract": Binary(subtract, None, subtract_right),
    "multiply": Binary(multiply, multiply_left, multiply_right),
    "divide": Binary(divide, divide_left, divide_right),
    "maximum": Binary(maximum, maximum_left, maximum_right),
    "minimum": Binary(minimum, maximum_right, maximum_left),
    "power": Binary(power, power_left, power_right, 4.0),
    "less": Binary(less, no_slope, no_slope),
    "less_equal": Binary(less_equal, no_slope, no_slope),
    "equal": Binary(equal, no_slope, no_slope),
    "not_equal": Binary(not_equal, no_slope, no_slope),
    "keep": Binary(keep, keep_left, no_slope),
    "drop": Binary(drop, drop_left, no_slope),
}
# Powers that are functions of their own: exact, or nearly.
POWERS = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt"}
# The function and the side of each code of a gradient.
BINARY_GRADIENTS = tuple(
    (name, side) for name, row in BINARY.items() for side in ("left", "right") if getattr(row, side) is not None
)
