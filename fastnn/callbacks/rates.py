"""Callbacks that change the learning rate from epoch to epoch; `optimizers.schedules` changes it from step to step."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from ..core.declaration import number, refuse, whole
from ..core.printing import say
from ..errors import ArgumentTypeError
from .base import Callback, Logs
from .monitor import Monitor


class ReduceLROnPlateau(Monitor):
    """Makes the learning rate smaller when the training no longer gets better.

    Math: lr = max(factor lr, min_lr) after `patience` epochs without improvement.

    Args:
        monitor: a key of the logs, such as "val_loss".
        factor: in (0, 1).
        patience: epochs without improvement that are allowed.
        verbose: 1 prints each change.
        mode: "min", "max", or "auto" by the metric that `monitor` names.
        min_delta: a smaller change is no improvement.
        cooldown: epochs after a change that are not counted.
        min_lr: the smallest rate.

    Raises:
        ArgumentError, ArgumentTypeError: an argument out of range, unknown, or of another type.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: object,
    ) -> None:
        where = "ReduceLROnPlateau"
        refuse(where, kwargs, {}, ("monitor", "factor", "patience", "mode", "min_delta", "cooldown", "min_lr"))
        super().__init__(monitor, mode, min_delta)
        self.factor = number(where, "factor", factor, 0.0, 1.0, "()")
        self.patience = whole(where, "patience", patience, 0)
        self.verbose = verbose
        self.cooldown = whole(where, "cooldown", cooldown, 0)
        self.min_lr = number(where, "min_lr", min_lr, 0.0)
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether the last change is too recent for another."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begins anew, so that one object serves several trainings."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Adds the rate of this epoch to the logs, and reduces it where that is due."""
        logs = {} if logs is None else logs
        optimizer = self.model.optimizer
        logs["learning_rate"] = rate = optimizer.learning_rate
        current = self.current(logs, "the learning rate stays")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(current, self.best):
            self.best, self.wait = current, 0
            return
        if self.in_cooldown():
            return
        self.wait += 1
        if self.wait < self.patience or rate <= self.min_lr:
            return
        optimizer.learning_rate = reduced = max(rate * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose > 0:
            say(f"Epoch {epoch + 1}: the learning rate is {reduced:g} from here on")


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch.

    Args:
        schedule: a function of (epoch, learning_rate), or of (epoch), that gives the rate; epochs count from 0.
        verbose: 1 prints each rate.

    Raises:
        ArgumentTypeError: `schedule` is no function, or gives what is no number. ArgumentError: a negative rate.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
        >>> model.compile(fastnn.optimizers.SGD(0.5), "mse")
        >>> halved = fastnn.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        >>> history = model.fit([[1.0]], [[1.0]], epochs=3, callbacks=[halved], verbose=0)
        >>> float(model.optimizer.learning_rate)
        0.0625
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise ArgumentTypeError(f"LearningRateScheduler: schedule is {schedule!r}, expected a function of (epoch)")
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Sets the rate."""
        optimizer = self.model.optimizer
        given = self.schedule(epoch, optimizer.learning_rate) if self._takes_rate else self.schedule(epoch)
        rate = number("LearningRateScheduler", f"the rate that schedule gave for epoch {epoch}", given, 0.0)
        optimizer.learning_rate = rate
        if self.verbose > 0:
            say(f"Epoch {epoch + 1}: the learning rate is {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Adds the rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


def _takes_two(function: Callable[..., object]) -> bool:
    """Whether a function can be called with two arguments."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except (TypeError, ValueError):  # ValueError: some functions written in C have no signature
        return False
    return True
