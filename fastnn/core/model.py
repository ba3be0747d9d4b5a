"""What layers, callbacks and the engine may ask of a model, so that none of them imports the class that answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import ArrayLike

from .arrays import Array


class LayerOwner(Protocol):
    """The model that a layer is part of, which holds its weights."""

    @property
    def trainable(self) -> bool:
        """Whether training changes weights at all."""

    @property
    def built(self) -> bool:
        """Whether the input shape is known."""

    @property
    def dtype(self) -> str:
        """Of the weights: "float32" or "float64"."""

    def parameters_of(self, layer: Any) -> list[Array]:
        """Views of the parameters of one layer."""

    def copies_of(self, layer: Any) -> list[Array]:
        """Copies of the parameters of one layer, all of one step."""

    def assign(self, layers: Sequence[Any], values: Sequence[ArrayLike], where: str, part: slice = slice(None)) -> None:
        """Sets the parameters of layers, or a part of them, to arrays, after checking all of these."""

    def engine(self) -> Any:
        """The plan and state of the model, with its backend."""


class CallbackModel(Protocol):
    """The model that a callback watches."""

    stop_training: bool

    @property
    def optimizer(self) -> Any:
        """The optimizer, or None."""

    @property
    def metrics(self) -> Sequence[Any]:
        """The metrics of `compile`."""

    def get_weights(self) -> list[Array]:
        """Copies of all parameters."""

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all parameters."""

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the model to a file."""

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes what the model has learned to a file."""
