"""The tiles of a product, and which of them takes a shape. Imports no compiler."""

from __future__ import annotations

from typing import NamedTuple

from ...core.arithmetic import K_CHUNK

LANES_M, LANES_N = 4, 8  # of a warp: 32 threads beside and below each other
STAGES = 2


class Tile(NamedTuple):
    """A block's part of C, and how its threads share it.

    Attributes:
        name: of its kernels. rows, columns: of C. depth: steps of k between two barriers. thread_rows, thread_columns:
            of C that a thread holds. blocks: that a multiprocessor shall hold at a time. whole: every access is of 16
            bytes, so C has at least a tile and its sides and strides are multiples of 16 bytes; else each access is of
            an element.
    """

    name: str
    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int
    blocks: int
    whole: bool

    @property
    def warps_beside(self) -> int:
        """Warps from left to right."""
        return self.columns // (LANES_N * self.thread_columns)

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.rows // (LANES_M * self.thread_rows) * self.warps_beside * 32

    def pitches(self, form: str, itemsize: int) -> tuple[int, int]:
        """Elements between the rows of k of A and of B in shared memory: a side that is transposed on its way has 16
        bytes more, so that threads write to different banks."""
        pad = 16 // itemsize
        return self.rows + pad * (form[0] == "n"), self.columns + pad * (form[1] == "t")

    def stage_bytes(self, form: str, itemsize: int) -> int:
        """Of the parts of A and B between two barriers."""
        return self.depth * sum(self.pitches(form, itemsize)) * itemsize

    def shared_bytes(self, form: str, itemsize: int) -> int:
        """Of a block: two stages, and the sums of whole chunks."""
        return STAGES * self.stage_bytes(form, itemsize) + self.rows * self.columns * itemsize


FORMS = ("nn", "tn", "nt")
LARGE = Tile("large", 128, 128, 8, 16, 8, 2, True)
SMALL = Tile("small", 64, 64, 8, 8, 4, 2, False)
TILES = {"float32": (LARGE, SMALL), "float64": (SMALL,)}
assert all(K_CHUNK % tile.depth == 0 for tiles in TILES.values() for tile in tiles)

LEAST_SIDE = 16  # of C, below which tiles are mostly empty and the plain product is taken
LEAST_DEPTH = 16


def kernel_name(tile: Tile, form: str) -> str:
    """Of a form's kernel."""
    return f"gemm_{form}_{tile.name}"


def kernels(dtype: str) -> dict[str, tuple[str, Tile]]:
    """The form and the tile of each, by its name."""
    return {kernel_name(tile, form): (form, tile) for tile in TILES[dtype] for form in FORMS}


def choose(dtype: str, form: str, M: int, N: int, K: int, whole: bool, multiprocessors: int) -> Tile | None:
    """The tile for a shape; None for the plain product.

    Args:
        whole: whether all strides and addresses allow accesses of 16 bytes.
    """
    if min(M, N) < LEAST_SIDE or K < LEAST_DEPTH:
        return None
    for tile in TILES[dtype]:
        sides = M % 4 == N % 4 == 0 and tile.rows <= M and tile.columns <= N
        enough = tile is TILES[dtype][-1] or -(-M // tile.rows) * -(-N // tile.columns) * 2 > multiprocessors
        if ((whole and sides) or not tile.whole) and enough:
            return tile
    return TILES[dtype][-1]
