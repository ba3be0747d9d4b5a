"""Programs count the cycles of their phases where somebody asks, and compute the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn.backends.compiled import CompiledProgram
from fastnn.backends.data import Data
from fastnn.core.plan import Phase
from nets import blobs, classifier

PARTS = slice(0, Phase.SINCE)


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


def test_scores_have_no_gradients(backend: str = "c") -> None:
    program, data, sums = program_of(backend)
    laps = program.count_phases()
    program.score(data, 0, 3, sums)
    assert laps[0, Phase.FORWARD] > 0 and not laps[0, [Phase.BACKWARD, Phase.UPDATE]].any()
