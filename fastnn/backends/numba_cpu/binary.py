"""The functions of `core/binary.py`, copies of columns, sums over a row, and rows of a table."""

from __future__ import annotations

from ...core.binary import BINARY, BINARY_GRADIENTS
from .declare import Arguments, choose, declare, kernel
from .elementwise import mapped
from .frame import Frame
from .integers import Integer, Pointer
from .lanes import I64
from .reductions import Row

binary = choose("binary", "*C *A *B n", [mapped(row.forward) for row in BINARY.values()])
binary_backward = choose(
    "binary_backward",
    "*dX *dC *A *B n",
    [mapped(getattr(BINARY[name], side)) for name, side in BINARY_GRADIENTS],
)
fill = declare("fill", "*A n; value", mapped(lambda o, value: value))


@kernel("*s lds *Z ldZ rows columns")
def sum_rows(f: Frame, a: Arguments) -> None:
    with f.loop(a.rows) as b:
        first, row = a.Z + b * a.ldZ, Row(f, a.columns, narrow=False)
        (a.s + b * a.lds)[0] = row.sum(lambda index, mask, lane: lane + (first + index).load(mask))


def _code(f: Frame, y: Pointer) -> Integer:
    """A class number as an integer; it lies below the rows of its table."""
    return Integer(f.builder, f.builder.fptosi(y[0].ir, I64))


@kernel("*A ldA *y ldy *table ldt rows places depth")
def embedding_forward(f: Frame, a: Arguments) -> None:
    """Rows of a table, one for each of a row's class numbers."""
    with f.loop(a.rows) as b, f.loop(a.places) as place:
        source = a.table + _code(f, a.y + b * a.ldy + place) * a.ldt
        target = a.A + b * a.ldA + place * a.depth
        with f.blocks(a.depth) as (index, mask):
            (target + index).store((source + index).load(mask), mask)


@kernel("*gradient ldg first last *y ldy *dA ldA rows places depth")
def embedding_backward(f: Frame, a: Arguments) -> None:
    """Rows first .. last - 1 of the gradient of a table, which begin at `gradient`, += the parts of dA where they were
    taken."""
    with f.loop(a.rows) as b, f.loop(a.places) as place:
        code = _code(f, a.y + b * a.ldy + place)
        with f.when(code >= a.first), f.when(code < a.last):
            total, part = a.gradient + (code - a.first) * a.ldg, a.dA + b * a.ldA + place * a.depth
            with f.blocks(a.depth) as (index, mask):
                (total + index).store((total + index).load(mask) + (part + index).load(mask), mask)


@kernel("*A ldA *s lds rows columns")
def repeat(f: Frame, a: Arguments) -> None:
    with f.loop(a.rows) as b:
        value = f.lanes.splat((a.s + b * a.lds)[0])
        with f.blocks(a.columns) as (index, mask):
            (a.A + b * a.ldA + index).store(value, mask)
