"""What all losses share: their values of arrays, and what a model trains on."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..backends import eager
from ..core.declaration import Declaration, label, names, refuse
from ..core.specs import LossSpec
from ..core.symbolic import Mean, Tensor, any_tensor
from ..core.types import ArrayOrTensor, LossValue
from ..errors import ArgumentError

COMMON = ("reduction", "name")
MEAN = "sum_over_batch_size"
_REDUCTIONS = (MEAN, "mean", "sum", "mean_with_sample_weight", "none")


class Loss(Declaration):
    """Base class: a loss of predictions a and targets y, averaged over the batch; of arrays when it is called.

    Args:
        reduction: what a call makes of the rows' values: "sum_over_batch_size" or "mean", "sum", "none", or
            "mean_with_sample_weight", which divides by the sum of the weights. A model trains on the first.
        name: what it is called as a metric.

    Raises:
        ArgumentError: an unknown or an unsupported argument.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
        5.0
        >>> print(fastnn.losses.MeanSquaredError(reduction="none")([[0.0], [0.0]], [[1.0], [3.0]]))
        [1. 9.]
        >>> print(fastnn.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]], sample_weight=[1.0, 0.0]))
        0.5
    """

    calls = names("__call__ call")  # on arrays; `compile` takes no class of the caller's
    fields: ClassVar[tuple[str, ...]] = COMMON
    spec_name: ClassVar[str] = ""
    default_name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    unsupported: ClassVar[dict[str, object]] = {}

    def __init__(self, *, reduction: str | None = MEAN, name: str | None = None, **kwargs: object) -> None:
        where = type(self).__name__
        refuse(where, kwargs, {"dtype": None} | self.unsupported, (*self.fields, *self.unsupported))
        self.reduction = "none" if reduction is None else reduction
        if not isinstance(self.reduction, str) or self.reduction not in _REDUCTIONS:
            raise ArgumentError(f"{where}: reduction is {reduction!r}, expected one of {', '.join(_REDUCTIONS)}")
        self.name = label(where, name, self.default_name)

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec(self.spec_name)

    def call(self, y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
        """The loss of each row, of the predictions' shape without the last axis; of tensors a tensor, for `add_loss`.

        Args:
            y_true: targets of the predictions' shape, or class numbers.
            y_pred: (..., C); float64 stays float64.

        Raises:
            ArgumentError: shapes that do not fit, class numbers out of range. ArgumentTypeError: not real numbers.
        """
        spec = self.spec()
        if any_tensor([y_true, y_pred]):
            from .symbolic import rows as symbolic_rows  # here, since hardly anyone needs it

            return symbolic_rows(type(self).__name__, spec, y_true, y_pred)
        rows = eager.pair(type(self).__name__, y_true, y_pred, eager.is_sparse(spec))
        return eager.losses(spec, rows).reshape(rows.shape)

    def __call__(
        self, y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor, sample_weight: ArrayLike | None = None
    ) -> LossValue:
        """The losses of `call`, each times its weight, reduced: a number of the predictions' dtype.

        Args:
            y_true, y_pred: see `call`.
            sample_weight: one number, or one for each row.

        Raises:
            ArgumentError, ArgumentTypeError: see `call`.
        """
        values = self.call(y_true, y_pred)
        if isinstance(values, Tensor):
            return self._of_tensor(values, sample_weight)
        w = eager.weights(type(self).__name__, sample_weight, values.shape, values.dtype)
        if self.reduction == "none":
            return values * w.reshape(values.shape)
        total = eager.weighted_total(values.reshape(-1), w)
        if self.reduction == "mean_with_sample_weight":
            weight = eager.weighted_total(w, np.ones_like(w))
            total = total / weight if weight else 0.0
        elif self.reduction != "sum":
            total = total / w.size if w.size else math.nan
        return values.dtype.type(total)

    def _of_tensor(self, values: Tensor, sample_weight: object) -> Any:
        if sample_weight is not None or self.reduction not in (MEAN, "mean", "none"):
            raise ArgumentError(f"{type(self).__name__}: symbolic tensors have a mean, without sample_weight")
        return values if self.reduction == "none" else Mean(values)
