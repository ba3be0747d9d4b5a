"""Means over rows of what losses compute."""

from __future__ import annotations

import math
from typing import ClassVar, Self

from .. import losses
from ..backends import eager
from ..backends.data import Sums
from ..core.declaration import Config, flag, number, serialize
from ..core.specs import LossSpec
from .base import Metric


class MeanSquaredError(Metric):
    """Math: mean((a - y)^2).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.MeanSquaredError()
        >>> metric.update_state([[0.0], [0.0]], [[1.0], [3.0]])
        >>> round(float(metric.result()), 4)  # (1 + 9) / 2
        5.0
    """

    spec_name = "mean_squared_error"


class RootMeanSquaredError(Metric):
    """Math: sqrt(mean((a - y)^2)).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.RootMeanSquaredError()
        >>> metric.update_state([[0.0], [0.0]], [[3.0], [3.0]])
        >>> float(metric.result())
        3.0
    """

    spec_name = "mean_squared_error"
    default_name = "root_mean_squared_error"

    def value(self, totals: Sums, count: float) -> float:
        """The root of the mean over all rows so far."""
        mean = super().value(totals, count)
        return math.sqrt(mean) if mean >= 0.0 else mean  # a NaN stays


class MeanAbsoluteError(Metric):
    """Math: mean(|a - y|).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.MeanAbsoluteError()
        >>> metric.update_state([[0.0], [0.0]], [[1.0], [-3.0]])
        >>> round(float(metric.result()), 4)  # (1 + 3) / 2
        2.0
    """

    spec_name = "mean_absolute_error"


class MeanAbsolutePercentageError(Metric):
    """Math: 100 mean(|a - y| / max(|y|, 1e-7)).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.MeanAbsolutePercentageError()
        >>> metric.update_state([[100.0], [10.0]], [[110.0], [8.0]])
        >>> round(float(metric.result()), 4)  # of 10 and 20 percent
        15.0
    """

    spec_name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(Metric):
    """Math: mean((log(1 + a) - log(1 + y))^2), a and y at least 1e-7.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.MeanSquaredLogarithmicError()
        >>> metric.update_state([[1.0]], [[3.0]])
        >>> round(float(metric.result()), 4)  # log(2)^2
        0.4805
    """

    spec_name = "mean_squared_logarithmic_error"


class LogCoshError(Metric):
    """Math: mean(log(cosh(a - y))).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.LogCoshError()
        >>> metric.update_state([[0.0]], [[10.0]])
        >>> round(float(metric.result()), 4)  # 10 - log 2
        9.3069
    """

    spec_name = "log_cosh"
    default_name = "logcosh"


class Poisson(Metric):
    """Math: mean(a - y log(a + 1e-7)).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.Poisson()
        >>> metric.update_state([[2.0]], [[2.0]])
        >>> round(float(metric.result()), 4)  # 2 - 2 log 2
        0.6137
    """

    spec_name = "poisson"


class CosineSimilarity(Metric):
    """The mean cosine of the angle between rows; the loss of this name is its negative. Math: sum(a y) / (|a| |y|).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.CosineSimilarity()
        >>> metric.update_state([[1.0, 0.0], [1.0, 0.0]], [[5.0, 0.0], [0.0, 5.0]])
        >>> round(float(metric.result()), 4)  # of 1 and 0
        0.5
    """

    spec_name = "cosine_similarity"
    maximize = True
    unsupported: ClassVar[dict[str, object]] = {"axis": -1}

    def value(self, totals: Sums, count: float) -> float:
        """The mean over all rows so far."""
        return 0.0 - super().value(totals, count)


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

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.BinaryCrossentropy()
        >>> metric.update_state([[1.0]], [[0.5]])
        >>> round(float(metric.result()), 4)  # log 2
        0.6931
    """

    spec_name = "binary_crossentropy"


class CategoricalCrossentropy(_Crossentropy):
    """Math: -sum(y log a), a renormalised and clipped to [1e-7, 1 - 1e-7].

    Args:
        name: the key in the logs.
        from_logits: whether predictions are logits; of arrays only.
        label_smoothing: s in y' = y (1 - s) + s / C.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.CategoricalCrossentropy()
        >>> metric.update_state([[0.0, 1.0]], [[0.5, 0.5]])
        >>> round(float(metric.result()), 4)  # log 2
        0.6931
    """

    spec_name = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Metric):
    """Math: -log a[y], a renormalised and clipped to [1e-7, 1 - 1e-7].

    Args:
        name: the key in the logs.
        from_logits: whether predictions are logits; of arrays only.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.SparseCategoricalCrossentropy()
        >>> metric.update_state([1], [[0.5, 0.5]])
        >>> round(float(metric.result()), 4)  # log 2
        0.6931
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
    """Math: sum(y log(y / a)), both clipped to [1e-7, 1].

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.KLDivergence()
        >>> metric.update_state([[0.5, 0.5]], [[0.25, 0.75]])
        >>> round(float(metric.result()), 4)
        0.1438
    """

    spec_name = "kl_divergence"


class Hinge(Metric):
    """Math: mean(max(1 - t a, 0)), t = -1 where y = 0, else y.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.Hinge()
        >>> metric.update_state([[1.0], [0.0]], [[0.3], [-0.5]])
        >>> round(float(metric.result()), 4)  # of 0.7 and 0.5: 0 stands for -1
        0.6
    """

    spec_name = "hinge"


class SquaredHinge(Metric):
    """Math: mean(max(1 - t a, 0)^2), t = -1 where y = 0, else y.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.SquaredHinge()
        >>> metric.update_state([[1.0]], [[0.3]])
        >>> round(float(metric.result()), 4)  # 0.7^2
        0.49
    """

    spec_name = "squared_hinge"


class CategoricalHinge(Metric):
    """Math: max(max((1 - y) a) - sum(y a) + 1, 0).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.CategoricalHinge()
        >>> metric.update_state([[0.0, 1.0]], [[0.6, 0.7]])
        >>> round(float(metric.result()), 4)  # 0.6 - 0.7 + 1
        0.9
    """

    spec_name = "categorical_hinge"


class LossMetric(Metric):
    """A loss as a metric, such as Huber or Lp.

    Args:
        loss: a `losses.Loss`.
        name: the key in the logs.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.LossMetric(fastnn.losses.Huber(delta=2.0), name="huber_2")
        >>> metric.update_state([[0.0]], [[10.0]])
        >>> float(metric.result())  # 2 (10 - 2 / 2)
        18.0
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
    def from_config(cls, config: Config) -> Self:
        """The object that `config` describes."""
        return cls(losses.get(config["loss"]), config["name"])

    def formula(self) -> LossSpec:
        """The name and the parameters of what a row's value is."""
        return self.loss.spec()
