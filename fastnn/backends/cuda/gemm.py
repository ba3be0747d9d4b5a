"""The product in tiles: a block holds a part of C, its threads parts of that in registers; A and B pass through shared
memory in two stages. The contract's sums of whole chunks lie in shared memory, 16 bytes of each thread beside each
other. Where C alone is too small for the card, each chunk of K has blocks of its own.

Every thread runs `kernel` at the end of this file, whose parts are intrinsics: they emit the hundreds of fmas that
Numba would type for a minute.
"""

from __future__ import annotations

import numpy as np

from ...core.arithmetic import K_CHUNK
from . import gemm_sums, gemm_tile
from .compiler import TYPES, cuda, repeated
from .gemm_layout import Layout
from .templates import Source
from .tiles import Tile


def gemm(dtype: str, form: str, tile: Tile) -> Source:
    """A form of the product: "nn", "tn" or "nt", by which of A and B is transposed.

    Arguments: the addresses of C, A, B, of the bias and of the output of the relu whose slope C is multiplied by (0:
    none); those of the scratch and of a count for each tile, which are 0, if a block has one chunk of K alone, else 0;
    M, N, K; the elements between rows of A, B, C; 1 for a relu at the end. A whole tile at an edge of C begins further
    up or left, and leaves out what others write; else it reads the last row and column again instead of those outside.
    """
    layout = Layout(dtype, form, tile)
    begin, clear, zeros, fetch = (
        layout.begin(),
        gemm_sums.clear(layout),
        gemm_tile.zeros(layout),
        gemm_tile.fetch(layout),
    )
    put, put_rest, advance = gemm_tile.put(layout), gemm_tile.put_rest(layout), gemm_tile.advance(layout)
    multiply, multiply_one = gemm_tile.multiply(layout, tile.depth), gemm_tile.multiply(layout, 1)
    fold, depth_of, leave = gemm_sums.fold(layout), gemm_sums.depth_of(layout), gemm_sums.leave(layout)
    count, add_left = gemm_sums.count(layout), gemm_sums.add_left(layout)
    finish, finish_slope = gemm_sums.finish(layout), gemm_sums.finish_slope(layout)
    stage, each = np.int32(layout.stage), np.int32(K_CHUNK // tile.depth - 1)
    zero, one, chunk = np.int32(0), np.int32(1), np.int32(K_CHUNK - 1)
    shift, exchanges = np.int32(tile.depth.bit_length() - 1), not tile.whole
    parts = np.int32(tile.thread_rows // layout.pack)

    def kernel(C, A, B, bias, output, scratch, counts, sizes, strides, relu):  # type: ignore[no-untyped-def]
        (M, N, K), (a_apart, b_apart, c_apart) = sizes, strides
        fixed, places = begin(A, B, M, N, a_apart, b_apart)
        clear(fixed)
        sums = zeros()
        depth = depth_of(K, scratch)
        steps = np.int32(depth >> shift)
        rest = np.int32(depth - np.int32(steps << shift))
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
        if np.int32(depth & chunk) != zero or zero == depth:
            fold(sums, fixed)
        part = zero
        if scratch != 0:
            while part < parts:
                leave(part, fixed, scratch)
                part = np.int32(part + one)
            cuda.syncthreads()
            last = zero
            if cuda.threadIdx.x == 0:
                last = count(counts)
            if cuda.syncthreads_or(last) == zero:
                return
            clear(fixed)
            index = zero
            while index < cuda.gridDim.z:
                part = zero
                while part < parts:
                    add_left(part, fixed, scratch, index)
                    part = np.int32(part + one)
                index = np.int32(index + one)
        if exchanges:
            cuda.syncthreads()
        part = zero
        while part < parts:
            if output != 0:
                finish_slope(part, fixed, C, output, M, N, c_apart)
            else:
                finish(part, fixed, C, bias, relu, M, N, c_apart)
            part = np.int32(part + one)

    arguments = (*(TYPES["address"],) * 7, repeated("int32", 3), repeated("int32", 3), TYPES["int32"])
    return Source(kernel, arguments, (tile.threads, tile.blocks))
