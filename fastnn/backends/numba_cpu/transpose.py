"""Copies with rows and columns exchanged: C of a product that is computed transposed, and the panels of
`gemm_blocks.py`."""

from __future__ import annotations

from typing import Any

from .exchange import load_exchanged
from .frame import Frame, Kernel
from .gemm_tile import BYTES
from .lanes import I64, Lanes


def _transpose(f: Frame, dst: Any, ldd: Any, src: Any, lds: Any, rows: Any, columns: Any) -> None:
    """dst_cr = src_rc."""
    builder = f.builder
    o = Lanes(builder, f.dtype, BYTES // f.itemsize)
    with f.loop(columns, o.width) as c, f.loop(rows, o.width) as r:
        row_left, column_left = builder.sub(rows, r), builder.sub(columns, c)
        square = load_exchanged(f, o, f.at(src, builder.add(builder.mul(r, lds), c)), lds, row_left, column_left)
        places = [f.at(dst, builder.add(builder.mul(builder.add(c, I64(i)), ldd), r)) for i in range(o.width)]
        least = builder.select(builder.icmp_signed("<", row_left, column_left), row_left, column_left)
        with builder.if_else(builder.icmp_signed(">=", least, I64(o.width))) as (whole, part):
            with whole:
                for vector, place in zip(square, places, strict=True):
                    f.store(vector, place)
            with part:
                mask = f.mask(row_left, o.width)
                for i, (vector, place) in enumerate(zip(square, places, strict=True)):
                    with builder.if_then(builder.icmp_signed("<", I64(i), column_left)):
                        f.store(vector, place, mask)


# (dst, ldd, src, lds, rows of src, columns of src)
transpose = Kernel("gemm_transpose", 6, 0, _transpose, "void")


def _pack_transposed(f: Frame, panels: Any, B: Any, ldb: Any, n: Any, k: Any) -> None:
    """Panels of two vectors of columns of the transposed of B (n, k), each contiguous."""
    builder = f.builder
    o = Lanes(builder, f.dtype, BYTES // f.itemsize)
    width = 2 * o.width
    with f.loop(n, o.width) as row, f.loop(k, o.width) as step:
        depth = builder.sub(k, step)
        source = f.at(B, builder.add(builder.mul(row, ldb), step))
        square = load_exchanged(f, o, source, ldb, builder.sub(n, row), depth)
        column = builder.and_(row, I64(width - 1))
        panel = f.at(panels, builder.add(builder.mul(builder.sub(row, column), k), column))
        for i, vector in enumerate(square):
            with builder.if_then(builder.icmp_signed("<", I64(i), depth)):
                f.store(vector, f.at(panel, builder.mul(builder.add(step, I64(i)), I64(width))))


# (panels, B, ldb, n, k)
pack_transposed = Kernel("gemm_pack_transposed", 5, 0, _pack_transposed, "void")
