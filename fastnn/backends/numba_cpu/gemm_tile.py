"""The register tile of the GEMM: M_TILE x N_TILE accumulators, fed by broadcasts of A and vectors of B. One shape
table a dtype and ISA."""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

from ...arithmetic import K_CHUNK
from .cpu import vector_bytes
from .lanes import I64, ITEMSIZE, Frame, Kernel, Lanes, Value, kernel

# What a tile does beside C = A B over one chunk of k.
ACCUMULATE = 1  # C + chunk instead of chunk
BIAS = 2  # then + bias by columns
RELU = 4  # then max(0, .)
PACKED = 8  # the panel of B is padded to whole vectors
TRANSPOSED = 16  # of `gemm_blocks`: B is given as (n, k)


class Tile(NamedTuple):
    """`rows` x `vectors` accumulators."""

    rows: int
    vectors: int


class Shape(NamedTuple):
    """The tiles of one vector width: full ones, and the row counts that finish a matrix."""

    wide: tuple[Tile, ...]  # for panels of more than one vector, most rows first
    narrow: tuple[Tile, ...]  # for panels of one vector


SHAPES = {
    64: Shape((Tile(8, 2), Tile(4, 2), Tile(1, 2)), (Tile(16, 1), Tile(4, 1), Tile(1, 1))),
    32: Shape((Tile(6, 2), Tile(2, 2), Tile(1, 2)), (Tile(8, 1), Tile(4, 1), Tile(1, 1))),
    16: Shape((Tile(4, 2), Tile(2, 2), Tile(1, 2)), (Tile(8, 1), Tile(4, 1), Tile(1, 1))),
}
# The tile of packed panels, whose rows of A have four pointers to share; with AVX-512 it fills the registers.
BLOCK_TILES = {64: Tile(14, 2), 32: Tile(6, 2), 16: Tile(4, 2)}
BYTES = vector_bytes()
# Rows of A, and row stride of B, from which a packed panel repays its copy: the decision list has the figures.
PACK_ROWS, PACK_STRIDE = 48, 256
SHAPE, BLOCK_TILE = SHAPES[BYTES], BLOCK_TILES[BYTES]


def _tile(tile: Tile) -> Any:
    """Body of one tile: C_mn (+)= A_mk B_kn for m = tile.rows, n <= tile.vectors vectors, ascending k from +0."""

    def emit(
        f: Frame,
        C: Any,
        ldc: Any,
        A: Any,
        a_row: Any,
        a_k: Any,
        B: Any,
        ldb: Any,
        n: Any,
        k: Any,
        bias: Any,
        flags: Any,
    ) -> None:
        builder = f.builder
        o = Lanes(builder, f.dtype, BYTES // ITEMSIZE[f.dtype])
        size = I64(f.itemsize)
        masks = []
        for j in range(tile.vectors):
            left = builder.sub(n, I64(j * o.width))
            masks.append(f.mask(left, o.width))
        zero = o.constant(0.0).ir
        accumulators = [[f.variable(zero) for _ in range(tile.vectors)] for _ in range(tile.rows)]
        row_bytes, k_bytes, b_bytes, c_bytes = (builder.mul(stride, size) for stride in (a_row, a_k, ldb, ldc))
        # Every fourth row has a pointer: the others are reached by offsets that fit in registers.
        offsets = [I64(0), row_bytes, builder.mul(row_bytes, I64(2)), builder.mul(row_bytes, I64(3))]
        starts = [builder.add(A, builder.mul(row_bytes, I64(i))) for i in range(0, tile.rows, 4)]

        def column(address: Any, j: int) -> Any:
            return builder.add(address, I64(j * o.width * f.itemsize))

        def loop(masked: bool) -> None:
            with f.loop(k) as step:
                b_at = builder.add(B, builder.mul(step, b_bytes))
                b = [f.load(column(b_at, j), masks[j] if masked else None, o) for j in range(tile.vectors)]
                a_offset = builder.mul(step, k_bytes)
                a_starts = [builder.add(start, a_offset) for start in starts]
                for i in range(tile.rows):
                    a = o.splat(f.load_scalar(builder.add(a_starts[i // 4], offsets[i % 4])))
                    for j in range(tile.vectors):
                        slot = accumulators[i][j]
                        builder.store(o.fma(a, b[j], Value(o, builder.load(slot))).ir, slot)

        c_rows = [C]
        for _ in range(1, tile.rows):
            c_rows.append(builder.add(c_rows[-1], c_bytes))
        packed = builder.icmp_signed("!=", builder.and_(flags, I64(PACKED)), I64(0))
        if tile == BLOCK_TILE:
            # C may be far away: it is asked for before the sums that it is added to.
            for c_row in c_rows:
                for j in range(tile.vectors):
                    f.prefetch(column(c_row, j))
        full = builder.or_(packed, builder.icmp_signed(">=", n, I64(tile.vectors * o.width)))
        with builder.if_else(full) as (unmasked, masked):
            with unmasked:
                loop(False)
            with masked:
                loop(True)

        def has(flag: int) -> Any:
            return builder.icmp_signed("!=", builder.and_(flags, I64(flag)), I64(0))

        def update(change: Any) -> None:
            for i in range(tile.rows):
                for j in range(tile.vectors):
                    slot = accumulators[i][j]
                    builder.store(change(Value(o, builder.load(slot)), i, j).ir, slot)

        with builder.if_then(has(ACCUMULATE)):
            update(lambda value, i, j: f.load(column(c_rows[i], j), masks[j], o) + value)
        with builder.if_then(has(BIAS)):
            biases = [f.load(column(bias, j), masks[j], o) for j in range(tile.vectors)]
            update(lambda value, i, j: value + biases[j])
        with builder.if_then(has(RELU)):
            update(lambda value, i, j: o.select(value < 0.0, 0.0, value))
        for i in range(tile.rows):
            for j in range(tile.vectors):
                f.store(Value(o, builder.load(accumulators[i][j])), column(c_rows[i], j), masks[j])

    return emit


def tile_kernel(tile: Tile) -> Kernel:
    """The kernel of one tile; panels call it."""
    return Kernel(f"gemm_tile_{tile.rows}x{tile.vectors}", 11, 0, _tile(tile), "void")


def _pack(f: Frame, B: Any, ldb: Any, n: Any, k: Any, width: int) -> Any:
    """The address of a contiguous copy of a panel of B, on the stack, its rows padded with zeros to whole vectors.

    An unpacked panel lies in few sets of the first cache when the row stride is near a power of two.
    """
    builder = f.builder
    o = Lanes(builder, f.dtype, BYTES // ITEMSIZE[f.dtype])
    slots = cgutils.alloca_once(builder, ir.ArrayType(o.type, K_CHUNK * width // o.width))
    slots.align = BYTES
    copy = builder.ptrtoint(slots, I64)
    masks = [f.mask(builder.sub(n, I64(j)), o.width) for j in range(0, width, o.width)]
    with f.loop(k) as row:
        source, target = f.at(B, builder.mul(row, ldb)), f.at(copy, builder.mul(row, I64(width)))
        for j, mask in enumerate(masks):
            offset = I64(j * BYTES)
            f.store(f.load(builder.add(source, offset), mask, o), builder.add(target, offset))
    return copy


def _panel(tiles: tuple[Tile, ...], packed: bool = False) -> Any:
    """Body: C_mn (+)= A_mk B_kn for a panel of n columns: whole tiles down m, most rows first."""
    members = [(tile, tile_kernel(tile)) for tile in tiles]

    def emit(
        f: Frame,
        C: Any,
        ldc: Any,
        A: Any,
        a_row: Any,
        a_k: Any,
        B: Any,
        ldb: Any,
        m: Any,
        n: Any,
        k: Any,
        bias: Any,
        flags: Any,
    ) -> None:
        builder = f.builder
        width = tiles[0].vectors * BYTES // f.itemsize
        if packed:
            B, ldb, flags = _pack(f, B, ldb, n, k, width), I64(width), builder.or_(flags, I64(PACKED))
        done = I64(0)
        for tile, member in members:
            rows = builder.sub(m, done)
            end = builder.add(done, builder.mul(builder.sdiv(rows, I64(tile.rows)), I64(tile.rows)))
            with f.loop(end, tile.rows, done) as i:
                c_at, a_at = f.at(C, builder.mul(i, ldc)), f.at(A, builder.mul(i, a_row))
                builder.call(
                    member.define(builder.module, f.dtype), [c_at, ldc, a_at, a_row, a_k, B, ldb, n, k, bias, flags]
                )
            done = end

    return emit


# gemm_panel_*(zero, C, ldc, A, row stride of A, k stride of A, B, ldb, m, n, k, bias, flags)
gemm_panel_wide = kernel("gemm_panel_wide", 12, 0, _panel(SHAPE.wide))
gemm_panel_packed = kernel("gemm_panel_packed", 12, 0, _panel(SHAPE.wide, packed=True))
gemm_panel_narrow = kernel("gemm_panel_narrow", 12, 0, _panel(SHAPE.narrow))
