"""Metrics by name, and of arrays; what they compute is in each backend, and here how their sums become a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from .. import losses
from ..core.absent import absent
from ..core.arrays import Array
from ..core.declaration import Config, compiled, find, serialize
from ..core.symbolic import Tensor
from ..losses import (
    BCE,
    KLD,
    MAE,
    MAPE,
    MSE,
    MSLE,
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    kld,
    kullback_leibler_divergence,
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
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
from .base import Metric
from .means import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    LossMetric,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .r2 import R2Score

FUNCTIONS: tuple[Callable[..., Array], ...] = (binary_accuracy, categorical_accuracy, sparse_categorical_accuracy)
CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    MeanSquaredError,
    RootMeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    LogCoshError,
    Poisson,
    CosineSimilarity,
    R2Score,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    KLDivergence,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    LossMetric,
)
NAMES: dict[str, type[Metric]] = {
    **{metric.__name__: metric for metric in CLASSES if metric is not LossMetric},
    **{metric.default_name or metric.spec_name: metric for metric in CLASSES if metric is not LossMetric},
    "acc": Accuracy,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
    "log_cosh_error": LogCoshError,
    "rmse": RootMeanSquaredError,
    "r2": R2Score,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "kld": KLDivergence,
    "KLD": KLDivergence,
}
MetricLike: TypeAlias = str | Metric | type[Metric] | losses.Loss | Callable[..., Array | Tensor] | Config
# One or a list; of several outputs a list of lists, or a dict by name.
Metrics: TypeAlias = (
    MetricLike | Sequence[MetricLike | Sequence[MetricLike]] | Mapping[str, MetricLike | Sequence[MetricLike]]
)


def get(identifier: MetricLike) -> Metric:
    """The metric that a name, a function, a config, a class, a `Metric` or a loss stands for; a name becomes the key in
    the logs.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or a class of your own, or anything else.

    Example:
        >>> import fastnn
        >>> fastnn.metrics.get("mae").name
        'mae'
        >>> type(fastnn.metrics.get("mae")).__name__
        'MeanAbsoluteError'
    """
    if isinstance(identifier, losses.Loss):
        compiled("metric", identifier, losses.CLASSES)
        return LossMetric(identifier)
    loss = next((function for function in losses.FUNCTIONS if function is identifier), None)
    if loss is not None:
        return LossMetric(losses.get(loss), loss.__name__)
    identifier = next((function.__name__ for function in FUNCTIONS if function is identifier), identifier)
    if isinstance(identifier, str) and identifier not in NAMES and identifier in losses.NAMES:
        return LossMetric(losses.get(identifier), identifier)
    metric = find("metric", identifier, Metric, NAMES | {"LossMetric": LossMetric}, "metrics")
    compiled("metric", metric, CLASSES)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def deserialize(config: MetricLike) -> Metric:
    """The metric of a dict that `serialize` gave; as `get`.

    Example:
        >>> import fastnn
        >>> saved = fastnn.metrics.serialize(fastnn.metrics.BinaryAccuracy(threshold=0.7))
        >>> fastnn.metrics.deserialize(saved).threshold
        0.7
    """
    return get(config)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, [metric.__name__ for metric in CLASSES])


__all__ = [
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "LossMetric",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
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
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
