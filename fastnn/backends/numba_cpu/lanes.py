"""The algebra of `arithmetic.py` over LLVM vectors, and the frame in which kernels are written.

A kernel is one LLVM function, registered by `kernel(...)` with an `emit(f, ...)` that writes its body; Numba code
calls it like a function of addresses, sizes and scalars. `kernels.py` compiles them all, once: Numba would optimise a
body again in every caller that it is linked to. Vectors are explicit, so nothing depends on a vectoriser, and a
formula of `formulas.py` is traced into the body as it stands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 16  # of every kernel but those of the GEMM, in both dtypes: the lanes of the contract's sums

I64 = ir.IntType(64)
I32 = ir.IntType(32)
I1 = ir.IntType(1)
FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
INTEGERS = {"float32": I32, "float64": I64}
SUFFIX = {"float32": "f32", "float64": "f64"}
ITEMSIZE = {"float32": 4, "float64": 8}


class Value:
    """A float, integer or condition in a trace; Python numbers may stand beside it."""

    __slots__ = ("ir", "lanes")

    def __init__(self, lanes: Lanes, value: Any) -> None:
        self.lanes, self.ir = lanes, value

    @property
    def is_float(self) -> bool:
        return isinstance(_scalar(self.ir.type), (ir.FloatType, ir.DoubleType))

    def _with(self, other: Any) -> tuple[Any, Any, bool]:
        if not isinstance(other, Value):
            other = self.lanes.constant(other) if self.is_float else self.lanes.integer(other)
        return self.ir, other.ir, self.is_float

    def _binary(self, other: Any, of_float: str, of_integer: str, swap: bool = False) -> Value:
        a, b, is_float = self._with(other)
        if swap:
            a, b = b, a
        return Value(self.lanes, getattr(self.lanes.builder, of_float if is_float else of_integer)(a, b))

    def __add__(self, other: Any) -> Value:
        return self._binary(other, "fadd", "add")

    def __radd__(self, other: Any) -> Value:
        return self._binary(other, "fadd", "add", swap=True)

    def __sub__(self, other: Any) -> Value:
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other: Any) -> Value:
        return self._binary(other, "fsub", "sub", swap=True)

    def __mul__(self, other: Any) -> Value:
        return self._binary(other, "fmul", "mul")

    def __rmul__(self, other: Any) -> Value:
        return self._binary(other, "fmul", "mul", swap=True)

    def __truediv__(self, other: Any) -> Value:
        return self._binary(other, "fdiv", "")

    def __rtruediv__(self, other: Any) -> Value:
        return self._binary(other, "fdiv", "", swap=True)

    def __and__(self, other: Any) -> Value:
        return self._binary(other, "", "and_")

    def __or__(self, other: Any) -> Value:
        return self._binary(other, "", "or_")

    def __xor__(self, other: Any) -> Value:
        return self._binary(other, "", "xor")

    def __invert__(self) -> Value:
        return Value(self.lanes, self.lanes.builder.not_(self.ir))

    def __lshift__(self, bits: int) -> Value:
        return self._binary(bits, "", "shl")

    def __rshift__(self, bits: int) -> Value:
        return self._binary(bits, "", "ashr")

    def __neg__(self) -> Value:
        builder = self.lanes.builder
        return Value(self.lanes, builder.fneg(self.ir) if self.is_float else builder.neg(self.ir))

    def _compare(self, operator: str, other: Any) -> Value:
        a, b, is_float = self._with(other)
        builder = self.lanes.builder
        if not is_float:
            return Value(self.lanes, builder.icmp_signed(operator, a, b))
        compare = builder.fcmp_unordered if operator == "!=" else builder.fcmp_ordered
        return Value(self.lanes, compare(operator, a, b))

    def __gt__(self, other: Any) -> Value:
        return self._compare(">", other)

    def __lt__(self, other: Any) -> Value:
        return self._compare("<", other)

    def __ge__(self, other: Any) -> Value:
        return self._compare(">=", other)

    def __le__(self, other: Any) -> Value:
        return self._compare("<=", other)

    def __eq__(self, other: object) -> Value:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Value:  # type: ignore[override]
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]


class Lanes:
    """The algebra for vectors of `width` values of one dtype."""

    def __init__(self, builder: Any, dtype: str, width: int = LANES) -> None:
        self.builder, self.dtype, self.width = builder, dtype, width
        self.scalar_type = FLOATS[dtype]
        self.type = ir.VectorType(self.scalar_type, width)
        self.integer_type = ir.VectorType(INTEGERS[dtype], width)

    def constant(self, value: float) -> Value:
        rounded = float(np.dtype(self.dtype).type(value))
        return Value(self, ir.Constant(self.type, [rounded] * self.width))

    def integer(self, value: int) -> Value:
        return Value(self, ir.Constant(self.integer_type, [int(value)] * self.width))

    def coerce(self, value: Any) -> Any:
        return value.ir if isinstance(value, Value) else self.constant(value).ir

    def splat(self, scalar: Any) -> Value:
        """A vector of one IR scalar."""
        return Value(self, splat(self.builder, scalar, self.width))

    def _call(self, name: str, *values: Any) -> Value:
        arguments = [self.coerce(value) for value in values]
        return Value(
            self, call_intrinsic(self.builder, f"{name}.v{self.width}{SUFFIX[self.dtype]}", self.type, arguments)
        )

    def fma(self, a: Any, b: Any, c: Any) -> Value:
        return self._call("llvm.fma", a, b, c)

    def sqrt(self, a: Any) -> Value:
        return self._call("llvm.sqrt", a)

    def abs(self, a: Any) -> Value:
        return self._call("llvm.fabs", a)

    def copysign(self, magnitude: Any, sign: Any) -> Value:
        return self._call("llvm.copysign", magnitude, sign)

    def select(self, condition: Value, a: Any, b: Any) -> Value:
        if (isinstance(a, Value) and not a.is_float) or (isinstance(b, Value) and not b.is_float):
            a, b = (v if isinstance(v, Value) else self.integer(v) for v in (a, b))
        return Value(self, self.builder.select(condition.ir, self.coerce(a), self.coerce(b)))

    def to_bits(self, a: Value) -> Value:
        return Value(self, self.builder.bitcast(a.ir, self.integer_type))

    def from_bits(self, a: Value) -> Value:
        return Value(self, self.builder.bitcast(a.ir, self.type))

    # beside the algebra: what reductions over a row need

    def iota(self) -> Value:
        """0, 1, 2 ... as floats."""
        return Value(self, ir.Constant(self.type, [float(lane) for lane in range(self.width)]))

    def tree(self, vector: Value, combine: Callable[[Value, Value], Value]) -> Any:
        """The IR scalar left by combining lane i with lane i + h for h = width / 2 ... 1."""
        builder, half, value = self.builder, self.width // 2, vector.ir
        while half:
            low, high = (
                builder.shuffle_vector(value, value, ir.Constant(ir.VectorType(I32, half), list(range(at, at + half))))
                for at in (0, half)
            )
            narrow = Lanes(builder, self.dtype, half)
            value = combine(Value(narrow, low), Value(narrow, high)).ir
            half //= 2
        return builder.extract_element(value, I32(0))


def _scalar(type_: Any) -> Any:
    return type_.element if isinstance(type_, ir.VectorType) else type_


def splat(builder: Any, scalar: Any, width: int) -> Any:
    """A vector whose lanes are one IR scalar."""
    undefined = ir.Constant(ir.VectorType(scalar.type, width), ir.Undefined)
    first = builder.insert_element(undefined, scalar, I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, width), [0] * width))


def call_intrinsic(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Calls an LLVM intrinsic by its full name."""
    type_ = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, type_, name), arguments)


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


KERNELS: list[Kernel] = []


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
