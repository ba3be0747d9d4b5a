"""Losses by name, and of arrays; what they compute is in `core/losses.py` and each backend's `softmax.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..core.absent import absent
from ..core.arrays import Array
from ..core.declaration import Config, compiled, find, serialize
from ..core.symbolic import Tensor
from ..errors import ArgumentError
from .base import Loss
from .classification import (
    BCE,
    KLD,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    kl_divergence,
    kld,
    kullback_leibler_divergence,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .regression import (
    MAE,
    MAPE,
    MSE,
    MSLE,
    CosineSimilarity,
    Huber,
    LogCosh,
    Lp,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    PoissonDeviance,
    Quantile,
    cosine_similarity,
    huber,
    log_cosh,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    poisson,
)

FUNCTIONS: dict[Callable[..., Array | Tensor], type[Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    huber: Huber,
    log_cosh: LogCosh,
    poisson: Poisson,
    cosine_similarity: CosineSimilarity,
    kl_divergence: KLDivergence,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    hinge: Hinge,
    squared_hinge: SquaredHinge,
    categorical_hinge: CategoricalHinge,
}
CLASSES: tuple[type[Loss], ...] = (*FUNCTIONS.values(), Lp, PoissonDeviance, Quantile)
NAMES: dict[str, type[Loss]] = {
    name: loss for loss in CLASSES for name in (loss.__name__, loss.spec_name, *loss.aliases) if name
}
LossLike: TypeAlias = str | Loss | type[Loss] | Callable[..., Array | Tensor] | Config


def get(identifier: LossLike | Sequence[LossLike] | None) -> Loss:
    """The loss that a name, a function of this module, a config, a class or a `Loss` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or a class of your own, or anything else.

    Example:
        >>> import fastnn
        >>> fastnn.losses.get("huber").delta
        1.0
        >>> fastnn.losses.get("mse").name
        'mean_squared_error'
    """
    if isinstance(identifier, list | tuple) and len(identifier) == 1:
        identifier = identifier[0]
    if identifier is None:
        raise ArgumentError('compile: loss is missing; give one such as loss="mse"')
    identifier = next((loss for function, loss in FUNCTIONS.items() if function is identifier), identifier)
    result = find("loss", identifier, Loss, NAMES, "losses")
    compiled("loss", result, CLASSES)
    return result


def deserialize(config: LossLike) -> Loss:
    """The loss of a dict that `serialize` gave; as `get`.

    Example:
        >>> import fastnn
        >>> saved = fastnn.losses.serialize(fastnn.losses.Huber(delta=2.0))
        >>> fastnn.losses.deserialize(saved).delta
        2.0
    """
    return get(config)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, [loss.__name__ for loss in CLASSES])


__all__ = [
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "Lp",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "PoissonDeviance",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
