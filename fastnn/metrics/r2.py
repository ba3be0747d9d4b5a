"""The coefficient of determination, which is no mean over rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..backends import eager
from ..backends.data import Sums
from ..core.arrays import Array
from ..errors import ArgumentError
from .base import Metric


class R2Score(Metric):
    """Coefficient of determination, averaged over the outputs.

    Math: 1 - sum((y - a)^2) / sum((y - mean y)^2) for each output; 0 for an output whose targets are all equal. Sums
    and means are weighted where the rows are.

    Args:
        class_aggregation: "uniform_average", or "variance_weighted_average": outputs count by sum((y - mean y)^2).
        name: the key in the logs.

    Raises:
        ArgumentError: another aggregation.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.R2Score()
        >>> metric.update_state([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
        >>> round(float(metric.result()), 4)  # 1 - 1 / 2; always guessing the mean would have 0
        0.5
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
