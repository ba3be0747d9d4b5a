"""The estimators beside scikit-learn's own: the same numbers to rounding, and its checks of any estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from support import Array

sklearn = pytest.importorskip("sklearn")

import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn
from fastnn import estimators as ours
from fastnn.estimators import feeds, lbfgs

_RANDOM = np.random.RandomState(0)
X = _RANDOM.standard_normal((230, 7))
W = _RANDOM.uniform(0.0, 2.0, 230)
Y: dict[str, Array] = {
    "two": (X[:, 0] + X[:, 1] > 0).astype(int),
    "words": np.array(["ash", "birch", "cedar"])[_RANDOM.randint(0, 3, 230)],
    "labels": (X[:, :3] > 0).astype(int),
    "number": X[:, 0] * 2 + np.sin(X[:, 1]),
    "numbers": np.stack([X[:, 0] * 2, X[:, 1] - X[:, 2]], axis=1),
    "counts": _RANDOM.poisson(np.exp(X[:, 0])),
}
CLASSES, NUMBERS = ("two", "words", "labels"), ("number", "numbers", "counts")
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "batches": {"batch_size": 64, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
    "in order": {"batch_size": 64, "shuffle": False, "activation": "tanh"},
    "sgd": {"solver": "sgd", "batch_size": 33, "activation": "logistic"},
    "no nesterov": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling", "power_t": 0.3},
    "no momentum": {"solver": "sgd", "momentum": 0.0, "activation": "identity", "alpha": 0.0},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 12},
    "early": {"batch_size": 50, "early_stopping": True, "n_iter_no_change": 2, "learning_rate_init": 0.1},
    "converged": {"tol": 1.0, "n_iter_no_change": 3},
    "lbfgs": {"solver": "lbfgs", "activation": "tanh"},
}


def pair(target: str, **settings: Any) -> list[Any]:
    """Their estimator and ours."""
    kind = "MLPClassifier" if target in CLASSES else "MLPRegressor"
    if target == "counts":
        settings["loss"] = "poisson"
    settings = {"hidden_layer_sizes": (11, 5), "random_state": 3, "max_iter": 7, "alpha": 0.1} | settings
    return [getattr(module, kind)(**settings) for module in (theirs, ours)]


def caught(work: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        work()
    return [warning.category.__name__ for warning in told]


def assert_alike(estimators: list[Any], rows: Any = X, tolerance: float = 1e-10) -> None:
    """All that theirs and ours tell, to rounding."""
    expected, got = estimators
    for name in ("coefs_", "intercepts_"):
        for here, there in zip(getattr(expected, name), getattr(got, name), strict=True):
            np.testing.assert_allclose(there, here, rtol=tolerance, atol=tolerance, err_msg=name)
            assert there.dtype == here.dtype
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(got, name) == getattr(expected, name), name
    for name in ("loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        assert hasattr(got, name) == hasattr(expected, name), name
        if getattr(expected, name, None) is not None:
            np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=tolerance, atol=1e-12)
    if hasattr(expected, "predict_proba"):
        assert (got.predict(rows) == expected.predict(rows)).all() and (got.classes_ == expected.classes_).all()
        np.testing.assert_allclose(got.predict_proba(rows), expected.predict_proba(rows), atol=tolerance)
        logs = got.predict_log_proba(rows), expected.predict_log_proba(rows)
        np.testing.assert_allclose(*logs, rtol=1e-6, atol=tolerance)
    else:
        np.testing.assert_allclose(got.predict(rows), expected.predict(rows), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", Y)
def test_the_same_numbers(target: str, setting: str) -> None:
    """Weights, losses, scores, stopping and warnings, with weights of rows and without."""
    if (target, setting) == ("numbers", "lbfgs"):
        return  # there the loss of several outputs is a mean, its gradient that of the sum: see below
    for weights in (None, W):
        estimators = pair(target, **SETTINGS[setting])
        told = [caught(lambda e=e, w=weights: e.fit(X, Y[target], sample_weight=w)) for e in estimators]
        assert told[0] == told[1]
        assert_alike(estimators, tolerance=1e-7 if setting == "lbfgs" else 1e-10)


def test_lbfgs_of_several_outputs() -> None:
    """Half the sum of squares is minimised, and told as a mean over the outputs."""
    model = ours.MLPRegressor(hidden_layer_sizes=11, solver="lbfgs", random_state=0, alpha=0.0, activation="identity")
    model.fit(X, Y["numbers"])
    assert model.loss_ == pytest.approx(0.5 * ((model.predict(X) - Y["numbers"]) ** 2).mean())
    best = np.linalg.lstsq(np.c_[X, np.ones(len(X))], Y["numbers"], rcond=None)[1].sum() / Y["numbers"].size / 2
    assert model.loss_ == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("target", Y)
def test_calls_that_go_on(target: str) -> None:
    """`partial_fit` of many rows and of few, `warm_start`, and a new fit."""
    y, extra = Y[target], {"classes": np.unique(Y[target])} if target in ("two", "words") else {}
    if target == "labels":
        extra = {"classes": np.arange(3)}
    estimators = pair(target, solver="sgd", learning_rate="invscaling")
    for estimator in estimators:
        estimator.partial_fit(X[:100], y[:100], **extra)
        for row in range(100, 110):
            estimator.partial_fit(X[row : row + 1], y[row : row + 1])
        estimator.partial_fit(X[110:], y[110:], sample_weight=W[110:])
        estimator.partial_fit(X[:30], y[:30])
    assert_alike(estimators)
    estimators = pair(target, warm_start=True, max_iter=3, batch_size=60)
    for again in range(3):
        for estimator in estimators:
            estimator.set_params(alpha=(0.1, 0.3, 0.0)[again])
            caught(lambda e=estimator: e.fit(X, y))
        assert_alike(estimators)
    for estimator in estimators:
        estimator.set_params(warm_start=False, hidden_layer_sizes=(4,), alpha=0.2)
        caught(lambda e=estimator: e.fit(X[:, :5], y))
    assert_alike(estimators, rows=X[:, :5])


def test_parameters_that_change() -> None:
    """What a model is made of may be another one where it goes on, as long as its weights fit."""
    estimators = pair("two", warm_start=True, alpha=0.0, max_iter=2)
    for changed in ({}, {"alpha": 0.5}, {"activation": "tanh"}, {"solver": "sgd"}):
        for estimator in estimators:
            caught(lambda e=estimator, c=changed: e.set_params(**c).fit(X, Y["two"]))
        assert_alike(estimators)
    with pytest.raises(ValueError, match=r"layers of \(7, 11, 5, 1\) units.*ask for \(7, 3, 1\)"):
        estimators[1].set_params(hidden_layer_sizes=3).fit(X, Y["two"])


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csc_array], ids=["csr", "csc"])
def test_sparse_rows(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are dense at a time, and the numbers are those of the rows."""
    sparse = make(np.where(np.abs(X) > 0.5, X, 0.0))
    heights, made = [0], feeds.dense

    def watched(*arguments: Any) -> Array:
        result = made(*arguments)
        heights.append(len(result))
        return result

    monkeypatch.setattr(feeds, "_BLOCK", 7 * 64)
    monkeypatch.setattr(feeds, "dense", watched)
    monkeypatch.setattr(lbfgs, "_BATCH", 50)
    for settings in ({"batch_size": 30}, {"batch_size": 30, "early_stopping": True}, {"solver": "lbfgs"}):
        for weights in (None, W):
            estimators = pair("words", **settings)
            for estimator in estimators:
                caught(lambda e=estimator, w=weights: e.fit(sparse, Y["words"], sample_weight=w))
            assert_alike(estimators, rows=sparse, tolerance=1e-7 if settings.get("solver") else 1e-10)
    assert len(heights) > 100 and max(heights) == 64


def test_float32_stays() -> None:
    estimators = pair("number", max_iter=30)
    for estimator in estimators:
        caught(lambda e=estimator: e.fit(X.astype(np.float32), Y["number"]))
    assert estimators[1].predict(X[:3].astype(np.float32)).dtype == np.float32
    assert_alike(estimators, rows=X.astype(np.float32), tolerance=2e-4)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([-128, 5, 127], np.int8),  # whose range exceeds the type's
        np.array([3, 7, 250], np.uint8),  # which not all numbers between them have
        np.array([0, 1, 2]) + 2**40,
        np.array([-(2**63), 0, 2**63 - 1]),
        np.array([0, 1, 2], np.uint64) + 2**63,
        np.array([0.0, 1.0, 4.0]),
        np.array([False, True]),
    ],
    ids=lambda labels: f"{labels.dtype} {labels[-1]}",
)
def test_labels_of_any_kind(labels: Array) -> None:
    y = labels[(X[:, 0] > 0).astype(int) + (X[:, 1] > 1) * (len(labels) - 2)]
    estimators = pair("two", max_iter=2)
    told = [caught(lambda e=e: e.fit(X, y)) for e in estimators]
    assert told[0] == told[1]
    assert estimators[1].classes_.dtype == labels.dtype and np.array_equal(estimators[1].classes_, labels)
    assert_alike(estimators)


@pytest.mark.parametrize("y", [np.arange(len(X)), np.arange(len(X)).astype(str)], ids=["integers", "words"])
def test_a_label_for_each_row(y: Array) -> None:
    told = [caught(lambda e=e: e.fit(X, y)) for e in pair("two", max_iter=1)]
    assert told[0] == told[1]


def test_warnings() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        ours.MLPClassifier(max_iter=2, random_state=0).fit(X, Y["two"])
    with pytest.warns(UserWarning, match="going to be clipped"):
        ours.MLPClassifier(max_iter=5, tol=9.0, n_iter_no_change=1, batch_size=1000).fit(X, Y["two"])
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        ours.MLPRegressor(solver="lbfgs", max_iter=2).fit(X, Y["number"])


def test_weights_can_be_set() -> None:
    """`coefs_` are views of the model: whether one is set, or a list of them."""
    model = ours.MLPRegressor(hidden_layer_sizes=4, max_iter=1, random_state=0)
    caught(lambda: model.fit(X, Y["number"]))
    before = model.predict(X)
    model.coefs_[1] = np.zeros((4, 1))
    model.intercepts_ = [np.zeros(4), np.full(1, 2.5)]
    assert (before != 2.5).any() and (model.predict(X) == 2.5).all() and (model.model_.predict(X) == 2.5).all()
    with pytest.raises(ValueError, match=r"coefs_: expected arrays of shape \(7, 4\), \(4, 1\)"):
        model.coefs_ = [np.zeros((4, 7)), np.zeros((4, 1))]
    assert isinstance(model.model_, fastnn.Sequential)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        ours.MLPClassifier(max_iter=100),
        ours.MLPRegressor(max_iter=100),
        ours.MLPRegressor("huber", (10,), normalize=True, learning_rate_init=0.01, max_iter=100),
    ]
)
def test_checks_of_any_estimator(estimator: Any, check: Any) -> None:
    check(estimator)
