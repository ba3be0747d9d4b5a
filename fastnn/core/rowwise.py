"""Layers that take each row by itself, as formulas over the algebra of `arithmetic.py`, like those of `formulas.py`.

A layer is a row of `ROW_WISE`: the sums that it takes over a row, what it makes of an element with them, and the same
for its gradient. Kernels, operations and programs of every backend follow. The table keeps its order: the position of a
name is its code in a `Plan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from . import arithmetic as ar

if TYPE_CHECKING:
    from .algebra import Algebra, Formula, Real


T = TypeVar("T")


class Row(NamedTuple, Generic[T]):
    """What a formula may read beside its element: the row's maximum and sums, and of the layer the elements of its
    vectors in this column and its constants."""

    maximum: T
    sums: tuple[T, ...]
    vectors: tuple[T, ...]
    constants: tuple[T, ...]


class RowWise(NamedTuple):
    """One layer.

    `forward(o, z, row)` is the output of an element, `backward(o, d, s, row)` its gradient from that of the output and
    from s, the saved `output` or `input`. `forward_sums` are terms `(o, lane, z, row)`, `backward_sums` terms
    `(o, lane, d, s, row)`: each gives a lane with one more element added; `maximum` says whether the maximum of z is
    taken before the forward ones. `vectors` are the names of parameters of one number a column, `slopes` the terms
    `(o, sum, d, s)` whose sums over the batch are their gradients. `constants` are the names of the layer's numbers.
    """

    forward: Formula
    backward: Formula
    saved: str
    forward_sums: tuple[Formula, ...] = ()
    backward_sums: tuple[Formula, ...] = ()
    maximum: bool = False
    vectors: tuple[str, ...] = ()
    slopes: tuple[Formula, ...] = ()
    constants: tuple[str, ...] = ()


def log_softmax(o: Algebra, z: Real, row: Row[Real]) -> Real:
    shifted: Real = z - row.maximum
    return shifted - ar.log(o, row.sums[0])


def log_softmax_sum(o: Algebra, lane: Real, z: Real, row: Row[Real]) -> Real:
    return lane + ar.exp_nonpositive(o, z - row.maximum)


def log_softmax_slope(o: Algebra, d: Real, s: Real, row: Row[Real]) -> Real:
    return o.fma(-ar.exp_nonpositive(o, s), row.sums[0], d)


def sum_of_slopes(o: Algebra, lane: Real, d: Real, s: Real, row: Row[Real]) -> Real:
    return lane + d


def _inverse_norm(o: Algebra, squares: Real, epsilon: Real) -> Real:
    norm = o.sqrt(squares)
    return 1.0 / o.select(epsilon > norm, epsilon, norm)


def unit_normalization(o: Algebra, z: Real, row: Row[Real]) -> Real:
    return z * _inverse_norm(o, row.sums[0], row.constants[0])


def sum_of_squares(o: Algebra, lane: Real, z: Real, row: Row[Real]) -> Real:
    return o.fma(z, z, lane)


def unit_normalization_slope(o: Algebra, d: Real, s: Real, row: Row[Real]) -> Real:
    """inv (d - a sum(d a)) with a = s inv; a norm below epsilon is a constant."""
    squares, products = row.sums
    inv = _inverse_norm(o, squares, row.constants[0])
    shared = o.select(row.constants[0] > o.sqrt(squares), 0.0, products * inv)
    return inv * o.fma(-(s * inv), shared, d)


def sum_of_saved_squares(o: Algebra, lane: Real, d: Real, s: Real, row: Row[Real]) -> Real:
    return o.fma(s, s, lane)


def sum_of_products(o: Algebra, lane: Real, d: Real, s: Real, row: Row[Real]) -> Real:
    return o.fma(d, s, lane)


def prelu(o: Algebra, z: Real, row: Row[Real]) -> Real:
    return o.select(z < 0.0, row.vectors[0] * z, z)


def prelu_slope(o: Algebra, d: Real, s: Real, row: Row[Real]) -> Real:
    return o.select(s < 0.0, row.vectors[0] * d, d)


def prelu_alpha_slope(o: Algebra, total: Real, d: Real, s: Real) -> Real:
    return o.select(s < 0.0, o.fma(d, s, total), total)


ROW_WISE: dict[str, RowWise] = {
    "log_softmax": RowWise(
        log_softmax, log_softmax_slope, "output", (log_softmax_sum,), (sum_of_slopes,), maximum=True
    ),
    "unit_normalization": RowWise(
        unit_normalization,
        unit_normalization_slope,
        "input",
        (sum_of_squares,),
        (sum_of_saved_squares, sum_of_products),
        constants=("epsilon",),
    ),
    "prelu": RowWise(prelu, prelu_slope, "input", vectors=("alpha",), slopes=(prelu_alpha_slope,)),
}
# The most that any of them may have: what backends keep room for.
MOST_ROW_SUMS, MOST_VECTORS, MOST_CONSTANTS = 2, 2, 2
# The layer and the vector of each code of a vector's gradient.
VECTOR_GRADIENTS = tuple((name, vector) for name, layer in ROW_WISE.items() for vector in layer.vectors)
