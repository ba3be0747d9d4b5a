"""What all optimizers share: a learning rate or its schedule, weight decay, clipping, and the state of one model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ..core.declaration import RENAMED, Config, Declaration, label, number, refuse, serialize
from ..core.plan import Counter, Scalar
from ..core.specs import OptimizerSpec
from ..errors import ArgumentError, ArgumentTypeError
from . import schedules
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from ..core.state import State

COMMON = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "name")

_KERAS = {
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
_CLIPS = {"clipnorm": "norm", "clipvalue": "value", "global_clipnorm": "global_norm"}


class Rate(float):
    """A learning rate of an optimizer: a number, with what Keras's variables have."""

    __slots__ = ("_optimizer",)
    _optimizer: Optimizer

    @staticmethod
    def of(value: float, optimizer: Optimizer) -> Rate:
        """That of an optimizer."""
        rate = Rate(value)
        rate._optimizer = optimizer
        return rate

    def __reduce__(self) -> Any:
        return float, (float(self),)

    def numpy(self) -> float:
        """It as a plain number."""
        return float(self)

    def assign(self, value: float) -> None:
        """Sets `learning_rate` of its optimizer."""
        self._optimizer.learning_rate = value


class Optimizer(Declaration):
    """Base class: a learning rate, decoupled weight decay, clipped gradients, and once compiled the state of one model.

    Args:
        learning_rate: the step size, at least 0, or a `schedules.LearningRateSchedule`.
        weight_decay: theta loses learning_rate * weight_decay of itself before each step; None or 0 for none.
        clipnorm: the gradient of each weight array is scaled down to at most this L2 norm.
        clipvalue: each element of the gradient is brought into [-clipvalue, clipvalue].
        global_clipnorm: the gradient of all weights together is scaled down to at most this L2 norm.
        name: what it is called.

    Raises:
        ArgumentError: a hyper-parameter out of range, two ways to clip, an unknown or an unsupported argument.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
        >>> model.compile(fastnn.optimizers.SGD(0.1, clipnorm=1.0), "mse")
        >>> loss = model.train_on_batch([[1.0]], [[2.0]])
        >>> model.optimizer.iterations
        1
        >>> model.optimizer.learning_rate = 0.01  # from the next step on
    """

    instead: ClassVar[Mapping[str, str]] = {
        "": "steps are compiled: use one of fastnn.optimizers, and a schedule as its learning rate"
    }
    unsupported: ClassVar[dict[str, object]] = {}
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    _state: State | None = None

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        where = type(self).__name__
        if "decay" in kwargs:
            raise ArgumentError(
                f'{where}: unknown argument "decay"; for a rate that falls as lr / (1 + decay * step) give '
                "learning_rate=schedules.InverseTimeDecay(lr, 1, decay)"
            )
        defaults = _KERAS | self.unsupported
        refuse(where, kwargs, defaults, (*self.fields, *defaults))
        self._rate = _rate(where, learning_rate)
        self.weight_decay = None if weight_decay is None else number(where, "weight_decay", weight_decay, 0.0)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [clip for clip, limit in clips.items() if limit is not None]
        if len(given) > 1:
            raise ArgumentError(f"{where}: {' and '.join(given)} are given, expected one way to clip gradients")
        for clip, limit in clips.items():
            setattr(self, clip, None if limit is None else number(where, clip, limit, 0.0, ends="()"))
        self.name = label(where, name, where.lower())
        self._excluded: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        if name in RENAMED:
            raise AttributeError(self._no_attribute(name))
        if self._state is not None and name in self.fields and name != "learning_rate":
            raise ArgumentError(
                f"{type(self).__name__}: {name} is fixed once a model is compiled; compile again to change it"
            )
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(self._no_attribute(name))

    def _no_attribute(self, name: str) -> str:
        cure = f"; it is called {RENAMED[name]}" if name in RENAMED else ""
        return f"{type(self).__name__!r} object has no attribute {name!r}{cure}"

    @property
    def learning_rate(self) -> float:
        """The size of the next step; setting it takes effect from that step on.

        Raises:
            ArgumentTypeError: setting it where a schedule does.
        """
        return Rate.of(self._rate_now(), self)

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        where = type(self).__name__
        if self.scheduled:
            raise ArgumentTypeError(
                f"{where}: learning_rate comes from {self._rate!r} and cannot be set; make the optimizer with a number"
            )
        self._rate = _rate(where, value)
        if self._state is not None and not isinstance(self._rate, LearningRateSchedule):
            self._state.scalars[Scalar.LEARNING_RATE] = self._rate

    def _rate_now(self) -> float:
        if isinstance(self._rate, LearningRateSchedule):
            return self._scheduled(self._rate, self.iterations)
        return self._rate if self._state is None else float(self._state.scalars[Scalar.LEARNING_RATE])

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate comes from a schedule."""
        return isinstance(self._rate, LearningRateSchedule)

    @property
    def iterations(self) -> int:
        """The steps taken."""
        return 0 if self._state is None else int(self._state.counters[Counter.STEP])

    def rates(self, first_step: int, count: int) -> npt.NDArray[np.float64] | None:
        """The learning rates of `count` steps, of which the first comes after `first_step` others; None without a
        schedule.

        Raises:
            ArgumentError: the schedule gives NaN, infinity or less than 0.
        """
        if not isinstance(self._rate, LearningRateSchedule):
            return None
        steps = range(first_step, first_step + count)
        return np.fromiter((self._scheduled(self._rate, step) for step in steps), np.float64, count)

    def _scheduled(self, schedule: LearningRateSchedule, step: int) -> float:
        try:
            rate = schedule(step)
        except OverflowError:
            rate = math.inf
        return number(type(schedule).__name__, f"the learning rate of step {step}", rate, 0.0)

    def exclude_from_weight_decay(
        self, var_list: Iterable[ArrayLike] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leaves parameters out of the weight decay; call it before `compile`.

        Args:
            var_list: not supported.
            var_names: every parameter whose path, such as "dense/bias", contains one of these is left out.

        Raises:
            ArgumentError: after `compile`, or with var_list.
        """
        where = f"{type(self).__name__}.exclude_from_weight_decay"
        if var_list is not None:
            raise ArgumentError(f'{where}: var_list is not supported; give names such as var_names=["bias"]')
        if self._state is not None:
            raise ArgumentError(f"{where}: call it before compile")
        names = [var_names] if isinstance(var_names, str) else list(var_names or ())
        if not all(isinstance(name, str) for name in names):
            raise ArgumentTypeError(f"{where}: var_names is {var_names!r}, expected names of parameters")
        self._excluded = tuple(names)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What `exclude_from_weight_decay` was given."""
        return self._excluded

    def decays(self, path: str) -> bool:
        """Whether weight decay applies to the parameter of this path."""
        return not any(name in path for name in self._excluded)

    def get_config(self) -> Config:
        """The arguments that make an equal object, a schedule as a dict."""
        config = super().get_config()
        if isinstance(self._rate, LearningRateSchedule):
            config["learning_rate"] = serialize(self._rate)
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The object that `config` describes."""
        given = dict(config)
        if isinstance(given.get("learning_rate"), Mapping):
            given["learning_rate"] = schedules.deserialize(given["learning_rate"])
        return cls(**given)

    def spec(self) -> OptimizerSpec:
        """What `Lowering.finish` takes."""
        name, constants = self._step()
        limits = {kind: getattr(self, clip) for clip, kind in _CLIPS.items()}
        clip, limit = next(((kind, limit) for kind, limit in limits.items() if limit is not None), ("", 0.0))
        return OptimizerSpec(name, constants, self.weight_decay or 0.0, self._initial(), clip, limit)

    def bind(self, state: State) -> None:
        """Makes `state` hold the learning rate and the steps from now on.

        Raises:
            ArgumentError: it drives another model already.
        """
        rate = self._rate_now()
        self._state = state
        state.scalars[Scalar.LEARNING_RATE] = rate

    def release(self) -> None:
        """Makes it drive no model; it keeps its learning rate."""
        if not self.scheduled:
            self._rate = self._rate_now()
        self._state = None

    def bound_to(self, state: State | None) -> bool:
        """Whether it is free, or drives the model of `state`."""
        return self._state is None or self._state is state

    def __getstate__(self) -> dict[str, object]:
        """A copy drives no model until it is bound, and begins at this learning rate, or with the whole schedule."""
        state = {name: value for name, value in vars(self).items() if name != "_state"}
        return state if self.scheduled else state | {"_rate": self._rate_now()}

    def _step(self) -> tuple[str, tuple[float, ...]]:
        raise NotImplementedError

    def _initial(self) -> tuple[float, ...]:
        """What its slots begin with; () is zeros."""
        return ()


def _rate(where: str, value: object) -> float | LearningRateSchedule:
    if isinstance(value, LearningRateSchedule):
        return value
    if callable(value):
        raise ArgumentError(
            f"{where}: learning_rate is {value!r}, expected a number or a schedule; for a function, make a subclass of "
            "schedules.LearningRateSchedule with __call__(self, step)"
        )
    return number(where, "learning_rate", value, 0.0)
