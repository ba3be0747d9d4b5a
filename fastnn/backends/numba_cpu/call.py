"""The call block: one vector of int64 through which Python hands a compiled entry everything, addresses included.
Doubles lie in it bit-cast."""

from __future__ import annotations

import struct

# What a worker does.
RUN_STEPS, GRADIENT, UPDATE, SCORE, FORWARD, SHUFFLE, FIND_NONFINITE = range(7)

# Entries of every call; an operation has no mode.
MODE, SYNC = 0, 1

# Entries of an operation: (address, row stride) of each array, sizes and scalars.
OP_FAMILY, OP_CODE, OP_SIZES, OP_ARRAYS, OP_SCALARS, OP_PACK = 2, 3, 4, 8, 24, 30


def operation_entries(arrays: int, scalars: str) -> struct.Struct:
    """What writes the entries of an operation, from its family on: "d" is a scalar that is a double, "q" an int64.

    What it packs: family, code, three sizes, an address and a row stride for each array, the scalars, a scratch.
    """
    after_arrays, after_scalars = OP_SCALARS - OP_ARRAYS - 2 * arrays, OP_PACK - OP_SCALARS - len(scalars)
    return struct.Struct(f"=5q8x{2 * arrays}q{8 * after_arrays}x{scalars}{8 * after_scalars}xq")


# Entries of a program: the plan and the state, set once.
INSTRUCTIONS, INSTRUCTION_COUNT, PARAMETERS, PARAMETER_COUNT, METRICS, METRIC_COUNT, LOSS, OPTIMIZER, CONSTANTS = range(
    2, 11
)
THETA, GRADIENT_VECTOR, SLOT_0, SLOT_1, SLOT_2, SCALARS, COUNTERS, WORKSPACE, CAPACITY, FIXED = range(11, 21)
ROW_VALUES, ROW_SCALES, ROW_WEIGHTS, SCRATCH, SCRATCH_SIZE, MEAN = range(21, 27)

# Entries of the data: set once per fit; X and y with strides in bytes.
X, X_CODE, X_ROW, X_ELEMENT, FEATURES, Y, Y_CODE, Y_ROW, Y_ELEMENT, W, ORDER, ROWS, BATCH = range(27, 40)
FIRST, LAST, SUMS = range(40, 43)

# Entries of a forward call: where predictions lie, set once, and where they go.
OUTPUT_UNIT, OUTPUTS, OUT = range(43, 46)

# Entries of a scan: a matrix of float32 or float64 with contiguous rows, and an int64 for each member's find.
SCAN, SCAN_ROW, SCAN_ROWS, SCAN_COLUMNS, SCAN_ITEMSIZE, FOUND = range(46, 52)

TOTAL = 52  # a double for the worker's own use

# Entries of normalization and of clipping by norms: the kept statistics, whether a call begins with their deviations,
# and a double for each parameter.
STATISTICS, STANDARDIZED, NORMS = range(53, 56)

# Entries of steps: addresses of their learning rates or 0, whether to end after a loss that is not finite, and how many
# were taken.
RATES, STOP, TAKEN = range(56, 59)

FORWARD_ROWS = 59  # of a thread's block in inference, at most

CALL_SIZE = 64
