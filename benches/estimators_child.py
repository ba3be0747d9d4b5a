"""One of the two libraries in a process of its own: times its estimators, as JSON. Started by estimators.py."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np

from fastnn.benchmarks import processes
from fastnn.benchmarks.processes import Found
from fastnn.benchmarks.processors import runs_on

CLASSES = 3


def library(job: Found) -> tuple[Any, str]:
    """The module that has the estimators, and its version."""
    import sklearn

    if job["library"] == "sklearn":
        import sklearn.neural_network

        return sklearn.neural_network, f"scikit-learn {sklearn.__version__}"
    import fastnn.estimators

    return fastnn.estimators, f"fastnn {fastnn.__version__}"


def data(job: Found) -> tuple[Any, Any]:
    """Rows of classes that a network can tell apart, but not all of them."""
    random = np.random.default_rng(0)
    X = random.standard_normal((job["rows"], job["columns"])).astype(job["dtype"])
    scores = np.tanh(X @ random.standard_normal((job["columns"], 16))) @ random.standard_normal((16, CLASSES))
    return X, (scores + 0.5 * random.standard_normal(scores.shape)).argmax(axis=1)


def fits(module: Any, job: Found) -> Found:
    """Seconds of whole fits, of predictions of all rows, and the accuracy on rows held out."""
    X, y = data(job)
    held = len(X) // 5
    options = {"hidden_layer_sizes": tuple(job["hidden"]), "batch_size": 200, "random_state": 0}
    if job["library"] == "fastnn":
        options["backend"] = job["backend"]
    settings = options | {"max_iter": job["epochs"], "tol": 0.0, "n_iter_no_change": job["epochs"] + 1}
    module.MLPClassifier(**options | {"max_iter": 1}).fit(X[: held + 200], y[: held + 200])  # first use
    model = module.MLPClassifier(**settings)
    times: list[float] = []
    began = time.perf_counter()
    while not times or time.perf_counter() - began < job["seconds"]:
        start = time.perf_counter()
        model.fit(X, y)
        times.append(time.perf_counter() - start)
    score = module.MLPClassifier(**settings).fit(X[held:], y[held:]).score(X[:held], y[:held])
    predictions = processes.repeat(lambda: model.predict(X), min(job["seconds"], 0.5))
    return {"fit": times, "predict": predictions, "score": score, "loss": model.loss_}


def rows_one_by_one(module: Any, job: Found) -> Found:
    """Seconds of `partial_fit` of a row."""
    X, y = data(job)
    options = {"backend": job["backend"]} if job["library"] == "fastnn" else {}
    model = module.MLPClassifier(random_state=0, **options)
    model.partial_fit(X[:10], y[:10], classes=np.arange(CLASSES))
    return {"partial_fit": processes.repeat(lambda: model.partial_fit(X[:1], y[:1]), job["seconds"])}


def search(module: Any, job: Found) -> Found:
    """Seconds of a grid search of 24 fits in two processes."""
    from sklearn.model_selection import GridSearchCV

    for name in processes.THREADS:  # joblib tells its processes their share of the cores where nobody else has
        os.environ.pop(name, None)
    X, y = data(job)
    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 1e-2]}
    model = module.MLPClassifier(max_iter=job["epochs"], random_state=0)
    found = GridSearchCV(model, grid, cv=3, n_jobs=2, refit=False)
    few = min(len(X), 200)
    found.fit(X[:few], y[:few])  # the processes are there, and have imported all
    start = time.perf_counter()
    found.fit(X, y)
    return {"search": [time.perf_counter() - start]}


MEASURES = {"fit": fits, "partial_fit": rows_one_by_one, "search": search}


def measure(job: Found) -> Found:
    """What the job's `measure` says."""
    module, version = library(job)
    warnings.simplefilter("ignore")
    found = MEASURES[job["measure"]](module, job)
    return found | {"runs": runs_on(job), "version": version}
