"""What compiled backends share: what a call may do, where the sizes of an operation are found, and how many threads it
repays."""

from __future__ import annotations

import math
from enum import IntEnum

from .. import config
from ..core.arithmetic import K_CHUNK
from ..core.operations import Family, Operation
from ..core.plan import Column, Kind, Plan
from . import tuning
from .data import Array
from .protocol import Operator

GEMMS = (Family.GEMM_NN, Family.GEMM_TN, Family.GEMM_NT, Family.DENSE_FORWARD)
# Families that add to a total in a fixed order: they run on one thread.
TOTALS = (Family.R2_SUMS, Family.WEIGHTED_SUM, Family.SUM_ABS, Family.SUM_SQUARES, Family.EMBEDDING_BACKWARD)


class Mode(IntEnum):
    """What a call of compiled code does; csrc/internal.h numbers those of a program alike."""

    STEPS = 0
    GRADIENT = 1
    SCORE = 2
    UPDATE = 3
    FORWARD = 4
    SHUFFLE = 5
    FIND_NONFINITE = 6


class CompiledOperator(Operator):
    """One operation; what a call needs of its arguments is found out once."""

    def __init__(self, row: Operation, dtype: str) -> None:
        super().__init__(row, dtype)
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
        self._threaded = self._has_rows and row.family not in TOTALS
        self._gemm, self._by_chunks = row.family in GEMMS, row.family in GEMMS[:3]

    def threads(self, *arrays: Array) -> int:
        """How many threads a call with these arrays takes."""
        return self._threads(self._sizes(arrays), arrays)

    def _sizes(self, arrays: tuple[Array, ...]) -> list[int]:
        return [arrays[number].shape[axis] for number, axis in self._axes]

    def _shared(self, sizes: list[int]) -> int:
        """The rows that threads share: of a product its columns, or what its chunks count as, if they are more."""
        chunks = sizes[2] // K_CHUNK * tuning.CHUNK_ROWS if self._by_chunks else 0
        return max(*sizes[:2], chunks) if self._gemm else sizes[0]

    def _threads(self, sizes: list[int], arrays: tuple[Array, ...]) -> int:
        """How many threads a call repays, by its flops, or those that would take as long as its bytes do, if more."""
        if not self._threaded:
            return 1
        work = max(self._unit * math.prod(sizes), tuning.FLOPS_PER_BYTE * sum(array.nbytes for array in arrays))
        # How many cores there are is not asked for every small one.
        small = work < 2 * tuning.FLOPS_PER_THREAD
        return 1 if small else threads_for(work, self._shared(sizes), config.get_num_threads())


def threads_for(flops: int, rows: int, most: int) -> int:
    """How many threads, of at most `most`, the work on so many rows repays."""
    return max(1, min(most, flops // tuning.FLOPS_PER_THREAD, -(-rows // tuning.ROW_BLOCK)))


def shares_columns(inputs: int, outputs: int, rows: int, size: int, training: bool) -> bool:
    """Whether a team shares a DENSE of a batch of so many rows by the columns of its W, whose elements have `size`
    bytes, or each thread takes rows of the batch through all of W."""
    large = inputs * outputs * size > (
        tuning.SHARED_BYTES if training and rows >= tuning.SHARED_ROWS else tuning.SHARED_LARGE_BYTES
    )
    return large and 0 < tuning.MOVE_COST * rows * (inputs + outputs) <= inputs * outputs


def large_layers(plan: Plan) -> list[tuple[int, int]]:
    """The sides of every W that a team may share by columns where no step changes it."""
    sides = [
        (int(row[Column.INPUTS]), int(row[Column.OUTPUTS]))
        for row in plan.instructions
        if row[Column.KIND] == Kind.DENSE
    ]
    return [side for side in sides if math.prod(side) * plan.dtype.itemsize > tuning.SHARED_LARGE_BYTES]


def forward_threads(plan: Plan, large: list[tuple[int, int]], rows: int, most: int) -> int:
    """How many threads predictions or scores of so many rows repay: by the rows, or by the columns of those of the
    `large` layers that a team shares."""
    flops, size = plan.flops_per_row * rows, plan.dtype.itemsize
    shared = [sides for sides in large if shares_columns(*sides, rows, size, training=False)]
    if not shared:
        return threads_for(flops, rows, most)
    work = max(flops, tuning.FLOPS_PER_BYTE * size * sum(map(math.prod, shared)))
    pieces = max(outputs // tuning.LEAST_PIECE for _, outputs in shared)
    return max(1, min(most, work // tuning.FLOPS_PER_THREAD, max(pieces, -(-rows // tuning.ROW_BLOCK))))


def step_threads(flops: int, parameters: int, batch: int, most: int) -> int:
    """How many threads a training step repays.

    Every step moves parameters between cores: each thread updates its own, and reads all of them. Where the batch is
    too small to be shared, the threads share the update alone.

    Args:
        flops: of the whole step's products. most: threads there are.
    """
    update = tuning.UPDATE_FLOPS * parameters
    moved = min(parameters, tuning.MOST_UNCACHED if parameters > tuning.UNCACHED_PARAMETERS else tuning.MOST_MOVED)
    cost = tuning.FLOPS_PER_THREAD + tuning.FLOPS_PER_THREAD * moved // tuning.MOVED_PARAMETERS
    return max(1, min(most, update // cost), min(most, (flops + update) // cost, -(-batch // tuning.ROW_BLOCK)))


def size_letters(row: Operation) -> str:
    """The letters of the sizes in the order of the kernels' arguments, rows first where there are any."""
    if row.family in GEMMS:
        return "boi" if row.family == Family.DENSE_FORWARD else "mnk"
    if row.family in (Family.EMBEDDING_FORWARD, Family.EMBEDDING_BACKWARD):
        return "bed"
    letters = {letter for spec in row.arguments for letter in spec.dims}
    return "".join(letter for letter in "bocp" if letter in letters)
