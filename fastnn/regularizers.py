"""Penalties on weights that are added to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from .core.absent import absent
from .core.declaration import Config, Declaration, find, number
from .core.specs import Penalty


class Regularizer(Declaration):
    """Base class: l1 sum|w| + l2 sum(w^2)."""

    instead: ClassVar[Mapping[str, str]] = {"": "steps are compiled: use L1, L2 or L1L2"}

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        where = type(self).__name__
        self.l1, self.l2 = number(where, "l1", l1, 0.0), number(where, "l2", l2, 0.0)

    def penalty(self) -> Penalty:
        """What `Lowering.dense` takes."""
        return Penalty(self.l1, self.l2)


class L1(Regularizer):
    """Math: l1 sum|w|, with abs'(0) = 0.

    Args:
        l1: the factor, at least 0.

    Raises:
        ArgumentError: a negative factor.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, kernel_initializer="ones", kernel_regularizer=fastnn.regularizers.L1(0.1))
        >>> model = fastnn.Sequential([fastnn.Input((3,)), layer])
        >>> model.compile(loss="mse")
        >>> round(model.evaluate([[0.0, 0.0, 0.0]], [[0.0]], verbose=0), 4)  # 0.1 (1 + 1 + 1)
        0.3
    """

    fields = ("l1",)

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(Regularizer):
    """Math: l2 sum(w^2).

    Args:
        l2: the factor, at least 0.

    Raises:
        ArgumentError: a negative factor.

    Example:
        >>> import fastnn
        >>> twos = fastnn.initializers.Constant(2.0)
        >>> layer = fastnn.layers.Dense(1, kernel_initializer=twos, kernel_regularizer="l2")
        >>> model = fastnn.Sequential([fastnn.Input((3,)), layer])
        >>> model.compile(loss="mse")
        >>> round(model.evaluate([[0.0, 0.0, 0.0]], [[0.0]], verbose=0), 4)  # 0.01 (4 + 4 + 4)
        0.12
    """

    fields = ("l2",)

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


class L1L2(Regularizer):
    """Math: l1 sum|w| + l2 sum(w^2).

    Args:
        l1, l2: the factors, at least 0.

    Raises:
        ArgumentError: a negative factor.

    Example:
        >>> import fastnn
        >>> elastic = fastnn.regularizers.L1L2(l1=0.01, l2=0.1)
        >>> fastnn.layers.Dense(8, kernel_regularizer=elastic).kernel_regularizer.get_config()
        {'l1': 0.01, 'l2': 0.1}
    """

    fields = ("l1", "l2")


l1, l2, l1_l2 = L1, L2, L1L2

NAMES: dict[str, type[Regularizer]] = {
    "L1": L1,
    "L2": L2,
    "L1L2": L1L2,
    "l1": L1,
    "l2": L2,
    "l1l2": L1L2,
}


def __getattr__(name: str) -> Any:
    return absent(__name__, name, ("L1", "L2", "L1L2"))


RegularizerLike: TypeAlias = str | Regularizer | type[Regularizer] | Config


def get(identifier: RegularizerLike | None) -> Regularizer | None:
    """The regularizer that a name, a config or a `Regularizer` stands for; None is none.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or anything else.

    Example:
        >>> import fastnn
        >>> fastnn.regularizers.get("l2").l2
        0.01
        >>> print(fastnn.regularizers.get(None))
        None
    """
    if identifier is None:
        return None
    return find("regularizer", identifier, Regularizer, NAMES, "regularizers")


__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]
