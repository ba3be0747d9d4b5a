"""What a callback is, the list that calls several of them, and the two that need no file and no rate."""

from __future__ import annotations

import html
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..core.declaration import Config, Extensible, refuse
from ..core.model import CallbackModel
from ..core.types import TrainedModel
from ..errors import ArgumentError, ArgumentTypeError, FastnnError

Logs = dict[str, Any] | None


class Callback(Extensible):
    """Base class: override the hooks that are of interest.

    Attributes:
        model: the model that is trained; set `model.stop_training = True` to end after this batch or epoch.
        params: "epochs", "steps" and "verbose" of this run.

    Example:
        >>> import fastnn
        >>> class StopBelow(fastnn.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.stop_training = logs["loss"] < 0.1
        ...
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
        >>> len(model.fit([[1.0]], [[1.0]], epochs=50, callbacks=[StopBelow()], verbose=0).epoch)
        2
    """

    def __init__(self) -> None:
        self.params: Config = {}

    @property
    def model(self) -> TrainedModel:
        """The model that is trained; None before, and where nothing else holds it any more."""
        return self._watched()

    _watched: Callable[[], Any] = staticmethod(lambda: None)

    def set_params(self, params: Config) -> None:
        """Sets the parameters of this run."""
        self.params = params

    def set_model(self, model: CallbackModel) -> None:
        """Sets the model of this run."""
        self._watched = weakref.ref(model)

    def __getstate__(self) -> dict[str, object]:
        """The model is copied with it."""
        return vars(self) | {"_watched": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy holds the copy of the model, until that is one of its own."""
        vars(self).update(state)
        self._watched = Held(state["_watched"])

    def looks_at_batches(self, event: str) -> bool:
        """Whether it has a hook for each batch of "train", "test" or "predict"; without, many run at a time."""
        hooks = [f"on_{event}_batch_begin", f"on_{event}_batch_end"]
        hooks += ["on_batch_begin", "on_batch_end"] if event == "train" else []
        return any(getattr(getattr(self, hook), "__func__", None) is not getattr(Callback, hook) for hook in hooks)

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


class Held:
    """Gives what it holds, as a weak reference does what others hold."""

    def __init__(self, what: object) -> None:
        self._what = what

    def __call__(self) -> Any:
        return self._what


class CallbackList(Callback):
    """Passes every event on to each of several callbacks, in their order.

    Args:
        callbacks: a callback, a list of them that may hold lists, a `CallbackList`, or None.
        add_history: whether a `History` is put behind them where there is none.
        model, params: set on each of them.

    Attributes:
        callbacks: the list.
        around: entered while they have the say.
        history: the `History` in it, or None.

    Raises:
        ArgumentTypeError: one of them is not a `Callback`. ArgumentError: `add_progbar`, which is not supported.

    Example:
        >>> import fastnn
        >>> told = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
        >>> every = fastnn.callbacks.CallbackList([told, fastnn.callbacks.History()])
        >>> every.on_epoch_end(0, {"loss": 0.5})  # for loops of your own
        0 {'loss': 0.5}
    """

    def __init__(
        self,
        callbacks: Callback | Sequence[Callback] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: CallbackModel | None = None,
        **params: object,
    ) -> None:
        super().__init__()
        self.around: Callable[[], AbstractContextManager[None]] = nullcontext
        refuse("CallbackList", {"add_progbar": add_progbar}, {"add_progbar": False}, ("callbacks",))
        self.callbacks: list[Callback] = list(_flat(callbacks))
        self.history = next((callback for callback in self.callbacks if isinstance(callback, History)), None)
        if add_history and self.history is None:
            self.history = History()
            self.callbacks.append(self.history)
        self.set_params(params)
        if model is not None:
            self.set_model(model)

    def append(self, callback: Callback) -> None:
        """Puts one more behind the others."""
        self.callbacks.extend(_flat(callback))

    def set_params(self, params: Config) -> None:
        """Sets the parameters of this run on each of them."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: CallbackModel) -> None:
        """Sets the model of this run on each of them."""
        self._watched = weakref.ref(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def looks_at_batches(self, event: str) -> bool:
        """Whether any of them does."""
        return any(callback.looks_at_batches(event) for callback in self.callbacks)


def _flat(callbacks: object) -> Iterator[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, list | tuple):
        for callback in callbacks:
            yield from _flat(callback)
    elif isinstance(callbacks, Callback):
        yield callbacks
    else:
        raise ArgumentTypeError(
            f"callbacks: {callbacks!r} is not a fastnn.callbacks.Callback; "
            + ("give an object, not its class" if isinstance(callbacks, type) else "make its class inherit from it")
        )


def _forward(hook: str) -> Callable[..., None]:
    def each(self: CallbackList, *arguments: object) -> None:
        with self.around():
            for callback in self.callbacks:
                getattr(callback, hook)(*arguments)

    def of_run(self: CallbackList, logs: Logs = None) -> None:
        each(self, logs)

    def of_one(self: CallbackList, number: int, logs: Logs = None) -> None:  # an epoch, a batch
        each(self, number, logs)

    call = of_one if "epoch" in hook or "batch" in hook else of_run
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

    def __repr__(self) -> str:
        """How many epochs, and of each result the last and the best, where that is known."""
        count = len(self.epoch)
        parts = [f"{name} {values[-1]:.4g}{_best(name, values, self.epoch)}" for name, values in self._results()]
        return f"History of {count} epoch{'' if count == 1 else 's'}{': ' if parts else ''}{', '.join(parts)}"

    def _results(self) -> list[tuple[str, list[float]]]:
        return [(name, values) for name, values in self.history.items() if values and self.epoch]

    def _repr_html_(self) -> str:
        """The curves, or without matplotlib a table."""
        from .. import plotting

        if len(self.epoch) > 1:
            try:
                return plotting.svg(plotting.curves(self)) + f"<p>{html.escape(repr(self))}</p>"
            except FastnnError:  # it is not installed
                pass
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{values[0]:.4g}</td><td>{values[-1]:.4g}</td></tr>"
            for name, values in self._results()
        )
        head = "<tr><th></th><th>first</th><th>last</th></tr>"
        return f"<p>{html.escape(repr(self))}</p><table>{head}{rows}</table>"

    def looks_at_batches(self, event: str) -> bool:
        """No."""
        return False

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begins a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Notes the results."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


def _best(name: str, values: list[float], epochs: list[int]) -> str:
    """Where a loss was least, unless that is the last epoch."""
    finite = [(value, at) for at, value in enumerate(values[-len(epochs) :]) if math.isfinite(value)]
    if not name.endswith("loss") or not finite or (best := min(finite))[1] == len(epochs) - 1:
        return ""
    return f" (least {best[0]:.4g} in epoch {epochs[best[1]] + 1})"


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions of (epoch, logs).
        on_train_begin, on_train_end: functions of (logs).
        on_train_batch_begin, on_train_batch_end: functions of (batch, logs).
        kwargs: functions for the other hooks of `Callback`.

    Raises:
        ArgumentError: no such hook. ArgumentTypeError: not a function.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> tell = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print("epoch", epoch))
        >>> history = model.fit([[1.0]], [[1.0]], epochs=2, callbacks=[tell], verbose=0)
        epoch 0
        epoch 1
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., object] | None = None,
        on_epoch_end: Callable[..., object] | None = None,
        on_train_begin: Callable[..., object] | None = None,
        on_train_end: Callable[..., object] | None = None,
        on_train_batch_begin: Callable[..., object] | None = None,
        on_train_batch_end: Callable[..., object] | None = None,
        **kwargs: Callable[..., object] | None,
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
