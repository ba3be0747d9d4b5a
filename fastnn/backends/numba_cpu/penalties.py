"""The penalties of a step: l1 sum |w| + l2 sum w^2 of every regularised parameter."""

from __future__ import annotations

from ...core.arithmetic import BLOCK
from . import call as c
from . import table as t
from .elementwise import sum_abs, sum_squares
from .jit import device
from .memory import double_at, integer_at, itemsize, set_double
from .workspace import constant, parameter, share


@device
def block_totals(zero, call):
    """The address of the totals of the blocks that penalties are summed in."""
    at = integer_at(integer_at(call, c.LOSS), t.L_BLOCK_TOTALS)
    return integer_at(call, c.WORKSPACE) + at * itemsize(zero)


@device
def penalty_blocks(zero, call, member, team):
    """A member's blocks of sum |w| and sum w^2 over the regularised parameters. A factor of 0 is skipped, not
    multiplied: w may be infinite."""
    totals = block_totals(zero, call)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = parameter(call, number)
        at = integer_at(row, t.P_PENALTY)
        if at >= 0:
            w = integer_at(call, c.THETA) + integer_at(row, t.P_OFFSET) * itemsize(zero)
            n = integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS)
            first, last = share(n, BLOCK, member, team)
            for power in range(1, 3):
                if constant(call, at + power - 1) != 0.0:
                    for start in range(first, last, BLOCK):
                        size, place = min(BLOCK, last - start), w + start * itemsize(zero)
                        total = sum_abs(zero, place, size) if power == 1 else sum_squares(zero, place, size)
                        set_double(totals, start // BLOCK, total)
                    totals += (n + BLOCK - 1) // BLOCK * 8


@device
def penalty(zero, call):
    """l1 sum |w| + l2 sum w^2 of the blocks that all members have summed."""
    totals, result = block_totals(zero, call), 0.0
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = parameter(call, number)
        at = integer_at(row, t.P_PENALTY)
        if at >= 0:
            blocks = (integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS) + BLOCK - 1) // BLOCK
            for power in range(1, 3):
                if constant(call, at + power - 1) != 0.0:
                    total = 0.0
                    for block in range(blocks):
                        total += double_at(totals, block)
                    result += constant(call, at + power - 1) * total
                    totals += blocks * 8
    return result
