"""Optimizer kernels: one loop over a range of theta, its slots and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core import steps
from .frame import Frame, choose
from .lanes import FLOATS, I32, I64, LANES, Lanes, Value

LINE = 64

# The float64 entries of a step in a thread's scratch, as `fnn_step` of csrc/internal.h: its learning rate, what theta
# decays by, the running products after it, the scalars of `core/steps.py`.
RATE, DECAY, PRODUCTS = 0, 1, 2
SCALARS = PRODUCTS + steps.MOST_PRODUCTS
STEP_BYTES = 128


def _doubles(f: Frame, address: Any, first: int, count: int) -> tuple[Value, ...]:
    """Float64 numbers at an address, from entry `first` on."""
    o = Lanes(f.builder, "float64", 1)
    return tuple(f.load(f.builder.add(address, I64(8 * (first + number))), None, o) for number in range(count))


def _prepare(optimizer: steps.Optimizer) -> Callable[..., None]:
    def emit(f: Frame, step: Any, constants: Any) -> None:
        o = Lanes(f.builder, "float64", 1)
        (rate,) = _doubles(f, step, RATE, 1)
        products = _doubles(f, step, PRODUCTS, len(optimizer.products))
        given = _doubles(f, constants, 0, len(optimizer.constants))
        products, scalars = optimizer.prepare(o, rate, products, given)
        for first, values in ((PRODUCTS, products), (SCALARS, scalars)):
            for number, value in enumerate(values):
                f.store(value, f.builder.add(step, I64(8 * (first + number))))

    return emit


def _step(optimizer: steps.Optimizer) -> Callable[..., None]:
    def emit(f: Frame, theta: Any, *arguments: Any) -> None:
        slots, (g, n, ahead, scalars) = arguments[: len(optimizer.slots)], arguments[steps.MOST_SLOTS :]
        numbers = (f.builder.extract_element(h.ir, I32(0)) for h in _doubles(f, scalars, 0, len(optimizer.scalars)))
        rounded = (f.builder.fptrunc(h, FLOATS[f.dtype]) if f.dtype == "float32" else h for h in numbers)
        h = tuple(f.lanes.splat(number) for number in rounded)

        def body(index: Any, mask: Any) -> None:
            if mask is None:
                for address in (theta, *slots):
                    for line in range(0, LANES * f.itemsize, LINE):
                        place = f.builder.add(f.at(address, index), ahead)
                        f.prefetch(f.builder.add(place, I64(line)), write=True)  # other cores may have it, too
            values = tuple(f.load(f.at(slot, index), mask) for slot in slots)
            gradient = f.load(f.at(g, index), mask)
            after, new = optimizer.step(f.lanes, f.load(f.at(theta, index), mask), values, gradient, h)
            f.store(after, f.at(theta, index), mask)
            for slot, value in zip(slots, new, strict=True):
                f.store(value, f.at(slot, index), mask)

        f.each(n, body)

    return emit


# prepare_step(zero, code, step, constants): advances the products of a step, and leaves its scalars
prepare_step = choose("prepare_step", 2, 0, [_prepare(optimizer) for optimizer in steps.OPTIMIZERS.values()])
# optimizer_step(zero, code, theta, three slots, g, n, ahead, scalars): asks for what lies `ahead` bytes further; the
# scalars are float64 numbers at an address
optimizer_step = choose(
    "optimizer_step", 5 + steps.MOST_SLOTS, 0, [_step(optimizer) for optimizer in steps.OPTIMIZERS.values()]
)
