"""How many threads a step and a prediction repay."""

from __future__ import annotations

import itertools

import pytest

from fastnn.backends.operators import forward_threads, large_layers, step_threads
from plans import Model


@pytest.mark.parametrize(
    ("widths", "batch", "threads"),
    [
        ((64, 32, 10), 32, 1),  # too little to do
        ((64, 32, 10), 512, 2),
        ((64, 128, 64, 4), 32, 1),  # more to move than to save
        ((64, 128, 64, 4), 96, 2),
        ((100, 512, 256, 10), 32, 1),
        ((100, 512, 256, 10), 64, 2),
        ((784, 128, 10), 1, 1),
        ((784, 128, 10), 64, 2),
        ((784, 128, 10), 16, 1),  # rows for one
        ((784, 256, 128, 10), 16, 1),
        ((512, 512, 512, 10), 1, 2),  # the update alone repays them
        ((784, 1024, 1024, 10), 1, 2),
        ((1024, 4096, 4096, 16), 1, 8),
        ((1024, 4096, 4096, 16), 512, 8),
    ],
)
def test_threads_of_a_step(widths: tuple[int, ...], batch: int, threads: int) -> None:
    """Two for most steps, all eight where there is much to do, one where moving parameters costs more than it saves."""
    pairs = list(itertools.pairwise(widths))
    flops, parameters = 6 * batch * sum(i * o for i, o in pairs), sum((i + 1) * o for i, o in pairs)
    assert step_threads(flops, parameters, batch, 8 if threads == 8 else 2) == threads
    assert step_threads(flops, parameters, batch, 1) == 1


@pytest.mark.parametrize(
    ("widths", "rows", "most", "threads"),
    [
        ((1024, 4096, 4096, 16), 0, 2, 1),
        ((64, 32, 10), 32, 2, 1),  # too little to do
        ((784, 128, 10), 16, 2, 1),  # rows for one
        ((784, 128, 10), 64, 2, 2),
        ((512, 512, 512, 10), 8, 2, 1),  # every W stays in the cache of one
        ((784, 1024, 1024, 10), 1, 2, 2),  # columns for both
        ((1024, 4096, 4096, 16), 1, 8, 8),
        ((1024, 4096, 4096, 16), 512, 8, 8),
        ((300, 800, 801, 700, 3), 16, 64, 12),  # which are pieces of 64 columns
    ],
)
def test_threads_of_predictions(widths: tuple[int, ...], rows: int, most: int, threads: int) -> None:
    """By their rows, or by the columns of large layers."""
    plan = Model("", tuple(("dense", width) for width in widths[1:]), features=widths[0]).plan("float32")
    large = large_layers(plan)
    assert forward_threads(plan, large, rows, most) == threads
    assert forward_threads(plan, large, rows, 1) == 1
