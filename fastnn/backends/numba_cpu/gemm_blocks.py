"""GEMM by register tiles: rows of C in tiles of nearly equal heights, over columns of B that are packed into panels or
lie as they were given."""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

from ...arithmetic import K_CHUNK
from .elementwise import copy
from .gemm_tile import BYTES, NARROW_ROWS, TILE_ROWS, gemm_tiles
from .jit import device
from .lanes import I64, LANES, Frame, Lanes, kernel
from .memory import itemsize

BLOCK_ROWS = 126  # rows of A that are packed at a time
BLOCK_BYTES = 2048  # of a row of a block of B
PACKED_CHUNKS = 2  # blocks of B that a buffer holds
LEAST_COLUMNS = 128  # that a narrower block is a multiple of
# What a GEMM may leave to the second cache unpacked; rows that lie a multiple of the other apart share few sets of a
# cache.
SECOND_CACHE, ALIAS_BYTES = 600000, 4096
COPY_STRIDE = K_CHUNK + LANES  # of copied rows of A


@register_jitable
def packed_rows(size):
    """Where packed rows of A begin in the buffer of one thread, for elements of `size` bytes: after the blocks of B."""
    return PACKED_CHUNKS * K_CHUNK * BLOCK_BYTES // size


@register_jitable
def pack_size(size):
    """Elements of that buffer."""
    return packed_rows(size) + K_CHUNK * BLOCK_ROWS


def _pack_rows(f: Frame, copy: Any, A: Any, a_k: Any, rows: Any, tiles: Any, k: Any) -> None:
    """`tiles` tiles of `rows` rows of A, whose columns are contiguous, in the order in which a tile reads them."""
    builder = f.builder
    o = Lanes(builder, f.dtype, NARROW_ROWS)
    mask = f.mask(rows, o.width)
    with f.loop(k) as step:
        source, target = f.at(A, builder.mul(step, a_k)), f.at(copy, builder.mul(step, rows))
        with f.loop(tiles) as tile:
            i = builder.mul(tile, rows)
            f.store(f.load(f.at(source, i), mask, o), f.at(target, builder.mul(i, k)), mask)


# pack_rows(zero, copy, A, k stride of A, rows, tiles, k)
pack_rows = kernel("gemm_pack_rows", 6, 0, _pack_rows)


def _pack_panels(f: Frame, panels: Any, B: Any, ldb: Any, n: Any, k: Any) -> None:
    """Panels of two vectors of columns of B, each contiguous, the last one padded with zeros."""
    builder = f.builder
    o = Lanes(builder, f.dtype, BYTES // f.itemsize)
    width = 2 * o.width
    whole = builder.and_(n, I64(-width))
    left = builder.sub(n, whole)
    masks = [f.mask(left, o.width), f.mask(builder.sub(left, I64(o.width)), o.width)]
    with f.loop(k) as row:
        source, target = f.at(B, builder.mul(row, ldb)), f.at(panels, builder.mul(row, I64(width)))

        def copy(j: Any, masks: Any) -> None:
            for vector, mask in enumerate(masks):
                offset = I64(vector * BYTES)
                value = f.load(builder.add(f.at(source, j), offset), mask, o)
                f.store(value, builder.add(f.at(target, builder.mul(j, k)), offset))

        with f.loop(whole, width) as j:
            copy(j, (None, None))
        with builder.if_then(builder.icmp_signed("<", whole, n)):
            copy(whole, masks)


# pack_panels(zero, panels, B, ldb, n, k)
pack_panels = kernel("gemm_pack_panels", 5, 0, _pack_panels)


@device
def gemm_rows(zero, C, ldc, A, a_row, a_k, B, ldb, panel, m, n, k, bias, flags, rows):
    """C_mn (+)= A_mk B_kn over one chunk of k and a block of columns. Columns of B lie in panels of two vectors: rows
    of a panel `ldb` apart, panels `panel`. `rows` takes copies of A's, or is 0."""
    size = itemsize(zero)
    copies, packs = rows != 0 and a_k == 1, rows != 0 and a_k != 1
    most = NARROW_ROWS if n <= BYTES // size else TILE_ROWS
    for start in range(0, m, BLOCK_ROWS):
        height = min(BLOCK_ROWS, m - start)
        tiles = (height + most - 1) // most
        low, more = height // tiles, height % tiles
        at, c = A + start * a_row * size, C + start * ldc * size
        if packs:
            high = more * (low + 1)
            pack_rows(zero, rows, at, a_k, low + 1, more, k)
            pack_rows(zero, rows + high * k * size, at + high * size, a_k, low, tiles - more, k)
            at = rows
        for tile in range(tiles):
            own = low + 1 if tile < more else low
            if packs:
                gemm_tiles(zero, own - 1, c, ldc, at, 1, own, B, ldb, panel, n, k, bias, flags)
                at += own * k * size
            else:
                if copies:
                    for i in range(own):
                        copy(zero, rows + i * COPY_STRIDE * size, at + i * a_row * size, k)
                    gemm_tiles(zero, own - 1, c, ldc, rows, COPY_STRIDE, 1, B, ldb, panel, n, k, bias, flags)
                else:
                    gemm_tiles(zero, own - 1, c, ldc, at, a_row, a_k, B, ldb, panel, n, k, bias, flags)
                at += own * a_row * size
            c += own * ldc * size


@device
def packs_rows(zero, a_row, a_k, m, n, k):
    """Whether tiles should have rows of A beside each other: those of X^T dZ where many panels read them, or where they
    are many; those of X and dZ where they share few sets of the first cache."""
    size = itemsize(zero)
    lanes, total = BYTES // size, m * k * size
    if a_k == 1:
        return a_row * size % ALIAS_BYTES == 0 and m > 12 and (n > 4 * lanes or n <= lanes)
    return (n > 8 * lanes and total > 32768) or (n > 2 * lanes and total > SECOND_CACHE)


@device
def gemm_chunk(zero, C, ldc, A, a_row, a_k, B, ldb, panel, m, n, k, bias, flags, pack):
    """`gemm_rows` with copies of rows in the buffer at `pack` where they repay it."""
    rows = pack + packed_rows(itemsize(zero)) * itemsize(zero) if packs_rows(zero, a_row, a_k, m, n, k) else 0
    gemm_rows(zero, C, ldc, A, a_row, a_k, B, ldb, panel, m, n, k, bias, flags, rows)
