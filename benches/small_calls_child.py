"""One library, in a process of its own: times calls with one row. Started by small_calls.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import common
from fastnn.benchmarks import models
from fastnn.benchmarks.processes import Found, repeat
from fastnn.benchmarks.processors import runs_on

Calls = dict[str, Callable[[], Any]]  # by the names of common.CALLS; `train` returns the loss


def named_like_keras(
    module: Any, X: models.Floats, Y: models.Floats, widths: list[int], **compile_options: Any
) -> Calls:
    """Keras or fastnn."""
    model = models.started(module, widths, output="linear")
    model.compile(optimizer="adam", loss="mean_squared_error", **compile_options)
    return {
        "predict": lambda: model.predict(X, verbose=0),
        "train": lambda: float(np.ravel(model.train_on_batch(X, Y))[0]),
        "fit": lambda: model.fit(X, Y, epochs=1, verbose=0),
    }


def fastnn_calls(job: Found, X: models.Floats, Y: models.Floats) -> Calls:
    """The public API."""
    import fastnn

    return named_like_keras(fastnn, X, Y, job["widths"], backend=job["backend"])


def keras_calls(job: Found, X: models.Floats, Y: models.Floats) -> Calls:
    """On JAX."""
    import keras

    return named_like_keras(keras, X, Y, job["widths"])


def sklearn_calls(job: Found, X: models.Floats, Y: models.Floats) -> Calls:
    """MLPRegressor; its `fit` trains from new weights until it converges, which is another thing."""
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=job["widths"][1:-1], alpha=0.0, random_state=0)
    return {"train": lambda: 2 * float(model.partial_fit(X, Y).loss_), "predict": lambda: model.predict(X)}


def torch_calls(job: Found, X: models.Floats, Y: models.Floats) -> Calls:
    """Eager, from NumPy and to NumPy."""
    import torch

    torch.set_num_threads(job["threads"])
    model = models.torch_network(job["widths"])
    optimizer = torch.optim.Adam(model.parameters(), eps=1e-7, fused=True)

    def predict() -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(X)).numpy()

    def train() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(model(torch.from_numpy(X)), torch.from_numpy(Y))
        loss.backward()
        optimizer.step()
        return float(loss)

    return {"predict": predict, "train": train}


CALLS = {"fastnn": fastnn_calls, "keras": keras_calls, "sklearn": sklearn_calls, "torch": torch_calls}


def measure(job: Found) -> Found:
    """By call: seconds of each repetition, none where the library has no such call; first: seconds until each was
    called once; loss: of the first."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((job["rows"], job["widths"][0]), dtype=np.float32)
    Y = rng.standard_normal((job["rows"], job["widths"][-1]), dtype=np.float32)
    start = time.perf_counter()
    calls = CALLS[job["library"]](job, X, Y)
    loss = calls["train"]()
    for call in calls.values():
        call()
    first = time.perf_counter() - start
    times = {name: repeat(calls[name], job["seconds"]) if name in calls else [] for name in common.CALLS}
    return times | {"first": first, "loss": loss, "runs": runs_on(job), "version": models.version(job["library"])}
