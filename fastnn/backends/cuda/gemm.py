"""The product in tiles: a block holds a part of C, its threads parts of that in registers; A and B pass through shared
memory in two stages. The contract's sums of whole chunks lie in shared memory, 16 bytes of each thread beside each
other.

Every thread runs `kernel` at the end of this file, whose parts are intrinsics: they emit the hundreds of fmas that
Numba would type for a minute.
"""

from __future__ import annotations

import numpy as np

from ...core.arithmetic import K_CHUNK
from .compiler import TYPES, cuda
from .gemm_tile import Parts
from .templates import Source
from .tiles import Tile


def gemm(dtype: str, form: str, tile: Tile) -> Source:
    """A form of the product: "nn", "tn" or "nt", by which of A and B is transposed.

    Arguments: the addresses of C, A, B and the bias (0: none); M, N, K; the elements between rows of A, B, C; 1 for a
    relu at the end. A tile at an edge of C begins further up or left, where it is whole, and leaves out what others
    write; else it reads the last row and column again instead of those outside.
    """
    parts = Parts(dtype, form, tile)
    begin, clear, zeros, fetch, put = parts.begin(), parts.clear(), parts.zeros(), parts.fetch(), parts.put()
    advance, multiply, multiply_one, fold, finish = (
        parts.advance(), parts.multiply(tile.depth), parts.multiply(1), parts.fold(), parts.finish()
    )  # fmt: skip
    put_rest = parts.put_rest()
    stage, each = np.int32(parts.stage), np.int32(K_CHUNK // tile.depth - 1)
    zero, one, chunk = np.int32(0), np.int32(1), np.int32(K_CHUNK - 1)
    shift = np.int32(tile.depth.bit_length() - 1)

    def kernel(C, A, B, bias, M, N, K, a_apart, b_apart, c_apart, relu):  # type: ignore[no-untyped-def]
        fixed, places = begin(A, B, M, N, a_apart, b_apart)
        clear(fixed)
        sums = zeros()
        steps = np.int32(K >> shift)
        rest = np.int32(K - np.int32(steps << shift))
        buffer, step = zero, zero
        if steps > zero:
            put(fetch(fixed, places), fixed, buffer)
            places = advance(fixed, places)
        cuda.syncthreads()
        while np.int32(step + one) < steps:
            got = fetch(fixed, places)
            places = advance(fixed, places)
            sums = multiply(sums, fixed, buffer)
            buffer = np.int32(stage - buffer)
            put(got, fixed, buffer)
            cuda.syncthreads()
            step = np.int32(step + one)
            if np.int32(step & each) == zero:
                fold(sums, fixed)
                sums = zeros()
        if steps > zero:
            sums = multiply(sums, fixed, buffer)
            step = np.int32(step + one)
            if np.int32(step & each) == zero:
                fold(sums, fixed)
                sums = zeros()
        if rest > zero:
            cuda.syncthreads()
            put_rest(fixed, places, rest)
            cuda.syncthreads()
            row = zero
            while row < rest:
                sums = multiply_one(sums, fixed, row)
                row = np.int32(row + one)
        if np.int32(K & chunk) != zero or zero == K:
            fold(sums, fixed)
        finish(fixed, C, bias, M, N, c_apart, relu)

    arguments = (*(TYPES["address"],) * 4, *(TYPES["int32"],) * 7)
    return Source(kernel, arguments, (tile.threads, tile.blocks))
