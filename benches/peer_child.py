"""One peer, one network, in a process of its own: trains whole epochs and prints how long each took, as JSON.

Called by peers.py, which sets the thread variables and reads the last line of stdout. Every peer does the same work:
relu layers, softmax cross-entropy on integer labels, Adam, float32, and in each epoch every row once in a new order.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7

Epoch = Callable[[], Any]
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def start_weights(widths: list[int], rng: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """Glorot uniform kernels and zero biases."""
    layers = []
    for fan_in, fan_out in pairwise(widths):
        limit = np.sqrt(6.0 / (fan_in + fan_out))
        kernel = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
        layers.append((kernel, np.zeros(fan_out, np.float32)))
    return layers


def fastnn_epoch(widths: list[int], batch: int, X: Floats, y: Labels, threads: int, backend: str) -> Epoch:
    """The public API, on one backend."""
    import fastnn

    hidden = [fastnn.layers.Dense(units, activation="relu") for units in widths[1:-1]]
    model = fastnn.Sequential(
        [fastnn.Input((widths[0],)), *hidden, fastnn.layers.Dense(widths[-1], activation="softmax")]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", backend=backend)
    return lambda: model.fit(X, y, batch_size=batch, epochs=1, verbose=0)


def jax_epoch(widths: list[int], batch: int, X: Floats, y: Labels, threads: int, backend: str) -> Epoch:
    """The whole epoch in one jitted scan that reuses the buffers of its state."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(1)
    tree = jax.tree_util
    theta = [(jnp.array(W), jnp.array(b)) for W, b in start_weights(widths, rng)]
    state: Any = (theta, tree.tree_map(jnp.zeros_like, theta), tree.tree_map(jnp.zeros_like, theta), 1.0, 1.0)
    state = tree.tree_map(jnp.float32, state)

    def loss(theta: Any, x: Any, labels: Any) -> Any:
        for W, b in theta[:-1]:
            x = jax.nn.relu(x @ W + b)
        W, b = theta[-1]
        log_p = jax.nn.log_softmax(x @ W + b)
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    def epoch(state: Any, order: Any, X: Any, y: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            theta, m, v, power_1, power_2 = state
            value, gradient = jax.value_and_grad(loss)(theta, X[rows], y[rows])
            power_1, power_2 = power_1 * BETA_1, power_2 * BETA_2
            rate = LEARNING_RATE * jnp.sqrt(1 - power_2) / (1 - power_1)
            m = tree.tree_map(lambda m, g: m + (1 - BETA_1) * (g - m), m, gradient)
            v = tree.tree_map(lambda v, g: v + (1 - BETA_2) * (g * g - v), v, gradient)
            theta = tree.tree_map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), theta, m, v)
            return (theta, m, v, power_1, power_2), value

        state, values = jax.lax.scan(step, state, order)
        return state, values.mean()

    compiled = jax.jit(epoch, donate_argnums=0)
    rows, labels = jnp.array(X), jnp.array(y, jnp.int32)

    def run() -> float:
        nonlocal state
        order = rng.permutation(len(X)).astype(np.int32).reshape(-1, batch)
        state, value = compiled(state, order, rows, labels)
        return float(value)

    return run


def torch_epoch(widths: list[int], batch: int, X: Floats, y: Labels, threads: int, backend: str) -> Epoch:
    """Fused Adam, batches by index_select, no DataLoader."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers: list[Any] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)

    def run() -> None:
        for picked in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad(set_to_none=True)
            output = model(rows.index_select(0, picked))
            torch.nn.functional.cross_entropy(output, labels.index_select(0, picked)).backward()
            optimizer.step()

    return run


def sklearn_epoch(widths: list[int], batch: int, X: Floats, y: Labels, threads: int, backend: str) -> Epoch:
    """MLPClassifier keeps float32; one partial_fit is one shuffled epoch of mini-batches."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        hidden_layer_sizes=widths[1:-1], alpha=0.0, batch_size=batch, learning_rate_init=LEARNING_RATE, random_state=0
    )
    classes = np.arange(widths[-1])
    return lambda: model.partial_fit(X, y, classes=classes)


def numpy_epoch(widths: list[int], batch: int, X: Floats, y: Labels, threads: int, backend: str) -> Epoch:
    """The loop of a textbook, with Adam in place."""
    rng = np.random.default_rng(1)
    theta = [array for pair in start_weights(widths, rng) for array in pair]
    m, v = [np.zeros_like(p) for p in theta], [np.zeros_like(p) for p in theta]
    row = np.arange(batch)
    step = 0

    def run() -> None:
        nonlocal step
        order = rng.permutation(len(X))
        for first in range(0, len(X), batch):
            picked = order[first : first + batch]
            outputs = [X[picked]]
            for W, b in zip(theta[:-2:2], theta[1:-2:2], strict=True):
                outputs.append(np.maximum(outputs[-1] @ W + b, 0))
            Z = outputs[-1] @ theta[-2] + theta[-1]
            Z = np.exp(Z - Z.max(axis=1, keepdims=True))
            dZ = Z / Z.sum(axis=1, keepdims=True)
            dZ[row, y[picked]] -= 1
            dZ /= batch
            gradients: list[Floats] = []
            for layer in reversed(range(len(outputs))):
                gradients[:0] = [outputs[layer].T @ dZ, dZ.sum(axis=0)]
                if layer:
                    dZ = (dZ @ theta[2 * layer].T) * (outputs[layer] > 0)
            step += 1
            rate = np.float32(LEARNING_RATE * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step))
            for p, g, m_p, v_p in zip(theta, gradients, m, v, strict=True):
                m_p += np.float32(1 - BETA_1) * (g - m_p)
                v_p += np.float32(1 - BETA_2) * (g * g - v_p)
                p -= rate * m_p / (np.sqrt(v_p) + np.float32(EPSILON))

    return run


PEERS: dict[str, tuple[Callable[..., Epoch], str]] = {
    "fastnn": (fastnn_epoch, "fastnn-dense"),
    "jax": (jax_epoch, "jax"),
    "torch": (torch_epoch, "torch"),
    "sklearn": (sklearn_epoch, "scikit-learn"),
    "numpy": (numpy_epoch, "numpy"),
}


def version(peer: str, distribution: str) -> str:
    """The version that runs, also where fastnn runs from a checkout."""
    if peer == "fastnn":
        return str(importlib.import_module("fastnn").__version__)
    return metadata.version(distribution)


def main() -> None:
    """Argument 1: a JSON object with peer, backend, widths, batch, rows, threads, cores, seconds."""
    job = json.loads(sys.argv[1])
    if job["cores"]:
        # Before the first import of a library that counts cores.
        os.sched_setaffinity(0, job["cores"])
    rng = np.random.default_rng(0)
    widths, rows = job["widths"], job["rows"]
    X = rng.standard_normal((rows, widths[0]), dtype=np.float32)
    y = rng.integers(0, widths[-1], rows)
    prepare, distribution = PEERS[job["peer"]]
    start = time.perf_counter()
    epoch = prepare(widths, job["batch"], X, y, job["threads"], job["backend"])
    epoch()
    first = time.perf_counter() - start
    seconds: list[float] = []
    while sum(seconds) < job["seconds"] or len(seconds) < 3:
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"first": first, "epochs": seconds, "version": version(job["peer"], distribution)}))


if __name__ == "__main__":
    main()
