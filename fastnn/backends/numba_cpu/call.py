"""The call block: one vector of int64 through which Python hands a compiled entry everything, addresses included.
Doubles lie in it bit-cast."""

from __future__ import annotations

import struct
from enum import IntEnum, auto


class CallEntry(IntEnum):
    """Entries of an operation, as `fnn_call` of csrc/fastnn.h; behind the entries that every call block begins with."""

    FAMILY = 2  # -1: no operation
    CODE = 3
    ROWS = 4
    COLUMNS = 5
    DEPTH = 6
    FLAT = 7
    ARRAYS = 8  # an address, and the elements between rows, of each
    SCALARS = 24
    SCRATCH = 30
    PER_BATCH = 31
    WIDTH = 32


def operation_entries(arrays: int, scalars: str) -> struct.Struct:
    """What writes the entries of an operation, from its family on: "d" is a scalar that is a double, "q" an int64.

    What it packs: family, code, three sizes, whether it is flat, an address and a row stride for each array, the
    scalars, a scratch, whether its first scalar is of the batch.
    """
    after_arrays = CallEntry.SCALARS - CallEntry.ARRAYS - 2 * arrays
    after_scalars = CallEntry.SCRATCH - CallEntry.SCALARS - len(scalars)
    return struct.Struct(f"=6q{2 * arrays}q{8 * after_arrays}x{scalars}{8 * after_scalars}x2q")


class ArrayEntry(IntEnum):
    """Entries of an array of rows, as `fnn_array` of csrc/fastnn.h; strides are in bytes."""

    DATA = 0
    ROW = 1
    ELEMENT = 2
    CODE = 3
    WIDTH = 4


class Entry(IntEnum):
    """Entries of a program: `fnn_program`, `fnn_data` and `fnn_run` of csrc under the same names."""

    MODE = 0
    SYNC = 1  # of operations, too
    # the plan and the state
    INSTRUCTIONS = auto()
    INSTRUCTION_COUNT = auto()
    CALLS = auto()
    GRADIENTS = auto()
    LOSSES = auto()
    PARAMETERS = auto()
    PARAMETER_COUNT = auto()
    METRICS = auto()
    METRIC_COUNT = auto()
    LOSS = auto()
    LOSS_COUNT = auto()
    INPUTS = auto()
    INPUT_COUNT = auto()
    OUTPUTS = auto()
    OUTPUT_COUNT = auto()
    OPTIMIZER = auto()
    CONSTANTS = auto()
    READS_IN_PLACE = auto()
    FORWARD_ROWS = auto()
    FIXED_ELEMENTS = auto()
    THETA = auto()
    GRADIENT = auto()
    SLOT_0 = auto()
    SLOT_1 = auto()
    SLOT_2 = auto()
    SCALARS = auto()
    COUNTERS = auto()
    NORMS = auto()
    WORKSPACE = auto()
    CAPACITY = auto()
    ROW_VALUES = auto()
    ROW_SCALES = auto()
    ROW_WEIGHTS = auto()
    ADDEND = auto()
    SCRATCH = auto()
    SCRATCH_THREADS = auto()
    LAPS = auto()
    # the data
    ARRAYS = auto()
    ORDER = auto()
    SHARES = auto()
    ROWS = auto()
    BATCH = auto()
    # what is run
    FIRST = auto()
    LAST = auto()
    SUMS = auto()
    RATES = auto()
    STOP = auto()
    TAKEN = auto()
    OUTS = auto()  # the address of an address for each output
    TOTAL = auto()  # a double for the worker's own use
    SHARE = auto()  # a double: what the penalties of this step are multiplied by
    # a scan: a matrix of float32 or float64 with contiguous rows, and an int64 for each member
    SCAN = auto()
    SCAN_ROW = auto()
    SCAN_ROWS = auto()
    SCAN_COLUMNS = auto()
    SCAN_ITEMSIZE = auto()
    FIRST_BAD = auto()
    WIDTH = auto()
