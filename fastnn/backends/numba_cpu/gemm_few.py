"""GEMM where C has few rows or few columns: dot products, tiles of four vectors, a row of sums in the first cache."""

from __future__ import annotations

from typing import Any

from ...core.arithmetic import K_CHUNK
from ..tuning import ALIAS_BYTES, DOT_CHAINS, DOT_VECTORS, L2_BYTES, SUM_ROW_BYTES, SUM_ROW_STEPS, WIDE_VECTORS
from .declare import Arguments, Body, choose, kernel
from .exchange import load_half, load_rest, load_whole
from .frame import Frame
from .gemm_blocks import NO_PREFETCH, gemm_rows
from .gemm_tile import ACCUMULATE, BIAS, BYTES, RELU, SLOPE, WIDE_ROWS, Sums, gemm_wide_tiles, tile_lanes
from .integers import Condition, Integer, Pointer
from .lanes import LANES, Lanes, Mask, Value


def _put_dots(
    f: Frame, a: Arguments, value: Value, place: Pointer, bias: Value, left: Integer, square: Pointer
) -> None:
    """Bias, ReLU and where dot products belong, of which `left` are there. `square` has room for them."""
    o = value.lanes
    value = f.either(a.flags & BIAS != 0, lambda: value + o.splat(bias), lambda: value)
    value = f.either(a.flags & RELU != 0, lambda: o.select(value < 0.0, 0.0, value), lambda: value)
    with f.if_else(a.out_row == 1) as (together, apart):
        with together:
            place.store(value, f.mask(left, o))
        with apart:
            square.store(value)
            with f.loop(left.least(o.width)) as i:
                place[i * a.out_row] = square[i]


class _Dots:
    """out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: blocks of as many rows as a
    vector has lanes, exchanged in registers."""

    def __init__(self, f: Frame, a: Arguments, count: int) -> None:
        self.f, self.a, self.count, self.o = f, a, count, tile_lanes(f)
        self.square = f.scratch(self.o.width, self.o, align=BYTES)

    def rows(self) -> None:
        """All of them."""
        f, a = self.f, self.a
        with f.loop(a.rows, self.o.width) as row:
            left = a.rows - row
            for j, total in enumerate(self._totals(a.R + row * a.ldr, left)):
                bias = f.either(a.flags & BIAS != 0, lambda j=j: a.epilogue[j], lambda: f.scalar.constant(0.0))
                place = a.out + (row * a.out_row + a.out_vector * j)
                _put_dots(f, a, total, place, bias, left, self.square)

    def _totals(self, R: Pointer, left: Integer) -> tuple[Value, ...]:
        """The sums of a block of rows, of which `left` are there, chunk by chunk."""
        f, width = self.f, self.o.width
        zeros = (self.o.constant(0.0),) * self.count
        full = left >= width

        def chunk(start: Integer, totals: tuple[Value, ...]) -> tuple[Value, ...]:
            end = (start + K_CHUNK).least(self.a.k)
            whole = full.select(end & -width, start)
            sums = f.carry(whole, zeros, lambda step, sums: self._whole(R, step, sums), width, start)
            sums = f.carry(end, sums, lambda step, sums: self._rest(R, left, end, step, sums), width, whole)
            return tuple((start == 0).select(value, total + value) for total, value in zip(totals, sums, strict=True))

        return f.carry(self.a.k, zeros, chunk, K_CHUNK)

    def _add(self, sums: tuple[Value, ...], vector: Value, step: Integer) -> tuple[Value, ...]:
        """The sums of a block after a vector of its rows at one k."""
        a, o, added = self.a, self.o, []
        for j, value in enumerate(sums):
            q = a.Q + (a.q_vector * j + step * a.q_k)
            added.append(o.fma(o.splat(q[0]), vector, value))
        return tuple(added)

    def _whole(self, R: Pointer, step: Integer, sums: tuple[Value, ...]) -> tuple[Value, ...]:
        """The sums after as many steps as there are rows in a block, all of which are there."""
        for i, vector in enumerate(load_whole(self.f, self.o, R + step, self.a.ldr)):
            sums = self._add(sums, vector, step + i)
        return sums

    def _rest(
        self, R: Pointer, left: Integer, end: Integer, step: Integer, sums: tuple[Value, ...]
    ) -> tuple[Value, ...]:
        """The same, if fewer steps are left, or fewer rows are there."""
        f, o, square = self.f, self.o, self.square
        depth = (end - step).least(o.width)
        for i, vector in enumerate(load_rest(f, o, R + step, self.a.ldr, left, depth)):
            (square + i * o.width).store(vector)

        def one(i: Integer, sums: tuple[Value, ...]) -> tuple[Value, ...]:
            return self._add(sums, (square + i * o.width).load(None, o), step + i)

        return f.carry(depth, sums, one)


def half_lanes(f: Frame) -> Lanes:
    """The algebra of vectors of 256 bits, or of those that the CPU has, if they are narrower."""
    return Lanes(f.builder, f.dtype, min(BYTES, 32) // f.itemsize)


def _chains(f: Frame, a: Arguments, blocks: int, chunks: int, R: Pointer, q: Pointer, steps: Integer) -> Sums:
    """Sums of chunks of `steps` products, at least a vector's from the beginning of a row, by chunks and blocks of rows
    of R, which lie one behind another. A sum waits for its last product as long as four take to be exchanged, so that
    there are DOT_CHAINS of them where that can be."""
    o = half_lanes(f)
    whole = steps & -o.width

    def exchanged(block: int, place: Integer) -> list[Value]:
        return load_half(f, o, R + (a.ldr * (block * o.width) + place), a.ldr)

    def add(step: Integer, sums: Sums) -> Sums:
        added = []
        for chunk, row in enumerate(sums):
            place = step + chunk * K_CHUNK
            factors = [o.splat(q[(place + i) * a.q_k]) for i in range(o.width)]
            for block, value in enumerate(row):
                for factor, vector in zip(factors, exchanged(block, place), strict=True):
                    value = o.fma(factor, vector, value)
                added.append(value)
        return tuple(tuple(added[chunk * blocks : (chunk + 1) * blocks]) for chunk in range(chunks))

    def add_last(sums: Sums) -> Sums:
        """The last steps of a vector's, of which some were there."""
        place, added = steps - o.width, []
        for block, value in enumerate(sums[0]):
            for i, vector in enumerate(exchanged(block, place)):
                step = place + i
                value = (step >= whole).select(o.fma(o.splat(q[step * a.q_k]), vector, value), value)
            added.append(value)
        return (tuple(added),)

    sums = f.carry(whole, ((o.constant(0.0),) * blocks,) * chunks, add, o.width)
    return sums if chunks > 1 else f.either(whole < steps, lambda: add_last(sums), lambda: sums)


def _single_dots(
    f: Frame, a: Arguments, blocks: int, first: Integer | int, end: Integer, paired: Condition | None
) -> None:
    """Rows first ... end - 1 of out (rows) = R (rows, k) times one vector, of as many k as a vector has or more:
    `blocks` blocks of rows at once, the last ones from the end, so that all are whole; of two chunks at once if they
    are `paired`."""
    o, wide = half_lanes(f), tile_lanes(f)
    height, zero = blocks * o.width, o.constant(0.0)
    done, square = f.scratch(DOT_CHAINS, o, align=BYTES), f.scratch(1, wide, align=BYTES)
    bias = f.either(a.flags & BIAS != 0, lambda: a.epilogue[0], lambda: f.scalar.constant(0.0))
    with f.loop(end, height, first) as following:
        row = following.least(end - height)
        R = a.R + row * a.ldr

        def chunk(start: Integer, totals: tuple[Value, ...], chunks: int, steps: Integer) -> tuple[Value, ...]:
            opening, *others = _chains(f, a, blocks, chunks, R + start, a.Q + start * a.q_k, steps)
            pairs = zip(totals, opening, strict=True)
            totals = tuple((start == 0).select(value, total + value) for total, value in pairs)
            for sums in others:
                totals = tuple(total + value for total, value in zip(totals, sums, strict=True))
            return totals

        def one(start: Integer, totals: tuple[Value, ...]) -> tuple[Value, ...]:
            return chunk(start, totals, 1, (a.k - start).least(K_CHUNK))

        def two(start: Integer, totals: tuple[Value, ...]) -> tuple[Value, ...]:
            return chunk(start, totals, 2, f.integer(K_CHUNK))

        totals, start = (zero,) * blocks, f.integer(0)
        if paired is not None:
            start = paired.select(a.k & -(2 * K_CHUNK), 0)
            totals = f.carry(start, totals, two, 2 * K_CHUNK)
        totals = f.carry(a.k, totals, one, K_CHUNK, start)
        for block, total in enumerate(totals):
            (done + block * o.width).store(total)
        with f.loop(height, wide.width) as i:
            place = a.out + (row + i) * a.out_row
            _put_dots(f, a, (done + i).load(None, wide), place, bias, f.integer(wide.width), square)


def _few_dots(count: int) -> Body:
    def body(f: Frame, a: Arguments) -> None:
        _Dots(f, a, count).rows()

    return body


def _few_single(f: Frame, a: Arguments) -> None:
    width = half_lanes(f).width
    most, few = DOT_CHAINS * width, DOT_CHAINS // 2 * width
    # Rows come sooner from memory if few are read at once; those that share sets of the first cache push each other out
    far = a.rows * a.k * f.itemsize > 2 * L2_BYTES
    paired = ~far & (a.k >= 2 * K_CHUNK) & (a.ldr * (2 * f.itemsize) % ALIAS_BYTES == 0)
    many = (a.rows >= most) & (a.k >= width) & ~paired & ~(far & (most > LANES))
    done = many.select(a.rows // most * most, 0)
    _single_dots(f, a, DOT_CHAINS, 0, done, None)
    f.cases(
        ((a.rows < few) | (a.k < width), _Dots(f, a, 1).rows),
        (done < a.rows, lambda: _single_dots(f, a, DOT_CHAINS // 2, done, a.rows, paired)),
        otherwise=lambda: None,
    )


# The code is the number of vectors less 1.
few_dots = choose(
    "few_dots",
    "*out out_row out_vector *R ldr *Q q_vector q_k rows k *epilogue flags",
    [_few_single, *(_few_dots(count) for count in range(2, DOT_VECTORS + 1))],
)


@kernel("*C ldc *A a_row a_k *B ldb m n k *epilogue flags")
def few_rows(f: Frame, a: Arguments) -> None:
    """Few rows of C: tiles of WIDE_VECTORS vectors, over B as it is given."""
    width = 2 * BYTES // f.itemsize
    group = WIDE_VECTORS * BYTES // f.itemsize
    tiles = (a.m + WIDE_ROWS - 1) // WIDE_ROWS
    low = a.m // tiles
    tall, left = a.m - tiles * low, a.n % group
    whole = a.n - left
    columns = (tiles == 1).select(whole.greatest(1), group)  # a single tile takes all columns in one call
    with f.loop(whole, columns) as column, f.loop(tiles) as tile:
        first, height = tile * low + tile.least(tall), (tile < tall).select(low + 1, low)
        C, A = a.C + (first * a.ldc + column), a.A + first * a.a_row
        epilogue = a.epilogue + column + (a.flags & SLOPE != 0).select(first * a.ldc, 0)
        product = {"ldc": a.ldc, "a_row": a.a_row, "a_k": a.a_k, "ldb": a.ldb, "k": a.k, "flags": a.flags}
        f.call(gemm_wide_tiles, height - 1, C=C, A=A, B=a.B + column, n=columns, epilogue=epilogue, **product)
    with f.when(left > 0):
        C, B, epilogue = (place + whole for place in (a.C, a.B, a.epilogue))
        product = a._asdict() | {"C": C, "B": B, "epilogue": epilogue, "n": left}
        f.call(gemm_rows, **product, panel=width, scratch=0, **NO_PREFETCH)


def _finished(f: Frame, sums: Value, bias: Pointer, mask: Mask, flags: Integer) -> Value:
    """A vector of sums with its bias and ReLU."""
    o = sums.lanes
    value = f.either(flags & BIAS != 0, lambda: sums + bias.load(mask, o), lambda: sums)
    return f.either(flags & RELU != 0, lambda: o.select(value < 0.0, 0.0, value), lambda: value)


def _add_rows(
    f: Frame,
    steps: int,
    first: Condition | None,
    sums: Pointer,
    q: Pointer,
    q_k: Integer | int,
    B: Pointer,
    ldb: Integer | int,
    n: Integer,
) -> None:
    """sums (+)= `steps` rows of B, each times a number; without a condition they are the first ones."""
    o = tile_lanes(f)
    factors = [o.splat(q[q_k * i]) for i in range(steps)]
    zero = o.constant(0.0)

    def vector(j: Integer, mask: Mask) -> None:
        place = sums + j
        value = zero if first is None else first.select(zero, place.load(mask, o))
        for i, factor in enumerate(factors):
            value = o.fma(factor, (B + ldb * i + j).load(mask, o), value)
        place.store(value, mask)

    f.each(n, vector, o)


@kernel("*C c_n *q q_k *B ldb n k *epilogue flags *scratch")
def gemv(f: Frame, a: Arguments) -> None:
    """One row of C, or one column as a row: C (n) = q B. B is read row by row, as memory likes it, and the sums stay in
    the first cache, in the buffer `scratch`."""
    o, most = tile_lanes(f), SUM_ROW_BYTES // f.itemsize
    total, partial = a.scratch, a.scratch.offset(SUM_ROW_BYTES)
    with f.loop(a.n, most) as j:
        width = (a.n - j).least(most)
        with f.loop(a.k, K_CHUNK) as start:
            depth = (a.k - start).least(K_CHUNK)
            sums, whole = (start == 0).select(total, partial), depth // SUM_ROW_STEPS * SUM_ROW_STEPS
            for steps, opening, count in ((SUM_ROW_STEPS, start, whole), (1, start + whole, depth - whole)):
                with f.loop(count, steps) as step:
                    position = opening + step
                    B = a.B + (position * a.ldb + j)
                    _add_rows(f, steps, position == start, sums, a.q + position * a.q_k, a.q_k, B, a.ldb, width)
            with f.when(start > 0), f.blocks(width, o) as (i, mask):
                place = total + i
                place.store(place.load(mask, o) + (partial + i).load(mask, o), mask)

        with f.blocks(width, o) as (i, mask):
            position = j + i
            value = _finished(f, (total + i).load(mask, o), a.epilogue + position, mask, a.flags)
            with f.if_else(a.c_n == 1) as (together, apart):
                with together:
                    (a.C + position).store(value, mask)
                with apart:
                    (total + i).store(value)
        with f.when(a.c_n != 1), f.loop(width) as i:
            a.C[(j + i) * a.c_n] = total[i]


@kernel("*C ldc *A a_row *B m n")
def outer(f: Frame, a: Arguments) -> None:
    """C_mn = A_m B_n: the gradient of a W by a single row, without a tile to begin and to end for one step."""
    with f.loop(a.m) as i:
        _add_rows(f, 1, None, a.C + i * a.ldc, a.A + i * a.a_row, 0, a.B, 0, a.n)


@kernel("*C ldc *A a_k *B ldb m n k *scratch")
def few_columns(f: Frame, a: Arguments) -> None:
    """C^T = B^T A for few columns of C, with A contiguous along m: vectors along m. `scratch` is a buffer."""
    block = WIDE_VECTORS * BYTES // f.itemsize
    with f.loop(a.m, block) as i:
        width = (a.m - i).least(block)
        with f.loop(a.k.greatest(1), K_CHUNK) as start:
            depth, flags = (a.k - start).least(K_CHUNK), (start > 0).select(ACCUMULATE, 0)
            B, A = a.B + start * a.ldb, a.A + (start * a.a_k + i)
            product: dict[str, Any] = {
                "C": a.scratch,
                "ldc": block,
                "A": B,
                "a_row": 1,
                "a_k": a.ldb,
                "B": A,
                "ldb": a.a_k,
            }
            f.call(few_rows, **product, m=a.n, n=width, k=depth, epilogue=0, flags=flags)
        with f.loop(width) as row, f.loop(a.n) as j:
            value = a.scratch[j * block + row]
            a.C[(i + row) * a.ldc + j] = value
