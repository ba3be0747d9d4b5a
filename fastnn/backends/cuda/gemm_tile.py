"""The hot loop of `gemm.py`'s kernel: intrinsics that bring A and B to shared memory and multiply them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .compiler import emits
from .gemm_layout import Layout, Side
from .intrinsics import shared
from .scalars import I32, Scalars
from .tiles import LANES_M, LANES_N


def zeros(layout: Layout) -> Any:
    """Sums of a chunk, before its first product."""

    @emits(layout.sums_type, 0)
    def zeros(builder: Any) -> Any:
        return ir.Constant(ir.ArrayType(layout.real, layout.sum_count), [layout.real(0.0)] * layout.sum_count)

    return zeros


def fetch(layout: Layout) -> Any:
    """The thread's packs of the next stage, from global memory."""

    @emits(layout.got_type, 2)
    def fetch(builder: Any, fixed: Any, places: Any) -> Any:
        got: list[Any] = []
        for side, name, pointers in layout.side_parts(builder, places):
            for pack in range(side.count):
                address = layout.address(builder, fixed, side, name, pointers, pack)
                if side.pack == 1:
                    got.append(layout.load_element(builder, address))
                else:
                    got += layout.load_pack(builder, layout.pointer(builder, address, layout.vector))
        return layout.tuple(builder, got)

    return fetch


def advance(layout: Layout) -> Any:
    """The addresses of the next stage."""

    @emits(layout.places_type, 2)
    def advance(builder: Any, fixed: Any, places: Any) -> Any:
        moved = []
        for _, name, pointers in layout.side_parts(builder, places):
            on = layout.fixed(builder, fixed, f"{name}_on")
            moved += [builder.add(pointer, on) for pointer in pointers]
        return layout.tuple(builder, moved)

    return advance


def put(layout: Layout) -> Any:
    """The thread's packs, to a stage of shared memory."""

    @emits("nothing", 3)
    def put(builder: Any, got: Any, fixed: Any, buffer: Any) -> None:
        values, first = layout.unpacked(builder, got, layout.got_type.count), 0
        for side, name in layout.sides:
            place = builder.add(layout.fixed(builder, fixed, f"{name}_write"), buffer)
            for pack in range(side.count):
                pack_values, first = values[first : first + side.pack], first + side.pack
                if side.pack > 1 and not side.along_k:
                    where = builder.add(place, I32(side.shared_row(pack, 0)))
                    layout.store_pack(builder, pack_values, shared(builder, where, layout.vector))
                    continue
                for element, value in enumerate(pack_values):
                    where = builder.add(place, I32(side.shared_row(pack, element)))
                    builder.store(value, shared(builder, where, layout.real), align=layout.size)

    return put


def put_rest(layout: Layout) -> Any:
    """What is left of k, element by element, to the first stage; nothing is read from outside."""

    @emits("nothing", 3)
    def put_rest(builder: Any, fixed: Any, places: Any, rest: Any) -> None:
        for side, name, pointers in layout.side_parts(builder, places):
            place = layout.fixed(builder, fixed, f"{name}_write")
            for pack in range(side.count):
                for element in range(side.pack):
                    k = layout.fixed(builder, fixed, f"{name}_{'column' if side.along_k else 'row'}")
                    k = builder.add(k, I32(element if side.along_k else pack * side.step))
                    with builder.if_then(builder.icmp_signed("<", k, rest)):
                        value = layout.load_element(
                            builder, layout.address(builder, fixed, side, name, pointers, pack, element)
                        )
                        where = builder.add(place, I32(side.shared_row(pack, element)))
                        builder.store(value, shared(builder, where, layout.real), align=layout.size)

    return put_rest


def multiply(layout: Layout, depth: int) -> Any:
    """The products of so many k of a stage; of one, that of the row `place`, else the stage begins at `place` bytes."""
    tile = layout.tile

    @emits(layout.sums_type, 3)
    def multiply(builder: Any, sums: Any, fixed: Any, place: Any) -> Any:
        o, totals = Scalars(builder, layout.dtype), layout.unpacked(builder, sums, layout.sum_count)
        reads = []
        for side, name in layout.sides:
            begin = builder.mul(place, I32(side.pitch * layout.size)) if depth == 1 else place
            reads.append(builder.add(layout.fixed(builder, fixed, f"{name}_read"), begin))
        for k in range(depth):
            a = _row(layout, builder, reads[0], layout.a, k, tile.thread_rows, LANES_M)
            b = _row(layout, builder, reads[1], layout.b, k, tile.thread_columns, LANES_N)
            for i, left in enumerate(a):
                for j, right in enumerate(b):
                    index = i * tile.thread_columns + j
                    totals[index] = o.fma(o.value(left), o.value(right), o.value(totals[index])).ir
        return layout.tuple(builder, totals)

    return multiply


def _row(layout: Layout, builder: Any, read: Any, side: Side, k: int, count: int, lanes: int) -> list[Any]:
    """A thread's elements of a row of k in shared memory: packs, between which lie those of the other lanes."""
    row: list[Any] = []
    for pack in range(count // layout.pack):
        where = (k * side.pitch + pack * layout.pack * lanes) * layout.size
        row += layout.load_pack(builder, shared(builder, builder.add(read, I32(where)), layout.vector))
    return row
