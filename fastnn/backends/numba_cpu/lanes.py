"""The algebra of `core/arithmetic.py` over LLVM vectors. They are explicit, so nothing depends on a vectoriser, and a
formula of `core/formulas.py` is traced into a kernel as it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from llvmlite import ir
from numba.core import cgutils

LANES = 16  # of every kernel but those of the GEMM, in both dtypes: the lanes of the contract's sums

I64 = ir.IntType(64)
I32 = ir.IntType(32)
I1 = ir.IntType(1)
FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
INTEGERS = {"float32": I32, "float64": I64}
SUFFIX = {"float32": "f32", "float64": "f64"}
ITEMSIZE = {"float32": 4, "float64": 8}


class Traced:
    """What the body of a kernel computes with: an IR value that is not known before the kernel runs."""

    __slots__ = ("ir",)

    def __bool__(self) -> bool:
        raise TypeError(
            f"a {type(self).__name__} has no truth value while a kernel is traced: write &, | and ~, select, or when"
        )

    def like(self, value: Any) -> Self:
        """The same kind of thing, of another IR value."""
        raise NotImplementedError

    def coerce(self, value: Any) -> Any:
        """The IR value of one that may stand beside this one."""
        raise NotImplementedError

    __hash__ = None  # type: ignore[assignment]


class Value(Traced):
    """Floats, integers or conditions, a vector or one of them; Python numbers may stand beside it."""

    __slots__ = ("lanes",)
    _shift_right, _compare_integers = "ashr", "icmp_signed"

    def __init__(self, lanes: Lanes, value: Any) -> None:
        self.lanes, self.ir = lanes, value

    def like(self, value: Any) -> Self:
        return type(self)(self.lanes, value)

    def coerce(self, value: Any) -> Any:
        if isinstance(value, Value):
            return value.ir
        return self.lanes.constant(value).ir if self.is_float else _constant(self.ir.type, int(value))

    @property
    def is_float(self) -> bool:
        return isinstance(_element(self.ir.type), (ir.FloatType, ir.DoubleType))

    def _binary(self, other: Any, of_float: str, of_integer: str, swap: bool = False) -> Self:
        a, b = self.ir, self.coerce(other)
        if swap:
            a, b = b, a
        return self.like(getattr(self.lanes.builder, of_float if self.is_float else of_integer)(a, b))

    def __add__(self, other: Any) -> Self:
        return self._binary(other, "fadd", "add")

    def __radd__(self, other: Any) -> Self:
        return self._binary(other, "fadd", "add", swap=True)

    def __sub__(self, other: Any) -> Self:
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other: Any) -> Self:
        return self._binary(other, "fsub", "sub", swap=True)

    def __mul__(self, other: Any) -> Self:
        return self._binary(other, "fmul", "mul")

    def __rmul__(self, other: Any) -> Self:
        return self._binary(other, "fmul", "mul", swap=True)

    def __truediv__(self, other: Any) -> Self:
        return self._binary(other, "fdiv", "")

    def __rtruediv__(self, other: Any) -> Self:
        return self._binary(other, "fdiv", "", swap=True)

    def __and__(self, other: Any) -> Self:
        return self._binary(other, "", "and_")

    def __or__(self, other: Any) -> Self:
        return self._binary(other, "", "or_")

    def __xor__(self, other: Any) -> Self:
        return self._binary(other, "", "xor")

    def __invert__(self) -> Self:
        return self.like(self.lanes.builder.not_(self.ir))

    def __lshift__(self, bits: int) -> Self:
        return self._binary(bits, "", "shl")

    def __rshift__(self, bits: int) -> Self:
        return self._binary(bits, "", self._shift_right)

    def __neg__(self) -> Self:
        builder = self.lanes.builder
        return self.like(builder.fneg(self.ir) if self.is_float else builder.neg(self.ir))

    def _compare(self, operator: str, other: Any) -> Value:
        a, b, builder = self.ir, self.coerce(other), self.lanes.builder
        if not self.is_float:
            return Value(self.lanes, getattr(builder, self._compare_integers)(operator, a, b))
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

    # beside the algebra

    def lane(self, index: int) -> Value:
        """One of a vector."""
        return self.lanes.scalar.value(self.lanes.builder.extract_element(self.ir, I32(index)))

    def with_lane(self, index: int, scalar: Value) -> Self:
        return self.like(self.lanes.builder.insert_element(self.ir, scalar.ir, I32(index)))

    def shuffled(self, other: Value, lanes: list[int]) -> Self:
        """Lanes of this vector and another, which are numbered through."""
        return self.like(shuffle(self.lanes.builder, self.ir, other.ir, lanes))

    def packed(self) -> Unsigned:
        """The bits of a vector of conditions as one integer."""
        bits = ir.IntType(self.lanes.width)
        return Unsigned(self.lanes.scalar, self.lanes.builder.bitcast(self.ir, bits))


class Unsigned(Value):
    """Integers of any number of bits that are not negative."""

    __slots__ = ()
    _shift_right, _compare_integers = "lshr", "icmp_unsigned"

    def to(self, bits: int) -> Unsigned:
        """Of so many bits: zeros above, or what fits."""
        resize = self.lanes.builder.zext if bits > _element(self.ir.type).width else self.lanes.builder.trunc
        return self.like(resize(self.ir, _like(self.ir.type, ir.IntType(bits))))

    def unpacked(self, lanes: Lanes) -> Value:
        """The conditions of a vector, a bit of this integer each."""
        return Value(lanes, lanes.builder.bitcast(self.ir, ir.VectorType(I1, lanes.width)))


Mask = Value | None  # the lanes of a vector that are there: all, if None


class Lanes:
    """The algebra for vectors of `width` values of one dtype, or for single ones, if the width is None."""

    def __init__(self, builder: Any, dtype: str, width: int | None = LANES) -> None:
        self.builder, self.dtype, self.width = builder, dtype, width
        self.type = FLOATS[dtype] if width is None else ir.VectorType(FLOATS[dtype], width)

    @property
    def scalar(self) -> Lanes:
        return self if self.width is None else Lanes(self.builder, self.dtype, None)

    def value(self, value: Any) -> Value:
        return Value(self, value)

    def constant(self, value: float) -> Value:
        return Value(self, _constant(self.type, float(np.dtype(self.dtype).type(value))))

    def integer(self, value: int) -> Value:
        return Value(self, _constant(_like(self.type, INTEGERS[self.dtype]), int(value)))

    def coerce(self, value: Any) -> Any:
        return value.ir if isinstance(value, Value) else self.constant(value).ir

    def splat(self, scalar: Value) -> Value:
        """A vector of one number."""
        return type(scalar)(self, splat(self.builder, scalar.ir, self.width))

    def _call(self, name: str, *values: Any) -> Value:
        arguments = [self.coerce(value) for value in values]
        lanes = "" if self.width is None else f"v{self.width}"
        return Value(self, call_intrinsic(self.builder, f"{name}.{lanes}{SUFFIX[self.dtype]}", self.type, arguments))

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
        return Value(self, self.builder.bitcast(a.ir, _like(self.type, INTEGERS[self.dtype])))

    def from_bits(self, a: Value) -> Value:
        return Value(self, self.builder.bitcast(a.ir, self.type))

    # beside the algebra: what reductions over a row need, and conversions

    def whole(self, a: Unsigned) -> Value:
        """Integers of 32 bits below 2^31 as floats."""
        return Value(self, self.builder.sitofp(a.ir, self.type))

    def iota(self) -> Value:
        """0, 1, 2 ... as floats."""
        return Value(self, ir.Constant(self.type, [float(lane) for lane in range(self.width)]))

    def numbers(self, bits: int) -> Unsigned:
        """0, 1, 2 ... as integers of so many bits."""
        return Unsigned(self, ir.Constant(_like(self.type, ir.IntType(bits)), list(range(self.width))))

    def undefined(self) -> Value:
        return Value(self, ir.Constant(self.type, ir.Undefined))

    def tree(self, vector: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """What combining lane i with lane i + h for h = width / 2 ... 1 leaves."""
        half, value = self.width // 2, vector
        while half:
            narrow = Lanes(self.builder, self.dtype, half)
            low, high = (
                Value(narrow, shuffle(self.builder, value.ir, value.ir, list(range(first, first + half))))
                for first in (0, half)
            )
            value = combine(low, high)
            half //= 2
        return value.lane(0)

    def convert(self, value: Value) -> Value:
        """Floats of another dtype, widened exactly or rounded once."""
        before, after = ITEMSIZE[value.lanes.dtype], ITEMSIZE[self.dtype]
        if before == after:
            return value
        return Value(self, (self.builder.fpext if before < after else self.builder.fptrunc)(value.ir, self.type))

    def real(self, integer: Traced) -> Value:
        """Signed or, if they are an Unsigned, unsigned integers as floats."""
        convert = self.builder.uitofp if isinstance(integer, Unsigned) else self.builder.sitofp
        return Value(self, convert(integer.ir, self.type))


def element_type(dtype: str) -> Any:
    """The LLVM type of a number of a dtype; a float16's is that of its bits."""
    return FLOATS.get(dtype) or ir.IntType(8 * np.dtype(dtype).itemsize)


def _element(type_: Any) -> Any:
    return type_.element if isinstance(type_, ir.VectorType) else type_


def _like(type_: Any, element: Any) -> Any:
    """The type of as many elements."""
    return ir.VectorType(element, type_.count) if isinstance(type_, ir.VectorType) else element


def _constant(type_: Any, value: float) -> Any:
    return ir.Constant(type_, [value] * type_.count if isinstance(type_, ir.VectorType) else value)


def shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """An IR vector of lanes of two others, which are numbered through."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


def joined(lanes: Lanes, parts: list[Value]) -> Value:
    """A vector of small ones, one behind another."""
    vectors = [part.ir for part in parts]
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [shuffle(lanes.builder, a, b, list(range(2 * a.type.count))) for a, b in pairs]
    return lanes.value(vectors[0])


def splat(builder: Any, scalar: Any, width: int) -> Any:
    """An IR vector whose lanes are one IR scalar."""
    undefined = ir.Constant(ir.VectorType(scalar.type, width), ir.Undefined)
    return shuffle(builder, builder.insert_element(undefined, scalar, I32(0)), undefined, [0] * width)


def call_intrinsic(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Calls an LLVM intrinsic by its full name."""
    type_ = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, type_, name), arguments)
