"""Until losses.py is written as the other kernels are: Square blocks of vectors with rows and columns exchanged."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .former_frame import Frame
from .former_lanes import I32, I64, Lanes, Value

LANE_BYTES = 16  # what is read from memory goes into any lane of a register without a shuffle


def exchange(f: Frame, o: Lanes, block: list[Any]) -> list[Any]:
    """IR vectors as rows become columns, of each piece of as many elements as there are vectors: rounds that exchange
    halves, quarters ... between rows."""
    width, half = o.width, len(block) // 2
    while half:
        low = [lane if not lane & half else width + lane - half for lane in range(width)]
        high = [lane + half if not lane & half else width + lane for lane in range(width)]
        masks = [ir.Constant(ir.VectorType(I32, width), indices) for indices in (low, high)]
        for i in range(len(block)):
            if not i & half:
                pair = block[i], block[i + half]
                block[i], block[i + half] = (f.builder.shuffle_vector(*pair, mask) for mask in masks)
        half //= 2
    return block


def _joined(f: Frame, parts: list[Any]) -> Any:
    """A vector of small ones, one behind another."""
    while len(parts) > 1:
        order = ir.Constant(ir.VectorType(I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
        parts = [f.builder.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def load_whole(f: Frame, o: Lanes, src: Any, lds: Any) -> list[Value]:
    """A square of src as wide as a vector, exchanged within lanes only: half the shuffles."""
    builder, items = f.builder, LANE_BYTES // f.itemsize
    lane = Lanes(builder, f.dtype, items)
    starts = range(0, o.width, items)
    at = [f.opaque(f.at(src, builder.mul(lds, I64(row)))) for row in starts]  # the others are reached by offsets
    rows = []  # all of a line at once: rows may share a set of the first cache
    for i in range(items):
        offsets = [builder.add(builder.mul(lds, I64(i)), I64(start)) for start in starts]
        rows.append([_joined(f, [f.load(f.at(row, offset), None, lane).ir for row in at]) for offset in offsets])
    parts = [exchange(f, o, list(part)) for part in zip(*rows, strict=True)]
    return [Value(o, vector) for part in parts for vector in part]


def load_rest(f: Frame, o: Lanes, src: Any, lds: Any, rows: Any, columns: Any) -> list[Value]:
    """A square of src as wide as a vector, of which `rows` x `columns` are there, exchanged. Rows past the end repeat
    the first one."""
    builder, mask, block = f.builder, f.mask(columns, o.width), []
    for i in range(o.width):
        row = builder.select(builder.icmp_signed("<", I64(i), rows), I64(i), I64(0))
        block.append(f.load(f.at(src, builder.mul(row, lds)), mask, o).ir)
    return [Value(o, vector) for vector in exchange(f, o, block)]


def load_exchanged(f: Frame, o: Lanes, src: Any, lds: Any, rows: Any, columns: Any) -> list[Value]:
    """The same, sooner where all are there."""
    builder, width = f.builder, I64(o.width)

    def whole() -> list[Any]:
        return [vector.ir for vector in load_whole(f, o, src, lds)]

    def part() -> list[Any]:
        return [vector.ir for vector in load_rest(f, o, src, lds, rows, columns)]

    all_there = builder.and_(builder.icmp_signed(">=", rows, width), builder.icmp_signed(">=", columns, width))
    return [Value(o, vector) for vector in f.either(all_there, whole, part)]
