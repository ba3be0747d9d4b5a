"""GEMM over tiles: chunks of k, panels of columns; and what surrounds it: the transposing pack, sums over the batch."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

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
from .lanes import I32, I64, LANES, Frame, Value, kernel
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


def _transpose(f: Frame, dst: Any, ldd: Any, src: Any, lds: Any, rows: Any, columns: Any) -> None:
    """dst_cr = src_rc in blocks of 16 x 16, by four rounds of exchanges between rows."""
    builder = f.builder
    with f.loop(rows, LANES) as r, f.loop(columns, LANES) as c:
        row_left, column_left = builder.sub(rows, r), builder.sub(columns, c)
        column_mask, row_mask = f.mask(column_left), f.mask(row_left)
        block = []
        for i in range(LANES):
            # A row past the end reads the last one again; its lanes are masked when stored.
            inside = builder.icmp_signed("<", I64(i), row_left)
            row = builder.add(r, builder.select(inside, I64(i), I64(0)))
            block.append(f.load(f.at(src, builder.add(builder.mul(row, lds), c)), column_mask).ir)
        half = LANES // 2
        while half:
            low = [lane if not lane & half else LANES + lane - half for lane in range(LANES)]
            high = [lane + half if not lane & half else LANES + lane for lane in range(LANES)]
            for i in range(LANES):
                if not i & half:
                    pair = block[i], block[i + half]
                    masks = [ir.Constant(ir.VectorType(I32, LANES), indices) for indices in (low, high)]
                    block[i], block[i + half] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            half //= 2
        for i in range(LANES):
            with builder.if_then(builder.icmp_signed("<", I64(i), column_left)):
                at = builder.add(builder.mul(builder.add(c, I64(i)), ldd), r)
                f.store(Value(f.lanes, block[i]), f.at(dst, at), row_mask)


# transpose(zero, dst, ldd, src, lds, rows of src, columns of src)
transpose = kernel("transpose", 6, 0, _transpose)


def _bias_backward(f: Frame, db: Any, dZ: Any, ld: Any, rows: Any, columns: Any) -> None:
    """db_o = sum over the batch of dZ_bo."""
    with f.blocks(columns) as (column, mask):
        f.store(batch_fold(f, [(dZ, ld)], rows, column, mask, lambda lane, d: lane + d), f.at(db, column), mask)


# bias_backward(zero, db, dZ, ld, rows, columns)
bias_backward = kernel("bias_backward", 5, 0, _bias_backward)
