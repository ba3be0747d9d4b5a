"""Until losses.py is written as the other kernels are: The frame in which kernels are written.

A kernel is one LLVM function, registered by `kernel(...)` with an `emit(f, ...)` that writes its body; Numba code
calls it like a function of addresses, sizes and scalars. `kernels.py` compiles them all, once: Numba would optimise a
body again in every caller that it is linked to.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .declare import KERNELS
from .former_lanes import FLOATS, I32, I64, ITEMSIZE, LANES, SUFFIX, Lanes, Value, call_intrinsic, splat


class Frame:
    """The body of a kernel under construction: pointers, loops, masked loads and stores of vectors."""

    def __init__(self, builder: Any, dtype: str) -> None:
        self.builder, self.dtype = builder, dtype
        self.lanes = Lanes(builder, dtype)
        self.itemsize = ITEMSIZE[dtype]

    def at(self, address: Any, index: Any, itemsize: int | None = None) -> Any:
        """The address of element `index`."""
        offset = self.builder.mul(index, I64(itemsize or self.itemsize))
        return self.builder.add(address, offset)

    def pointer(self, address: Any, type_: Any) -> Any:
        return self.builder.inttoptr(address, type_.as_pointer())

    def mask(self, remaining: Any, width: int = LANES) -> Any:
        """Lanes below `remaining`, an i64 of at least 1."""
        lane = ir.Constant(ir.VectorType(I32, width), list(range(width)))
        return self.builder.icmp_signed("<", lane, splat(self.builder, self.builder.trunc(remaining, I32), width))

    def load(self, address: Any, mask: Any = None, lanes: Lanes | None = None) -> Value:
        """A vector at an address; masked lanes are +0."""
        lanes = lanes or self.lanes
        pointer = self.pointer(address, lanes.type)
        if mask is None:
            return Value(lanes, self.builder.load(pointer, align=self.itemsize))
        name = f"llvm.masked.load.v{lanes.width}{SUFFIX[lanes.dtype]}.p0"
        zero = ir.Constant(lanes.type, [0.0] * lanes.width)
        return Value(lanes, call_intrinsic(self.builder, name, lanes.type, [pointer, I32(self.itemsize), mask, zero]))

    def store(self, value: Value, address: Any, mask: Any = None) -> None:
        pointer = self.pointer(address, value.ir.type)
        if mask is None:
            self.builder.store(value.ir, pointer, align=self.itemsize)
            return
        name = f"llvm.masked.store.v{value.lanes.width}{SUFFIX[value.lanes.dtype]}.p0"
        call_intrinsic(self.builder, name, ir.VoidType(), [value.ir, pointer, I32(self.itemsize), mask])

    def prefetch(self, address: Any, write: bool = False, second: bool = False) -> None:
        """Asks for a cache line that will be read, or written; `second`: no nearer than the second cache."""
        arguments = [self.pointer(address, ir.IntType(8)), I32(int(write)), I32(2 if second else 3), I32(1)]
        call_intrinsic(self.builder, "llvm.prefetch.p0", ir.VoidType(), arguments)

    def load_scalar(self, address: Any) -> Any:
        return self.builder.load(self.pointer(address, FLOATS[self.dtype]), align=self.itemsize)

    def store_scalar(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.pointer(address, value.type), align=self.itemsize)

    def variable(self, value: Any) -> Any:
        """A mutable IR value (a promoted stack slot)."""
        slot = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, slot)
        return slot

    @contextmanager
    def loop(self, count: Any, step: int = 1, start: Any = None) -> Iterator[Any]:
        """for index in range(start, count, step)."""
        with cgutils.for_range_slice(self.builder, start or I64(0), count, I64(step), inc=True) as (index, _):
            yield index

    def opaque(self, value: Any) -> Any:
        """An i64 whose making passes do not see: it stays in a register, instead of being made anew from others."""
        return self.builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [value], side_effect=False)

    def carry(
        self, count: Any, values: Sequence[Any], body: Callable[..., list[Any]], step: int = 1, start: Any = None
    ) -> list[Any]:
        """The IR values that `values = body(index, *values)` leaves for index in range(start, count, step): they stay
        in registers, and no pass has to find that out."""
        builder, before = self.builder, self.builder.block
        head, inner, done = (builder.append_basic_block(f"carry.{part}") for part in ("head", "inner", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        first = I64(0) if start is None else start
        phis = [builder.phi(value.type) for value in (first, *values)]
        for phi, value in zip(phis, (first, *values), strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", phis[0], count), inner, done)
        builder.position_at_end(inner)
        after = body(*phis)
        after.insert(0, builder.add(phis[0], I64(step)))
        for phi, value in zip(phis, after, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(done)
        return phis[1:]

    def either(self, condition: Any, yes: Callable[[], list[Any]], no: Callable[[], list[Any]]) -> list[Any]:
        """The IR values of one of two bodies."""
        ends = []
        with self.builder.if_else(condition) as branches:
            for branch, body in zip(branches, (yes, no), strict=True):
                with branch:
                    ends.append((body(), self.builder.block))
        merged = []
        for pair in zip(ends[0][0], ends[1][0], strict=True):
            phi = self.builder.phi(pair[0].type)
            for value, (_, block) in zip(pair, ends, strict=True):
                phi.add_incoming(value, block)
            merged.append(phi)
        return merged

    def least(self, a: Any, b: Any) -> Any:
        """The smaller of two i64."""
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def has(self, flags: Any, flag: int) -> Any:
        return self.builder.icmp_signed("!=", self.builder.and_(flags, I64(flag)), I64(0))

    @contextmanager
    def blocks(self, count: Any, width: int = LANES) -> Iterator[tuple[Any, Any]]:
        """(first index, mask) of each block of a row."""
        with self.loop(count, width) as index:
            yield index, self.mask(self.builder.sub(count, index), width)

    def each(self, count: Any, body: Callable[[Any, Any], None], width: int = LANES) -> None:
        """`body(index, mask)` for full vectors with mask None, then once for the rest."""
        whole = self.builder.and_(count, I64(-width))
        with self.loop(whole, width) as index:
            body(index, None)
        with self.builder.if_then(self.builder.icmp_signed("<", whole, count)):
            body(whole, self.mask(self.builder.sub(count, whole), width))


class Kernel:
    """The definition of a kernel: `define` writes its function into a module once, `call` is what Numba code calls.

    A call is `k(zero, i0, ..., s0, ...)`: `zero` tells the dtype, integers are addresses (bytes) and sizes, scalars
    have the dtype.
    """

    def __init__(self, name: str, integers: int, scalars: int, emit: Callable[..., Any], result: str) -> None:
        self.name, self.integers, self.scalars, self.emit, self.result = name, integers, scalars, emit, result
        self.call = self._intrinsic()

    def declare(self, module: Any, dtype: str) -> Any:
        symbol = f"fnn_{self.name}_{SUFFIX[dtype]}"
        if symbol in module.globals:
            return module.globals[symbol]
        returned = {"void": ir.VoidType(), "integer": I64, "double": ir.DoubleType()}[self.result]
        type_ = ir.FunctionType(returned, [I64] * self.integers + [FLOATS[dtype]] * self.scalars)
        function = ir.Function(module, type_, symbol)
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        return function

    def define(self, module: Any, dtype: str) -> Any:
        function = self.declare(module, dtype)
        if function.is_declaration:
            builder = ir.IRBuilder(function.append_basic_block("entry"))
            value = self.emit(Frame(builder, dtype), *function.args)
            if self.result == "void":
                builder.ret_void()
            else:
                builder.ret(value)
        return function

    def _intrinsic(self) -> Any:
        def call(typing: Any, zero: Any, *arguments: Any) -> Any:
            dtype = str(zero)
            returned = {"void": types.void, "integer": types.intp, "double": types.float64}[self.result]
            signature = returned(zero, *[types.intp] * self.integers, *[zero] * self.scalars)

            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                made = builder.call(self.declare(builder.module, dtype), values[1:])
                return context.get_dummy_value() if self.result == "void" else made

            return signature, generate

        # Numba binds arguments by an explicit signature only.
        names = ["typing", "zero", *(f"i{n}" for n in range(self.integers)), *(f"s{n}" for n in range(self.scalars))]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return intrinsic(call)


def register(kernel: Kernel) -> Any:
    """Has a kernel compiled; gives its Numba function."""
    KERNELS.append(kernel)
    return kernel.call


def kernel(name: str, integers: int, scalars: int, emit: Callable[..., Any], result: str = "void") -> Any:
    """Registers a kernel, `emit(frame, *arguments)` writes its body; gives its Numba function."""
    return register(Kernel(name, integers, scalars, emit, result))


def chosen(name: str, integers: int, scalars: int, emits: Sequence[Callable[..., Any]]) -> Kernel:
    """A kernel whose first integer chooses among bodies that share the other arguments; each body is a function of
    its own."""
    members = [Kernel(f"{name}_{code}", integers, scalars, emit, "void") for code, emit in enumerate(emits)]

    def emit(f: Frame, code: Any, *arguments: Any) -> None:
        done = f.builder.append_basic_block("done")
        switch = f.builder.switch(code, done)
        for value, member in enumerate(members):
            block = f.builder.append_basic_block(f"code_{value}")
            switch.add_case(I64(value), block)
            with f.builder.goto_block(block):
                f.builder.call(member.define(f.builder.module, f.dtype), arguments)
                f.builder.branch(done)
        f.builder.position_at_end(done)

    return Kernel(name, integers + 1, scalars, emit, "void")


def choose(name: str, integers: int, scalars: int, emits: Sequence[Callable[..., Any]]) -> Any:
    """Registers such a kernel; gives its Numba function."""
    return register(chosen(name, integers, scalars, emits))
