"""The fit loop: epochs, shuffles, validation, slices of steps. Policy only; programs do the work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import config
from ..backends.data import Data
from ..backends.protocol import Program
from ..callbacks import CallbackList, History
from ..core.declaration import flag, number, whole
from ..core.plan import Counter
from ..errors import ArgumentError, ArgumentTypeError
from .compiling import Engine
from .model import TrainableModel
from .progress import Progress, verbosity
from .slices import Interrupts, Pace, Steps

Array = npt.NDArray[Any]
Logs = dict[str, float]

BATCH = 32
QUIET_SECONDS = 1.0  # predict shows nothing before


@dataclass
class Rows:
    """Checked arrays of a fit or an evaluation."""

    X: Array
    y: Array
    w: Array | None

    def data(self, batch_size: int, order: npt.NDArray[np.int64] | None = None) -> Data:
        """What programs take; a batch is never larger than the data."""
        return Data(self.X, self.y, self.w, order, min(batch_size, self.X.shape[0]))

    def part(self, first: int, last: int) -> Rows:
        """The rows first..last - 1, as views."""
        return Rows(self.X[first:last], self.y[first:last], None if self.w is None else self.w[first:last])

    def limited(self, where: str, name: str, steps: Any, batch_size: int) -> Rows:
        """The rows of the first so many batches; all of them where `steps` is None."""
        return self if steps is None else self.part(0, whole(where, name, steps) * batch_size)


def fit(
    model: TrainableModel,
    x: Any,
    y: Any,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Any,
    validation_split: float,
    validation_data: Any,
    shuffle: Any,
    class_weight: Any,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: Any,
) -> History:
    """Trains the model; see `Sequential.fit`."""
    where = "fit"
    require_rows(where, x)
    batch = BATCH if batch_size is None else whole(where, "batch_size", batch_size)
    validation_batch = (
        batch if validation_batch_size is None else whole(where, "validation_batch_size", validation_batch_size)
    )
    epochs, initial_epoch = whole(where, "epochs", epochs, 0), whole(where, "initial_epoch", initial_epoch, 0)
    verbose = verbosity(where, verbose)
    shuffle = flag(where, "shuffle", shuffle)
    with model.undone_if_refused():
        engine = model.trainable_engine(x)
        train, validation = _rows_of_fit(engine, x, y, sample_weight, class_weight, validation_split, validation_data)
    if validation is not None:
        validation = validation.limited(where, "validation_steps", validation_steps, validation_batch)
    validates = _validates(validation_freq) if validation is not None else lambda epoch: False

    rows = train.X.shape[0]
    order = np.arange(rows, dtype=np.int64) if shuffle else None
    data = train.data(batch, order)
    if steps_per_epoch is not None and steps_per_epoch != data.steps:
        raise ArgumentError(
            f"fit: steps_per_epoch={steps_per_epoch!r} is not supported: an epoch trains on each row once, and "
            f"{rows:,} rows at batch_size={batch} make {data.steps:,} steps; leave it out"
        )
    hooks = CallbackList(callbacks, True, model=model, verbose=verbose, epochs=epochs, steps=data.steps)
    history, optimizer = hooks.history, model.optimizer
    assert history is not None and optimizer is not None
    progress = Progress(verbose, epochs) if verbose else None
    model.history, model.stop_training = history, False
    counters, sums = engine.state.counters, engine.scores.sums()
    logs: Logs = {}
    with Interrupts() as interrupts:
        steps = Steps(engine, optimizer, hooks, interrupts)
        try:
            hooks.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                hooks.on_epoch_begin(epoch)
                if progress:
                    progress.begin(data.steps, rows, epoch)
                if order is not None:
                    engine.program.shuffle(order)
                sums[:] = 0.0
                for done in steps.epoch(data, sums):
                    if progress:
                        progress.advance(done, lambda: engine.scores.logs(sums))
                    if model.stop_training:
                        break
                counters[Counter.EPOCH] += 1
                logs = engine.scores.logs(sums)
                if validation is not None and validates(epoch):
                    logs |= score(engine, validation.data(validation_batch), hooks, "val_")
                    logs = dict(sorted(logs.items()))
                if progress:
                    progress.end(logs)
                hooks.on_epoch_end(epoch, logs=logs)
                if model.stop_training:
                    break
            hooks.on_train_end(logs=logs)
        finally:
            if progress:
                progress.close()
    return history


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
        engine.program.score(data, first, last, sums)
        pace.measured(last - first, time.perf_counter() - start)
        if by_batch:
            hooks.on_test_batch_end(first, logs=engine.scores.logs(sums))
        first = last
        if progress:
            progress.advance(first, lambda: engine.scores.logs(sums))
    logs = engine.scores.logs(sums)
    hooks.on_test_end(logs=logs)
    return {prefix + name: value for name, value in logs.items()}


def evaluate(
    model: TrainableModel,
    x: Any,
    y: Any,
    batch_size: int | None,
    verbose: Any,
    sample_weight: Any,
    steps: int | None,
    callbacks: Any,
) -> Logs:
    """The loss and metrics of x and y; see `Sequential.evaluate`."""
    require_rows("evaluate", x)
    batch = BATCH if batch_size is None else whole("evaluate", "batch_size", batch_size)
    verbose = verbosity("evaluate", verbose)
    with model.undone_if_refused():
        engine = model.trainable_engine(x)
        data = rows_of(engine, x, y, sample_weight, None).limited("evaluate", "steps", steps, batch).data(batch)
    hooks = CallbackList(callbacks, model=model, verbose=verbose, epochs=1, steps=data.steps)
    progress = Progress(verbose) if verbose else None
    if not progress:
        return score(engine, data, hooks)
    progress.begin(data.steps, data.X.shape[0])
    try:
        logs = score(engine, data, hooks, progress=progress)
        progress.end(logs)
    finally:
        progress.close()
    return logs


def predict(
    model: TrainableModel, x: Any, batch_size: int | None, verbose: Any, limit: int | None, callbacks: Any
) -> Array:
    """The predictions of x, of `limit` batches where that is given; see `Sequential.predict`."""
    require_rows("predict", x)
    batch = BATCH if batch_size is None else whole("predict", "batch_size", batch_size)
    verbose = verbosity("predict", verbose)
    engine = model.predicting_engine(x)
    X = engine.checks.X(x, finite=False)
    if limit is not None:
        X = X[: whole("predict", "steps", limit) * batch]
    rows = X.shape[0]
    out = np.empty((rows, engine.plan.outputs), engine.plan.dtype)
    steps = -(-rows // batch)
    hooks = CallbackList(callbacks, model=model, verbose=verbose, epochs=1, steps=steps)
    by_batch = hooks.looks_at_batches("predict")
    progress = Progress(verbose, live_after=QUIET_SECONDS) if verbose else None
    hooks.on_predict_begin()
    begun = time.perf_counter()
    if progress:
        progress.begin(steps, rows)
    try:
        _predict_slices(engine.program, X, out, batch, hooks if by_batch else None, progress)
        if progress and time.perf_counter() - begun > QUIET_SECONDS:
            progress.end({})
    finally:
        if progress:
            progress.close()
    hooks.on_predict_end()
    return out


def _predict_slices(
    program: Program, X: Array, out: Array, batch: int, hooks: CallbackList | None, progress: Progress | None
) -> None:
    rows, first = X.shape[0], 0
    # At least a block of rows for each thread.
    pace = Pace(1 if rows <= batch else -(-program.plan.forward_rows * config.get_num_threads() // batch))
    while first < rows:
        last = min(first + batch * (1 if hooks else pace.steps), rows)
        number = first // batch
        if hooks:
            hooks.on_predict_batch_begin(number)
        start = time.perf_counter()
        program.forward(X[first:last], out[first:last])
        pace.measured(-(-(last - first) // batch), time.perf_counter() - start)
        if hooks:
            hooks.on_predict_batch_end(number, logs={"outputs": out[first:last]})
        first = last
        if progress:
            progress.advance(-(-first // batch), dict)


def require_rows(where: str, x: Any) -> None:
    """Raises for what gives its rows batch by batch: generators, data sets, loaders.

    Raises:
        ArgumentTypeError: such a thing, or nothing.
    """
    if isinstance(x, np.ndarray):
        return
    if x is None:
        raise ArgumentTypeError(f"{where}: x is missing; give an array of rows")
    if isinstance(x, list | tuple | str | bytes | Mapping) or any(
        hasattr(x, name) for name in ("__array__", "toarray", "to_numpy")
    ):
        return  # an array, or what is refused as none
    if hasattr(x, "__next__") or hasattr(x, "__iter__") or hasattr(x, "__getitem__"):
        raise ArgumentTypeError(
            f"{where}: x is a {type(x).__module__}.{type(x).__name__}, which gives its rows batch by batch; that is "
            "not supported: give arrays of all rows, or call train_on_batch for each batch"
        )


def rows_of(
    engine: Engine, x: Any, y: Any, sample_weight: Any, class_weight: Any, prefix: str = "", finite: bool = True
) -> Rows:
    """Checks X, y and weights; `prefix` names where they come from."""
    checks = engine.checks
    X = checks.X(x, f"{prefix}X", finite)
    targets = checks.y(y, X.shape[0], f"{prefix}y", f"{prefix}X")
    if sample_weight is None and class_weight is None:
        return Rows(X, targets, None)
    return Rows(X, targets, checks.weights(sample_weight, class_weight, targets, X.shape[0], f"{prefix}sample_weight"))


def _rows_of_fit(
    engine: Engine, x: Any, y: Any, sample_weight: Any, class_weight: Any, split: Any, validation_data: Any
) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those to validate on: those given, or the last ones."""
    split = number("fit", "validation_split", split, 0.0, 1.0, "[)")
    rows = rows_of(engine, x, y, sample_weight, class_weight)
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            raise ArgumentTypeError("fit: validation_data is not (X, y) or (X, y, sample_weight)")
        given = (*validation_data, None)[:3]
        return rows, rows_of(engine, given[0], given[1], given[2], None, "validation ")
    if split == 0.0:
        return rows, None
    n = rows.X.shape[0]
    cut = math.floor(n * (1.0 - split))
    if not 0 < cut < n:
        raise ArgumentError(
            f"fit: validation_split={split:g} of {n} rows leaves {cut} to train on and {n - cut} to validate on; "
            "expected at least one of each"
        )
    held = rows.part(cut, n)
    return rows.part(0, cut), held if class_weight is None else replace(held, w=None)


def _validates(frequency: Any) -> Callable[[int], bool]:
    """Whether an epoch is validated, from `validation_freq`: every so many epochs, or the epochs listed (from 1)."""
    if isinstance(frequency, list | tuple | set):
        listed = {whole("fit", "validation_freq", epoch) for epoch in frequency}
        return lambda epoch: epoch + 1 in listed
    every = whole("fit", "validation_freq", frequency)
    return lambda epoch: (epoch + 1) % every == 0
