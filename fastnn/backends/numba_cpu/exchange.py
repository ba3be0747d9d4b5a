"""Square blocks of vectors with rows and columns exchanged."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .frame import Frame
from .lanes import I32, I64, Lanes, Value


def exchange(f: Frame, o: Lanes, block: list[Any]) -> list[Any]:
    """IR vectors as rows become columns: rounds that exchange halves, quarters ... between rows."""
    width, half = o.width, o.width // 2
    while half:
        low = [lane if not lane & half else width + lane - half for lane in range(width)]
        high = [lane + half if not lane & half else width + lane for lane in range(width)]
        masks = [ir.Constant(ir.VectorType(I32, width), indices) for indices in (low, high)]
        for i in range(width):
            if not i & half:
                pair = block[i], block[i + half]
                block[i], block[i + half] = (f.builder.shuffle_vector(*pair, mask) for mask in masks)
        half //= 2
    return block


def load_exchanged(f: Frame, o: Lanes, src: Any, lds: Any, rows: Any, columns: Any) -> list[Value]:
    """A square of src as wide as a vector, of which `rows` x `columns` are there, exchanged. Rows past the end repeat
    the first one."""
    builder, width = f.builder, I64(o.width)

    def whole() -> list[Any]:
        return [f.load(f.at(src, builder.mul(I64(i), lds)), None, o).ir for i in range(o.width)]

    def part() -> list[Any]:
        mask, block = f.mask(columns, o.width), []
        for i in range(o.width):
            row = builder.select(builder.icmp_signed("<", I64(i), rows), I64(i), I64(0))
            block.append(f.load(f.at(src, builder.mul(row, lds)), mask, o).ir)
        return block

    all_there = builder.and_(builder.icmp_signed(">=", rows, width), builder.icmp_signed(">=", columns, width))
    return [Value(o, vector) for vector in exchange(f, o, f.either(all_there, whole, part))]
