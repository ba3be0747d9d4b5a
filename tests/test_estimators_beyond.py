"""What the estimators have beside scikit-learn's parameters, and what is built of them."""

from __future__ import annotations

import itertools
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from support import TWINS, Array, present

sklearn = pytest.importorskip("sklearn")

import joblib
import pandas
import scipy.sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

import fastnn
from fastnn import callbacks, losses, optimizers
from fastnn.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

_RANDOM = np.random.RandomState(1)
X = 2.0 + 3.0 * _RANDOM.standard_normal((240, 4))
CLASSES = np.digitize(X[:, 0] + X[:, 1], [2.0, 6.0])
WORDS = np.array(["ash", "birch", "cedar"])[CLASSES]
NUMBERS = np.sin(X[:, 0]) + X[:, 1] / 4
W = _RANDOM.uniform(0.0, 2.0, 240)
SMALL: dict[str, Any] = {"hidden_layer_sizes": (12,), "random_state": 0, "max_iter": 20, "learning_rate_init": 0.01}


def assert_equal(one: Any, other: Any) -> None:
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


# --- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, W], ids=["", "weighted"])
def test_class_weight(weights: Array | None) -> None:
    """Weights of classes are weights of their rows, on top of those given."""
    for given in ("balanced", {"ash": 3.0, "cedar": 0.5}):
        of_rows = compute_sample_weight(given, WORDS) * (1.0 if weights is None else weights)
        by_class = MLPClassifier(**SMALL, class_weight=given).fit(X, WORDS, sample_weight=weights)
        assert_equal(by_class, MLPClassifier(**SMALL).fit(X, WORDS, sample_weight=of_rows))
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, WORDS, classes=np.unique(WORDS))


@pytest.mark.parametrize("weights", [None, W], ids=["", "weighted"])
def test_normalize(weights: Array | None) -> None:
    """The same as scaled features; the model itself takes the features as they are."""
    scaler = StandardScaler().fit(X, sample_weight=weights)
    scaled = MLPRegressor(**SMALL).fit(scaler.transform(X), NUMBERS, sample_weight=weights)
    for rows in (X, scipy.sparse.csr_array(X)):
        inside = MLPRegressor(**SMALL, normalize=True).fit(rows, NUMBERS, sample_weight=weights)
        np.testing.assert_allclose(inside.predict(X), scaled.predict(scaler.transform(X)), rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(inside.model_.predict(X)[:, 0], inside.predict(X))


LOSSES: dict[str, tuple[Any, Callable[[Array], Array]]] = {
    "absolute": ("absolute_error", np.abs),
    "huber": ("huber", lambda e: np.where(np.abs(e) > 1, np.abs(e) - 0.5, e * e / 2)),
    "quantile": (losses.Quantile(0.9), lambda e: np.maximum(0.9 * e, -0.1 * e)),
    "lp": (losses.Lp(1.5), lambda e: np.abs(e) ** 1.5),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    """What is told is the loss of the weights before each step: here one step an epoch, and no penalty."""
    loss, formula = LOSSES[name]
    settings = SMALL | {"batch_size": 240, "alpha": 0.0, "shuffle": False, "max_iter": 1}
    for targets in (NUMBERS, np.stack([NUMBERS, X[:, 2]], axis=1)):
        model = MLPRegressor(loss, **settings).fit(X, targets, sample_weight=W)
        before = model.predict(X)
        model.partial_fit(X, targets, sample_weight=W)
        rows = formula(targets - before).reshape(240, -1).sum(axis=1)
        assert model.loss_ == pytest.approx(np.average(rows, weights=W), rel=1e-12)
    share = MLPRegressor(loss, **(SMALL | {"max_iter": 300, "alpha": 0.0})).fit(X, NUMBERS)
    below = (share.predict(X) > NUMBERS).mean()
    assert below > 0.8 if name == "quantile" else 0.3 < below < 0.7


def test_dropout() -> None:
    """Outputs are left out in training alone, by `random_state`."""
    dropped = [MLPRegressor(**SMALL, dropout=0.5).fit(X, NUMBERS) for _ in range(2)]
    assert_equal(*dropped)
    np.testing.assert_array_equal(dropped[0].predict(X), dropped[0].predict(X))
    assert dropped[0].loss_ > 1.2 * MLPRegressor(**SMALL).fit(X, NUMBERS).loss_
    assert [type(layer).__name__ for layer in dropped[0].model_.layers] == ["Dense", "Dropout", "Dense"]
    with pytest.raises(ValueError, match="dropout needs another solver"):
        MLPRegressor(solver="lbfgs", dropout=0.1).fit(X, NUMBERS)
    with pytest.raises(ValueError, match='monitor, validation_data and callbacks need another solver: "lbfgs"'):
        MLPRegressor(solver="lbfgs", monitor="validation_loss").fit(X, NUMBERS)


def test_rows_that_validate() -> None:
    """Given rows are scored each epoch; `monitor` says which of score and loss ends the training."""
    held, rest = slice(0, 60), slice(60, None)
    given = X[held], NUMBERS[held], W[held]
    watched = MLPRegressor(**SMALL).fit(X[rest], NUMBERS[rest], validation_data=given)
    assert_equal(watched, MLPRegressor(**SMALL).fit(X[rest], NUMBERS[rest]))
    assert len(watched.validation_loss_curve_) == len(watched.validation_scores_) == watched.n_iter_
    outputs = watched.predict(X[held])
    last = 0.5 * np.average((outputs - NUMBERS[held]) ** 2, weights=W[held])
    assert watched.validation_loss_curve_[-1] == pytest.approx(last, rel=1e-12)
    assert watched.validation_scores_[-1] == r2_score(NUMBERS[held], outputs, sample_weight=W[held])
    for monitor, best in (("validation_loss", min), ("validation_score", max)):
        settings = SMALL | {"max_iter": 500, "tol": 1e-3, "n_iter_no_change": 3, "learning_rate_init": 0.03}
        model = MLPRegressor(**settings, monitor=monitor).fit(X[rest], NUMBERS[rest], validation_data=given)
        curve = model.validation_loss_curve_ if best is min else model.validation_scores_
        assert model.n_iter_ < 500 and curve.index(best(curve)) < len(curve) - 3
        again = 0.5 * np.average((model.predict(X[held]) - NUMBERS[held]) ** 2, weights=W[held])
        score = r2_score(NUMBERS[held], model.predict(X[held]), sample_weight=W[held])
        assert (again if best is min else score) == pytest.approx(best(curve), rel=1e-12)
    by_loss = MLPClassifier(**SMALL, monitor="validation_loss").fit(X, WORDS)
    assert by_loss.best_validation_score_ == max(by_loss.validation_scores_)
    assert len(by_loss.validation_loss_curve_) == by_loss.n_iter_
    for wrong, message in ((X, "expected"), ((X, NUMBERS[:-1]), "inconsistent numbers of samples")):
        with pytest.raises(ValueError, match=message):
            MLPRegressor(**SMALL).fit(X, NUMBERS, validation_data=wrong)


def test_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a tenth of a second with each look: the best epoch's weights are kept."""
    clock = itertools.count(0.0, 0.1)
    monkeypatch.setattr("fastnn.estimators.stopping.time.perf_counter", lambda: next(clock))
    settings = SMALL | {"learning_rate_init": 0.3, "max_iter": 10**6, "tol": 0.0, "n_iter_no_change": 10**6}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = MLPRegressor(**settings, time_limit=30.0).fit(X, NUMBERS)
        solver = MLPRegressor(**SMALL | {"max_iter": 10**6, "solver": "lbfgs"}, time_limit=3.0).fit(X, NUMBERS)
    assert 20 < model.n_iter_ < 300 and 1 < solver.n_iter_ < 31
    best = int(np.argmin(model.loss_curve_)) + 1
    clock = itertools.count(0.0)
    assert_equal(model, MLPRegressor(**settings | {"max_iter": best}).fit(X, NUMBERS))
    short = MLPRegressor(**settings, time_limit=1e-9).fit(X, NUMBERS)
    assert short.n_iter_ == 1 and short.predict(X).shape == (240,)


def test_optimizer() -> None:
    """A name, or an object, which stays as it is: an equal one trains."""
    nadam = optimizers.Nadam(0.01)
    by_object = MLPRegressor(**SMALL, optimizer=nadam)
    assert_equal(by_object.fit(X, NUMBERS), MLPRegressor(**SMALL, optimizer="nadam").fit(X, NUMBERS))
    assert type(by_object.model_.optimizer) is optimizers.Nadam and nadam.iterations == 0
    by_object.partial_fit(X, NUMBERS)
    assert by_object.model_.optimizer.iterations == 2 * 21
    adam = MLPRegressor(**SMALL, optimizer=optimizers.Adam(0.01, epsilon=1e-8))
    assert_equal(adam.fit(X, NUMBERS), MLPRegressor(**SMALL).fit(X, NUMBERS))
    clone(by_object).fit(X, NUMBERS)


def test_callbacks() -> None:
    seen: list[tuple[int, float]] = []
    told = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"])))
    batches: list[int] = []
    each = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    model = MLPRegressor(**SMALL, batch_size=100, callbacks=[told, each]).fit(X, NUMBERS)
    assert seen == list(enumerate(model.loss_curve_)) and batches == [0, 1, 2] * 20

    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 2

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert MLPRegressor(**SMALL, callbacks=Stop()).fit(X, NUMBERS).n_iter_ == 3


def test_an_interrupted_training(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends the training with a warning; with rows held out, the best weights come back."""

    class Interrupt(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 4:
                raise KeyboardInterrupt

    model: Any = MLPRegressor(**SMALL, callbacks=Interrupt(), early_stopping=True, verbose=True)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, NUMBERS)
    assert model.n_iter_ == len(model.validation_scores_) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[6] == f"Iteration 4, loss = {model.loss_:.8f}"
    assert lines[7] == f"Validation score: {model.validation_scores_[3]:f}"


def test_backends_threads_and_dtypes() -> None:
    """All backends and any number of threads give the same bits."""
    settings = SMALL | {"max_iter": 2, "hidden_layer_sizes": (5,)}
    expected = MLPClassifier(**settings, backend="reference").fit(X, WORDS)
    for name, count in present(TWINS):
        model = MLPClassifier(**settings, backend=name, n_threads=count).fit(X, WORDS)
        assert model.model_.backend == name
        assert_equal(model, expected)
    half = MLPClassifier(**settings, dtype="float32").fit(X, WORDS)
    assert half.predict_proba(X).dtype == np.float32 and half.coefs_[0].dtype == np.float32
    assert (half.predict(X) == expected.predict(X)).mean() > 0.99


def test_model_goes_on() -> None:
    """`model_` is a model like any other, on the same objective."""
    model = MLPRegressor(**SMALL, alpha=0.5, batch_size=60).fit(X, NUMBERS)
    data, loss = {"batch_size": 60, "verbose": 0}, model.model_.evaluate(X, NUMBERS, verbose=0, batch_size=60)
    penalty = 0.5 * 0.5 * sum(float((W_io**2).sum()) for W_io in model.coefs_) / 60
    half = 0.5 * float(((model.predict(X) - NUMBERS) ** 2).mean())
    assert loss == pytest.approx(half + penalty, rel=1e-12)
    history = model.model_.fit(X, NUMBERS, epochs=30, **data).history
    assert history["loss"][-1] < model.loss_
    assert model.score(X, NUMBERS) == r2_score(NUMBERS, model.model_.predict(X)[:, 0])


# --- what is built of them ------------------------------------------------------------------------------------------


def test_copies() -> None:
    """Pickles, joblib's files, mapped ones too, and clones."""
    model = MLPClassifier(**SMALL, early_stopping=True).fit(X, WORDS)
    for copy in (pickle.loads(pickle.dumps(model)), clone(model).fit(X, WORDS)):
        assert_equal(copy, model)
        assert (copy.predict(X) == model.predict(X)).all()
    partial = MLPRegressor(**SMALL).partial_fit(X, NUMBERS)
    copy = pickle.loads(pickle.dumps(partial))
    assert_equal(copy.partial_fit(X, NUMBERS), partial.partial_fit(X, NUMBERS))


def test_files(tmp_path: Any) -> None:
    model = MLPClassifier(**SMALL).fit(X, WORDS)
    joblib.dump(model, tmp_path / "model")
    for mode in (None, "r"):
        loaded = joblib.load(tmp_path / "model", mmap_mode=mode)
        assert_equal(loaded, model)
        loaded.partial_fit(X, WORDS)
    model.model_.save(tmp_path / "saved")
    np.testing.assert_array_equal(fastnn.load_model(tmp_path / "saved").predict(X), model.predict_proba(X))


def threads_of(n_threads: int | None) -> int:
    """The threads that a fit may use here."""
    model = MLPRegressor(**SMALL | {"max_iter": 1}, n_threads=n_threads).fit(X, NUMBERS)
    program: Any = model.model_.engine().program
    return int(program._threads)


def test_jobs_share_the_cores() -> None:
    """In a thread of joblib's one thread, in its processes what their share is; what was asked for goes first."""
    jobs = joblib.Parallel(n_jobs=2, backend="threading")
    assert jobs(joblib.delayed(threads_of)(count) for count in (None, None, 2)) == [1, 1, 2]
    assert threads_of(None) == fastnn.get_num_threads()
    share = max(1, fastnn.config.available_cores() // 2)
    assert joblib.Parallel(n_jobs=2, backend="loky")([joblib.delayed(fastnn.get_num_threads)()] * 2) == [share] * 2


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_grid_search(backend: str) -> None:
    grid = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(5,), (12,)]}
    with joblib.parallel_backend(backend):
        search = GridSearchCV(MLPClassifier(**SMALL), grid, cv=3, n_jobs=2, error_score="raise").fit(X, WORDS)
    alone = GridSearchCV(MLPClassifier(**SMALL), grid, cv=3, error_score="raise").fit(X, WORDS)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert search.best_score_ > 0.6 and len(set(search.cv_results_["mean_test_score"])) > 1


def test_meta_estimators() -> None:
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"]).assign(kind=np.where(X[:, 0] > 2, "high", "low"))
    columns = ColumnTransformer([("n", StandardScaler(), ["a", "b", "c", "d"]), ("k", OneHotEncoder(), ["kind"])])
    pipeline = make_pipeline(columns, MLPClassifier(**SMALL)).fit(frame, WORDS)
    assert pipeline.score(frame, WORDS) > 0.8
    named = MLPClassifier(**SMALL).fit(frame[["a", "b", "c", "d"]], WORDS)
    assert list(named.feature_names_in_) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[["b", "a", "c", "d"]])
    several = [(name, MLPClassifier(**SMALL | {"random_state": seed})) for seed, name in enumerate("ab")]
    assert VotingClassifier(several, voting="soft").fit(X, WORDS).score(X, WORDS) > 0.7
    calibrated = CalibratedClassifierCV(MLPClassifier(**SMALL), cv=2).fit(X, WORDS)
    assert calibrated.predict_proba(X).sum(axis=1) == pytest.approx(1.0)
    importance = permutation_importance(named, frame[["a", "b", "c", "d"]], WORDS, n_repeats=3, random_state=0)
    assert set(np.argsort(importance.importances_mean)[-2:]) == {0, 1}
    curve = partial_dependence(MLPRegressor(**SMALL).fit(X, NUMBERS), X, [1])["average"][0]
    assert curve[-1] > curve[0]


def test_metadata_routing() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**SMALL).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = cross_validate(model, X, WORDS, params={"sample_weight": W}, cv=2, error_score="raise")
    plain = cross_validate(MLPClassifier(**SMALL), X, WORDS, cv=2, error_score="raise")
    assert (routed["test_score"] != plain["test_score"]).any()
