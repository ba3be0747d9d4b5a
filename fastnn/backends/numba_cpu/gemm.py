"""GEMM over tiles: chunks of k, panels of columns; sums over the batch."""

from __future__ import annotations

from typing import Any

from ... import arithmetic as ar
from .gemm_blocks import gemm_blocks, is_large
from .gemm_tile import (
    ACCUMULATE,
    BYTES,
    PACK_ROWS,
    PACK_STRIDE,
    gemm_panel_narrow,
    gemm_panel_packed,
    gemm_panel_wide,
)
from .jit import device
from .lanes import Frame, kernel
from .memory import itemsize
from .reductions import batch_fold

K_CHUNK = ar.K_CHUNK


@device
def gemm(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack):
    """C_mn = A_mk B_kn by the chunk rule, then `flags`: BIAS, RELU. Addresses; strides in elements. `pack`
    is that of a buffer for large matrices, or 0. Rows gemm_nn, gemm_tn, dense_forward."""
    if pack != 0 and is_large(m, n, k):
        gemm_blocks(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack)
        return
    size = itemsize(zero)
    lanes = BYTES // size
    for j in range(0, n, 2 * lanes):
        width = min(n - j, 2 * lanes)
        for start in range(0, max(k, 1), K_CHUNK):
            depth = min(k - start, K_CHUNK)
            step_flags = flags if start + depth >= k else 0
            if start > 0:
                step_flags |= ACCUMULATE
            a_at, b_at = A + start * a_k * size, B + (start * ldb + j) * size
            c_at, bias_at = C + j * size, bias + j * size
            if width > lanes and m >= PACK_ROWS and ldb >= PACK_STRIDE:
                gemm_panel_packed(zero, c_at, ldc, a_at, a_row, a_k, b_at, ldb, m, width, depth, bias_at, step_flags)
            elif width > lanes:
                gemm_panel_wide(zero, c_at, ldc, a_at, a_row, a_k, b_at, ldb, m, width, depth, bias_at, step_flags)
            else:
                gemm_panel_narrow(zero, c_at, ldc, a_at, a_row, a_k, b_at, ldb, m, width, depth, bias_at, step_flags)


def _bias_backward(f: Frame, db: Any, dZ: Any, ld: Any, rows: Any, columns: Any) -> None:
    """db_o = sum over the batch of dZ_bo."""
    with f.blocks(columns) as (column, mask):
        f.store(batch_fold(f, [(dZ, ld)], rows, column, mask, lambda lane, d: lane + d), f.at(db, column), mask)


# bias_backward(zero, db, dZ, ld, rows, columns)
bias_backward = kernel("bias_backward", 5, 0, _bias_backward)
