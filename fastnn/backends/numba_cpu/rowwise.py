"""The layers of `core/rowwise.py`: sums over each row, then a formula for each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...core.rowwise import MOST_VECTORS, ROW_WISE, Row, RowWise
from .declare import Arguments, Body, choose
from .frame import Frame
from .integers import Integer, Pointer
from .lanes import Mask, Value
from .reductions import Row as Reduction
from .reductions import batch_fold

if TYPE_CHECKING:
    from ...core.algebra import Formula


def _map_rows(layer: RowWise, formula: Formula, terms: tuple[Formula, ...], maximum: bool, names: str) -> Body:
    """The first name is what is written, the others what the formula and its terms read."""
    out_name, *read_names = names.split()

    def body(f: Frame, a: Arguments) -> None:
        o, pointers = f.lanes, tuple(getattr(a, f"vector_{index}") for index in range(len(layer.vectors)))
        constants = tuple(o.splat(f.scalar.convert(a.h[index])) for index in range(len(layer.constants)))

        def row_of(name: str, index: Integer) -> Pointer:
            first: Pointer = getattr(a, name)
            return first + index * getattr(a, f"ld{name}")

        with f.loop(a.rows) as index:
            out, read = row_of(out_name, index), [row_of(name, index) for name in read_names]
            row = Reduction(f, a.columns, narrow=False)
            top = o.splat(row.max(read[0])) if maximum else None

            def applied(
                to: Formula, sums: tuple[Value, ...], read: list[Pointer] = read, top: Value | None = top
            ) -> Callable[..., Value]:
                def at_block(index: Integer, mask: Mask, *lane: Value) -> Value:
                    elements = [(place + index).load(mask) for place in read]
                    vectors = tuple((pointer + index).load(mask) for pointer in pointers)
                    value: Value = to(o, *lane, *elements, Row(top, sums, vectors, constants))
                    return value

                return at_block

            sums = tuple(o.splat(row.sum(applied(term, ()))) for term in terms)
            element = applied(formula, sums)
            with f.blocks(a.columns) as (index, mask):
                (out + index).store(element(index, mask), mask)

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
