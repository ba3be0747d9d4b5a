"""Shares of rows or outputs that are predicted right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..backends import eager
from ..core.arrays import Array
from ..core.declaration import number
from ..core.specs import MetricSpec
from ..errors import ArgumentError
from .base import Metric


class Accuracy(Metric):
    """In `compile` the share of rows predicted right: binary, sparse or categorical as outputs and targets have it.

    Math: one output: (a > 1/2) = y; class numbers: argmax a = y; else argmax a = argmax y. Of arrays: mean(a = y).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.Accuracy()
        >>> metric.update_state([[1.0], [2.0]], [[1.0], [2.5]])
        >>> round(float(metric.result()), 4)  # equal to the last digit
        0.5
    """

    default_name = "accuracy"
    sparse = None
    maximize = True

    def resolve(self, outputs: int, sparse: bool) -> Metric:
        """The accuracy that Keras chooses for the name."""
        kind = SparseCategoricalAccuracy if sparse else BinaryAccuracy if outputs == 1 else CategoricalAccuracy
        return kind(name=self.name)

    def values(self, rows: eager.Pair) -> Array:
        """The value of each row, (n,)."""
        return np.asarray((rows.a == rows.y).mean(axis=1), rows.a.dtype)


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of a threshold. Math: mean((a > threshold) = y).

    Args:
        threshold: 1/2; another one for arrays only, not in `compile`.

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.BinaryAccuracy()
        >>> metric.update_state([[0.0], [1.0]], [[0.2], [0.7]])
        >>> float(metric.result())
        1.0
    """

    fields = ("name", "threshold")
    spec_name = "binary_accuracy"
    maximize = True

    def __init__(self, name: str | None = None, *, threshold: float = 0.5, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.threshold = number(type(self).__name__, "threshold", threshold)

    def spec(self) -> MetricSpec:
        """What `Lowering.finish` takes.

        Raises:
            ArgumentError: another threshold than 1/2.
        """
        if self.threshold != 0.5:
            raise ArgumentError(
                f"compile: BinaryAccuracy(threshold={self.threshold:g}) is not supported in a model; call it with y "
                "and model.predict(X)"
            )
        return super().spec()

    def values(self, rows: eager.Pair) -> Array:
        """The value of each row, (n,)."""
        above = np.asarray(rows.a > self.threshold, rows.a.dtype)
        return eager.metric(self.spec_name, rows._replace(a=above))


class CategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is where the largest target is. Math: mean(argmax a = argmax y).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.CategoricalAccuracy()
        >>> metric.update_state([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
        >>> round(float(metric.result()), 4)  # the largest is in the right place once
        0.5
    """

    spec_name = "categorical_accuracy"
    maximize = True


class SparseCategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is that of the class. Math: mean(argmax a = y).

    Example:
        >>> import fastnn
        >>> metric = fastnn.metrics.SparseCategoricalAccuracy()
        >>> metric.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
        >>> float(metric.result())
        0.5
    """

    spec_name = "sparse_categorical_accuracy"
    sparse = True
    maximize = True


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """1 where an element is on the right side of the threshold, else 0.

    Example:
        >>> import fastnn
        >>> print(fastnn.metrics.binary_accuracy([[1], [0]], [[0.6], [0.6]]))
        [[1.]
         [0.]]
    """
    rows = eager.pair("binary_accuracy", y_true, y_pred, sparse=False)
    right = (rows.a > number("binary_accuracy", "threshold", threshold)) == rows.y
    return np.asarray(right.reshape(*rows.shape, rows.a.shape[1]), rows.a.dtype)


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`CategoricalAccuracy` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.metrics.categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]]))
        [1. 0.]
    """
    return _by_row(CategoricalAccuracy(), y_true, y_pred)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`SparseCategoricalAccuracy` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.metrics.sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]]))
        [1. 0.]
    """
    return _by_row(SparseCategoricalAccuracy(), y_true, y_pred)


def _by_row(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    rows = eager.pair(type(metric).__name__, y_true, y_pred, bool(metric.sparse))
    return metric.values(rows).reshape(rows.shape)
