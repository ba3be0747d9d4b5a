"""Keras 3's wrappers: an estimator around a compiled model, or around a function that makes one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from ..core.arrays import Array
from ..core.types import Arguments
from ..engine.trainer import Trainer
from ..errors import NotBuiltError
from ..models import clone_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


def equal_model(model: Any) -> Any:
    """A model of equal layers with new weights, compiled as this one is."""
    made, recipe = clone_model(model), model.recipe
    if recipe is not None:
        optimizer = type(recipe.optimizer).from_config(recipe.optimizer.get_config())
        made.take(replace(recipe, optimizer=optimizer, trained=None))
    return made


class Wrapper(BaseEstimator):
    """What the three wrappers share."""

    def __init__(
        self,
        model: Trainer | Callable[..., Trainer],
        warm_start: bool = False,
        model_kwargs: Arguments | None = None,
        fit_kwargs: Arguments | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def _model(self, X: Array, y: Array) -> Any:
        if self.warm_start and "model_" in vars(self):
            return self.model_
        if isinstance(self.model, Trainer):
            return self.model if self.warm_start else equal_model(self.model)
        return self.model(X=X, y=y, **(self.model_kwargs or {}))

    def fit(self, X: ArrayLike, y: ArrayLike, **kwargs: object) -> Self:
        """Trains a model on all rows.

        Args:
            X: (n, I) array-like. y: (n,) or (n, O). kwargs: of the model's `fit`; they win over `fit_kwargs`.

        Returns:
            The estimator.

        Raises:
            NotBuiltError: the model is not compiled. ValueError, TypeError: what cannot be trained on.
        """
        rows, targets = validate_data(self, X, y, multi_output=True)
        targets = self._process_target(targets)
        model = self._model(rows, targets)
        if not model.compiled or not model.loss:
            raise NotBuiltError(
                f"{type(self).__name__}: the model is not compiled with a loss; call compile on it, in the function "
                "that makes it"
            )
        self.history_ = model.fit(rows, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    @property
    def epoch_(self) -> int:
        """How many epochs the last `fit` trained."""
        return len(self.history_.epoch) if "history_" in vars(self) else 0

    def _process_target(self, y: Array) -> Array:
        type_of_target(y, raise_unknown=True)
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1)

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        outputs: Array = self.model_.predict(X, verbose=0)
        return outputs

    def predict(self, X: ArrayLike) -> Array:
        """Predictions for the rows of X (n, I), in the shape that the targets had."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat and outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags


class SKLearnClassifier(ClassifierMixin, Wrapper):
    """A classifier for scikit-learn around a Keras-like model; it trains on one-hot targets.

    Args:
        model: a compiled model, of which each fit trains an equal one, or a function of (X, y, **model_kwargs) that
            gives a compiled one: y is one-hot there, (n, C).
        warm_start: whether fit goes on with the model that there is. model_kwargs: of the function.
        fit_kwargs: of the model's `fit`.

    Attributes:
        classes_: the labels. model_, history_: the model, and what its `fit` returned.

    Raises:
        ValueError: targets that are no classes, or one class alone.

    Source: Keras 3, `keras.wrappers.SKLearnClassifier`.

    Example:
        >>> import fastnn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> fastnn.utils.set_random_seed(0)
        >>> model = fastnn.Sequential([fastnn.layers.Dense(16, "relu"), fastnn.layers.Dense(3, "softmax")])
        >>> model.compile(fastnn.optimizers.Adam(0.05), "categorical_crossentropy")
        >>> wrapped = fastnn.wrappers.SKLearnClassifier(model, fit_kwargs={"epochs": 40, "verbose": 0})
        >>> bool(wrapped.fit(X, y).score(X, y) > 0.9)
        True
    """

    def _process_target(self, y: Array) -> Array:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Only binary and multiclass target types are supported. Target type: {kind}")
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError("Classifier can't train when only one class is present.")
        self._flat = y.ndim == 1
        return np.eye(len(self.classes_))[numbers.reshape(-1)]

    def predict(self, X: ArrayLike) -> Array:
        """The labels of the rows of X (n, I), in the shape that the targets had."""
        numbers = self._outputs(X).argmax(axis=1)
        labels: Array = self.classes_[numbers]
        return labels if self._flat else labels[:, None]

    def predict_proba(self, X: ArrayLike) -> Array:
        """The model's outputs (n, C) for the rows of X (n, I)."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, Wrapper):
    """A regressor for scikit-learn around a Keras-like model.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: as of `SKLearnClassifier`; y is (n, O) in the function.

    Attributes:
        model_, history_: the model, and what its `fit` returned.

    Source: Keras 3, `keras.wrappers.SKLearnRegressor`.

    Example:
        >>> import fastnn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> fastnn.utils.set_random_seed(0)
        >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
        >>> model.compile(fastnn.optimizers.Adam(0.05), "mse")
        >>> wrapped = fastnn.wrappers.SKLearnRegressor(model, fit_kwargs={"epochs": 60, "verbose": 0})
        >>> bool(wrapped.fit(X[:, :3], X[:, 3]).score(X[:, :3], X[:, 3]) > 0.8)
        True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Wrapper):
    """A transformer for scikit-learn: what a Keras-like model gives for rows. `set_output` chooses the container.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: as of `SKLearnRegressor`.

    Attributes:
        model_, history_: the model, and what its `fit` returned.

    Source: Keras 3, `keras.wrappers.SKLearnTransformer`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X: ArrayLike) -> Array:
        """The model's outputs (n, O) for the rows of X (n, I)."""
        return self._outputs(X)

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self)
        return int(self.model_.output_shape[-1])
