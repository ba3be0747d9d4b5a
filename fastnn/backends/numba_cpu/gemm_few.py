"""GEMM where C has few rows or few columns: dot products, tiles of four vectors, a row of sums in the first cache."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from ...core.arithmetic import K_CHUNK
from ..tuning import DOT_BLOCKS, DOT_VECTORS, SUM_ROW_BYTES, SUM_ROW_STEPS, THIN_VECTORS
from .exchange import load_rest, load_whole
from .frame import Frame, Kernel, chosen
from .gemm_blocks import ROWS
from .gemm_tile import ACCUMULATE, BIAS, BYTES, RELU, SLOPE, THIN_ROWS, gemm_thin
from .integers import Control, Integer
from .lanes import I64, Lanes, Value


def _dots(count: int) -> Any:
    """Body: out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: as many rows at a time as
    a vector has lanes, or DOT_BLOCKS times as many, exchanged in registers."""

    def emit(
        f: Frame,
        out: Any,
        out_row: Any,
        out_vector: Any,
        R: Any,
        ldr: Any,
        Q: Any,
        q_vector: Any,
        q_k: Any,
        rows: Any,
        k: Any,
        bias: Any,
        flags: Any,
    ) -> None:
        builder = f.builder
        o = Lanes(builder, f.dtype, BYTES // f.itemsize)
        width = I64(o.width)
        slots = cgutils.alloca_once(builder, ir.ArrayType(o.type, o.width))
        slots.align = BYTES
        memory = builder.ptrtoint(slots, I64)

        def add(sums: list[Any], vector: Value, step: Any) -> list[Any]:
            added = []
            for j, value in enumerate(sums):
                place = f.at(Q, builder.add(builder.mul(I64(j), q_vector), builder.mul(step, q_k)))
                added.append(o.fma(o.splat(f.load_scalar(place)), vector, Value(o, value)).ir)
            return added

        def total(groups: int, left: Any, R_at: list[Any]) -> list[Any]:
            """The sums of `groups` blocks of rows, of which `left` rows are there; above one they are whole."""

            def squares(step: Any, *sums: Any) -> list[Any]:
                added = []
                for group, at in enumerate(R_at):
                    own = list(sums[group * count : (group + 1) * count])
                    for i, vector in enumerate(load_whole(f, o, f.at(at, step), ldr)):
                        own = add(own, vector, builder.add(step, I64(i)))
                    added += own
                return added

            def rest(end: Any) -> Any:
                def body(step: Any, *sums: Any) -> list[Any]:
                    depth, added = f.least(builder.sub(end, step), width), []
                    for group, at in enumerate(R_at):
                        block = load_rest(f, o, f.at(at, step), ldr, left, depth)
                        for i, vector in enumerate(block):
                            f.store(vector, builder.add(memory, I64(i * BYTES)))

                        def one(i: Any, *sums: Any) -> list[Any]:
                            vector = f.load(builder.add(memory, builder.mul(i, I64(BYTES))), None, o)
                            return add(list(sums), vector, builder.add(step, i))

                        added += f.carry(depth, sums[group * count : (group + 1) * count], one)
                    return added

                return body

            zeros = [o.constant(0.0).ir] * (count * groups)
            full = builder.icmp_signed(">=", left, width)

            def chunk(start: Any, *totals: Any) -> list[Any]:
                end = f.least(builder.add(start, I64(K_CHUNK)), k)
                whole = builder.select(full, builder.and_(end, I64(-o.width)), start)
                sums = f.carry(whole, zeros, squares, o.width, start)
                sums = f.carry(end, sums, rest(end), o.width, whole)
                first = builder.icmp_signed("==", start, I64(0))
                return [
                    builder.select(first, value, (Value(o, total) + Value(o, value)).ir)
                    for total, value in zip(totals, sums, strict=True)
                ]

            return f.carry(k, zeros, chunk, K_CHUNK)

        def finish(totals: list[Any], row: Any, left: Any) -> None:
            def biased() -> list[Any]:
                scalars = [f.load_scalar(f.at(bias, I64(j))) for j in range(count)]
                return [(Value(o, total) + o.splat(b)).ir for total, b in zip(totals, scalars, strict=True)]

            def rectified() -> list[Any]:
                return [o.select(Value(o, total) < 0.0, 0.0, Value(o, total)).ir for total in totals]

            totals = f.either(f.has(flags, BIAS), biased, lambda: totals)
            totals = f.either(f.has(flags, RELU), rectified, lambda: totals)
            for j, total in enumerate(totals):
                value = Value(o, total)
                place = f.at(out, builder.add(builder.mul(row, out_row), builder.mul(I64(j), out_vector)))
                with builder.if_else(builder.icmp_signed("==", out_row, I64(1))) as (together, apart):
                    with together:
                        f.store(value, place, f.mask(left, o.width))
                    with apart:
                        f.store(value, memory)
                        with f.loop(f.least(left, width)) as i:
                            f.store_scalar(f.load_scalar(f.at(memory, i)), f.at(place, builder.mul(i, out_row)))

        first = I64(0)
        for groups in (DOT_BLOCKS, 1) if count == 1 else (1,):
            height = groups * o.width
            end = builder.and_(rows, I64(-height)) if groups > 1 else rows
            with f.loop(end, height, first) as row:
                at = [builder.add(row, I64(group * o.width)) for group in range(groups)]
                left = builder.sub(rows, row)
                totals = total(groups, left, [f.at(R, builder.mul(index, ldr)) for index in at])
                for group, index in enumerate(at):
                    own = totals[group * count : (group + 1) * count]
                    finish(own, index, builder.sub(rows, index))
            first = end

    return emit


# (count - 1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags)
few_dots = chosen("gemm_dots", 12, 0, [_dots(count) for count in range(1, DOT_VECTORS + 1)])


def _thin(f: Frame, *arguments: Any) -> None:
    """Few rows of C: tiles of THIN_VECTORS vectors, over B as it is given."""
    to, size = Control(f), f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags = to.integers(arguments)
    group = THIN_VECTORS * BYTES // size
    tiles = (m + THIN_ROWS - 1) // THIN_ROWS
    low = m // tiles
    tall, left = m - tiles * low, n % group
    whole = n - left
    width = (tiles == 1).select(whole.most(1), group)  # a lone tile takes all columns in one call
    with to.loop(whole, width) as column, to.loop(tiles) as tile:
        first, own = tile * low + tile.least(tall), (tile < tall).select(low + 1, low)
        c, a = C + (first * ldc + column) * size, A + first * a_row * size
        offset = column * size
        beside = bias + offset + (flags & SLOPE != 0).select(first * ldc * size, 0)
        to.call(gemm_thin, own - 1, c, ldc, a, a_row, a_k, B + offset, ldb, width, k, beside, flags)
    with to.when(left > 0):
        C, B, bias = (address + whole * size for address in (C, B, bias))
        to.call(ROWS, C, ldc, A, a_row, a_k, B, ldb, 2 * BYTES // size, m, left, k, bias, flags, 0, 0, 0, 0, 0)


# (C, ldc, A, row stride of A, k stride of A, B, ldb, m, n, k, bias, flags)
thin = Kernel("gemm_few_rows", 12, 0, _thin, "void")


def _finished(f: Frame, sums: Value, bias: Any, mask: Any, flags: Any) -> Value:
    """A vector of sums with its bias and ReLU."""
    o = sums.lanes
    biased = f.either(f.has(flags, BIAS), lambda: [(sums + f.load(bias, mask, o)).ir], lambda: [sums.ir])
    value = Value(o, *biased)
    return Value(o, *f.either(f.has(flags, RELU), lambda: [o.select(value < 0.0, 0.0, value).ir], lambda: [value.ir]))


def _add_rows(f: Frame, steps: int, first: Any, sums: Any, q: Any, q_k: Any, B: Any, ldb: Any, n: Any) -> None:
    """sums (+)= `steps` rows of B, each times a number."""
    size, builder = f.itemsize, f.builder
    o = Lanes(builder, f.dtype, BYTES // size)
    numbers = [o.splat(f.load_scalar((q + q_k * (i * size)).ir)) for i in range(steps)]

    def vector(j: Any, mask: Any) -> None:
        place = f.at(sums.ir, j)
        value = Value(o, builder.select(first, o.constant(0.0).ir, f.load(place, mask, o).ir))
        for i, number in enumerate(numbers):
            value = o.fma(number, f.load(f.at((B + ldb * (i * size)).ir, j), mask, o), value)
        f.store(value, place, mask)

    f.each(n.ir, vector, o.width)


def _lone_row(f: Frame, *arguments: Any) -> None:
    """One row of C, or one column as a row: C (n) = q B. B is read row by row, as memory likes it, and the sums stay in
    the first cache, in the buffer `pack`."""
    to, size, builder = Control(f), f.itemsize, f.builder
    o = Lanes(builder, f.dtype, BYTES // size)
    C, c_n, q, q_k, B, ldb, n, k, bias, flags, pack = to.integers(arguments)
    total, partial = pack, pack + SUM_ROW_BYTES
    with to.loop(n, SUM_ROW_BYTES // size) as j:
        width = (n - j).least(SUM_ROW_BYTES // size)
        with to.loop(k, K_CHUNK) as start:
            depth = (k - start).least(K_CHUNK)
            sums, whole = (start == 0).select(total, partial), depth // SUM_ROW_STEPS * SUM_ROW_STEPS
            for steps, opening, count in ((SUM_ROW_STEPS, start, whole), (1, start + whole, depth - whole)):
                with to.loop(count, steps) as step:
                    at = opening + step
                    b = B + (at * ldb + j) * size
                    _add_rows(f, steps, (at == start).ir, sums, q + at * q_k * size, q_k, b, ldb, width)
            with to.when(start > 0), f.blocks(width.ir, o.width) as (i, mask):
                place = f.at(total.ir, i)
                f.store(f.load(place, mask, o) + f.load(f.at(partial.ir, i), mask, o), place, mask)

        with f.blocks(width.ir, o.width) as (i, mask):
            at = j + Integer(builder, i)
            value = _finished(f, f.load(f.at(total.ir, i), mask, o), (bias + at * size).ir, mask, flags.ir)
            with to.either(c_n == 1) as (together, apart):
                with together:
                    f.store(value, (C + at * size).ir, mask)
                with apart:
                    f.store(value, f.at(total.ir, i))
        with to.when(c_n != 1), to.loop(width) as i:
            f.store_scalar(f.load_scalar((total + i * size).ir), (C + (j + i) * c_n * size).ir)


# (C, stride of C, q, stride of q, B, ldb, n, k, bias, flags, pack)
lone_row = Kernel("gemm_lone_row", 11, 0, _lone_row, "void")


def _outer(f: Frame, *arguments: Any) -> None:
    """C_mn = A_m B_n: the gradient of a W by a single row, without a tile to begin and to end for one step."""
    to, size = Control(f), f.itemsize
    C, ldc, A, a_row, B, m, n = to.integers(arguments)
    with to.loop(m) as i:
        _add_rows(f, 1, cgutils.true_bit, C + i * ldc * size, A + i * a_row * size, 0, B, 0, n)


# (C, ldc, A, row stride of A, B, m, n)
outer = Kernel("gemm_outer", 7, 0, _outer, "void")


def _few_columns(f: Frame, *arguments: Any) -> None:
    """C^T = B^T A for few columns of C, with A contiguous along m: vectors along m. `pack` is a buffer."""
    to, size = Control(f), f.itemsize
    C, ldc, A, a_k, B, ldb, m, n, k, pack = to.integers(arguments)
    block = THIN_VECTORS * BYTES // size
    with to.loop(m, block) as i:
        width = (m - i).least(block)
        with to.loop(k.most(1), K_CHUNK) as start:
            depth, flags = (k - start).least(K_CHUNK), (start > 0).select(ACCUMULATE, 0)
            b, a = B + start * ldb * size, A + (start * a_k + i) * size
            to.call(thin, pack, block, b, 1, ldb, a, a_k, n, width, depth, 0, flags)
        with to.loop(width) as row, to.loop(n) as j:
            value = f.load_scalar((pack + (j * block + row) * size).ir)
            f.store_scalar(value, (C + ((i + row) * ldc + j) * size).ir)


# (C, ldc, A, k stride of A, B, ldb, m, n, k, pack)
few_columns = Kernel("gemm_few_columns", 10, 0, _few_columns, "void")
