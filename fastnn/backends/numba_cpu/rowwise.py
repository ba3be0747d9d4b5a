"""The layers of `core/rowwise.py`: sums over each row, then a formula for each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...core.rowwise import MOST_VECTORS, ROW_WISE, Row, RowWise
from .declare import Arguments, Body, choose
from .frame import Frame
from .integers import Integer, Pointer
from .lanes import Lanes, Mask, Value
from .reductions import Row as Reduction
from .reductions import batch_fold

if TYPE_CHECKING:
    from ...core.algebra import Formula


def _at_block(
    o: Lanes, formula: Formula, read: list[Pointer], vectors: list[Pointer], of_row: Row[Value]
) -> Callable[..., Value]:
    """A function of a block's first column and mask, and of the lanes of a sum: what a formula makes of elements."""

    def made(column: Integer, mask: Mask, *lane: Value) -> Value:
        elements = [(place + column).load(mask) for place in read]
        row = of_row._replace(vectors=tuple((vector + column).load(mask) for vector in vectors))
        value: Value = formula(o, *lane, *elements, row)
        return value

    return made


def _map_rows(layer: RowWise, formula: Formula, terms: tuple[Formula, ...], maximum: bool, names: str) -> Body:
    """The first name is what is written, the others what the formula and its terms read."""

    def body(f: Frame, a: Arguments) -> None:
        o, vectors = f.lanes, [getattr(a, f"vector_{index}") for index in range(len(layer.vectors))]
        constants = tuple(o.splat(f.scalar.convert(a.h[index])) for index in range(len(layer.constants)))
        with f.loop(a.rows) as b:
            out, *read = (getattr(a, name) + b * getattr(a, f"ld{name}") for name in names.split())
            reduction = Reduction(f, a.columns, narrow=False)
            top = o.splat(reduction.max(read[0])) if maximum else None
            row = Row(top, (), (), constants)
            steps = [_at_block(o, term, read, vectors, row) for term in terms]
            row = row._replace(sums=tuple(o.splat(reduction.sum(step)) for step in steps))
            element = _at_block(o, formula, read, vectors, row)
            with f.blocks(a.columns) as (column, mask):
                (out + column).store(element(column, mask), mask)

    return body


def _sum_slopes(slope: Formula) -> Body:
    def body(f: Frame, a: Arguments) -> None:
        with f.blocks(a.columns) as (column, mask):
            matrices = [(a.dA, a.lddA), (a.S, a.ldS)]
            total = batch_fold(f, matrices, a.rows, column, mask, lambda lane, d, s: slope(f.lanes, lane, d, s))
            (a.dv + column).store(total, mask)

    return body


_VECTORS = " ".join(f"*vector_{index}" for index in range(MOST_VECTORS))

row_wise_forward = choose(
    "row_wise_forward",
    f"*A ldA *Z ldZ {_VECTORS} rows columns float64*h",
    [_map_rows(layer, layer.forward, layer.forward_sums, layer.maximum, "A Z") for layer in ROW_WISE.values()],
)
row_wise_backward = choose(
    "row_wise_backward",
    f"*dZ lddZ *dA lddA *S ldS {_VECTORS} rows columns float64*h",
    [_map_rows(layer, layer.backward, layer.backward_sums, False, "dZ dA S") for layer in ROW_WISE.values()],
)
vector_backward = choose(
    "vector_backward",
    "*dv *dA lddA *S ldS rows columns",
    [_sum_slopes(slope) for layer in ROW_WISE.values() for slope in layer.slopes],
)
