"""What both estimators are: scikit-learn's parameters, attributes and rules over a fastnn model."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight

from ..callbacks import CallbackList
from ..core.arrays import Array
from ..core.plan import SUM_COUNT, SUM_LOSS
from ..engine import training
from ..engine.slices import SLICE_SECONDS, run_steps
from ..optimizers import Optimizer
from . import lbfgs, network
from .feeds import Feed, without_penalties
from .holder import Holder
from .stopping import Deadline, Rates, Stopping

_AUTO_BATCH = 200
_SCORED = 1024  # rows in a step of validation


class Perceptron(Holder):
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

    def _take(self, arguments: dict[str, Any]) -> None:
        """Keeps the arguments of a constructor, of which scikit-learn reads the signature, by their names."""
        self.__dict__.update((name, value) for name, value in arguments.items() if name != "self")

    # --- data -------------------------------------------------------------------------------------------------------

    def _targets(self, y: Array) -> Array:
        """(n, T) of what the loss reads."""
        raise NotImplementedError

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """X as an array or a CSR matrix, and y in the form that the other methods take."""
        raise NotImplementedError

    def _score_of(self, outputs: Array, y: Array, w: Array | None) -> float:
        raise NotImplementedError

    def _held_rows(self, X: Any, y: Any) -> tuple[Any, Array]:
        """Rows that validate, as `_validate_input` gives others."""
        raise NotImplementedError

    def _stratify(self, y: Array) -> Array | None:
        return None

    def _weighted(self, y: Array, w: Array | None, incremental: bool) -> Array | None:
        """The weights of rows, those of classes among them."""
        return w

    def _begin(self) -> None:
        """The attributes of a training that has not begun."""
        self.n_iter_ = self.t_ = 0
        for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
            self.__dict__.pop(name, None)
        if self._by_lbfgs:
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        validates = self._validates
        self.validation_scores_: list[float] | None = [] if validates else None
        self.validation_loss_curve_: list[float] | None = [] if validates else None
        self.best_validation_score_: float | None = -np.inf if validates else None
        self.best_loss_: float | None = None if self._stops_early else np.inf

    @property
    def _by_lbfgs(self) -> bool:
        return bool(self.solver == "lbfgs" and self.optimizer is None)

    @property
    def _stops_early(self) -> bool:
        return bool(self.early_stopping or self.monitor is not None)

    def _outputs(self, targets: Array) -> int:
        return int(targets.shape[1])

    # --- fitting ----------------------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool) -> Any:
        self._hidden()
        deadline = Deadline(self.time_limit, SLICE_SECONDS)
        first_pass = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate_input(X, y, incremental, first_pass)
        w = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        w = self._weighted(y, w, incremental)
        if w is not None and not w.any():
            raise ValueError("sample_weight: all weights are 0, so there is nothing to fit")
        self._validates = self._stops_early or validation_data is not None
        if incremental and self._validates:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self._by_lbfgs and not (self.monitor is validation_data is self.callbacks is None):
            raise ValueError('monitor, validation_data and callbacks need another solver: "lbfgs" has no epochs')
        targets = self._targets(y)
        self.n_outputs_ = self._outputs(targets)
        self._random_state = check_random_state(self.random_state)
        fresh = not self._has_model or (not self.warm_start and not incremental)
        if fresh:
            given = {} if first_pass else self.__dict__.pop("_given_weights", {})
            for name in ("model_", "_given_weights"):
                self.__dict__.pop(name, None)
            if first_pass:
                self._begin()
        with self._threads():
            if fresh:  # before rows are held out, as there
                self._make_model(X, self._batch(X.shape[0]), w)
                for which, values in given.items():
                    self._set_weights(which, values)
            elif self._made != self._made_of():
                self._remake_model(self._decay_batch)
            elif not incremental:
                network.compile_for(self.model_, self._objective(), self._new_optimizer(), self.backend)
            if self._by_lbfgs:
                self.n_iter_, self.loss_ = lbfgs.minimise(self, X, targets, w, deadline)
            else:
                self._fit_stochastic(X, y, w, validation_data, incremental, deadline)
        if not np.isfinite(self._theta()).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

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
        X, y = self._held_rows(X, y)
        return X, y, None if w is None else _check_sample_weight(w, X)

    def _batch(self, rows: int) -> int:
        return min(_AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), rows)

    def _feed(self, X: Any, targets: Array, w: Array | None, batch: int) -> Feed:
        alpha = self.alpha / self._decay_alpha if self._decay_alpha else 0.0  # its parameter now, and in the model
        random = self._random_state if self.shuffle else None
        return Feed(X, targets, w, batch, random, self.model_.dtype, alpha * self._decay_batch)

    def _fit_stochastic(
        self, X: Any, y: Array, w: Array | None, validation_data: Any, incremental: bool, deadline: Deadline
    ) -> None:
        X, y, w, X_val, y_val, w_val = self._held_out(X, y, w, validation_data)
        batch = self._batch(X.shape[0])
        if self.batch_size != "auto" and self.batch_size > batch:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        self._rates = Rates(
            self.learning_rate if self.solver == "sgd" and self.optimizer is None else "constant",
            float(self.learning_rate_init),
            self.power_t,
        )
        feed = self._feed(X, self._targets(y), w, batch)
        if incremental and self.callbacks is None and not self.verbose:
            self._one_epoch(feed)
            return
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
            and self._made == self._made_of()
            and getattr(self, "class_weight", None) is None
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
        best = np.inf if self.best_loss_ is None else self.best_loss_
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

    def _check_solver(self) -> bool:
        if self._by_lbfgs:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
