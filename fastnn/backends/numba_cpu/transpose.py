"""Copies with rows and columns exchanged: C of a product that is computed transposed, and the panels of
`gemm_blocks.py`."""

from __future__ import annotations

from .declare import Arguments, kernel
from .exchange import load_exchanged
from .frame import Frame
from .gemm_tile import tile_lanes


@kernel("*dst ldd *src lds rows columns")
def transpose(f: Frame, a: Arguments) -> None:
    """dst_cr = src_rc."""
    o = tile_lanes(f)
    with f.loop(a.columns, o.width) as c, f.loop(a.rows, o.width) as r:
        row_left, column_left = a.rows - r, a.columns - c
        square = load_exchanged(f, o, a.src + (r * a.lds + c), a.lds, row_left, column_left)
        places = [a.dst + ((c + i) * a.ldd + r) for i in range(o.width)]
        with f.if_else(row_left.least(column_left) >= o.width) as (whole, part):
            with whole:
                for vector, place in zip(square, places, strict=True):
                    place.store(vector)
            with part:
                mask = f.mask(row_left, o)
                for i, (vector, place) in enumerate(zip(square, places, strict=True)):
                    with f.when(column_left > i):
                        place.store(vector, mask)


@kernel("*panels *B ldb n k")
def pack_transposed(f: Frame, a: Arguments) -> None:
    """Panels of two vectors of columns of the transposed of B (n, k), each contiguous."""
    o = tile_lanes(f)
    width = 2 * o.width
    with f.loop(a.n, o.width) as row, f.loop(a.k, o.width) as step:
        depth = a.k - step
        square = load_exchanged(f, o, a.B + (row * a.ldb + step), a.ldb, a.n - row, depth)
        column = row & (width - 1)
        panel = a.panels + ((row - column) * a.k + column)
        for i, vector in enumerate(square):
            with f.when(depth > i):
                (panel + (step + i) * width).store(vector)
