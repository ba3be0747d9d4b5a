"""`MLPClassifier`: scikit-learn's classifier of the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from ..core.arrays import Array
from . import network
from .perceptron import Perceptron

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from ..callbacks import Callback
    from ..optimizers import Optimizer


def _counted(y: Any) -> tuple[Array, Array] | None:
    """The labels in order, and the numbers of the rows' labels among them, where they are integers near each other: by
    counting, since to sort them or to look each one up takes longer than an epoch of a small network. None where that
    does not pay, or it is for scikit-learn to say what `y` is."""
    if y.ndim != 1 or not np.can_cast(y.dtype, np.int64):
        return None
    least = int(y.min())
    if int(y.max()) - least > len(y):
        return None
    places = np.subtract(y, least, dtype=np.int64)
    there = np.bincount(places) > 0
    labels = (np.flatnonzero(there) + least).astype(y.dtype)
    return labels, places if len(labels) == len(there) else (np.cumsum(there) - 1)[places]


class MLPClassifier(ClassifierMixin, Perceptron):
    """A multi-layer perceptron that classifies, with the parameters, attributes and rules of scikit-learn's.

    Math: the mean log-loss by the rows' weights, and alpha / 2 sum(W^2) over the sum of a batch's weights.

    Args:
        hidden_layer_sizes: units of each hidden layer.
        activation: "identity", "logistic", "tanh" or "relu".
        solver: "adam", "sgd" or "lbfgs".
        alpha: strength of the L2 penalty. batch_size: rows a step; "auto" is min(200, n).
        learning_rate: of "sgd": "constant", "invscaling" or "adaptive". learning_rate_init, power_t: its numbers.
        max_iter: epochs, or iterations of "lbfgs". shuffle: whether each epoch has an order of its own.
        random_state: seeds weights, orders, what is held out, and dropout.
        tol, n_iter_no_change: training ends after so many epochs in a row without an improvement by more than tol.
        verbose: whether to print each epoch. warm_start: whether fit goes on from the weights that there are.
        momentum, nesterovs_momentum: of "sgd". beta_1, beta_2, epsilon: of "adam". max_fun: evaluations of "lbfgs".
        early_stopping, validation_fraction: whether to hold out a share of the rows and watch their score.
        dropout: share of each hidden layer's outputs that a step leaves out.
        class_weight: {class: weight} or "balanced"; multiplies sample_weight.
        normalize: whether features are standardised by mean and variance of the rows of the first fit.
        monitor: what to watch instead of the training loss: "validation_score" or "validation_loss" of rows held out
            or given; None is the score with early_stopping.
        time_limit: seconds after which training ends with the best weights so far.
        optimizer: instead of solver, a name or an `optimizers.Optimizer`; a name gets learning_rate_init.
        callbacks: of `fastnn.callbacks`, called as by `Sequential.fit`. backend: see `Sequential.compile`.
        n_threads: None is what fastnn is set to, and 1 in a thread of joblib's.
        dtype: of the weights; None is that of X.

    Attributes:
        classes_, n_features_in_, feature_names_in_, n_outputs_, n_layers_, out_activation_: what it was fitted for.
        coefs_, intercepts_: views of the weights of each layer. model_: the `Sequential` that holds them.
        loss_, best_loss_, loss_curve_: of the training. n_iter_, t_: epochs, and rows seen.
        validation_scores_, best_validation_score_, validation_loss_curve_: of rows held out, or None.

    Raises:
        ValueError, TypeError: what scikit-learn refuses.

    Source: scikit-learn 1.9, `sklearn.neural_network.MLPClassifier`.

    Example:
        >>> import fastnn
        >>> from fastnn.estimators import MLPClassifier
        >>> X, y = fastnn.datasets.load_digits()
        >>> classifier = MLPClassifier((32,), random_state=0, max_iter=500).fit(X[:1500], y[:1500])
        >>> bool(classifier.score(X[1500:], y[1500:]) > 0.8)
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def __init__(
        self,
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
        class_weight: Mapping[int, float] | Mapping[str, float] | str | None = None,
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
        """X, and y as class numbers (n,), or as booleans (n, K) where a row has any number of labels."""
        X, y = self._checked(X, y, reset)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            if (counted := _counted(y)) is not None:
                self._multilabel, (self.classes_, numbers) = False, counted
                return X, numbers
            kind = type_of_target(y, input_name="y")
            if kind == "multiclass-multioutput":
                raise ValueError("Multioutput target data is not supported with label binarization")
            if kind not in ("binary", "multiclass", "multilabel-indicator"):
                raise ValueError(f"Unknown label type: {kind}. A classifier needs labels; is `y` for an MLPRegressor?")
            self._multilabel = kind == "multilabel-indicator"
            self.classes_ = np.arange(y.shape[1]) if self._multilabel else np.unique(y)
            return X, self._numbered(y)
        if self.warm_start and set(classes := unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        return X, self._numbered(y)

    def _held_rows(self, X: Any, y: Any) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=False)
        return X, self._numbered(y)

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _numbered(self, y: Any) -> Array:
        """The numbers of labels among `classes_`."""
        if self._multilabel:
            rows: Array = y if isinstance(y, np.ndarray) else y.toarray()
            if rows.ndim != 2 or rows.shape[1] != len(self.classes_):
                raise ValueError(f"`y` has shape {rows.shape}, expected (n, {len(self.classes_)}) of 0 and 1")
            return rows != 0
        numbers = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        if not np.array_equal(self.classes_[numbers], y):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {np.unique(y)}."
            )
        return numbers

    def _exclusive(self) -> bool:
        """Whether a row has one of three classes or more."""
        return not self._multilabel and len(self.classes_) > 2

    def _objective(self) -> network.Objective:
        return network.classes(self.n_outputs_, self._exclusive())

    def _targets(self, y: Array) -> Array:
        return y if y.ndim == 2 else y[:, None]

    def _outputs(self, targets: Array) -> int:
        return len(self.classes_) if self._exclusive() else int(targets.shape[1])

    def _stratify(self, y: Array) -> Array | None:
        return y.astype(bool)[:, None] if self.n_outputs_ == 1 and not self._multilabel else None

    def _weighted(self, y: Array, w: Array | None, incremental: bool) -> Array | None:
        if self.class_weight is None:
            return w
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which sees a part of the classes; give "
                "{class: weight}"
            )
        by_class = compute_sample_weight(self.class_weight, y if self._multilabel else self.classes_[y])
        return by_class if w is None else w * by_class

    # --- fitting ----------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> MLPClassifier:
        """Trains on all rows, from new weights unless `warm_start`.

        Args:
            X: (n, I) array, sparse matrix or data frame. y: (n,) labels of any kind, or (n, K) of 0 and 1.
            sample_weight: (n,). validation_data: (X, y) or (X, y, sample_weight) to validate on.

        Returns:
            The estimator.

        Raises:
            ValueError, TypeError: what cannot be trained on.
        """
        self._fit(X, y, sample_weight, validation_data, incremental=False)
        return self

    @available_if(Perceptron._check_solver)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> MLPClassifier:
        """Trains for one epoch on the rows given.

        Args:
            X, y, sample_weight: as for `fit`. classes: all labels there are; the first call needs them.

        Returns:
            The estimator.

        Raises:
            ValueError, TypeError: what cannot be trained on.
        """
        if classes is None and self._at_hand(X, y, sample_weight):
            numbers = np.searchsorted(self.classes_, y)
            if numbers.max() < len(self.classes_) and (self.classes_[numbers] == y).all():
                self._few_rows(np.asarray(X), numbers[:, None])
                return self
        return self._partial_fit(X, y, sample_weight, classes)

    @_fit_context(prefer_skip_nested_validation=True)
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> MLPClassifier:
        if _check_partial_fit_first_call(self, classes):
            self._multilabel = type_of_target(y).startswith("multilabel")
        self._fit(X, y, sample_weight, None, incremental=True)
        return self

    # --- predicting -------------------------------------------------------------------------------------------------

    def _labels(self, outputs: Array) -> Array:
        if self._multilabel:
            return (outputs > 0.5).astype(np.int64)
        numbers = outputs.argmax(axis=1) if self._exclusive() else (outputs[:, 0] > 0.5).astype(np.int64)
        return self.classes_[np.minimum(numbers, len(self.classes_) - 1)]

    def _score_of(self, outputs: Array, y: Array, w: Array | None) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if self._multilabel:
            right = ((outputs > 0.5) == y).all(axis=1)
        else:
            right = (outputs.argmax(axis=1) if self._exclusive() else outputs[:, 0] > 0.5) == y
        return float(np.average(right, weights=w))

    def predict(self, X: ArrayLike) -> Array:
        """The labels (n,) of the rows of X (n, I), or (n, K) of 0 and 1."""
        return self._labels(self._predicted(X))

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probabilities (n, C) of the classes in the order of `classes_`, for the rows of X (n, I)."""
        outputs = self._predicted(X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """The logarithms (n, C) of `predict_proba`."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
