"""Steps over the flat parameters, and the sums over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.algebra import NumpyAlgebra
from ...core.arithmetic import BLOCK, LANES
from ...core.arrays import Array
from ...core.formulas import decay, penalty_slope
from ...core.steps import OPTIMIZERS, Optimizer
from .softmax import fold_lanes

Operation = Callable[..., None]


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of the optimizer, decay and penalty families."""

    def penalty_backward(g_p: Array, w_p: Array, l1: float, two_l2: float) -> None:
        g_p[...] = o.apply(penalty_slope, g_p, w_p, o.constant(l1), o.constant(two_l2))

    def decay_step(theta_p: Array, factor: float) -> None:
        theta_p[...] = o.apply(decay, theta_p, o.constant(factor))

    wide = NumpyAlgebra("float64")

    def sum_abs(total_1: Array, w_p: Array) -> None:
        _add_blocks(total_1, w_p, lambda w, lane: lane + abs(w))

    def sum_squares(total_1: Array, w_p: Array) -> None:
        _add_blocks(total_1, w_p, lambda w, lane: wide.fma(w, w, lane))

    steps = {f"{name}_step": _step(o, optimizer) for name, optimizer in OPTIMIZERS.items()}
    return steps | {
        "penalty_backward": penalty_backward,
        "decay_step": decay_step,
        "sum_abs": sum_abs,
        "sum_squares": sum_squares,
    }


def _step(o: NumpyAlgebra, optimizer: Optimizer) -> Operation:
    slots = len(optimizer.slots)

    def step(theta_p: Array, *arguments: Array | float) -> None:
        """Arguments: the slots, the gradient, the scalars."""
        old = arguments[:slots]
        scalars = tuple(o.constant(scalar) for scalar in arguments[slots + 1 :])  # type: ignore[arg-type]
        theta, new = optimizer.step(o, theta_p, old, arguments[slots], scalars)
        for target, value in zip((theta_p, *old), (theta, *new), strict=True):
            target[...] = value  # type: ignore[index]

    return step


def _add_blocks(total_1: Array, w_p: Array, accumulate: Callable[[Array, Array], Array]) -> None:
    """total += the sum over blocks, in order, of 16 lanes each, in float64."""
    blocks = -(-w_p.size // BLOCK)
    # The zeros after the end change no lane: a lane that starts from +0 and takes magnitudes is never -0.
    flat = np.zeros(blocks * BLOCK)
    flat[: w_p.size] = w_p
    elements = flat.reshape(blocks, BLOCK // LANES, LANES)
    lanes = np.zeros((blocks, LANES))
    for index in range(min(BLOCK, -(-w_p.size // LANES) * LANES) // LANES):
        lanes = accumulate(elements[:, index], lanes)
    sums = 0.0
    for block in fold_lanes(lanes, lambda left, right: left + right):
        sums = sums + block
    total_1[0] += sums
