"""The sums of chunks of `gemm.py`'s kernel, which lie in shared memory, and what becomes of them.

Where K's chunks have blocks of their own, each leaves its sums in memory and counts itself; the last of a tile, who
sees what the others left since counting releases and acquires, adds them up in the order of the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir

from ...core import formulas as fo
from ...core.arithmetic import K_CHUNK
from .compiler import emits
from .gemm_layout import Layout, least, special
from .intrinsics import shared
from .scalars import I32, I64, Scalars, Value
from .tiles import LANES_M, LANES_N, PACK_BYTES, STAGES, WARP


def packs(layout: Layout, o: Scalars, fixed: Any, part: Any = None) -> Iterator[Any]:
    """Pointers to the thread's sums, those of a row of the tile, then of the next: of all, or of a part, which are as
    many rows as a pack has elements."""
    tile, place = layout.tile, o.value(layout.fixed(o.builder, fixed, "sums"))
    if part is not None:
        place = place + o.value(part) * (tile.thread_columns * tile.threads * PACK_BYTES)
    for pack in range(tile.thread_columns if part is not None else layout.sum_count // layout.pack):
        yield shared(o.builder, (place + pack * tile.threads * PACK_BYTES).ir, layout.vector)


def clear(layout: Layout) -> Any:
    """Sums of chunks, before the first: -0, since -0 + x is x for every x."""

    @emits("nothing", 1)
    def clear(builder: Any, fixed: Any) -> None:
        for pointer in packs(layout, Scalars(builder, layout.dtype), fixed):
            layout.store_pack(builder, [layout.real(-0.0)] * layout.pack, pointer)

    return clear


def fold(layout: Layout) -> Any:
    """Adds the sums of a chunk to those before."""

    @emits("nothing", 2)
    def fold(builder: Any, sums: Any, fixed: Any) -> None:
        totals = layout.unpacked(builder, sums, layout.sum_count)
        for index, pointer in enumerate(packs(layout, Scalars(builder, layout.dtype), fixed)):
            _add(layout, builder, pointer, totals[index * layout.pack :][: layout.pack])

    return fold


def _add(layout: Layout, builder: Any, pointer: Any, values: list[Any]) -> None:
    o, before = Scalars(builder, layout.dtype), layout.load_pack(builder, pointer)
    made = [o.rounded("add", total, value).ir for total, value in zip(before, values, strict=True)]
    layout.store_pack(builder, made, pointer)


# blocks that share a tile


def depth_of(layout: Layout) -> Any:
    """The steps of k of the block: of all of K, or, where there is scratch, of its chunk."""

    @emits("int32", 2)
    def depth_of(builder: Any, K: Any, scratch: Any) -> Any:
        o = Scalars(builder, layout.dtype)
        whole = o.value(K)
        rest = least(o, whole - special(o, "ctaid.z") * K_CHUNK, o.value(I32(K_CHUNK)))
        return builder.select(builder.icmp_unsigned("==", scratch, I64(0)), whole.ir, rest.ir)

    return depth_of


def _number(o: Scalars) -> Value:
    """Of the block's tile."""
    return special(o, "ctaid.y") * special(o, "nctaid.x") + special(o, "ctaid.x")


def _left(layout: Layout, o: Scalars, scratch: Any, chunk: Any, part: Any) -> Iterator[Any]:
    """Pointers to what the thread leaves of a part of a chunk, in the order of `packs`."""

    def wide(value: Value) -> Value:
        return o.value(o.builder.zext(value.ir, I64))

    tile = layout.tile
    index = _number(o) * special(o, "nctaid.z") + o.value(chunk)
    offset = o.value(part) * (tile.thread_columns * tile.threads * PACK_BYTES) + special(o, "tid.x") * PACK_BYTES
    place = o.value(scratch) + wide(index) * tile.sum_bytes(layout.size) + wide(offset)
    for pack in range(tile.thread_columns):
        yield layout.pointer(o.builder, (place + pack * tile.threads * PACK_BYTES).ir, layout.vector)


def leave(layout: Layout) -> Any:
    """Writes a part of the thread's sums of the block's chunk to the scratch."""

    @emits("nothing", 3)
    def leave(builder: Any, part: Any, fixed: Any, scratch: Any) -> None:
        o = Scalars(builder, layout.dtype)
        there = _left(layout, o, scratch, special(o, "ctaid.z").ir, part)
        for source, target in zip(packs(layout, o, fixed, part), there, strict=True):
            layout.store_pack(builder, layout.load_pack(builder, source), target)

    return leave


def count(layout: Layout) -> Any:
    """Counts the block, by one thread between two barriers: 1 if it is the last of its tile, whose count begins at 0
    again."""
    assembly = "atom.acq_rel.gpu.global.inc.u32 $0, [$1], $2;"
    function = ir.FunctionType(I32, [I64, I32])

    @emits("int32", 1)
    def count(builder: Any, counts: Any) -> Any:
        o = Scalars(builder, layout.dtype)
        last = special(o, "nctaid.z") - 1
        place = builder.add(counts, builder.zext((_number(o) * 4).ir, I64))
        call = ir.InlineAsm(function, assembly, "=r,l,r,~{memory}", side_effect=True)
        return builder.zext(builder.icmp_signed("==", builder.call(call, [place, last.ir]), last.ir), I32)

    return count


def add_left(layout: Layout) -> Any:
    """Adds what was left of a part of a chunk to the sums."""

    @emits("nothing", 4)
    def add_left(builder: Any, part: Any, fixed: Any, scratch: Any, chunk: Any) -> None:
        o = Scalars(builder, layout.dtype)
        there = _left(layout, o, scratch, chunk, part)
        for target, source in zip(packs(layout, o, fixed, part), there, strict=True):
            _add(layout, builder, target, layout.load_pack(builder, source))

    return add_left


# C


def finish(layout: Layout) -> Any:
    """Some rows of C, of which there are as many as a thread has packs below each other: from the sums, the bias (0:
    none) and the relu."""

    @emits("nothing", 8)
    def finish(builder: Any, part: Any, fixed: Any, C: Any, bias: Any, relu: Any, M: Any, N: Any, apart: Any) -> None:
        o = Scalars(builder, layout.dtype)
        biased, clips = builder.icmp_signed("!=", bias, I64(0)), builder.icmp_signed("!=", relu, I32(0))

        def beside(column: Value) -> list[Any]:
            count = layout.pack if layout.tile.whole else 1
            return [_loaded_if(layout, builder, biased, bias, (column + element).ir) for element in range(count)]

        def made(values: list[Any], biases: list[Any], offset: Any) -> list[Any]:
            clipped = []
            for value, extra in zip(values, biases, strict=True):
                total = builder.select(biased, o.rounded("add", value, extra).ir, value)
                clipped.append(builder.select(clips, o.coerce(fo.relu(o, o.value(total), None)), total))
            return clipped

        _write(layout, o, part, fixed, C, M, N, apart, beside, made)

    return finish


def finish_slope(layout: Layout) -> Any:
    """Likewise: from the sums times the slope of a relu, by its output, which lies as C does."""

    @emits("nothing", 7)
    def finish_slope(builder: Any, part: Any, fixed: Any, C: Any, output: Any, M: Any, N: Any, apart: Any) -> None:
        o = Scalars(builder, layout.dtype)

        def made(values: list[Any], _: Any, offset: Any) -> list[Any]:
            address = builder.add(output, offset)
            if len(values) > 1:
                outputs = layout.load_pack(builder, layout.pointer(builder, address, layout.vector))
            else:
                outputs = [layout.load_element(builder, address)]
            return [
                o.coerce(fo.relu_slope(o, o.value(value), o.value(activated), None))
                for value, activated in zip(values, outputs, strict=True)
            ]

        _write(layout, o, part, fixed, C, M, N, apart, lambda column: None, made)

    return finish_slope


Beside, Made = Callable[[Value], Any], Callable[[list[Any], Any, Any], list[Any]]


def _write(
    layout: Layout, o: Scalars, part: Any, fixed: Any, C: Any, M: Any, N: Any, apart: Any, beside: Beside, made: Made
) -> None:
    """Writes what is `made` of sums that lie side by side, of what is `beside` their first column, and of the bytes
    from C's first element."""
    builder = o.builder

    def offset(m: Value, n: Value) -> Any:
        element = builder.add(builder.mul(builder.sext(m.ir, I64), builder.sext(apart, I64)), builder.sext(n.ir, I64))
        return builder.mul(element, I64(layout.size))

    write = _packs_of_c if layout.tile.whole else _elements_of_c
    write(layout, o, o.value(part), fixed, C, o.value(M), o.value(N), offset, beside, made)


def _packs_of_c(
    layout: Layout,
    o: Scalars,
    part: Value,
    fixed: Any,
    C: Any,
    M: Value,
    N: Value,
    offset: Any,
    beside: Beside,
    made: Made,
) -> None:
    """The thread's own sums, but those that another block writes."""
    builder, tile, pack = o.builder, layout.tile, layout.pack
    own_m, own_n, first_m, first_n = layout.firsts(o, M, N)
    at_m, at_n = layout.thread_firsts(o)
    columns = [first_n + at_n + index * LANES_N for index in range(0, tile.thread_columns, pack)]
    extras = [beside(column) for column in columns]
    sums = packs(layout, o, fixed, part.ir)
    for i in range(pack):
        m = first_m + at_m + part * (pack * LANES_M) + i
        for n, extra in zip(columns, extras, strict=True):
            place = offset(m, n)
            values = made(layout.load_pack(builder, next(sums)), extra, place)
            with builder.if_then(((m >= own_m) & (n >= own_n)).ir):
                layout.store_pack(builder, values, layout.pointer(builder, builder.add(C, place), layout.vector))


def _elements_of_c(
    layout: Layout,
    o: Scalars,
    part: Value,
    fixed: Any,
    C: Any,
    M: Value,
    N: Value,
    offset: Any,
    beside: Beside,
    made: Made,
) -> None:
    """Sums of any thread, so that those of a warp lie side by side in C."""
    builder, tile, thread = o.builder, layout.tile, special(o, "tid.x")
    own_m, own_n, _, _ = layout.firsts(o, M, N)
    bits = tile.columns.bit_length() - 1
    row, column = thread >> bits, thread & (tile.columns - 1)
    first, n = _place(layout, row, column) + STAGES * layout.stage, own_n + column
    with builder.if_then((n < N).ir):
        extra = beside(n)
        each = tile.rows * layout.pack // tile.thread_rows
        for index in range(0, each, tile.threads >> bits):
            above = part * each + index
            m = own_m + row + above
            with builder.if_then((m < M).ir):
                # A row's bits, and those of the rows above, are others: so their places add up.
                where = shared(builder, (first + _place(layout, above, 0)).ir, layout.real)
                place = offset(m, n)
                (value,) = made([builder.load(where, align=layout.size)], extra, place)
                address = layout.pointer(builder, builder.add(C, place), layout.real)
                builder.store(value, address, align=layout.size)


def _place(layout: Layout, row: Any, column: Any) -> Any:
    """Bytes from the block's first sum to that of an element of the tile: whose thread's, and which of its packs."""
    tile, pack = layout.tile, layout.pack
    pack_bits, m_bits, n_bits = (size.bit_length() - 1 for size in (pack, LANES_M, LANES_N))
    rows, columns = ((size // pack).bit_length() - 1 for size in (tile.thread_rows, tile.thread_columns))
    lane = (row >> pack_bits & (LANES_M - 1)) * LANES_N + (column >> pack_bits & (LANES_N - 1))
    warp = (row >> (pack_bits + m_bits + rows)) * tile.warps_beside + (column >> (pack_bits + n_bits + columns))
    of_row = (row >> (pack_bits + m_bits) & ((1 << rows) - 1)) * pack + (row & (pack - 1))
    of_column = column >> (pack_bits + n_bits) & ((1 << columns) - 1)
    index = of_row * (1 << columns) + of_column
    return (index * tile.threads + warp * WARP + lane) * PACK_BYTES + (column & (pack - 1)) * layout.size


def _loaded_if(layout: Layout, builder: Any, condition: Any, address: Any, element: Any) -> Any:
    """An element of a row, or 0 where the condition does not hold."""
    before = builder.block
    with builder.if_then(condition):
        place = builder.add(address, builder.mul(builder.sext(element, I64), I64(layout.size)))
        value, there = layout.load_element(builder, place), builder.block
    joined = builder.phi(layout.real)
    joined.add_incoming(layout.real(0.0), before)
    joined.add_incoming(value, there)
    return joined
