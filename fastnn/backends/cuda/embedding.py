"""Rows of a table by class numbers, the sum of their gradients, and the rows of a batch."""

from __future__ import annotations

from typing import Any

from .compiler import TYPES, cuda, emits
from .geometry import STRIPES, THREADS
from .intrinsics import loads, stores, traced
from .scalars import I64
from .templates import Source, map_place, quotient


@emits("integer", 1)
def _whole(builder: Any, value: Any) -> Any:
    """A class number, which is whole and not negative."""
    return builder.fptosi(value, I64)


def embedding_forward(dtype: str) -> Source:
    """A thread an element of A.

    Arguments: the addresses of A, y and W; the elements between their rows; rows, columns of A, of W; of a map's blocks
    those beside each other, and the bits of the columns of one.
    """
    load, store = loads(dtype), stores(dtype)

    def kernel(A, y, W, a_apart, y_apart, w_apart, rows, columns, width, column_blocks, shift):  # type: ignore[no-untyped-def]
        row, column = map_place(column_blocks, shift)
        if row < rows and column < columns:
            position = quotient(column, width)
            code = _whole(load(y, row * y_apart + position))
            store(A, row * a_apart + column, load(W, code * w_apart + (column - position * width)))

    return Source(kernel, (*(TYPES["address"],) * 3, *(TYPES["integer"],) * 8), (THREADS, 1))


def embedding_backward(dtype: str) -> Source:
    """A thread for a column of the table and every 16th of its rows: plain adds by row, then by position in the row.

    Arguments: the addresses of dW, y and dA; the elements between their rows; rows, positions in a row, columns of dW.
    """
    load, store = loads(dtype), stores(dtype)
    add = traced(lambda o, a, b: a + b, dtype, 2)

    def kernel(dW, y, dA, w_apart, y_apart, a_apart, rows, positions, width):  # type: ignore[no-untyped-def]
        thread = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        stripe = quotient(thread, width)
        column = thread - stripe * width
        if stripe < STRIPES:
            row = 0
            while row < rows:
                position = 0
                while position < positions:
                    code = _whole(load(y, row * y_apart + position))
                    if code & (STRIPES - 1) == stripe:
                        place = code * w_apart + column
                        store(dW, place, add(load(dW, place), load(dA, row * a_apart + position * width + column)))
                    position += 1
                row += 1

    return Source(kernel, (*(TYPES["address"],) * 3, *(TYPES["integer"],) * 6), (THREADS, 1))


def gather(dtype: str) -> Source:
    """A thread an element: the rows of a batch, in the order of a step.

    Arguments: the addresses of the batch, of all rows, of the order (0: as they lie), of a table of the first rows of
    steps, and of the step's number in it; the elements between rows of the batch, of all rows; rows, columns; of a
    map's blocks those beside each other, and the bits of the columns of one.
    """
    load, store, integer = loads(dtype), stores(dtype), loads("integer")

    def kernel(  # type: ignore[no-untyped-def]
        batch, source, order, firsts, clock, apart, source_apart, rows, columns, column_blocks, shift
    ):
        row, column = map_place(column_blocks, shift)
        if row < rows and column < columns:
            place = integer(firsts, integer(clock, 0)) + row
            if order != 0:
                place = integer(order, place)
            store(batch, row * apart + column, load(source, place * source_apart + column))

    return Source(kernel, (*(TYPES["address"],) * 5, *(TYPES["integer"],) * 6), (THREADS, 1))
