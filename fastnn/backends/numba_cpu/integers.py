"""Sizes, strides and addresses with Python's operators, for kernels that are control flow: compiled once, where
Numba would compile it anew for every caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from .frame import Frame, Kernel
from .lanes import I64


class Integer:
    """An i64, or the i1 of a comparison; Python integers may stand beside it."""

    __slots__ = ("builder", "ir")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.ir = builder, value

    def _do(self, operation: str, other: Any) -> Integer:
        return Integer(self.builder, getattr(self.builder, operation)(self.ir, self._ir(other)))

    def _compare(self, operator: str, other: Any) -> Integer:
        return Integer(self.builder, self.builder.icmp_signed(operator, self.ir, self._ir(other)))

    def _ir(self, value: Any) -> Any:
        return value.ir if isinstance(value, Integer) else ir.Constant(self.ir.type, value)

    def __add__(self, other: Any) -> Integer:
        return self._do("add", other)

    def __sub__(self, other: Any) -> Integer:
        return self._do("sub", other)

    def __mul__(self, other: Any) -> Integer:
        return self._do("mul", other)

    def __floordiv__(self, other: Any) -> Integer:
        """Of numbers that are not negative, like %."""
        return self._do("udiv", other)

    def __mod__(self, other: Any) -> Integer:
        return self._do("urem", other)

    def __and__(self, other: Any) -> Integer:
        return self._do("and_", other)

    def __or__(self, other: Any) -> Integer:
        return self._do("or_", other)

    def __invert__(self) -> Integer:
        return Integer(self.builder, self.builder.not_(self.ir))

    def __lt__(self, other: Any) -> Integer:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Integer:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Integer:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Integer:
        return self._compare(">=", other)

    def __eq__(self, other: object) -> Integer:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Integer:  # type: ignore[override]
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]

    def select(self, yes: Any, no: Any) -> Integer:
        """`yes` where this condition holds."""
        pair = (value.ir if isinstance(value, Integer) else I64(value) for value in (yes, no))
        return Integer(self.builder, self.builder.select(self.ir, *pair))

    def least(self, other: Any) -> Integer:
        return (self < other).select(self, other)

    def most(self, other: Any) -> Integer:
        return (self > other).select(self, other)


class Control:
    """The body of such a kernel under construction."""

    def __init__(self, f: Frame) -> None:
        self.f, self.builder = f, f.builder

    def integers(self, values: Any) -> Iterator[Integer]:
        return (Integer(self.builder, value) for value in values)

    @contextmanager
    def loop(self, count: Integer, step: Any = 1) -> Iterator[Integer]:
        """for index in range(0, count, step)."""
        head, inner, done = (self.builder.append_basic_block(f"loop.{part}") for part in ("head", "inner", "done"))
        before = self.builder.block
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.builder.phi(I64)
        index.add_incoming(I64(0), before)
        self.builder.cbranch(self.builder.icmp_signed("<", index, count.ir), inner, done)
        self.builder.position_at_end(inner)
        yield Integer(self.builder, index)
        index.add_incoming((Integer(self.builder, index) + step).ir, self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(done)

    def at(self, address: Integer, index: Any) -> Integer:
        """The int64 at address + 8 index."""
        return Integer(self.builder, self.builder.load(self.f.pointer((address + index * 8).ir, I64)))

    def put(self, value: Integer, address: Integer, index: Any) -> None:
        self.builder.store(value.ir, self.f.pointer((address + index * 8).ir, I64))

    def when(self, condition: Integer) -> Any:
        return self.builder.if_then(condition.ir)

    def either(self, condition: Integer) -> Any:
        """with control.either(condition) as (yes, no): with yes: ...; with no: ..."""
        return self.builder.if_else(condition.ir)

    def call(self, kernel: Kernel, *arguments: Any) -> None:
        values = [value.ir if isinstance(value, Integer) else I64(value) for value in arguments]
        self.builder.call(kernel.define(self.builder.module, self.f.dtype), values)
