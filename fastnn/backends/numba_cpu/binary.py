"""The functions of `core/binary.py`, copies of columns, and sums over a row."""

from __future__ import annotations

from ...core.binary import BINARY, BINARY_GRADIENTS
from .declare import Arguments, choose, declare, kernel
from .elementwise import mapped
from .frame import Frame
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
    with f.loop(a.rows) as number:
        first, row = a.Z + number * a.ldZ, Row(f, a.columns, narrow=False)
        (a.s + number * a.lds)[0] = row.sum(lambda index, mask, lane: lane + (first + index).load(mask))


@kernel("*A ldA *s lds rows columns")
def repeat(f: Frame, a: Arguments) -> None:
    with f.loop(a.rows) as number:
        value = f.lanes.splat((a.s + number * a.lds)[0])
        with f.blocks(a.columns) as (index, mask):
            (a.A + number * a.ldA + index).store(value, mask)
