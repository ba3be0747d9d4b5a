"""Until losses.py is written as the other kernels are.

The algebra of `core/arithmetic.py` over LLVM vectors. They are explicit, so nothing depends on a vectoriser, and a
formula of `core/formulas.py` is traced into a kernel as it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
