"""The model that an estimator has: its weights, its threads, its predictions."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import config, optimizers
from ..core.arrays import Array
from ..models import Sequential
from ..optimizers import Optimizer
from . import network
from .feeds import forward, moments
from .network import Objective

_FEW = 200  # rows that are checked in one pass
_NAMES = ("coefs_", "intercepts_")


class Weights(list[Array]):
    """Views of weights; setting one sets what it is a view of."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self[index][...] = value


class Holder(BaseEstimator):
    """An estimator whose `model_` is a `Sequential`.

    Attributes:
        n_outputs_: the width of its output.
    """

    model_: Sequential
    n_outputs_: int

    def _objective(self) -> Objective:
        raise NotImplementedError

    @property
    def _has_model(self) -> bool:
        return "model_" in vars(self)

    # --- weights ----------------------------------------------------------------------------------------------------

    @property
    def coefs_(self) -> list[Array]:
        """The W (fan-in, fan-out) of each layer: views of the model's weights."""
        return self._weights(0)

    @coefs_.setter
    def coefs_(self, values: list[Any]) -> None:
        self._set_weights(0, values)

    @property
    def intercepts_(self) -> list[Array]:
        """The b of each layer: views of the model's weights."""
        return self._weights(1)

    @intercepts_.setter
    def intercepts_(self, values: list[Any]) -> None:
        self._set_weights(1, values)

    def _weights(self, which: int) -> list[Array]:
        if self._has_model:
            return Weights(self._all_weights()[which])
        given = vars(self).get("_given_weights", {})
        if which not in given:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {_NAMES[which]!r}")
        values: list[Array] = given[which]
        return values

    def _all_weights(self) -> tuple[list[Array], list[Array]]:
        return network.weights(self.model_)

    def _set_weights(self, which: int, values: list[Any]) -> None:
        """Sets the weights of the model, or those that it is going to begin with."""
        if not self._has_model:
            self._given_weights = vars(self).get("_given_weights", {}) | {which: values}
            return
        views = self._all_weights()[which]
        if [view.shape for view in views] != [np.asarray(value).shape for value in values]:
            shapes = ", ".join(str(view.shape) for view in views)
            raise ValueError(f"{_NAMES[which]}: expected arrays of shape {shapes}")
        for view, value in zip(views, values, strict=True):
            view[...] = value

    def _theta(self) -> Array:
        theta: Array = self.model_.engine().state.theta
        return theta

    @property
    def _optimizer(self) -> Optimizer:
        optimizer = self.model_.optimizer
        assert optimizer is not None  # it is compiled
        return optimizer

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _threads(self) -> AbstractContextManager[None]:
        """Within it, programs get the threads that this estimator may use: one in a thread of joblib's."""
        threads = self.n_threads
        if threads is None and threading.current_thread() is not threading.main_thread():
            from joblib.parallel import get_active_backend

            backend, _ = get_active_backend()
            threads = 1 if backend.nesting_level else None
        return config.threads_here(threads)

    def _new_optimizer(self) -> Optimizer:
        rate = float(self.learning_rate_init)
        if self.optimizer is not None:
            return network.optimizer_of(self.optimizer, rate)
        if self.solver == "adam":
            return optimizers.Adam(rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
        return optimizers.SGD(rate, momentum=self.momentum, nesterov=self.nesterovs_momentum)

    # --- making it --------------------------------------------------------------------------------------------------

    def _made_of(self) -> tuple[Any, ...]:
        """The parameters that a model is made of; where one has changed, going on needs another one."""
        loss = getattr(self, "loss", None)
        return self.activation, self.dropout, self.dtype, self.normalize, loss, self.alpha > 0, self._hidden()

    def _make_model(self, X: Any, batch: int, w: Array | None) -> None:
        """A model with the weights that it begins with, which trains on batches of so many rows."""
        units = (X.shape[1], *self._hidden(), self.n_outputs_)
        seed = int(self._random_state.randint(2**31 - 1)) if self.dropout else 0
        self._moments = moments(X, w) if self.normalize else None
        self._compile_model(units, self._objective(), seed, self.dtype or X.dtype.name, batch)
        network.draw(self.model_, self.activation, self._random_state)

    def _remake_model(self, batch: int) -> None:
        """A model of other parameters, with the weights that there are.

        Raises:
            ValueError: there is no place for them.
        """
        before, dtype = self._all_weights(), self.dtype or self.model_.dtype
        units = (before[0][0].shape[0], *self._hidden(), self.n_outputs_)
        there = (before[0][0].shape[0], *(b_o.size for b_o in before[1]))
        if units != there or (self.normalize and self._moments is None):
            raise ValueError(
                f"the weights that there are belong to layers of {there} units, hidden_layer_sizes, the outputs or "
                f"normalize ask for {units}; fit without warm_start, or a clone"
            )
        self._compile_model(units, self._objective(), self.model_.seed, dtype, batch)
        for which, values in enumerate(before):
            self._set_weights(which, values)

    def _compile_model(self, units: tuple[int, ...], objective: Objective, seed: int, dtype: str, batch: int) -> None:
        decay, inside = float(self.alpha) / (2 * batch), self._moments if self.normalize else None
        shape = network.Shape(units, self.activation, float(self.dropout), decay, dtype, inside)
        model = network.model(shape, objective, seed)
        network.compile_for(model, objective, self._new_optimizer(), self.backend)
        self.model_, self._decay_batch, self._decay_alpha = model, batch, float(self.alpha)
        self.n_layers_, self.out_activation_ = len(units), objective.out_activation
        self._made = self._made_of()

    # --- predicting -------------------------------------------------------------------------------------------------

    def _forward(self, X: Any) -> Array:
        """Outputs (n, O) of rows that were validated."""
        engine = self.model_.engine()
        return forward(engine.predictor, X, engine.plan.widths[0], engine.plan.dtype)

    def _predicted(self, X: Any) -> Array:
        """Outputs (n, O) of rows of any kind."""
        if self._is_plain(X):
            return self._forward(X)
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return self._forward(X)

    def _is_plain(self, X: Any) -> bool:
        """Whether rows are few, and right as they are."""
        known = vars(self)
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in (np.float32, np.float64)
            and "model_" in known
            and "feature_names_in_" not in known
            and 0 < len(X) <= _FEW
            and X.shape[1] == self.n_features_in_
            and bool(np.isfinite(X).all())
        )
