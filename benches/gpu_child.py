"""One figure of gpu.py, in a process of its own: `python gpu_child.py JSON` prints it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.benchmarks import networks

Array = Any


def product(backend: Any, form: str, M: int, N: int, K: int, dtype: str) -> Array:
    """C of a form of the product, of numbers that are the same everywhere."""
    random = np.random.RandomState(M + N + K)
    A = random.standard_normal((K, M) if form[0] == "t" else (M, K)).astype(dtype)
    B = random.standard_normal((N, K) if form[1] == "t" else (K, N)).astype(dtype)
    C = np.full((M, N), np.nan, dtype)
    backend.operations(dtype)[f"gemm_{form}"](C, A, B)
    return C


def data_of(network: networks.Network, rows: int) -> tuple[Array, Array]:
    """Inputs and class numbers."""
    random = np.random.RandomState(1)
    X = random.standard_normal((rows, network.widths[0])).astype(np.float32)
    return X, random.randint(0, network.widths[-1], rows)


def made(backend: Any, network: networks.Network, rows: int) -> tuple[Any, Any, Any]:
    """The engine of a network, its data and sums."""
    from fastnn import layers, utils
    from fastnn.backends.data import Data
    from fastnn.models import Sequential

    utils.set_random_seed(1)
    hidden = [layers.Dense(width, activation="relu") for width in network.widths[1:-1]]
    model = Sequential([layers.Input((network.widths[0],)), *hidden, layers.Dense(network.widths[-1], "softmax")])
    model.compile("adam", networks.CLASSES, backend=backend)
    X, y = data_of(network, rows)
    order = np.random.RandomState(2).permutation(rows)
    engine = model.trainable_engine(X)
    return engine, Data((X,), (y[:, None],), (), order, network.batch), engine.scores.sums()


def trained(backend: Any, network: networks.Network, steps: int) -> tuple[Array, Array]:
    """The losses of some steps, and theta after them."""
    engine, data, sums = made(backend, network, steps * network.batch)
    losses = []
    for step in range(steps):
        engine.program.run_steps(data, step, step + 1, sums)
        losses.append(float(sums[0]))
    return np.array(losses), engine.state.theta.copy()


def repeated(seconds: float, work: Callable[[], object], wait: Callable[[], object]) -> float:
    """The seconds of one call: the best of the times of several, after one that warms up."""
    work()
    wait()
    best, begun = float("inf"), time.perf_counter()
    while True:
        start = time.perf_counter()
        work()
        wait()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - begun >= seconds:
            return best


# --- fastnn ---------------------------------------------------------------------------------------------------------


def fastnn_product(side: int, seconds: float) -> float:
    from fastnn.backends.cuda.calls import Launcher
    from fastnn.backends.cuda.device import card
    from fastnn.backends.cuda.library import loaded
    from fastnn.core.operations import Family

    owner = card()
    memories = [owner.allocate(4 * side * side) for _ in range(3)]
    numbers = np.random.RandomState(0).standard_normal((side, side)).astype(np.float32)
    for memory in memories[1:]:
        owner.put(memory.address, numbers)
    sizes = {"m": side, "n": side, "k": side}
    arrays = [(memory.address, side) for memory in memories]
    launches = Launcher(loaded(), "float32").product(Family.GEMM_NN, arrays, sizes)
    return repeated(seconds, lambda: owner.launch(launches), owner.sync)


def fastnn_training(network: networks.Network, seconds: float) -> float:
    engine, data, sums = made("cuda", network, network.rows)
    return repeated(seconds, lambda: engine.program.run_steps(data, 0, data.steps, sums), lambda: None)


# --- peers, TF32 off ------------------------------------------------------------------------------------------------


def torch_product(side: int, seconds: float) -> float:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    A, B = (torch.randn(side, side, device="cuda") for _ in range(2))
    C = torch.empty_like(A)
    return repeated(seconds, lambda: torch.mm(A, B, out=C), torch.cuda.synchronize)


def torch_training(network: networks.Network, seconds: float, compiled: bool) -> float:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    stack: list[Any] = []
    for fan_in, fan_out in pairwise(network.widths):
        stack += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*stack[:-1]).cuda()
    X, y = (torch.from_numpy(array).cuda() for array in data_of(network, network.rows))
    order = torch.randperm(network.rows, device="cuda")
    optimizer = torch.optim.Adam(model.parameters(), capturable=True, fused=True)

    def step(rows: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()

    run = torch.compile(step, mode="reduce-overhead") if compiled else step

    def epoch() -> None:
        for start in range(0, network.rows, network.batch):
            run(order[start : start + network.batch])

    return repeated(seconds, epoch, torch.cuda.synchronize)


def jax_training(network: networks.Network, seconds: float) -> float:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_default_matmul_precision", "highest")
    keys = jax.random.split(jax.random.PRNGKey(0), len(network.widths))
    weights = [
        (jax.random.normal(key, sides) * sides[0] ** -0.5, jnp.zeros(sides[1]))
        for key, sides in zip(keys, pairwise(network.widths), strict=False)
    ]
    X, y = (jnp.asarray(array) for array in data_of(network, network.rows))
    order = jax.random.permutation(keys[-1], network.rows).reshape(-1, network.batch)

    def loss(weights: Any, x: Any, labels: Any) -> Any:
        for W, b in weights[:-1]:
            x = jnp.maximum(x @ W + b, 0.0)
        z = jax.nn.log_softmax(x @ weights[-1][0] + weights[-1][1])
        return -jnp.mean(jnp.take_along_axis(z, labels[:, None], 1))

    def step(state: Any, rows: Any) -> Any:
        weights, m, v, t = state
        gradient = jax.grad(loss)(weights, X[rows], y[rows])
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, m, v)
        return (weights, m, v, t), None

    epoch = jax.jit(lambda state: jax.lax.scan(step, state, order)[0])
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = (weights, zeros, zeros, jnp.zeros(()))
    return repeated(seconds, lambda: jax.block_until_ready(epoch(state)), lambda: None)


def figure(work: dict[str, Any]) -> float:
    """TFLOP/s of a product, samples/s of a training."""
    library, seconds = work["library"], float(work["seconds"])
    if work["kind"] == "product":
        run = fastnn_product if library == "fastnn" else torch_product
        side = int(work["side"])
        return 2.0 * side**3 / run(side, seconds) / 1e12
    network = networks.NETWORKS[work["network"]]
    if library == "fastnn":
        taken = fastnn_training(network, seconds)
    elif library == "jax":
        taken = jax_training(network, seconds)
    else:
        taken = torch_training(network, seconds, compiled=library == "compile")
    return float(network.rows / taken)


if __name__ == "__main__":
    print(figure(json.loads(sys.argv[1])))
