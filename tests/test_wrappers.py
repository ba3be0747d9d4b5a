"""Keras's wrappers for scikit-learn, the classes of older scripts, and what there is without scikit-learn."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import fastnn as keras
from support import Array


def run_without_sklearn(code: str) -> str:
    """What a script says where scikit-learn cannot be imported."""
    start = "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'scipy', 'joblib', 'pandas')))\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_without_scikit_learn() -> None:
    """fastnn does without; the estimators say what they need, once."""
    said = run_without_sklearn(
        "import fastnn\n"
        "fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1)]).predict([[1, 2]])\n"
        "try:\n    import fastnn.estimators\nexcept ImportError as error:\n    print(error)\n"
    )
    wanted = "fastnn.estimators needs scikit-learn, which is not installed; from fastnn's checkout it comes with"
    assert said == f"{wanted} pip install '.[sklearn]'\n"


sklearn = pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.wrappers import (
    KerasClassifier,
    KerasRegressor,
    SKLearnClassifier,
    SKLearnRegressor,
    SKLearnTransformer,
    scikit_learn,
)

_RANDOM = np.random.RandomState(2)
X = _RANDOM.standard_normal((160, 4))
WORDS = np.array(["ash", "birch", "cedar"])[np.digitize(X[:, 0], [-0.5, 0.5])]
NUMBERS = X[:, 0] - 0.5 * X[:, 1]


def test_nothing_else_imports_scikit_learn() -> None:
    code = "import sys, fastnn.models, fastnn.wrappers, fastnn.cli; print('sklearn' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


# --- Keras 3 --------------------------------------------------------------------------------------------------------


class Maker:
    """Makes a model for rows like those given. The workers of a test run must agree on names: a function's has its
    address."""

    def __call__(self, X: Array, y: Array, loss: str, units: tuple[int, ...] = (10,)) -> Any:
        outputs = y.shape[1] if y.ndim > 1 else 1
        last = "softmax" if "crossentropy" in loss else None
        stack = [keras.layers.Dense(width, "relu") for width in units]
        model = keras.Sequential([keras.Input(X.shape[1:]), *stack, keras.layers.Dense(outputs, last)])
        model.compile(keras.optimizers.Adam(0.02), loss)
        return model

    def __repr__(self) -> str:
        return "made"


made = Maker()


SEED = "a model draws its seed from the system, as in Keras: two fits differ"
SHAPE = "predictions have the shape of the targets, as in Keras: a column stays one, without a warning"
EXCUSED = {
    "SKLearnClassifier": {
        "check_classifier_data_not_an_array": SEED,
        "check_fit_idempotent": SEED,
        "check_supervised_y_2d": SHAPE,
    },
    "SKLearnRegressor": {
        "check_regressor_data_not_an_array": SEED,
        "check_regressors_int": SEED,
        "check_fit_idempotent": SEED,
        "check_supervised_y_2d": SHAPE,
    },
    "SKLearnTransformer": {"check_fit_idempotent": SEED},
}
CLASSIFIER = SKLearnClassifier(made, model_kwargs={"loss": "categorical_crossentropy", "units": (20, 20)})
CLASSIFIER.set_params(fit_kwargs={"epochs": 10, "verbose": 0})


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        CLASSIFIER,
        SKLearnRegressor(made, model_kwargs={"loss": "mse"}, fit_kwargs={"verbose": 0}),
        SKLearnTransformer(made, model_kwargs={"loss": "mse"}, fit_kwargs={"verbose": 0}),
    ],
    expected_failed_checks=lambda estimator: EXCUSED[type(estimator).__name__],
    xfail_strict=False,
)
def test_checks_of_any_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_compiled_model() -> None:
    """Each fit trains an equal one, compiled alike; with `warm_start` the model itself."""
    template = made(X, np.eye(3), "categorical_crossentropy")
    template.compile(keras.optimizers.Adam(0.03), "categorical_crossentropy", ["accuracy"])
    before = template.get_weights()
    fitted = SKLearnClassifier(template).fit(X, WORDS, epochs=40, verbose=0)
    assert all((a == b).all() for a, b in zip(before, template.get_weights(), strict=True))
    assert fitted.model_.optimizer.learning_rate == 0.03 and fitted.epoch_ == 40
    assert list(fitted.history_.history) == ["accuracy", "loss"]
    assert fitted.score(X, WORDS) > 0.9 and list(fitted.classes_) == ["ash", "birch", "cedar"]
    assert fitted.predict_proba(X).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (pickle.loads(pickle.dumps(fitted)).predict(X) == fitted.predict(X)).all()
    warm = SKLearnClassifier(template, warm_start=True).fit(X, WORDS, verbose=0)
    steps = warm.model_.optimizer.iterations
    assert warm.model_ is template and warm.fit(X, WORDS, verbose=0).model_.optimizer.iterations == 2 * steps
    uncompiled = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(keras.errors.NotBuiltError, match="SKLearnClassifier: the model is not compiled with a loss"):
        SKLearnClassifier(uncompiled).fit(X, WORDS)


def test_a_function_of_the_data() -> None:
    """It gets X, y as the model will, and `model_kwargs`; those of `fit` win over `fit_kwargs`."""
    seen: list[tuple[int, ...]] = []

    def function(X: Array, y: Array, **options: Any) -> Any:
        seen.append(y.shape)
        return made(X, y, **options)

    regressor = SKLearnRegressor(function, model_kwargs={"loss": "mse"}, fit_kwargs={"epochs": 2, "verbose": 0})
    assert regressor.fit(X, NUMBERS, epochs=60).epoch_ == 60 and regressor.fit_kwargs["epochs"] == 2
    assert regressor.score(X, NUMBERS) > 0.8 and regressor.predict(X).shape == (160,)
    regressor.fit(X, np.stack([NUMBERS, X[:, 2]], axis=1))
    assert seen == [(160, 1), (160, 2)] and regressor.predict(X).shape == (160, 2)
    transformer = SKLearnTransformer(function, model_kwargs={"loss": "mse"}, fit_kwargs={"verbose": 0})
    frame = transformer.set_output(transform="pandas").fit(X, NUMBERS).transform(X)
    assert list(frame.columns) == ["sklearntransformer0"] and frame.shape == (160, 1)
    assert make_pipeline(StandardScaler(), transformer).fit(X, NUMBERS).transform(X).shape == (160, 1)
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        CLASSIFIER.fit(X, NUMBERS)


# --- older scripts --------------------------------------------------------------------------------------------------


def baseline(
    units: int = 8, loss: str = "categorical_crossentropy", outputs: int = 3, activation: Any = "softmax"
) -> Any:
    model = keras.Sequential()
    model.add(keras.layers.Dense(units, input_dim=4, activation="relu"))
    model.add(keras.layers.Dense(outputs, activation=activation))
    model.compile(loss=loss, optimizer=keras.optimizers.Adam(0.02), metrics=["accuracy"] if outputs > 1 else None)
    return model


def test_build_fn() -> None:
    """Arguments of the function and of `fit` are parameters, also of a grid; the fitted model is `model`."""
    classifier = scikit_learn.KerasClassifier(build_fn=baseline, epochs=30, batch_size=16, verbose=0)
    fitted = classifier.fit(X, WORDS)
    assert len(fitted.history["loss"]) == 30 and fitted.score(X, WORDS) > 0.9
    assert isinstance(classifier.model, keras.Sequential) and classifier.predict_proba(X).shape == (160, 3)
    assert (classifier.predict(X, batch_size=7) == classifier.predict(X)).all()
    search = GridSearchCV(classifier, {"units": [4, 8], "epochs": [1, 20]}, cv=2, error_score="raise")
    assert search.fit(X, WORDS).best_params_["epochs"] == 20
    two = KerasClassifier(baseline, loss="binary_crossentropy", outputs=1, activation="sigmoid", epochs=30, verbose=0)
    two.set_params(epochs=25).fit(X, X[:, 0] > 0)
    assert two.predict_proba(X).shape == (160, 2) and two.score(X, X[:, 0] > 0) > 0.9
    regressor = KerasRegressor(build_fn=baseline, loss="mse", outputs=1, activation=None, nb_epoch=40, verbose=0)
    scores = cross_val_score(regressor, X, NUMBERS, cv=2, error_score="raise")
    assert (scores < 0).all() and (scores > -1.0).all()
    with pytest.raises(keras.errors.ArgumentError, match="KerasClassifier: unit is not a legal parameter"):
        KerasClassifier(build_fn=baseline, unit=3)

    class Own(KerasClassifier):  # type: ignore[misc]
        def __call__(self, units: int = 8) -> Any:
            return baseline(units)

    assert Own(units=5, epochs=1, verbose=0).fit(X, WORDS).model_.layers[0].units == 5


def bare(units: int, meta: dict[str, Any]) -> Any:
    """Not compiled: the estimator knows how."""
    outputs = 1 if meta["target_type_"] != "multiclass" else meta["n_classes_"]
    last = {"multiclass": "softmax", "binary": "sigmoid"}.get(meta["target_type_"])
    stack = [keras.layers.Dense(units, "relu"), keras.layers.Dense(outputs, last)]
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), *stack])


def test_parameters_with_prefixes() -> None:
    options = {"model__units": 6, "optimizer": "adam", "optimizer__learning_rate": 0.03, "epochs": 5, "verbose": 0}
    classifier = KerasClassifier(model=bare, random_state=3, fit__epochs=30, **options)
    assert classifier.fit(X, WORDS).score(X, WORDS) > 0.9 and len(classifier.history_["loss"]) == 30
    assert classifier.model_.layers[0].units == 6 and classifier.model_.optimizer.learning_rate == 0.03
    again = sklearn.clone(classifier).fit(X, WORDS)
    assert (again.predict_proba(X) == classifier.predict_proba(X)).all()
    binary = KerasClassifier(bare, **options).fit(X, X[:, 0] > 0)
    assert isinstance(binary.model_.loss, keras.losses.BinaryCrossentropy)
    regressor = KerasRegressor(bare, loss="huber", loss__delta=0.5, **options | {"epochs": 60})
    assert regressor.fit(X, NUMBERS).score(X, NUMBERS) > 0.8  # R^2
    assert regressor.model_.loss.delta == 0.5
    search = GridSearchCV(regressor, {"model__units": [2, 6], "optimizer__learning_rate": [1e-6, 0.03]}, cv=2)
    assert search.fit(X, NUMBERS).best_params_["optimizer__learning_rate"] == 0.03
