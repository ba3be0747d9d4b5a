"""GEMM of large matrices. A block of B, K_CHUNK rows of BLOCK_BYTES, is copied into panels of two vectors that lie in
the order in which tiles read them: it stays in the second cache while all rows of A pass over it, and no row stride
can crowd it into a few sets. The bits are those of `gemm.py`, whose chunks these are.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

from ...arithmetic import K_CHUNK
from .gemm_tile import ACCUMULATE, BLOCK_TILE, BYTES, PACKED, SHAPE, TRANSPOSED, Tile, tile_kernel
from .jit import device
from .lanes import I64, ITEMSIZE, Frame, Lanes, kernel
from .memory import itemsize
from .transpose import pack_transposed

BLOCK_ROWS = 126  # rows of A that are packed at a time
BLOCK_BYTES = 2048  # of a row of a block of B
PACKED_CHUNKS = 2  # blocks of B that a buffer holds


LEAST_COLUMNS = 128  # of C, from which on blocks repay their copies


@register_jitable
def packed_rows(size):
    """Where packed rows of A begin in the buffer of one thread, for elements of `size` bytes: after the blocks of B."""
    return PACKED_CHUNKS * K_CHUNK * BLOCK_BYTES // size


@register_jitable
def pack_size(size):
    """Elements of that buffer."""
    return packed_rows(size) + K_CHUNK * BLOCK_ROWS


@device
def is_large(m, n, k):
    """Whether blocks repay their copies."""
    return m >= 64 and n >= LEAST_COLUMNS and k >= 8


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


def _pack_tiles(f: Frame, tile: Tile, first: Any, last: Any, copy: Any, A: Any, a_k: Any, k: Any) -> None:
    """Rows of A whose columns are contiguous, as tiles of `tile.rows` rows read them."""
    builder = f.builder
    o = Lanes(builder, f.dtype, tile.rows)
    with f.loop(k) as step:
        source, target = f.at(A, builder.mul(step, a_k)), f.at(copy, builder.mul(step, I64(tile.rows)))
        with f.loop(last, tile.rows, first) as i:
            f.store(f.load(f.at(source, i), None, o), f.at(target, builder.mul(i, k)))


def _ends(f: Frame, height: Any) -> list[Any]:
    """Where the tiles of each height end; the tallest leave some rows to the next ones where that leaves them whole."""
    builder = f.builder
    tall, rest = BLOCK_TILE.rows, SHAPE.wide[1].rows

    def whole(n: Any, unit: int) -> Any:
        return builder.mul(builder.sdiv(n, I64(unit)), I64(unit))

    end = whole(height, tall)
    if tall % rest:
        left = builder.srem(builder.sub(height, end), I64(rest))
        fewer = builder.and_(builder.icmp_signed(">=", left, I64(tall % rest)), builder.icmp_signed(">", end, I64(0)))
        end = builder.sub(end, builder.select(fewer, I64(tall), I64(0)))
    ends = [end]
    for tile in SHAPE.wide:
        ends.append(builder.add(ends[-1], whole(builder.sub(height, ends[-1]), tile.rows)))
    return ends


def _packed(
    f: Frame,
    C: Any,
    ldc: Any,
    A: Any,
    a_row: Any,
    a_k: Any,
    panels: Any,
    m: Any,
    n: Any,
    k: Any,
    bias: Any,
    flags: Any,
    rows: Any,
) -> None:
    """C_mn (+)= A_mk B_kn for one chunk of k and one block of columns, whose panels are packed. An A that is not
    contiguous along k is packed too, into `rows`."""
    builder = f.builder
    width = 2 * BYTES // ITEMSIZE[f.dtype]
    flags = builder.or_(flags, I64(PACKED))
    packs = builder.icmp_signed("!=", a_k, I64(1))
    with f.loop(m, BLOCK_ROWS) as start:
        height = builder.sub(m, start)
        height = builder.select(builder.icmp_signed("<", height, I64(BLOCK_ROWS)), height, I64(BLOCK_ROWS))
        C_at, A_at = f.at(C, builder.mul(start, ldc)), f.at(A, builder.mul(start, a_row))
        first = I64(0)
        for tile, last in zip((BLOCK_TILE, *SHAPE.wide), _ends(f, height), strict=True):
            with builder.if_then(packs):
                _pack_tiles(f, tile, first, last, rows, A_at, a_k, k)
            row_stride = builder.select(packs, I64(1), a_row)
            k_stride = builder.select(packs, I64(tile.rows), a_k)
            with f.loop(last, tile.rows, first) as i:
                a = builder.select(packs, f.at(rows, builder.mul(i, k)), f.at(A_at, builder.mul(i, a_row)))
                c = f.at(C_at, builder.mul(i, ldc))
                with f.loop(n, width) as j:
                    builder.call(
                        tile_kernel(tile).define(builder.module, f.dtype),
                        [
                            f.at(c, j),
                            ldc,
                            a,
                            row_stride,
                            k_stride,
                            f.at(panels, builder.mul(j, k)),
                            I64(width),
                            builder.sub(n, j),
                            k,
                            f.at(bias, j),
                            flags,
                        ],
                    )
            first = last


# gemm_packed(zero, C, ldc, A, row stride of A, k stride of A, panels, m, n, k, bias, flags, rows)
gemm_packed = kernel("gemm_packed", 12, 0, _packed)


@device
def gemm_blocks(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack):
    """`gemm` by blocks; with TRANSPOSED for a B that is given as (n, k). `pack` is the address of a buffer of
    `pack_size` elements."""
    size = itemsize(zero)
    columns = BLOCK_BYTES // size
    rows = pack + packed_rows(size) * size
    for j in range(0, n, columns):
        width = min(n - j, columns)
        for start in range(0, k, K_CHUNK):
            depth = min(k - start, K_CHUNK)
            step_flags = flags if start + depth >= k else 0
            if start > 0:
                step_flags |= ACCUMULATE
            if flags & TRANSPOSED:
                pack_transposed(zero, pack, B + (j * ldb + start) * size, ldb, width, depth)
            else:
                pack_panels(zero, pack, B + (start * ldb + j) * size, ldb, width, depth)
            gemm_packed(
                zero,
                C + j * size,
                ldc,
                A + start * a_k * size,
                a_row,
                a_k,
                pack,
                m,
                width,
                depth,
                bias + j * size,
                step_flags,
                rows,
            )
