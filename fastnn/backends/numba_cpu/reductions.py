"""Reductions: what families share that need a whole row or the whole batch. Rows of up to 16 elements stay in one
register."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ...core import arithmetic as ar
from .declare import Arguments, Body, choose
from .exchange import exchange
from .frame import Frame, Function
from .integers import Integer, Pointer
from .lanes import LANES, Lanes, Mask, Value

INFINITY = float("inf")

Combine = Callable[[Value, Value], Value]
Step = Callable[[Integer, Mask, Value], Value]  # of a block's index and mask, and the lanes before it: those after it


class Row:
    """One row of C elements, in one block where it is narrow, else in a loop of blocks."""

    def __init__(self, f: Frame, width: Integer, narrow: bool) -> None:
        self.f, self.width, self.narrow = f, width, narrow
        self.o = f.lanes
        if narrow:
            self._mask = f.mask(width)
            self._kept: dict[Any, Value] = {}  # by the IR value of an address

    def each(self, body: Callable[[Integer, Mask], None]) -> None:
        """`body(index, mask)` for each block."""
        if self.narrow:
            body(self.f.integer(0), self._mask)
            return
        with self.f.blocks(self.width) as (index, mask):
            body(index, mask)

    def load(self, row: Pointer, index: Integer, mask: Mask) -> Value:
        """A block of a row; a narrow one is read once."""
        if not self.narrow:
            return (row + index).load(mask)
        if row.ir not in self._kept:
            self._kept[row.ir] = row.load(mask)
        return self._kept[row.ir]

    def store(self, value: Value, row: Pointer, index: Integer, mask: Mask) -> None:
        (row + index).store(value, mask)
        if self.narrow:
            self._kept[row.ir] = value

    def fold(self, start: float, step: Step, combine: Combine) -> Value:
        """The contract's row reduction: 16 lanes from `start`, then the tree; one number."""
        lanes = self.o.constant(start)
        if self.narrow:
            zero = self.f.integer(0)
            return self.o.tree(self.o.select(self._mask, step(zero, self._mask, lanes), lanes), combine)
        variable = self.f.variable(lanes)
        with self.f.blocks(self.width) as (index, mask):
            before = variable.value
            variable.value = self.o.select(mask, step(index, mask, before), before)
        return self.o.tree(variable.value, combine)

    def sum(self, step: Step) -> Value:
        return self.fold(0.0, step, lambda a, b: a + b)

    def max(self, row: Pointer) -> Value:
        def step(index: Integer, mask: Mask, lane: Value) -> Value:
            x = self.load(row, index, mask)
            return self.o.select(x > lane, x, lane)

        return self.fold(-INFINITY, step, larger)

    def single(self, formula: Callable[..., Value], *numbers: Value) -> Value:
        """The number that a formula makes of numbers."""
        one = Lanes(self.f.builder, self.f.dtype, 1)
        return formula(one, *(one.splat(number) for number in numbers)).lane(0)

    def spread(self, number: Value) -> Value:
        """A number of the row beside each of its elements."""
        return self.o.splat(number)

    def number(self, place: Pointer) -> Value:
        """The row's number at a place, beside each of its elements."""
        return self.spread(place[0])

    def give(self, number: Value, place: Pointer) -> None:
        """Stores a number of the row."""
        place[0] = number

    def mean(self, value: Value) -> Value:
        """value * (1 / C), with 1 / C rounded once from float64."""
        inverse = 1.0 / Lanes(self.f.builder, "float64", None).real(self.width)
        return value * self.f.scalar.convert(inverse)

    def columns(self, index: Integer) -> Value:
        """The column numbers of a block as floats, to compare with a class label."""
        return self.o.iota() + self.o.splat(self.f.scalar.real(index))


class Elements(Row):
    """Sixteen rows of one element, `left` of which are there: a vector holds them all, and their numbers."""

    def __init__(self, f: Frame, strides: dict[Any, Integer], left: Integer, scratch: Pointer) -> None:
        super().__init__(f, f.integer(1), True)
        self._strides, self._scratch, self._count = strides, scratch, left.least(LANES)

    def load(self, row: Pointer, index: Integer, mask: Mask) -> Value:
        if row.ir not in self._kept:
            self._kept[row.ir] = self.number(row)
        return self._kept[row.ir]

    def store(self, value: Value, row: Pointer, index: Integer, mask: Mask) -> None:
        self.give(value, row)

    def fold(self, start: float, step: Step, combine: Combine) -> Value:
        """The other lanes would only make a sum of -0 one of +0."""
        value = step(self.f.integer(0), self._mask, self.o.constant(start))
        return combine(value, self.o.constant(0.0)) if start == 0.0 else value

    def single(self, formula: Callable[..., Value], *numbers: Value) -> Value:
        return formula(self.o, *numbers)

    def spread(self, number: Value) -> Value:
        return number

    def number(self, place: Pointer) -> Value:
        with self.f.loop(self._count) as i:
            self._scratch[i] = place[i * self._strides[place.ir]]
        return self._scratch.load()

    def give(self, number: Value, place: Pointer) -> None:
        self._scratch.store(number)
        with self.f.loop(self._count) as i:
            place[i * self._strides[place.ir]] = self._scratch[i]

    def mean(self, value: Value) -> Value:
        return value


class Columns:
    """Sixteen rows of at most 16 columns, `left` of which are there: a vector holds a column, and a row's lanes are
    folded as vectors, so that rows do not wait for shuffles. Rows past the end repeat the first one."""

    def __init__(self, f: Frame, width: Integer, left: Integer) -> None:
        self.f, self.width, self.left = f, width, left
        self.o = f.lanes
        self._mask = f.mask(width)

    def array(self, fill: float) -> Pointer:
        """16 vectors, all `fill`."""
        array = self.f.scratch(LANES, self.o)
        for index in range(LANES):
            self.column(array, index).store(self.o.constant(fill))
        return array

    def column(self, array: Pointer, index: Integer | int) -> Pointer:
        """A vector of an array."""
        return array.offset(index * (LANES * self.f.itemsize))

    def vectors(self, array: Pointer) -> list[Value]:
        return [self.column(array, index).load() for index in range(LANES)]

    def each(self, body: Callable[[Integer], None]) -> None:
        """`body(c)` for each column."""
        with self.f.loop(self.width) as column:
            body(column)

    def fold(self, array: Pointer, combine: Combine) -> Value:
        """The tree over the vectors of an array."""
        vectors = self.vectors(array)
        while len(vectors) > 1:
            half = len(vectors) // 2
            vectors = [combine(a, b) for a, b in zip(vectors[:half], vectors[half:], strict=True)]
        return vectors[0]

    def _row(self, first: Pointer, stride: Integer, index: int) -> Pointer:
        return first + (self.left > index).select(stride * index, 0)

    def load(self, first: Pointer, stride: Integer, array: Pointer) -> None:
        """Rows from the first one on as columns of an array; those past the width are 0."""
        rows = [self._row(first, stride, index).load(self._mask) for index in range(LANES)]
        for index, column in enumerate(exchange(rows)):
            self.column(array, index).store(column)

    def store(self, columns: list[Value], first: Pointer, stride: Integer) -> None:
        """Columns as rows from the first one on."""
        for index, row in enumerate(exchange(columns)):
            with self.f.when(self.left > index):
                (first + stride * index).store(row, self._mask)

    def load_scalars(self, first: Pointer, stride: Integer) -> Value:
        """A vector of one element of each row."""
        vector = self.o.undefined()
        for index in range(LANES):
            vector = vector.with_lane(index, self._row(first, stride, index)[0])
        return vector

    def store_scalars(self, vector: Value, first: Pointer, stride: Integer) -> None:
        for index in range(LANES):
            with self.f.when(self.left > index):
                element = vector.lane(index)
                (first + stride * index)[0] = element


def larger(a: Value, b: Value) -> Value:
    return a.lanes.select(b > a, b, a)


def smaller(a: Value, b: Value) -> Value:
    return a.lanes.select(a > b, b, a)


class Rows:
    """The arguments of a kernel over rows: each array and its row stride in elements, rows and columns, reals."""

    def __init__(self, f: Frame, a: Arguments) -> None:
        names = a._fields
        self._strides = {
            name: a[index + 1] for index, name in enumerate(names) if isinstance(getattr(a, name), Pointer)
        }
        reals = {name: f.lanes.splat(getattr(a, name)) for name in names if isinstance(getattr(a, name), Value)}
        self.arguments = a._replace(**reals)

    def at_row(self, index: Integer) -> Arguments:
        """The same at a row: its arrays begin there, its reals are vectors."""
        a = self.arguments
        return a._replace(**{name: getattr(a, name) + index * stride for name, stride in self._strides.items()})

    def strides(self, a: Arguments) -> dict[Any, Integer]:
        """Of each array of `at_row`, by the IR value of its address."""
        return {getattr(a, name).ir: stride for name, stride in self._strides.items()}


ByRows = Callable[[Row, Arguments], None]
ByColumns = Callable[[Columns, Arguments], Callable[[Arguments], None]]


def by_rows(body: ByRows, by_columns: ByColumns | None = None, by_elements: bool = False) -> Body:
    """The body of a kernel over rows: `body(row, a)` writes one, of the arguments at this row (`Rows`).

    `by_columns(columns, a)` gives a function that does the same for sixteen narrow rows, of the arguments at the first.
    `by_elements`: rows of one element are written sixteen at a time, too, by the body, which uses `Row` for all memory.
    """

    def emit(f: Frame, a: Arguments) -> None:
        rows = Rows(f, a)

        def loop(narrow: bool, first: Integer | int = 0) -> None:
            with f.loop(a.rows, 1, first) as index:
                row = Row(f, a.columns, narrow)
                body(row, rows.at_row(index))

        def rows_of_several() -> None:
            with f.if_else(a.columns <= LANES) as (narrow, wide):
                with narrow:
                    loop(True, _sixteens(f, rows, by_columns) if by_columns is not None else 0)
                with wide:
                    loop(False)

        if not by_elements:
            rows_of_several()
            return
        with f.if_else(a.columns == 1) as (one, several):
            with one:
                _elements(f, rows, body)
            with several:
                rows_of_several()

    return emit


def _elements(f: Frame, rows: Rows, body: ByRows) -> None:
    """Rows of one element, sixteen at a time."""
    scratch = f.scratch(1, f.lanes)
    scratch.store(f.lanes.constant(0.0))
    with f.loop(rows.arguments.rows, LANES) as index:
        a = rows.at_row(index)
        body(Elements(f, rows.strides(a), rows.arguments.rows - index, scratch), a)


def _sixteens(f: Frame, rows: Rows, by_columns: ByColumns) -> Integer:
    """All rows but a rest of less than half as many, which are sooner done one by one; gives where it is."""
    a = rows.arguments
    end = (a.rows + LANES // 2) & -LANES
    with f.when(end > 0):
        columns = Columns(f, a.columns, a.rows)
        block = by_columns(columns, a)
        with f.loop(end, LANES) as index:
            columns.left = a.rows - index
            block(rows.at_row(index))
    return end


def choose_by_rows(
    name: str,
    arguments: str,
    bodies: Sequence[ByRows],
    by_columns: Sequence[ByColumns] | None = None,
    by_elements: Collection[ByRows] = (),
) -> Function:
    pairs = zip(bodies, by_columns or [None] * len(bodies), strict=True)
    return choose(name, arguments, [by_rows(body, columns, body in by_elements) for body, columns in pairs])


def batch_fold(
    f: Frame,
    matrices: list[tuple[Pointer, Integer]],
    rows: Integer,
    column: Integer,
    mask: Mask,
    step: Callable[..., Value],
) -> Value:
    """A sum over the batch by the GEMM rule: `step(lane, *elements)` adds a row's elements of (first row, row stride)
    matrices, at a block of columns, to its chunk of 256 rows, from +0; then the chunks in order."""
    zero = f.lanes.constant(0.0)
    total, lane = f.variable(zero), f.variable(zero)
    with f.loop(rows, ar.K_CHUNK) as start:
        lane.value = zero
        with f.loop((start + ar.K_CHUNK).least(rows), 1, start) as row:
            elements = [(first + (row * stride + column)).load(mask) for first, stride in matrices]
            lane.value = step(lane.value, *elements)
        chunk = lane.value
        total.value = (start == 0).select(chunk, total.value + chunk)
    return total.value
