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
from .frame import Frame, Kernel, kernel
from .gemm_blocks import PACK_PANELS, ROWS, packed_columns, packed_rows
from .gemm_few import few_columns, few_dots, lone_row, outer, thin
from .gemm_tile import ACCUMULATE, BIAS, BYTES, FAR, PACKED, RELU, SLOW_ROWS, THIN_ROWS, TRANSPOSED
from .integers import Control, Integer
from .reductions import batch_fold
from .transpose import pack_transposed, transpose


def _aliases(size: int, ld: Any) -> Any:
    """Whether rows so far apart share few sets of a cache."""
    return ld * size % ALIAS_BYTES == 0


def _outgrows(size: int, rows: Any, columns: Any) -> Any:
    """Whether a matrix of such sides does not fit the second cache."""
    return rows * columns * size > L2_BYTES


def _comes_slowly(size: int, ldb: Any, n: Any, k: Any) -> Any:
    """Whether columns of B come slowly: its rows share few sets of a cache, or it outgrows the second cache."""
    return _aliases(size, ldb) | _outgrows(size, k, n)


def _packs(size: int, ldb: Any, m: Any, n: Any, k: Any) -> Any:
    """Whether packing B costs less than reading it where it is."""
    large = n * k * size > LARGE_BYTES
    least = large.select(LARGE_ROWS, _comes_slowly(size, ldb, n, k).select(SLOW_ROWS, PACK_FROM))
    return (n > BYTES // size) & (m >= least) & (k.least(K_CHUNK) * n * size >= PACK_BYTES)


def _packs_columns(f: Frame, *arguments: Any) -> Any:
    return _packs(f.itemsize, *Control(f).integers(arguments)).select(1, 0).ir


# packs_columns(zero, ldb, m, n, k): 1 or 0
packs_columns = kernel("gemm_packs_columns", 4, 0, _packs_columns, "integer")


def _blocks(f: Frame, *arguments: Any) -> None:
    """The product of a block of columns at a time, chunk by chunk."""
    to, size, lanes = Control(f), f.itemsize, BYTES // f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack = to.integers(arguments)
    transposed = flags & TRANSPOSED != 0
    packs = transposed | _packs(size, ldb, m, n, k)
    few_rows = (_comes_slowly(size, ldb, n, k) & (THIN_ROWS > 2)).select(SLOW_ROWS, THIN_ROWS)
    is_thin = ~packs & (n > 2 * lanes) & (m > 0) & (m <= few_rows)
    flags = flags | ((a_k == 1) & _outgrows(size, m, k)).select(FAR, 0)
    narrow = ~is_thin & _outgrows(size, k.least(K_CHUNK), n)
    block = packs.select(packed_columns(1, size), narrow.select(2 * lanes, n))
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
            with to.either(is_thin) as (few, many):
                with few:
                    to.call(thin, c, ldc, a, a_row, a_k, b, ldb, m, width, depth, bias_at, own)
                with many:
                    b, ld = packs.select(pack, b), packs.select(2 * lanes, ldb)
                    panel = packs.select(depth * (2 * lanes), 2 * lanes)
                    product = c, ldc, a, a_row, a_k, b, ld, panel, m, width, depth, bias_at, own
                    to.call(ROWS, *product, pack, 0, 0, 0, 0)


# (C, ldc, A, row stride of A, k stride of A, B, ldb, m, n, k, bias, flags, pack)
blocks = Kernel("gemm_blocks", 13, 0, _blocks, "void")


def _panel_columns(size: int, n: Any) -> Any:
    """Columns of the panels that hold n columns."""
    panel = 2 * BYTES // size
    return (n + (panel - 1)) // panel * panel


def _turns(size: int, m: Integer, n: Integer, k: Integer) -> Integer:
    """Whether C = A B^T is computed transposed: exchanging A and C, and columns that fill no vector, cost half of what
    exchanging B does, and the buffer holds A."""
    lanes = BYTES // size
    filled = ((m + (lanes - 1)) // lanes * lanes - m) * -1 + TRANSPOSE_COST
    held = _panel_columns(size, m) * (k + TRANSPOSED_ROWS) <= packed_rows(size)
    return (m > lanes) & (m * (n + k) * (2 * TRANSPOSE_COST) <= filled * n * k) & held


def _turned(f: Frame, *arguments: Any) -> None:
    """C = A B^T for few rows of A: B, as it is given, times A^T, and C exchanged from its transposed."""
    to, size, panel = Control(f), f.itemsize, 2 * BYTES // f.itemsize
    C, ldc, A, a_row, B, ldb, m, n, k, pack = to.integers(arguments)
    width, far = _panel_columns(size, m), _outgrows(size, n, k).select(FAR, 0)
    block = pack + width * k * size
    with to.loop(k, K_CHUNK) as start:
        depth = (k - start).least(K_CHUNK)
        to.call(pack_transposed, pack + width * start * size, A + start * size, a_row, m, depth)
    with to.loop(n, TRANSPOSED_ROWS) as row:
        rows = (n - row).least(TRANSPOSED_ROWS)
        with to.loop(k, K_CHUNK) as start:
            depth = (k - start).least(K_CHUNK)
            b, panels = B + (row * ldb + start) * size, pack + width * start * size
            flags = far | (start > 0).select(PACKED | ACCUMULATE, PACKED)
            product = block, width, b, ldb, 1, panels, panel, depth * panel, rows, m, depth, 0, flags
            to.call(ROWS, *product, pack, 0, 0, 0, 0)
        to.call(transpose, C + row * size, ldc, block, width, rows, m)


# (C, ldc, A, row stride of A, B, ldb, m, n, k, pack)
turned = Kernel("gemm_turned", 10, 0, _turned, "void")


def _takes_slope(f: Frame, *arguments: Any) -> Any:
    m, n, k = Control(f).integers(arguments)
    return ((m > DOT_VECTORS) & (n > DOT_VECTORS) & ~_turns(f.itemsize, m, n, k)).select(1, 0).ir


# takes_slope(zero, m, n, k): 1 if SLOPE may be among the flags, with TRANSPOSED, or 0
takes_slope = kernel("gemm_takes_slope", 3, 0, _takes_slope, "integer")


def _gemm(f: Frame, *arguments: Any) -> None:
    """C_mn = A_mk B_kn by the chunk rule, then `flags`: BIAS, RELU, SLOPE (see takes_slope); with TRANSPOSED B is given
    as (n, k). Addresses; strides in elements. `pack` is that of a buffer of `pack_size` elements.
    Rows gemm_nn, gemm_tn, gemm_nt, dense_forward."""
    to, lanes = Control(f), BYTES // f.itemsize
    C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack = to.integers(arguments)
    transposed = flags & TRANSPOSED != 0
    by_rows = (n > 0) & (n <= DOT_VECTORS) & (a_k == 1) & (m >= lanes)
    row = (m == 1) & (n >= lanes) & (k > 0) & ~transposed
    plain = flags & (TRANSPOSED | BIAS | RELU) == 0
    column = (n == 1) & (a_row == 1) & (m >= lanes) & (k > 0) & plain
    by_columns = transposed & (m > 0) & (m <= DOT_VECTORS) & (n >= lanes) & (flags & BIAS == 0)
    turns = transposed & (a_k == 1) & _turns(f.itemsize, m, n, k) & (flags & (BIAS | RELU) == 0)
    single = (k == 1) & (n > lanes) & (flags == 0)
    narrow = (n > 0) & (n <= THIN_ROWS) & (a_row == 1) & (m >= lanes) & plain
    with to.either(by_rows) as (yes, no):
        with yes:
            q_vector, q_k = transposed.select(ldb, 1), transposed.select(1, ldb)
            to.call(few_dots, n - 1, C, ldc, 1, A, a_row, B, q_vector, q_k, m, k, bias, flags)
        with no, to.either(by_columns) as (yes, no):
            with yes:
                to.call(few_dots, m - 1, C, 1, ldc, B, ldb, A, a_row, a_k, n, k, 0, flags)
            with no, to.either(row) as (yes, no):
                with yes:
                    to.call(lone_row, C, 1, A, a_k, B, ldb, n, k, bias, flags, pack)
                with no, to.either(column) as (yes, no):
                    with yes:
                        to.call(lone_row, C, ldc, B, ldb, A, a_k, m, k, 0, 0, pack)
                    with no, to.either(narrow) as (yes, no):
                        with yes:
                            to.call(few_columns, C, ldc, A, a_k, B, ldb, m, n, k, pack)
                        with no, to.either(single) as (yes, no):
                            with yes:
                                to.call(outer, C, ldc, A, a_row, B, m, n)
                            with no, to.either(turns) as (yes, no):
                                with yes:
                                    to.call(turned, C, ldc, A, a_row, B, ldb, m, n, k, pack)
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
