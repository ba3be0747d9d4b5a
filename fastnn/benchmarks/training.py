"""One library, one network, in a process of its own: trains whole epochs and tells how long each took, as JSON.

Every library does the same work: relu layers, softmax cross-entropy on integer
labels, Adam (unless the job names others), float32, the same starting weights, in each epoch every row once in a new
order, and the mean loss of the epoch told.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import models
from .networks import CLASSES, OPTIMIZERS
from .processes import Found, memory
from .processors import runs_on

# What a job trains that does not say it.
USUAL: Found = {"activation": "relu", "loss": CLASSES, "optimizer": "adam"}
# Keras's defaults, but for the momentum, which has none.
RATES = {"sgd": 1e-2, "momentum": 1e-2}
LEARNING_RATE, BETA_1, BETA_2, EPSILON, MOMENTUM, RHO, FIRST_SQUARE = 1e-3, 0.9, 0.999, 1e-7, 0.9, 0.9, 0.1

TORCH_LOSSES = {
    CLASSES: "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy_with_logits",
    "mean_squared_error": "mse_loss",
    "mean_absolute_error": "l1_loss",
    "huber": "huber_loss",
}

Epoch = Callable[[], float]  # trains one epoch; its mean loss
# Called after each epoch with its mean loss, and the model where there is one; whether that was the last epoch.
After = Callable[..., bool]
Training = Callable[[After], None]


def one_fit(module: Any, model: Any, *data: Any, **given: Any) -> Training:
    """Of Keras or fastnn: all epochs in one call of `fit`, as users train; what it does once a call, such as checking
    the data, is part of the first epoch."""

    class Ends(module.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, after: After) -> None:
            super().__init__()
            self.after = after

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = self.after(float(logs["loss"]), self.model)

    return lambda after: model.fit(*data, epochs=10**6, verbose=0, callbacks=[Ends(after)], **given)


def in_turn(epoch: Epoch) -> Training:
    """Of what trains an epoch a call."""

    def train(after: After) -> None:
        while not after(epoch()):
            pass

    return train


def compiled(module: Any, job: Found, **given: Any) -> Any:
    """A model of Keras or fastnn, with the job's activation, loss and optimizer."""
    module.utils.set_random_seed(0)  # of the order of rows
    loss, optimizer = job["loss"], job["optimizer"]
    if optimizer == "momentum":
        optimizer = {"class_name": "SGD", "config": {"momentum": MOMENTUM}}
    output = {CLASSES: "softmax", "binary_crossentropy": "sigmoid"}.get(loss, "linear")
    model = models.started(module, job["widths"], job.get("dropout", 0.0), output, job["activation"])
    model.compile(optimizer=module.optimizers.get(optimizer), loss=loss, **given)
    return model


def fastnn_training(job: Found, X: models.Floats, y: models.Labels) -> Training:
    """The public API, on one backend; `job` may ask for another dtype, and what else `fit` takes."""
    import fastnn

    fastnn.backend.set_floatx(job.get("dtype", "float32"))
    model = compiled(fastnn, job, metrics=job.get("metrics", []), backend=job["backend"])
    targets = models.targets(job, y)
    given: dict[str, Any] = {}
    if job.get("weights"):
        given["sample_weight"] = np.random.default_rng(2).random(len(X)).astype(np.float32)
    if job.get("validation"):  # further rows, so that the training is the same as without
        held_out = max(1, len(X) // 10)
        given["validation_data"] = (X[:held_out].copy(), targets[:held_out].copy())
    if job.get("dtype") == "float64":
        X = X.astype(np.float64)

    return one_fit(fastnn, model, X, targets, batch_size=job["batch"], **given)


def keras_training(job: Found, X: models.Floats, y: models.Labels) -> Training:
    """Keras as it is, on JAX."""
    import keras

    targets = models.targets(job, y)
    return one_fit(keras, compiled(keras, job), X, targets, batch_size=job["batch"])


def jax_loss(name: str, z: Any, targets: Any) -> Any:
    """The mean over a batch of logits, or outputs."""
    import jax
    import jax.numpy as jnp

    if name == CLASSES:
        return -jnp.take_along_axis(jax.nn.log_softmax(z), targets[:, None], axis=1).mean()
    if name == "binary_crossentropy":
        return (jax.nn.relu(z) - z * targets + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()
    error = jnp.abs(z - targets)
    if name == "huber":
        return jnp.where(error <= 1, 0.5 * error * error, error - 0.5).mean()
    return (error if name == "mean_absolute_error" else error * error).mean()


def jax_step(name: str, rate: Any, p: Any, m: Any, v: Any, g: Any) -> Any:
    """The parameters of an array and its slots after a step; a slot that the optimizer lacks is empty."""
    import jax.numpy as jnp

    if name == "sgd":
        return p - rate * g, m, v
    if name == "momentum":
        m = MOMENTUM * m - rate * g
        return p + m, m, v
    if name == "adam":
        m, v = m + (1 - BETA_1) * (g - m), v + (1 - BETA_2) * (g * g - v)
        return p - rate * m / (jnp.sqrt(v) + EPSILON), m, v
    m = m + (1 - RHO) * (g * g - m) if name == "rmsprop" else m + g * g
    return p - rate * g / jnp.sqrt(m + EPSILON), m, v


def jax_training(job: Found, X: models.Floats, y: models.Labels) -> Training:
    """The whole epoch in one jitted scan that reuses the buffers of its state."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(2)
    tree = jax.tree_util
    loss_name, optimizer = job["loss"], job["optimizer"]
    rate, slots = RATES.get(optimizer, LEARNING_RATE), OPTIMIZERS[optimizer]
    theta = [(jnp.array(W), jnp.array(b)) for W, b in models.start_weights(job["widths"])]
    start = FIRST_SQUARE if optimizer == "adagrad" else 0.0
    m = tree.tree_map(lambda p: jnp.full(p.shape if slots > 0 else (0,), start, jnp.float32), theta)
    v = tree.tree_map(lambda p: jnp.zeros(p.shape if slots > 1 else (0,), jnp.float32), theta)
    state: Any = (theta, m, v, jnp.float32(1.0), jnp.float32(1.0))

    def loss(theta: Any, x: Any, targets: Any) -> Any:
        return jax_loss(loss_name, models.jax_logits(theta, x, job["activation"]), targets)

    def epoch(state: Any, order: Any, X: Any, y: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            theta, m, v, power_1, power_2 = state
            value, gradient = jax.value_and_grad(loss)(theta, X[rows], y[rows])
            power_1, power_2 = power_1 * BETA_1, power_2 * BETA_2
            scale = jnp.sqrt(1 - power_2) / (1 - power_1) if optimizer == "adam" else 1.0
            after = tree.tree_map(lambda *given: jax_step(optimizer, rate * scale, *given), theta, m, v, gradient)
            theta, m, v = tree.tree_transpose(tree.tree_structure(theta), tree.tree_structure((0, 0, 0)), after)
            return (theta, m, v, power_1, power_2), value

        state, values = jax.lax.scan(step, state, order)
        return state, values.mean()

    compiled = jax.jit(epoch, donate_argnums=0)
    targets = models.targets(job, y)
    rows, targets = jnp.array(X), jnp.array(targets, jnp.int32 if loss_name == CLASSES else jnp.float32)

    def run() -> float:
        nonlocal state
        order = rng.permutation(len(X)).astype(np.int32).reshape(-1, job["batch"])
        state, value = compiled(state, order, rows, targets)
        return float(value)

    return in_turn(run)


def torch_training(job: Found, X: models.Floats, y: models.Labels) -> Training:
    """A fused optimizer, batches by index_select, no DataLoader; "compile": forward and backward through inductor."""
    import torch

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model = models.torch_network(job["widths"], job["activation"])
    loss_name, named = job["loss"], job["optimizer"]
    given: dict[str, Any] = {"params": model.parameters(), "lr": RATES.get(named, LEARNING_RATE)}
    optimizer: Any
    if named == "adam":
        optimizer = torch.optim.Adam(**given, eps=EPSILON, fused=True)
    elif named == "adagrad":
        optimizer = torch.optim.Adagrad(**given, eps=EPSILON, initial_accumulator_value=FIRST_SQUARE, fused=True)
    elif named == "rmsprop":  # it has no fused form
        optimizer = torch.optim.RMSprop(**given, alpha=RHO, eps=EPSILON, foreach=True)
    else:
        optimizer = torch.optim.SGD(**given, momentum=MOMENTUM if named == "momentum" else 0.0, fused=True)
    function = getattr(torch.nn.functional, TORCH_LOSSES[loss_name])
    targets = models.targets(job, y)
    rows, labels, batch = torch.from_numpy(X), torch.from_numpy(targets), job["batch"]

    def loss_of(x: Any, wanted: Any) -> Any:
        return function(model(x), wanted)

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


def usual(job: Found, activations: tuple[str, ...] = ("relu",)) -> None:
    """Raises ValueError for what only the others train."""
    asked = job["loss"], job["optimizer"]
    if asked != (CLASSES, "adam") or job["activation"] not in activations:
        raise ValueError(f"only {CLASSES} and adam here, with {', '.join(activations)}")


def sklearn_training(job: Found, X: models.Floats, y: models.Labels) -> Training:
    """MLPClassifier keeps float32; one partial_fit is one shuffled epoch of mini-batches."""
    usual(job, ("relu", "tanh", "sigmoid"))
    from sklearn.neural_network import MLPClassifier

    activation = job["activation"]
    model = MLPClassifier(
        hidden_layer_sizes=job["widths"][1:-1],
        activation={"sigmoid": "logistic"}.get(activation, activation),
        alpha=0.0,
        batch_size=job["batch"],
        learning_rate_init=LEARNING_RATE,
        random_state=0,
    )
    classes = np.arange(job["widths"][-1])
    return in_turn(lambda: float(model.partial_fit(X, y, classes=classes).loss_))


def numpy_training(job: Found, X: models.Floats, y: models.Labels) -> Training:
    """The loop of a textbook, with Adam in place."""
    usual(job)
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


TRAININGS: dict[str, Callable[[Found, models.Floats, models.Labels], Training]] = {
    "fastnn": fastnn_training,
    "jax": jax_training,
    "torch": torch_training,
    "compile": torch_training,
    "keras": keras_training,
    "sklearn": sklearn_training,
    "numpy": numpy_training,
}


def timed(start: Callable[[], Training], job: Found, note: Callable[[Any], None] = lambda model: None) -> Found:
    """first: seconds of preparing and of the first epoch, and its mean loss; epochs: seconds of the later ones.

    Args:
        start: prepares. note: is given the model after the first epoch, where there is one.
    """
    losses: list[float] = []
    ends = [time.perf_counter()]

    def after(loss: float, model: Any = None) -> bool:
        if not losses and model is not None:
            note(model)
        losses.append(loss)
        ends.append(time.perf_counter())
        return len(losses) > job["epochs"] and ends[-1] - ends[1] >= float(job["seconds"])

    start()(after)
    first, *seconds = np.diff(ends).tolist()
    return {"first": first, "loss": losses[0], "epochs": seconds, "version": models.version(job["library"])}


def measure(job: Found) -> Found:
    """What `timed` gives; bits: a digest of the weights after the first epoch, where a model has some; grown: the bytes
    that the process grew by at most; predicted: those of fastnn's vectors, by its plan, or 0; runs: on which
    instruction set."""
    job = USUAL | job
    X, y = models.data(job)
    found: Found = {"bits": "", "predicted": 0}

    def note(model: Any) -> None:
        found["bits"] = hashlib.sha256(b"".join(array.tobytes() for array in model.get_weights())).hexdigest()[:16]
        if job["library"] == "fastnn":
            found["predicted"] = model.engine().plan.bytes_of_training(min(job["batch"], len(X)))

    before = memory("VmRSS")
    found |= timed(lambda: TRAININGS[job["library"]](job, X, y), job, note)
    return found | {"grown": memory("VmHWM") - before, "runs": runs_on(job)}
