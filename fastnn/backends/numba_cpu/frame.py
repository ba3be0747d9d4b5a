"""The frame in which the body of a kernel is written: loops, branches, variables. `declare.py` makes a kernel of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from llvmlite import ir
from numba.core import cgutils

from .integers import Condition, Integer, Pointer
from .lanes import I32, I64, ITEMSIZE, Lanes, Mask, Traced, Value, element_type, splat

Tree = Any  # a traced value, or a tuple of trees, named or not; a None stays as it is
T = TypeVar("T")


class Function(Protocol):
    """What Numba code calls, and what `Frame.call` takes: of a `declare.Kernel`."""

    kernel: Any

    def __call__(self, dtype: Any, *arguments: Any, **named: Any) -> Any: ...


class Variable:
    """What changes while a kernel runs: a stack slot, which passes make a register of."""

    def __init__(self, builder: Any, value: Traced) -> None:
        self._builder, self._first = builder, value
        self._slot = cgutils.alloca_once(builder, value.ir.type)
        self.value = value

    @property
    def value(self) -> Any:
        return self._first.like(self._builder.load(self._slot))

    @value.setter
    def value(self, value: Traced) -> None:
        self._builder.store(value.ir, self._slot)


class Frame:
    """The body of a kernel under construction. Counts and indices are Integers, or Python's."""

    def __init__(self, builder: Any, dtype: str) -> None:
        self.builder, self.dtype = builder, dtype
        self.lanes = Lanes(builder, dtype)
        self.scalar = self.lanes.scalar
        self.itemsize = ITEMSIZE[dtype]

    def integer(self, value: Integer | int) -> Integer:
        return value if isinstance(value, Integer) else Integer(self.builder, I64(value))

    def mask(self, remaining: Integer, lanes: Lanes | None = None) -> Value:
        """Lanes below `remaining`, which is at least 1."""
        lanes = lanes or self.lanes
        lane = ir.Constant(ir.VectorType(I32, lanes.width), list(range(lanes.width)))
        limit = splat(self.builder, self.builder.trunc(remaining.ir, I32), lanes.width)
        return Value(lanes, self.builder.icmp_signed("<", lane, limit))

    def variable(self, value: Traced) -> Variable:
        return Variable(self.builder, value)

    def scratch(self, count: int, item: Lanes | str, align: int | None = None) -> Pointer:
        """Memory for so many vectors, or numbers of a dtype, on the stack; `align` in bytes."""
        dtype, type_ = (item, element_type(item)) if isinstance(item, str) else (item.dtype, item.type)
        slot = cgutils.alloca_once(self.builder, ir.ArrayType(type_, count))
        if align is not None:
            slot.align = align
        return Pointer(self.lanes, self.builder.ptrtoint(slot, I64), dtype)

    def opaque(self, value: T) -> T:
        """An integer or a pointer whose making passes do not see: it stays in a register, instead of being made anew
        from others."""
        return value.like(self.builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [value.ir], side_effect=False))

    def call(self, function: Function, *arguments: Traced | int, **named: Traced | int) -> None:
        """Calls another kernel of this dtype, with its arguments in their order or by name: all of them."""
        given = function.kernel.arguments(*arguments, **named)
        values = [value.ir if isinstance(value, Traced) else I64(value) for value in given]
        self.builder.call(function.kernel.define(self.builder.module, self.dtype), values)

    # loops

    @contextmanager
    def loop(self, count: Integer | int, step: Integer | int = 1, start: Integer | int = 0) -> Iterator[Integer]:
        """for index in range(start, count, step)."""
        with self._repeat(count, step, start, [], []) as (index, _):
            yield index

    def carry(
        self,
        count: Integer | int,
        state: Tree,
        body: Callable[[Integer, Tree], Tree],
        step: Integer | int = 1,
        start: Integer | int = 0,
    ) -> Tree:
        """What `state = body(index, state)` leaves for index in range(start, count, step): its parts stay in registers,
        and no pass has to find that out."""
        after: list[Any] = []
        with self._repeat(count, step, start, _leaves(state), after) as (index, phis):
            after += _leaves(body(index, _rebuilt(state, iter(phis))))
        return _rebuilt(state, iter(phis))

    @contextmanager
    def _repeat(
        self, count: Integer | int, step: Integer | int, start: Integer | int, before: list[Any], after: list[Any]
    ) -> Iterator[tuple[Integer, list[Any]]]:
        """A loop round IR values, which are `before`, and once the body is written `after`."""
        builder, entry = self.builder, self.builder.block
        head, inner, done = (builder.append_basic_block(f"loop.{part}") for part in ("head", "inner", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        before = [self.integer(start).ir, *before]
        phis = [builder.phi(value.type) for value in before]
        for phi, value in zip(phis, before, strict=True):
            phi.add_incoming(value, entry)
        index = Integer(builder, phis[0])
        builder.cbranch((index < count).ir, inner, done)
        builder.position_at_end(inner)
        yield index, phis[1:]
        for phi, value in zip(phis, [(index + step).ir, *after], strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(done)

    @contextmanager
    def blocks(self, count: Integer, lanes: Lanes | None = None) -> Iterator[tuple[Integer, Value]]:
        """(first index, mask) of each block of a row."""
        lanes = lanes or self.lanes
        with self.loop(count, lanes.width) as index:
            yield index, self.mask(count - index, lanes)

    def each(self, count: Integer, body: Callable[[Integer, Mask], None], lanes: Lanes | None = None) -> None:
        """`body(index, mask)` for full vectors with mask None, then once for the rest."""
        lanes = lanes or self.lanes
        whole = count & -lanes.width
        with self.loop(whole, lanes.width) as index:
            body(index, None)
        with self.when(whole < count):
            body(whole, self.mask(count - whole, lanes))

    # branches

    def when(self, condition: Condition | Value, likely: bool | None = None) -> Any:
        """with f.when(condition): ..."""
        return self.builder.if_then(condition.ir, likely=likely)

    def if_else(self, condition: Condition) -> Any:
        """with f.if_else(condition) as (yes, no): with yes: ...; with no: ..."""
        return self.builder.if_else(condition.ir)

    def either(self, condition: Condition, yes: Callable[[], Tree], no: Callable[[], Tree]) -> Tree:
        """What one of two bodies gives."""
        ends = []
        with self.if_else(condition) as branches:
            for branch, body in zip(branches, (yes, no), strict=True):
                with branch:
                    ends.append((body(), self.builder.block))
        merged = []
        for pair in zip(*(_leaves(made) for made, _ in ends), strict=True):
            phi = self.builder.phi(pair[0].type)
            for value, (_, block) in zip(pair, ends, strict=True):
                phi.add_incoming(value, block)
            merged.append(phi)
        return _rebuilt(ends[0][0], iter(merged))

    def cases(self, *branches: tuple[Condition, Callable[[], None]], otherwise: Callable[[], None]) -> None:
        """Runs the body of the first condition that holds. All conditions are computed before."""
        if not branches:
            otherwise()
            return
        (condition, body), *others = branches
        self.either(condition, body, lambda: self.cases(*others, otherwise=otherwise))


def _leaves(tree: Tree) -> list[Any]:
    """The IR values of a tree."""
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [] if tree is None else [tree.ir]


def _rebuilt(tree: Tree, leaves: Iterator[Any]) -> Tree:
    """The same tree of other IR values."""
    if isinstance(tree, tuple):
        parts = [_rebuilt(part, leaves) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return None if tree is None else tree.like(next(leaves))
