"""Optimizers by name; their steps are in `core/formulas.py`. A compiled model's optimizer is bound to its state."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.declaration import absent, compiled, find, names, number, refuse, serialize
from . import schedules
from .base import COMMON, Optimizer
from .schedules import LearningRateSchedule


class SGD(Optimizer):
    """Gradient descent, plain, with momentum, or with Nesterov momentum.

    Math: theta -= lr g; or m = mu m - lr g, theta += m; or m = mu m - lr g, theta += mu m - lr g.

    Args:
        learning_rate: lr, at least 0, or a schedule.
        momentum: mu in [0, 1].
        nesterov: whether the last form.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.
    """

    fields = ("learning_rate", "momentum", "nesterov", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = number("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        if self.momentum == 0.0:
            return "sgd", ()
        return "nesterov" if self.nesterov else "momentum", (self.momentum,)


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient.

    Math: v = rho v + (1 - rho) g^2; theta -= lr g / sqrt(v + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        rho: in [0, 1).
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: T. Tieleman, G. Hinton, Neural networks for machine learning, lecture 6.5, 2012.
    """

    fields = ("learning_rate", "rho", "epsilon", *COMMON)
    unsupported: ClassVar[dict[str, Any]] = {"centered": False}

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        refuse("RMSprop", {"momentum": momentum}, {"momentum": 0.0}, self.fields)
        super().__init__(learning_rate, **kwargs)
        self.rho = number("RMSprop", "rho", rho, 0.0, 1.0, "[)")
        self.epsilon = number("RMSprop", "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "rmsprop", (self.rho, self.epsilon)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    Math: v = v + g^2, from v = initial_accumulator_value; theta -= lr g / sqrt(v + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        initial_accumulator_value: at least 0.
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011.
    """

    fields = ("learning_rate", "initial_accumulator_value", "epsilon", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = number("Adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0)
        self.epsilon = number("Adagrad", "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adagrad", (self.epsilon,)

    def _initial(self) -> float:
        return self.initial_accumulator_value


class Adam(Optimizer):
    """Steps from running means of the gradient and of its square.

    Math: m += (1 - b1)(g - m); v += (1 - b2)(g^2 - v); theta -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        beta_1, beta_2: in [0, 1).
        epsilon: at least 0; it comes before the correction of the means, unlike PyTorch's.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, end of section 2.
    """

    fields = ("learning_rate", "beta_1", "beta_2", "epsilon", *COMMON)
    unsupported: ClassVar[dict[str, Any]] = {"amsgrad": False}

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        where = type(self).__name__
        self.beta_1 = number(where, "beta_1", beta_1, 0.0, 1.0, "[)")
        self.beta_2 = number(where, "beta_2", beta_2, 0.0, 1.0, "[)")
        self.epsilon = number(where, "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adam", (self.beta_1, self.beta_2, self.epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay of 0.004, on biases too unless `exclude_from_weight_decay` names them.

    Math: theta -= lr weight_decay theta, then the step of Adam.

    Args:
        learning_rate: lr, at least 0, or a schedule.
        weight_decay: at least 0.
        beta_1, beta_2, epsilon: as Adam.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    fields = ("learning_rate", "beta_1", "beta_2", "epsilon", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, **kwargs)


CLASSES: tuple[type[Optimizer], ...] = (SGD, RMSprop, Adagrad, Adam, AdamW)
NAMES: dict[str, type[Optimizer]] = {
    name: optimizer for optimizer in CLASSES for name in (optimizer.__name__, optimizer.__name__.lower())
}
_ABSENT = names(
    "Adadelta Adafactor Adamax Ftrl Lamb Lars Lion LossScaleOptimizer MultiOptimizer Muon Nadam ScheduleFreeAdamW"
)
UNSUPPORTED = _ABSENT | {name.lower() for name in _ABSENT}


def get(identifier: Any) -> Optimizer:
    """The optimizer that a name, a config, a class or an `Optimizer` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a class of your own, or anything else.
    """
    result: Optimizer = find("optimizer", identifier, Optimizer, NAMES, UNSUPPORTED)
    compiled("optimizer", result, CLASSES)
    return result


def deserialize(config: Any) -> Optimizer:
    """The optimizer of a dict that `serialize` gave; as `get`."""
    return get(config)


def __getattr__(name: str) -> Any:
    if name == "legacy":
        raise AttributeError("optimizers.legacy of Keras 2 is not supported; its optimizers are in fastnn.optimizers")
    raise absent(__name__, name, UNSUPPORTED, [optimizer.__name__ for optimizer in CLASSES])


__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
