"""A training that changes over to a faster backend once that repays its loading: all backends have the same bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.plan import Plan
from ..core.state import State
from .compiled import CompiledProgram
from .protocol import Backend, Operator, Program

LOOK_SECONDS = 0.5  # of training that no second backend repays


class AutoBackend(Backend):
    """A first backend, which starts at once; a second one when the process has trained for so long that the time which
    the second would have saved is that of its loading. However long a training is, it loses that time once at most.

    Args:
        patience: the seconds of training after which the second repays its loading, at least LOOK_SECONDS, of a model,
            by its dtype, its parameters, and the rows of its batches, 0 if not known yet.
        second: makes it, for such a model.
    """

    def __init__(
        self, first: Backend, patience: Callable[[str, int, int], float], second: Callable[[str, int, int], Backend]
    ) -> None:
        self.name, self._now, self._arguments = first.name, first, (first, patience, second)
        self._work: tuple[str, int, int] | None = None
        self._patience = LOOK_SECONDS

    def __reduce__(self) -> Any:
        """A copy begins with the first: it may be in a process that has not loaded the second."""
        return AutoBackend, self._arguments

    def operations(self, dtype: Any) -> Mapping[str, Operator]:
        return self._now.operations(dtype)

    def program(self, plan: Plan, state: State) -> Program:
        self._weigh(plan, 0)
        return self._now.program(plan, state)

    def keeps(self, program: Program) -> bool:
        self._weigh(program.plan, program.batch)
        return program.backend is self._now

    def _weigh(self, plan: Plan, batch: int) -> None:
        """Changes over, once, when it is time."""
        first, patience, second = self._arguments
        if self._now is not first or CompiledProgram.seconds < LOOK_SECONDS:
            return
        work = plan.dtype.name, plan.layout.size, batch
        if work != self._work:
            self._work, self._patience = work, patience(*work)
        if CompiledProgram.seconds >= self._patience:
            self._now = second(*work)
            self.name = self._now.name
