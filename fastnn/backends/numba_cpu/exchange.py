"""Square blocks of vectors with rows and columns exchanged."""

from __future__ import annotations

from collections.abc import Sequence

from .frame import Frame
from .integers import Integer, Pointer
from .lanes import Lanes, Value, joined

LANE_BYTES = 16  # what is read from memory goes into any lane of a register without a shuffle


def exchange(rows: Sequence[Value]) -> list[Value]:
    """Vectors as rows become columns, of each piece of as many elements as there are vectors: rounds that exchange
    halves, quarters ... between rows."""
    block, width, half = list(rows), rows[0].lanes.width, len(rows) // 2
    while half:
        low = [lane if not lane & half else width + lane - half for lane in range(width)]
        high = [lane + half if not lane & half else width + lane for lane in range(width)]
        for i in range(len(block)):
            if not i & half:
                a, b = block[i], block[i + half]
                block[i], block[i + half] = a.shuffled(b, low), a.shuffled(b, high)
        half //= 2
    return block


def load_whole(f: Frame, o: Lanes, src: Pointer, lds: Integer) -> list[Value]:
    """A square of src as wide as a vector, exchanged within lanes only: half the shuffles."""
    items = LANE_BYTES // f.itemsize
    lane = Lanes(f.builder, f.dtype, items)
    starts = range(0, o.width, items)
    pointers = [f.opaque(src + lds * row) for row in starts]  # the others are reached by offsets
    rows = []  # all of a line at once: rows may share a set of the first cache
    for i in range(items):
        offsets = [lds * i + start for start in starts]
        rows.append([joined(o, [(row + offset).load(None, lane) for row in pointers]) for offset in offsets])
    return [column for part in zip(*rows, strict=True) for column in exchange(part)]


def load_half(f: Frame, o: Lanes, src: Pointer, lds: Integer) -> list[Value]:
    """The same for vectors of 256 bits, of which a processor exchanges two or three at once and of 512 only one: rounds
    of even and odd elements."""
    items = LANE_BYTES // f.itemsize
    lane, starts = Lanes(f.builder, f.dtype, items), range(0, o.width, items)
    pointers = [f.opaque(src + lds * row) for row in range(0, o.width, 2)]  # two rows each
    even = [start + i + side for start in starts for side in (0, o.width) for i in range(0, items, 2)]
    columns = []
    for part in starts:
        rows = []
        for i in range(items):
            places = [pointers[(start + i) // 2] + (lds * (i % 2) + part) for start in starts]
            rows.append(joined(o, [place.load(None, lane) for place in places]))
        for _ in range(items.bit_length() - 1):
            pairs = list(zip(rows[::2], rows[1::2], strict=True))
            rows = [a.shuffled(b, [i + odd for i in even]) for odd in (0, 1) for a, b in pairs]
        columns += rows
    return columns


def load_rest(f: Frame, o: Lanes, src: Pointer, lds: Integer, rows: Integer, columns: Integer) -> list[Value]:
    """A square of src as wide as a vector, of which `rows` x `columns` are there, exchanged. Rows past the end repeat
    the first one."""
    mask = f.mask(columns, o)
    return exchange([(src + (rows > i).select(i, 0) * lds).load(mask, o) for i in range(o.width)])


def load_exchanged(
    f: Frame, o: Lanes, src: Pointer, lds: Integer, rows: Integer, columns: Integer
) -> tuple[Value, ...]:
    """The same, sooner where all are there."""
    return f.either(
        (rows >= o.width) & (columns >= o.width),
        lambda: tuple(load_whole(f, o, src, lds)),
        lambda: tuple(load_rest(f, o, src, lds, rows, columns)),
    )
