"""Sizes, strides, conditions and addresses with Python's operators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from llvmlite import ir

from .lanes import FLOATS, I1, I32, I64, SUFFIX, Lanes, Mask, Traced, Unsigned, Value, call_intrinsic, element_type


class Integer(Traced):
    """An i64; Python integers may stand beside it."""

    __slots__ = ("builder",)

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.ir = builder, value

    def like(self, value: Any) -> Self:
        return type(self)(self.builder, value)

    def coerce(self, value: Any) -> Any:
        """The IR value of one that may be a Python integer."""
        return value.ir if isinstance(value, Traced) else ir.Constant(self.ir.type, int(value))

    def _binary(self, operation: str, other: Any, swap: bool = False) -> Self:
        pair = (self.coerce(other), self.ir) if swap else (self.ir, self.coerce(other))
        return self.like(getattr(self.builder, operation)(*pair))

    def _compare(self, operator: str, other: Any) -> Condition:
        return Condition(self.builder, self.builder.icmp_signed(operator, self.ir, self.coerce(other)))

    def __add__(self, other: Any) -> Self:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> Self:
        return self._binary("add", other, swap=True)

    def __sub__(self, other: Any) -> Self:
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> Self:
        return self._binary("sub", other, swap=True)

    def __mul__(self, other: Any) -> Self:
        return self._binary("mul", other)

    def __rmul__(self, other: Any) -> Self:
        return self._binary("mul", other, swap=True)

    def __floordiv__(self, other: Any) -> Self:
        """Of numbers that are not negative, like % and >>."""
        return self._binary("udiv", other)

    def __mod__(self, other: Any) -> Self:
        return self._binary("urem", other)

    def __rshift__(self, other: Any) -> Self:
        return self._binary("lshr", other)

    def __and__(self, other: Any) -> Self:
        return self._binary("and_", other)

    def __or__(self, other: Any) -> Self:
        return self._binary("or_", other)

    def __lt__(self, other: Any) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Condition:
        return self._compare(">=", other)

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("!=", other)

    def unsigned(self, lanes: Lanes) -> Unsigned:
        """Its 64 bits."""
        return Unsigned(lanes, self.ir)

    def least(self, other: Any) -> Self:
        return (self < other).select(self, other)

    def greatest(self, other: Any) -> Self:
        return (self > other).select(self, other)


class Condition(Traced):
    """What a comparison of integers gives; & and | compute both sides."""

    __slots__ = ("builder",)

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.ir = builder, value

    def like(self, value: Any) -> Self:
        return type(self)(self.builder, value)

    def __and__(self, other: Condition | bool) -> Condition:
        return self.like(self.builder.and_(self.ir, other.ir if isinstance(other, Condition) else I1(int(other))))

    def __or__(self, other: Condition) -> Condition:
        return self.like(self.builder.or_(self.ir, other.ir))

    def __invert__(self) -> Condition:
        return self.like(self.builder.not_(self.ir))

    def select(self, yes: Any, no: Any) -> Any:
        """`yes` where this holds, else `no`: integers, Python's too, pointers or 0 for none, values."""
        kind = next((value for value in (yes, no) if isinstance(value, Traced)), Integer(self.builder, I64(0)))
        return kind.like(self.builder.select(self.ir, kind.coerce(yes), kind.coerce(no)))


class Pointer(Traced):
    """The address, an i64, of numbers of one dtype, real or integer: the next is `p + 1`, their values `p[i]`. A vector
    of them has as many as `lanes`, the algebra that it belongs to."""

    __slots__ = ("aligned", "dtype", "lanes")

    def __init__(self, lanes: Lanes, address: Any, dtype: str, aligned: bool = True) -> None:
        self.lanes, self.ir, self.dtype, self.aligned = lanes, address, dtype, aligned

    def like(self, value: Any) -> Pointer:
        return Pointer(self.lanes, value, self.dtype, self.aligned)

    def coerce(self, value: Any) -> Any:
        """The IR value of a pointer or an integer; 0 is no address."""
        return value.ir if isinstance(value, Traced) else I64(int(value))

    def cast(self, dtype: str, aligned: bool = True) -> Pointer:
        """The same address, of numbers of another dtype, which lie anywhere if they are not `aligned`."""
        return Pointer(self.lanes, self.ir, dtype, aligned)

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize

    def offset(self, size: Integer | int) -> Pointer:
        """The address so many bytes further."""
        return self.like(self.lanes.builder.add(self.ir, self.coerce(size)))

    def __add__(self, index: Integer | int) -> Pointer:
        return self if isinstance(index, int) and index == 0 else self.offset(index * self.itemsize)

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return Integer(self.lanes.builder, self.ir) == other

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return Integer(self.lanes.builder, self.ir) != other

    # what lies there

    @property
    def _align(self) -> int:
        return self.itemsize if self.aligned else 1

    def _to(self, type_: Any) -> Any:
        return self.lanes.builder.inttoptr(self.ir, type_.as_pointer())

    def __getitem__(self, index: Integer | int) -> Any:
        """One number: a Value, an Integer of "int64", an Unsigned."""
        place = self + index
        loaded = self.lanes.builder.load(place._to(element_type(self.dtype)), align=self._align)
        if self.dtype == "int64":
            return Integer(self.lanes.builder, loaded)
        return self._value(loaded, self._lanes(None))

    def __setitem__(self, index: Integer | int, value: Traced) -> None:
        place = self + index
        self.lanes.builder.store(value.ir, place._to(value.ir.type), align=self._align)

    def _lanes(self, width: int | None) -> Lanes:
        return Lanes(self.lanes.builder, self.dtype if self.dtype in FLOATS else self.lanes.dtype, width)

    def _value(self, loaded: Any, lanes: Lanes) -> Value:
        is_signed = self.dtype in FLOATS or self.dtype.startswith("int")
        return (Value if is_signed else Unsigned)(lanes, loaded)

    def load(self, mask: Mask = None, lanes: Lanes | None = None) -> Value:
        """A vector; lanes that the mask lacks are +0."""
        lanes = lanes or self._lanes(self.lanes.width)
        if mask is None:
            pointer = self._to(ir.VectorType(element_type(self.dtype), lanes.width))
            return self._value(self.lanes.builder.load(pointer, align=self._align), lanes)
        name = f"llvm.masked.load.v{lanes.width}{SUFFIX[lanes.dtype]}.p0"
        arguments = [self._to(lanes.type), I32(self.itemsize), mask.ir, lanes.constant(0.0).ir]
        return Value(lanes, call_intrinsic(self.lanes.builder, name, lanes.type, arguments))

    def store(self, value: Value, mask: Mask = None) -> None:
        """Stores the lanes of a vector that the mask has."""
        pointer = self._to(value.ir.type)
        if mask is None:
            self.lanes.builder.store(value.ir, pointer, align=self._align)
            return
        name = f"llvm.masked.store.v{value.lanes.width}{SUFFIX[value.lanes.dtype]}.p0"
        arguments = [value.ir, pointer, I32(self.itemsize), mask.ir]
        call_intrinsic(self.lanes.builder, name, ir.VoidType(), arguments)

    def ask(self, write: bool = False, second: bool = False) -> None:
        """Asks for the cache line, which will be read, or written; `second`: no nearer than the second cache."""
        arguments = [self._to(ir.IntType(8)), I32(int(write)), I32(2 if second else 3), I32(1)]
        call_intrinsic(self.lanes.builder, "llvm.prefetch.p0", ir.VoidType(), arguments)
