"""Learning-rate schedules: the rate of each step from the number of steps taken before it.

Rates are float64 by Python's `math`, step by step, so that they do not depend on where a slice of steps begins.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.absent import absent
from ..core.declaration import Config, Declaration, find, flag, names, number, serialize
from ..errors import ArgumentError, ArgumentTypeError


class LearningRateSchedule(Declaration):
    """Base class; one of your own has `__call__(step)`, which gives the rate after `step` steps, and for files
    `get_config`.

    Example:
        >>> import fastnn
        >>> class Halved(fastnn.optimizers.schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 * 0.5 ** (step // 100)
        ...
        >>> optimizer = fastnn.optimizers.SGD(Halved())
        >>> float(Halved()(250))
        0.025
    """

    calls = names("__call__")

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        raise NotImplementedError(f"{type(self).__name__}: a schedule needs __call__(self, step)")


class ExponentialDecay(LearningRateSchedule):
    """A rate that is multiplied by `decay_rate` every `decay_steps` steps.

    Math: initial_learning_rate * decay_rate^(step / decay_steps), the exponent rounded down if staircase.

    Args:
        initial_learning_rate, decay_rate: at least 0. decay_steps: positive.
        staircase: whether the rate falls in steps.
        name: what it is called.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
        >>> float(rate(0)), float(rate(100))
        (0.1, 0.05)
    """

    fields = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        where = type(self).__name__
        self.initial_learning_rate = number(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.decay_steps = number(where, "decay_steps", decay_steps, 0.0, ends="()")
        self.decay_rate = number(where, "decay_rate", decay_rate, 0.0)
        self.staircase = flag(where, "staircase", staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        return float(self.initial_learning_rate * self.decay_rate ** self._periods(step))

    def _periods(self, step: int) -> float:
        periods = step / self.decay_steps
        return math.floor(periods) if self.staircase else periods


class InverseTimeDecay(ExponentialDecay):
    """A rate that falls as one over the steps; with decay_steps=1 the `decay` of old Keras scripts.

    Math: initial_learning_rate / (1 + decay_rate * step / decay_steps), the quotient rounded down if staircase.

    Args:
        initial_learning_rate, decay_rate: at least 0. decay_steps: positive.
        staircase: whether the rate falls in steps.
        name: what it is called.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)
        >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 8)]
        [0.1, 0.0667, 0.05, 0.02]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        return self.initial_learning_rate / (1.0 + self.decay_rate * self._periods(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """A rate that changes after given steps.

    Math: values[i] for the first i with step <= boundaries[i], the last value after them.

    Args:
        boundaries: steps, ascending.
        values: rates, one more than boundaries.
        name: what it is called.

    Raises:
        ArgumentError: other lengths, or boundaries that do not ascend.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.PiecewiseConstantDecay([100], [0.1, 0.01])
        >>> float(rate(100)), float(rate(101))
        (0.1, 0.01)
    """

    fields = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        where = type(self).__name__
        self.boundaries = _numbers(where, "boundaries", boundaries, -math.inf)
        self.values = _numbers(where, "values", values, 0.0)
        steps = len(self.boundaries)
        if len(self.values) != steps + 1:
            raise ArgumentError(f"{where}: {len(self.values)} values for {steps} boundaries, expected {steps + 1}")
        if any(low >= high for low, high in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ArgumentError(f"{where}: boundaries are {self.boundaries}, expected ascending steps")
        self.name = name

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        return self.values[bisect_left(self.boundaries, step)]


class PolynomialDecay(LearningRateSchedule):
    """A rate that falls to `end_learning_rate` within `decay_steps` steps.

    Math: (initial_learning_rate - end_learning_rate) * (1 - step / n)^power + end_learning_rate. n = decay_steps and
    step <= n; if cycle, n is the first multiple of decay_steps that is not below step.

    Args:
        initial_learning_rate, end_learning_rate, power: at least 0. decay_steps: positive.
        cycle: whether the rate rises again after decay_steps.
        name: what it is called.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)
        >>> [round(float(rate(step)), 4) for step in (0, 50, 100, 200)]
        [0.1, 0.05, 0.0, 0.0]
    """

    fields = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        where = type(self).__name__
        self.initial_learning_rate = number(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.decay_steps = number(where, "decay_steps", decay_steps, 0.0, ends="()")
        self.end_learning_rate = number(where, "end_learning_rate", end_learning_rate, 0.0)
        self.power = number(where, "power", power, 0.0)
        self.cycle = flag(where, "cycle", cycle)
        self.name = name

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        periods = step / self.decay_steps
        left = 1.0 - (periods / max(1, math.ceil(periods)) if self.cycle else min(periods, 1.0))
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)


class CosineDecay(LearningRateSchedule):
    """A rate that falls along half a cosine, after rising linearly for `warmup_steps` if there is a warmup_target.

    Math: top * ((1 - alpha) * (1 + cos(pi * s / decay_steps)) / 2 + alpha), with s = min(step, decay_steps) and
    top = initial_learning_rate. With a warmup_target that is top, s counts from warmup_steps, and before them the rate
    is initial_learning_rate + (warmup_target - initial_learning_rate) * step / warmup_steps.

    Args:
        initial_learning_rate, alpha: at least 0. decay_steps: positive.
        name: what it is called.
        warmup_target: at least 0, or None: then warmup_steps count for nothing.
        warmup_steps: at least 0.

    Raises:
        ArgumentError: an argument out of range.

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
        >>> [round(float(rate(step)), 4) for step in (0, 5, 10, 60, 110)]
        [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    fields = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        where = type(self).__name__
        self.initial_learning_rate = number(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.decay_steps = number(where, "decay_steps", decay_steps, 0.0, ends="()")
        self.alpha = number(where, "alpha", alpha, 0.0)
        self.name = name
        self.warmup_target = None if warmup_target is None else number(where, "warmup_target", warmup_target, 0.0)
        self.warmup_steps = number(where, "warmup_steps", warmup_steps, 0.0)

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        top, since = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * (step / self.warmup_steps)
            top, since = self.warmup_target, step - self.warmup_steps
        return top * _cosine(min(since / self.decay_steps, 1.0), self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """A rate that falls along half a cosine and starts again, each time for longer.

    Math: initial_learning_rate * ((1 - alpha) * m_mul^i * (1 + cos(pi * s)) / 2 + alpha), where period i is
    first_decay_steps * t_mul^i long and s in [0, 1) is the part of it that has passed.

    Args:
        initial_learning_rate, m_mul, alpha: at least 0. first_decay_steps: positive. t_mul: at least 1.
        name: what it is called.

    Raises:
        ArgumentError: an argument out of range.

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.CosineDecayRestarts(0.1, first_decay_steps=10)
        >>> [round(float(rate(step)), 4) for step in (0, 5, 9, 10, 20, 29)]  # the second period is twice as long
        [0.1, 0.05, 0.0024, 0.1, 0.05, 0.0006]
    """

    fields = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        where = type(self).__name__
        self.initial_learning_rate = number(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.first_decay_steps = number(where, "first_decay_steps", first_decay_steps, 0.0, ends="()")
        self.t_mul = number(where, "t_mul", t_mul, 1.0)
        self.m_mul = number(where, "m_mul", m_mul, 0.0)
        self.alpha = number(where, "alpha", alpha, 0.0)
        self.name = name

    def __call__(self, step: int) -> float:
        """The learning rate after `step` steps."""
        periods = step / self.first_decay_steps
        restarts = self._restarts(periods)
        passed = (periods - self._begin(restarts)) / self.t_mul**restarts
        return self.initial_learning_rate * _cosine(passed, self.alpha, self.m_mul**restarts)

    def _begin(self, restarts: int) -> float:
        """Where a period begins, in lengths of the first one."""
        growth = self.t_mul - 1.0
        return (self.t_mul**restarts - 1.0) / growth if growth else float(restarts)

    def _restarts(self, periods: float) -> int:
        growth = self.t_mul - 1.0
        if not growth:
            return math.floor(periods)
        guess = math.floor(math.log(1.0 + periods * growth) / math.log(self.t_mul))
        return guess + (periods >= self._begin(guess + 1)) - (periods < self._begin(guess))  # a logarithm is rounded


def _numbers(where: str, name: str, given: Iterable[float], low: float) -> list[float]:
    if not isinstance(given, Iterable):
        raise ArgumentTypeError(f"{where}: {name} is {given!r}, expected a list of numbers")
    return [number(where, f"one of {name}", value, low) for value in given]


def _cosine(passed: float, alpha: float, height: float = 1.0) -> float:
    return (1.0 - alpha) * (0.5 * height * (1.0 + math.cos(math.pi * passed))) + alpha


CLASSES: tuple[type[LearningRateSchedule], ...] = (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
NAMES = {schedule.__name__: schedule for schedule in CLASSES}


def deserialize(config: LearningRateSchedule | Config) -> LearningRateSchedule:
    """The schedule that a dict of `serialize`, or a schedule, stands for.

    Raises:
        ArgumentError: a class that is not one of this module's. ArgumentTypeError: anything else.

    Example:
        >>> import fastnn
        >>> rate = fastnn.optimizers.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
        >>> saved = fastnn.optimizers.schedules.serialize(rate)
        >>> float(fastnn.optimizers.schedules.deserialize(saved)(100))
        0.05
    """
    if isinstance(config, Mapping) and "class_name" in config and config["class_name"] not in NAMES:
        raise ArgumentError(
            f'schedule "{config["class_name"]}" is not one of {", ".join(NAMES)}; for one of your own, load the model '
            "with compile=False and compile it again"
        )
    if not isinstance(config, Mapping | LearningRateSchedule):
        raise ArgumentTypeError(f"schedule: expected a dict of serialize or a schedule, got {config!r}")
    return find("schedule", config, LearningRateSchedule, NAMES)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, NAMES)


__all__ = [*sorted(NAMES), "LearningRateSchedule", "deserialize", "serialize"]
