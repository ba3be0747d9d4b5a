"""GEMM: how a product is cut into blocks; sums over the batch. Every accumulator from +0 by fma in ascending k, chunks
of K_CHUNK added in order."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from ...arithmetic import K_CHUNK
from .exchange import load_exchanged
from .gemm_blocks import ALIAS_BYTES, BLOCK_BYTES, CHUNK, PACK_PANELS, SECOND_CACHE, gemm_rows
from .gemm_tile import ACCUMULATE, BIAS, BYTES, FAR, PACKED, RELU, THIN_ROWS, THIN_VECTORS, TRANSPOSED, gemm_thin
from .integers import Control
from .lanes import I64, Frame, Kernel, Lanes, Value, chosen, kernel
from .reductions import batch_fold
from .transpose import pack_transposed

DOTS = 4  # fewest columns of C that whole vectors of columns repay
PACK_BYTES = 16384  # the least of a chunk of B that repay its packing


def _dots(count: int) -> Any:
    """Body: out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: as many rows at a time as
    a vector has lanes, exchanged in registers."""

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
        zeros = [o.constant(0.0).ir] * count
        slots = cgutils.alloca_once(builder, ir.ArrayType(o.type, o.width))
        slots.align = BYTES
        memory = builder.ptrtoint(slots, I64)

        def add(sums: Any, vector: Value, step: Any) -> list[Any]:
            added = []
            for j, value in enumerate(sums):
                place = f.at(Q, builder.add(builder.mul(I64(j), q_vector), builder.mul(step, q_k)))
                added.append(o.fma(o.splat(f.load_scalar(place)), vector, Value(o, value)).ir)
            return added

        with f.loop(rows, o.width) as row:
            left, R_at = builder.sub(rows, row), f.at(R, builder.mul(row, ldr))

            def square(end: Any) -> Any:
                def body(step: Any, *sums: Any) -> list[Any]:
                    depth = builder.sub(end, step)
                    block = load_exchanged(f, o, f.at(R_at, step), ldr, left, depth)

                    def whole() -> list[Any]:  # the block stays in registers
                        added = list(sums)
                        for i, vector in enumerate(block):
                            added = add(added, vector, builder.add(step, I64(i)))
                        return added

                    def part() -> list[Any]:
                        for i, vector in enumerate(block):
                            f.store(vector, builder.add(memory, I64(i * BYTES)))

                        def one(i: Any, *sums: Any) -> list[Any]:
                            vector = f.load(builder.add(memory, builder.mul(i, I64(BYTES))), None, o)
                            return add(sums, vector, builder.add(step, i))

                        return f.carry(depth, sums, one)

                    return f.either(builder.icmp_signed(">=", depth, I64(o.width)), whole, part)

                return body

            def chunk(start: Any, *totals: Any) -> list[Any]:
                end = f.least(builder.add(start, I64(K_CHUNK)), k)
                sums = f.carry(end, zeros, square(end), o.width, start)
                first = builder.icmp_signed("==", start, I64(0))
                return [
                    builder.select(first, value, (Value(o, total) + Value(o, value)).ir)
                    for total, value in zip(totals, sums, strict=True)
                ]

            totals = f.carry(k, zeros, chunk, K_CHUNK)

            def biased() -> list[Any]:
                scalars = [f.load_scalar(f.at(bias, I64(j))) for j in range(count)]
                return [(Value(o, total) + o.splat(b)).ir for total, b in zip(totals, scalars, strict=True)]

            def rectified() -> list[Any]:
                return [o.select(Value(o, total) < 0.0, 0.0, Value(o, total)).ir for total in totals]

            totals = f.either(f.has(flags, BIAS), biased, lambda: totals)
            totals = f.either(f.has(flags, RELU), rectified, lambda: totals)
            height = f.least(left, I64(o.width))
            for j, total in enumerate(totals):
                value = Value(o, total)
                place = f.at(out, builder.add(builder.mul(row, out_row), builder.mul(I64(j), out_vector)))
                with builder.if_else(builder.icmp_signed("==", out_row, I64(1))) as (together, apart):
                    with together:
                        f.store(value, place, f.mask(left, o.width))
                    with apart:
                        f.store(value, memory)
                        with f.loop(height) as i:
                            f.store_scalar(f.load_scalar(f.at(memory, i)), f.at(place, builder.mul(i, out_row)))

    return emit


# (count - 1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags)
few_dots = chosen("gemm_dots", 12, 0, [_dots(count) for count in range(1, DOTS + 1)])


def _thin(f: Frame, *arguments: Any) -> None:
    """At most THIN_ROWS rows of C: tiles of THIN_VECTORS vectors, over B as it is given."""
    to, size = Control(f), f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags = to.integers(arguments)
    to.call(gemm_thin, m - 1, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags)
    left = n % (THIN_VECTORS * BYTES // size)
    with to.when(left > 0):
        C, B, bias = (address + (n - left) * size for address in (C, B, bias))
        to.call(gemm_rows, C, ldc, A, a_row, a_k, B, ldb, 2 * BYTES // size, m, left, k, bias, flags, 0, 0, 0, 0, 0)


# (C, ldc, A, row stride of A, k stride of A, B, ldb, m, n, k, bias, flags)
thin = Kernel("gemm_few_rows", 12, 0, _thin, "void")


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


def _packs(size: int, ldb: Any, m: Any, n: Any, depth: Any) -> Any:
    """Whether packing B costs less than reading it where it is."""
    least = (ldb * size % ALIAS_BYTES == 0).select(48, 160)
    return (n > BYTES // size) & (m >= least) & (depth * n * size >= PACK_BYTES)


def _packs_columns(f: Frame, *arguments: Any) -> Any:
    return _packs(f.itemsize, *Control(f).integers(arguments)).select(1, 0).ir


# packs_columns(zero, ldb, m, n, depth): 1 or 0
packs_columns = kernel("gemm_packs_columns", 4, 0, _packs_columns, "integer")


def _blocks(f: Frame, *arguments: Any) -> None:
    """The product of BLOCK_BYTES of columns at a time, chunk by chunk."""
    to, size, lanes = Control(f), f.itemsize, BYTES // f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack = to.integers(arguments)
    transposed, deepest = flags & TRANSPOSED != 0, k.least(K_CHUNK)
    is_thin = (m > 0) & (m <= THIN_ROWS) & (n > 2 * lanes) & ~transposed
    packs = transposed | _packs(size, ldb, m, n, deepest)
    narrow = ~is_thin & (deepest * n * size > SECOND_CACHE)
    block = packs.select(BLOCK_BYTES // size, narrow.select(2 * lanes, n))
    with to.loop(n, block) as j:
        width = (n - j).least(block)
        c, bias_at = C + j * size, bias + j * size
        with to.loop(k.most(1), K_CHUNK) as start:
            depth = (k - start).least(K_CHUNK)
            own = (start + depth >= k).select(flags, flags & FAR)
            own = own | (start > 0).select(ACCUMULATE, 0) | packs.select(PACKED, 0)
            a, b = A + start * a_k * size, B + (start * ldb + j) * size
            with to.when(packs), to.either(transposed) as (exchanged, given):
                with exchanged:
                    to.call(pack_transposed, pack, B + (j * ldb + start) * size, ldb, width, depth)
                with given:
                    to.call(PACK_PANELS, pack, b, ldb, width, depth)
            with to.either(is_thin & ~packs) as (few, many):
                with few:
                    to.call(thin, c, ldc, a, a_row, a_k, b, ldb, m, width, depth, bias_at, own)
                with many:
                    b, ld = packs.select(pack, b), packs.select(2 * lanes, ldb)
                    panel = packs.select(depth * (2 * lanes), 2 * lanes)
                    product = c, ldc, a, a_row, a_k, b, ld, panel, m, width, depth, bias_at, own
                    to.call(CHUNK, *product, pack, 0, 0, 0, 0)


# (C, ldc, A, row stride of A, k stride of A, B, ldb, m, n, k, bias, flags, pack)
blocks = Kernel("gemm_blocks", 13, 0, _blocks, "void")


def _gemm(f: Frame, *arguments: Any) -> None:
    """C_mn = A_mk B_kn by the chunk rule, then `flags`: BIAS, RELU; with TRANSPOSED B is given as (n, k). Addresses;
    strides in elements. `pack` is that of a buffer of `pack_size` elements. Rows gemm_nn, gemm_tn, gemm_nt,
    dense_forward."""
    to, lanes = Control(f), BYTES // f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack = to.integers(arguments)
    transposed = flags & TRANSPOSED != 0
    by_rows = (n > 0) & (n <= DOTS) & (a_k == 1) & (m >= lanes)
    by_columns = transposed & (m > 0) & (m <= DOTS) & (n >= lanes) & (flags & BIAS == 0)
    narrow = (n > 0) & (n <= THIN_ROWS) & (a_row == 1) & (m >= lanes) & (flags & (TRANSPOSED | BIAS | RELU) == 0)
    with to.either(by_rows) as (yes, no):
        with yes:
            q_vector, q_k = transposed.select(ldb, 1), transposed.select(1, ldb)
            to.call(few_dots, n - 1, C, ldc, 1, A, a_row, B, q_vector, q_k, m, k, bias, flags)
        with no, to.either(by_columns) as (yes, no):
            with yes:
                to.call(few_dots, m - 1, C, 1, ldc, B, ldb, A, a_row, a_k, n, k, 0, flags)
            with no, to.either(narrow) as (yes, no):
                with yes:
                    to.call(few_columns, C, ldc, A, a_k, B, ldb, m, n, k, pack)
                with no:
                    to.call(blocks, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack)


# gemm(zero, C, ldc, A, row stride of A, k stride of A, B, ldb, m, n, k, bias, flags, pack)
gemm = kernel("gemm", 13, 0, _gemm)


def _bias_backward(f: Frame, db: Any, dZ: Any, ld: Any, rows: Any, columns: Any) -> None:
    """db_o = sum over the batch of dZ_bo."""
    with f.blocks(columns) as (column, mask):
        f.store(batch_fold(f, [(dZ, ld)], rows, column, mask, lambda lane, d: lane + d), f.at(db, column), mask)


# bias_backward(zero, db, dZ, ld, rows, columns)
bias_backward = kernel("bias_backward", 5, 0, _bias_backward)
