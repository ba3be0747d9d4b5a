"""Metrics by name, and of arrays; what they compute is in each backend, and here how their sums become a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from .. import losses
from ..backends import eager
from ..backends.data import Sums
from ..core.arrays import Array
from ..core.declaration import Config, absent, compiled, find, flag, names, number, serialize
from ..core.specs import LossSpec
from ..errors import ArgumentError
from ..losses import (
    BCE,
    KLD,
    MAE,
    MSE,
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    kl_divergence,
    kld,
    kullback_leibler_divergence,
    mae,
    mean_absolute_error,
    mean_squared_error,
    mse,
    sparse_categorical_crossentropy,
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


class MeanSquaredError(Metric):
    """Math: mean((a - y)^2)."""

    spec_name = "mean_squared_error"


class RootMeanSquaredError(Metric):
    """Math: sqrt(mean((a - y)^2))."""

    spec_name = "mean_squared_error"
    default_name = "root_mean_squared_error"

    def value(self, totals: Sums, count: float) -> float:
        """The root of the mean over all rows so far."""
        mean = super().value(totals, count)
        return math.sqrt(mean) if mean >= 0.0 else mean  # a NaN stays


class MeanAbsoluteError(Metric):
    """Math: mean(|a - y|)."""

    spec_name = "mean_absolute_error"


class R2Score(Metric):
    """Coefficient of determination, averaged over the outputs.

    Math: 1 - sum((y - a)^2) / sum((y - mean y)^2) for each output; 0 for an output whose targets are all equal. Sums
    and means are weighted where the rows are.

    Args:
        class_aggregation: "uniform_average", or "variance_weighted_average": outputs count by sum((y - mean y)^2).
        name: the key in the logs.

    Raises:
        ArgumentError: another aggregation.
    """

    fields = ("class_aggregation", "name")
    spec_name = "r2_score"
    maximize = True
    unsupported: ClassVar[dict[str, object]] = {"num_regressors": 0}

    def __init__(
        self, class_aggregation: str = "uniform_average", *, name: str | None = None, **kwargs: object
    ) -> None:
        super().__init__(name, **kwargs)
        if not isinstance(class_aggregation, str) or class_aggregation not in (
            "uniform_average",
            "variance_weighted_average",
        ):
            raise ArgumentError(
                f'R2Score: class_aggregation is {class_aggregation!r}, expected "uniform_average" or '
                '"variance_weighted_average"'
            )
        self.class_aggregation = class_aggregation

    def value(self, totals: Sums, count: float) -> float:
        """From the sums of y, y^2 and (y - a)^2 by output, and the sum of the weights."""
        outputs = (totals.size - 1) // 3
        total, squares, errors = totals[:-1].reshape(3, outputs)
        with np.errstate(all="ignore"):
            spread = squares - total * total / count
            scores = np.where(spread == 0.0, 0.0, 1.0 - errors / spread)
            if self.class_aggregation == "variance_weighted_average" and spread.any():
                return float((scores * spread).sum() / spread.sum())
        return float(scores.mean())

    def _add(self, rows: eager.Pair, w: Array) -> Sums:
        totals = np.zeros(3 * rows.a.shape[1] + 1) if self._totals is None else self._totals.copy()
        if totals.size != 3 * rows.a.shape[1] + 1:
            raise ArgumentError(
                f"R2Score: y_pred has {rows.a.shape[1]} outputs, {totals.size // 3} before; call reset_state() first"
            )
        eager.r2_totals(totals, rows, w)
        return totals


class _Crossentropy(Metric):
    fields = ("name", "from_logits", "label_smoothing")
    unsupported: ClassVar[dict[str, object]] = {"axis": -1}

    def __init__(
        self, name: str | None = None, *, from_logits: bool = False, label_smoothing: float = 0.0, **kwargs: object
    ) -> None:
        super().__init__(name, **kwargs)
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)
        self.label_smoothing = number(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)

    def formula(self) -> LossSpec:
        """The name and the parameters of what a row's value is."""
        return LossSpec(self.spec_name, self.from_logits, label_smoothing=self.label_smoothing)


class BinaryCrossentropy(_Crossentropy):
    """Math: -mean(y log a + (1 - y) log(1 - a)), a clipped to [1e-7, 1 - 1e-7].

    Args:
        name: the key in the logs.
        from_logits: whether predictions are logits.
        label_smoothing: s in y' = y (1 - s) + s / 2.
    """

    spec_name = "binary_crossentropy"


class CategoricalCrossentropy(_Crossentropy):
    """Math: -sum(y log a), a renormalised and clipped to [1e-7, 1 - 1e-7].

    Args:
        name: the key in the logs.
        from_logits: whether predictions are logits; of arrays only.
        label_smoothing: s in y' = y (1 - s) + s / C.
    """

    spec_name = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Metric):
    """Math: -log a[y], a renormalised and clipped to [1e-7, 1 - 1e-7].

    Args:
        name: the key in the logs.
        from_logits: whether predictions are logits; of arrays only.
    """

    fields = ("name", "from_logits")
    spec_name = "sparse_categorical_crossentropy"
    sparse = True
    unsupported: ClassVar[dict[str, object]] = {"ignore_class": None, "axis": -1}

    def __init__(self, name: str | None = None, *, from_logits: bool = False, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.from_logits = flag("SparseCategoricalCrossentropy", "from_logits", from_logits)

    def formula(self) -> LossSpec:
        """The name and the parameters of what a row's value is."""
        return LossSpec(self.spec_name, self.from_logits)


class KLDivergence(Metric):
    """Math: sum(y log(y / a)), both clipped to [1e-7, 1]."""

    spec_name = "kl_divergence"


class LossMetric(Metric):
    """A loss as a metric, such as Huber or Lp.

    Args:
        loss: a `losses.Loss`.
        name: the key in the logs.
    """

    fields = ("loss", "name")

    def __init__(self, loss: losses.Loss, name: str | None = None) -> None:
        self.loss = losses.get(loss)
        super().__init__(name or self.loss.name)
        self.sparse = eager.is_sparse(self.loss.spec())

    def get_config(self) -> Config:
        """The arguments that make an equal object."""
        return {"loss": serialize(self.loss), "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object that `config` describes."""
        return cls(losses.get(config["loss"]), config["name"])

    def formula(self) -> LossSpec:
        """The name and the parameters of what a row's value is."""
        return self.loss.spec()


FUNCTIONS: tuple[Callable[..., Array], ...] = (
    *losses.FUNCTIONS,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    MeanSquaredError,
    RootMeanSquaredError,
    MeanAbsoluteError,
    R2Score,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    KLDivergence,
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
    "rmse": RootMeanSquaredError,
    "r2": R2Score,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "kld": KLDivergence,
    "KLD": KLDivergence,
}
UNSUPPORTED = names(
    "AUC BinaryIoU CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives "
    "FalsePositives Hinge IoU LogCoshError MAPE MSLE Mean MeanAbsolutePercentageError MeanIoU MeanMetricWrapper "
    "MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall "
    "Recall RecallAtPrecision SensitivityAtSpecificity SparseTopKCategoricalAccuracy SpecificityAtSensitivity "
    "SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives auc binary_focal_crossentropy "
    "categorical_focal_crossentropy categorical_hinge ce concordance_correlation cosine_similarity crossentropy "
    "f1_score false_negatives false_positives hinge log_cosh mape mean_absolute_percentage_error "
    "mean_squared_logarithmic_error msle pearson_correlation poisson precision recall "
    "sparse_top_k_categorical_accuracy squared_hinge top_k_categorical_accuracy true_negatives true_positives"
)


def get(identifier: object) -> Metric:
    """The metric that a name, a function, a config, a class, a `Metric` or a loss stands for; a name becomes the key in
    the logs.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or a class of your own, or anything else.
    """
    if isinstance(identifier, losses.Loss):
        return LossMetric(identifier)
    identifier = next((function.__name__ for function in FUNCTIONS if function is identifier), identifier)
    if isinstance(identifier, str) and identifier not in NAMES and identifier in losses.NAMES:
        return LossMetric(losses.get(identifier), identifier)
    metric = find("metric", identifier, Metric, NAMES | {"LossMetric": LossMetric}, UNSUPPORTED)
    compiled("metric", metric, CLASSES)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def deserialize(config: object) -> Metric:
    """The metric of a dict that `serialize` gave; as `get`."""
    return get(config)


def __getattr__(name: str) -> NoReturn:
    raise absent(__name__, name, UNSUPPORTED, [metric.__name__ for metric in CLASSES])


__all__ = [
    "BCE",
    "KLD",
    "MAE",
    "MSE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "LossMetric",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "huber",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "mae",
    "mean_absolute_error",
    "mean_squared_error",
    "mse",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
]
