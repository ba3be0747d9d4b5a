"""Optimizer kernels: one loop over a range of theta, its slots and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core import formulas
from .frame import Frame, choose
from .lanes import I64, LANES

LINE = 64
SCALARS = 4  # the most that a row of `formulas.OPTIMIZERS` has; the others ignore the rest


def _step(optimizer: formulas.Optimizer) -> Callable[..., None]:
    def emit(f: Frame, theta: Any, s0: Any, s1: Any, g: Any, n: Any, ahead: Any, *scalars: Any) -> None:
        h = [f.lanes.splat(scalar) for scalar in scalars[: len(optimizer.scalars)]]
        slots = (s0, s1)[: len(optimizer.slots)]

        def body(index: Any, mask: Any) -> None:
            if mask is None:
                for address in (theta, *slots):
                    for line in range(0, LANES * f.itemsize, LINE):
                        place = f.builder.add(f.at(address, index), ahead)
                        f.prefetch(f.builder.add(place, I64(line)), write=True)  # other cores may have it, too
            values = [f.load(f.at(slot, index), mask) for slot in slots]
            zero = f.lanes.constant(0.0)
            before = [*values, zero, zero][:2]
            gradient = f.load(f.at(g, index), mask)
            after, *new = optimizer.step(f.lanes, f.load(f.at(theta, index), mask), *before, gradient, h)
            f.store(after, f.at(theta, index), mask)
            for slot, value in zip(slots, new, strict=False):
                f.store(value, f.at(slot, index), mask)

        f.each(n, body)

    return emit


# optimizer_step(zero, code, theta, s0, s1, g, n, ahead, h0, h1, h2, h3): asks for what lies `ahead` bytes further
optimizer_step = choose("optimizer_step", 6, SCALARS, [_step(optimizer) for optimizer in formulas.OPTIMIZERS.values()])
