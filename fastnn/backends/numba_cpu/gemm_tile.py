"""The register tile of the GEMM: rows x vectors accumulators, fed by broadcasts of A and vectors of B."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from ...core.formulas import relu_slope
from .. import tuning
from ..tuning import THIN_VECTORS, TILE_PREFETCH_ROWS
from .cpu import vector_bytes
from .frame import Frame, chosen
from .lanes import I64, Lanes, Value

# What a GEMM does beside C = A B over one chunk of k.
ACCUMULATE = 1  # C + chunk instead of chunk
BIAS = 2  # then + bias by columns
RELU = 4  # then max(0, .)
PACKED = 8  # the panels of B are padded to whole vectors
TRANSPOSED = 16  # of `gemm`: B is given as (n, k)
FAR = 32  # of `gemm`: A comes from far away, a row after the other
SLOPE = 64  # then times the slope of ReLU, from its output, which comes in the place of the bias and lies as C does

BYTES = vector_bytes()
# Most rows of a tile of two vectors, of one vector, and of THIN_VECTORS; from how many rows of A on B is packed if its
# columns come slowly.
TILE_ROWS, NARROW_ROWS, THIN_ROWS, SLOW_ROWS = (
    rows[BYTES] for rows in (tuning.TILE_ROWS, tuning.NARROW_ROWS, tuning.THIN_ROWS, tuning.SLOW_ROWS)
)


class Product(NamedTuple):
    """C (+)= A B of a tile's rows over one chunk of k: IR addresses, strides and sizes."""

    C: Any
    ldc: Any
    A: Any
    a_row: Any
    a_k: Any
    B: Any
    ldb: Any
    n: Any
    k: Any
    bias: Any
    flags: Any


def begin(f: Frame, o: Lanes, rows: int, vectors: int, p: Product) -> list[Any]:
    """The state of a tile: where its next step reads B and A, and its sums."""
    row_bytes = f.builder.mul(p.a_row, I64(f.itemsize))
    starts = [f.builder.add(p.A, f.builder.mul(row_bytes, I64(i))) for i in range(0, rows, 4)]
    return [p.B, *starts, *[o.constant(0.0).ir] * (rows * vectors)]


def add(
    f: Frame,
    o: Lanes,
    rows: int,
    p: Product,
    masks: list[Any],
    ahead: bool,
    state: list[Any],
    steps: Any,
    following: bool = False,
) -> list[Any]:
    """The state after some steps, B's vectors read by `masks`; `ahead` to ask for rows of B before their turn,
    `following` for the next tile's rows of A, as if they lay one behind another."""
    builder, vectors = f.builder, len(masks)
    row_bytes, k_bytes, b_bytes = (builder.mul(stride, I64(f.itemsize)) for stride in (p.a_row, p.a_k, p.ldb))
    # Every fourth row has a pointer: the others are reached by offsets that fit in registers. Sums of addresses in the
    # loop would take turns of the units that multiply.
    offsets = [I64(0), row_bytes, *(f.opaque(builder.mul(row_bytes, I64(i))) for i in (2, 3))]
    ahead_bytes = builder.mul(b_bytes, I64(TILE_PREFETCH_ROWS))

    def step(index: Any, B: Any, *carried: Any) -> list[Any]:
        starts, sums = carried[: -rows * vectors], carried[-rows * vectors :]
        places = [builder.add(B, I64(j * BYTES)) for j in range(vectors)]
        b = [f.load(place, mask, o) for place, mask in zip(places, masks, strict=True)]
        if ahead:
            for place in places:
                f.prefetch(builder.add(place, ahead_bytes))
        after = []
        for i in range(rows):
            a = o.splat(f.load_scalar(builder.add(starts[i // 4], offsets[i % 4])))
            after += [o.fma(a, b[j], Value(o, sums[i * vectors + j])).ir for j in range(vectors)]
        return [builder.add(B, b_bytes), *(f.opaque(builder.add(start, k_bytes)) for start in starts), *after]

    def asking(index: Any, wanted: Any, *carried: Any) -> list[Any]:
        for line in range(0, rows * f.itemsize, 64):
            f.prefetch(builder.add(wanted, I64(line)))
        return [f.opaque(builder.add(wanted, I64(rows * f.itemsize))), *step(index, *carried)]

    if following:
        return f.carry(steps, [builder.add(p.A, builder.mul(row_bytes, I64(rows))), *state], asking)[1:]
    return f.carry(steps, state, step)


def _sums(
    f: Frame, o: Lanes, rows: int, p: Product, masks: list[Any], ahead: bool, following: bool = False
) -> list[Any]:
    """rows x vectors accumulators after all steps."""
    state = add(f, o, rows, p, masks, ahead, begin(f, o, rows, len(masks), p), p.k, following)
    return state[-rows * len(masks) :]


def finish(f: Frame, o: Lanes, rows: int, p: Product, masks: list[Any], sums: list[Any]) -> None:
    """What follows the sums: C, bias, ReLU or its slope."""
    builder, vectors = f.builder, len(masks)
    c_bytes = builder.mul(p.ldc, I64(f.itemsize))
    apart = [builder.add(builder.mul(c_bytes, I64(i)), I64(j * BYTES)) for i in range(rows) for j in range(vectors)]
    places = [builder.add(p.C, offset) for offset in apart]

    def accumulated() -> list[Any]:
        return [
            (f.load(place, masks[number % vectors], o) + Value(o, value)).ir
            for number, (place, value) in enumerate(zip(places, sums, strict=True))
        ]

    def biased() -> list[Any]:
        bias = [f.load(builder.add(p.bias, I64(j * BYTES)), mask, o) for j, mask in enumerate(masks)]
        return [(Value(o, value) + bias[number % vectors]).ir for number, value in enumerate(sums)]

    def rectified() -> list[Any]:
        return [o.select(Value(o, value) < 0.0, 0.0, Value(o, value)).ir for value in sums]

    def sloped() -> list[Any]:
        outputs = [f.load(builder.add(p.bias, offset), masks[n % vectors], o) for n, offset in enumerate(apart)]
        return [relu_slope(o, Value(o, value), a, None).ir for value, a in zip(sums, outputs, strict=True)]

    sums = f.either(f.has(p.flags, ACCUMULATE), accumulated, lambda: sums)
    sums = f.either(f.has(p.flags, BIAS), biased, lambda: sums)
    sums = f.either(f.has(p.flags, RELU), rectified, lambda: sums)
    sums = f.either(f.has(p.flags, SLOPE), sloped, lambda: sums)
    for number, (place, value) in enumerate(zip(places, sums, strict=True)):
        f.store(Value(o, value), place, masks[number % vectors])


def _tiles(rows: int) -> Any:
    """Body: a tile's rows over all columns. Panels of two vectors, each `panel` elements after the last one."""

    def emit(
        f: Frame,
        C: Any,
        ldc: Any,
        A: Any,
        a_row: Any,
        a_k: Any,
        B: Any,
        ldb: Any,
        panel: Any,
        n: Any,
        k: Any,
        bias: Any,
        flags: Any,
    ) -> None:
        builder = f.builder
        o = Lanes(builder, f.dtype, BYTES // f.itemsize)
        c_bytes = builder.mul(ldc, I64(f.itemsize))

        def narrow(p: Product) -> None:
            masks = [f.mask(p.n, o.width)]
            plain = partial(_sums, f, o, rows, p, masks, False)
            along = builder.icmp_signed("==", p.a_k, I64(1))
            high = rows > TILE_ROWS  # narrow tiles of a high A
            finish(f, o, rows, p, masks, f.either(along, partial(plain, following=True), plain) if high else plain())

        def wide(p: Product, packed: Any) -> None:
            full, masks = [None, None], [None, f.mask(builder.sub(p.n, I64(o.width)), o.width)]
            whole = builder.icmp_signed(">=", p.n, I64(2 * o.width))
            sums = f.either(
                packed,
                lambda: _sums(f, o, rows, p, full, False),
                lambda: f.either(
                    whole, lambda: _sums(f, o, rows, p, full, True), lambda: _sums(f, o, rows, p, masks, False)
                ),
            )
            finish(f, o, rows, p, masks, sums)

        def column(j: Any, B: Any) -> list[Any]:
            p = Product(f.at(C, j), ldc, A, a_row, a_k, B, ldb, builder.sub(n, j), k, f.at(bias, j), flags)
            packed = f.has(flags, PACKED)
            with builder.if_then(packed):  # C may be far away: it is asked for before the sums that it is added to
                for i in range(rows):
                    line = builder.add(p.C, builder.mul(c_bytes, I64(i)))
                    f.prefetch(line, write=True)
                    f.prefetch(builder.add(line, I64(BYTES)), write=True)
            if rows > TILE_ROWS:
                narrow(p)
            else:
                with builder.if_else(builder.icmp_signed("<=", p.n, I64(o.width))) as (one, two):
                    with one:
                        narrow(p)
                    with two:
                        wide(p, packed)
            return [f.at(B, panel)]

        f.carry(n, [B], column, 2 * o.width)

    return emit


def _thin(rows: int) -> Any:
    """Body: `rows` rows over whole groups of THIN_VECTORS vectors of columns, of B as it is given."""

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
        o = Lanes(f.builder, f.dtype, BYTES // f.itemsize)
        full = [None] * THIN_VECTORS
        with f.loop(f.builder.and_(n, I64(-THIN_VECTORS * o.width)), THIN_VECTORS * o.width) as j:
            p = Product(f.at(C, j), ldc, A, a_row, a_k, f.at(B, j), ldb, n, k, f.at(bias, j), flags)
            finish(f, o, rows, p, full, _sums(f, o, rows, p, full, True))

    return emit


# (rows - 1, C, ldc, A, row stride of A, k stride of A, B, ldb, panel, n, k, bias, flags)
gemm_tiles = chosen("gemm_tiles", 12, 0, [_tiles(rows) for rows in range(1, NARROW_ROWS + 1)])
# (rows - 1, C, ldc, A, row stride of A, k stride of A, B, ldb, n, k, bias, flags)
gemm_thin = chosen("gemm_thin", 11, 0, [_thin(rows) for rows in range(1, THIN_ROWS + 1)])
