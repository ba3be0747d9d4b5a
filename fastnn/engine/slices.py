"""The steps of an epoch in slices: many at a time, so that Python costs nothing, and few enough to look around."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..backends.data import Data
from ..callbacks import CallbackList, TerminateOnNaN
from ..core import forks
from ..core.plan import SUM_COUNT, SUM_LOSS, Counter

if TYPE_CHECKING:
    from .model import TrainableModel

SLICE_SECONDS = 0.05  # between two looks at Ctrl-C, progress and callbacks


class Pace:
    """How many steps make a slice of some seconds, by the time of those before: at least `least`."""

    def __init__(self, least: int = 1, seconds: float = SLICE_SECONDS) -> None:
        self.steps = self._least = least
        self._seconds = seconds

    def measured(self, steps: int, seconds: float) -> None:
        """`steps` took `seconds`; a slice grows at most eightfold, since the first may be slow or fast by chance."""
        wanted = int(steps * self._seconds / max(seconds, 1e-9))
        self.steps = max(self._least, min(wanted, 8 * max(self.steps, steps)))


class Interrupts:
    """Defers Ctrl-C while a slice runs, so that the model stays at the last finished step.

    Only in the main thread, where Python delivers it; a second Ctrl-C is not deferred.
    """

    def __init__(self) -> None:
        self._deferred = False
        self._pending: tuple[int, FrameType | None] | None = None
        self._previous: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        assert self._previous is not None  # or Python would not call this
        if self._deferred and self._pending is None:
            self._pending = (signum, frame)
        else:
            self._previous(signum, frame)

    def run(self, deferred: bool, work: Callable[[], int]) -> int:
        """The result of `work`; where `deferred`, a Ctrl-C during it takes effect after it."""
        self._deferred = deferred
        try:
            result = work()
        finally:
            self._deferred = False
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._handle(*pending)
        return result


def run_steps(
    model: TrainableModel, data: Data, first: int, last: int, sums: npt.NDArray[np.float64], stop: bool = False
) -> int:
    """`Program.run_steps` at the learning rates of the model's optimizer, where its weights lie now: a callback or
    another thread may have connected its layers with others."""
    while True:
        forks.give_way()
        engine = model.engine()
        with engine.state.store.lock:
            if engine.state.store.moved is None:
                rates = model.optimizer.rates(int(engine.state.counters[Counter.STEP]), last - first)
                return engine.program.run_steps(data, first, last, sums, rates, stop)


class Steps:
    """Runs the steps of a training.

    Args:
        model: what is trained.
        hooks: called at each step where one of them looks at batches; a slice is one step then.
        interrupts: entered already.
        seconds: of a slice.
    """

    def __init__(
        self, model: TrainableModel, hooks: CallbackList, interrupts: Interrupts, seconds: float = SLICE_SECONDS
    ) -> None:
        self._model, self._interrupts = model, interrupts
        self._hooks = hooks if hooks.looks_at_batches("train") else None
        self._watchers = [callback for callback in hooks.callbacks if isinstance(callback, TerminateOnNaN)]
        self._pace = Pace(seconds=seconds)

    def epoch(self, data: Data, sums: npt.NDArray[np.float64], before: int = 0) -> Iterator[int]:
        """Runs the steps of some data, adds to `sums`, and yields the number of the epoch's finished steps after each
        slice; `before` of them came before these."""
        model, hooks, stop = self._model, self._hooks, bool(self._watchers)
        first = 0
        while first < data.steps:
            last = min(first + (1 if hooks or model.stop_training else self._pace.steps), data.steps)
            if hooks:
                hooks.on_train_batch_begin(before + first)
            engine = model.engine()
            start = time.perf_counter()
            # A compiled program's first slice may compile for seconds, and Ctrl-C must not wait for that.
            taken = self._interrupts.run(
                engine.ran or engine.program.interpreted,
                lambda: run_steps(model, data, first, last, sums, stop),  # noqa: B023
            )
            engine.ran = True
            self._pace.measured(taken, time.perf_counter() - start)
            first += taken
            if hooks:
                hooks.on_train_batch_end(before + first - 1, logs=engine.scores.logs(sums))
            if stop and not math.isfinite(sums[SUM_LOSS]):
                for watcher in self._watchers:
                    watcher.on_nonfinite_loss(before + first - 1, float(sums[SUM_LOSS] / sums[SUM_COUNT]))
            yield before + first
