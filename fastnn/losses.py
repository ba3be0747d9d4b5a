"""Losses by name, and of arrays; what they compute is in `core/formulas.py` and each backend's `softmax.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import numpy as np

from .backends import eager
from .core.arrays import Array
from .core.declaration import Declaration, absent, compiled, find, label, names, number, refuse, serialize
from .core.specs import LossSpec
from .errors import ArgumentError, ArgumentTypeError

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
    """

    fields: ClassVar[tuple[str, ...]] = COMMON
    spec_name: ClassVar[str] = ""
    default_name: ClassVar[str] = ""
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

    def call(self, y_true: object, y_pred: object) -> Array:
        """The loss of each row, of the predictions' shape without the last axis.

        Args:
            y_true: targets of the predictions' shape, or class numbers.
            y_pred: (..., C); float64 stays float64.

        Raises:
            ArgumentError: shapes that do not fit, class numbers out of range. ArgumentTypeError: not real numbers.
        """
        spec = self.spec()
        rows = eager.pair(type(self).__name__, y_true, y_pred, eager.is_sparse(spec))
        return eager.losses(spec, rows).reshape(rows.shape)

    def __call__(self, y_true: object, y_pred: object, sample_weight: object = None) -> Any:
        """The losses of `call`, each times its weight, reduced: a number of the predictions' dtype.

        Args:
            y_true, y_pred: see `call`.
            sample_weight: one number, or one for each row.

        Raises:
            ArgumentError, ArgumentTypeError: see `call`.
        """
        values = self.call(y_true, y_pred)
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


class MeanSquaredError(Loss):
    """Mean squared error. Math: mean((a - y)^2)."""

    spec_name = default_name = "mean_squared_error"


class MeanAbsoluteError(Loss):
    """Mean absolute error. Math: mean(|a - y|), with abs'(0) = 0."""

    spec_name = default_name = "mean_absolute_error"


class Lp(Loss):
    """Mean of a power of the error. Math: mean(|a - y|^p).

    Args:
        p: the power, at least 1.

    Raises:
        ArgumentError: p below 1.
    """

    fields = ("p", *COMMON)
    default_name = "lp"

    def __init__(self, p: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.p = number("Lp", "p", p, 1.0)

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes: the powers by products where there are such, else |d|^p by log and exp."""
        products = {1.0: "mean_absolute_error", 2.0: "mean_squared_error", 3.0: "lp3", 4.0: "lp4"}
        return LossSpec(products.get(self.p, "lp"), parameter=self.p)


class Huber(Loss):
    """Quadratic for small errors, linear for large ones.

    Math: mean(e^2 / 2 if |e| <= delta else delta (|e| - delta / 2)), e = a - y.

    Args:
        delta: where it changes, positive.

    Raises:
        ArgumentError: delta not positive.

    Source: P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964.
    """

    fields = ("delta", *COMMON)
    spec_name = "huber"
    default_name = "huber_loss"

    def __init__(self, delta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delta = number("Huber", "delta", delta, 0.0, ends="()")

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec("huber", parameter=self.delta)


class KLDivergence(Loss):
    """Kullback-Leibler divergence of distributions. Math: sum(y log(y / a)), both clipped to [1e-7, 1]."""

    spec_name = default_name = "kl_divergence"


class _Crossentropy(Loss):
    fields = ("from_logits", "label_smoothing", *COMMON)
    unsupported: ClassVar[dict[str, object]] = {"axis": -1}

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, **kwargs: Any) -> None:
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
    """

    spec_name = default_name = "binary_crossentropy"


class CategoricalCrossentropy(_Crossentropy):
    """Cross-entropy of one-hot or soft targets of C classes. Math: -sum(y log a).

    After a softmax, or with from_logits, it is computed from the logits: exact, never clipped.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: s in y' = y (1 - s) + s / C.

    Raises:
        ArgumentError: label_smoothing outside [0, 1].
    """

    spec_name = default_name = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class numbers 0..C-1. Math: -log a[y].

    After a softmax, or with from_logits, it is computed from the logits: exact, never clipped.

    Args:
        from_logits: whether predictions are logits.
    """

    fields = ("from_logits", *COMMON)
    spec_name = default_name = "sparse_categorical_crossentropy"
    unsupported: ClassVar[dict[str, object]] = {"ignore_class": None, "axis": -1}

    def __init__(self, from_logits: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(from_logits, bool | int):
            raise ArgumentTypeError(
                f"SparseCategoricalCrossentropy: from_logits is {from_logits!r}, expected True or False"
            )
        self.from_logits = bool(from_logits)

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec(self.spec_name, self.from_logits)


def mean_squared_error(y_true: object, y_pred: object) -> Array:
    """`MeanSquaredError` of each row."""
    return MeanSquaredError().call(y_true, y_pred)


def mean_absolute_error(y_true: object, y_pred: object) -> Array:
    """`MeanAbsoluteError` of each row."""
    return MeanAbsoluteError().call(y_true, y_pred)


def huber(y_true: object, y_pred: object, delta: float = 1.0) -> Array:
    """`Huber` of each row."""
    return Huber(delta).call(y_true, y_pred)


def kl_divergence(y_true: object, y_pred: object) -> Array:
    """`KLDivergence` of each row."""
    return KLDivergence().call(y_true, y_pred)


def binary_crossentropy(
    y_true: object, y_pred: object, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """`BinaryCrossentropy` of each row; only axis -1."""
    return BinaryCrossentropy(from_logits, label_smoothing, axis=axis).call(y_true, y_pred)


def categorical_crossentropy(
    y_true: object, y_pred: object, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """`CategoricalCrossentropy` of each row; only axis -1."""
    return CategoricalCrossentropy(from_logits, label_smoothing, axis=axis).call(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: object, y_pred: object, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Array:
    """`SparseCategoricalCrossentropy` of each row; only axis -1, and no ignore_class."""
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class=ignore_class, axis=axis)
    return loss.call(y_true, y_pred)


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence

FUNCTIONS: dict[Callable[..., Array], type[Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    huber: Huber,
    kl_divergence: KLDivergence,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
CLASSES: tuple[type[Loss], ...] = (
    MeanSquaredError,
    MeanAbsoluteError,
    Lp,
    Huber,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    KLDivergence,
)
NAMES: dict[str, type[Loss]] = {
    **{loss.__name__: loss for loss in CLASSES},
    **{loss.spec_name: loss for loss in CLASSES if loss.spec_name},
    "lp": Lp,
    "huber_loss": Huber,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
}
UNSUPPORTED = names(
    "BinaryFocalCrossentropy CTC CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge "
    "Circle CosineSimilarity Dice Hinge LogCosh MAPE MSLE MeanAbsolutePercentageError MeanSquaredLogarithmicError "
    "Poisson Reduction SquaredHinge Tversky binary_focal_crossentropy categorical_focal_crossentropy "
    "categorical_generalized_cross_entropy categorical_hinge ce circle cosine_similarity crossentropy ctc dice hinge "
    "log_cosh logcosh mape mean_absolute_percentage_error mean_squared_logarithmic_error msle poisson squared_hinge "
    "tversky"
)


def get(identifier: object) -> Loss:
    """The loss that a name, a function of this module, a config, a class or a `Loss` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or a class of your own, or anything else.
    """
    if isinstance(identifier, list | tuple) and len(identifier) == 1:
        identifier = identifier[0]
    if identifier is None:
        raise ArgumentError('compile: loss is missing; give one such as loss="mse"')
    identifier = next((loss for function, loss in FUNCTIONS.items() if function is identifier), identifier)
    result = find("loss", identifier, Loss, NAMES, UNSUPPORTED)
    compiled("loss", result, CLASSES)
    return result


def deserialize(config: object) -> Loss:
    """The loss of a dict that `serialize` gave; as `get`."""
    return get(config)


def __getattr__(name: str) -> NoReturn:
    raise absent(__name__, name, UNSUPPORTED, [loss.__name__ for loss in CLASSES])


__all__ = [
    "BCE",
    "KLD",
    "MAE",
    "MSE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "KLDivergence",
    "Loss",
    "Lp",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "bce",
    "binary_crossentropy",
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
    "sparse_categorical_crossentropy",
]
