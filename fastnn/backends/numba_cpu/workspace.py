"""Who runs a program, on which rows, and where its things lie."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core.plan import ROW_ALIAS, ROW_PAD
from .jit import device
from .memory import double_at, integer_at, itemsize, real, set_integer
from .table import ArrayEntry, CallEntry, Column, Entry, InputEntry, LossEntry, ParameterEntry, Phase, Slot
from .threads import cycles


class Member(NamedTuple):
    """A thread of a team that runs a program: `fnn_member` of csrc/internal.h."""

    dtype: Any  # a number of it
    call: int  # the call block
    sync: int
    index: int
    team: int
    scratch: int  # its own
    laps: int  # its own, or 0


class Batch(NamedTuple):
    """A batch on its way through the instructions: `fnn_batch` of csrc/internal.h."""

    rows: int  # of all members
    first: int  # those of this member
    last: int
    team: int  # members that meet
    training: bool
    with_loss: bool
    start: int  # where row 0 of the workspace lies in the data


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
def entry(m, which):
    """An entry of the call block."""
    return integer_at(m.call, which)


@device
def start_laps(call, member):
    """A member's laps, whose clock starts; 0 where nobody counts."""
    laps = integer_at(call, Entry.LAPS)
    if laps != 0:
        laps += member * Phase.WIDTH * 8
        set_integer(laps, Phase.SINCE, cycles())
    return laps


@device
def lap(m, phase):
    """What passed since the last lap belongs to a phase."""
    if m.laps != 0:
        now = cycles()
        set_integer(m.laps, phase, integer_at(m.laps, phase) + now - integer_at(m.laps, Phase.SINCE))
        set_integer(m.laps, Phase.SINCE, now)


@device
def buffer(m, unit, width, row):
    """The address of a row of a workspace buffer."""
    at = entry(m, Entry.FIXED_ELEMENTS) + unit * entry(m, Entry.CAPACITY) + row * padded(width)
    return entry(m, Entry.WORKSPACE) + at * itemsize(m.dtype)


@device
def constant(m, index):
    return double_at(entry(m, Entry.CONSTANTS), index)


@device
def instruction(m, index):
    """The address of a row of the instruction table."""
    return entry(m, Entry.INSTRUCTIONS) + index * Column.WIDTH * 8


@device
def parameter(m, index):
    """The address of a row of the parameter table."""
    return entry(m, Entry.PARAMETERS) + index * ParameterEntry.WIDTH * 8


@device
def loss_of(m, index):
    """The address of a row of the table of losses."""
    return entry(m, Entry.LOSS) + index * LossEntry.WIDTH * 8


@device
def input_of(m, index):
    """The address of a row of the table of inputs."""
    return entry(m, Entry.INPUTS) + index * InputEntry.WIDTH * 8


@device
def output_of(m, index):
    """The address of a row of the table of outputs."""
    return entry(m, Entry.OUTPUTS) + index * InputEntry.WIDTH * 8


@device
def array_of(m, index):
    """The address of an array's entries: the inputs, the targets of each loss, the weights of each loss."""
    return entry(m, Entry.ARRAYS) + index * ArrayEntry.WIDTH * 8


@device
def targets_of(m, loss):
    """Those of a loss's targets."""
    return array_of(m, entry(m, Entry.INPUT_COUNT) + loss)


@device
def weights_of(m, loss):
    """Those of a loss's weights."""
    return targets_of(m, entry(m, Entry.LOSS_COUNT) + loss)


@device
def calls(m, index):
    """The address of the calls of an instruction."""
    return entry(m, Entry.CALLS) + index * Slot.WIDTH * CallEntry.WIDTH * 8


@device
def call_of(calls, slot):
    """The address of one of an instruction's calls."""
    return calls + slot * CallEntry.WIDTH * 8


@device
def has_call(calls, slot):
    """Whether an instruction has a call in a slot."""
    return integer_at(call_of(calls, slot), CallEntry.FAMILY) >= 0


@device
def address(call, index):
    """That of an array of a call."""
    return integer_at(call, CallEntry.ARRAYS + 2 * index)


@device
def stride(call, index):
    """The elements between rows of an array of a call."""
    return integer_at(call, CallEntry.ARRAYS + 2 * index + 1)


@device
def scalar(dtype, call, index):
    """A scalar of a call."""
    return real(dtype, double_at(call, CallEntry.SCALARS + index))
