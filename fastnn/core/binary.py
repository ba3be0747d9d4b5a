"""What merges two values element by element, as formulas over the algebra of `arithmetic.py`.

A row of `BINARY` is a name, its formula and the gradients of its two sides. Kernels, operations and programs of every
backend follow. The table keeps its order: the position of a name is its code in a `Plan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .algebra import Algebra, Formula, Real


class Binary(NamedTuple):
    """One function of two elements.

    `forward(o, a, b)` is its value; `left(o, d, a, b)` and `right(o, d, a, b)` are the gradients of a and of b from
    that of the value. None: it is that of the value.
    """

    forward: Formula
    left: Formula | None
    right: Formula | None


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


BINARY: dict[str, Binary] = {
    "add": Binary(add, None, None),
    "subtract": Binary(subtract, None, subtract_right),
    "multiply": Binary(multiply, multiply_left, multiply_right),
    "divide": Binary(divide, divide_left, divide_right),
    "maximum": Binary(maximum, maximum_left, maximum_right),
    "minimum": Binary(minimum, maximum_right, maximum_left),
}
# The function and the side of each code of a gradient.
BINARY_GRADIENTS = tuple(
    (name, side) for name, row in BINARY.items() for side in ("left", "right") if getattr(row, side) is not None
)
