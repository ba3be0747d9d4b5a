"""What a team's threads run: a program of `network.py`, a shuffle, or a scan of data, as the call block says."""

from __future__ import annotations

import numpy as np

from .elementwise import find_nonfinite
from .jit import device, inlined
from .memory import integer_at, itemsize, set_integer
from .network import predict, steps, update
from .optimizers import STEP_BYTES
from .philox import shuffle
from .table import Counter, Entry, Mode, Phase
from .threads import cycles
from .update import scratch_size
from .workspace import Member, entry, share, start_laps


@device
def scan(m):
    """Each member leaves the first bad flat index of its rows, or -1, in FIRST_BAD[member]."""
    columns, row_bytes = entry(m, Entry.SCAN_COLUMNS), entry(m, Entry.SCAN_ROW)
    size = entry(m, Entry.SCAN_ITEMSIZE)
    row, last = share(entry(m, Entry.SCAN_ROWS), 1, m.index, m.team)
    first_bad = -1
    # Rows that lie one behind another are one long row.
    height = last - row if row_bytes == columns * size else 1
    while row < last and first_bad < 0:
        at = find_nonfinite(m.dtype, size // 8, entry(m, Entry.SCAN) + row * row_bytes, height * columns)
        if at >= 0:
            first_bad = row * columns + at
        row += height
    set_integer(entry(m, Entry.FIRST_BAD), m.index, first_bad)


@inlined
def work(dtype, call, member, team):
    """What MODE says, as a thread of a team."""
    mode, sync, size = integer_at(call, Entry.MODE), integer_at(call, Entry.SYNC), itemsize(dtype)
    scratch = integer_at(call, Entry.SCRATCH) + member * (scratch_size(size) * size + STEP_BYTES)
    laps = start_laps(call, member)
    begun = integer_at(laps, Phase.SINCE) if laps != 0 else 0
    m = Member(dtype, call, sync, member, team, scratch, laps)
    if mode <= Mode.SCORE:
        taken = steps(m, mode != Mode.SCORE, mode == Mode.STEPS)
        if member == 0:
            set_integer(call, Entry.TAKEN, taken)
    elif mode == Mode.UPDATE:
        update(m)
    elif mode == Mode.FORWARD:
        predict(m)
    elif mode == Mode.SHUFFLE:
        if member == 0:
            counters = entry(m, Entry.COUNTERS)
            seed, epoch = integer_at(counters, Counter.SEED), integer_at(counters, Counter.EPOCH)
            shuffle(dtype, entry(m, Entry.ORDER), entry(m, Entry.ROWS), seed, epoch)
    elif mode == Mode.FIND_NONFINITE:
        scan(m)
    if laps != 0 and mode <= Mode.FORWARD:
        set_integer(laps, Phase.WHOLE, integer_at(laps, Phase.WHOLE) + cycles() - begun)


def work_float32(call, member, team):
    work(np.float32(0.0), call, member, team)


def work_float64(call, member, team):
    work(np.float64(0.0), call, member, team)
