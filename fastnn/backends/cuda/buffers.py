"""What a plan needs on the card: vectors laid out as the state's, buffers of a batch, and totals of a step."""

from __future__ import annotations

from enum import IntEnum

from ...core.losses import METRIC_NAMES
from ...core.plan import MetricEntry, ParameterEntry, Plan, padded
from .calls import Lies
from .device import Card, Memory


class Totals:
    """The numbers of a step's totals: of each loss, of each sum of a penalty, of each metric."""

    def __init__(self, plan: Plan) -> None:
        self.losses = list(range(len(plan.losses)))
        self.penalties: list[tuple[int, float, str]] = []  # a row of the parameter table, a factor, the operation
        for number, row in enumerate(plan.parameters.tolist()):
            if row[ParameterEntry.PENALTY] >= 0:
                factors = plan.constants[row[ParameterEntry.PENALTY] :][:2].tolist()
                for factor, operation in zip(factors, ("sum_abs", "sum_squares"), strict=True):
                    if factor != 0.0:
                        self.penalties.append((number, factor, operation))
        self.first_penalty = len(self.losses)
        self.metrics: list[list[int]] = []  # r2_score has its sums elsewhere
        slot = self.first_penalty + len(self.penalties)
        for row in plan.metrics.tolist():
            slots = 0 if METRIC_NAMES[row[MetricEntry.CODE]] == "r2_score" else row[MetricEntry.SLOTS]
            self.metrics.append(list(range(slot, slot + slots)))
            slot += slots
        self.count = slot


class ByRow(IntEnum):
    """What there is an element of for each row of the batch, and, but for the last, for each loss."""

    WEIGHTS = 0
    VALUES = 1
    SCALES = 2  # of slopes; and values of metrics, which come before
    ONES = 3


class Buffers:
    """Everything that a plan needs on the card, for batches of at most so many rows.

    Attributes:
        theta, gradient, statistics, slots: laid out as the state's. sums: float64 sums of the whole slice, of which
            r2_score adds to its own.
    """

    def __init__(self, card: Card, plan: Plan) -> None:
        self._card, self._plan = card, plan
        size = plan.dtype.itemsize
        self.size = size
        vector = plan.layout.size * size
        self.theta, self.gradient = card.allocate(vector), card.allocate(vector)
        card.zero(self.gradient.address, vector)
        self.statistics = card.allocate(plan.layout.statistics_size * size)
        self.slots = tuple(card.allocate(vector) for _ in range(plan.slots))
        self.addend = card.allocate(vector) if (plan.parameters[:, ParameterEntry.NEXT] >= 0).any() else None
        self.sums = card.allocate(8 * plan.sums)
        self.squares, self.factor = card.allocate(8), card.allocate(8)
        card.zero(self.squares.address, 8)
        self._losses = max(1, len(plan.losses))
        self.rows = 0
        self.workspace: Memory | None = None

    def reserve(self, rows: int) -> bool:
        """Room for batches of so many rows; whether addresses changed."""
        if rows <= self.rows:
            return False
        plan = self._plan
        self.workspace = None  # given back before more is taken
        self.workspace = self._card.allocate((plan.fixed_elements + rows * plan.row_elements) * self.size)
        each = padded(rows)
        count = self._losses * ByRow.ONES + 1
        self._rows = self._card.allocate(count * each * self.size)
        self.rows, self._each = rows, each
        return True

    def by_row(self, what: ByRow, loss: int = 0) -> Lies:
        """A vector with an element for each row of the batch."""
        return self._rows.address + (what * self._losses + loss) * self._each * self.size, 1

    def unit(self, unit: int, width: int, offset: int = 0) -> Lies:
        """A buffer of the workspace."""
        assert self.workspace is not None
        start = self._plan.fixed_elements + unit * self.rows + offset
        return self.workspace.address + start * self.size, padded(width)

    def part(self, vector: str, start: int, width: int) -> Lies:
        """A part of "theta", "gradient", "statistics", or of the "batch", which is the fixed part of the workspace."""
        memory = self.workspace if vector == "batch" else getattr(self, vector)
        return memory.address + start * self.size, width
