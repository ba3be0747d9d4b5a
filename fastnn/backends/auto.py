"""A training that changes over to a faster backend once that repays its loading: all backends have the same bits."""

from __future__ import annotations

import math
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
        patience: the seconds of training of a model, by its dtype and parameters, after which the second repays its
            loading; at least LOOK_SECONDS.
        second: makes it, for such a model.
    """

    def __init__(
        self, first: Backend, patience: Callable[[str, int], float], second: Callable[[str, int], Backend]
    ) -> None:
        self.name, self._now, self._arguments = first.name, first, (first, patience, second)
        self._patience = LOOK_SECONDS

    def __reduce__(self) -> Any:
        """A copy begins with the first: it may be in a process that has not loaded the second."""
        return AutoBackend, self._arguments

    def operations(self, dtype: Any) -> Mapping[str, Operator]:
        return self._now.operations(dtype)

    def program(self, plan: Plan, state: State) -> Program:
        if CompiledProgram.seconds >= self._patience:
            self._weigh(plan)
        return self._now.program(plan, state)

    def keeps(self, program: Program) -> bool:
        if CompiledProgram.seconds >= self._patience:
            self._weigh(program.plan)
        return program.backend is self._now

    def _weigh(self, plan: Plan) -> None:
        """Changes over, or says when to look again."""
        _, patience, second = self._arguments
        model = plan.dtype.name, plan.layout.size
        self._patience = patience(*model)
        if CompiledProgram.seconds >= self._patience:
            self._now, self._patience = second(*model), math.inf
            self.name = self._now.name
