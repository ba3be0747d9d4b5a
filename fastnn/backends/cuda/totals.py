"""Sums in float64: over the rows of a batch in their order, and over all parameters in blocks of 16 lanes."""

from __future__ import annotations

from typing import Any

from ...core.arithmetic import BLOCK, LANES
from .compiler import TYPES, cuda
from .geometry import THREADS
from .intrinsics import converts, folds, loads, stores, traced
from .templates import LANE_BITS, THREAD_BITS, Source

_load, _store, _integer = loads("float64"), stores("float64"), loads("integer")
_fma = traced(lambda o, a, b, c: o.fma(a, b, c), "float64", 3)
_add = traced(lambda o, a, b: a + b, "float64", 2)
_subtract = traced(lambda o, a, b: a - b, "float64", 2)
_multiply = traced(lambda o, a, b: a * b, "float64", 2)
_fold = folds(lambda o, a, b: a + b, "float64")
_add_size = traced(lambda o, lane, w: lane + o.abs(w), "float64", 2)


def weighted_sum(dtype: str) -> Source:
    """One thread: total += w l in row order.

    Arguments: the addresses of the total in the first step, of the step's number, of l and w; the elements between the
    totals of steps, between those of l, of w; rows.
    """
    load, wide = loads(dtype), converts(dtype, "float64")

    def kernel(total, clock, l, w, apart, l_apart, w_apart, rows):  # type: ignore[no-untyped-def]  # noqa: E741
        if cuda.threadIdx.x == 0:
            place = _integer(clock, 0) * apart
            made = _load(total, place)
            row = 0
            while row < rows:
                made = _fma(wide(load(w, row * w_apart)), wide(load(l, row * l_apart)), made)
                row += 1
            _store(total, place, made)

    return Source(kernel, (*(TYPES["address"],) * 4, *(TYPES["integer"],) * 4), (LANES * 2, 1))


def r2_sums(dtype: str) -> Source:
    """A thread a column: its three sums in row order; one more for the sum of the weights.

    Arguments: the addresses of the totals, of A, Y and w; the elements between rows of those three; rows, columns.
    """
    load, wide = loads(dtype), converts(dtype, "float64")

    def kernel(total, A, Y, w, A_apart, Y_apart, w_apart, rows, columns):  # type: ignore[no-untyped-def]
        column = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        row = 0
        if column < columns:
            sy, syy = _load(total, column), _load(total, columns + column)
            see = _load(total, 2 * columns + column)
            while row < rows:
                y, weight = wide(load(Y, row * Y_apart + column)), wide(load(w, row * w_apart))
                sy = _fma(weight, y, sy)
                syy = _fma(_multiply(weight, y), y, syy)
                d = _subtract(y, wide(load(A, row * A_apart + column)))
                see = _fma(_multiply(weight, d), d, see)
                row += 1
            _store(total, column, sy)
            _store(total, columns + column, syy)
            _store(total, 2 * columns + column, see)
        if column == columns:
            sw = _load(total, 3 * columns)
            while row < rows:
                sw = _add(sw, wide(load(w, row * w_apart)))
                row += 1
            _store(total, 3 * columns, sw)

    return Source(kernel, (*(TYPES["address"],) * 4, *(TYPES["integer"],) * 5), (THREADS, 1))


def _blocks(dtype: str, step: Any) -> Source:
    """16 threads a block of 4096 elements: its total.

    Arguments: the addresses of the totals and of w; its elements.
    """
    load, wide = loads(dtype), converts(dtype, "float64")

    def kernel(totals, w, size):  # type: ignore[no-untyped-def]
        block = (cuda.blockIdx.x << (THREAD_BITS - LANE_BITS)) + (cuda.threadIdx.x >> LANE_BITS)
        end = min((block + 1) * BLOCK, size)
        lane = cuda.threadIdx.x & (LANES - 1)
        at = block * BLOCK + lane
        made = 0.0
        while at < end:
            made = step(made, wide(load(w, at)))
            at += LANES
        made = _fold(made)
        if lane == 0 and block * BLOCK < size:
            _store(totals, block, made)

    return Source(kernel, (*(TYPES["address"],) * 2, TYPES["integer"]), (THREADS, 1))


def sum_abs(dtype: str) -> Source:
    """Of magnitudes; see `_blocks`."""
    return _blocks(dtype, _add_size)


def sum_squares(dtype: str) -> Source:
    """Of squares; see `_blocks`."""
    square = traced(lambda o, lane, w: o.fma(w, w, lane), "float64", 2)
    return _blocks(dtype, square)


def add_blocks(dtype: str) -> Source:
    """One thread: total += the sum of the blocks' totals in order.

    Arguments: the addresses of the total in the first step, of the step's number, of the blocks' totals; the elements
    between the totals of steps; blocks.
    """

    def kernel(total, clock, blocks, apart, count):  # type: ignore[no-untyped-def]
        if cuda.threadIdx.x == 0:
            place = _integer(clock, 0) * apart
            made, block = 0.0, 0
            while block < count:
                made = _add(made, _load(blocks, block))
                block += 1
            _store(total, place, _add(_load(total, place), made))

    return Source(kernel, (*(TYPES["address"],) * 3, *(TYPES["integer"],) * 2), (LANES * 2, 1))
