"""One library, one graph, in a process of its own: trains whole epochs and tells how long each took, as JSON.

Started by graphs.py. Every library does the same work: the same starting weights, Adam, float32, in each epoch every
row once in a new order, the sum of the outputs' mean losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.benchmarks import models, training
from fastnn.benchmarks.networks import CLASSES
from fastnn.benchmarks.processes import Found
from fastnn.benchmarks.processors import runs_on
from fastnn.benchmarks.training import BETA_1, BETA_2, EPSILON, LEARNING_RATE, Training
from graph_networks import BINARY, GRAPHS, GraphNetwork

Weights = dict[str, models.Floats]


class Shapes:
    """Starting weights, by the widths that go through a graph: Glorot uniform, of tables uniform, biases 0."""

    def __init__(self) -> None:
        self.weights: Weights = {}
        self._rng = np.random.default_rng(1)

    def _uniform(self, name: str, shape: tuple[int, int], limit: float) -> None:
        self.weights[name] = self._rng.uniform(-limit, limit, shape).astype(np.float32)

    def dense(self, x: Any, name: str, units: int, activation: str = "linear") -> Any:
        self._uniform(f"{name}.W", (x.shape[1], units), (6 / (x.shape[1] + units)) ** 0.5)
        self.weights[f"{name}.b"] = np.zeros(units, np.float32)
        return np.empty((1, units))

    def table(self, codes: Any, name: str, rows: int, width: int) -> Any:
        self._uniform(name, (rows, width), 0.05)
        return np.empty((1, width))

    def concatenate(self, values: Sequence[Any]) -> Any:
        return np.hstack(values)


def data(graph: GraphNetwork) -> tuple[list[Any], list[Any]]:
    """Random inputs, and random targets for each output."""
    rng = np.random.default_rng(0)
    inputs: list[Any] = [rng.standard_normal((graph.rows, width), dtype=np.float32) for width in graph.numbers]
    inputs += [rng.integers(0, classes, graph.rows).astype(np.int32) for classes in graph.classes]
    targets: list[Any] = []
    for loss, width in zip(graph.losses, graph.widths, strict=True):
        if loss == CLASSES:
            targets.append(rng.integers(0, width, graph.rows).astype(np.int32))
        elif loss == BINARY:
            targets.append(rng.integers(0, 2, (graph.rows, width)).astype(np.float32))
        else:
            targets.append(rng.standard_normal((graph.rows, width), dtype=np.float32))
    return inputs, targets


def starting(graph: GraphNetwork) -> Weights:
    """The weights that all libraries begin with."""
    shapes = Shapes()
    graph.outputs(shapes, *(np.empty((1, width)) for width in graph.numbers), *(None for _ in graph.classes))
    return shapes.weights


def fastnn_training(job: Found, graph: GraphNetwork, inputs: list[Any], targets: list[Any]) -> Training:
    """The functional API."""
    import fastnn
    from fastnn import layers

    weights = starting(graph)

    class Makes:
        def dense(self, x: Any, name: str, units: int, activation: str = "linear") -> Any:
            return layers.Dense(units, activation, name=name)(x)

        def table(self, codes: Any, name: str, rows: int, width: int) -> Any:
            return layers.Flatten()(layers.Embedding(rows, width, name=name)(codes))

        def concatenate(self, values: Sequence[Any]) -> Any:
            return layers.concatenate(values)

    tensors = [fastnn.Input((width,)) for width in graph.numbers] + [fastnn.Input((1,)) for _ in graph.classes]
    ends = {CLASSES: "softmax", BINARY: "sigmoid"}
    outputs = [
        layers.Activation(ends[loss])(output) if loss in ends else output
        for output, loss in zip(graph.outputs(Makes(), *tensors), graph.losses, strict=True)
    ]
    model = fastnn.Model(tensors, outputs)
    model.compile("adam", graph.losses, backend=job["backend"])
    for layer in model.layers:
        if layer.get_weights():
            parts = [layer.name] if layer.name in weights else [f"{layer.name}.W", f"{layer.name}.b"]
            layer.set_weights([weights[part] for part in parts])
    return training.one_fit(fastnn, model, inputs, targets, batch_size=graph.batch)


class OfArrays:
    """A graph of a library whose arrays have `@` and `+`."""

    def __init__(self, theta: Any, relu: Any, concatenate: Any) -> None:
        self.theta, self.relu, self.concatenate = theta, relu, concatenate

    def dense(self, x: Any, name: str, units: int, activation: str = "linear") -> Any:
        z = x @ self.theta[f"{name}.W"] + self.theta[f"{name}.b"]
        return self.relu(z) if activation == "relu" else z

    def table(self, codes: Any, name: str, rows: int, width: int) -> Any:
        return self.theta[name][codes]


def jax_training(job: Found, graph: GraphNetwork, inputs: list[Any], targets: list[Any]) -> Training:
    """The whole epoch in one jitted scan that reuses the buffers of its state."""
    import jax
    import jax.numpy as jnp

    rng, tree = np.random.default_rng(2), jax.tree_util
    theta = {name: jnp.array(array) for name, array in starting(graph).items()}
    zeros = tree.tree_map(jnp.zeros_like, theta)
    state: Any = (theta, zeros, tree.tree_map(jnp.zeros_like, theta), jnp.float32(1.0), jnp.float32(1.0))

    def loss(theta: Any, xs: Any, ys: Any) -> Any:
        made = OfArrays(theta, jax.nn.relu, lambda values: jnp.concatenate(values, axis=1))
        outputs = zip(graph.losses, graph.outputs(made, *xs), ys, strict=True)
        return sum(training.jax_loss(name, z, y) for name, z, y in outputs)

    def epoch(state: Any, order: Any, xs: Any, ys: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            theta, m, v, power_1, power_2 = state
            value, gradient = jax.value_and_grad(loss)(theta, [x[rows] for x in xs], [y[rows] for y in ys])
            power_1, power_2 = power_1 * BETA_1, power_2 * BETA_2
            rate = LEARNING_RATE * jnp.sqrt(1 - power_2) / (1 - power_1)
            after = tree.tree_map(lambda *given: training.jax_step("adam", rate, *given), theta, m, v, gradient)
            theta, m, v = tree.tree_transpose(tree.tree_structure(theta), tree.tree_structure((0, 0, 0)), after)
            return (theta, m, v, power_1, power_2), value

        state, values = jax.lax.scan(step, state, order)
        return state, values.mean()

    compiled = jax.jit(epoch, donate_argnums=0)
    xs, ys = [jnp.array(x) for x in inputs], [jnp.array(y) for y in targets]

    def run() -> float:
        nonlocal state
        order = rng.permutation(graph.rows).astype(np.int32).reshape(-1, graph.batch)
        state, value = compiled(state, order, xs, ys)
        return float(value)

    return training.in_turn(run)


def torch_training(job: Found, graph: GraphNetwork, inputs: list[Any], targets: list[Any]) -> Training:
    """A fused optimizer, batches by index_select, no DataLoader; "compile": the loss through inductor."""
    import torch

    torch.set_num_threads(job["threads"])
    theta = {name: torch.from_numpy(array).requires_grad_() for name, array in starting(graph).items()}
    made = OfArrays(theta, torch.relu, lambda values: torch.cat(values, dim=1))
    optimizer = torch.optim.Adam(theta.values(), lr=LEARNING_RATE, eps=EPSILON, fused=True)
    functions = [getattr(torch.nn.functional, training.TORCH_LOSSES[name]) for name in graph.losses]
    xs = [torch.from_numpy(x) for x in inputs]
    ys = [torch.from_numpy(y.astype(np.int64) if y.dtype == np.int32 else y) for y in targets]

    def loss_of(given: list[Any], wanted: list[Any]) -> Any:
        pairs = zip(functions, graph.outputs(made, *given), wanted, strict=True)
        return sum(function(z, y) for function, z, y in pairs)

    if job["library"] == "compile":
        loss_of = torch.compile(loss_of, dynamic=False)

    def run() -> float:
        total: Any = torch.zeros(())
        for picked in torch.randperm(graph.rows).split(graph.batch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of([x.index_select(0, picked) for x in xs], [y.index_select(0, picked) for y in ys])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total.item() * graph.batch / graph.rows)

    return training.in_turn(run)


TRAININGS = {"fastnn": fastnn_training, "jax": jax_training, "torch": torch_training, "compile": torch_training}


def measure(job: Found) -> Found:
    """See `training.timed`; runs: on which instruction set."""
    graph = GRAPHS[job["graph"]]
    if job["tiny"]:
        graph = graph._replace(rows=2 * graph.batch)
    inputs, targets = data(graph)
    found = training.timed(lambda: TRAININGS[job["library"]](job, graph, inputs, targets), job)
    return found | {"runs": runs_on(job)}
