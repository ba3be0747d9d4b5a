"""Reductions: what families share that need a whole row or the whole batch. Rows of up to 16 elements stay in one
register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import arithmetic as ar
from .lanes import I32, I64, LANES, Frame, Lanes, Value, choose

INFINITY = float("inf")


class Row:
    """One row of C elements, in one block where it is narrow, else in a loop of blocks."""

    def __init__(self, f: Frame, width: Any, narrow: bool) -> None:
        self.f, self.width, self.narrow = f, width, narrow
        self.o = f.lanes
        if narrow:
            self._mask = f.mask(width)
            self._stash: dict[Any, Value] = {}

    def each(self, body: Callable[[Any, Any], None]) -> None:
        """`body(index, mask)` for each block."""
        if self.narrow:
            body(I64(0), self._mask)
            return
        with self.f.blocks(self.width) as (index, mask):
            body(index, mask)

    def load(self, address: Any, index: Any, mask: Any) -> Value:
        """A block of the row at `address`; a narrow row is read once."""
        if not self.narrow:
            return self.f.load(self.f.at(address, index), mask)
        if address not in self._stash:
            self._stash[address] = self.f.load(address, mask)
        return self._stash[address]

    def store(self, value: Value, address: Any, index: Any, mask: Any) -> None:
        self.f.store(value, self.f.at(address, index), mask)
        if self.narrow:
            self._stash[address] = value

    def fold(
        self, start: float, step: Callable[[Any, Any, Value], Value], combine: Callable[[Value, Value], Value]
    ) -> Any:
        """The contract's row reduction: 16 lanes from `start`, then the tree; the IR scalar."""
        initial = self.o.constant(start)
        lane = None if self.narrow else self.f.variable(initial.ir)

        def body(index: Any, mask: Any) -> None:
            nonlocal initial
            before = initial if lane is None else Value(self.o, self.f.builder.load(lane))
            after = self.o.select(Value(self.o, mask), step(index, mask, before), before)
            if lane is None:
                initial = after
            else:
                self.f.builder.store(after.ir, lane)

        self.each(body)
        return self.o.tree(initial if lane is None else Value(self.o, self.f.builder.load(lane)), combine)

    def sum(self, step: Callable[[Any, Any, Value], Value]) -> Any:
        return self.fold(0.0, step, lambda a, b: a + b)

    def max(self, address: Any) -> Any:
        def step(index: Any, mask: Any, lane: Value) -> Value:
            x = self.load(address, index, mask)
            return self.o.select(x > lane, x, lane)

        return self.fold(-INFINITY, step, larger)

    def single(self, formula: Callable[..., Value], *scalars: Any) -> Any:
        """The IR scalar that a formula makes of IR scalars, or of vectors whose lanes are one scalar."""
        builder, one = self.f.builder, Lanes(self.f.builder, self.o.dtype, 1)
        firsts = (builder.extract_element(x.ir, I32(0)) if isinstance(x, Value) else x for x in scalars)
        return builder.extract_element(formula(one, *(one.splat(x) for x in firsts)).ir, I32(0))

    def columns(self, index: Any) -> Value:
        """The column numbers of a block as floats, to compare with a class label."""
        base = self.f.builder.sitofp(index, self.o.scalar_type)
        return self.o.iota() + self.o.splat(base)


def larger(a: Value, b: Value) -> Value:
    return a.lanes.select(b > a, b, a)


def smaller(a: Value, b: Value) -> Value:
    return a.lanes.select(a > b, b, a)


def by_rows(arrays: int, body: Callable[..., None]) -> Callable[..., None]:
    """The emit of a kernel over rows: integers are (address, row stride in elements) of each array, then rows and C.

    `body(row, addresses, scalars)` writes one row.
    """

    def emit(f: Frame, *arguments: Any) -> None:
        pairs = [(arguments[2 * i], arguments[2 * i + 1]) for i in range(arrays)]
        rows, width = arguments[2 * arrays : 2 * arrays + 2]
        splats = [f.lanes.splat(scalar) for scalar in arguments[2 * arrays + 2 :]]

        def loop(narrow: bool) -> None:
            with f.loop(rows) as number:
                addresses = [f.at(address, f.builder.mul(number, stride)) for address, stride in pairs]
                body(Row(f, width, narrow), addresses, splats)

        with f.builder.if_else(f.builder.icmp_signed("<=", width, I64(LANES))) as (narrow, wide):
            with narrow:
                loop(True)
            with wide:
                loop(False)

    return emit


def choose_by_rows(name: str, arrays: int, scalars: int, bodies: list[Callable[..., None]]) -> Any:
    return choose(name, 2 * arrays + 2, scalars, [by_rows(arrays, body) for body in bodies])


def batch_fold(
    f: Frame, matrices: list[tuple[Any, Any]], rows: Any, column: Any, mask: Any, step: Callable[..., Value]
) -> Value:
    """A sum over the batch by the GEMM rule: `step(lane, *elements)` adds a row's elements of (address, row stride)
    matrices, at a block of columns, to its chunk of 256 rows, from +0; then the chunks in order."""
    builder, zero = f.builder, f.lanes.constant(0.0)
    total, lane = f.variable(zero.ir), f.variable(zero.ir)
    with f.loop(rows, ar.K_CHUNK) as start:
        builder.store(zero.ir, lane)
        end = builder.add(start, I64(ar.K_CHUNK))
        end = builder.select(builder.icmp_signed("<", end, rows), end, rows)
        with f.loop(end, 1, start) as row:
            places = (f.at(address, builder.add(builder.mul(row, stride), column)) for address, stride in matrices)
            elements = [f.load(place, mask) for place in places]
            builder.store(step(Value(f.lanes, builder.load(lane)), *elements).ir, lane)
        chunk = Value(f.lanes, builder.load(lane))
        first = builder.icmp_signed("==", start, I64(0))
        added = Value(f.lanes, builder.load(total)) + chunk
        builder.store(builder.select(first, chunk.ir, added.ir), total)
    return Value(f.lanes, builder.load(total))
