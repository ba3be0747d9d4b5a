"""The tiles of a product, and which of them takes a shape. Imports no compiler."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core.arithmetic import K_CHUNK

LANES_M, LANES_N = 4, 8  # of a warp: 32 threads beside and below each other
WARP = LANES_M * LANES_N
STAGES = 2
PACK_BYTES = 16  # of a wide access


class Tile(NamedTuple):
    """A block's part of C, and how its threads share it.

    Attributes:
        name: of its kernels. rows, columns: of C. depth: steps of k between two barriers. thread_rows, thread_columns:
            of C that a thread holds. blocks: that a multiprocessor shall hold at a time. whole: every access is of 16
            bytes, so C has at least a tile and what is accessed side by side is a multiple of them; else each access is
            of an element. share: at least that of fmas among the instructions of its hot loop.
    """

    name: str
    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int
    blocks: int
    whole: bool
    share: float

    @property
    def warps_beside(self) -> int:
        """Warps from left to right."""
        return self.columns // (LANES_N * self.thread_columns)

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.rows // (LANES_M * self.thread_rows) * self.warps_beside * WARP

    def pitches(self, form: str, itemsize: int) -> tuple[int, int]:
        """Elements between the rows of k of A and of B in shared memory: a side that is transposed on its way has 16
        bytes more, so that threads write to different banks."""
        pad = PACK_BYTES // itemsize
        return self.rows + pad * (form[0] == "n"), self.columns + pad * (form[1] == "t")

    def stage_bytes(self, form: str, itemsize: int) -> int:
        """Of the parts of A and B between two barriers."""
        return self.depth * sum(self.pitches(form, itemsize)) * itemsize

    def shared_bytes(self, form: str, itemsize: int) -> int:
        """Of a block: two stages, and the sums of whole chunks."""
        return STAGES * self.stage_bytes(form, itemsize) + self.sum_bytes(itemsize)

    def sum_bytes(self, itemsize: int) -> int:
        """Of the sums that a block holds."""
        return self.rows * self.columns * itemsize

    def count(self, M: int, N: int) -> int:
        """How many of them C is."""
        return -(-M // self.rows) * -(-N // self.columns)

    def takes(self, form: str, M: int, N: int, itemsize: int, aligned: bool) -> bool:
        """Whether a product may be made of them."""
        pack = PACK_BYTES // itemsize
        sides = self.rows <= M and self.columns <= N and N % pack == 0 and (form != "tn" or M % pack == 0)
        return not self.whole or (aligned and sides)


FORMS = ("nn", "tn", "nt")
LARGE = Tile("large", 128, 128, 8, 16, 8, 2, True, 0.91)
SMALL = Tile("small", 64, 64, 8, 8, 4, 3, True, 0.81)
RAGGED = Tile("ragged", 64, 64, 8, 8, 4, 3, False, 0.73)
# An fma of float64 keeps a scheduler for two clocks or more: what stands between costs nothing.
SMALL_64, RAGGED_64 = SMALL._replace(share=0.74), RAGGED._replace(share=0.69)
TILES = {"float32": (LARGE, SMALL, RAGGED), "float64": (SMALL_64, RAGGED_64)}
assert all(K_CHUNK % tile.depth == 0 for tiles in TILES.values() for tile in tiles)

LEAST_SIDE = 16  # of C, below which tiles are mostly empty and the plain product is taken
LEAST_DEPTH = 16
# Assumed of a card: clocks until blocks have met, and bytes a clock between a multiprocessor and what blocks leave.
MEETING, SCRATCH_BYTES = 2000, 64


class Division(NamedTuple):
    """How a product is shared among blocks.

    Attributes:
        chunks: that K is divided into, each with blocks of its own; 1: a block has all of K.
    """

    tile: Tile
    chunks: int

    def clocks(self, M: int, N: int, K: int, itemsize: int, multiprocessors: int) -> float:
        """What it takes by a model: blocks in turns on each multiprocessor, whose schedulers issue an instruction a
        clock; blocks that share a tile write their sums and meet, and the last of them reads what each left."""
        tile, split = self.tile, self.chunks > 1
        depth = min(K, K_CHUNK) if split else K
        turns = -(-tile.count(M, N) * K // (depth * multiprocessors))
        issued = tile.thread_rows * tile.thread_columns * depth / tile.share
        met = MEETING + (turns + self.chunks) * tile.sum_bytes(itemsize) / SCRATCH_BYTES if split else 0.0
        return turns * issued + met

    def scratch_bytes(self, M: int, N: int, itemsize: int) -> int:
        """Of the sums of chunks that blocks leave for the last of a tile."""
        return self.chunks * self.tile.count(M, N) * self.tile.sum_bytes(itemsize) if self.chunks > 1 else 0


def kernel_name(tile: Tile, form: str) -> str:
    """Of a form's kernel."""
    return f"gemm_{form}_{tile.name}"


def kernels(dtype: str) -> dict[str, tuple[str, Tile]]:
    """The form and the tile of each, by its name."""
    return {kernel_name(tile, form): (form, tile) for tile in TILES[dtype] for form in FORMS}


def choose(dtype: str, form: str, M: int, N: int, K: int, aligned: bool, multiprocessors: int) -> Division | None:
    """The division of a shape that takes fewest clocks by the model, into chunks only where C does not fill the card;
    None for the plain product.

    Args:
        aligned: whether all strides and addresses allow accesses of 16 bytes.
    """
    if min(M, N) < LEAST_SIDE or K < LEAST_DEPTH:
        return None
    itemsize, chunks = np.dtype(dtype).itemsize, -(-K // K_CHUNK)
    found = []
    for tile in TILES[dtype]:
        if tile.takes(form, M, N, itemsize, aligned):
            fills = tile.count(M, N) >= tile.blocks * multiprocessors
            found += [Division(tile, parts) for parts in sorted({1, 1 if fills else chunks})]
    return min(found, key=lambda division: division.clocks(M, N, K, itemsize, multiprocessors))
