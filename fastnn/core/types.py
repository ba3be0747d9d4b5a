"""The types that signatures name beside NumPy's: what data may be, and what comes back.

Those of one family stand with it, such as `initializers.InitializerLike`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arrays import Array
from .symbolic import Mean, Operand, Tensor

# An array, a list or a data frame; of several inputs or outputs a list of them, which to a checker are objects where
# their dtypes differ, or a dict by name.
Arrays: TypeAlias = ArrayLike | Sequence[Any] | Mapping[str, Any]
ValidationData: TypeAlias = tuple[Arrays, Arrays | None] | tuple[Arrays, Arrays | None, Arrays | None] | list[Arrays]
ClassWeight: TypeAlias = Mapping[int, float]
Verbose: TypeAlias = int | Literal["auto"]
Sizes: TypeAlias = int | Sequence[int | None]  # a shape
# Symbolic tensors as models and layers take them.
Tensors: TypeAlias = Operand | Sequence[Operand] | Mapping[str, Operand]
# Classes of the caller's by their names, which files name.
CustomObjects: TypeAlias = Mapping[str, type]
# Of a function, by their names.
Arguments: TypeAlias = dict[str, Any]

# What comes back: an argument or the model says which of several types it is, so that the caller knows. A checker takes
# each for Any, since nobody could write `loss, accuracy = model.evaluate(X, y)` if every call had to be narrowed.
if TYPE_CHECKING:
    ArrayOrTensor: TypeAlias = Any
    Outputs: TypeAlias = Any
    Shapes: TypeAlias = Any
    Predictions: TypeAlias = Any
    Scores: TypeAlias = Any
    Gradients: TypeAlias = Any
    LossValue: TypeAlias = Any
    LayerOrModel: TypeAlias = Any
    TrainedModel: TypeAlias = Any
else:
    ArrayOrTensor = Array | Tensor  # of arrays an array, of symbolic tensors one
    Outputs = Array | Tensor | list[Array] | list[Tensor] | dict[str, Array] | dict[str, Tensor]
    Shapes = tuple[int | None, ...] | list[tuple[int | None, ...]] | dict[str, tuple[int | None, ...]]
    Predictions = Array | list[Array] | dict[str, Array]
    Scores = float | list[float] | dict[str, float]
    Gradients = dict[str, Array] | tuple[dict[str, Array], Array | list[Array]]
    LossValue = np.floating | Array | Tensor | Mean
    LayerOrModel = "Layer | Sequential | Model"
    TrainedModel = "Sequential | Model"


class NamedLayerArguments(TypedDict, total=False):
    """What every layer takes, as `Layer` says."""

    name: str | None
    dtype: DTypeLike | None
    trainable: bool
    input_shape: Sequence[int]
    batch_input_shape: Sequence[int | None]


class LayerArguments(NamedLayerArguments, total=False):
    """That, and what all but `Embedding` have no other use for."""

    input_dim: int


class LossArguments(TypedDict, total=False):
    """What every loss takes, as `Loss` says."""

    reduction: str | None
    name: str | None


class ClippingArguments(TypedDict, total=False):
    """What every optimizer takes, as `Optimizer` says."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    name: str | None


class OptimizerArguments(ClippingArguments, total=False):
    """That, and what only `AdamW` has in another place."""

    weight_decay: float | None
