"""The register tile of the GEMM: rows x vectors accumulators, fed by broadcasts of A and vectors of B."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...core.formulas import relu_slope
from .. import tuning
from ..tuning import TILE_PREFETCH_ROWS, WIDE_VECTORS
from .cpu import vector_bytes
from .declare import Arguments, Body, choose
from .frame import Frame
from .integers import Condition, Integer, Pointer
from .lanes import Lanes, Mask, Value

# What a GEMM does beside C = A B over one chunk of k.
ACCUMULATE = 1  # C + chunk instead of chunk
BIAS = 2  # then + `epilogue`, a row
RELU = 4  # then max(0, .)
PACKED = 8  # the panels of B are padded to whole vectors
TRANSPOSED = 16  # of `gemm`: B is given as (n, k)
FAR = 32  # of `gemm`: A comes from far away, a row after the other
SLOPE = 64  # then times the slope of ReLU, from its output `epilogue`, which lies as C does

BYTES = vector_bytes()
# Most rows of a tile of two vectors, of one vector, and of WIDE_VECTORS; from how many rows of A on B is packed if its
# columns come slowly.
TILE_ROWS, NARROW_ROWS, WIDE_ROWS, SLOW_ROWS = (
    rows[BYTES] for rows in (tuning.TILE_ROWS, tuning.NARROW_ROWS, tuning.WIDE_ROWS, tuning.SLOW_ROWS)
)

Sums = tuple[tuple[Value, ...], ...]  # by rows and vectors
Masks = list[Mask]  # of each vector of columns


class Product(NamedTuple):
    """C (+)= A B of a tile's rows over one chunk of k."""

    C: Pointer
    ldc: Integer
    A: Pointer
    a_row: Integer
    a_k: Integer
    B: Pointer
    ldb: Integer
    n: Integer
    k: Integer
    epilogue: Pointer
    flags: Integer


class Tile(NamedTuple):
    """A tile's sums, and where its next step reads: every fourth row of A has a pointer, the others are reached by
    offsets that fit in registers."""

    B: Pointer
    A: tuple[Pointer, ...]
    sums: Sums


def tile_lanes(f: Frame) -> Lanes:
    """The algebra of the CPU's vectors."""
    return Lanes(f.builder, f.dtype, BYTES // f.itemsize)


def begin(f: Frame, rows: int, vectors: int, p: Product) -> Tile:
    row_bytes, zero = p.a_row * f.itemsize, tile_lanes(f).constant(0.0)
    return Tile(p.B, tuple(p.A.offset(row_bytes * i) for i in range(0, rows, 4)), ((zero,) * vectors,) * rows)


def add(f: Frame, p: Product, masks: Masks, ahead: bool, tile: Tile, steps: Integer, following: bool = False) -> Tile:
    """The tile after some steps, B's vectors read by `masks`; `ahead` to ask for rows of B before their turn,
    `following` for the next tile's rows of A, as if they lay one behind another."""
    o, rows = tile_lanes(f), len(tile.sums)
    row_bytes, k_bytes, b_bytes = (stride * f.itemsize for stride in (p.a_row, p.a_k, p.ldb))
    # Sums of addresses in the loop would take turns of the units that multiply.
    offsets = [0, row_bytes, *(f.opaque(row_bytes * i) for i in (2, 3))]
    ahead_bytes = b_bytes * TILE_PREFETCH_ROWS

    def step(_: Integer, t: Tile) -> Tile:
        places = [t.B.offset(j * BYTES) for j in range(len(masks))]
        b = [place.load(mask, o) for place, mask in zip(places, masks, strict=True)]
        if ahead:
            for place in places:
                place.offset(ahead_bytes).ask()
        sums = []
        for i, row in enumerate(t.sums):
            a = o.splat(t.A[i // 4].offset(offsets[i % 4])[0])
            sums.append(tuple(o.fma(a, vector, total) for vector, total in zip(b, row, strict=True)))
        return Tile(t.B.offset(b_bytes), tuple(f.opaque(pointer.offset(k_bytes)) for pointer in t.A), tuple(sums))

    def asking(index: Integer, state: tuple[Pointer, Tile]) -> tuple[Pointer, Tile]:
        wanted, t = state
        for line in range(0, rows * f.itemsize, 64):
            wanted.offset(line).ask()
        return f.opaque(wanted + rows), step(index, t)

    if following:
        return f.carry(steps, (p.A.offset(row_bytes * rows), tile), asking)[1]
    return f.carry(steps, tile, step)


def _sums(f: Frame, rows: int, p: Product, masks: Masks, ahead: bool, following: bool = False) -> Sums:
    """rows x vectors accumulators after all steps."""
    return add(f, p, masks, ahead, begin(f, rows, len(masks), p), p.k, following).sums


def _each(sums: Sums, change: Callable[[int, int, Value], Value]) -> Sums:
    """change(row, vector, sum) of all sums."""
    return tuple(tuple(change(i, j, value) for j, value in enumerate(row)) for i, row in enumerate(sums))


def finish(f: Frame, p: Product, masks: Masks, sums: Sums) -> None:
    """What follows the sums: C, bias, ReLU or its slope."""
    o, c_bytes, rows, vectors = tile_lanes(f), p.ldc * f.itemsize, range(len(sums)), range(len(masks))
    apart = [[c_bytes * i + j * BYTES for j in vectors] for i in rows]
    places = [[p.C.offset(offset) for offset in row] for row in apart]

    def accumulated() -> Sums:
        return _each(sums, lambda i, j, value: places[i][j].load(masks[j], o) + value)

    def biased() -> Sums:
        bias = [p.epilogue.offset(j * BYTES).load(masks[j], o) for j in vectors]
        return _each(sums, lambda i, j, value: value + bias[j])

    def rectified() -> Sums:
        return _each(sums, lambda i, j, value: o.select(value < 0.0, 0.0, value))

    def sloped() -> Sums:
        outputs = [[p.epilogue.offset(apart[i][j]).load(masks[j], o) for j in vectors] for i in rows]
        return _each(sums, lambda i, j, value: relu_slope(o, value, outputs[i][j], None))

    sums = f.either(p.flags & ACCUMULATE != 0, accumulated, lambda: sums)
    sums = f.either(p.flags & BIAS != 0, biased, lambda: sums)
    sums = f.either(p.flags & RELU != 0, rectified, lambda: sums)
    sums = f.either(p.flags & SLOPE != 0, sloped, lambda: sums)
    for i in rows:
        for j in vectors:
            places[i][j].store(sums[i][j], masks[j])


def _one_vector(f: Frame, rows: int, p: Product) -> None:
    masks: Masks = [f.mask(p.n, tile_lanes(f))]
    if rows <= TILE_ROWS:
        finish(f, p, masks, _sums(f, rows, p, masks, False))
        return

    def following() -> Sums:  # of a high A
        return _sums(f, rows, p, masks, False, following=True)

    finish(f, p, masks, f.either(p.a_k == 1, following, lambda: _sums(f, rows, p, masks, False)))


def _two_vectors(f: Frame, rows: int, p: Product, packed: Condition) -> None:
    o = tile_lanes(f)
    full: Masks = [None, None]
    masks: Masks = [None, f.mask(p.n - o.width, o)]
    whole = p.n >= 2 * o.width

    def unpacked() -> Sums:
        return f.either(whole, lambda: _sums(f, rows, p, full, True), lambda: _sums(f, rows, p, masks, False))

    finish(f, p, masks, f.either(packed, lambda: _sums(f, rows, p, full, False), unpacked))


def _panel(f: Frame, rows: int, p: Product, c_bytes: Integer) -> None:
    """A tile's rows over a panel of two vectors, or what is left of it. Rows of C lie `c_bytes` apart."""
    width, packed = tile_lanes(f).width, p.flags & PACKED != 0
    with f.when(packed):  # C may be far away: it is asked for before the sums that it is added to
        for i in range(rows):
            line = p.C.offset(c_bytes * i)
            line.ask(write=True)
            line.offset(BYTES).ask(write=True)
    if rows > TILE_ROWS:
        _one_vector(f, rows, p)
    else:
        f.either(p.n <= width, lambda: _one_vector(f, rows, p), lambda: _two_vectors(f, rows, p, packed))


def _tiles(rows: int) -> Body:
    """Body: a tile's rows over all columns. Panels of two vectors, each `panel` elements after the last one."""

    def body(f: Frame, a: Arguments) -> None:
        c_bytes = a.ldc * f.itemsize  # not made anew for each panel

        def column(j: Integer, B: Pointer) -> Pointer:
            p = Product(a.C + j, a.ldc, a.A, a.a_row, a.a_k, B, a.ldb, a.n - j, a.k, a.epilogue + j, a.flags)
            _panel(f, rows, p, c_bytes)
            return B + a.panel

        f.carry(a.n, a.B, column, 2 * tile_lanes(f).width)

    return body


def _wide_tiles(rows: int) -> Body:
    """Body: `rows` rows over whole groups of WIDE_VECTORS vectors of columns, of B as it is given."""

    def body(f: Frame, a: Arguments) -> None:
        width, full = WIDE_VECTORS * tile_lanes(f).width, [None] * WIDE_VECTORS
        with f.loop(a.n & -width, width) as j:
            p = Product(a.C + j, a.ldc, a.A, a.a_row, a.a_k, a.B + j, a.ldb, a.n, a.k, a.epilogue + j, a.flags)
            finish(f, p, full, _sums(f, rows, p, full, True))

    return body


# The code is the number of rows less 1.
gemm_tiles = choose(
    "gemm_tiles",
    "*C ldc *A a_row a_k *B ldb panel n k *epilogue flags",
    [_tiles(rows) for rows in range(1, NARROW_ROWS + 1)],
)
gemm_wide_tiles = choose(
    "gemm_wide_tiles",
    "*C ldc *A a_row a_k *B ldb n k *epilogue flags",
    [_wide_tiles(rows) for rows in range(1, WIDE_ROWS + 1)],
)
