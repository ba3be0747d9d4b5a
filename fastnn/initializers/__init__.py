"""How weights begin: distributions as Keras's, with the numbers of `core/random.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..core.absent import absent
from ..core.declaration import Config, Declaration, find, serialize
from ..errors import ArgumentTypeError
from .base import NAMES, Initializer
from .base import of_file as of_file
from .distributions import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from .values import Constant, Function, Ones, Unknown, Zeros

# Keras has each class under a second name too.
zeros, ones, constant = Zeros, Ones, Constant
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal

_SNAKE: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
}
NAMES |= {
    **_SNAKE,
    **{initializer.__name__: initializer for initializer in _SNAKE.values()},
    "zero": Zeros,
    "one": Ones,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "Unknown": Unknown,
}


def __getattr__(name: str) -> Any:
    return absent(__name__, name, _SNAKE)


InitializerLike: TypeAlias = str | Initializer | type[Initializer] | Callable[..., ArrayLike] | Config


def get(identifier: InitializerLike | None) -> Initializer:
    """The initializer that a name, a config, a class, an `Initializer` or a function stands for; None is
    GlorotUniform.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: anything else.

    Example:
        >>> import fastnn
        >>> fastnn.initializers.get("he_normal")
        HeNormal(seed=None)
        >>> fastnn.initializers.get("he_normall")
        Traceback (most recent call last):
            ...
        fastnn.errors.ArgumentError: initializer: unknown name "he_normall"; did you mean "he_normal"?
    """
    if identifier is None:
        return GlorotUniform()
    found: Any = identifier
    if isinstance(found, type) and not issubclass(found, Initializer):
        found = found()
    if callable(found) and not isinstance(found, Declaration | type):
        return Function(found)
    if isinstance(found, np.ndarray | list | tuple):
        raise ArgumentTypeError("initializer: expected a name or an initializer, got an array; give Constant(array)")
    return find("initializer", found, Initializer, NAMES, "initializers")


def as_json(value: object) -> Config:
    """What JSON has for an initializer that is not `portable`.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, Initializer):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return serialize(Unknown(value.called))


__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
