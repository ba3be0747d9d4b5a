"""GEMM by register tiles: rows of C in tiles of nearly equal heights, over columns of B that are packed into panels or
lie as they were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import register_jitable

from ...core.arithmetic import K_CHUNK
from ..tuning import ALIAS_BYTES, BLOCK_BYTES, BLOCK_ROWS, FAR_BYTES, L2_BYTES, PACK_PREFETCH_ROWS, PACKED_CHUNKS
from .frame import Frame, Kernel, register
from .gemm_tile import BYTES, FAR, NARROW_ROWS, PACKED, SLOPE, TILE_ROWS, Product, add, begin, finish, gemm_tiles
from .integers import Control, Integer
from .lanes import I64, LANES, Lanes
from .prefetch import EXPECTED_BYTES, LEFT, ask

COPY_STRIDE = K_CHUNK + LANES  # of copied rows of A


@register_jitable
def packed_columns(chunks, size):
    """Columns of B, of elements of `size` bytes, whose chunks the buffer of one thread holds beside each other: 512, or
    fewer and a multiple of 128, or 0."""
    return min(PACKED_CHUNKS * BLOCK_BYTES // size // chunks // 128 * 128, 512)


@register_jitable
def packed_rows(size):
    """Where packed rows of A begin in the buffer of one thread, for elements of `size` bytes: after the blocks of B."""
    return PACKED_CHUNKS * K_CHUNK * BLOCK_BYTES // size


@register_jitable
def expected_samples(size):
    """Where the table of expected samples begins in that buffer."""
    return packed_rows(size) + K_CHUNK * BLOCK_ROWS


@register_jitable
def pack_size(size):
    """Elements of that buffer."""
    return expected_samples(size) + EXPECTED_BYTES // size


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


# (copy, A, k stride of A, rows, tiles, k)
pack_rows = Kernel("gemm_pack_rows", 6, 0, _pack_rows, "void")


def _copy_rows(f: Frame, copy: Any, A: Any, a_row: Any, rows: Any, k: Any) -> None:
    """Rows of A that are contiguous along k, COPY_STRIDE apart."""
    with f.loop(rows) as row:
        source, target = f.at(A, f.builder.mul(row, a_row)), f.at(copy, f.builder.mul(row, I64(COPY_STRIDE)))
        f.each(k, lambda step, mask: f.store(f.load(f.at(source, step), mask), f.at(target, step), mask))


# (copy, A, row stride of A, rows, k)
copy_rows = Kernel("gemm_copy_rows", 5, 0, _copy_rows, "void")


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
            wanted = builder.add(f.at(source, j), builder.mul(ldb, I64(PACK_PREFETCH_ROWS * f.itemsize)))
            for vector in range(2):
                f.prefetch(builder.add(wanted, I64(vector * BYTES)), second=True)
            copy(j, (None, None))
        with builder.if_then(builder.icmp_signed("<", whole, n)):
            copy(whole, masks)


# (panels, B, ldb, n, k)
PACK_PANELS = Kernel("gemm_pack_panels", 5, 0, _pack_panels, "void")
pack_panels = register(PACK_PANELS)


def _asking_tiles(far: bool) -> Callable[..., None]:
    """The highest tile over all whole panels: beside each of its rows, spread over the steps, it asks the second cache
    for a row of what is wanted next: part of A's next rows if they are far, else parameters of its columns, where A is
    an X^T."""

    def emit(f: Frame, *arguments: Any) -> None:
        to, size, builder = Control(f), f.itemsize, f.builder
        o = Lanes(builder, f.dtype, BYTES // size)
        C, ldc, A, a_row, a_k, B, panel, n, k, bias, flags, wanted, wanted_row, slot_0, slot_1 = to.integers(arguments)
        strides = (a_row.ir, I64(1)) if far else (I64(1), a_k.ir)
        width, part = 2 * o.width, (k // TILE_ROWS).most(1)
        asked = FAR_BYTES if far else width * size
        with to.loop(n // width, 1) as number:
            column = number * width
            p = Product(
                (C + column * size).ir, ldc.ir, A.ir, *strides, (B + number * panel * size).ir, I64(width), I64(width),
                k.ir, (bias + column * size).ir, flags.ir,
            )  # fmt: skip
            place = wanted + number * asked
            starts = (place,) if far else (place, place + slot_0, place + slot_1)

            def row(i: Any, *state: Any) -> list[Any]:
                number = Integer(builder, i)
                for start in starts:
                    for line in range(0, asked, 64):
                        f.prefetch((start + number * wanted_row + line).ir, second=True)
                done = number * part
                steps = (number == TILE_ROWS - 1).select(k - done, (k - done).least(part)).most(0)
                return add(f, o, TILE_ROWS, p, [None, None], False, list(state), steps.ir)

            state = f.carry(I64(TILE_ROWS), begin(f, o, TILE_ROWS, 2, p), row)
            finish(f, o, TILE_ROWS, p, [None, None], state[-2 * TILE_ROWS :])

    return emit


# (C, ldc, A, row stride of A, k stride of A, B, panel, n, k, bias, flags, wanted, wanted_row, slot_0, slot_1)
wanting_tiles = Kernel("gemm_wanting_tiles", 15, 0, _asking_tiles(far=False), "void")
far_tiles = Kernel("gemm_far_tiles", 15, 0, _asking_tiles(far=True), "void")


def _packs_rows(size: int, a_row: Any, a_k: Any, m: Any, n: Any, k: Any) -> Any:
    """Whether tiles should have rows of A beside each other: those of X^T dZ where many panels read them, or where the
    steps of a tile lie far apart; those of X and dZ where they share few sets of the first cache."""
    lanes = BYTES // size
    aliased = (a_row * size % ALIAS_BYTES == 0) & (m > 12) & ((n > 4 * lanes) | (n <= lanes))
    often = (m * k * size > 32768) | (a_k * size % ALIAS_BYTES == 0)
    many = ((n > 8 * lanes) & often) | ((n > 2 * lanes) & (a_k * k * size > L2_BYTES))
    return ((a_k == 1) & aliased) | ((a_k != 1) & many)


def _gemm_rows(f: Frame, *arguments: Any) -> None:
    """C_mn (+)= A_mk B_kn over one chunk of k and a block of columns. Columns of B lie in panels of two vectors: rows
    of a panel `ldb` apart, panels `panel`. A gradient names the parameters that the optimizer wants after it: where
    they begin (or 0), the bytes of a row, and those from theta to a slot. With FAR the next rows of A are asked for.
    `pack` takes copies of A's rows where they repay it, and says which samples tiles ask for; it may be 0."""
    to, size = Control(f), f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, panel, m, n, k, bias, flags, pack, *wants = to.integers(arguments)
    wanted, wanted_row, slot_0, slot_1 = wants
    width, has_buffer = 2 * BYTES // size, pack != 0
    copied = has_buffer & _packs_rows(size, a_row, a_k, m, n, k)
    rows, samples = copied.select(pack + packed_rows(size) * size, 0), pack + expected_samples(size) * size
    far = flags & (FAR | PACKED) == FAR | PACKED
    asking = far.select(n.least(K_CHUNK * size // FAR_BYTES * width), n)
    copies, packs = (rows != 0) & (a_k == 1), (rows != 0) & (a_k != 1)
    narrow = n <= BYTES // size
    most = narrow.select(NARROW_ROWS, TILE_ROWS)
    tiles = (m + most - 1) // most
    low = m // tiles.most(1)
    tall = m - tiles * low  # tiles of a row more
    group = packs.select(narrow.select(BLOCK_ROWS // NARROW_ROWS, BLOCK_ROWS // TILE_ROWS), tiles.most(1))
    with to.loop(tiles, group) as opening:
        end = (opening + group).least(tiles)
        start, split = opening * low + opening.least(tall), opening.most(tall.least(end))
        with to.when(packs):
            a, high = A + start * size, (split - opening) * (low + 1)
            to.call(pack_rows, rows, a, a_k, low + 1, split - opening, k)
            to.call(pack_rows, rows + high * k * size, a + high * size, a_k, low, end - split, k)
        with to.loop(end - opening) as number:
            with to.when(has_buffer), to.when(to.at(samples, LEFT) > 0):
                to.call(ask, samples)
            tile = opening + number
            first = tile * low + tile.least(tall)
            own = (tile < tall).select(low + 1, low)
            own_rows = A + first * a_row * size
            with to.when(copies):
                to.call(copy_rows, rows, own_rows, a_row, own, k)
            at = copies.select(rows, packs.select(rows + (first - start) * k * size, own_rows))
            row, step = copies.select(COPY_STRIDE, packs.select(1, a_row)), packs.select(own, a_k)
            c, whole = C + first * ldc * size, ((wanted != 0) | far) & (own == TILE_ROWS)
            done = whole.select(asking // width * width, 0)  # columns
            beside = bias + (flags & SLOPE != 0).select(first * ldc * size, 0)
            product = c, ldc, at, row, step, B, panel, asking, k, beside, flags
            with to.when(whole), to.either(far) as (rows_next, parameters_next):
                with rows_next:
                    to.call(far_tiles, *product, own_rows + own * a_row * size, a_row * size, 0, 0)
                with parameters_next:
                    to.call(wanting_tiles, *product, wanted + first * wanted_row, wanted_row, slot_0, slot_1)
            with to.when(done < n):
                c, b, beside = c + done * size, B + done // width * panel * size, beside + done * size
                to.call(gemm_tiles, own - 1, c, ldc, at, row, step, b, ldb, panel, n - done, k, beside, flags)


# (C, ldc, A, row stride of A, k stride of A, B, ldb, panel, m, n, k, bias, flags, pack, wanted, wanted_row, slot_0,
# slot_1)
ROWS = Kernel("gemm_rows", 18, 0, _gemm_rows, "void")
gemm_rows = register(ROWS)
