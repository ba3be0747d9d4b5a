"""The algebra of `core/arithmetic.py` over single values of NVVM IR: the twin of `numba_cpu/lanes.py`.

A formula of `core/` is traced into a kernel as it stands. NVVM would contract a bare product and sum, so each rounding
is named: `llvm.nvvm.mul.rn.f` and its like, which no later compiler fuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

I1, I8, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
INTEGERS = {"float32": I32, "float64": I64}
ITEMSIZE = {"float32": 4, "float64": 8}
_LETTER = {"float32": "f", "float64": "d"}
_SUFFIX = {"float32": "f32", "float64": "f64"}


class Value:
    """A float, an integer or a condition that is known when the kernel runs; Python numbers may stand beside it."""

    __slots__ = ("ir", "scalars")

    def __init__(self, scalars: Scalars, value: Any) -> None:
        self.scalars, self.ir = scalars, value

    def __bool__(self) -> bool:
        raise TypeError("a value has no truth while a kernel is traced: write &, | and ~, or select")

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_float(self) -> bool:
        return isinstance(self.ir.type, (ir.FloatType, ir.DoubleType))

    def _coerce(self, other: Any) -> Any:
        if isinstance(other, Value):
            return other.ir
        return self.scalars.coerce(other) if self.is_float else ir.Constant(self.ir.type, int(other))

    def _float(self, operation: str, other: Any, swap: bool) -> Value:
        pair = (self._coerce(other), self.ir) if swap else (self.ir, self._coerce(other))
        return self.scalars.rounded(operation, *pair)

    def _integer(self, operation: str, other: Any, swap: bool = False) -> Value:
        pair = (self._coerce(other), self.ir) if swap else (self.ir, self._coerce(other))
        return Value(self.scalars, getattr(self.scalars.builder, operation)(*pair))

    def _either(self, operation: str, other: Any, swap: bool = False) -> Value:
        return (self._float if self.is_float else self._integer)(operation, other, swap)

    def __add__(self, other: Any) -> Value:
        return self._either("add", other)

    def __radd__(self, other: Any) -> Value:
        return self._either("add", other, swap=True)

    def __sub__(self, other: Any) -> Value:
        return self._either("sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self._either("sub", other, swap=True)

    def __mul__(self, other: Any) -> Value:
        return self._either("mul", other)

    def __rmul__(self, other: Any) -> Value:
        return self._either("mul", other, swap=True)

    def __truediv__(self, other: Any) -> Value:
        return self._float("div", other, swap=False)

    def __rtruediv__(self, other: Any) -> Value:
        return self._float("div", other, swap=True)

    def __and__(self, other: Any) -> Value:
        return self._integer("and_", other)

    def __or__(self, other: Any) -> Value:
        return self._integer("or_", other)

    def __xor__(self, other: Any) -> Value:
        return self._integer("xor", other)

    def __invert__(self) -> Value:
        return Value(self.scalars, self.scalars.builder.not_(self.ir))

    def __lshift__(self, bits: int) -> Value:
        return self._integer("shl", bits)

    def __rshift__(self, bits: int) -> Value:
        return self._integer("ashr", bits)

    def __neg__(self) -> Value:
        builder = self.scalars.builder
        return Value(self.scalars, self.scalars.negated(self.ir) if self.is_float else builder.neg(self.ir))

    def _compare(self, operator: str, other: Any) -> Value:
        builder = self.scalars.builder
        if not self.is_float:
            return Value(self.scalars, builder.icmp_signed(operator, self.ir, self._coerce(other)))
        compare = builder.fcmp_unordered if operator == "!=" else builder.fcmp_ordered
        return Value(self.scalars, compare(operator, self.ir, self._coerce(other)))

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


class Scalars:
    """The algebra for values of one dtype."""

    def __init__(self, builder: Any, dtype: str) -> None:
        self.builder, self.dtype, self.type = builder, dtype, FLOATS[dtype]

    def value(self, value: Any) -> Value:
        """A value of its IR."""
        return Value(self, value)

    def coerce(self, value: Any) -> Any:
        """The IR of a value, or of a number, rounded once."""
        return value.ir if isinstance(value, Value) else self.constant(value).ir

    def call(self, name: str, *values: Any) -> Value:
        """An intrinsic of NVVM, from values of the dtype to one."""
        return self.value(call(self.builder, name, self.type, *map(self.coerce, values)))

    def rounded(self, operation: str, a: Any, b: Any) -> Value:
        """add, sub, mul or div of IR values, rounded to nearest and never contracted."""
        if operation == "sub":  # which there is not
            operation, b = "add", self.negated(b)
        name = f"llvm.nvvm.{operation}.rn.{_LETTER[self.dtype]}"
        return self.value(call(self.builder, name, self.type, a, b))

    def negated(self, a: Any) -> Any:
        """-a: NVVM's IR has no fneg, and makes a neg of -0 - a."""
        return self.builder.fsub(ir.Constant(self.type, -0.0), a)

    # the algebra

    def constant(self, value: float) -> Value:
        with np.errstate(over="ignore"):
            return self.value(ir.Constant(self.type, float(np.dtype(self.dtype).type(value))))

    def fma(self, a: Any, b: Any, c: Any) -> Value:
        return self.call(f"llvm.fma.{_SUFFIX[self.dtype]}", a, b, c)

    def sqrt(self, a: Any) -> Value:
        return self.call(f"llvm.nvvm.sqrt.rn.{_LETTER[self.dtype]}", a)

    def abs(self, a: Any) -> Value:
        return self.call(f"llvm.nvvm.fabs.{_LETTER[self.dtype]}", a)

    def copysign(self, magnitude: Any, sign: Any) -> Value:
        builder, integer = self.builder, INTEGERS[self.dtype]
        top = 1 << (integer.width - 1)
        size = builder.and_(builder.bitcast(self.coerce(magnitude), integer), ir.Constant(integer, top - 1))
        bit = builder.and_(builder.bitcast(self.coerce(sign), integer), ir.Constant(integer, top))
        return self.value(builder.bitcast(builder.or_(size, bit), self.type))

    def select(self, condition: Value, a: Any, b: Any) -> Value:
        return self.value(self.builder.select(condition.ir, *(self._chosen(v, a, b) for v in (a, b))))

    def _chosen(self, value: Any, a: Any, b: Any) -> Any:
        integers = [v.ir.type for v in (a, b) if isinstance(v, Value) and not v.is_float]
        return ir.Constant(integers[0], int(value)) if integers and not isinstance(value, Value) else self.coerce(value)

    def to_bits(self, a: Value) -> Value:
        return self.value(self.builder.bitcast(a.ir, INTEGERS[self.dtype]))

    def from_bits(self, a: Value) -> Value:
        return self.value(self.builder.bitcast(a.ir, self.type))

    # beside the algebra

    def real(self, integer: Any) -> Value:
        """A signed integer, rounded once."""
        return self.value(self.builder.sitofp(integer, self.type))

    def converted(self, value: Value) -> Value:
        """A float of another dtype, widened exactly or rounded once."""
        if value.ir.type == self.type:
            return self.value(value.ir)
        convert = self.builder.fpext if self.dtype == "float64" else self.builder.fptrunc
        return self.value(convert(value.ir, self.type))


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Calls an intrinsic of NVVM by its full name."""
    found = builder.module.globals.get(name)
    if found is None:
        found = ir.Function(builder.module, ir.FunctionType(result, [argument.type for argument in arguments]), name)
    return builder.call(found, arguments)
