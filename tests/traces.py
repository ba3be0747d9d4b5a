"""What every program of a model gives, to be compared bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastnn.backends.data import Data
from fastnn.backends.protocol import Backend, Program
from fastnn.core.plan import Counter, Plan
from plans import Model
from support import Array, assert_same_bits

STEPS = 10
Trace = dict[str, Array]


def trace(backend: Backend, model: Model, dtype: str, fused: bool = True) -> Trace:
    """What every program of a model gives, and the state after ten steps of training."""
    plan = model.plan(dtype)
    state = model.state(plan)
    program = backend.program(plan, state) if fused else Program(backend, plan, state)
    data = model.data(plan)
    result: Trace = {"predictions before": predictions(program, plan, data)}
    sums = np.zeros(plan.sums)
    program.gradient(data, sums)
    result |= {"sums of gradient": sums, "gradient": state.gradient.copy()}
    taken = 0
    while taken < STEPS:
        if model.ordered:
            order = np.empty(model.rows, np.int64)
            state.counters[Counter.EPOCH] = taken
            program.shuffle(order)
            data = replace(data, order=order)
        last = min(data.steps, STEPS - taken)
        sums = np.zeros(plan.sums)
        for first, after in ((0, 1), (1, last)) if data.steps == last > 1 else ((0, last),):  # in two slices
            rates = np.array([0.03 * 0.9**step for step in range(taken + first, taken + after)])
            assert program.run_steps(data, first, after, sums, rates if model.scheduled else None) == after - first
        result[f"sums after {taken}"] = sums
        taken += last
    sums = np.zeros(plan.sums)
    program.score(data, 0, data.steps, sums)
    result |= {
        "score": sums,
        "theta": state.theta,
        "statistics": state.statistics,
        "scalars": state.scalars,
        "counters": state.counters.astype(float),
    }
    result |= {f"slot {number}": slot for number, slot in enumerate(state.slots)}
    result["predictions"] = predictions(program, plan, data)
    return result


def predictions(program: Program, plan: Plan, data: Data) -> Array:
    out = np.full((data.rows, plan.widths[0]), np.nan, plan.dtype)
    program.forward((data.X[0],), (out,))
    return out


def assert_same(got: Trace, expected: Trace, where: str) -> None:
    assert got.keys() == expected.keys()
    for key, value in got.items():
        assert_same_bits(value, expected[key], f"{where}: {key}")
