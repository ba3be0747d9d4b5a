"""How many threads and blocks a kernel gets."""

from __future__ import annotations

from ...core.arithmetic import LANES

THREADS = 256  # of a block
STRIPES = 16  # parts of an embedding's table whose rows different threads add to


def map_grid(rows: int, columns: int) -> tuple[int, int, int]:
    """Of a thread an element: the blocks, those beside each other, and the bits of the columns of one."""
    shift = min(THREADS.bit_length() - 1, max(0, (columns - 1).bit_length()))
    beside = max(1, -(-columns // (1 << shift)))
    return beside * -(-rows // (THREADS >> shift)), beside, shift


def row_blocks(rows: int) -> int:
    """Of 16 threads a row."""
    return -(-rows // (THREADS // LANES))


def thread_blocks(threads: int) -> int:
    """Of so many threads."""
    return -(-threads // THREADS)
