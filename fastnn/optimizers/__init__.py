"""Optimizers by name; their steps are in `core/steps.py`. A compiled model's optimizer is bound to its state."""

from __future__ import annotations

from typing import NoReturn

from ..core.declaration import absent, compiled, find, names, serialize
from . import schedules
from .adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from .base import Optimizer
from .descent import SGD, Lion
from .moments import Adam, Adamax, AdamW, Nadam

CLASSES: tuple[type[Optimizer], ...] = (SGD, RMSprop, Adagrad, Adam, AdamW, Adamax, Nadam, Adadelta, Lion, Ftrl)
NAMES: dict[str, type[Optimizer]] = {
    name: optimizer for optimizer in CLASSES for name in (optimizer.__name__, optimizer.__name__.lower())
}
_ABSENT = names("Adafactor Lamb Lars LossScaleOptimizer MultiOptimizer Muon ScheduleFreeAdamW")
UNSUPPORTED = _ABSENT | {name.lower() for name in _ABSENT}


def get(identifier: object) -> Optimizer:
    """The optimizer that a name, a config, a class or an `Optimizer` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a class of your own, or anything else.
    """
    result = find("optimizer", identifier, Optimizer, NAMES, UNSUPPORTED)
    compiled("optimizer", result, CLASSES)
    return result


def deserialize(config: object) -> Optimizer:
    """The optimizer of a dict that `serialize` gave; as `get`."""
    return get(config)


def __getattr__(name: str) -> NoReturn:
    if name == "legacy":
        raise AttributeError("optimizers.legacy of Keras 2 is not supported; its optimizers are in fastnn.optimizers")
    raise absent(__name__, name, UNSUPPORTED, [optimizer.__name__ for optimizer in CLASSES])


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
