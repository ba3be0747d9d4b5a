"""Square blocks of vectors with rows and columns exchanged."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .frame import Frame
from .lanes import I32, I64, Lanes, Value

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


class Square:
    """A whole block of src, as wide and high as a vector, exchanged within lanes only: half the shuffles."""

    def __init__(self, f: Frame, o: Lanes, src: Any, lds: Any) -> None:
        items = LANE_BYTES // f.itemsize
        self.f, self.lanes, self.lds, self.items = f, Lanes(f.builder, f.dtype, items), lds, items
        self.o, self.parts = o, o.width // items
        # The rest is reached by offsets from a pointer for each lane.
        rows = [f.builder.mul(lds, I64(lane * items)) for lane in range(self.parts)]
        self.at = [f.opaque(f.at(src, row)) for row in rows]

    def part(self, number: int) -> list[Value]:
        """Rows number * items ... of the exchanged block."""
        f, block = self.f, []
        for i in range(self.items):
            offset = f.builder.add(f.builder.mul(self.lds, I64(i)), I64(number * self.items))
            block.append(_joined(f, [f.load(f.at(at, offset), None, self.lanes).ir for at in self.at]))
        return [Value(self.o, vector) for vector in exchange(f, self.o, block)]


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
        square = Square(f, o, src, lds)
        return [vector.ir for number in range(square.parts) for vector in square.part(number)]

    def part() -> list[Any]:
        return [vector.ir for vector in load_rest(f, o, src, lds, rows, columns)]

    all_there = builder.and_(builder.icmp_signed(">=", rows, width), builder.icmp_signed(">=", columns, width))
    return [Value(o, vector) for vector in f.either(all_there, whole, part)]
