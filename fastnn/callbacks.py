"""Callbacks: what is told of a training's events, and may end it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .declaration import whole
from .errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from .models import Sequential

Logs = dict[str, Any] | None


class Callback:
    """Base class: override the hooks that are of interest.

    Attributes:
        model: the model that is trained; set `model.stop_training = True` to end after this batch or epoch.
        params: "epochs", "steps" and "verbose" of this run.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Tells the parameters of this run."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Tells the model of this run."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch and its validation, with their results."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step, with the means of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of `evaluate` or of validation, with the means so far."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of `predict`, with its "outputs"."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch, with its results."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before `evaluate` or validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After `evaluate` or validation, with their results."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After `predict`."""


class CallbackList(Callback):
    """Passes every event on to each of several callbacks, in their order.

    Args:
        callbacks: a callback, a list of them, or None.
        model: told to each of them.
        params: told to each of them.

    Raises:
        ArgumentTypeError: one of them is not a `Callback`.
    """

    def __init__(self, callbacks: Any, model: Sequential, **params: Any) -> None:
        super().__init__()
        if callbacks is None:
            callbacks = []
        elif isinstance(callbacks, CallbackList):
            callbacks = callbacks.callbacks
        elif not isinstance(callbacks, list | tuple):
            callbacks = [callbacks]
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ArgumentTypeError(
                    f"callbacks: {callback!r} is not a fastnn.callbacks.Callback; make its class inherit from it"
                )
            callback.set_model(model)
            callback.set_params(params)
        self.callbacks: list[Callback] = list(callbacks)

    def overrides(self, event: str) -> bool:
        """Whether any callback looks at the batches of an event: "train", "test" or "predict"."""
        hooks = [f"on_{event}_batch_begin", f"on_{event}_batch_end"]
        hooks += ["on_batch_begin", "on_batch_end"] if event == "train" else []
        return any(
            getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)
            for callback in self.callbacks
            for hook in hooks
        )


def _forward(hook: str) -> Callable[..., None]:
    def call(self: CallbackList, *arguments: Any, logs: Logs = None) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments, logs)

    call.__name__ = hook
    call.__doc__ = getattr(Callback, hook).__doc__
    return call


for _hook in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(CallbackList, _hook, _forward(_hook))


class History(Callback):
    """Keeps the results of each epoch; `fit` returns one.

    Attributes:
        epoch: the numbers of the epochs.
        history: name -> list of plain floats, one an epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begins a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Notes the results."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions of (epoch, logs).
        on_train_begin, on_train_end: functions of (logs).
        on_train_batch_begin, on_train_batch_end: functions of (batch, logs).
        kwargs: functions for the other hooks of `Callback`.

    Raises:
        ArgumentError: no such hook. ArgumentTypeError: not a function.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if name not in vars(Callback) or not name.startswith("on_"):
                raise ArgumentError(f'LambdaCallback: there is no hook "{name}"')
            if function is None:
                continue
            if not callable(function):
                raise ArgumentTypeError(f"LambdaCallback: {name} is {function!r}, expected a function")
            setattr(self, name, function)


def direction(where: str, monitor: str, mode: str) -> float:
    """-1 where a smaller value of `monitor` is better, +1 where a larger one is.

    Raises:
        ArgumentError: an unknown mode.
    """
    if mode not in ("auto", "min", "max"):
        raise ArgumentError(f'{where}: mode is {mode!r}, expected "auto", "min" or "max"')
    if mode != "auto":
        return 1.0 if mode == "max" else -1.0
    name = monitor.removeprefix("val_")
    return 1.0 if name in ("acc", "r2", "r2_score", "R2Score") or "ccuracy" in name else -1.0


class EarlyStopping(Callback):
    """Ends a training that no longer gets better.

    Args:
        monitor: a key of the logs, such as "val_loss".
        min_delta: a smaller change is no improvement.
        patience: epochs without improvement that are allowed.
        verbose: 1 prints when it stops and what it restores.
        mode: "min", "max", or "auto" by the name of `monitor`.
        baseline: a value that must be beaten for the patience to begin anew.
        restore_best_weights: whether the model ends with the weights of its best epoch, also when it was not stopped.
        start_from_epoch: epochs before this one are not looked at.

    Raises:
        ArgumentError: an argument out of range.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.min_delta = abs(float(min_delta))
        self.patience = whole("EarlyStopping", "patience", patience, 0)
        self.verbose = verbose
        self.sign = direction("EarlyStopping", monitor, mode)
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = whole("EarlyStopping", "start_from_epoch", start_from_epoch, 0)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begins anew, so that one object serves several trainings."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compares the epoch with the best one so far."""
        current = monitored("EarlyStopping", self.monitor, logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._better(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self._better(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Restores the best weights."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)

    def _better(self, value: float, reference: float | None) -> bool:
        return reference is None or (value - reference) * self.sign > self.min_delta


def monitored(where: str, monitor: str, logs: Mapping[str, Any] | None) -> float | None:
    """The value of `monitor` in the logs, or None after a warning that names what there is."""
    value = (logs or {}).get(monitor)
    if value is None:
        warnings.warn(
            f'{where}: there is no "{monitor}" in the results; there are: {", ".join(logs or {})}', stacklevel=3
        )
    return value


__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback"]
