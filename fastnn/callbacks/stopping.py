"""Callbacks that end a training: `EarlyStopping` where it no longer gets better, `TerminateOnNaN` where it broke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..core.arrays import Array
from ..core.declaration import number, refuse, whole
from ..core.printing import say
from ..errors import FastnnError
from .base import Callback, Logs
from .monitor import Monitor


class NonFiniteLossError(FastnnError, RuntimeError):
    """The loss of a training became NaN or infinite."""


class EarlyStopping(Monitor):
    """Ends a training that no longer gets better.

    Args:
        monitor: a key of the logs, such as "val_loss".
        min_delta: a smaller change is no improvement.
        patience: epochs without improvement that are allowed.
        verbose: 1 prints when it stops and what it restores.
        mode: "min", "max", or "auto" by the metric that `monitor` names.
        baseline: a value that must be beaten for the patience to begin anew.
        restore_best_weights: whether the model ends with the weights of its best epoch, also when it was not stopped.
        start_from_epoch: epochs before this one are not looked at.

    Raises:
        ArgumentError, ArgumentTypeError: an argument out of range, unknown, or of another type.

    Example:
        >>> import fastnn
        >>> X, y = fastnn.datasets.load_digits()
        >>> model = fastnn.Sequential([fastnn.layers.Dense(10, "softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> stop = fastnn.callbacks.EarlyStopping(patience=2, min_delta=1.0)
        >>> len(model.fit(X, y, epochs=50, validation_split=0.2, callbacks=[stop], verbose=0).epoch) < 50
        True
    """

    instead: ClassVar[Mapping[str, str]] = {"": "override on_epoch_end, and give the inherited one other logs"}

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
        **kwargs: object,
    ) -> None:
        where = "EarlyStopping"
        refuse(where, kwargs, {}, ("monitor", "min_delta", "patience", "mode", "baseline", "restore_best_weights"))
        super().__init__(monitor, mode, min_delta)
        self.patience = whole(where, "patience", patience, 0)
        self.verbose = verbose
        self.baseline = None if baseline is None else number(where, "baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = whole(where, "start_from_epoch", start_from_epoch, 0)
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begins anew, so that one object serves several trainings."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compares the epoch with the best one so far."""
        current = self.current(logs, "it cannot stop")
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.better(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.better(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Restores the best weights."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Ends a training at its first step whose loss is NaN or infinite; the weights are those after that step.

    The compiled steps look for it themselves, so a training that watches for NaN is as fast as one that does not.

    Args:
        raise_error: whether that is an error; else a line is printed and `fit` returns.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> watch = fastnn.callbacks.TerminateOnNaN()
        >>> history = model.fit([[1.0]], [[1e30]], epochs=9, verbose=0, callbacks=[watch])  # its square is too large
        Batch 0: the loss is inf, the training ends
        >>> len(history.epoch)
        1
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_nonfinite_loss(self, batch: int, loss: float) -> None:
        """Ends the training; `fit` calls it after the step in which the mean loss of the epoch became `loss`.

        Raises:
            NonFiniteLossError: where `raise_error`.
        """
        if self.raise_error:
            raise NonFiniteLossError(
                f"fit: the loss is {loss} at batch {batch}; a smaller learning rate, clipnorm=1.0 in the optimizer, "
                "or inputs of unit scale are the usual cures"
            )
        say(f"Batch {batch}: the loss is {loss}, the training ends")
        self.model.stop_training = True
