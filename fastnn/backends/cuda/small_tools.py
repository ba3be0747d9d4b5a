"""What the phases of `small_phases.py` are written with: the room, and intrinsics that branch by the code of an
activation, a loss, an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...core import arithmetic as ar
from ...core import formulas as fo
from ...core.losses import LOSSES as LOSS_FORMULAS
from ...core.steps import OPTIMIZERS, Optimizer
from .chains import ACTIVATIONS, LOSSES
from .compiler import emits
from .intrinsics import converts, folds, load, loads, offset, traced
from .scalars import FLOATS, I64, ITEMSIZE, Scalars
from .spaces import space


class Tools:
    """What phases are written with: the room, and intrinsics of a dtype."""

    def __init__(self, dtype: str, grid: bool) -> None:
        self.dtype = dtype
        self.get, self.put, self.pointer, self.meet, self.on_grid = space(dtype, grid)
        self.integer, self.element, self.wide = loads("integer"), loads(dtype), converts(dtype, "float64")
        self.real, self.inverse = _numbers(dtype)
        self.fma, self.fma_total = (traced(lambda o, a, b, c: o.fma(a, b, c), kind, 3) for kind in (dtype, "float64"))
        self.add, self.add_total = (traced(lambda o, a, b: a + b, kind, 2) for kind in (dtype, "float64"))
        self.multiply = traced(lambda o, a, b: a * b, dtype, 2)
        constants = 0.0, 1.0, -0.0, -ar.INFINITY
        self.zero, self.one, self.minus_zero, self.lowest = (
            traced(lambda o, v=v: o.constant(v), dtype, 0) for v in constants
        )
        self.fold_sum = folds(lambda o, a, b: a + b, dtype)


def _numbers(dtype: str) -> tuple[Any, Any]:
    """Intrinsics from an integer to the number, and to 1 by it, each rounded once."""

    @emits(dtype, 1)
    def real(builder: Any, integer: Any) -> Any:
        return Scalars(builder, dtype).real(integer).ir

    @emits(dtype, 1)
    def inverse(builder: Any, integer: Any) -> Any:
        wide = Scalars(builder, "float64")
        return Scalars(builder, dtype).converted(1.0 / wide.real(integer)).ir

    return real, inverse


def activations_of(dtype: str) -> tuple[Any, Any]:
    """Intrinsics (z, code) -> output and (gradient, output, code) -> that of z, of the activation of a code; of 0 there
    is none."""
    known = [None, *(fo.ACTIVATIONS[name] for name in ACTIVATIONS)]

    @emits(dtype, 2)
    def activated(builder: Any, z: Any, code: Any) -> Any:
        return _chosen(builder, dtype, code, known, lambda o, one, z: one.forward(o, z, None) if one else z, z)

    @emits(dtype, 3)
    def slope(builder: Any, d: Any, saved: Any, code: Any) -> Any:
        return _chosen(
            builder, dtype, code, known, lambda o, one, d, s: one.backward(o, d, s, None) if one else d, d, saved
        )

    return activated, slope


def losses_of(dtype: str) -> tuple[Any, Any]:
    """Intrinsics (lane, prediction, target, code) -> lane and (prediction, target, scale, code) -> slope of the loss of
    a code."""
    known = [LOSS_FORMULAS[name] for name in LOSSES]

    @emits(dtype, 4)
    def add(builder: Any, lane: Any, a: Any, y: Any, code: Any) -> Any:
        return _chosen(
            builder, dtype, code, known, lambda o, one, lane, a, y: one.sums[0].step(o, lane, a, y, None), lane, a, y
        )

    @emits(dtype, 4)
    def slope(builder: Any, a: Any, y: Any, scale: Any, code: Any) -> Any:
        return _chosen(builder, dtype, code, known, lambda o, one, a, y, s: one.slope(o, a, y, None) * s, a, y, scale)

    return add, slope


def _chosen(builder: Any, dtype: str, code: Any, known: Sequence[Any], formula: Any, *values: Any) -> Any:
    """What the known of a code makes of values, in a branch of its own. The variable is declared where the kernel
    begins: elsewhere NVVM would keep it in memory."""
    o = Scalars(builder, dtype)
    with builder.goto_entry_block():
        chosen = builder.alloca(o.type)
    builder.store(o.constant(0.0).ir, chosen)
    for index, one in enumerate(known):
        with builder.if_then(builder.icmp_signed("==", code, I64(index))):
            builder.store(o.coerce(formula(o, one, *map(o.value, values))), chosen)
    return builder.load(chosen)


def update_of(dtype: str, pointer: Callable[..., Any]) -> Any:
    """An intrinsic (room, element, size, gradient, table of scalars, step, code): a step of one parameter by the
    optimizer of a code."""
    size = ITEMSIZE[dtype]

    def step_of(builder: Any, optimizer: Optimizer, places: list[Any], gradient: Any, table: Any, step: Any) -> None:
        o, count = Scalars(builder, dtype), len(optimizer.scalars)
        row = builder.mul(step, I64(count))
        values = tuple(
            o.value(load(builder, offset(builder, table, builder.add(row, I64(index)), size), o.type))
            for index in range(count)
        )
        theta, *old = (o.value(builder.load(one, align=size)) for one in places)
        theta, new = optimizer.step(o, theta, tuple(old), o.value(gradient), values)
        for one, value in zip(places, (theta, *new), strict=True):
            builder.store(o.coerce(value), one, align=size)

    @emits("nothing", 7)
    def update(
        builder: Any, room: Any, element: Any, whole: Any, gradient: Any, table: Any, step: Any, code: Any
    ) -> None:
        for index, optimizer in enumerate(OPTIMIZERS.values()):
            with builder.if_then(builder.icmp_signed("==", code, I64(index))):
                places = [
                    pointer(builder, room, builder.add(element, builder.mul(whole, I64(slot))), FLOATS[dtype])
                    for slot in range(1 + len(optimizer.slots))
                ]
                step_of(builder, optimizer, places, gradient, table, step)

    return update
