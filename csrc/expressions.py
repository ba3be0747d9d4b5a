"""The algebra of `core/arithmetic.py` that prints C: formulas that are run over it leave statements."""

from __future__ import annotations

import struct
from typing import Any

INTEGER_BITS = {"float32": 32, "float64": 64}


class Value:
    """A float, an integer or a condition in a trace: the name of a C variable."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, algebra: CAlgebra, kind: str, text: str) -> None:
        self.algebra, self.kind, self.text = algebra, kind, text
        self.less: tuple[str, str] | None = None  # of a condition: what is less than what
        self.masked: tuple[str, str] | None = None  # of an integer: which bits of what

    def _binary(self, operator: str, other: Any, swap: bool = False) -> Value:
        a, b = self.text, self.algebra.operand(self.kind, other)
        return self.algebra.assign(self.kind, f"{b} {operator} {a}" if swap else f"{a} {operator} {b}")

    def __add__(self, other: Any) -> Value:
        return self._binary("+", other)

    def __radd__(self, other: Any) -> Value:
        return self._binary("+", other, swap=True)

    def __sub__(self, other: Any) -> Value:
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> Value:
        return self._binary("-", other, swap=True)

    def __mul__(self, other: Any) -> Value:
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> Value:
        return self._binary("*", other, swap=True)

    def __truediv__(self, other: Any) -> Value:
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._binary("/", other, swap=True)

    def __neg__(self) -> Value:
        return self.algebra.assign(self.kind, f"-{self.text}")

    def __and__(self, other: Any) -> Value:
        if self.kind == "M":
            return self.algebra.assign("M", f"M_AND({self.text}, {other.text})")
        made = Value(self.algebra, "VU", f"({self.text} & {self.algebra.operand('VU', other)})")
        made.masked = (self.text, self.algebra.operand("VU", other))
        return made

    def __or__(self, other: Any) -> Value:
        if self.kind == "M":
            return self.algebra.assign("M", f"M_OR({self.text}, {other.text})")
        return self._binary("|", other)

    def __invert__(self) -> Value:
        return self.algebra.assign("M", f"M_NOT({self.text})")

    def __lshift__(self, bits: int) -> Value:
        return self.algebra.assign("VU", f"{self.text} << {bits}")

    def __rshift__(self, bits: int) -> Value:
        return self.algebra.assign("VU", f"(VU)((VI){self.text} >> {bits})")

    def _compare(self, name: str, other: Any) -> Value:
        a, b = self.text, self.algebra.operand(self.kind, other)
        made = Value(self.algebra, "M", f"{name}({a}, {b})")  # no variable: a MIN would leave it unused
        made.less = {"LT": (a, b), "GT": (b, a)}.get(name)
        return made

    def __lt__(self, other: Any) -> Value:
        return self._compare("LT", other)

    def __le__(self, other: Any) -> Value:
        return self._compare("LE", other)

    def __gt__(self, other: Any) -> Value:
        return self._compare("GT", other)

    def __ge__(self, other: Any) -> Value:
        return self._compare("GE", other)

    def __eq__(self, other: object) -> Value:  # type: ignore[override]
        if self.masked and type(other) is int and other == 0:
            return Value(self.algebra, "M", f"NO_BITS({', '.join(self.masked)})")
        return self._compare("EQ", other)

    def __ne__(self, other: object) -> Value:  # type: ignore[override]
        return self._compare("NE", other)


class CAlgebra:
    """The algebra of `core/arithmetic.py`; each operation appends a C statement to `lines`."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.lines: list[str] = []

    def assign(self, kind: str, expression: str) -> Value:
        """A new variable."""
        name = f"t{len(self.lines)}"
        self.lines.append(f"const {kind} {name} = {expression};")
        return Value(self, kind, name)

    def operand(self, kind: str, value: Any) -> str:
        """The C text of a value, or of a Python number as a constant of this kind."""
        if isinstance(value, Value):
            return value.text
        if kind == "V":
            return f"SPLAT({literal(value, self.dtype)})"
        bits = INTEGER_BITS[self.dtype]
        return f"(uint{bits}_t){int(value) % 2**bits}U{'LL' if bits == 64 else ''}"

    def _call(self, name: str, *values: Any) -> Value:
        return self.assign("V", f"{name}({', '.join(self.operand('V', value) for value in values)})")

    def constant(self, value: float) -> Value:
        return self.assign("V", f"SPLAT({literal(value, self.dtype)})")

    def fma(self, a: Any, b: Any, c: Any) -> Value:
        return self._call("FMA", a, b, c)

    def sqrt(self, a: Any) -> Value:
        return self._call("SQRT", a)

    def abs(self, a: Any) -> Value:
        return self._call("ABS", a)

    def copysign(self, magnitude: Any, sign: Any) -> Value:
        return self._call("COPYSIGN", magnitude, sign)

    def select(self, condition: Value, a: Any, b: Any) -> Value:
        chosen = (self.operand("V", a), self.operand("V", b))
        if condition.less == chosen:
            return self._call("MIN", a, b)
        if condition.less == chosen[::-1]:
            return self._call("MAX", a, b)
        return self.assign("V", f"SELECT({condition.text}, {chosen[0]}, {chosen[1]})")

    def to_bits(self, a: Value) -> Value:
        return self.assign("VU", f"(VU){a.text}")

    def from_bits(self, a: Value) -> Value:
        return self.assign("V", f"(V){a.text}")


def literal(value: float, dtype: str) -> str:
    """A C literal of a number rounded once to the dtype."""
    suffix = "f" if dtype == "float32" else ""
    value = float(value)
    if value != value:
        return f'__builtin_nan{suffix}("")'
    if value in (float("inf"), -float("inf")):
        return f"{'-' if value < 0 else ''}__builtin_inf{suffix}()"
    if dtype == "float32":
        (value,) = struct.unpack("f", struct.pack("f", value))
    return f"{value.hex()}{suffix}"


class ScalarAlgebra(CAlgebra):
    """The algebra on single float64 numbers."""

    def __init__(self) -> None:
        super().__init__("float64")

    def operand(self, kind: str, value: Any) -> str:
        return value.text if isinstance(value, Value) else literal(value, self.dtype)

    def _call(self, name: str, *values: Any) -> Value:
        called = {"SQRT": "__builtin_sqrt"}[name]
        return self.assign("double", f"{called}({', '.join(self.operand('double', value) for value in values)})")
