"""Losses of classes and distributions: crossentropies, a divergence, hinges."""

from __future__ import annotations

from typing import ClassVar, Unpack

from numpy.typing import ArrayLike

from ..core.declaration import number
from ..core.specs import LossSpec
from ..core.symbolic import Tensor
from ..core.types import ArrayOrTensor, LossArguments
from ..errors import ArgumentTypeError
from .base import COMMON, Loss


class KLDivergence(Loss):
    """Kullback-Leibler divergence of distributions. Math: sum(y log(y / a)), both clipped to [1e-7, 1].

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]).round(4))
        0.1438
    """

    spec_name = default_name = "kl_divergence"
    aliases = ("kld", "KLD", "kullback_leibler_divergence")


class _Crossentropy(Loss):
    fields = ("from_logits", "label_smoothing", *COMMON)
    unsupported: ClassVar[dict[str, object]] = {"axis": -1}

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, **kwargs: Unpack[LossArguments]
    ) -> None:
        super().__init__(**kwargs)
        where = type(self).__name__
        if not isinstance(from_logits, bool | int):
            raise ArgumentTypeError(f"{where}: from_logits is {from_logits!r}, expected True or False")
        self.from_logits = bool(from_logits)
        self.label_smoothing = number(where, "label_smoothing", label_smoothing, 0.0, 1.0)

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec(self.spec_name, self.from_logits, label_smoothing=self.label_smoothing)


class BinaryCrossentropy(_Crossentropy):
    """Cross-entropy of independent yes/no targets. Math: -mean(y log a + (1 - y) log(1 - a)).

    After a sigmoid, or with from_logits, it is computed from the logits: exact and finite where a rounds to 0 or 1.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: s in y' = y (1 - s) + s / 2.

    Raises:
        ArgumentError: label_smoothing outside [0, 1].

    Example:
        >>> import fastnn
        >>> round(float(fastnn.losses.BinaryCrossentropy()([[1.0]], [[0.5]])), 4)  # log 2
        0.6931
    """

    spec_name = default_name = "binary_crossentropy"
    aliases = ("bce", "BCE")


class CategoricalCrossentropy(_Crossentropy):
    """Cross-entropy of one-hot or soft targets of C classes. Math: -sum(y log a).

    After a softmax, or with from_logits, it is computed from the logits: exact, never clipped.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: s in y' = y (1 - s) + s / C.

    Raises:
        ArgumentError: label_smoothing outside [0, 1].

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).round(4))  # log 2
        0.6931
    """

    spec_name = default_name = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class numbers 0..C-1. Math: -log a[y].

    After a softmax, or with from_logits, it is computed from the logits: exact, never clipped.

    Args:
        from_logits: whether predictions are logits.

    Example:
        >>> import fastnn
        >>> loss = fastnn.losses.SparseCategoricalCrossentropy()
        >>> round(float(loss([1], [[0.25, 0.5, 0.25]])), 4)  # log 2
        0.6931
    """

    fields = ("from_logits", *COMMON)
    spec_name = default_name = "sparse_categorical_crossentropy"
    unsupported: ClassVar[dict[str, object]] = {"ignore_class": None, "axis": -1}

    def __init__(self, from_logits: bool = False, **kwargs: Unpack[LossArguments]) -> None:
        super().__init__(**kwargs)
        if not isinstance(from_logits, bool | int):
            raise ArgumentTypeError(
                f"SparseCategoricalCrossentropy: from_logits is {from_logits!r}, expected True or False"
            )
        self.from_logits = bool(from_logits)

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec(self.spec_name, self.from_logits)


class Hinge(Loss):
    """What predictions lack of a margin of 1 on their side of 0.

    Math: mean(max(1 - t a, 0)), t = -1 where y = 0, else y.

    Targets are -1 or 0, and 1; Keras takes a 0 for -1 where the batch has no other numbers than 0 and 1.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.Hinge()([[1.0, 1.0, 0.0]], [[2.0, 0.3, -0.5]]).round(4))  # 0, 0.7 and 0.5
        0.4
    """

    spec_name = default_name = "hinge"


class SquaredHinge(Loss):
    """The square of what `Hinge` counts. Math: mean(max(1 - t a, 0)^2), t = -1 where y = 0, else y.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.SquaredHinge()([[1.0]], [[0.3]]).round(4))  # 0.7^2
        0.49
    """

    spec_name = default_name = "squared_hinge"


class CategoricalHinge(Loss):
    """What the right class's prediction lacks of a margin of 1 over the largest other one.

    Math: max(max((1 - y) a) - sum(y a) + 1, 0), of one-hot targets y.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.CategoricalHinge()([[0.0, 1.0]], [[0.6, 0.7]]).round(4))  # 0.6 - 0.7 + 1
        0.9
    """

    spec_name = default_name = "categorical_hinge"


def kl_divergence(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`KLDivergence` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).round(4))
        [0.1438]
    """
    return KLDivergence().call(y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike | Tensor,
    y_pred: ArrayLike | Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> ArrayOrTensor:
    """`BinaryCrossentropy` of each row; only axis -1.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.binary_crossentropy([[1.0], [0.0]], [[0.5], [0.1]]).round(4))  # log 2, and -log 0.9
        [0.6931 0.1054]
    """
    return BinaryCrossentropy(from_logits, label_smoothing, axis=axis).call(y_true, y_pred)  # type: ignore[call-arg]


def categorical_crossentropy(
    y_true: ArrayLike | Tensor,
    y_pred: ArrayLike | Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> ArrayOrTensor:
    """`CategoricalCrossentropy` of each row; only axis -1.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4))  # log 2
        [0.6931]
    """
    return CategoricalCrossentropy(from_logits, label_smoothing, axis=axis).call(y_true, y_pred)  # type: ignore[call-arg]


def sparse_categorical_crossentropy(
    y_true: ArrayLike | Tensor,
    y_pred: ArrayLike | Tensor,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> ArrayOrTensor:
    """`SparseCategoricalCrossentropy` of each row; only axis -1, and no ignore_class.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.9, 0.1]]).round(4))
        [0.6931 0.1054]
    """
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class=ignore_class, axis=axis)  # type: ignore[call-arg]
    return loss.call(y_true, y_pred)


def hinge(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`Hinge` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.hinge([[1.0], [1.0]], [[2.0], [0.3]]).round(4))  # beyond the margin it is 0
        [0.  0.7]
    """
    return Hinge().call(y_true, y_pred)


def squared_hinge(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`SquaredHinge` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.squared_hinge([[1.0], [1.0]], [[2.0], [0.3]]).round(4))
        [0.   0.49]
    """
    return SquaredHinge().call(y_true, y_pred)


def categorical_hinge(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`CategoricalHinge` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.categorical_hinge([[0.0, 1.0]], [[0.6, 0.7]]).round(4))  # 0.6 - 0.7 + 1
        [0.9]
    """
    return CategoricalHinge().call(y_true, y_pred)


bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
