"""Copies with rows and columns exchanged: W^T for small matrices, the panels of `gemm_blocks.py` for large ones."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .gemm_tile import BYTES
from .lanes import I32, I64, LANES, Frame, Lanes, Value, kernel


def _exchanged(f: Frame, o: Lanes, src: Any, lds: Any, rows: Any, columns: Any) -> list[Value]:
    """A square of src as wide as a vector, rows and columns exchanged, by rounds of exchanges between rows; `rows` x
    `columns` of it are there. Rows past the end repeat the first one."""
    builder, width = f.builder, o.width
    mask = f.mask(columns, width)
    block = []
    for i in range(width):
        inside = builder.icmp_signed("<", I64(i), rows)
        row = builder.select(inside, I64(i), I64(0))
        block.append(f.load(f.at(src, builder.mul(row, lds)), mask, o).ir)
    half = width // 2
    while half:
        low = [lane if not lane & half else width + lane - half for lane in range(width)]
        high = [lane + half if not lane & half else width + lane for lane in range(width)]
        masks = [ir.Constant(ir.VectorType(I32, width), indices) for indices in (low, high)]
        for i in range(width):
            if not i & half:
                pair = block[i], block[i + half]
                block[i], block[i + half] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        half //= 2
    return [Value(o, vector) for vector in block]


def _transpose(f: Frame, dst: Any, ldd: Any, src: Any, lds: Any, rows: Any, columns: Any) -> None:
    """dst_cr = src_rc."""
    builder = f.builder
    with f.loop(rows, LANES) as r, f.loop(columns, LANES) as c:
        row_left, column_left = builder.sub(rows, r), builder.sub(columns, c)
        row_mask = f.mask(row_left)
        square = _exchanged(f, f.lanes, f.at(src, builder.add(builder.mul(r, lds), c)), lds, row_left, column_left)
        for i, vector in enumerate(square):
            with builder.if_then(builder.icmp_signed("<", I64(i), column_left)):
                f.store(vector, f.at(dst, builder.add(builder.mul(builder.add(c, I64(i)), ldd), r)), row_mask)


# transpose(zero, dst, ldd, src, lds, rows of src, columns of src)
transpose = kernel("transpose", 6, 0, _transpose)


def _pack_transposed(f: Frame, panels: Any, B: Any, ldb: Any, n: Any, k: Any) -> None:
    """Panels of two vectors of columns of the transposed of B (n, k), each contiguous."""
    builder = f.builder
    o = Lanes(builder, f.dtype, BYTES // f.itemsize)
    width = 2 * o.width
    with f.loop(n, o.width) as row, f.loop(k, o.width) as step:
        depth = builder.sub(k, step)
        source = f.at(B, builder.add(builder.mul(row, ldb), step))
        square = _exchanged(f, o, source, ldb, builder.sub(n, row), depth)
        column = builder.and_(row, I64(width - 1))
        panel = f.at(panels, builder.add(builder.mul(builder.sub(row, column), k), column))
        for i, vector in enumerate(square):
            with builder.if_then(builder.icmp_signed("<", I64(i), depth)):
                f.store(vector, f.at(panel, builder.mul(builder.add(step, I64(i)), I64(width))))


# pack_transposed(zero, panels, B, ldb, n, k)
pack_transposed = kernel("gemm_pack_transposed", 5, 0, _pack_transposed)
