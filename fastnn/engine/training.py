"""The fit loop: epochs, shuffles, validation, slices of steps. Policy only; programs do the work."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import config
from ..backends.data import Data
from ..callbacks import CallbackList, History
from ..core.arrays import Array
from ..core.declaration import flag, whole
from ..core.plan import Counter
from ..core.store import Training
from ..errors import ArgumentError, ModelAdvice
from .advice import Seen
from .compiling import Engine
from .model import TrainableModel
from .progress import Progress, verbosity
from .requests import FitRequest, Request, Rows, rows_of
from .slices import SLICE_SECONDS, Interrupts, Pace, Steps

if TYPE_CHECKING:
    from ..backends.protocol import Program

Logs = dict[str, float]

QUIET_SECONDS = 1.0  # predict shows nothing before
_LOOKED_AT = 256  # rows that advice looks at, at most
_ELEMENTS = 100_000  # of targets, where more rows make so few


class Feed(Protocol):
    """What gives each epoch of a training its rows.

    Attributes:
        rows, steps: of an epoch.
    """

    @property
    def rows(self) -> int: ...

    @property
    def steps(self) -> int: ...

    def epoch(self, program: Program) -> Iterable[Data]:
        """The data of the next epoch, one after another."""


@dataclass
class Shuffled:
    """The same data in every epoch, in an order by the model's seed where they have one."""

    data: Data

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return self.data.rows

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.data.steps

    def epoch(self, program: Program) -> Iterable[Data]:
        """The data, shuffled."""
        if self.data.order is not None:
            program.shuffle(self.data.order)
        return (self.data,)


def _never() -> bool:
    return False


@dataclass
class _Training:
    """What the epochs of a training share."""

    model: TrainableModel
    hooks: CallbackList
    steps: Steps
    feed: Feed
    validation: Data | None
    validates: Callable[[int], bool]
    progress: Progress | None
    ended: Callable[[], bool]

    def epoch(self, epoch: int) -> Logs:
        """Shuffles, trains on all rows, or fewer where a callback ends it, and validates; the results."""
        feed, progress = self.feed, self.progress
        self.hooks.on_epoch_begin(epoch)
        engine = self.model.engine()
        if progress:
            progress.begin(feed.steps, feed.rows, epoch)
        sums, before = engine.scores.sums(), 0
        for data in feed.epoch(engine.program):
            for done in self.steps.epoch(data, sums, before):
                if progress:
                    progress.advance(done, lambda: engine.scores.logs(sums))
                if self.ended():
                    self.model.stop_training = True
                if self.model.stop_training:
                    break
            if self.model.stop_training:
                break
            before += data.steps
        engine = self.model.engine()
        engine.state.counters[Counter.EPOCH] += 1
        logs = engine.scores.logs(sums)
        if self.validation is not None and self.validates(epoch):
            logs |= score(engine, self.validation, self.hooks, "val_")
            logs = dict(sorted(logs.items()))
        if progress:
            progress.end(logs)
        self.hooks.on_epoch_end(epoch, logs=logs)
        return logs


def fit(model: TrainableModel, request: FitRequest) -> History:
    """Trains the model; see `Sequential.fit`."""
    request.require_rows()
    batch, validation_batch = request.batch, request.validation_batch
    epochs = whole("fit", "epochs", request.epochs, 0)
    initial_epoch = whole("fit", "initial_epoch", request.initial_epoch, 0)
    verbose = verbosity("fit", request.verbose)
    shuffle = flag("fit", "shuffle", request.shuffle)
    with model.undone_if_refused():
        engine = model.trainable_engine(request.x)
        engine.state.store.require_idle("fit")
        here = Training(engine.state.store)
        with here:
            train_rows, held_out = request.rows(model, engine)
    if held_out is not None:
        held_out = held_out.limited("fit", "validation_steps", request.validation_steps, validation_batch)
    validation = held_out.data(validation_batch) if held_out is not None else None
    validates = request.validates() if held_out is not None else lambda epoch: False

    rows = train_rows.n
    data = train_rows.data(batch, np.arange(rows, dtype=np.int64) if shuffle else None)
    if request.steps_per_epoch is not None and request.steps_per_epoch != data.steps:
        raise ArgumentError(
            f"fit: steps_per_epoch={request.steps_per_epoch!r} is not supported: an epoch trains on each row once, and "
            f"{rows:,} rows at batch_size={batch} make {data.steps:,} steps; give epochs and batch_size instead"
        )
    if not engine.state.counters[Counter.STEP] and engine.plan.layout.of("theta"):
        for text in model.advice(_seen(engine, train_rows)):
            warnings.warn(text, ModelAdvice, stacklevel=3)
    hooks = CallbackList(request.callbacks, True, model=model, verbose=verbose, epochs=epochs, steps=data.steps)
    history = hooks.history
    assert history is not None
    progress = Progress(verbose, epochs) if verbose else None
    losses = train(
        model,
        Shuffled(data),
        hooks,
        range(initial_epoch, epochs),
        progress=progress,
        validation=validation,
        validates=validates,
    )
    if progress and losses and (seen := _seen(engine, train_rows, losses, model)):
        for text in model.advice(seen):
            progress.note(text)
    return history


def train(
    model: TrainableModel,
    feed: Feed,
    hooks: CallbackList,
    epochs: range,
    *,
    progress: Progress | None = None,
    validation: Data | None = None,
    validates: Callable[[int], bool] = lambda epoch: True,
    ended: Callable[[], bool] = _never,
    seconds: float = SLICE_SECONDS,
) -> list[float]:
    """Trains a model on checked data, until a callback says so, `ended` does after a slice of `seconds`, or no epochs
    are left.

    Returns:
        The loss of each epoch.
    """
    here = Training(model.engine().state.store)
    model.history, model.stop_training = hooks.history, False
    logs: Logs = {}
    losses: list[float] = []
    with Interrupts() as interrupts:
        steps = Steps(model, hooks, interrupts, seconds)
        training = _Training(model, hooks, steps, feed, validation, validates, progress, ended)
        if any(type(callback) is not History for callback in hooks.callbacks):
            hooks.around = here.paused
        try:
            with here, model.while_training():
                hooks.on_train_begin()
                for epoch in epochs:
                    logs = training.epoch(epoch)
                    losses.append(logs["loss"])
                    if model.stop_training:
                        break
            if progress and losses:
                progress.finish()
            hooks.around = nullcontext
            hooks.on_train_end(logs=logs)
        finally:
            if progress:
                progress.close()
    return losses


def _seen(
    engine: Engine, rows: Rows, losses: Sequence[float] = (), model: TrainableModel | None = None
) -> dict[int, Seen]:
    """What there is to advise on before a training, or where there are losses, after that of a model: of some rows."""
    most = _LOOKED_AT if losses else max(_LOOKED_AT, _ELEMENTS // max(engine.plan.widths))
    some = np.linspace(0, rows.n - 1, min(rows.n, most)).astype(np.int64)
    numbers = engine.checks.with_loss
    targets = [y[some].astype(np.float64) for y in rows.y[: len(numbers)]]
    if not losses:
        return {number: Seen(y) for number, y in zip(numbers, targets, strict=True)}
    X = [x[some] for x in rows.X]
    if all((x == x[:1]).all() for x in X):
        return {}
    outs = [np.empty((len(some), width), engine.plan.dtype) for width in engine.plan.widths]
    engine.predictor.forward(X, outs)
    weights = [1.0 if w is None else float(w.mean()) for w in rows.w[: len(numbers)] or [None] * len(numbers)]

    def illness() -> str | None:
        from .health import Examiner

        assert model is not None
        picked = Rows(tuple(X), tuple(y[some] for y in rows.y), tuple(w if w is None else w[some] for w in rows.w))
        health = Examiner(model)(picked)
        return None if health else f"{health.verdict}: {health.text}"

    return {
        number: Seen(y, losses, outs[number], weight, illness)
        for number, y, weight in zip(numbers, targets, weights, strict=True)
    }


def score(engine: Engine, data: Data, hooks: CallbackList, prefix: str = "", progress: Progress | None = None) -> Logs:
    """The loss and metrics of data in inference mode."""
    hooks.on_test_begin()
    sums, pace, first, steps = engine.scores.sums(), Pace(), 0, data.steps
    by_batch = hooks.looks_at_batches("test")
    while first < steps:
        last = min(first + (1 if by_batch else pace.steps), steps)
        if by_batch:
            hooks.on_test_batch_begin(first)
        start = time.perf_counter()
        engine.predictor.score(data, first, last, sums)
        pace.measured(last - first, time.perf_counter() - start)
        if by_batch:
            hooks.on_test_batch_end(first, logs=engine.scores.logs(sums))
        first = last
        if progress:
            progress.advance(first, lambda: engine.scores.logs(sums))
    logs = engine.scores.logs(sums)
    hooks.on_test_end(logs=logs)
    return {prefix + name: value for name, value in logs.items()}


def evaluate(model: TrainableModel, request: Request) -> Logs:
    """The loss and metrics of x and y; see `Sequential.evaluate`."""
    request.require_rows()
    batch = request.batch
    verbose = verbosity("evaluate", request.verbose)
    with model.undone_if_refused():
        engine = model.trainable_engine(request.x)
        rows = rows_of(model, engine, request.x, request.y, request.sample_weight, None)
        data = rows.limited("evaluate", "steps", request.steps, batch).data(batch)
    hooks = CallbackList(request.callbacks, model=model, verbose=verbose, epochs=1, steps=data.steps)
    progress = Progress(verbose) if verbose else None
    if not progress:
        return score(engine, data, hooks)
    progress.begin(data.steps, data.rows)
    try:
        logs = score(engine, data, hooks, progress=progress)
        progress.end(logs)
    finally:
        progress.close()
    return logs


def predict(model: TrainableModel, request: Request) -> Any:
    """The predictions of x; see `Sequential.predict`."""
    request.require_rows()
    batch = request.batch
    verbose = verbosity("predict", request.verbose)
    with model.undone_if_refused():
        engine = model.predicting_engine(request.x)
        X = engine.checks.X(model.inputs_of(request.x), finite=False)
    if request.steps is not None:
        X = tuple(array[: whole("predict", "steps", request.steps) * batch] for array in X)
    rows = X[0].shape[0]
    outs = [np.empty((rows, width), engine.plan.dtype) for width in engine.plan.widths]
    steps = -(-rows // batch)
    hooks = CallbackList(request.callbacks, model=model, verbose=verbose, epochs=1, steps=steps)
    by_batch = hooks.looks_at_batches("predict")
    progress = Progress(verbose, live_after=QUIET_SECONDS) if verbose else None
    hooks.on_predict_begin()
    begun = time.perf_counter()
    if progress:
        progress.begin(steps, rows)
    try:
        _predict_slices(model, engine, X, outs, batch, hooks if by_batch else None, progress)
        if progress and time.perf_counter() - begun > QUIET_SECONDS:
            progress.end({})
    finally:
        if progress:
            progress.close()
    hooks.on_predict_end()
    return model.structured(engine.shaped(outs))


def _predict_slices(
    model: TrainableModel,
    engine: Engine,
    X: Sequence[Array],
    outs: Sequence[Array],
    batch: int,
    hooks: CallbackList | None,
    progress: Progress | None,
) -> None:
    program, rows, first = engine.predictor, X[0].shape[0], 0
    # At least a block of rows for each thread.
    pace = Pace(1 if rows <= batch else -(-program.plan.forward_rows * config.get_num_threads() // batch))
    while first < rows:
        last = min(first + batch * (1 if hooks else pace.steps), rows)
        step = first // batch
        if hooks:
            hooks.on_predict_batch_begin(step)
        start = time.perf_counter()
        parts = [out[first:last] for out in outs]
        program.forward([array[first:last] for array in X], parts, first)
        pace.measured(-(-(last - first) // batch), time.perf_counter() - start)
        if hooks:
            hooks.on_predict_batch_end(step, logs={"outputs": model.structured(engine.shaped(parts))})
        first = last
        if progress:
            progress.advance(-(-first // batch), dict)
