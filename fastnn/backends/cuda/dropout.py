"""Dropout and noise: the random numbers are a function of seed, step, layer and element, so nothing is kept."""

from __future__ import annotations

import numpy as np

from ...core.random import Purpose
from .compiler import TYPES, cuda, repeated, tuple_of
from .geometry import THREADS
from .intrinsics import loads, philox, stores, traced, wholes
from .templates import Source, map_place

_DROPOUT, _NOISE = int(Purpose.DROPOUT), int(Purpose.NOISE)


@cuda.jit(device=True, inline="always")
def block_words(purpose, step, layer, number, seed):  # type: ignore[no-untyped-def]
    """The four words of a block of a number; see `counter` and `key` of `core/random.py`."""
    return philox(
        np.uint32(number),
        np.uint32((layer & 0xFFFF) | ((number >> 32) & 0xFFFF) << 16),
        np.uint32(step),
        np.uint32(purpose | ((step >> 32) & 0xFFFFFF) << 8),
        np.uint32(seed),
        np.uint32(seed >> 32),
    )


def dropout(dtype: str) -> Source:
    """A thread for each block of four words, whose elements lie 16 columns apart.

    Arguments: the addresses of A and Z; the elements between their rows; rows, columns, and the blocks of a row; of a
    map's blocks those beside each other, and the bits of the columns of one; 1 / (1 - rate); the least number that
    keeps an element; the addresses of a table of steps, and of the step's number in it; seed, layer.
    """
    load, store, integer = loads(dtype), stores(dtype), loads("integer")
    multiply = traced(lambda o, a, b: a * b, dtype, 2)
    zero = traced(lambda o: o.constant(0.0), dtype, 0)

    def kernel(A, Z, strides, rows, columns, row_words, column_blocks, shift, scale, least, key):  # type: ignore[no-untyped-def]
        (a_apart, z_apart), (steps, clock, seed, layer) = strides, key
        row, word = map_place(column_blocks, shift)
        if row < rows and word < row_words:
            number = row * row_words + word
            step = integer(steps, integer(clock, 0))
            words = block_words(_DROPOUT, step, layer, number, seed)
            column = ((word >> 4) << 6) + (word & 15)
            for drawn in words:
                if column < columns:
                    scaled = multiply(load(Z, row * z_apart + column), scale)
                    store(A, row * a_apart + column, scaled if np.int64(drawn) >= least else zero())
                column += 16

    key = tuple_of("address", "address", "integer", "integer")
    rest = repeated("integer", 2), *(TYPES["integer"],) * 5, TYPES[dtype], TYPES["integer"], key
    return Source(kernel, (*(TYPES["address"],) * 2, *rest), (THREADS, 1))


def uniform(dtype: str) -> Source:
    """Odd multiples of 2^-23 from -1 to 1, by a thread for each block of four words.

    Arguments: the address of A; the elements between its rows; rows, columns, and the blocks of a row; of a map's
    blocks those beside each other, and the bits of the columns of one; the addresses of a table of the rows at which
    steps begin, of a table of steps, and of the step's number in both; seed, layer.
    """
    store, integer, whole = stores(dtype), loads("integer"), wholes(dtype)
    scaled = traced(lambda o, x: x * 2.0**-23, dtype, 1)

    def kernel(A, a_apart, rows, columns, row_words, column_blocks, shift, key):  # type: ignore[no-untyped-def]
        starts, steps, clock, seed, layer = key
        row, word = map_place(column_blocks, shift)
        if row < rows and word < row_words:
            now = integer(clock, 0)
            number, step = (integer(starts, now) + row) * row_words + word, integer(steps, now)
            words = block_words(_NOISE, step, layer, number, seed)
            column = ((word >> 4) << 6) + (word & 15)
            for drawn in words:
                if column < columns:
                    store(A, row * a_apart + column, scaled(whole((np.int64(drawn) >> 9) * 2 - 8388607)))
                column += 16

    key = tuple_of("address", "address", "address", "integer", "integer")
    return Source(kernel, (TYPES["address"], *(TYPES["integer"],) * 6, key), (THREADS, 1))
