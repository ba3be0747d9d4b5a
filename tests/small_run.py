"""One small training, whose theta tells whether two runs were the same."""

from __future__ import annotations

import numpy as np

from fastnn.backends.data import Data
from fastnn.core.lowering import Lowering
from fastnn.core.plan import Plan, Scalar
from fastnn.core.specs import LossSpec, OptimizerSpec
from fastnn.core.state import State
from support import load

ROWS = 96
X = np.cos(np.arange(ROWS * 40) * 1.7).reshape(ROWS, 40).astype(np.float32)
START = (np.sin(np.arange(8192)) * 0.2).astype(np.float32)


def plan() -> Plan:
    lowering = Lowering("float32", 40)
    for units in (48, 32, 10):
        lowering.dense(f"dense_{units}", units)
        lowering.activation("softmax" if units == 10 else "gelu")
        lowering.next_layer()
    return lowering.finish(LossSpec("sparse_categorical_crossentropy"), (), OptimizerSpec("adam", (0.9, 0.999, 1e-7)))


def trained(backend: str, epochs: int) -> bytes:
    """theta after a few epochs on a backend."""
    lowered = plan()
    state = State(lowered)
    state.theta[:] = START[: state.theta.size]
    state.scalars[Scalar.LEARNING_RATE] = 0.01
    data = Data((X,), ((np.arange(ROWS) % 10)[:, None],), (), None, 32)
    program = load(backend).program(lowered, state)
    for _ in range(epochs):
        program.run_steps(data, 0, data.steps, np.zeros(lowered.sums))
    return state.theta.tobytes()
