"""Programs count the cycles of their phases where somebody asks, and compute the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.backends.compiled import CompiledProgram
from fastnn.backends.data import Data
from fastnn.core.plan import Phase
from nets import blobs, classifier, net, wave

PARTS = slice(0, Phase.SINCE)
N = 64


def program_of(backend: str) -> tuple[CompiledProgram, Data, Any]:
    model, (X, y) = classifier(backend), blobs()
    engine = model.trainable_engine(X)
    assert isinstance(engine.program, CompiledProgram)
    return engine.program, Data((X,), (y[:, None],), (), None, 16), engine.scores.sums()


@pytest.mark.parametrize("backend", ["c", "numba"])
def test_counting_changes_no_bit_and_parts_are_of_the_whole(backend: str) -> None:
    alone, data, sums = program_of(backend)
    counting, same, others = program_of(backend)
    laps = counting.count_phases()
    assert not laps.any()
    for program, its_data, its_sums in ((alone, data, sums), (counting, same, others)):
        program.run_steps(its_data, 0, 3, its_sums)
    first = laps[0].copy()
    assert (first[: Phase.WAIT] > 0).all() and (first[PARTS] >= 0).all()
    counting.run_steps(same, 0, 3, others)
    # All that is added lies between the last laps of the two runs.
    assert 0 < laps[0, PARTS].sum() - first[PARTS].sum() <= laps[0, Phase.SINCE] - first[Phase.SINCE]
    counting.count_phases(False)
    before = laps.copy()
    for program, its_data, its_sums in ((alone, data, sums), (alone, data, sums), (counting, same, others)):
        program.run_steps(its_data, 0, 3, its_sums)
    assert (laps == before).all()
    assert np.array_equal(alone.state.theta, counting.state.theta) and np.array_equal(sums, others)


def stack(backend: str) -> tuple[CompiledProgram, Data, Any]:
    """So wide that the clock, which is read between two phases, costs next to nothing beside them."""
    dense = [layers.Dense(256, "relu"), layers.Dense(256, "tanh"), layers.Dense(2)]
    engine = net(*dense, features=4, backend=backend, optimizer="adam").trainable_engine(X := wave(N, 4))
    assert isinstance(engine.program, CompiledProgram)
    return engine.program, Data((X,), (wave(N, 2),), (), None, 16), engine.scores.sums()


def merging(backend: str) -> tuple[CompiledProgram, Data, Any]:
    """A graph: a shared layer, merges, statistics of a batch, two losses, and a norm before the first update."""
    a, b = fastnn.Input((4,)), fastnn.Input((4,))
    shared = fastnn.Sequential([layers.Dense(128, "relu", kernel_regularizer="l2"), layers.Dense(128, "relu")])
    merged = layers.BatchNormalization()(layers.Add()([shared(a), shared(b)]))
    both = layers.Concatenate()([layers.Multiply()([merged, shared(a)]), layers.Dropout(0.5)(b)])
    model = fastnn.Model([a, b], [layers.Dense(1)(both), layers.Dense(2, "softmax")(merged)])
    optimizer = fastnn.optimizers.Adam(global_clipnorm=1.0)
    model.compile(optimizer, ["mse", "sparse_categorical_crossentropy"], backend=backend)
    x = [wave(N, 4).astype("float32"), wave(N, 4, phase=1.0).astype("float32")]
    engine = model.trainable_engine(x)
    assert isinstance(engine.program, CompiledProgram)
    targets = wave(N, 1), (np.arange(N) % 2)[:, None]
    return engine.program, Data(tuple(x), targets, (), None, 16), engine.scores.sums()


@pytest.mark.parametrize("make", [stack, merging])
@pytest.mark.parametrize("backend", ["c", "numba"])
def test_the_parts_of_every_program_add_up_to_the_whole(backend: str, make: Any) -> None:
    program, data, sums = make(backend)
    outs = [np.empty((N, width), np.float32) for width in program.plan.widths]
    laps = program.count_phases()
    runs = {
        "steps": lambda: program.run_steps(data, 0, data.steps, sums),
        "gradient": lambda: program.gradient(data, sums),
        "update": program.update,
        "score": lambda: program.score(data, 0, data.steps, sums),
        "forward": lambda: program.forward(data.X, outs),
    }
    for name, run in runs.items():
        laps[:] = 0
        run()
        parts, whole = laps[0, PARTS], int(laps[0, Phase.WHOLE])
        assert 0.95 * whole <= parts.sum() <= whole and whole > 0, name
        has = {phase.name for phase in Phase if phase < Phase.WAIT and parts[phase] > 0}
        assert has - ({"GATHER"} if name == "forward" else set()) == HAVE[name], name  # it may read rows in place


HAVE = {
    "steps": {"GATHER", "FORWARD", "LOSS", "BACKWARD", "UPDATE"},
    "gradient": {"GATHER", "FORWARD", "LOSS", "BACKWARD"},
    "update": {"UPDATE"},
    "score": {"GATHER", "FORWARD", "LOSS"},
    "forward": {"FORWARD"},
}
