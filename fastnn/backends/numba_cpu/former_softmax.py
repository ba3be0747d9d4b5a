"""Until losses.py is written as the other kernels are: Softmax, by rows."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...core import arithmetic as ar
from .former_lanes import Value
from .former_reductions import INFINITY, Columns, Row, larger


def exponentials(row: Row, P: Any, Z: Any) -> tuple[Value, Any]:
    """Leaves e^(z - max) in P; gives the max (all lanes) and the sum (IR scalar)."""
    o = row.o
    m = o.splat(row.max(Z))

    def step(index: Any, mask: Any, lane: Value) -> Value:
        e = ar.exp_nonpositive(o, row.load(Z, index, mask) - m)
        row.store(e, P, index, mask)
        return lane + e

    return m, row.sum(step)


def scale_row(row: Row, P: Any, total: Any) -> None:
    """P = P * (1 / total)."""
    o = row.o
    inverse = o.splat(row.f.builder.fdiv(ir.Constant(o.scalar_type, 1.0), total))
    row.each(lambda index, mask: row.store(row.load(P, index, mask) * inverse, P, index, mask))


class Exponentials:
    """The same of sixteen narrow rows: z - max and e^(z - max) by columns, and their sums."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.shifted, self.lanes, self.powers = (columns.array(fill) for fill in (0.0, -INFINITY, 0.0))

    def sums(self, Z: Any, ldZ: Any) -> Value:
        columns, f, o = self.columns, self.columns.f, self.columns.o
        columns.load(Z, ldZ, self.shifted)

        def start(c: Any) -> None:
            z = f.load(columns.place(self.shifted, c))
            f.store(o.select(z > -INFINITY, z, -INFINITY), columns.place(self.lanes, c))

        def power(c: Any) -> None:
            z = f.load(columns.place(self.shifted, c)) - top
            f.store(z, columns.place(self.shifted, c))
            f.store(ar.exp_nonpositive(o, z), columns.place(self.powers, c))

        columns.each(start)
        top = columns.fold(self.lanes, larger)
        columns.each(power)
        return columns.fold(self.powers, lambda a, b: a + b)

    def store_scaled(self, sums: Value, P: Any, ldP: Any) -> None:
        inverse = 1.0 / sums
        self.columns.store([e * inverse for e in self.columns.vectors(self.powers)], P, ldP)
