"""What a model holds: flat aligned vectors, and the step's scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .plan import Counter, Plan, Scalar

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned(size: int, dtype: Any) -> npt.NDArray[Any]:
    """A zeroed vector whose first element lies on a cache line."""
    dtype = np.dtype(dtype)
    block = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size * dtype.itemsize].view(dtype)


class State:
    """Buffers of one model: theta, its gradient, the optimizer's slots, the workspace, scalars and counters.

    Attributes:
        theta, gradient: (P,) of the plan's dtype, in the order of `plan.layout`.
        slots: tuple of (P,) vectors, one for each slot of the optimizer.
        scalars: float64, see `plan.Scalar`. counters: int64, see `plan.Counter`.
        workspace: vector of at least `plan.fixed_elements + rows * plan.row_elements` elements.
        rows: the batch that the workspace holds.
    """

    def __init__(self, plan: Plan, seed: int = 0) -> None:
        size = plan.layout.size
        self.plan = plan
        self.theta = aligned(size, plan.dtype)
        self.gradient = aligned(size, plan.dtype)
        self.slots: tuple[npt.NDArray[Any], ...] = tuple(aligned(size, plan.dtype) for _ in range(plan.slots))
        self.scalars = np.zeros(Scalar.WIDTH, np.float64)
        self.counters = np.zeros(Counter.WIDTH, np.int64)
        self.counters[Counter.SEED] = seed
        self.rows = 0
        self.workspace = aligned(0, plan.dtype)
        self.reset_optimizer()

    def reset_optimizer(self) -> None:
        """Slots, beta powers and the step count as before the first step."""
        for slot, initial in zip(self.slots, self.plan.initial_slots, strict=True):
            slot[:] = 0
            for parameter in self.plan.layout.parameters:
                self.plan.layout.view(slot, parameter)[...] = initial
        self.scalars[Scalar.BETA_1_POWER] = 1.0
        self.scalars[Scalar.BETA_2_POWER] = 1.0
        self.counters[Counter.STEP] = 0

    def reserve(self, rows: int) -> None:
        """Makes the workspace hold a batch of `rows`."""
        if rows > self.rows:
            self.workspace = aligned(self.plan.fixed_elements + rows * self.plan.row_elements, self.plan.dtype)
            self.rows = rows
