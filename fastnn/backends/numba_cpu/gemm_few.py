"""GEMM where C has few rows or few columns: dot products, tiles of four vectors, a row of sums in the first cache."""

from __future__ import annotations

from ...core.arithmetic import K_CHUNK
from ..tuning import DOT_BLOCKS, DOT_VECTORS, SUM_ROW_BYTES, SUM_ROW_STEPS, WIDE_VECTORS
from .declare import Arguments, Body, choose, kernel
from .exchange import load_rest, load_whole
from .frame import Frame
from .gemm_blocks import gemm_rows
from .gemm_tile import ACCUMULATE, BIAS, BYTES, RELU, SLOPE, WIDE_ROWS, Sums, gemm_wide_tiles, tile_lanes
from .integers import Condition, Integer, Pointer
from .lanes import Mask, Value


class _Dots:
    """out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: a block of as many rows at a
    time as a vector has lanes, or several blocks, exchanged in registers. Sums are by blocks and vectors of k."""

    def __init__(self, f: Frame, a: Arguments, count: int) -> None:
        self.f, self.a, self.count, self.o = f, a, count, tile_lanes(f)
        self.square = f.scratch(self.o.width, self.o, align=BYTES)

    def rows(self, blocks: int, first: Integer | int, end: Integer) -> None:
        """Rows first ... end - 1, `blocks` blocks at a time, which are whole if they are several."""
        width = self.o.width
        with self.f.loop(end, blocks * width, first) as row:
            starts = [row + block * width for block in range(blocks)]
            left = self.a.rows - row
            totals = self._totals([self.a.R + start * self.a.ldr for start in starts], left)
            for start, total in zip(starts, totals, strict=True):
                self._finish(total, start, self.a.rows - start)

    def _totals(self, R: list[Pointer], left: Integer) -> Sums:
        """The sums of blocks of rows, of which `left` rows are there, chunk by chunk."""
        f, width = self.f, self.o.width
        zeros = ((self.o.constant(0.0),) * self.count,) * len(R)
        full = left >= width

        def chunk(start: Integer, totals: Sums) -> Sums:
            end = (start + K_CHUNK).least(self.a.k)
            whole = full.select(end & -width, start)
            sums = f.carry(whole, zeros, lambda step, sums: self._whole(R, step, sums), width, start)
            sums = f.carry(end, sums, lambda step, sums: self._rest(R, left, end, step, sums), width, whole)
            first = start == 0
            return tuple(
                tuple(first.select(value, total + value) for total, value in zip(*pair, strict=True))
                for pair in zip(totals, sums, strict=True)
            )

        return f.carry(self.a.k, zeros, chunk, K_CHUNK)

    def _add(self, sums: tuple[Value, ...], vector: Value, step: Integer) -> tuple[Value, ...]:
        """The sums of a block after a vector of its rows at one k."""
        a, o, added = self.a, self.o, []
        for j, value in enumerate(sums):
            q = a.Q + (a.q_vector * j + step * a.q_k)
            added.append(o.fma(o.splat(q[0]), vector, value))
        return tuple(added)

    def _whole(self, R: list[Pointer], step: Integer, sums: Sums) -> Sums:
        """The sums after as many steps as there are rows in a block, all of which are there."""
        added = []
        for place, block in zip(R, sums, strict=True):
            for i, vector in enumerate(load_whole(self.f, self.o, place + step, self.a.ldr)):
                block = self._add(block, vector, step + i)
            added.append(block)
        return tuple(added)

    def _rest(self, R: list[Pointer], left: Integer, end: Integer, step: Integer, sums: Sums) -> Sums:
        """The same, if fewer steps are left, or fewer rows are there."""
        f, o, square, added = self.f, self.o, self.square, []
        depth = (end - step).least(o.width)
        for place, block in zip(R, sums, strict=True):
            for i, vector in enumerate(load_rest(f, o, place + step, self.a.ldr, left, depth)):
                (square + i * o.width).store(vector)

            def one(i: Integer, block: tuple[Value, ...]) -> tuple[Value, ...]:
                return self._add(block, (square + i * o.width).load(None, o), step + i)

            added.append(f.carry(depth, block, one))
        return tuple(added)

    def _finish(self, totals: tuple[Value, ...], row: Integer, left: Integer) -> None:
        """Bias, ReLU and where a block belongs, of which `left` rows are there."""
        f, a, o = self.f, self.a, self.o

        def biased() -> tuple[Value, ...]:
            bias = [a.epilogue[j] for j in range(self.count)]
            return tuple(total + o.splat(b) for total, b in zip(totals, bias, strict=True))

        def rectified() -> tuple[Value, ...]:
            return tuple(o.select(total < 0.0, 0.0, total) for total in totals)

        totals = f.either(a.flags & BIAS != 0, biased, lambda: totals)
        totals = f.either(a.flags & RELU != 0, rectified, lambda: totals)
        for j, total in enumerate(totals):
            place = a.out + (row * a.out_row + a.out_vector * j)
            with f.if_else(a.out_row == 1) as (together, apart):
                with together:
                    place.store(total, f.mask(left, o))
                with apart:
                    self.square.store(total)
                    with f.loop(left.least(o.width)) as i:
                        place[i * a.out_row] = self.square[i]


def _few_dots(count: int) -> Body:
    def body(f: Frame, a: Arguments) -> None:
        dots, whole = _Dots(f, a, count), 0
        if count == 1:
            whole = a.rows & -(DOT_BLOCKS * dots.o.width)
            dots.rows(DOT_BLOCKS, 0, whole)
        dots.rows(1, whole, a.rows)

    return body


# The code is the number of vectors less 1.
few_dots = choose(
    "few_dots",
    "*out out_row out_vector *R ldr *Q q_vector q_k rows k *epilogue flags",
    [_few_dots(count) for count in range(1, DOT_VECTORS + 1)],
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
        product = C, a.ldc, A, a.a_row, a.a_k, a.B + column, a.ldb, columns, a.k, epilogue, a.flags
        f.call(gemm_wide_tiles, height - 1, *product)
    with f.when(left > 0):
        C, B, epilogue = (place + whole for place in (a.C, a.B, a.epilogue))
        product = C, a.ldc, a.A, a.a_row, a.a_k, B, a.ldb, width, a.m, left, a.k, epilogue, a.flags
        f.call(gemm_rows, *product, 0, 0, 0, 0, 0)


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
    numbers = [o.splat(q[q_k * i]) for i in range(steps)]
    zero = o.constant(0.0)

    def vector(j: Integer, mask: Mask) -> None:
        place = sums + j
        value = zero if first is None else first.select(zero, place.load(mask, o))
        for i, number in enumerate(numbers):
            value = o.fma(number, (B + ldb * i + j).load(mask, o), value)
        place.store(value, mask)

    f.each(n, vector, o)


@kernel("*C c_n *q q_k *B ldb n k *epilogue flags *pack")
def gemv(f: Frame, a: Arguments) -> None:
    """One row of C, or one column as a row: C (n) = q B. B is read row by row, as memory likes it, and the sums stay in
    the first cache, in the buffer `pack`."""
    o, most = tile_lanes(f), SUM_ROW_BYTES // f.itemsize
    total, partial = a.pack, a.pack.offset(SUM_ROW_BYTES)
    with f.loop(a.n, most) as j:
        width = (a.n - j).least(most)
        with f.loop(a.k, K_CHUNK) as start:
            depth = (a.k - start).least(K_CHUNK)
            sums, whole = (start == 0).select(total, partial), depth // SUM_ROW_STEPS * SUM_ROW_STEPS
            for steps, opening, count in ((SUM_ROW_STEPS, start, whole), (1, start + whole, depth - whole)):
                with f.loop(count, steps) as step:
                    at = opening + step
                    B = a.B + (at * a.ldb + j)
                    _add_rows(f, steps, at == start, sums, a.q + at * a.q_k, a.q_k, B, a.ldb, width)
            with f.when(start > 0), f.blocks(width, o) as (i, mask):
                place = total + i
                place.store(place.load(mask, o) + (partial + i).load(mask, o), mask)

        with f.blocks(width, o) as (i, mask):
            at = j + i
            value = _finished(f, (total + i).load(mask, o), a.epilogue + at, mask, a.flags)
            with f.if_else(a.c_n == 1) as (together, apart):
                with together:
                    (a.C + at).store(value, mask)
                with apart:
                    (total + i).store(value)
        with f.when(a.c_n != 1), f.loop(width) as i:
            a.C[(j + i) * a.c_n] = total[i]


@kernel("*C ldc *A a_row *B m n")
def outer(f: Frame, a: Arguments) -> None:
    """C_mn = A_m B_n: the gradient of a W by a single row, without a tile to begin and to end for one step."""
    with f.loop(a.m) as i:
        _add_rows(f, 1, None, a.C + i * a.ldc, a.A + i * a.a_row, 0, a.B, 0, a.n)


@kernel("*C ldc *A a_k *B ldb m n k *pack")
def few_columns(f: Frame, a: Arguments) -> None:
    """C^T = B^T A for few columns of C, with A contiguous along m: vectors along m. `pack` is a buffer."""
    block = WIDE_VECTORS * BYTES // f.itemsize
    with f.loop(a.m, block) as i:
        width = (a.m - i).least(block)
        with f.loop(a.k.greatest(1), K_CHUNK) as start:
            depth, flags = (a.k - start).least(K_CHUNK), (start > 0).select(ACCUMULATE, 0)
            B, A = a.B + start * a.ldb, a.A + (start * a.a_k + i)
            f.call(few_rows, a.pack, block, B, 1, a.ldb, A, a.a_k, a.n, width, depth, 0, flags)
        with f.loop(width) as row, f.loop(a.n) as j:
            value = a.pack[j * block + row]
            a.C[(i + row) * a.ldc + j] = value
