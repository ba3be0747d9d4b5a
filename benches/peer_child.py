"""One library, one network, in a process of its own: trains whole epochs and tells how long each took, as JSON.

Started by peers.py and variants.py. Every library does the same work: relu layers, softmax cross-entropy on integer
labels, Adam, float32, the same starting weights, in each epoch every row once in a new order, and the mean loss of the
epoch told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import common
import models

LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7

Epoch = Callable[[], float]  # trains one epoch; its mean loss
After = Callable[[float], bool]  # called after each epoch with its mean loss; whether that was the last one
Training = Callable[[After], None]


def one_fit(module: Any, model: Any, *data: Any, **given: Any) -> Training:
    """Of Keras or fastnn: all epochs in one call of `fit`, as users train; what it does once a call, such as checking
    the data, is part of the first epoch."""

    class Ends(module.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, after: After) -> None:
            super().__init__()
            self.after = after

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = self.after(float(logs["loss"]))

    return lambda after: model.fit(*data, epochs=10**6, verbose=0, callbacks=[Ends(after)], **given)


def in_turn(epoch: Epoch) -> Training:
    """Of what trains an epoch a call."""

    def train(after: After) -> None:
        while not after(epoch()):
            pass

    return train


def fastnn_training(job: common.Found, X: models.Floats, y: models.Labels) -> Training:
    """The public API, on one backend; `job` may ask for another dtype, optimizer, loss, and what else `fit` takes."""
    import fastnn

    fastnn.backend.set_floatx(job.get("dtype", "float32"))
    loss = job.get("loss", "sparse_categorical_crossentropy")
    widths, batch = job["widths"], job["batch"]
    targets: Any = y
    if loss == "binary_crossentropy":
        targets = np.eye(widths[-1], dtype=np.float32)[y]
    elif loss != "sparse_categorical_crossentropy":
        targets = np.eye(widths[-1], dtype=np.float32)[y] - np.float32(0.5)
    output = {"sparse_categorical_crossentropy": "softmax", "binary_crossentropy": "sigmoid"}.get(loss, "linear")
    model = models.started(fastnn, widths, job.get("dropout", 0.0), output)
    metrics = job.get("metrics", [])
    model.compile(optimizer=job.get("optimizer", "adam"), loss=loss, metrics=metrics, backend=job["backend"])
    given: dict[str, Any] = {}
    if job.get("weights"):
        given["sample_weight"] = np.random.default_rng(2).random(len(X)).astype(np.float32)
    if job.get("validation"):  # further rows, so that the training is the same as without
        held_out = max(1, len(X) // 10)
        given["validation_data"] = (X[:held_out].copy(), targets[:held_out].copy())
    if job.get("dtype") == "float64":
        X = X.astype(np.float64)

    return one_fit(fastnn, model, X, targets, batch_size=batch, **given)


def keras_training(job: common.Found, X: models.Floats, y: models.Labels) -> Training:
    """Keras as it is, on JAX."""
    import keras

    model = models.started(keras, job["widths"])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return one_fit(keras, model, X, y, batch_size=job["batch"])


def jax_training(job: common.Found, X: models.Floats, y: models.Labels) -> Training:
    """The whole epoch in one jitted scan that reuses the buffers of its state."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(2)
    tree = jax.tree_util
    theta = [(jnp.array(W), jnp.array(b)) for W, b in models.start_weights(job["widths"])]
    state: Any = (theta, tree.tree_map(jnp.zeros_like, theta), tree.tree_map(jnp.zeros_like, theta), 1.0, 1.0)
    state = tree.tree_map(jnp.float32, state)

    def loss(theta: Any, x: Any, labels: Any) -> Any:
        log_p = jax.nn.log_softmax(models.jax_logits(theta, x))
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
        order = rng.permutation(len(X)).astype(np.int32).reshape(-1, job["batch"])
        state, value = compiled(state, order, rows, labels)
        return float(value)

    return in_turn(run)


def torch_training(job: common.Found, X: models.Floats, y: models.Labels) -> Training:
    """Fused Adam, batches by index_select, no DataLoader; "compile": forward and backward through inductor."""
    import torch

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model = models.torch_network(job["widths"])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True)
    rows, labels, batch = torch.from_numpy(X), torch.from_numpy(y), job["batch"]

    def loss_of(x: Any, wanted: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), wanted)

    if job["library"] == "compile":
        loss_of = torch.compile(loss_of, dynamic=False)

    def run() -> float:
        total: Any = torch.zeros(())
        for picked in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(rows.index_select(0, picked), labels.index_select(0, picked))
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total.item() * batch / len(X))

    return in_turn(run)


def sklearn_training(job: common.Found, X: models.Floats, y: models.Labels) -> Training:
    """MLPClassifier keeps float32; one partial_fit is one shuffled epoch of mini-batches."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        hidden_layer_sizes=job["widths"][1:-1],
        alpha=0.0,
        batch_size=job["batch"],
        learning_rate_init=LEARNING_RATE,
        random_state=0,
    )
    classes = np.arange(job["widths"][-1])
    return in_turn(lambda: float(model.partial_fit(X, y, classes=classes).loss_))


def numpy_training(job: common.Found, X: models.Floats, y: models.Labels) -> Training:
    """The loop of a textbook, with Adam in place."""
    rng = np.random.default_rng(2)
    theta = [array for pair in models.start_weights(job["widths"]) for array in pair]
    m, v = [np.zeros_like(p) for p in theta], [np.zeros_like(p) for p in theta]
    batch = job["batch"]
    row = np.arange(batch)
    step = 0

    def run() -> float:
        nonlocal step
        order = rng.permutation(len(X))
        total = 0.0
        for first in range(0, len(X), batch):
            picked = order[first : first + batch]
            outputs = [X[picked]]
            for W, b in zip(theta[:-2:2], theta[1:-2:2], strict=True):
                outputs.append(np.maximum(outputs[-1] @ W + b, 0))
            Z = outputs[-1] @ theta[-2] + theta[-1]
            Z = np.exp(Z - Z.max(axis=1, keepdims=True))
            dZ = Z / Z.sum(axis=1, keepdims=True)
            total -= float(np.log(dZ[row, y[picked]]).sum())
            dZ[row, y[picked]] -= 1
            dZ /= batch
            gradients: list[models.Floats] = []
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
        return total / len(X)

    return in_turn(run)


TRAININGS: dict[str, Callable[[common.Found, models.Floats, models.Labels], Training]] = {
    "fastnn": fastnn_training,
    "jax": jax_training,
    "torch": torch_training,
    "compile": torch_training,
    "keras": keras_training,
    "sklearn": sklearn_training,
    "numpy": numpy_training,
}


def measure(job: common.Found) -> common.Found:
    """first: seconds of preparing and of the first epoch, and its mean loss; epochs: seconds of the later ones."""
    X, y = models.data(job["widths"], job["rows"])
    losses: list[float] = []
    ends = [time.perf_counter()]

    def after(loss: float) -> bool:
        losses.append(loss)
        ends.append(time.perf_counter())
        return len(losses) > job["epochs"] and ends[-1] - ends[1] >= float(job["seconds"])

    TRAININGS[job["library"]](job, X, y)(after)
    first, *seconds = np.diff(ends).tolist()
    return {"first": first, "loss": losses[0], "epochs": seconds, "version": models.version(job["library"])}


if __name__ == "__main__":
    common.serve(measure)
