"""The penalties of a step: l1 sum |w| + l2 sum w^2 of every regularised parameter."""

from __future__ import annotations

from ...core.arithmetic import BLOCK
from .elementwise import sum_abs, sum_squares
from .jit import device
from .memory import double_at, integer_at, itemsize, set_double
from .table import Entry, LossEntry, ParameterEntry
from .workspace import constant, entry, parameter, share


@device
def block_totals(m):
    """The address of the totals of the blocks that penalties are summed in."""
    constants = integer_at(entry(m, Entry.LOSS), LossEntry.BLOCK_TOTALS)
    return entry(m, Entry.WORKSPACE) + constants * itemsize(m.dtype)


@device
def penalty_blocks(m):
    """A member's blocks of sum |w| and sum w^2 over the regularised parameters. A factor of 0 is skipped, not
    multiplied: w may be infinite."""
    totals = block_totals(m)
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        constants = integer_at(row, ParameterEntry.PENALTY)
        if constants >= 0:
            w = entry(m, Entry.THETA) + integer_at(row, ParameterEntry.OFFSET) * itemsize(m.dtype)
            n = integer_at(row, ParameterEntry.ROWS) * integer_at(row, ParameterEntry.COLUMNS)
            first, last = share(n, BLOCK, m.index, m.team)
            for power in range(1, 3):
                if constant(m, constants + power - 1) != 0.0:
                    for start in range(first, last, BLOCK):
                        size, place = min(BLOCK, last - start), w + start * itemsize(m.dtype)
                        total = sum_abs(m.dtype, place, size) if power == 1 else sum_squares(m.dtype, place, size)
                        set_double(totals, start // BLOCK, total)
                    totals += (n + BLOCK - 1) // BLOCK * 8


@device
def penalty(m):
    """l1 sum |w| + l2 sum w^2 of the blocks that all members have summed."""
    totals, result = block_totals(m), 0.0
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        constants = integer_at(row, ParameterEntry.PENALTY)
        if constants >= 0:
            n = integer_at(row, ParameterEntry.ROWS) * integer_at(row, ParameterEntry.COLUMNS)
            blocks = (n + BLOCK - 1) // BLOCK
            for power in range(1, 3):
                if constant(m, constants + power - 1) != 0.0:
                    total = 0.0
                    for block in range(blocks):
                        total += double_at(totals, block)
                    result += constant(m, constants + power - 1) * total
                    totals += blocks * 8
    return result
