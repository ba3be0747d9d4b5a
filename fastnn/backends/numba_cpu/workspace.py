"""Where a program's things lie: rows of the workspace, constants, a member's share."""

from __future__ import annotations

from ...core.plan import ROW_ALIAS, ROW_PAD
from . import call as c
from . import table as t
from .jit import device
from .memory import double_at, integer_at, itemsize


@device
def padded(width):
    """`plan.padded`."""
    whole = (width + ROW_PAD - 1) & -ROW_PAD
    return whole + ROW_PAD if whole > 0 and whole & (ROW_ALIAS - 1) == 0 else whole


@device
def share(n, unit, member, team):
    """[first, last) of a member's part of n, in whole units."""
    units = (n + unit - 1) // unit
    first, last = units * member // team * unit, units * (member + 1) // team * unit
    return min(first, n), min(last, n)


@device
def buffer(zero, call, unit, width, row):
    """The address of a row of a workspace buffer."""
    at = integer_at(call, c.FIXED) + unit * integer_at(call, c.CAPACITY) + row * padded(width)
    return integer_at(call, c.WORKSPACE) + at * itemsize(zero)


@device
def pack(zero, call, member):
    """The address of a member's scratch: what GEMMs pack, then the gradient of a block of a W."""
    return integer_at(call, c.SCRATCH) + member * integer_at(call, c.SCRATCH_SIZE) * itemsize(zero)


@device
def constant(call, index):
    return double_at(integer_at(call, c.CONSTANTS), index)


@device
def instruction(call, number):
    """The address of a row of the instruction table."""
    return integer_at(call, c.INSTRUCTIONS) + number * t.I_WIDTH * 8


@device
def parameter(call, number):
    """The address of a row of the parameter table."""
    return integer_at(call, c.PARAMETERS) + number * t.P_WIDTH * 8
