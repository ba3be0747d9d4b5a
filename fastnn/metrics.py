"""Metrics by name; what they compute is in each backend, and here how their sums become a number."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import losses
from .declaration import Declaration, find, names, number, refuse
from .errors import ArgumentError
from .lowering import MetricSpec

Sums = npt.NDArray[np.float64]


class Metric(Declaration):
    """Base class: a mean over the rows, unweighted.

    Attributes:
        sparse: whether it reads class numbers (True), rows as wide as the predictions (False), or depends (None).
    """

    fields: ClassVar[tuple[str, ...]] = ("name",)
    spec_name: ClassVar[str] = ""
    default_name: ClassVar[str] = ""
    sparse: ClassVar[bool | None] = False
    unsupported: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        defaults = {"dtype": None} | self.unsupported
        refuse(type(self).__name__, kwargs, defaults, (*self.fields, *defaults))
        self.name = name or self.default_name or self.spec_name

    def resolve(self, outputs: int, sparse: bool) -> Metric:
        """The metric for C outputs and this kind of targets: itself, but for "accuracy"."""
        return self

    def spec(self) -> MetricSpec:
        """What `Lowering.finish` takes."""
        return MetricSpec(self.spec_name)

    def result(self, sums: Sums, count: float) -> float:
        """The metric from its slots of a program's sums and the count of rows."""
        return float(sums[0]) / count


class Accuracy(Metric):
    """The share of rows predicted right: binary, sparse or categorical as outputs and targets have it.

    Math: one output: (a > 1/2) = y; class numbers: argmax a = y; else argmax a = argmax y.
    """

    default_name = "accuracy"
    sparse = None

    def resolve(self, outputs: int, sparse: bool) -> Metric:
        """The accuracy that Keras chooses."""
        kind = SparseCategoricalAccuracy if sparse else BinaryAccuracy if outputs == 1 else CategoricalAccuracy
        return kind(name=self.name)


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of 1/2. Math: mean((a > 1/2) = y)."""

    spec_name = "binary_accuracy"
    unsupported: ClassVar[dict[str, Any]] = {"threshold": 0.5}


class CategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is where the largest target is. Math: mean(argmax a = argmax y)."""

    spec_name = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is that of the class. Math: mean(argmax a = y)."""

    spec_name = "sparse_categorical_accuracy"
    sparse = True


class MeanSquaredError(Metric):
    """Math: mean((a - y)^2)."""

    spec_name = "mean_squared_error"


class RootMeanSquaredError(Metric):
    """Math: sqrt(mean((a - y)^2))."""

    spec_name = "mean_squared_error"
    default_name = "root_mean_squared_error"

    def result(self, sums: Sums, count: float) -> float:
        """The root of the mean over all rows so far."""
        mean = super().result(sums, count)
        return math.sqrt(mean) if mean >= 0.0 else mean  # a NaN stays


class MeanAbsoluteError(Metric):
    """Math: mean(|a - y|)."""

    spec_name = "mean_absolute_error"


class R2Score(Metric):
    """Coefficient of determination, averaged over the outputs.

    Math: 1 - sum((y - a)^2) / sum((y - mean y)^2) for each output; 0 for an output whose targets are all equal.

    Args:
        class_aggregation: only "uniform_average".
    """

    spec_name = "r2_score"
    unsupported: ClassVar[dict[str, Any]] = {"class_aggregation": "uniform_average", "num_regressors": 0}

    def result(self, sums: Sums, count: float) -> float:
        """From the sums of y, y^2 and (y - a)^2 by output."""
        outputs = (sums.size - 1) // 3
        total, squares, errors = sums[:-1].reshape(3, outputs)
        with np.errstate(all="ignore"):
            spread = squares - total * total / count
            scores = np.where(spread == 0.0, 0.0, 1.0 - errors / spread)
        return float(scores.mean())


class BinaryCrossentropy(Metric):
    """Math: -mean(y log a + (1 - y) log(1 - a)), a clipped to [1e-7, 1 - 1e-7].

    Args:
        label_smoothing: s in y' = y (1 - s) + s / 2.
    """

    fields = ("name", "label_smoothing")
    spec_name = "binary_crossentropy"
    unsupported: ClassVar[dict[str, Any]] = {"from_logits": False, "axis": -1}

    def __init__(self, name: str | None = None, *, label_smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.label_smoothing = number(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)

    def spec(self) -> MetricSpec:
        """What `Lowering.finish` takes."""
        return MetricSpec(self.spec_name, label_smoothing=self.label_smoothing)


class CategoricalCrossentropy(BinaryCrossentropy):
    """Math: -sum(y log a), a renormalised and clipped to [1e-7, 1 - 1e-7].

    Args:
        label_smoothing: s in y' = y (1 - s) + s / C.
    """

    spec_name = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Metric):
    """Math: -log a[y], a renormalised and clipped to [1e-7, 1 - 1e-7]."""

    spec_name = "sparse_categorical_crossentropy"
    sparse = True
    unsupported: ClassVar[dict[str, Any]] = {"from_logits": False, "ignore_class": None, "axis": -1}


class KLDivergence(Metric):
    """Math: sum(y log(y / a)), both clipped to [1e-7, 1]."""

    spec_name = "kl_divergence"


class LossMetric(Metric):
    """A loss without a metric of its own, such as Huber or Lp.

    Args:
        loss: a `losses.Loss` of predictions, not of logits.
        name: the key in the logs.

    Raises:
        ArgumentError: a loss from logits.
    """

    fields = ("loss", "name")

    def __init__(self, loss: losses.Loss, name: str | None = None) -> None:
        if getattr(loss, "from_logits", False):
            raise ArgumentError(f"metrics: {type(loss).__name__}(from_logits=True) is not supported as a metric")
        super().__init__(name or loss.name)
        self.loss = losses.get(loss)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal object."""
        return {"loss": {"class_name": type(self.loss).__name__, "config": self.loss.get_config()}, "name": self.name}

    @classmethod
    def from_config(cls, config: Any) -> LossMetric:
        """The object that `config` describes."""
        return cls(losses.get(config["loss"]), config["name"])

    def resolve(self, outputs: int, sparse: bool) -> Metric:
        """Itself, where the targets are of its kind."""
        if isinstance(self.loss, losses.SparseCategoricalCrossentropy):
            return SparseCategoricalCrossentropy(self.name)
        return self

    def spec(self) -> MetricSpec:
        """What `Lowering.finish` takes."""
        spec = self.loss.spec()
        return MetricSpec(spec.name, spec.parameter, spec.label_smoothing)


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
    "FalsePositives Hinge IoU LogCoshError MAPE MSLE Mean MeanAbsolutePercentageError MeanIoU "
    "MeanSquaredLogarithmicError OneHotIoU PearsonCorrelation Poisson Precision PrecisionAtRecall Recall "
    "RecallAtPrecision SparseTopKCategoricalAccuracy SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives "
    "TruePositives auc categorical_hinge cosine_similarity f1_score false_negatives false_positives hinge mape "
    "msle mean_absolute_percentage_error mean_squared_logarithmic_error poisson precision recall squared_hinge "
    "top_k_categorical_accuracy sparse_top_k_categorical_accuracy true_negatives true_positives"
)


def get(identifier: Any) -> Metric:
    """The metric that a name, a config, a class, a `Metric` or a loss stands for; a name becomes the key in the logs.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or anything else.
    """
    if isinstance(identifier, losses.Loss):
        return LossMetric(identifier)
    if isinstance(identifier, dict) and identifier.get("class_name") == "LossMetric":
        return LossMetric.from_config(identifier["config"])
    if isinstance(identifier, str) and identifier not in NAMES and identifier in losses.NAMES:
        return LossMetric(losses.get(identifier), identifier)
    metric: Metric = find("metric", identifier, Metric, NAMES, UNSUPPORTED)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


__all__ = [*sorted(metric.__name__ for metric in CLASSES), "Metric", "get"]
