"""GEMM by register tiles: rows of C in tiles of nearly equal heights, over columns of B that are packed into panels or
lie as they were given."""

from __future__ import annotations

from numba.extending import register_jitable

from ...core.arithmetic import K_CHUNK
from ..tuning import (
    ALIAS_BYTES,
    BLOCK_BYTES,
    BLOCK_ROWS,
    COPIED_ROWS,
    FAR_BYTES,
    L1_BYTES,
    L2_BYTES,
    MOST_PACKED,
    PACK_PREFETCH_ROWS,
    PACKED_CHUNKS,
    PACKED_STEP,
)
from .declare import Arguments, Body, declare, kernel
from .frame import Frame
from .gemm_tile import (
    BYTES,
    FAR,
    NARROW_ROWS,
    PACKED,
    SLOPE,
    TILE_ROWS,
    Product,
    Tile,
    add,
    begin,
    finish,
    gemm_tiles,
    tile_lanes,
)
from .integers import Condition, Integer
from .lanes import LANES, Lanes, Mask
from .prefetch import EXPECTED_BYTES, LEFT, ask

COPY_STRIDE = K_CHUNK + LANES  # of copied rows of A


@register_jitable
def packed_columns(chunks, size):
    """Columns of B, of elements of `size` bytes, whose chunks the buffer of one thread holds beside each other: 512, or
    fewer and a multiple of 128, or 0."""
    return min(PACKED_CHUNKS * BLOCK_BYTES // size // chunks // PACKED_STEP * PACKED_STEP, MOST_PACKED)


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


@kernel("*copy *A a_k rows tiles k")
def pack_rows(f: Frame, a: Arguments) -> None:
    """`tiles` tiles of `rows` rows of A, whose columns are contiguous, in the order in which a tile reads them."""
    o = Lanes(f.builder, f.dtype, NARROW_ROWS)
    mask = f.mask(a.rows, o)
    with f.loop(a.k) as step:
        source, target = a.A + step * a.a_k, a.copy + step * a.rows
        with f.loop(a.tiles) as tile:
            i = tile * a.rows
            vector = (source + i).load(mask, o)
            (target + i * a.k).store(vector, mask)


@kernel("*copy *A a_row rows k")
def copy_rows(f: Frame, a: Arguments) -> None:
    """Rows of A that are contiguous along k, COPY_STRIDE apart."""
    with f.loop(a.rows) as row:
        source, target = a.A + row * a.a_row, a.copy + row * COPY_STRIDE

        def block(step: Integer, mask: Mask) -> None:
            vector = (source + step).load(mask)
            (target + step).store(vector, mask)

        f.each(a.k, block)


@kernel("*panels *B ldb n k")
def pack_panels(f: Frame, a: Arguments) -> None:
    """Panels of two vectors of columns of B, each contiguous, the last one padded with zeros."""
    o = tile_lanes(f)
    width = 2 * o.width
    whole = a.n & -width
    left = a.n - whole
    masks = f.mask(left, o), f.mask(left - o.width, o)
    with f.loop(a.k) as row:
        source, target = a.B + row * a.ldb, a.panels + row * width

        def copy(j: Integer, masks: tuple[Mask, Mask]) -> None:
            for vector, mask in enumerate(masks):
                value = (source + j).offset(vector * BYTES).load(mask, o)
                (target + j * a.k).offset(vector * BYTES).store(value)

        with f.loop(whole, width) as j:
            wanted = source + j + a.ldb * PACK_PREFETCH_ROWS
            for vector in range(2):
                wanted.offset(vector * BYTES).ask(second=True)
            copy(j, (None, None))
        with f.when(whole < a.n):
            copy(whole, masks)


def _prefetching_tiles(far: bool) -> Body:
    """The highest tile over all whole panels: beside each of its rows, spread over the steps, it asks the second cache
    for a row of what is wanted next: part of A's next rows if they are far, else parameters of its columns, where A is
    an X^T."""

    def body(f: Frame, a: Arguments) -> None:
        width, part = 2 * tile_lanes(f).width, (a.k // TILE_ROWS).greatest(1)
        a_row, a_k = (a.a_row, f.integer(1)) if far else (f.integer(1), a.a_k)
        asked = FAR_BYTES if far else width * f.itemsize
        with f.loop(a.n // width) as panel:
            column, ld = panel * width, f.integer(width)
            p = Product(
                a.C + column, a.ldc, a.A, a_row, a_k, a.B + panel * a.panel, ld, ld, a.k, a.epilogue + column, a.flags
            )
            place = a.prefetch + panel * asked
            starts = (place,) if far else (place, place + a.slot_0, place + a.slot_1)

            def row(index: Integer, tile: Tile) -> Tile:
                for start in starts:
                    for line in range(0, asked, 64):
                        (start + index * a.prefetch_row + line).ask(second=True)
                done = index * part
                steps = (index == TILE_ROWS - 1).select(a.k - done, (a.k - done).least(part)).greatest(0)
                return add(f, p, [None, None], False, tile, steps)

            tile = f.carry(TILE_ROWS, begin(f, TILE_ROWS, 2, p), row)
            finish(f, p, [None, None], tile.sums)

    return body


_PREFETCHING = "*C ldc *A a_row a_k *B panel n k *epilogue flags uint8*prefetch prefetch_row slot_0 slot_1"
prefetching_tiles = declare("prefetching_tiles", _PREFETCHING, _prefetching_tiles(far=False))
far_tiles = declare("far_tiles", _PREFETCHING, _prefetching_tiles(far=True))


def _packs_rows(size: int, a_row: Integer, a_k: Integer, m: Integer, n: Integer, k: Integer) -> Condition:
    """Whether tiles should have rows of A beside each other: those of X^T dZ where many panels read them, or where the
    steps of a tile lie far apart; those of X and dZ where they share few sets of the first cache."""
    lanes = BYTES // size
    aliased = (a_row * size % ALIAS_BYTES == 0) & (m > COPIED_ROWS) & ((n > 4 * lanes) | (n <= lanes))
    often = (m * k * size > L1_BYTES) | (a_k * size % ALIAS_BYTES == 0)
    many = ((n > 8 * lanes) & often) | ((n > 2 * lanes) & (a_k * k * size > L2_BYTES))
    return ((a_k == 1) & aliased) | ((a_k != 1) & many)


# Of a product after which nothing is wanted.
NO_PREFETCH = {"prefetch": 0, "prefetch_row": 0, "slot_0": 0, "slot_1": 0}


@kernel("*C ldc *A a_row a_k *B ldb panel m n k *epilogue flags *scratch uint8*prefetch prefetch_row slot_0 slot_1")
def gemm_rows(f: Frame, a: Arguments) -> None:
    """C_mn (+)= A_mk B_kn over one chunk of k and a block of columns. Columns of B lie in panels of two vectors: rows
    of a panel `ldb` apart, panels `panel`. A gradient names the parameters that the optimizer wants after it: where
    they begin (or 0), the bytes of a row, and those from theta to a slot. With FAR the next rows of A are asked for.
    `scratch` takes copies of A's rows where they repay it, and says which samples tiles ask for; it may be 0."""
    size, a_row, a_k, m, n, k, flags = f.itemsize, a.a_row, a.a_k, a.m, a.n, a.k, a.flags
    width, has_buffer = 2 * BYTES // size, a.scratch != 0
    copied = has_buffer & _packs_rows(size, a_row, a_k, m, n, k)
    rows, samples = copied.select(a.scratch + packed_rows(size), 0), (a.scratch + expected_samples(size)).cast("int64")
    far = flags & (FAR | PACKED) == FAR | PACKED
    asking = far.select(n.least(K_CHUNK * size // FAR_BYTES * width), n)
    copies, packs = (rows != 0) & (a_k == 1), (rows != 0) & (a_k != 1)
    narrow = n <= BYTES // size
    most = narrow.select(NARROW_ROWS, TILE_ROWS)
    tiles = (m + most - 1) // most
    low = m // tiles.greatest(1)
    tall = m - tiles * low  # tiles of a row more
    group = packs.select(narrow.select(BLOCK_ROWS // NARROW_ROWS, BLOCK_ROWS // TILE_ROWS), tiles.greatest(1))
    with f.loop(tiles, group) as opening:
        end = (opening + group).least(tiles)
        start, split = opening * low + opening.least(tall), opening.greatest(tall.least(end))
        with f.when(packs):
            source, high = a.A + start, (split - opening) * (low + 1)
            f.call(pack_rows, rows, source, a_k, low + 1, split - opening, k)
            f.call(pack_rows, rows + high * k, source + high, a_k, low, end - split, k)
        with f.loop(end - opening) as index:
            with f.when(has_buffer), f.when(samples[LEFT] > 0):
                f.call(ask, samples)
            tile = opening + index
            first = tile * low + tile.least(tall)
            height = (tile < tall).select(low + 1, low)
            A = a.A + first * a_row
            with f.when(copies):
                f.call(copy_rows, rows, A, a_row, height, k)
            A_tile = copies.select(rows, packs.select(rows + (first - start) * k, A))
            row, step = copies.select(COPY_STRIDE, packs.select(1, a_row)), packs.select(height, a_k)
            C, whole = a.C + first * a.ldc, ((a.prefetch != 0) | far) & (height == TILE_ROWS)
            done = whole.select(asking // width * width, 0)  # columns
            epilogue = a.epilogue + (flags & SLOPE != 0).select(first * a.ldc, 0)
            product = {"C": C, "ldc": a.ldc, "A": A_tile, "a_row": row, "a_k": step, "k": k}
            product |= {"panel": a.panel, "flags": flags}
            asked = {"n": asking, "B": a.B, "epilogue": epilogue, **product}
            with f.when(whole), f.if_else(far) as (rows_next, parameters_next):
                with rows_next:
                    wanted = {"prefetch": A + height * a_row, "prefetch_row": a_row * size}
                    f.call(far_tiles, **asked, **NO_PREFETCH | wanted)
                with parameters_next:
                    wanted = {"prefetch": a.prefetch + first * a.prefetch_row, "prefetch_row": a.prefetch_row}
                    f.call(prefetching_tiles, **asked, **wanted, slot_0=a.slot_0, slot_1=a.slot_1)
            with f.when(done < n):
                C, B, epilogue = C + done, a.B + done // width * a.panel, epilogue + done
                product |= {"C": C, "B": B, "ldb": a.ldb, "n": n - done, "epilogue": epilogue}
                f.call(gemm_tiles, height - 1, **product)
