"""Optimizer kernels: one loop over a range of theta, its slots and its gradient."""

from __future__ import annotations

from ...core import steps
from .declare import Arguments, Body, choose
from .frame import Frame
from .integers import Integer
from .lanes import LANES, Lanes, Mask

LINE = 64

# The float64 entries of a step in a thread's scratch, as `fnn_step` of csrc/internal.h: its learning rate, what theta
# decays by, the running products after it, the scalars of `core/steps.py`.
RATE, DECAY, PRODUCTS = 0, 1, 2
SCALARS = PRODUCTS + steps.MOST_PRODUCTS
STEP_BYTES = 128


def _prepare(optimizer: steps.Optimizer) -> Body:
    def body(f: Frame, a: Arguments) -> None:
        rate = a.step[RATE]
        products = tuple(a.step[PRODUCTS + index] for index in range(len(optimizer.products)))
        constants = tuple(a.constants[index] for index in range(len(optimizer.constants)))
        o = Lanes(f.builder, "float64", None)
        products, scalars = optimizer.prepare(o, rate, products, constants)
        for first, values in ((PRODUCTS, products), (SCALARS, scalars)):
            for index, value in enumerate(values):
                a.step[first + index] = value

    return body


def _step(optimizer: steps.Optimizer) -> Body:
    def body(f: Frame, a: Arguments) -> None:
        slots = (a.slot_0, a.slot_1, a.slot_2)[: len(optimizer.slots)]
        updated = (a.theta, *slots)
        scalars = [a.scalars[index] for index in range(len(optimizer.scalars))]
        h = tuple(f.lanes.splat(f.scalar.convert(scalar)) for scalar in scalars)

        def block(index: Integer, mask: Mask) -> None:
            if mask is None:
                for place in updated:
                    for line in range(0, LANES * f.itemsize, LINE):
                        (place + index).offset(a.ahead).offset(line).ask(write=True)  # other cores may have it, too
            values = tuple((slot + index).load(mask) for slot in slots)
            gradient = (a.g + index).load(mask)
            after, new = optimizer.step(f.lanes, (a.theta + index).load(mask), values, gradient, h)
            for place, value in zip(updated, (after, *new), strict=True):
                (place + index).store(value, mask)

        f.each(a.n, block)

    return body


# Advances the products of a step, and leaves its scalars.
prepare_step = choose(
    "prepare_step", "float64*step float64*constants", [_prepare(optimizer) for optimizer in steps.OPTIMIZERS.values()]
)
# Asks for what lies `ahead` bytes further.
optimizer_step = choose(
    "optimizer_step",
    f"*theta {' '.join(f'*slot_{index}' for index in range(steps.MOST_SLOTS))} *g n ahead float64*scalars",
    [_step(optimizer) for optimizer in steps.OPTIMIZERS.values()],
)
