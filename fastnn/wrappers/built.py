"""`KerasClassifier` and `KerasRegressor` of older scripts: estimators around a function that builds a model, whose
arguments are parameters of the estimator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import losses, optimizers, utils
from ..core.arrays import Array
from ..core.types import Arguments
from ..engine.trainer import Trainer
from ..errors import ArgumentError
from .compiled import equal_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_FIT = frozenset(inspect.signature(Trainer.fit).parameters) - {"self", "x", "y", "kwargs"}
_PREDICT = frozenset({"batch_size", "verbose", "steps", "callbacks"})
_COMPILE = frozenset({"optimizer", "loss", "metrics", "loss_weights", "weighted_metrics", "backend"})
_OWN = frozenset({"random_state", "warm_start"})
_PREFIXES = ("model__", "fit__", "predict__", "compile__", "optimizer__", "loss__")
_GIVEN = frozenset({"meta", "compile_kwargs", "params"})  # to a builder that asks for them


def _arguments(function: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """The names of a function's arguments, and whether it takes any."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(parameter.name for parameter in parameters), any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters
    )


class BaseWrapper(BaseEstimator):
    """What both estimators share.

    Args:
        model: a function that gives a model, or a model. build_fn: its older name; without both a subclass gives
            `__call__`.
        params: arguments of the function, of the model's `fit` and `predict`, and of `compile` for a function that
            leaves this to the estimator. With a prefix they go there alone: model__units, fit__epochs,
            predict__batch_size, compile__loss, optimizer__learning_rate, loss__delta. random_state seeds weights and
            orders; warm_start goes on with the model that there is.

    Attributes:
        model_: the model. history_: the results of each epoch, by name.

    Raises:
        ArgumentError: a parameter that goes nowhere.

    Source: Keras 2, `keras.wrappers.scikit_learn`; SciKeras, `scikeras.wrappers`, for the names with prefixes.
    """

    def __init__(
        self,
        model: Callable[..., Trainer] | None = None,
        build_fn: Callable[..., Trainer] | None = None,
        **params: object,
    ) -> None:
        self._model, self.build_fn = model, build_fn
        self._params: Arguments = dict(params)
        self._check(params)

    # --- parameters -------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Callable[..., Trainer] | Trainer | None:
        """What was given; where it was called `build_fn`, the model that was fitted, as in Keras 2."""
        return vars(self).get("model_") if self.build_fn is not None else self._model

    @model.setter
    def model(self, value: Any) -> None:
        self._model = value

    @property
    def _old(self) -> bool:
        return self._model is None

    def _builder(self) -> Callable[..., Any]:
        given = self._model if self._model is not None else self.build_fn
        if isinstance(given, Trainer):
            return lambda: equal_model(given)
        if given is None:
            given = self if callable(self) else getattr(self, "_keras_build_fn", None)
        if given is None:
            raise ArgumentError(
                f"{type(self).__name__}: there is no model; give model=, a function that gives one, or write __call__"
            )
        builder: Callable[..., Any] = given
        return builder

    def _check(self, params: Mapping[str, Any]) -> None:
        names, anything = _arguments(self._builder())
        known = names | _FIT | _PREDICT | _COMPILE | _OWN | {"nb_epoch"}
        for name in params:
            if name not in known and not name.startswith(_PREFIXES) and not anything:
                raise ArgumentError(
                    f"{type(self).__name__}: {name} is not a legal parameter: neither of the function that builds the "
                    "model, nor of fit, predict or compile"
                )

    def get_params(self, deep: bool = True) -> Arguments:
        """All parameters by name."""
        first = {"build_fn": self.build_fn} if self._old else {"model": self._model, "build_fn": self.build_fn}
        return {**first, **self._params}

    def set_params(self, **params: object) -> Self:
        """Sets some of them.

        Raises:
            ArgumentError: a parameter that goes nowhere.
        """
        given: Arguments = dict(params)
        if "model" in given:
            self._model = given.pop("model")
        if "build_fn" in given:
            self.build_fn = given.pop("build_fn")
        self._check(given)
        self._params.update(given)
        return self

    def _for(self, prefix: str, names: frozenset[str]) -> dict[str, Any]:
        """The parameters of these names, and those with a prefix, which win."""
        plain = {name: value for name, value in self._params.items() if name in names}
        start = f"{prefix}__"
        return plain | {
            name.removeprefix(start): value for name, value in self._params.items() if name.startswith(start)
        }

    # --- the model --------------------------------------------------------------------------------------------------

    def _compile_arguments(self) -> dict[str, Any]:
        given = self._for("compile", _COMPILE)
        given.setdefault("optimizer", "rmsprop")
        if options := self._for("optimizer", frozenset()):
            named = given["optimizer"]
            kind = named if isinstance(named, type) else type(optimizers.get(named))
            given["optimizer"] = kind(**options)
        if (options := self._for("loss", frozenset())) and "loss" in given:
            named = given["loss"]
            given["loss"] = (named if isinstance(named, type) else type(losses.get(named)))(**options)
        return given

    def _made(self, meta: dict[str, Any]) -> Any:
        """A new model, compiled."""
        builder = self._builder()
        names, anything = _arguments(builder)
        arguments = self._for("model", names)
        if anything:
            legal = _FIT | _PREDICT | _COMPILE | _OWN
            others = {
                name: value
                for name, value in self._params.items()
                if name not in legal and not name.startswith(_PREFIXES)
            }
            arguments = others | arguments
        told = {"meta": meta, "compile_kwargs": self._compile_arguments, "params": self.get_params}
        for name in _GIVEN & names - set(arguments):
            value = told[name]
            arguments[name] = value() if callable(value) else value
        if self._params.get("random_state") is not None:
            utils.set_random_seed(int(self._params["random_state"]))
        model = builder(**arguments)
        if not model.compiled:
            given = self._compile_arguments()
            given.setdefault("loss", self._loss_for(meta))
            model.compile(**given)
        return model

    def _loss_for(self, meta: dict[str, Any]) -> str:
        raise NotImplementedError

    def _targets(self, y: Array) -> tuple[Array, dict[str, Any]]:
        """What the model trains on, and what a builder may ask of it."""
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **kwargs: object) -> Self:
        """Builds a model and trains it.

        Args:
            X: (n, I) array-like. y: (n,) or (n, O). sample_weight: (n,). kwargs: of the model's `fit`.

        Returns:
            The estimator, whose `history` is that of Keras's object.

        Raises:
            ValueError, TypeError: what cannot be trained on.
        """
        rows, labels = validate_data(self, X, y, multi_output=True, allow_nd=True)
        targets, meta = self._targets(labels)
        meta |= {"n_features_in_": rows.shape[1], "X_shape_": rows.shape, "X_dtype_": rows.dtype}
        if not (self._params.get("warm_start") and "model_" in vars(self)):
            self.model_ = self._made(meta)
        if isinstance(self.model_.loss, losses.CategoricalCrossentropy) and targets.shape[1:] in ((), (1,)):
            targets = utils.to_categorical(targets.reshape(-1), meta["n_classes_"])
        arguments = self._for("fit", _FIT)
        if "nb_epoch" in self._params:
            arguments.setdefault("epochs", self._params["nb_epoch"])
        if sample_weight is not None:
            arguments["sample_weight"] = sample_weight
        self.history_ = self.model_.fit(rows, targets, **(arguments | kwargs)).history
        return self

    @property
    def history(self) -> dict[str, list[float]]:
        """The results of each epoch, by name."""
        return self.history_

    def _outputs(self, X: Any, kwargs: dict[str, Any]) -> Array:
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False, allow_nd=True)
        arguments = {"verbose": 0} | self._for("predict", _PREDICT - {"callbacks"}) | kwargs
        outputs: Array = self.model_.predict(X, **arguments)
        return outputs


class KerasClassifier(ClassifierMixin, BaseWrapper):
    """A classifier for scikit-learn around a function that builds a model; see `BaseWrapper`.

    Attributes:
        classes_, n_classes_: the labels and their number.

    Example:
        >>> import fastnn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> fastnn.utils.set_random_seed(0)
        >>> def build(units=16):
        ...     model = fastnn.Sequential([fastnn.layers.Dense(units, "relu"), fastnn.layers.Dense(3, "softmax")])
        ...     model.compile("adam", "sparse_categorical_crossentropy")
        ...     return model
        ...
        >>> wrapped = fastnn.wrappers.KerasClassifier(build, units=32, epochs=40, verbose=0)
        >>> bool(wrapped.fit(X, y).score(X, y) > 0.9)
        True
    """

    def _targets(self, y: Array) -> tuple[Array, dict[str, Any]]:
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(y.reshape(-1), return_inverse=True)
        self.n_classes_ = len(self.classes_)
        kind = "multilabel-indicator" if y.ndim == 2 else "binary" if self.n_classes_ <= 2 else "multiclass"
        outputs = 1 if kind == "binary" else self.n_classes_
        return y, {
            "classes_": self.classes_, "n_classes_": self.n_classes_, "target_type_": kind,
            "n_outputs_": outputs, "n_outputs_expected_": outputs,
        }  # fmt: skip

    def _loss_for(self, meta: dict[str, Any]) -> str:
        return "sparse_categorical_crossentropy" if meta["target_type_"] == "multiclass" else "binary_crossentropy"

    def predict_proba(self, X: ArrayLike, **kwargs: object) -> Array:
        """The probabilities (n, C) of the classes for the rows of X (n, I); kwargs: of the model's `predict`."""
        outputs = self._outputs(X, kwargs)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def predict(self, X: ArrayLike, **kwargs: object) -> Array:
        """The labels (n,) of the rows of X (n, I); kwargs: of the model's `predict`."""
        return np.asarray(self.classes_[self.predict_proba(X, **kwargs).argmax(axis=1)])


class KerasRegressor(RegressorMixin, BaseWrapper):
    """A regressor for scikit-learn around a function that builds a model; see `BaseWrapper`.

    Example:
        >>> import fastnn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> fastnn.utils.set_random_seed(0)
        >>> def build():
        ...     model = fastnn.Sequential([fastnn.layers.Dense(1)])
        ...     model.compile(fastnn.optimizers.Adam(0.05), "mse")
        ...     return model
        ...
        >>> wrapped = fastnn.wrappers.KerasRegressor(build, epochs=200, verbose=0)
        >>> bool(wrapped.fit(X[:, :3], X[:, 3]).score(X[:, :3], X[:, 3]) > 0.8)
        True
    """

    def _targets(self, y: Array) -> tuple[Array, dict[str, Any]]:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        kind = "continuous" if outputs == 1 else "continuous-multioutput"
        return y, {"target_type_": kind, "n_outputs_": outputs, "n_outputs_expected_": outputs}

    def _loss_for(self, meta: dict[str, Any]) -> str:
        return "mean_squared_error"

    def predict(self, X: ArrayLike, **kwargs: object) -> Array:
        """The numbers (n,) or (n, O) for the rows of X (n, I); kwargs: of the model's `predict`."""
        outputs = self._outputs(X, kwargs)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **kwargs: object) -> float:
        """R^2; where the function was given as `build_fn`, less the model's loss, as in Keras 2."""
        if not self._old:
            return float(super().score(X, y, sample_weight))
        check_is_fitted(self, "model_")
        arguments = {"verbose": 0} | self._for("predict", frozenset({"batch_size", "verbose"})) | kwargs
        loss = self.model_.evaluate(np.asarray(X), np.asarray(y), sample_weight=sample_weight, **arguments)
        return -float(loss[0] if isinstance(loss, list) else loss)
