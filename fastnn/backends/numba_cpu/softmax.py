"""Softmax, by rows."""

from __future__ import annotations

from collections.abc import Callable

from ...core import arithmetic as ar
from .declare import Arguments, declare
from .integers import Integer, Pointer
from .lanes import Mask, Value
from .reductions import INFINITY, Columns, Row, by_rows, larger


def exponentials(row: Row, P: Pointer, Z: Pointer) -> tuple[Value, Value]:
    """Leaves e^(z - max) in P; gives the max (all lanes) and the sum (one number)."""
    o = row.o
    m = o.splat(row.max(Z))

    def step(index: Integer, mask: Mask, lane: Value) -> Value:
        e = ar.exp_nonpositive(o, row.load(Z, index, mask) - m)
        row.store(e, P, index, mask)
        return lane + e

    return m, row.sum(step)


def scale_row(row: Row, P: Pointer, total: Value) -> None:
    """P = P * (1 / total)."""
    inverse = row.o.splat(1.0 / total)
    row.each(lambda index, mask: row.store(row.load(P, index, mask) * inverse, P, index, mask))


class Exponentials:
    """The same of sixteen narrow rows: z - max and e^(z - max) by columns, and their sums."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.shifted, self.lanes, self.powers = (columns.array(fill) for fill in (0.0, -INFINITY, 0.0))

    def sums(self, Z: Pointer, ldZ: Integer) -> Value:
        columns, o = self.columns, self.columns.o
        columns.load(Z, ldZ, self.shifted)

        def start(c: Integer) -> None:
            z = columns.column(self.shifted, c).load()
            top = o.select(z > -INFINITY, z, -INFINITY)
            columns.column(self.lanes, c).store(top)

        def power(c: Integer) -> None:
            z = columns.column(self.shifted, c).load() - top
            columns.column(self.shifted, c).store(z)
            e = ar.exp_nonpositive(o, z)
            columns.column(self.powers, c).store(e)

        columns.each(start)
        top = columns.fold(self.lanes, larger)
        columns.each(power)
        return columns.fold(self.powers, lambda a, b: a + b)

    def store_scaled(self, sums: Value, P: Pointer, ldP: Integer) -> None:
        inverse = 1.0 / sums
        self.columns.store([e * inverse for e in self.columns.vectors(self.powers)], P, ldP)


def _softmax_columns(columns: Columns, _: Arguments) -> Callable[[Arguments], None]:
    exponentials = Exponentials(columns)

    def block(a: Arguments) -> None:
        exponentials.store_scaled(exponentials.sums(a.Z, a.ldZ), a.P, a.ldP)

    return block


def _softmax_forward(row: Row, a: Arguments) -> None:
    scale_row(row, a.P, exponentials(row, a.P, a.Z)[1])


def _softmax_backward(row: Row, a: Arguments) -> None:
    o = row.o
    t = o.splat(row.sum(lambda i, k, lane: o.fma(row.load(a.dP, i, k), row.load(a.P, i, k), lane)))
    row.each(lambda i, k: row.store(row.load(a.P, i, k) * (row.load(a.dP, i, k) - t), a.dZ, i, k))


softmax_forward = declare("softmax_forward", "*P ldP *Z ldZ rows columns", by_rows(_softmax_forward, _softmax_columns))
softmax_backward = declare("softmax_backward", "*dZ lddZ *dP lddP *P ldP rows columns", by_rows(_softmax_backward))
