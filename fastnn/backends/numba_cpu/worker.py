"""The entry of a team that runs a program of `network.py`, a shuffle or a scan, as the call block says."""

from __future__ import annotations

import numpy as np

from . import call as c
from . import table as t
from .elementwise import find_nonfinite
from .jit import device
from .memory import integer_at, set_integer
from .network import predict, steps, update
from .philox import shuffle
from .workspace import share


@device
def scan(zero, call, member, team):
    """FIND_NONFINITE: each member leaves in FOUND[member] the first bad flat index of its rows, or -1."""
    columns, row_bytes = integer_at(call, c.SCAN_COLUMNS), integer_at(call, c.SCAN_ROW)
    itemsize = integer_at(call, c.SCAN_ITEMSIZE)
    first, last = share(integer_at(call, c.SCAN_ROWS), 1, member, team)
    base, found, row = integer_at(call, c.SCAN), -1, first
    # Rows that lie one behind another are one long row.
    height = last - first if row_bytes == columns * itemsize else 1
    while row < last and found < 0:
        at = find_nonfinite(zero, itemsize // 8, base + row * row_bytes, height * columns)
        if at >= 0:
            found = row * columns + at
        row += height
    set_integer(integer_at(call, c.FOUND), member, found)


@device
def work(zero, call, member, team):
    """What MODE says."""
    mode = integer_at(call, c.MODE)
    if mode == c.RUN_STEPS or mode == c.GRADIENT or mode == c.SCORE:
        steps(zero, call, member, team, mode != c.SCORE, mode == c.RUN_STEPS)
    elif mode == c.UPDATE:
        update(zero, call, member, team)
    elif mode == c.FORWARD:
        predict(zero, call, member, team)
    elif mode == c.SHUFFLE:
        if member == 0:
            counters = integer_at(call, c.COUNTERS)
            seed, epoch = integer_at(counters, t.SEED), integer_at(counters, t.EPOCH)
            shuffle(zero, integer_at(call, c.ORDER), integer_at(call, c.ROWS), seed, epoch)
    elif mode == c.FIND_NONFINITE:
        scan(zero, call, member, team)


def work_float32(call, member, team):
    work(np.float32(0.0), call, member, team)


def work_float64(call, member, team):
    work(np.float64(0.0), call, member, team)
