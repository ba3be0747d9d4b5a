"""When an estimator's training ends, what it tells of each epoch, and which weights it keeps: scikit-learn's rules."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..callbacks import Callback
from ..core.arrays import Array

LEAST_RATE = 1e-6  # at which "adaptive" gives up


class Deadline:
    """The end of a time limit, in seconds; None never comes.

    Attributes:
        slice_seconds: how long steps may run between two looks at the clock.
    """

    def __init__(self, seconds: float | None, slice_seconds: float) -> None:
        self._end = math.inf if seconds is None else time.perf_counter() + seconds
        self._reserved = 0.0
        self.slice_seconds = slice_seconds if seconds is None else min(slice_seconds, seconds / 50)

    def passed(self) -> bool:
        """Whether it has come."""
        return self._end < math.inf and time.perf_counter() >= self._end - self._reserved

    @contextmanager
    def reserving(self) -> Iterator[None]:
        """What is done inside comes once more before the end: time for it is kept."""
        start = time.perf_counter()
        yield
        self._reserved = time.perf_counter() - start


class Stopping(Callback):
    """Keeps the results of an estimator, and ends its training.

    Args:
        estimator: what is fitted.
        told: the loss that logs tell.
        validate: gives the score and the loss of the rows held out; None where there are none.
        theta: gives the model's weights.
        deadline: when to end in any case. once: whether one epoch is all.
    """

    def __init__(
        self,
        estimator: Any,
        told: Callable[[dict[str, Any]], float],
        validate: Callable[[], tuple[float, float]] | None,
        theta: Callable[[], Array],
        deadline: Deadline,
        once: bool,
    ) -> None:
        super().__init__()
        self._estimator, self._told, self._validate, self._theta = estimator, told, validate, theta
        self._deadline, self._once = deadline, once
        self._watched_value = estimator.monitor or ("validation_score" if estimator.early_stopping else "loss")
        self._best: Array | None = None
        self._best_value = math.inf
        self._keeps = self._watched_value != "loss" or estimator.time_limit is not None
        if self._watched_value == "validation_score" and math.isfinite(estimator.best_validation_score_):
            self._best, self._best_value = theta().copy(), -estimator.best_validation_score_  # of the fit before
        self.ended = False  # before the last epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the results of an epoch; of one that the deadline cut short, only where it is the first."""
        estimator, whole = self._estimator, not (self.model.stop_training and self._deadline.passed())
        if not whole and epoch > 0:
            return
        assert logs is not None
        estimator.n_iter_ += 1
        estimator.loss_ = self._told(logs)
        estimator.t_ += estimator._rows_of_epoch
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if whole:
            self._count()
        rates = estimator._rates
        rates.epoch_ended(self.model.optimizer, estimator.t_)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self.ended = rates.exhausted(self.model.optimizer, self._message(), bool(estimator.verbose))
            if self.ended:
                self.model.stop_training = True
            else:
                estimator._no_improvement_count = 0
        if self._once or self._deadline.passed():
            self.ended = self.model.stop_training = True

    def _count(self) -> None:
        """Compares the epoch with the best so far, by more than `tol`."""
        estimator = self._estimator
        if self._validate is not None:
            with self._deadline.reserving():
                score, loss = self._validate()
            estimator.validation_scores_.append(score)
            estimator.validation_loss_curve_.append(loss)
            if estimator.verbose:
                print(f"Validation score: {score:f}")
        kept = self._best_value
        match self._watched_value:
            case "validation_score":
                worse = score < estimator.best_validation_score_ + estimator.tol
                value = -score
            case "validation_loss":
                worse = loss > kept - estimator.tol
                value = loss
            case _:
                worse = estimator.loss_ > estimator.best_loss_ - estimator.tol
                value = estimator.loss_
        if self._validate is not None and score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
        if estimator.best_loss_ is not None and estimator.loss_ < estimator.best_loss_:
            estimator.best_loss_ = estimator.loss_
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        if self._keeps and value < kept:
            self._best_value, self._best = value, self._theta().copy()

    def _message(self) -> str:
        what = {
            "loss": "Training loss", "validation_score": "Validation score", "validation_loss": "Validation loss",
        }[self._watched_value]  # fmt: skip
        estimator = self._estimator
        return (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive "
            "epochs."
        )

    def restore(self) -> None:
        """Brings back the weights of the best epoch, where one is kept."""
        if self._best is not None and (self._watched_value != "loss" or self._deadline.passed()):
            self._theta()[:] = self._best


class Rates:
    """How the learning rate follows epochs: "constant", "invscaling" or "adaptive".

    Args:
        schedule: which. initial: the rate of the first step. power: of "invscaling".
    """

    def __init__(self, schedule: str, initial: float, power: float) -> None:
        self._schedule, self._initial, self._power = schedule, initial, power

    def epoch_ended(self, optimizer: Any, rows: int) -> None:
        """Sets the rate after so many rows."""
        if self._schedule == "invscaling":
            optimizer.learning_rate = self._initial / (rows + 1) ** self._power

    def exhausted(self, optimizer: Any, message: str, verbose: bool) -> bool:
        """Whether to end where nothing improves any more; "adaptive" divides its rate by 5 before."""
        if self._schedule != "adaptive":
            end = " Stopping."
        elif optimizer.learning_rate <= LEAST_RATE:
            end = " Learning rate too small. Stopping."
        else:
            optimizer.learning_rate /= 5.0
            if verbose:
                print(f"{message} Setting learning rate to {optimizer.learning_rate:f}")
            return False
        if verbose:
            print(message + end)
        return True
