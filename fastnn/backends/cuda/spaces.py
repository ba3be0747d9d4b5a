"""Where a slice of steps works: one block in its shared memory, or the blocks of a grid in the card's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from .compiler import cuda, emits
from .intrinsics import GLOBAL, offset, shared
from .scalars import FLOATS, I32, I64, ITEMSIZE

_ORDERED = "~{memory}"


class Space(NamedTuple):
    """What the kernel of `small.py` is written with.

    Attributes:
        get, put: intrinsics (room, element) -> value and (room, element, value). pointer: (builder, room, element,
            type) -> IR. meet: a device function (counter, turn) -> the next turn, in which all threads see what any
            wrote before. on_grid: 1 where there are several blocks.
    """

    get: Any
    put: Any
    pointer: Callable[..., Any]
    meet: Any
    on_grid: int


@emits("integer", 1)
def _arrive(builder: Any, counter: Any) -> Any:
    """One more block is here; what its threads wrote before their barrier is released."""
    function = ir.FunctionType(I64, [I64])
    assembly = "atom.acq_rel.gpu.global.add.u64 $0, [$1], 1;"
    return builder.call(ir.InlineAsm(function, assembly, f"=l,l,{_ORDERED}", side_effect=True), [counter])


@emits("integer", 1)
def _arrived(builder: Any, counter: Any) -> Any:
    """How many were here; what they released is acquired."""
    function = ir.FunctionType(I64, [I64])
    assembly = "ld.acquire.gpu.global.u64 $0, [$1];"
    return builder.call(ir.InlineAsm(function, assembly, f"=l,l,{_ORDERED}", side_effect=True), [counter])


@cuda.jit(device=True, inline="always")
def _meet_on_grid(counter, turn):  # type: ignore[no-untyped-def]
    """A barrier of all blocks, which must be resident together: `counter` begins at 0 and counts arrivals."""
    turn += cuda.gridDim.x
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        _arrive(counter)
        while _arrived(counter) < turn:
            pass
    cuda.syncthreads()
    return turn


@cuda.jit(device=True, inline="always")
def _meet_in_block(counter, turn):  # type: ignore[no-untyped-def]
    """A barrier of the block."""
    cuda.syncthreads()
    return turn


def space(dtype: str, on_grid: bool) -> Space:
    """That of a grid, or of a block."""
    size = ITEMSIZE[dtype]

    def pointer(builder: Any, room: Any, element: Any, type_: Any) -> Any:
        if on_grid:
            return builder.inttoptr(offset(builder, room, element, size), type_.as_pointer(GLOBAL))
        return shared(builder, builder.mul(builder.trunc(element, I32), I32(size)), type_)

    @emits(dtype, 2)
    def get(builder: Any, room: Any, element: Any) -> Any:
        return builder.load(pointer(builder, room, element, FLOATS[dtype]), align=size)

    @emits("nothing", 3)
    def put(builder: Any, room: Any, element: Any, value: Any) -> None:
        builder.store(value, pointer(builder, room, element, FLOATS[dtype]), align=size)

    return Space(get, put, pointer, _meet_on_grid if on_grid else _meet_in_block, int(on_grid))
