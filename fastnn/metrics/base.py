"""What all metrics share: what a model computes of them, and the sums of arrays."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..backends import eager
from ..backends.data import Sums
from ..core.arrays import Array
from ..core.declaration import Declaration, label, names, refuse
from ..core.losses import LOSS_FACTS, ROW_METRICS
from ..core.plan import mean_outputs
from ..core.specs import LossSpec, MetricSpec
from ..errors import ArgumentError

_BY_ELEMENT = ("", "binary_accuracy", "r2_score")  # beside the losses that are means over the outputs


class Metric(Declaration):
    """Base class: a mean over the rows; in `compile` by name or object, of arrays by calling it.

    Attributes:
        sparse: whether it reads class numbers (True), rows as wide as the predictions (False), or depends (None).
        maximize: whether larger is better.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.SparseCategoricalAccuracy()
        >>> metric.update_state([1, 0], [[0.2, 0.8], [0.4, 0.6]])  # a batch
        >>> metric.update_state([0], [[0.9, 0.1]])  # and another
        >>> round(float(metric.result()), 4)
        0.6667
        >>> metric.reset_state()
        >>> float(metric.result())
        0.0
    """

    calls = names("__call__ reset_state result update_state")  # on arrays; `compile` takes no class of the caller's
    fields: ClassVar[tuple[str, ...]] = ("name",)
    spec_name: ClassVar[str] = ""
    default_name: ClassVar[str] = ""
    sparse: bool | None = False
    maximize: ClassVar[bool] = False
    unsupported: ClassVar[dict[str, object]] = {}
    _totals: Sums | None = None  # of the arrays so far: what a program's slots of a weighted metric hold

    def __init__(self, name: str | None = None, **kwargs: object) -> None:
        defaults = {"dtype": None} | self.unsupported
        where = type(self).__name__
        refuse(where, kwargs, defaults, (*self.fields, *defaults))
        self.name = label(where, name, self.default_name or self.spec_name)

    def resolve(self, outputs: int, sparse: bool) -> Metric:
        """The metric for C outputs and this kind of targets: itself, but for "accuracy"."""
        return self

    def formula(self) -> LossSpec:
        """The name and the parameters of what a row's value is."""
        return LossSpec(self.spec_name)

    def spec(self) -> MetricSpec:
        """What `Lowering.finish` takes.

        Raises:
            ArgumentError: what only works on arrays.
        """
        formula = self.formula()
        name = formula.name
        if formula.from_logits:
            name = LOSS_FACTS[name].logits
            if LOSS_FACTS[name].softmax:  # a model has nowhere to put its softmax
                raise ArgumentError(
                    f'compile: metric "{self.name}" from logits is not supported; end the model with a softmax, or '
                    "call the metric with y and model.predict(X)"
                )
        return MetricSpec(name, formula.parameter, formula.label_smoothing)

    def value(self, totals: Sums, count: float) -> float:
        """The metric from its slots of a program's sums, and the count of rows or the sum of their weights."""
        return float(totals[0]) / count if count else 0.0

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Takes in rows.

        Args:
            y_true: targets of the predictions' shape, or class numbers.
            y_pred: (..., C). sample_weight: one number, or one for each row.

        Raises:
            ArgumentError: shapes that do not fit, class numbers out of range. ArgumentTypeError: not real numbers.
        """
        where = type(self).__name__
        rows = self._rows(y_true, y_pred)
        w = eager.weights(where, sample_weight, rows.shape, rows.a.dtype)
        self._totals = self._add(rows, w)

    def _rows(self, y_true: ArrayLike, y_pred: ArrayLike) -> eager.Pair:
        rows = eager.pair(type(self).__name__, y_true, y_pred, bool(self.sparse))
        name = self.formula().name
        if rows.shape or not (mean_outputs(name) or name in _BY_ELEMENT):
            return rows
        return eager.Pair(rows.y.reshape(-1, 1), rows.a.reshape(-1, 1), (rows.a.size,))  # (n,): n rows, not n outputs

    def _add(self, rows: eager.Pair, w: Array) -> Sums:
        total, weight = (0.0, 0.0) if self._totals is None else self._totals
        values = self.values(rows)
        return np.array([total + eager.weighted_total(values, w), weight + eager.weighted_total(np.ones_like(w), w)])

    def values(self, rows: eager.Pair) -> Array:
        """The value of each row, (n,)."""
        formula = self.formula()
        return eager.metric(formula.name, rows) if formula.name in ROW_METRICS else eager.losses(formula, rows)

    def result(self) -> float:
        """The metric of all rows since `reset_state`; 0 without any."""
        return 0.0 if self._totals is None else self.value(self._totals, float(self._totals[-1]))

    def reset_state(self) -> None:
        """Forgets all rows."""
        self._totals = None

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """`update_state`, then `result`."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()
