"""What compiled backends share: where the sizes of an operation are found, what a call of it costs, and a step."""

from __future__ import annotations

import math

from ..arithmetic import K_CHUNK
from ..operations import Family, Operation
from .protocol import Array, Operator

GEMMS = (Family.GEMM_NN, Family.GEMM_TN, Family.GEMM_NT, Family.DENSE_FORWARD)
CHUNK_ROWS = 16  # that a chunk of the depth is worth to threads that share a product
FLOPS_PER_BYTE = 2  # that a core does in the time in which a byte comes from beyond its caches
ROW_BLOCK = 16  # rows, or columns, that a thread takes at least
UPDATE_FLOPS = 50  # that take as long as an optimizer does for a parameter
# Parameters whose way from another core's cache takes as long as a thread has to save; the most that come from one, not
# from memory, where a single thread would have to fetch them, too.
MOVED_PARAMETERS, MOST_MOVED = 10_000, 1 << 17
# Families that add to a total in a fixed order: they run on one thread.
TOTALS = (Family.R2_SUMS, Family.WEIGHTED_SUM, Family.SUM_ABS, Family.SUM_SQUARES)


class CompiledOperator(Operator):
    """One operation; what a call needs of its arguments is found out once."""

    def __init__(self, row: Operation) -> None:
        specs, letters = row.arguments, size_letters(row)
        self._name, self._count = row.name, len(specs)
        # Of each array: whether it has a row stride. A vector over the batch has a row for each element.
        self._strided = tuple(not spec.total and (len(spec.dims) > 1 or spec.dims == "b") for spec in specs)
        # Of each size: an array that has it, and its axis there.
        self._axes = tuple(
            next((number, spec.dims.index(letter)) for number, spec in enumerate(specs) if letter in spec.dims)
            for letter in letters
        )
        self._unit = row.flops(dict.fromkeys(letters, 1))
        self._has_rows = letters[0] in "mb"
        self._gemm, self._by_chunks = row.family in GEMMS, row.family in GEMMS[:3]

    def _sizes(self, arrays: tuple[Array, ...]) -> list[int]:
        return [arrays[number].shape[axis] for number, axis in self._axes]

    def _shared(self, sizes: list[int]) -> int:
        """The rows that threads share: of a product its columns, or what its chunks count as, if they are more."""
        chunks = sizes[2] // K_CHUNK * CHUNK_ROWS if self._by_chunks else 0
        return max(*sizes[:2], chunks) if self._gemm else sizes[0]

    def _work(self, sizes: list[int], arrays: tuple[Array, ...]) -> int:
        """Floating-point operations, or those that would take as long as its bytes do, if they are more."""
        return max(self._unit * math.prod(sizes), FLOPS_PER_BYTE * sum(array.nbytes for array in arrays))


def step_threads(flops: int, parameters: int, batch: int, most: int, per_thread: int) -> int:
    """How many threads a training step repays.

    Every step moves parameters between cores: each thread updates its own, and reads all of them. Where the batch is
    too small to be shared, the threads share the update alone.

    Args:
        flops: of the whole step's products. most: threads there are. per_thread: flops that a thread has to save.
    """
    update = UPDATE_FLOPS * parameters
    cost = per_thread + per_thread * min(parameters, MOST_MOVED) // MOVED_PARAMETERS
    return max(1, min(most, update // cost), min(most, (flops + update) // cost, -(-batch // ROW_BLOCK)))


def size_letters(row: Operation) -> str:
    """The letters of the sizes in the order of the kernels' arguments, rows first where there are any."""
    if row.family in GEMMS:
        return "boi" if row.family == Family.DENSE_FORWARD else "mnk"
    letters = {letter for spec in row.arguments for letter in spec.dims}
    return "".join(letter for letter in "bocp" if letter in letters)
