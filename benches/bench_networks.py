"""Training and inference of networks, on every backend that is there: eight steps, and predictions of eight batches.

The weights after a step, and the predictions, have the bits of the reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.benchmarks import models, operations
from fastnn.benchmarks.networks import NETWORKS, OPTIMIZERS, Network
from fastnn.benchmarks.training import USUAL, compiled

BATCHES = 8
CASES = [
    pytest.param(network, id=network.name, marks=[pytest.mark.full, *([pytest.mark.plain] if number < 4 else [])])
    for number, network in enumerate(NETWORKS)
]


def made(network: Network, backend: str) -> tuple[Any, Any, Any]:
    """A model with the starting weights of all libraries, and data for it."""
    job = USUAL | network._asdict() | {"rows": BATCHES * network.batch}
    model = compiled(fastnn, job, backend=backend)
    return model, *models.data(job)


@cache
def expected(name: str, training: bool) -> np.ndarray[Any, Any]:
    """What the reference makes of a batch."""
    network = next(network for network in NETWORKS if network.name == name)
    model, X, y = made(network, "reference")
    return outcome(model, X, y, network.batch, training)


def outcome(model: Any, X: Any, y: Any, batch: int, training: bool) -> np.ndarray[Any, Any]:
    """The weights after a step, or the predictions of a batch."""
    if training:
        model.train_on_batch(X[:batch], y[:batch])
        return np.concatenate([array.ravel() for array in model.get_weights()])
    return np.asarray(model.predict(X[:batch], verbose=0))


def note(benchmark: Any, table: list[operations.Figures], row: operations.Figures, samples: int) -> None:
    """A line of the terminal's table, and the columns of the JSON."""
    table.append(row)
    share = None if row.share is None else round(row.share, 3)
    benchmark.extra_info |= {"threads": row.threads, "GFLOP/s": round(row.gflops, 2), "GB/s": round(row.gbytes, 2)}
    benchmark.extra_info |= {"share of the floor": share, "error": row.error, "samples/s": samples / row.seconds}


@pytest.mark.parametrize("network", CASES)
@pytest.mark.parametrize("backend", operations.usual_backends())
@pytest.mark.parametrize("name", ["training", "inference"])
def test_network(benchmark: Any, table: list[operations.Figures], name: str, backend: str, network: Network) -> None:
    """Times `fit` for an epoch, or `predict`, as users call them."""
    model, X, y = made(network, backend)
    training = name == "training"
    got = outcome(model, X, y, network.batch, training)
    assert (got.view(np.uint32) == expected(network.name, training).view(np.uint32)).all()
    if training:
        benchmark(lambda: model.fit(X, y, batch_size=network.batch, verbose=0))
    else:
        benchmark(lambda: model.predict(X, batch_size=network.batch, verbose=0))
    if not benchmark.stats:
        return
    stats, threads = benchmark.stats.stats, model.engine().program.threads
    flops = BATCHES * (network.step_flops if training else network.forward_flops * network.batch)
    slots = OPTIMIZERS["adam"]
    moved = 4 * network.parameters * (BATCHES * 2 * (1 + slots) if training else 1)
    limits = operations.limits("float32", threads)
    share = None if limits is None else limits.floor(flops, moved, network.parameters) / stats.median
    shape = "-".join(map(str, network.widths)) + f", {network.batch}"
    rates = flops / stats.median / 1e9, moved / stats.median / 1e9
    row = operations.Figures(name, backend, "float32", shape, threads, stats.median, stats.iqr, *rates, share, 0.0)
    note(benchmark, table, row, len(X))
