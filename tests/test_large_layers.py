"""Layers beyond the first caches: several blocks of a gradient, packed panels, chunks of rows in dW, columns and pieces
that a team shares. Programs have the bits of their operations, which the reference checks one by one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from fastnn.backends.data import Data
from fastnn.backends.protocol import Program
from fastnn.core.lowering import Lowering
from fastnn.core.plan import Plan, Scalar
from fastnn.core.specs import LossSpec, OptimizerSpec, ParameterSpec, Penalty
from fastnn.core.state import State
from plans import ADAM, MODELS, Model
from support import DTYPES, TWINS, Array, Runner, assert_same_bits, load, runner_name
from traces import Trace, assert_same, predictions, trace

# Batches of one chunk of 256 rows, of more than a buffer of packed blocks holds, and of far more; W large enough to be
# packed. Then W so large beside the batch that a team shares their columns, and more parameters than caches hold, which
# it takes by pieces.
LARGE = [
    Model(
        f"large {batch}",
        (*layers, ("dense", 3)),
        optimizer=ADAM._replace(clip=clip, limit=0.01),
        features=features,
        rows=2 * batch - 1 - batch // 16,
        batch=batch,
    )
    for features, batch, clip, layers in (
        (
            70,
            150,
            "",
            (
                ("dense", 600, {"kernel_penalty": Penalty(0.01, 0.02)}),
                ("activation", "relu"),
                ("dense", 900),
                ("activation", "tanh"),
            ),
        ),
        (70, 530, "global_norm", (("dense", 300), ("batch_norm", {}), ("dense", 260))),
        (70, 2100, "value", (("dense", 140), ("activation", "relu"), ("dense", 130))),
        (
            400,
            40,
            "norm",
            (
                ("dense", 420),
                ("activation", "relu"),
                ("dropout", 0.2),
                ("dense", 450),
                ("activation", "relu"),
                ("dense", 401),
                ("batch_norm", {}),
                ("activation", "tanh"),
            ),
        ),
        (70, 3, "", (("dense", 2010), ("activation", "relu"), ("dense", 2000), ("activation", "tanh"))),
    )
]


@functools.cache
def by_operations(number: int, dtype: str) -> Trace:
    """What the operations of C make of it, which are compared with the reference one by one."""
    return trace(load("c"), LARGE[number], dtype, fused=False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(len(LARGE)))
@pytest.mark.parametrize("runner", TWINS, indirect=True, ids=runner_name)
def test_large_layers(number: int, dtype: str, runner: Runner) -> None:
    where = f"{runner_name(runner)} {LARGE[number].name} {dtype}"
    assert_same(trace(load(runner[0]), LARGE[number], dtype), by_operations(number, dtype), where)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, indirect=True, ids=runner_name)
def test_predictions_of_few_rows_through_large_layers(runner: Runner, dtype: str) -> None:
    """Of so few that a team shares the columns of a W; more than a block of them are predicted by rows."""
    layers: tuple[tuple[Any, ...], ...] = (
        ("dense", 800),
        ("activation", "relu"),
        ("dense", 801),
        ("activation", "relu"),
        ("dense", 800),
        ("batch_norm", {}),
    )
    model = MODELS["wide"]._replace(layers=(*layers, ("activation", "tanh"), ("dense", 3)))
    plan = model.plan(dtype)
    program = load(runner[0]).program(plan, model.state(plan))
    data = model.data(plan)
    X = np.tile(data.X[0], (-(-2 * plan.forward_rows // len(data.X[0])), 1)).astype(dtype)
    by_rows = predictions(program, plan, replace(data, X=(X,)))
    for rows in (0, 1, 3, 17, 39):
        for there in (X[:rows], np.asfortranarray(X[:rows]), X[:rows].astype(np.float64)):
            assert_same_bits(predictions(program, plan, replace(data, X=(there,))), by_rows[:rows], f"{rows} rows")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, ids=runner_name, indirect=True)
@pytest.mark.parametrize(
    ("widths", "norm"),
    [
        ((600, 300, 300, 17), ""),
        ((7, 1100, 3), ""),
        ((2, 40000, 2), ""),
        ((7, 1100, 3), "batch"),
        ((7, 1100, 3), "layer"),
    ],
    ids=str,
)
def test_wide_networks_agree_with_their_operations(
    widths: tuple[int, ...], norm: str, runner: Runner, dtype: str
) -> None:
    """Several blocks of a gradient, packed panels, and two chunks of rows in dW: what small networks never reach."""
    backend = load(runner[0])
    rows, batch = 330, 300
    lowering = Lowering(dtype, widths[0])
    for number, units in enumerate(widths[1:]):
        lowering.dense(f"dense_{number}", units)
        if norm == "batch":
            lowering.batch_norm(f"norm_{number}", 0.9, 1e-3)
        elif norm == "layer":
            lowering.layer_norm(f"norm_{number}", 1e-3)
        lowering.activation("softmax" if number == len(widths) - 2 else "tanh")
        lowering.next_layer()
    plan = lowering.finish(LossSpec("sparse_categorical_crossentropy"), (), OptimizerSpec("adam", (0.9, 0.999, 1e-7)))
    X = np.sin(np.arange(rows * widths[0]) * 0.37).reshape(rows, widths[0])
    data = Data((X,), ((np.arange(rows) % widths[-1])[:, None],), (), None, batch)
    results = []
    for make in (backend.program, partial(Program, backend)):
        state = State(plan)
        state.scalars[Scalar.LEARNING_RATE] = 0.01
        state.theta[:] = np.sin(np.arange(state.theta.size) * 0.7) * 0.1
        sums = np.zeros(plan.sums)
        make(plan, state).run_steps(data, 0, data.steps, sums)
        results.append((sums, state.theta, state.statistics))
    for fused, unfused in zip(*results, strict=True):
        assert_same_bits(fused, unfused, str(widths))


@functools.cache
def shared_plan(dtype: str) -> Plan:
    """A layer of more parameters than caches hold, which is called twice; its first output is read twice, too."""
    lowering = Lowering(dtype, 70)
    lowering.dense("first", 2010)
    for number in range(2):
        lowering.activation("relu")
        lowering.dense("shared", 2010, ParameterSpec(Penalty(0.01, 0.02)))
        if number == 0:
            once = lowering.value
    lowering.binary("add", once)
    lowering.dense("last", 3)
    return lowering.finish(LossSpec("mean_squared_error"), (), ADAM)


def shared_training(make: Callable[[Plan, State], Program], dtype: str) -> tuple[Array, ...]:
    """Two steps of three rows."""
    plan = shared_plan(dtype)
    state, X = State(plan), np.sin(np.arange(6 * 70) * 0.37).reshape(6, 70)
    state.scalars[Scalar.LEARNING_RATE] = 0.01
    state.theta[:] = np.sin(np.arange(state.theta.size) * 0.7) * 0.02
    program, sums = make(plan, state), np.zeros(plan.sums)
    program.run_steps(Data((X,), (X[:, :3],), (), None, 3), 0, 2, sums)
    return sums, state.theta


@functools.cache
def shared_by_operations(dtype: str) -> tuple[Array, ...]:
    return shared_training(partial(Program, load("c")), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, ids=runner_name, indirect=True)
def test_a_large_layer_that_is_called_twice(runner: Runner, dtype: str) -> None:
    """A team takes the gradients of its uses by pieces."""
    for got, expected in zip(shared_training(load(runner[0]).program, dtype), shared_by_operations(dtype), strict=True):
        assert_same_bits(got, expected, f"{runner_name(runner)} {dtype}")
