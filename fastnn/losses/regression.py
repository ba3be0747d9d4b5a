"""Losses of numbers: errors, counts, directions."""

from __future__ import annotations

from typing import ClassVar, Unpack

from numpy.typing import ArrayLike

from ..core.declaration import number
from ..core.specs import LossSpec
from ..core.symbolic import Tensor
from ..core.types import ArrayOrTensor, LossArguments
from .base import COMMON, Loss


class MeanSquaredError(Loss):
    """Mean squared error. Math: mean((a - y)^2).

    Example:
        >>> import fastnn
        >>> float(fastnn.losses.MeanSquaredError()([[0.0, 0.0]], [[1.0, 3.0]]))
        5.0
    """

    spec_name = default_name = "mean_squared_error"
    aliases = ("mse", "MSE")


class MeanAbsoluteError(Loss):
    """Mean absolute error. Math: mean(|a - y|), with abs'(0) = 0.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.MeanAbsoluteError()([[0.0, 0.0]], [[1.0, -3.0]]))  # (1 + 3) / 2
        2.0
    """

    spec_name = default_name = "mean_absolute_error"
    aliases = ("mae", "MAE")


class MeanAbsolutePercentageError(Loss):
    """Mean error in percent of the targets. Math: 100 mean(|a - y| / max(|y|, 1e-7)).

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.MeanAbsolutePercentageError()([[100.0, 10.0]], [[110.0, 8.0]]).round(4))  # 10 %, 20 %
        15.0
    """

    spec_name = default_name = "mean_absolute_percentage_error"
    aliases = ("mape", "MAPE")


class MeanSquaredLogarithmicError(Loss):
    """Mean squared error of logarithms. Math: mean((log(1 + a) - log(1 + y))^2), a and y at least 1e-7.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.MeanSquaredLogarithmicError()([[1.0]], [[3.0]]).round(4))  # log(2)^2
        0.4805
    """

    spec_name = default_name = "mean_squared_logarithmic_error"
    aliases = ("msle", "MSLE")


class Lp(Loss):
    """Mean of a power of the error. Math: mean(|a - y|^p).

    Args:
        p: the power, at least 1.

    Raises:
        ArgumentError: p below 1.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.Lp(3.0)([[0.0]], [[2.0]]))  # 2^3
        8.0
    """

    fields = ("p", *COMMON)
    default_name = "lp"
    aliases = ("lp",)

    def __init__(self, p: float = 2.0, **kwargs: Unpack[LossArguments]) -> None:
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

    Example:
        >>> import fastnn
        >>> float(fastnn.losses.Huber(delta=1.0)([[0.0, 0.0]], [[1.0, 3.0]]))  # 1 / 2, and 3 - 1 / 2
        1.5
    """

    fields = ("delta", *COMMON)
    spec_name = "huber"
    default_name = "huber_loss"
    aliases = ("huber_loss",)

    def __init__(self, delta: float = 1.0, **kwargs: Unpack[LossArguments]) -> None:
        super().__init__(**kwargs)
        self.delta = number("Huber", "delta", delta, 0.0, ends="()")

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec("huber", parameter=self.delta)


class LogCosh(Loss):
    """Like half the squared error where it is small, like the absolute error less log 2 where it is large.

    Math: mean(log(cosh(a - y))).

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.LogCosh()([[0.0, 0.0]], [[0.1, 10.0]]).round(4))  # about 0.1^2 / 2 and 10 - log 2
        4.6559
    """

    spec_name = default_name = "log_cosh"
    aliases = ("logcosh",)


class Poisson(Loss):
    """Negative log-likelihood of counts y of mean a, but for what a does not change.

    Math: mean(a - y log(a + 1e-7)).

    Predictions must not be negative: end the model with an exponential or softplus.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.Poisson()([[2.0]], [[2.0]]).round(4))  # least there, but not 0
        0.6137
    """

    spec_name = default_name = "poisson"


class PoissonDeviance(Loss):
    """Half the deviance of counts y of mean a: 0 where they are equal.

    Math: mean(y log(y / a) - y + a), where y log y is 0 at y = 0.

    After an exponential it is computed from that one's argument, so that its gradient there is a - y.

    Source: P. McCullagh, J. A. Nelder, "Generalized Linear Models", 2nd edition, 1989, section 6.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.PoissonDeviance()([[2.0, 0.0]], [[2.0, 1.0]]))  # 0 where they are equal, and 1
        0.5
    """

    spec_name = default_name = "poisson_deviance"


class Quantile(Loss):
    """The error of a quantile: what is above the prediction weighs `quantile`, what is below it the rest.

    Math: mean(quantile d if d > 0 else (quantile - 1) d), d = y - a, with slope 0 at 0.

    Args:
        quantile: the share of targets that shall lie below the prediction, between 0 and 1.

    Raises:
        ArgumentError: quantile not between 0 and 1.

    Source: R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46(1), 1978.

    Example:
        >>> import fastnn
        >>> loss = fastnn.losses.Quantile(0.75)
        >>> float(loss([[1.0]], [[0.0]])), float(loss([[0.0]], [[1.0]]))  # too low costs three times as much
        (0.75, 0.25)
    """

    fields = ("quantile", *COMMON)
    spec_name = default_name = "quantile"
    aliases = ("pinball",)

    def __init__(self, quantile: float = 0.5, **kwargs: Unpack[LossArguments]) -> None:
        super().__init__(**kwargs)
        self.quantile = number("Quantile", "quantile", quantile, 0.0, 1.0, "()")

    def spec(self) -> LossSpec:
        """What `Lowering.finish` takes."""
        return LossSpec("quantile", parameter=self.quantile)


class CosineSimilarity(Loss):
    """The negative cosine of the angle between rows: -1 where they point the same way.

    Math: -sum(a y) / (|a| |y|), norms below 1e-7 counting as 1e-7.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.CosineSimilarity()([[1.0, 0.0]], [[5.0, 0.0]]))  # one direction, whatever the lengths
        -1.0
    """

    spec_name = default_name = "cosine_similarity"
    unsupported: ClassVar[dict[str, object]] = {"axis": -1}


def mean_squared_error(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`MeanSquaredError` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.mean_squared_error([[0.0, 0.0], [1.0, 1.0]], [[1.0, 3.0], [1.0, 1.0]]))  # by row
        [5. 0.]
    """
    return MeanSquaredError().call(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`MeanAbsoluteError` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.mean_absolute_error([[0.0, 0.0], [1.0, 1.0]], [[1.0, 3.0], [1.0, 1.0]]))  # by row
        [2. 0.]
    """
    return MeanAbsoluteError().call(y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`MeanAbsolutePercentageError` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.mean_absolute_percentage_error([[100.0], [10.0]], [[110.0], [8.0]]).round(4))
        [10. 20.]
    """
    return MeanAbsolutePercentageError().call(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`MeanSquaredLogarithmicError` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.mean_squared_logarithmic_error([[1.0], [3.0]], [[3.0], [7.0]]).round(4))
        [0.4805 0.4805]
    """
    return MeanSquaredLogarithmicError().call(y_true, y_pred)


def huber(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor, delta: float = 1.0) -> ArrayOrTensor:
    """`Huber` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.huber([[0.0], [0.0]], [[0.5], [10.0]]).round(4))  # 0.5^2 / 2, then straight: 10 - 1 / 2
        [0.125 9.5  ]
    """
    return Huber(delta).call(y_true, y_pred)


def log_cosh(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`LogCosh` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.log_cosh([[0.0], [0.0]], [[1.0], [10.0]]).round(4))  # in the end 10 - log 2
        [0.4338 9.3069]
    """
    return LogCosh().call(y_true, y_pred)


def poisson(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor) -> ArrayOrTensor:
    """`Poisson` of each row.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.poisson([[2.0]], [[2.0]]).round(4))  # 2 - 2 log 2
        [0.6137]
    """
    return Poisson().call(y_true, y_pred)


def cosine_similarity(y_true: ArrayLike | Tensor, y_pred: ArrayLike | Tensor, axis: int = -1) -> ArrayOrTensor:
    """`CosineSimilarity` of each row; only axis -1.

    Example:
        >>> import fastnn
        >>> print(fastnn.losses.cosine_similarity([[1.0, 0.0], [1.0, 0.0]], [[5.0, 0.0], [3.0, 4.0]]))
        [-1.  -0.6]
    """
    return CosineSimilarity(axis=axis).call(y_true, y_pred)


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
