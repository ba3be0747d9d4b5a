"""What both estimators are: scikit-learn's parameters, attributes and rules over a fastnn model."""

from __future__ import annotations

import threading
import warnings
from contextlib import AbstractContextManager
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import config, optimizers
from ..callbacks import CallbackList
from ..core.arrays import Array
from ..core.plan import SUM_COUNT, SUM_LOSS
from ..engine import training
from ..engine.slices import SLICE_SECONDS, run_steps
from ..optimizers import Optimizer
from . import lbfgs, network
from .feeds import Feed, forward, is_sparse, moments, without_penalties
from .network import Objective
from .stopping import Deadline, Rates, Stopping

_SPARSE = ["csr", "csc"]
_AUTO_BATCH = 200
_FEW = 200  # rows that are checked in one pass
_SCORED = 1024  # rows in a step of validation


class Weights(list[Array]):
    """Views of weights; setting one sets what it is a view of."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self[index][...] = value


class Perceptron(BaseEstimator):
    """What `MLPClassifier` and `MLPRegressor` share."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalize": ["boolean"],
        "monitor": [StrOptions({"validation_score", "validation_loss"}), None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer": [str, Optimizer, None],
        "callbacks": "no_validation",
        "backend": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [StrOptions({"float32", "float64"}), None],
    }

    # --- data -------------------------------------------------------------------------------------------------------

    def _objective(self) -> Objective:
        raise NotImplementedError

    def _targets(self, y: Array) -> Array:
        """(n, T) of what the loss reads."""
        raise NotImplementedError

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        raise NotImplementedError

    def _score_of(self, outputs: Array, y: Array, w: Array | None) -> float:
        raise NotImplementedError

    def _stratify(self, y: Array) -> Array | None:
        return None

    def _weighted(self, y: Array, w: Array | None, incremental: bool) -> Array | None:
        """The weights of rows, those of classes among them."""
        return w

    def _model_dtype(self, X: Any) -> str:
        return self.dtype or X.dtype.name

    # --- the model --------------------------------------------------------------------------------------------------

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
        if "model_" in vars(self):
            return Weights(self._all_weights()[which])
        given = vars(self).get("_given_weights", {})
        if which not in given:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {('coefs_', 'intercepts_')[which]!r}"
            )
        values: list[Array] = given[which]
        return values

    def _all_weights(self) -> tuple[list[Array], list[Array]]:
        return network.weights(self.model_)

    def _set_weights(self, which: int, values: list[Any]) -> None:
        """Sets the weights of the model, or those that it is going to begin with."""
        if "model_" not in vars(self):
            self._given_weights = vars(self).get("_given_weights", {}) | {which: values}
            return
        views = self._all_weights()[which]
        if [view.shape for view in views] != [np.asarray(value).shape for value in values]:
            shapes = ", ".join(str(view.shape) for view in views)
            raise ValueError(f"{('coefs_', 'intercepts_')[which]}: expected arrays of shape {shapes}")
        for view, value in zip(views, values, strict=True):
            view[...] = value

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

    def _make_model(self, X: Any, outputs: int, batch: int, w: Array | None) -> None:
        """A model with the weights that it begins with, which trains on batches of so many rows."""
        objective = self._objective()
        units = (X.shape[1], *self._hidden(), outputs)
        seed = int(self._random_state.randint(2**31 - 1)) if self.dropout else 0
        shape = network.Shape(
            units,
            self.activation,
            float(self.dropout),
            float(self.alpha) / (2 * batch),
            self._model_dtype(X),
            moments(X, w) if self.normalize else None,
        )
        model = network.model(shape, objective, seed)
        network.compile_for(model, objective, self._new_optimizer(), self.backend)
        given = self.__dict__.pop("_given_weights", None)
        if given is None:
            network.draw(model, self.activation, self._random_state)
        self.model_, self._decay_batch, self._decay_alpha = model, batch, float(self.alpha)
        for which, values in (given or {}).items():
            self._set_weights(which, values)
        self.n_layers_, self.out_activation_ = len(units), objective.out_activation

    def _begin(self) -> None:
        """The attributes of a training that has not begun."""
        self.n_iter_ = self.t_ = 0
        for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
            self.__dict__.pop(name, None)
        if self.solver == "lbfgs" and self.optimizer is None:
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        validates = self._validates
        self.validation_scores_: list[float] | None = [] if validates else None
        self.validation_loss_curve_: list[float] | None = [] if validates else None
        self.best_validation_score_: float | None = -np.inf if validates else None
        self.best_loss_: float | None = None if self._stops_early else np.inf

    @property
    def _stops_early(self) -> bool:
        return bool(self.early_stopping or self.monitor is not None)

    # --- fitting ----------------------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool) -> Any:
        self._hidden()
        first_pass = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate_input(X, y, incremental, first_pass)
        if is_sparse(X) and X.format != "csr":
            X = X.tocsr()
        w = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        w = self._weighted(y, w, incremental)
        if w is not None and not w.any():
            raise ValueError("sample_weight: all weights are 0, so there is nothing to fit")
        self._validates = self._stops_early or validation_data is not None
        if incremental and self._validates:
            raise ValueError("partial_fit does not support early_stopping=True")
        targets = self._targets(y)
        self.n_outputs_ = self._outputs(targets)
        self._random_state = check_random_state(self.random_state)
        first_weights = "model_" not in vars(self) or (not self.warm_start and not incremental)
        if first_weights:
            if "model_" in vars(self):
                del self.model_
            if first_pass:
                self._begin()
        with self._threads():
            if self.solver == "lbfgs" and self.optimizer is None:
                if first_weights:
                    self._make_model(X, self.n_outputs_, X.shape[0], w)
                self._fit_lbfgs(X, targets, w)
            else:
                self._fit_stochastic(X, y, targets, w, validation_data, incremental, first_weights)
        if not np.isfinite(self._theta()).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _outputs(self, targets: Array) -> int:
        return int(targets.shape[1])

    def _theta(self) -> Array:
        theta: Array = self.model_.engine().state.theta
        return theta

    def _held_out(self, X: Any, y: Array, w: Array | None, validation_data: Any) -> tuple[Any, ...]:
        """What is trained on, and what validates: (X, y, w) of each."""
        if validation_data is not None:
            return (X, y, w, *self._validation(validation_data))
        if not self._stops_early:
            return (X, y, w, None, None, None)
        arrays = (X, y) if w is None else (X, y, w)
        parts = train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=self._stratify(y),
        )
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        parts += [] if w is not None else [None, None]
        return (*parts[::2], *parts[1::2])

    def _validation(self, given: Any) -> tuple[Any, Array, Array | None]:
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise ValueError("validation_data: expected (X, y) or (X, y, sample_weight)")
        X, y, w = (*given, None)[:3]
        X, y = self._validate_input(X, y, incremental=True, reset=False)
        return X.tocsr() if is_sparse(X) else X, y, None if w is None else _check_sample_weight(w, X)

    def _batch(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(_AUTO_BATCH, rows)
        if self.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6
            )
        return int(min(self.batch_size, rows))

    def _feed(self, X: Any, targets: Array, w: Array | None, batch: int) -> Feed:
        alpha = self.alpha / self._decay_alpha if self._decay_alpha else 0.0
        random = self._random_state if self.shuffle else None
        return Feed(X, targets, w, batch, random, self.model_.dtype, alpha * self._decay_batch)

    def _fit_stochastic(
        self, X: Any, y: Array, targets: Array, w: Array | None, validation_data: Any, incremental: bool, fresh: bool
    ) -> None:
        if fresh:  # before rows are held out, as there
            self._make_model(X, self.n_outputs_, self._batch_of(X.shape[0]), w)
        X, y, w, X_val, y_val, w_val = self._held_out(X, y, w, validation_data)
        targets = targets if X_val is None or validation_data is not None else self._targets(y)
        batch = self._batch(X.shape[0])
        if not fresh and self.alpha and not self._decay_alpha:  # the model has no penalty to be multiplied
            self._given_weights = dict(enumerate([view.copy() for view in views] for views in self._all_weights()))
            self._make_model(X, self.n_outputs_, batch, w)
        elif not incremental and not fresh:
            network.compile_for(self.model_, self._objective(), self._new_optimizer(), self.backend)
        self._rates = Rates(
            self.learning_rate if self.solver == "sgd" and self.optimizer is None else "constant",
            float(self.learning_rate_init),
            self.power_t,
        )
        feed = self._feed(X, targets, w, batch)
        if incremental and self.callbacks is None and not self.verbose:
            self._one_epoch(feed)
            return
        deadline = Deadline(self.time_limit, SLICE_SECONDS)
        objective = self._objective()
        stopping = Stopping(
            self,
            lambda logs: network.told_loss(logs, objective, self.n_outputs_),
            None if X_val is None else lambda: self._validated(X_val, y_val, w_val),
            self._theta,
            deadline,
            incremental,
        )
        self._rows_of_epoch, self.n_iter_ = X.shape[0], 0
        hooks = CallbackList(
            [self.callbacks, stopping], True, model=self.model_, verbose=0, epochs=self.max_iter, steps=feed.steps
        )
        try:
            training.train(
                self.model_,
                feed,
                hooks,
                range(1 if incremental else self.max_iter),
                ended=deadline.passed,
                seconds=deadline.slice_seconds,
            )
            if not stopping.ended and not self.model_.stop_training:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        stopping.restore()

    def _batch_of(self, rows: int) -> int:
        return min(_AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), rows)

    def _at_hand(self, X: Any, y: Any, sample_weight: Any) -> bool:
        """Whether rows are such that `partial_fit` has nothing to check but their numbers: a stream of a few at a time
        would wait for checks most of the time."""
        known = vars(self)
        return (
            sample_weight is None
            and type(y) is np.ndarray
            and "_rates" in known
            and y.ndim == 1
            and y.dtype.kind in "biuf"
            and self._is_plain(X)
            and len(X) == len(y)
            and X.dtype == self.model_.dtype
            and not known.get("_multilabel", False)
            and not (self._stops_early or self.verbose or self.warm_start)
            and self.callbacks is None
            and getattr(self, "class_weight", None) is None
        )

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

    def _few_rows(self, X: Array, targets: Array) -> None:
        """`partial_fit` of rows at hand."""
        if len(X) > 1:
            self._random_state = check_random_state(self.random_state)
        self._one_epoch(self._feed(X, targets, None, self._batch(len(X))))

    def _one_epoch(self, feed: Feed) -> None:
        """`partial_fit`: each row once, without what a training has around that."""
        model, engine = self.model_, self.model_.engine()
        sums = engine.scores.sums()
        for data in feed.epoch():
            run_steps(model, data, 0, data.steps, sums)
        engine.ran = True
        loss = float(sums[SUM_LOSS] / sums[SUM_COUNT])
        if (objective := self._objective()).averaged:
            loss = network.told_loss(engine.scores.logs(sums), objective, self.n_outputs_)
        self.loss_, self.n_iter_ = loss, 1
        self.t_ += feed.rows
        self.loss_curve_.append(loss)
        best = self.best_loss_
        assert best is not None  # nothing is held out
        self._no_improvement_count = self._no_improvement_count + 1 if loss > best - self.tol else 0
        self.best_loss_ = loss if loss < best else best
        self._rates.epoch_ended(self._optimizer, self.t_)
        if self._no_improvement_count > self.n_iter_no_change and not self._rates.exhausted(self._optimizer, "", False):
            self._no_improvement_count = 0

    def _validated(self, X: Any, y: Array, w: Array | None) -> tuple[float, float]:
        """The score of rows held out, and their loss without penalties."""
        engine = self.model_.engine()
        targets, sums = self._targets(y), engine.scores.sums()
        for data in without_penalties(X, targets, w, min(_SCORED, X.shape[0]), engine.plan.dtype):
            engine.program.score(data, 0, data.steps, sums)
        loss = network.told_loss(engine.scores.logs(sums), self._objective(), self.n_outputs_)
        return self._score_of(self._forward(X), y, w), loss

    def _fit_lbfgs(self, X: Any, targets: Array, w: Array | None) -> None:
        self.n_iter_, self.loss_ = lbfgs.minimise(self, X, targets, w)

    # --- predicting -------------------------------------------------------------------------------------------------

    def _forward(self, X: Any) -> Array:
        """Outputs (n, O) of rows that were validated."""
        engine = self.model_.engine()
        return forward(engine.program, X, engine.plan.widths[0], engine.plan.dtype)

    def _predicted(self, X: Any) -> Array:
        """Outputs (n, O) of rows of any kind."""
        if self._is_plain(X):
            return self._forward(X)
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=_SPARSE, reset=False)
        if is_sparse(X) and X.format != "csr":
            X = X.tocsr()
        return self._forward(X)

    def _check_solver(self) -> bool:
        if self.solver not in ("sgd", "adam") and self.optimizer is None:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
