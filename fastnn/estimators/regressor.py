"""`MLPRegressor`: scikit-learn's regressor of the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ..core.arrays import Array
from ..losses import Loss
from . import network
from .perceptron import Perceptron

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ..callbacks import Callback
    from ..losses import Loss
    from ..optimizers import Optimizer


class MLPRegressor(RegressorMixin, Perceptron):
    """A multi-layer perceptron that predicts numbers, with the parameters, attributes and rules of scikit-learn's.

    Math: the sum of a loss over the outputs, in the mean by the rows' weights, and alpha / 2 sum(W^2) over the sum of a
    batch's weights. Of squared errors it is half, and `loss_` is a mean over the outputs.

    Args:
        loss: "squared_error", "poisson" (through an exponential output), "absolute_error", "huber", "quantile", or a
            `losses.Loss` of numbers, such as `losses.Lp(1.5)`.
        hidden_layer_sizes: units of each hidden layer. The other arguments are those of `MLPClassifier`.

    Attributes:
        n_features_in_, feature_names_in_, n_outputs_, n_layers_, out_activation_: what it was fitted for.
        coefs_, intercepts_, model_, loss_, best_loss_, loss_curve_, n_iter_, t_, validation_scores_,
        best_validation_score_, validation_loss_curve_: as of `MLPClassifier`; scores are R^2.

    Raises:
        ValueError, TypeError: what scikit-learn refuses.

    Source: scikit-learn 1.9, `sklearn.neural_network.MLPRegressor`.

    Example:
        >>> import numpy
        >>> from fastnn.estimators import MLPRegressor
        >>> X = numpy.linspace(-1, 1, 200)[:, None]
        >>> regressor = MLPRegressor(hidden_layer_sizes=(32,), solver="lbfgs", random_state=0, max_iter=1000)
        >>> bool(regressor.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99)
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"}), Loss],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        normalize: bool = False,
        monitor: str | None = None,
        time_limit: float | None = None,
        optimizer: str | Optimizer | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
        dtype: str | None = None,
    ) -> None:
        self._take(locals())

    # --- targets ----------------------------------------------------------------------------------------------------

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _held_rows(self, X: Any, y: Any) -> tuple[Any, Array]:
        return self._validate_input(X, y, incremental=False, reset=False)

    def _objective(self) -> network.Objective:
        return network.numbers(self.loss, self.n_outputs_)

    def _targets(self, y: Array) -> Array:
        numbers = y if y.dtype == np.float32 else y.astype(np.float64, copy=False)
        return numbers if numbers.ndim == 2 else numbers[:, None]

    # --- fitting ----------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> MLPRegressor:
        """Trains on all rows, from new weights unless `warm_start`.

        Args:
            X: (n, I) array, sparse matrix or data frame. y: (n,) or (n, K) numbers.
            sample_weight: (n,). validation_data: (X, y) or (X, y, sample_weight) to validate on.

        Returns:
            The estimator.

        Raises:
            ValueError, TypeError: what cannot be trained on.
        """
        self._fit(X, y, sample_weight, validation_data, incremental=False)
        return self

    @available_if(Perceptron._check_solver)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Trains for one epoch on the rows given.

        Args:
            X, y, sample_weight: as for `fit`.

        Returns:
            The estimator.

        Raises:
            ValueError, TypeError: what cannot be trained on.
        """
        if self._at_hand(X, y, sample_weight) and self.n_outputs_ == 1 and np.isfinite(y).all():
            self._few_rows(np.asarray(X), np.asarray(y)[:, None])
            return self
        return self._partial_fit(X, y, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> MLPRegressor:
        self._fit(X, y, sample_weight, None, incremental=True)
        return self

    # --- predicting -------------------------------------------------------------------------------------------------

    def _score_of(self, outputs: Array, y: Array, w: Array | None) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        return float(r2_score(y, outputs, sample_weight=w))

    def predict(self, X: ArrayLike) -> Array:
        """The numbers (n,) or (n, K) for the rows of X (n, I)."""
        outputs = self._predicted(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs
