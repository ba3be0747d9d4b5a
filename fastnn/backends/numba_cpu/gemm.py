"""GEMM: how a product is cut into blocks; sums over the batch. Every accumulator from +0 by fma in ascending k, chunks
of K_CHUNK added in order."""

from __future__ import annotations

from typing import Any

from ...core.arithmetic import K_CHUNK
from ..tuning import (
    ALIAS_BYTES,
    DOT_VECTORS,
    L2_BYTES,
    LARGE_BYTES,
    LARGE_ROWS,
    PACK_BYTES,
    PACK_FROM,
    TRANSPOSE_COST,
    TRANSPOSED_ROWS,
)
from .declare import Arguments, kernel
from .frame import Frame
from .gemm_blocks import NO_PREFETCH, gemm_rows, pack_panels, packed_columns, packed_rows
from .gemm_few import few_columns, few_dots, few_rows, gemv, outer
from .gemm_tile import ACCUMULATE, BIAS, BYTES, FAR, PACKED, RELU, SLOW_ROWS, TRANSPOSED, WIDE_ROWS
from .integers import Condition, Integer
from .reductions import batch_fold
from .transpose import pack_transposed, transpose


def _aliases(size: int, ld: Integer) -> Condition:
    """Whether rows so far apart share few sets of a cache."""
    return ld * size % ALIAS_BYTES == 0


def _outgrows(size: int, rows: Integer, columns: Integer) -> Condition:
    """Whether a matrix of such sides does not fit the second cache."""
    return rows * columns * size > L2_BYTES


def _comes_slowly(size: int, ldb: Integer, n: Integer, k: Integer) -> Condition:
    """Whether columns of B come slowly: its rows share few sets of a cache, or it outgrows the second cache."""
    return _aliases(size, ldb) | _outgrows(size, k, n)


def _packs(size: int, ldb: Integer, m: Integer, n: Integer, k: Integer) -> Condition:
    """Whether packing B costs less than reading it where it is."""
    large = n * k * size > LARGE_BYTES
    least = large.select(LARGE_ROWS, _comes_slowly(size, ldb, n, k).select(SLOW_ROWS, PACK_FROM))
    return (n > BYTES // size) & (m >= least) & (k.least(K_CHUNK) * n * size >= PACK_BYTES)


@kernel("ldb m n k", result="int64")
def packs_columns(f: Frame, a: Arguments) -> Integer:
    """1 if a product packs B, or 0."""
    return _packs(f.itemsize, *a).select(1, 0)


@kernel("*C ldc *A a_row a_k *B ldb m n k *epilogue flags *scratch")
def blocks(f: Frame, a: Arguments) -> None:
    """The product of a block of columns at a time, chunk by chunk."""
    size, lanes = f.itemsize, BYTES // f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, epilogue, flags, scratch = a
    transposed = flags & TRANSPOSED != 0
    packs = transposed | _packs(size, ldb, m, n, k)
    most = (_comes_slowly(size, ldb, n, k) & (WIDE_ROWS > 2)).select(SLOW_ROWS, WIDE_ROWS)
    few = ~packs & (n > 2 * lanes) & (m > 0) & (m <= most)
    flags = flags | ((a_k == 1) & _outgrows(size, m, k)).select(FAR, 0)
    narrow = ~few & _outgrows(size, k.least(K_CHUNK), n)
    block = packs.select(packed_columns(1, size), narrow.select(2 * lanes, n))
    with f.loop(n, block) as j:
        width = (n - j).least(block)
        c, epilogue_at = C + j, epilogue + j
        with f.loop(k.greatest(1), K_CHUNK) as start:
            depth = (k - start).least(K_CHUNK)
            of_chunk = (start + depth >= k).select(flags, flags & FAR)
            of_chunk = of_chunk | (start > 0).select(ACCUMULATE, 0) | packs.select(PACKED, 0)
            a_at, b = A + start * a_k, B + (start * ldb + j)
            with f.when(packs), f.if_else(transposed) as (exchanged, given):
                with exchanged:
                    f.call(pack_transposed, scratch, B + (j * ldb + start), ldb, width, depth)
                with given:
                    f.call(pack_panels, scratch, b, ldb, width, depth)
            sizes: dict[str, Any] = {"m": m, "n": width, "k": depth, "flags": of_chunk}
            product = {"C": c, "ldc": ldc, "A": a_at, "a_row": a_row, "a_k": a_k, "epilogue": epilogue_at, **sizes}
            with f.if_else(few) as (yes, no):
                with yes:
                    f.call(few_rows, **product, B=b, ldb=ldb)
                with no:
                    b, ld = packs.select(scratch, b), packs.select(2 * lanes, ldb)
                    panel = packs.select(depth * (2 * lanes), 2 * lanes)
                    f.call(gemm_rows, **product, B=b, ldb=ld, panel=panel, scratch=scratch, **NO_PREFETCH)


def _panel_columns(size: int, n: Integer) -> Integer:
    """Columns of the panels that hold n columns."""
    panel = 2 * BYTES // size
    return (n + (panel - 1)) // panel * panel


def _repays_transposing(size: int, m: Integer, n: Integer, k: Integer) -> Condition:
    """Whether C = A B^T is computed transposed: exchanging A and C, and columns that fill no vector, cost half of what
    exchanging B does, and the buffer holds A."""
    lanes = BYTES // size
    filled = ((m + (lanes - 1)) // lanes * lanes - m) * -1 + TRANSPOSE_COST
    fits = _panel_columns(size, m) * (k + TRANSPOSED_ROWS) <= packed_rows(size)
    return (m > lanes) & (m * (n + k) * (2 * TRANSPOSE_COST) <= filled * n * k) & fits


@kernel("*C ldc *A a_row *B ldb m n k *scratch")
def transposed_product(f: Frame, a: Arguments) -> None:
    """C = A B^T for few rows of A: B, as it is given, times A^T, and C exchanged from its transposed."""
    size, panel = f.itemsize, 2 * BYTES // f.itemsize
    C, ldc, A, a_row, B, ldb, m, n, k, scratch = a
    width, far = _panel_columns(size, m), _outgrows(size, n, k).select(FAR, 0)
    block = scratch + width * k
    with f.loop(k, K_CHUNK) as start:
        depth = (k - start).least(K_CHUNK)
        f.call(pack_transposed, scratch + width * start, A + start, a_row, m, depth)
    with f.loop(n, TRANSPOSED_ROWS) as row:
        rows = (n - row).least(TRANSPOSED_ROWS)
        with f.loop(k, K_CHUNK) as start:
            depth = (k - start).least(K_CHUNK)
            b, panels = B + (row * ldb + start), scratch + width * start
            flags = far | (start > 0).select(PACKED | ACCUMULATE, PACKED)
            f.call(
                gemm_rows,
                C=block,
                ldc=width,
                A=b,
                a_row=ldb,
                a_k=1,
                B=panels,
                ldb=panel,
                panel=depth * panel,
                m=rows,
                n=m,
                k=depth,
                epilogue=0,
                flags=flags,
                scratch=scratch,
                **NO_PREFETCH,
            )
        f.call(transpose, C + row, ldc, block, width, rows, m)


@kernel("m n k", result="int64")
def takes_slope(f: Frame, a: Arguments) -> Integer:
    """1 if SLOPE may be among the flags, with TRANSPOSED, or 0."""
    return ((a.m > DOT_VECTORS) & (a.n > DOT_VECTORS) & ~_repays_transposing(f.itemsize, *a)).select(1, 0)


@kernel("*C ldc *A a_row a_k *B ldb m n k *epilogue flags *scratch")
def gemm(f: Frame, a: Arguments) -> None:
    """C_mn = A_mk B_kn by the chunk rule, then `flags`: BIAS, RELU, SLOPE (see takes_slope); with TRANSPOSED B is given
    as (n, k). Strides in elements. `scratch` is a buffer of `pack_size` elements.
    Rows gemm_nn, gemm_tn, gemm_nt, dense_forward."""
    lanes = BYTES // f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, epilogue, flags, scratch = a
    transposed = flags & TRANSPOSED != 0
    by_rows = (n > 0) & (n <= DOT_VECTORS) & (a_k == 1) & (m >= lanes)
    row = (m == 1) & (n >= lanes) & (k > 0) & ~transposed
    plain = flags & (TRANSPOSED | BIAS | RELU) == 0
    column = (n == 1) & (a_row == 1) & (m >= lanes) & (k > 0) & plain
    by_columns = transposed & (m > 0) & (m <= DOT_VECTORS) & (n >= lanes) & (flags & BIAS == 0)
    exchanged = transposed & (a_k == 1) & _repays_transposing(f.itemsize, m, n, k) & (flags & (BIAS | RELU) == 0)
    single = (k == 1) & (n > lanes) & (flags == 0)
    narrow = (n > 0) & (n <= WIDE_ROWS) & (a_row == 1) & (m >= lanes) & plain

    def dots_by_rows() -> None:
        q: dict[str, Any] = {"Q": B, "q_vector": transposed.select(ldb, 1), "q_k": transposed.select(1, ldb)}
        out: dict[str, Any] = {"out": C, "out_row": ldc, "out_vector": 1, "epilogue": epilogue, "flags": flags}
        f.call(few_dots, n - 1, R=A, ldr=a_row, rows=m, k=k, **q, **out)

    def dots_by_columns() -> None:
        q: dict[str, Any] = {"Q": A, "q_vector": a_row, "q_k": a_k}
        out: dict[str, Any] = {"out": C, "out_row": 1, "out_vector": ldc, "epilogue": 0, "flags": flags}
        f.call(few_dots, m - 1, R=B, ldr=ldb, rows=n, k=k, **q, **out)

    f.cases(
        (by_rows, dots_by_rows),
        (by_columns, dots_by_columns),
        (row, lambda: f.call(gemv, C, 1, A, a_k, B, ldb, n, k, epilogue, flags, scratch)),
        (column, lambda: f.call(gemv, C, ldc, B, ldb, A, a_k, m, k, 0, 0, scratch)),
        (narrow, lambda: f.call(few_columns, C, ldc, A, a_k, B, ldb, m, n, k, scratch)),
        (single, lambda: f.call(outer, C, ldc, A, a_row, B, m, n)),
        (exchanged, lambda: f.call(transposed_product, C, ldc, A, a_row, B, ldb, m, n, k, scratch)),
        otherwise=lambda: f.call(blocks, *a),
    )


@kernel("*db *dZ ld rows columns")
def bias_backward(f: Frame, a: Arguments) -> None:
    """db_o = sum over the batch of dZ_bo."""
    with f.blocks(a.columns) as (column, mask):
        total = batch_fold(f, [(a.dZ, a.ld)], a.rows, column, mask, lambda lane, d: lane + d)
        (a.db + column).store(total, mask)
