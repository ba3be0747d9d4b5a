"""Optimizers by name; their steps are in `core/steps.py`. A compiled model's optimizer is bound to its state."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..core.absent import absent
from ..core.declaration import Config, compiled, find, serialize
from . import schedules
from .adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from .base import Optimizer
from .descent import SGD, Lion
from .moments import Adam, Adamax, AdamW, Nadam

CLASSES: tuple[type[Optimizer], ...] = (SGD, RMSprop, Adagrad, Adam, AdamW, Adamax, Nadam, Adadelta, Lion, Ftrl)
NAMES: dict[str, type[Optimizer]] = {
    name: optimizer for optimizer in CLASSES for name in (optimizer.__name__, optimizer.__name__.lower())
}

OptimizerLike: TypeAlias = str | Optimizer | type[Optimizer] | Config


def get(identifier: OptimizerLike) -> Optimizer:
    """The optimizer that a name, a config, a class or an `Optimizer` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a class of your own, or anything else.

    Example:
        >>> import fastnn
        >>> float(fastnn.optimizers.get("adam").learning_rate)
        0.001
        >>> fastnn.optimizers.get("adamm")
        Traceback (most recent call last):
            ...
        fastnn.errors.ArgumentError: optimizer: unknown name "adamm"; did you mean "adam"?
    """
    result = find("optimizer", identifier, Optimizer, NAMES, "optimizers")
    compiled("optimizer", result, CLASSES)
    return result


def deserialize(config: OptimizerLike) -> Optimizer:
    """The optimizer of a dict that `serialize` gave; as `get`.

    Example:
        >>> import fastnn
        >>> saved = fastnn.optimizers.serialize(fastnn.optimizers.SGD(0.1, momentum=0.9))
        >>> fastnn.optimizers.deserialize(saved).momentum
        0.9
    """
    return get(config)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, [optimizer.__name__ for optimizer in CLASSES])


__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
