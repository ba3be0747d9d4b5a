"""What the steps of a slice are told, and what they tell: tables on the card, with a row for each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...core.plan import Counter, OptimizerEntry, ParameterEntry, Plan, Scalar
from ...core.state import State
from ...core.steps import OPTIMIZERS, Optimizer
from .calls import Steps
from .device import Card

MOST_STEPS = 512  # that are told of at once


class Float64:
    """What of the algebra `Optimizer.prepare` asks for, on single float64 numbers."""

    def sqrt(self, value: np.float64) -> np.float64:
        return np.sqrt(value)


class Tables:
    """Rows of each step's first row of the data, its number, the optimizer's scalars, the factor of the decay; the
    totals that it leaves.

    Args:
        totals: float64 of a step.

    Attributes:
        optimizer: its name; "" where there is none.
    """

    def __init__(self, card: Card, plan: Plan, totals: int) -> None:
        self._card, self._plan, self.totals = card, plan, totals
        self.optimizer, self._optimizer = _optimizer(plan)
        size, scalars = plan.dtype.itemsize, len(self._optimizer.scalars) if self._optimizer else 0
        # One piece of memory, whose parts begin at multiples of 8 bytes: a slice tells all by one copy.
        widths = {"clock": 8} | dict.fromkeys(("firsts", "starts", "numbers"), 8 * MOST_STEPS)
        widths |= {"decays": size * MOST_STEPS, "scalars": size * scalars * MOST_STEPS}
        self._penalties = _penalties(plan)
        widths |= dict.fromkeys(self._penalties, 2 * size * MOST_STEPS)
        self._places: dict[str, int] = {}
        at = 0
        for name, width in widths.items():
            self._places[name] = at
            at += -(-width // 8) * 8
        self._told = np.zeros(at, np.uint8)
        self._memory = card.allocate(at)
        self._made = card.allocate(8 * totals * MOST_STEPS)
        self._zero = card.allocate(8)
        card.zero(self._zero.address, 8)

    def address(self, name: str) -> int:
        """Of a table on the card: "clock", "firsts", "starts", "numbers", "scalars", "decays", or a penalty's."""
        return self._memory.address + self._places[name]

    def steps(self, scalars: str = "scalars") -> Steps:
        """What an operation of each step is given."""
        places = (self.address(name) for name in ("clock", scalars, "numbers"))
        return Steps(*places, self.totals, self.address("starts"))

    def always(self, scalars: int = 0) -> Steps:
        """What an operation is given whose place is the same in all steps."""
        return Steps(self._zero.address, scalars)

    def total(self, number: int) -> int:
        """The address of a total of the first step."""
        return self._made.address + 8 * number

    def tell(
        self,
        state: State,
        firsts: Sequence[int],
        rates: Sequence[float] | None,
        updates: bool,
        starts: Sequence[int] = (0,),
        shares: Sequence[float] = (),
    ) -> None:
        """Tells of steps that begin at those rows of what is on the card, and at `starts` in the data; the state's
        products go on where they `update`; `shares` multiply penalties, unless there are none."""
        count = len(firsts)
        self._part("clock", np.int64)[0] = 0
        self._part("firsts", np.int64)[:count] = firsts
        self._part("starts", np.int64)[:count] = starts
        step = int(state.counters[Counter.STEP])
        self._part("numbers", np.int64)[:count] = np.arange(step, step + count) if updates else step
        with np.errstate(over="ignore"):
            for name, (l1, l2) in self._penalties.items():
                each = np.array(shares or (1.0,))[:, None] * (l1, 2.0 * l2)
                self._part(name, self._plan.dtype)[: 2 * count].reshape(count, 2)[...] = each
        if updates:
            self._scalars(state, count, rates)
        self._card.put(self._memory.address, self._told)
        self._card.zero(self._made.address, 8 * self.totals * count)

    def _part(self, name: str, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        start = self._places[name]
        stop = min((place for place in self._places.values() if place > start), default=self._told.size)
        return self._told[start:stop].view(dtype)

    def _scalars(self, state: State, count: int, rates: Sequence[float] | None) -> None:
        """The scalars of each step, in float64 and rounded once; the products after the last stay in the state."""
        plan, scalars, o = self._plan, state.scalars, Float64()
        assert self._optimizer is not None
        first = int(plan.optimizer[OptimizerEntry.CONSTANT])
        decay = plan.constants[first]
        constants = tuple(plan.constants[first + 1 : first + 1 + len(self._optimizer.constants)])
        products = tuple(scalars[Scalar.PRODUCTS : Scalar.PRODUCTS + len(self._optimizer.products)])
        width = len(self._optimizer.scalars)
        table = self._part("scalars", plan.dtype)[: width * count].reshape(count, width)
        decays = self._part("decays", plan.dtype)
        rate = scalars[Scalar.LEARNING_RATE]
        with np.errstate(all="ignore"):
            for step in range(count):
                if rates is not None:
                    rate = np.float64(rates[step])
                products, table[step] = self._optimizer.prepare(o, rate, products, constants)
                decays[step] = -(rate * decay)
        scalars[Scalar.LEARNING_RATE] = rate
        scalars[Scalar.PRODUCTS : Scalar.PRODUCTS + len(products)] = products

    def read(self, count: int) -> npt.NDArray[np.float64]:
        """(count, totals), when the steps are done."""
        made = np.zeros((count, self.totals))
        self._card.get(made, self._made.address)
        return made


def _penalties(plan: Plan) -> dict[str, tuple[float, float]]:
    """The factors of |w| and w^2 of the parameters that have a penalty, by the names of their tables."""
    return {
        penalty_table(row): tuple(plan.constants[row[ParameterEntry.PENALTY] :][:2].tolist())
        for row in plan.parameters.tolist()
        if row[ParameterEntry.PENALTY] >= 0
    }


def penalty_table(row: Sequence[int]) -> str:
    """The name of the table of a row of the parameter table."""
    return f"penalty {row[ParameterEntry.PENALTY]}"


def _optimizer(plan: Plan) -> tuple[str, Optimizer | None]:
    if not plan.optimizer.size:
        return "", None
    return list(OPTIMIZERS.items())[plan.optimizer[OptimizerEntry.CODE]]
