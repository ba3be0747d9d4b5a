"""GEMM: how a product is cut into blocks; sums over the batch. Every accumulator from +0 by fma in ascending k, chunks
of K_CHUNK added in order."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from ...arithmetic import K_CHUNK
from .exchange import load_exchanged
from .gemm_blocks import ALIAS_BYTES, BLOCK_BYTES, SECOND_CACHE, gemm_chunk, gemm_rows, pack_panels
from .gemm_tile import ACCUMULATE, BIAS, BYTES, PACKED, RELU, THIN_ROWS, THIN_VECTORS, TRANSPOSED, gemm_thin
from .jit import device
from .lanes import I64, Frame, Lanes, Value, choose, kernel
from .memory import itemsize
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


# few_dots(zero, count - 1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags)
few_dots = choose("gemm_dots", 12, 0, [_dots(count) for count in range(1, DOTS + 1)])


@device
def thin(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags):
    """At most THIN_ROWS rows of C: tiles of THIN_VECTORS vectors, over B as it is given."""
    size = itemsize(zero)
    gemm_thin(zero, m - 1, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags)
    lanes = BYTES // size
    done = n // (THIN_VECTORS * lanes) * (THIN_VECTORS * lanes)
    if done < n:
        C, B, bias = C + done * size, B + done * size, bias + done * size
        gemm_rows(zero, C, ldc, A, a_row, a_k, B, ldb, 2 * lanes, m, n - done, k, bias, flags, 0)


def _put_columns(f: Frame, C: Any, ldc: Any, block: Any, ld: Any, rows: Any, columns: Any) -> None:
    """C = the transposed of block, by elements: columns are too few for squares."""
    with f.loop(rows) as row, f.loop(columns) as j:
        value = f.load_scalar(f.at(block, f.builder.add(f.builder.mul(j, ld), row)))
        f.store_scalar(value, f.at(C, f.builder.add(f.builder.mul(row, ldc), j)))


# put_columns(zero, C, ldc, block, row stride of block, rows of C, columns of C)
put_columns = kernel("gemm_put_columns", 6, 0, _put_columns)


@device
def few_columns(zero, C, ldc, A, a_k, B, ldb, m, n, k, pack):
    """C^T = B^T A for few columns of C, with A contiguous along m: vectors along m."""
    size = itemsize(zero)
    block = THIN_VECTORS * BYTES // size
    for i in range(0, m, block):
        width = min(block, m - i)
        for start in range(0, max(k, 1), K_CHUNK):
            depth, flags = min(k - start, K_CHUNK), ACCUMULATE if start > 0 else 0
            b, a = B + start * ldb * size, A + (start * a_k + i) * size
            thin(zero, pack, block, b, 1, ldb, a, a_k, n, width, depth, 0, flags)
        put_columns(zero, C + i * ldc * size, ldc, pack, block, width, n)


@device
def packs_columns(zero, ldb, m, n, depth):
    """Whether packing B costs less than reading it where it is."""
    size = itemsize(zero)
    least = 48 if ldb * size % ALIAS_BYTES == 0 else 160
    return n > BYTES // size and m >= least and depth * n * size >= PACK_BYTES


@device
def blocks(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack):
    """The product of BLOCK_BYTES of columns at a time, chunk by chunk."""
    size = itemsize(zero)
    lanes = BYTES // size
    transposed = flags & TRANSPOSED != 0
    deepest = min(k, K_CHUNK)
    is_thin = m <= THIN_ROWS and n > 2 * lanes and not transposed
    packs = transposed or packs_columns(zero, ldb, m, n, deepest)
    block = BLOCK_BYTES // size if packs else max(n, 1)
    if not packs and not is_thin and deepest * n * size > SECOND_CACHE:
        block = 2 * lanes
    for j in range(0, n, block):
        width = min(block, n - j)
        c, bias_at = C + j * size, bias + j * size
        for start in range(0, max(k, 1), K_CHUNK):
            depth = min(k - start, K_CHUNK)
            step_flags = flags if start + depth >= k else 0
            if start > 0:
                step_flags |= ACCUMULATE
            a, b = A + start * a_k * size, B + (start * ldb + j) * size
            if packs:
                if transposed:
                    pack_transposed(zero, pack, B + (j * ldb + start) * size, ldb, width, depth)
                else:
                    pack_panels(zero, pack, b, ldb, width, depth)
                panel, step_flags = 2 * lanes * depth, step_flags | PACKED
                gemm_chunk(
                    zero, c, ldc, a, a_row, a_k, pack, 2 * lanes, panel, m, width, depth, bias_at, step_flags, pack
                )
            elif is_thin:
                thin(zero, c, ldc, a, a_row, a_k, b, ldb, m, width, depth, bias_at, step_flags)
            else:
                gemm_chunk(zero, c, ldc, a, a_row, a_k, b, ldb, 2 * lanes, m, width, depth, bias_at, step_flags, pack)


@device
def gemm(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack):
    """C_mn = A_mk B_kn by the chunk rule, then `flags`: BIAS, RELU; with TRANSPOSED B is given as (n, k). Addresses;
    strides in elements. `pack` is that of a buffer of `pack_size` elements. Rows gemm_nn, gemm_tn, gemm_nt,
    dense_forward."""
    lanes = BYTES // itemsize(zero)
    transposed = flags & TRANSPOSED != 0
    if m <= 0 or n <= 0:
        return
    if n <= DOTS and a_k == 1 and m >= lanes:
        q_vector, q_k = (ldb, 1) if transposed else (1, ldb)
        few_dots(zero, n - 1, C, ldc, 1, A, a_row, B, q_vector, q_k, m, k, bias, flags)
    elif transposed and m <= DOTS and n >= lanes and flags & BIAS == 0:
        few_dots(zero, m - 1, C, 1, ldc, B, ldb, A, a_row, a_k, n, k, 0, flags)
    elif n <= THIN_ROWS and a_row == 1 and m >= lanes and flags & (TRANSPOSED | BIAS | RELU) == 0:
        few_columns(zero, C, ldc, A, a_k, B, ldb, m, n, k, pack)
    else:
        blocks(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack)


def _bias_backward(f: Frame, db: Any, dZ: Any, ld: Any, rows: Any, columns: Any) -> None:
    """db_o = sum over the batch of dZ_bo."""
    with f.blocks(columns) as (column, mask):
        f.store(batch_fold(f, [(dZ, ld)], rows, column, mask, lambda lane, d: lane + d), f.at(db, column), mask)


# bias_backward(zero, db, dZ, ld, rows, columns)
bias_backward = kernel("bias_backward", 5, 0, _bias_backward)
