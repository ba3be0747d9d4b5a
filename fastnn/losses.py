"""Losses by name; what they compute is in `formulas.py` and each backend's `softmax.py`."""

from __future__ import annotations

from typing import Any, ClassVar

from .declaration import Declaration, find, names, number, refuse
from .errors import ArgumentError, ArgumentTypeError
from .lowering import LossSpec

_KERAS = {"reduction": "sum_over_batch_size", "dtype": None}


class Loss(Declaration):
    """Base class: a loss of predictions a and targets y, averaged over the batch."""

    spec_name: ClassVar[str] = ""
    default_name: ClassVar[str] = ""
    unsupported: ClassVar[dict[str, Any]] = {}

    def __init__(self, *, name: str | None = None, **kwargs: Any) -> None:
        known = (*self.fields, *self.unsupported)
        refuse(type(self).__name__, kwargs, _KERAS | self.unsupported, (*known, *_KERAS))
        self.name = name or self.default_name

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec(self.spec_name)


class MeanSquaredError(Loss):
    """Mean squared error. Math: mean((a - y)^2)."""

    fields = ("name",)
    spec_name = default_name = "mean_squared_error"


class MeanAbsoluteError(Loss):
    """Mean absolute error. Math: mean(|a - y|), with abs'(0) = 0."""

    fields = ("name",)
    spec_name = default_name = "mean_absolute_error"


class Lp(Loss):
    """Mean of a power of the error. Math: mean(|a - y|^p).

    Args:
        p: the power, at least 1.

    Raises:
        ArgumentError: p below 1.
    """

    fields = ("p", "name")
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

    fields = ("delta", "name")
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

    fields = ("name",)
    spec_name = default_name = "kl_divergence"


class _Crossentropy(Loss):
    fields = ("from_logits", "label_smoothing", "name")
    unsupported: ClassVar[dict[str, Any]] = {"axis": -1}

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

    fields = ("from_logits", "name")
    spec_name = default_name = "sparse_categorical_crossentropy"
    unsupported: ClassVar[dict[str, Any]] = {"ignore_class": None, "axis": -1}

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
    "BinaryFocalCrossentropy CTC CategoricalFocalCrossentropy CategoricalHinge Circle CosineSimilarity Dice "
    "Hinge LogCosh MAPE MSLE MeanAbsolutePercentageError MeanSquaredLogarithmicError Poisson SquaredHinge "
    "Tversky binary_focal_crossentropy categorical_focal_crossentropy categorical_hinge circle "
    "cosine_similarity ctc dice hinge log_cosh logcosh mape mean_absolute_percentage_error "
    "mean_squared_logarithmic_error msle poisson squared_hinge tversky"
)


def get(identifier: Any) -> Loss:
    """The loss that a name, a config, a class or a `Loss` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or anything else.
    """
    if isinstance(identifier, list | tuple) and len(identifier) == 1:
        identifier = identifier[0]
    if identifier is None:
        raise ArgumentError('compile: loss is missing; give one such as loss="mse"')
    result: Loss = find("loss", identifier, Loss, NAMES, UNSUPPORTED)
    return result


__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "KLDivergence",
    "Loss",
    "Lp",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]
