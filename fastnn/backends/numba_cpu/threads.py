"""Threads inside one region: atomics, a barrier, enrolment, and the floating-point environment."""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..tuning import BARRIER_SPINS, GATHER_LOOKS
from .jit import device
from .lanes import I32, I64
from .memory import pointer

X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
POSIX = sys.platform != "win32"
IEEE_DEFAULT = 0x1F80  # MXCSR: round to nearest, all exceptions masked, neither FTZ nor DAZ

# Entries of the sync area, int64, each on a cache line of its own but those of what the team has counted.
COUNT, PIECES, GENERATION, ARRIVED, TEAM = 0, 1, 8, 16, 24
SYNC_SIZE = 32


@intrinsic
def atomic_add(typing: Any, address: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", pointer(builder, values[0], values[1], I64), values[2], "acq_rel")

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def atomic_load(typing: Any, address: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load_atomic(pointer(builder, *values, I64), "acquire", 8)

    return types.intp(types.intp, types.intp), generate


@intrinsic
def atomic_store(typing: Any, address: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store_atomic(values[2], pointer(builder, values[0], values[1], I64), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def atomic_exchange(typing: Any, address: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("xchg", pointer(builder, values[0], values[1], I64), values[2], "acq_rel")

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def atomic_replace(typing: Any, address: Any, index: Any, old: Any, new: Any) -> Any:
    """Whether the entry was the old value, and is now the new one."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = pointer(builder, values[0], values[1], I64)
        exchanged = builder.cmpxchg(place, values[2], values[3], "acq_rel", "monotonic")
        return builder.extract_value(exchanged, 1)

    return types.boolean(types.intp, types.intp, types.intp, types.intp), generate


@intrinsic
def cycles(typing: Any) -> Any:
    """A clock of the processor, which counts at one rate."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        type_ = ir.FunctionType(I64, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, type_, "llvm.readcyclecounter"), [])

    return types.intp(), generate


@intrinsic
def _pause(typing: Any) -> Any:

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if X86:
            type_ = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, type_, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _yield_core(typing: Any) -> Any:
    """sched_yield, where there is one."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if POSIX:
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, []), "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def exchange_mxcsr(typing: Any, value: Any) -> Any:
    """Sets MXCSR and gives what it was; nothing but x86 has one."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if not X86:
            return values[0]
        slot = cgutils.alloca_once(builder, I32)
        type_ = ir.FunctionType(ir.VoidType(), [slot.type])
        for name in ("llvm.x86.sse.stmxcsr", "llvm.x86.sse.ldmxcsr"):
            if name.endswith("stmxcsr"):
                builder.call(cgutils.get_or_insert_function(builder.module, type_, name), [slot])
                before = builder.load(slot)
            else:
                builder.store(values[0], slot)
                builder.call(cgutils.get_or_insert_function(builder.module, type_, name), [slot])
        return before

    return types.uint32(types.uint32), generate


@intrinsic
def call_worker(typing: Any, function: Any, call: Any, member: Any, team: Any) -> Any:
    """Calls a worker, void(call, member, team), by its address."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        type_ = ir.FunctionType(ir.VoidType(), [I64, I64, I64])
        builder.call(builder.inttoptr(values[0], type_.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), generate


@device
def relax(spins: int) -> None:
    """One pause of a thread that has spun so often."""
    _pause()
    if spins > BARRIER_SPINS:
        _yield_core()


@device
def _wait_while(sync: int, entry: int, value: int) -> int:
    """Waits until an entry differs from a value; gives what it became."""
    spins = 0
    now = atomic_load(sync, entry)
    while now == value:
        relax(spins)
        spins += 1
        now = atomic_load(sync, entry)
    return now


@device
def barrier(sync: int, team: int) -> None:
    """Returns when all of the team have come."""
    if team == 1:
        return
    generation = atomic_load(sync, GENERATION)
    if atomic_add(sync, COUNT, 1) == team - 1:
        atomic_store(sync, COUNT, 0)
        atomic_store(sync, PIECES, 0)
        atomic_store(sync, GENERATION, generation + 1)
    else:
        _wait_while(sync, GENERATION, generation)


@device
def next_piece(sync: int) -> int:
    """The number of the next piece of what a team shares between two barriers: whoever is free takes one."""
    return atomic_add(sync, PIECES, 1)


@device
def next_share(sync: int) -> int:
    """The number of the next share of what a team without barriers does."""
    return atomic_add(sync, ARRIVED, 1)


@device
def enrol(sync: int, wanted: int) -> tuple[int, int]:
    """(this thread's number or -1, team size). Whoever comes first decides: all that were wanted, or itself alone if
    they don't come."""
    member = atomic_add(sync, ARRIVED, 1)
    if member == 0:
        looks = 0
        while atomic_load(sync, ARRIVED) < wanted and looks < GATHER_LOOKS:
            relax(looks)
            looks += 1
        atomic_store(sync, TEAM, wanted if atomic_load(sync, ARRIVED) >= wanted else 1)
    team = _wait_while(sync, TEAM, 0)
    return (member if member < team else -1), team
