"""The kernels that a `specs.Spec` fills: a thread for each element, 16 for each row, one for each column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...core.arithmetic import K_CHUNK, LANES
from ...core.operations import Operation
from .compiler import TYPES, cuda, emits, repeated, tuple_of
from .fields import Fields, no_value
from .geometry import THREADS
from .intrinsics import folds, traced
from .scalars import I32, I64, Scalars
from .specs import MOST_FOLDS, MOST_TERMS, Columns, Fold, Map, Rows
from .table import is_stepped

THREAD_BITS = THREADS.bit_length() - 1
LANE_BITS = LANES.bit_length() - 1


class Source(NamedTuple):
    """A kernel before it is compiled."""

    function: Callable[..., None]
    arguments: tuple[Any, ...]  # their types
    bounds: tuple[int, int]  # threads of a block at most, blocks of a multiprocessor at least


@emits("integer", 2)
def quotient(builder: Any, a: Any, b: Any) -> Any:
    """Of numbers of 32 bits that are not negative."""
    narrow = (builder.trunc(value, I32) for value in (a, b))
    return builder.zext(builder.udiv(*narrow), I64)


@cuda.jit(device=True, inline="always")
def map_place(column_blocks, shift):  # type: ignore[no-untyped-def]
    """The row and the column of a thread of a map; see `geometry.map_grid`. They may lie outside."""
    thread, block = cuda.threadIdx.x, cuda.blockIdx.x
    row_block = quotient(block, column_blocks)
    row = (row_block << (THREAD_BITS - shift)) + (thread >> shift)
    column = ((block - row_block * column_blocks) << shift) + (thread & ((1 << shift) - 1))
    return row, column


def _tuples(operation: Operation, dtype: str) -> tuple[Any, Any, Any]:
    """The types of an operation's addresses, strides and scalars."""
    count = len(operation.arguments)
    scalars = ("address", "address") if is_stepped(operation) else (dtype,) * len(operation.scalars)
    return repeated("address", count), repeated("integer", count), tuple_of(*scalars)


def mapped(operation: Operation, dtype: str, spec: Map) -> Source:
    """A thread an element. A block has 2^shift columns, and as many rows as make it full."""

    @emits("nothing", 6)
    def element(builder: Any, arrays: Any, strides: Any, scalars: Any, row: Any, column: Any, columns: Any) -> None:
        e = Fields(builder, operation, dtype, arrays, strides, scalars, row, column, columns)
        e.put(spec.formula(Scalars(builder, dtype), e))

    def kernel(arrays, strides, scalars, rows, columns, column_blocks, shift):  # type: ignore[no-untyped-def]
        row, column = map_place(column_blocks, shift)
        if row < rows and column < columns:
            element(arrays, strides, scalars, row, column, columns)

    return Source(kernel, (*_tuples(operation, dtype), *(TYPES["integer"],) * 4), (THREADS, 1))


def by_rows(operation: Operation, dtype: str, spec: Rows) -> Source:
    """16 threads a row, which are the 16 lanes of its sums. All threads of a warp come to each fold."""
    folds = (*spec.folds, *(None,) * (MOST_FOLDS - len(spec.folds)))
    begin, step, fold, there = zip(
        *(_fold(operation, dtype, one, index) for index, one in enumerate(folds)), strict=True
    )
    begin_0, begin_1, begin_2, begin_3 = begin
    step_0, step_1, step_2, step_3 = step
    fold_0, fold_1, fold_2, fold_3 = fold
    there_0, there_1, there_2, there_3 = there
    has_element = int(spec.element is not None)

    @emits("nothing", 10)
    def element(builder, arrays, strides, scalars, row, column, columns, *sums):  # type: ignore[no-untyped-def]
        if spec.element is not None:
            e = Fields(
                builder, operation, dtype, arrays, strides, scalars, row, column, columns, sums[: len(spec.folds)]
            )
            e.put(spec.element(Scalars(builder, dtype), e), of_rows=False)

    @emits("nothing", 9)
    def result(builder, arrays, strides, scalars, row, columns, *sums):  # type: ignore[no-untyped-def]
        if spec.result is not None:
            e = Fields(builder, operation, dtype, arrays, strides, scalars, row, None, columns, sums[: len(spec.folds)])
            e.put(spec.result(Scalars(builder, dtype), e), of_rows=True)

    def kernel(arrays, strides, scalars, rows, columns):  # type: ignore[no-untyped-def]
        thread = cuda.threadIdx.x
        row = (cuda.blockIdx.x << (THREAD_BITS - LANE_BITS)) + (thread >> LANE_BITS)
        lane = thread & (LANES - 1)
        end = columns if row < rows else 0
        s0, s1, s2, s3 = begin_0(), begin_1(), begin_2(), begin_3()
        column = lane
        while column < end * there_0:
            s0 = step_0(s0, arrays, strides, scalars, row, column, columns, s0, s1, s2)
            column += LANES
        s0 = fold_0(s0)
        column = lane
        while column < end * there_1:
            s1 = step_1(s1, arrays, strides, scalars, row, column, columns, s0, s1, s2)
            column += LANES
        s1 = fold_1(s1)
        column = lane
        while column < end * there_2:
            s2 = step_2(s2, arrays, strides, scalars, row, column, columns, s0, s1, s2)
            column += LANES
        s2 = fold_2(s2)
        column = lane
        while column < end * there_3:
            s3 = step_3(s3, arrays, strides, scalars, row, column, columns, s0, s1, s2)
            column += LANES
        s3 = fold_3(s3)
        column = lane
        while column < end * has_element:
            element(arrays, strides, scalars, row, column, columns, s0, s1, s2, s3)
            column += LANES
        if row < rows and lane == 0:
            result(arrays, strides, scalars, row, columns, s0, s1, s2, s3)

    return Source(kernel, (*_tuples(operation, dtype), *(TYPES["integer"],) * 2), (THREADS, 1))


def _fold(operation: Operation, dtype: str, one: Fold | None, index: int) -> tuple[Any, Any, Any, int]:
    """How a lane begins, what an element makes of it, what joins the lanes; and whether there is such a fold."""

    @emits(dtype, 0)
    def begin(builder: Any) -> Any:
        return no_value(dtype) if one is None else Scalars(builder, dtype).constant(one.start).ir

    @emits(dtype, 10)
    def step(builder, lane, arrays, strides, scalars, row, column, columns, *sums):  # type: ignore[no-untyped-def]
        if one is None:
            return lane
        o = Scalars(builder, dtype)
        e = Fields(builder, operation, dtype, arrays, strides, scalars, row, column, columns, sums[:index])
        return o.coerce(one.step(o, o.value(lane), e))

    fold = traced(lambda o, lane: lane, dtype, 1) if one is None else folds(one.join, dtype)
    return begin, step, fold, int(one is not None)


def by_columns(operation: Operation, dtype: str, spec: Columns) -> Source:
    """A thread a column: sums over the batch in chunks, each from +0 in ascending rows, which are added up in order.
    The total begins at -0, since -0 + x is x for every x."""
    terms = (*spec.terms, *(None,) * (MOST_TERMS - len(spec.terms)))
    term_0, term_1 = (_term(operation, dtype, term, index) for index, term in enumerate(terms))
    there_1 = int(terms[1] is not None)

    zero, minus_zero = (traced(lambda o, v=v: o.constant(v), dtype, 0) for v in (0.0, -0.0))
    add = traced(lambda o, a, b: a + b, dtype, 2)

    @emits("nothing", 7)
    def result(builder, arrays, strides, scalars, column, columns, *sums):  # type: ignore[no-untyped-def]
        e = Fields(builder, operation, dtype, arrays, strides, scalars, None, column, columns, sums[: len(spec.terms)])
        e.put(spec.result(Scalars(builder, dtype), e))

    def kernel(arrays, strides, scalars, rows, columns):  # type: ignore[no-untyped-def]
        column = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if column < columns:
            s0, s1 = minus_zero(), minus_zero()
            row, go_on = 0, True
            while go_on:
                end = min(row + K_CHUNK, rows)
                chunk = zero()
                while row < end:
                    chunk = term_0(chunk, arrays, strides, scalars, row, column, columns, s0)
                    row += 1
                s0 = add(s0, chunk)
                go_on = row < rows
            row, go_on = 0, there_1 > 0
            while go_on:
                end = min(row + K_CHUNK, rows)
                chunk = zero()
                while row < end:
                    chunk = term_1(chunk, arrays, strides, scalars, row, column, columns, s0)
                    row += 1
                s1 = add(s1, chunk)
                go_on = row < rows
            result(arrays, strides, scalars, column, columns, s0, s1)

    return Source(kernel, (*_tuples(operation, dtype), *(TYPES["integer"],) * 2), (THREADS, 1))


def _term(operation: Operation, dtype: str, term: Any, index: int) -> Any:
    @emits(dtype, 8)
    def step(builder, total, arrays, strides, scalars, row, column, columns, *sums):  # type: ignore[no-untyped-def]
        if term is None:
            return total
        o = Scalars(builder, dtype)
        e = Fields(builder, operation, dtype, arrays, strides, scalars, row, column, columns, sums[:index])
        return o.coerce(term(o, o.value(total), e))

    return step
