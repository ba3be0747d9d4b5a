"""Ten losses and the final theta: the same bits on every backend, with one thread or two, on every instruction set."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from fastnn.backends.data import Data
from fastnn.backends.protocol import Program
from fastnn.core.lowering import LossSpec, Lowering, OptimizerSpec
from fastnn.core.plan import Scalar
from fastnn.core.state import State
from golden_run import digests
from support import DTYPES, TWINS, Runner, assert_same_bits, load, runner_name

# (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES): what the kernels are compiled for, whatever this machine has beyond it.
LEVELS = {
    "avx2": ("haswell", "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"),
    "sse2": ("x86-64", "+sse2"),
}


@cache
def expected(dtype: str) -> dict[str, str]:
    return digests(load("reference"), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, ids=runner_name, indirect=True)
def test_backends_agree(runner: Runner, dtype: str) -> None:
    assert digests(load(runner[0]), dtype) == expected(dtype)


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
        lowering.dense(f"dense_{number}", units, True)
        if norm == "batch":
            lowering.batch_norm(f"norm_{number}", 0.9, 1e-3)
        elif norm == "layer":
            lowering.layer_norm(f"norm_{number}", 1e-3)
        lowering.activation("softmax" if number == len(widths) - 2 else "tanh")
        lowering.next_layer()
    plan = lowering.finish(LossSpec("sparse_categorical_crossentropy"), (), OptimizerSpec("adam", (0.9, 0.999, 1e-7)))
    X = np.sin(np.arange(rows * widths[0]) * 0.37).reshape(rows, widths[0])
    data = Data(X, (np.arange(rows) % widths[-1])[:, None], None, None, batch)
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


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the levels are those of x86-64")
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("level", LEVELS)
def test_instruction_sets_agree(level: str, dtype: str) -> None:
    load("numba")
    name, features = LEVELS[level]
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("golden_run.py"), "numba", "2", dtype],
        env={**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == expected(dtype)
