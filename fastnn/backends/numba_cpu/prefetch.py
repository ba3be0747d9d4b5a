"""Samples of the first input from memory before a step gathers them. An epoch's order is random, and rows of few lines
are too short for the processor to foresee: without this a small network waits for them a fifth of its time.

What a thread expects is a table in its buffer, which the tiles of its products read."""

from __future__ import annotations

from ..tuning import L2_BYTES, ROW_BLOCK, SAMPLE_BYTES, SAMPLE_LINES
from .declare import Arguments, kernel
from .frame import Frame
from .integers import Pointer
from .jit import device
from .memory import integer_at, set_integer
from .table import ArrayEntry, Entry, InputEntry
from .workspace import array_of, entry, input_of, share, targets_of

# The entries: the address of the order, from the sample that is asked for next; samples that are left, and for a tile;
# addresses of X and y, bytes between their rows, and of a row of X.
ORDER, LEFT, BURST, X, Y, X_ROW, Y_ROW, X_BYTES = range(8)
EXPECTED_BYTES = 64


@device
def expect(m, expected, batch_start):
    """The samples of a member's rows of the step that begins at batch_start, if they are to be asked for."""
    x, y = array_of(m, 0), targets_of(m, 0)
    size = integer_at(input_of(m, 0), InputEntry.COLUMNS) * integer_at(x, ArrayEntry.ELEMENT)
    order = entry(m, Entry.ORDER)
    batch_rows = min(entry(m, Entry.BATCH), entry(m, Entry.ROWS) - batch_start)
    first, last = share(batch_rows, ROW_BLOCK, m.index, m.team)
    set_integer(expected, LEFT, 0)
    if order != 0 and 0 < size <= SAMPLE_BYTES and (last - first) * size <= L2_BYTES:
        set_integer(expected, ORDER, order + (batch_start + first) * 8)
        set_integer(expected, LEFT, last - first)
        set_integer(expected, BURST, max(SAMPLE_LINES // (size // 64 + 2), 1))
        set_integer(expected, X, integer_at(x, ArrayEntry.DATA))
        set_integer(expected, Y, integer_at(y, ArrayEntry.DATA))
        set_integer(expected, X_ROW, integer_at(x, ArrayEntry.ROW))
        set_integer(expected, Y_ROW, integer_at(y, ArrayEntry.ROW))
        set_integer(expected, X_BYTES, size)


@kernel("int64*expected")
def ask(f: Frame, a: Arguments) -> None:
    """Asks the second cache for the next samples of a table."""
    order, left, burst, x, y, x_row, y_row, x_bytes = (a.expected[entry] for entry in range(8))
    order, x, y = Pointer(f.lanes, order.ir, "int64"), Pointer(f.lanes, x.ir, "uint8"), Pointer(f.lanes, y.ir, "uint8")
    count = burst.least(left)
    with f.loop(count) as i:
        sample = order[i]
        row = x + sample * x_row
        with f.loop(x_bytes, 64) as byte:
            (row + byte).ask(second=True)
        (row + (x_bytes - 1)).ask(second=True)  # rows begin anywhere in a line
        (y + sample * y_row).ask(second=True)
    a.expected[ORDER] = order + count
    a.expected[LEFT] = left - count
