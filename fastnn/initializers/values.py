"""Initializers that draw nothing: numbers and arrays, and functions of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.arrays import Array, numeric
from ..core.declaration import Config, number
from ..errors import ArgumentError
from .base import Draw, Initializer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_DESCRIBED = 1000  # elements of an array that a config in a file may have


class Zeros(Initializer):
    """All 0.

    Example:
        >>> import fastnn
        >>> print(fastnn.initializers.Zeros()((3,)))
        [0. 0. 0.]
    """

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        return np.zeros(draw.size)


class Ones(Initializer):
    """All 1.

    Example:
        >>> import fastnn
        >>> print(fastnn.initializers.Ones()((3,)))
        [1. 1. 1.]
    """

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        return np.ones(draw.size)


class Constant(Initializer):
    """All one value, or given values.

    Args:
        value: a finite number, or an array of them that broadcasts to the parameter.

    Raises:
        ArgumentError: not finite; used: it does not broadcast. ArgumentTypeError: not real numbers.

    Example:
        >>> import fastnn
        >>> print(fastnn.initializers.Constant([1.0, 2.0])((3, 2)))  # broadcast over the rows
        [[1. 2.]
         [1. 2.]
         [1. 2.]]
    """

    fields = ("value",)

    def __init__(self, value: ArrayLike = 0.0) -> None:
        self.value: float | Array
        if not isinstance(value, list | tuple) and not getattr(value, "shape", ()) and not hasattr(value, "to_numpy"):
            self.value = number("Constant", "value", value)
            return
        self.value = np.array(numeric(value, "Constant: value"), np.float64)
        if not np.isfinite(self.value).all():
            raise ArgumentError("Constant: value has NaN or infinity, expected finite numbers")

    def get_config(self) -> Config:
        """The arguments that make an equal object."""
        return {"value": self.value if isinstance(self.value, float) else self.value.tolist()}

    @property
    def called(self) -> str:
        """What messages call it."""
        return f"Constant of shape {np.shape(self.value)}"

    @property
    def portable(self) -> bool:
        """Whether its config says all, so that a file can hold it."""
        return super().portable and np.size(self.value) <= _DESCRIBED

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        try:
            return draw.part(np.broadcast_to(self.value, shape))
        except ValueError:
            raise ArgumentError(f"Constant: value has shape {np.shape(self.value)}, the parameter {shape}") from None


class Function(Initializer):
    """A function of the caller's, called as `function(shape, dtype=dtype)`."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def __call__(self, shape: tuple[int, ...], dtype: npt.DTypeLike | None = None, **keys: int) -> Any:
        """What the function gives for the shape and the dtype."""
        return self.function(shape, dtype=dtype)

    @property
    def called(self) -> str:
        """What messages call it."""
        return str(getattr(self.function, "__name__", None) or type(self.function).__name__)


class Unknown(Initializer):
    """Stands in a file for what none can hold: the caller's Python code, a large array.

    Args:
        name: what it was.
    """

    fields = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        raise ArgumentError(
            f"initializer: {self.name} is not in the file or text that the layer came from; make the layer with "
            "another one"
        )
