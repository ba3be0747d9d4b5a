"""Ten steps of networks that use every activation, loss, optimizer, normalization and clip: digests of their sums,
theta, statistics and slots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.backends.data import Data
from fastnn.backends.protocol import Backend, Program
from fastnn.backends.reference import ReferenceBackend
from fastnn.core.formulas import ACTIVATIONS
from fastnn.core.lowering import Lowering
from fastnn.core.plan import Plan, Scalar
from fastnn.core.specs import TRAINED, LossSpec, MetricSpec, OptimizerSpec, ParameterSpec, Penalty
from fastnn.core.state import State

ROWS, FEATURES, OUTPUTS, BATCH = 75, 21, 5, 16

LOSSES = (
    LossSpec("sparse_categorical_crossentropy", from_logits=True),
    LossSpec("mean_squared_error"),
    LossSpec("categorical_crossentropy", from_logits=True, label_smoothing=0.1),
    LossSpec("binary_crossentropy", from_logits=True),
    LossSpec("mean_absolute_error"),
    LossSpec("huber", parameter=1.0),
    LossSpec("lp", parameter=1.5),
    LossSpec("lp3"),
    LossSpec("lp4"),
    LossSpec("kl_divergence"),
    LossSpec("cosine_similarity"),
    LossSpec("categorical_hinge"),
    LossSpec("mean_squared_logarithmic_error"),
    LossSpec("log_cosh"),
    LossSpec("hinge"),
    LossSpec("poisson"),
    LossSpec("mean_absolute_percentage_error"),
)
OPTIMIZERS = (
    OptimizerSpec("adam", (0.9, 0.999, 1e-7)),
    OptimizerSpec("sgd", clip="value", limit=0.02),
    OptimizerSpec("momentum", (0.9,)),
    OptimizerSpec("nesterov", (0.9,), clip="norm", limit=0.1),
    OptimizerSpec("rmsprop", (0.9, 1e-7)),
    OptimizerSpec("adagrad", (1e-7,), initial=(0.1,)),
    OptimizerSpec("adam", (0.9, 0.999, 1e-7), weight_decay=0.004, clip="global_norm", limit=0.2),
)
NORMALIZATIONS = ("", "batch_norm", "layer_norm", "standardize")


class Network(NamedTuple):
    """A plan, its state before the first step, and what it is trained on."""

    name: str
    plan: Plan
    state: State
    data: Data


RATES = np.array([0.01, 0.009, 0.008, 0.02, 0.0])  # of the second epoch


def digests(backend: Backend, dtype: str) -> dict[str, str]:
    """A digest of the sums, theta, statistics and slots after two epochs of five steps, by network."""
    found = {}
    for network in networks(dtype):
        digest = hashlib.sha256()
        for vector in trained(backend.program(network.plan, network.state), network):
            digest.update(vector.tobytes())
        found[network.name] = digest.hexdigest()
    return found


@cache
def expected(dtype: str) -> dict[str, str]:
    """The digests of the reference."""
    return digests(ReferenceBackend(), dtype)


def trained(program: Program, network: Network) -> tuple[npt.NDArray[np.generic], ...]:
    """The sums, theta, statistics and slots after two epochs of five steps."""
    data, sums, state = network.data, np.zeros(network.plan.sums), network.state
    program.run_steps(data, 0, data.steps, sums)
    program.run_steps(data, 0, data.steps, sums, rates=RATES, stop=True)
    return sums, state.theta, state.statistics, *state.slots


def networks(dtype: str) -> Iterator[Network]:
    """The networks, each with a state of its own."""
    for number, activation in enumerate(ACTIVATIONS):
        loss, optimizer = LOSSES[number % len(LOSSES)], OPTIMIZERS[number % len(OPTIMIZERS)]
        normalization = NORMALIZATIONS[number % len(NORMALIZATIONS)]
        lowering = Lowering(dtype, FEATURES)
        lowering.affine(0.8, 0.1)
        for layer, units in enumerate((37, 19, OUTPUTS)):
            penalty = Penalty(1e-3, 1e-2) if layer == 0 else Penalty()
            lowering.dense(f"dense_{layer}", units, ParameterSpec(penalty))
            lowering.next_layer()
            if units != OUTPUTS:
                _normalize(lowering, normalization, f"norm_{layer}")
                lowering.activation(activation, 0.25)
                lowering.dropout(0.25 if number % 2 else 0.0)
                lowering.next_layer()
        if loss.name in ("kl_divergence", "poisson"):
            lowering.activation("softmax")
        plan = lowering.finish(
            loss, (MetricSpec("mean_squared_error", weighted=True),) if loss.name.startswith("m") else (), optimizer
        )
        state = State(plan, seed=7)
        state.scalars[Scalar.LEARNING_RATE] = 0.01
        for parameter in plan.layout.parameters:
            wave = np.sin(np.arange(parameter.offset, parameter.offset + parameter.size) * 0.7) * 0.2
            around = 1.0 if parameter.name == "gamma" or "variance" in parameter.name else 0.0
            state.view(parameter)[...] = around + wave.reshape(parameter.shape)
        X = np.cos(np.arange(ROWS * FEATURES) * 1.3).reshape(ROWS, FEATURES)
        y = (np.arange(ROWS) * 7 % OUTPUTS)[:, None] if plan.sparse[0] else _distributions()
        order = np.arange(ROWS)[::-1].copy()
        weights = (1.0 + np.sin(np.arange(ROWS))).astype(dtype)
        name = f"{activation} {normalization} {loss.name} {optimizer.name} {optimizer.clip}"
        yield Network(name, plan, state, Data((X,), (y,), (weights,), order, BATCH))


def _normalize(lowering: Lowering, name: str, layer: str) -> None:
    if name == "batch_norm":
        lowering.batch_norm(layer, 0.9, 1e-3, TRAINED if layer == "norm_0" else None)
    elif name == "layer_norm":
        lowering.layer_norm(layer, 1e-3, beta=TRAINED if layer == "norm_0" else None)
    elif name == "standardize":
        lowering.standardize(layer, 1e-7)


def _distributions() -> npt.NDArray[np.float64]:
    y: npt.NDArray[np.float64] = 1.0 + np.sin(np.arange(ROWS * OUTPUTS).reshape(ROWS, OUTPUTS) * 0.9)
    y /= y.sum(axis=1, keepdims=True)
    return y
