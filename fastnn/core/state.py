"""What a model holds: flat aligned vectors, and the step's scalars."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array
from .plan import Counter, Parameter, Plan, Scalar
from .store import Store, aligned, aligned_copy


class State:
    """Buffers of one model: theta, its gradient, statistics, optimizer slots, the workspace, scalars and counters.

    Attributes:
        store: theta and statistics, which other states may share. theta, gradient: (P,) of the plan's dtype.
        statistics: (S,) of the plan's dtype: means and variances, which no optimizer changes.
        slots: tuple of (P,) vectors, one for each slot of the optimizer.
        scalars: float64, see `plan.Scalar`. counters: int64, see `plan.Counter`.
        workspace: vector of at least `plan.fixed_elements + rows * plan.row_elements` elements.
        rows: the batch that the workspace holds.
    """

    def __init__(self, plan: Plan, seed: int = 0, store: Store | None = None) -> None:
        size = plan.layout.size
        self.plan = plan
        self.store = store or Store(size, plan.layout.statistics_size, plan.dtype)
        for constant in plan.layout.hidden:
            self.theta[constant.offset : constant.offset + constant.size] = constant.value
        self.gradient = aligned(size, plan.dtype)
        self._slots: tuple[Array, ...] = tuple(aligned(size, plan.dtype) for _ in range(plan.slots))
        self.scalars = np.zeros(Scalar.WIDTH, np.float64)
        self.counters = np.zeros(Counter.WIDTH, np.int64)
        self.counters[Counter.SEED] = seed
        self._start()
        self.reset_optimizer()
        with self.store.lock:
            self.store.states.add(self)

    @property
    def theta(self) -> Array:
        """The parameters."""
        return self.store.theta

    @property
    def statistics(self) -> Array:
        """The statistics."""
        return self.store.statistics

    @property
    def slots(self) -> tuple[Array, ...]:
        """The optimizer's vectors, at home."""
        self.store.home()
        return self._slots

    def slots_at_home(self) -> tuple[Array, ...]:
        """The same as they lie here, for who brings them."""
        return self._slots

    def _start(self) -> None:
        self.rows = 0
        self.workspace = aligned(0, self.plan.dtype)

    def beside(self, plan: Plan | None = None) -> State:
        """The same state with another workspace: for a program that reads while one of this state runs, or of a plan
        that only predicts."""
        other = State.__new__(State)
        vars(other).update(vars(self))
        if plan is not None:
            other.plan, other._slots = plan, ()
        other._start()
        return other

    def vectors(self) -> tuple[tuple[Array, ...], Array, Array]:
        """Copies of slots, scalars and counters."""
        return tuple(slot.copy() for slot in self.slots), self.scalars.copy(), self.counters.copy()

    def restore(self, vectors: tuple[tuple[Array, ...], Array, Array]) -> None:
        """Takes copies of what `vectors` gave, aligned: joblib reads such from files that are mapped read-only."""
        slots, scalars, counters = vectors
        self.scalars, self.counters = np.array(scalars), np.array(counters)
        self._slots = tuple(aligned_copy(slot) for slot in slots)

    def __getstate__(self) -> dict[str, object]:
        """The store keeps the vectors, so that all are of one time; a model looks at scalars before it has them."""
        kept = ("plan", "store", "scalars", "counters")
        return {name: value for name, value in vars(self).items() if name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has vectors and a workspace of its own; what its store restored stays."""
        state |= {name: np.array(state[name]) for name in ("scalars", "counters")}
        vars(self).update(state | vars(self))
        self.gradient = aligned(self.plan.layout.size, self.plan.dtype)
        self._start()

    def view(self, parameter: Parameter) -> Array:
        """The view of one parameter."""
        vector = self.theta if parameter.vector == "theta" else self.statistics
        return self.plan.layout.view(vector, parameter)

    def reset_optimizer(self) -> None:
        """Slots, running products and the step count as before the first step."""
        for slot, initial in zip(self.slots, self.plan.initial_slots, strict=True):
            slot[:] = 0
            for parameter in self.plan.layout.of("theta"):
                with np.errstate(over="ignore"):  # rounded to the dtype, as every scalar is
                    self.plan.layout.view(slot, parameter)[...] = initial
        self.scalars[Scalar.PRODUCTS :] = 1.0
        self.counters[Counter.STEP] = 0

    def reserve(self, rows: int) -> None:
        """Makes the workspace hold a batch of `rows`."""
        if rows > self.rows:
            self.workspace = aligned(self.plan.fixed_elements + rows * self.plan.row_elements, self.plan.dtype)
            self.rows = rows
