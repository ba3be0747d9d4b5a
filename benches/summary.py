"""What `pytest benches/` prints beside pytest-benchmark: the table with rates, and how idle the machine was."""

from __future__ import annotations

from typing import Any

import pytest

from fastnn.benchmarks import tables
from fastnn.benchmarks.operations import Figures
from fastnn.benchmarks.processes import Neighbours, machine

ROWS = pytest.StashKey[list[Figures]]()
NEIGHBOURS = pytest.StashKey[Neighbours]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS], config.stash[NEIGHBOURS] = [], Neighbours()
    # Its own table lacks the rates; it is there where it shows more, beside another run.
    if not config.getoption("benchmark_compare", None):
        config.option.benchmark_quiet = True


@pytest.fixture
def table(request: pytest.FixtureRequest) -> list[Figures]:
    """The lines of the table in the terminal."""
    return request.config.stash[ROWS]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows, told = config.stash[ROWS], config.stash[NEIGHBOURS].told()
    if not rows:
        return
    terminalreporter.section("benchmarks")
    terminalreporter.write_line(tables.text(tables.of_operations(rows)))
    terminalreporter.write_line(machine())
    if told:
        terminalreporter.section("the machine was busy", red=True, bold=True)
        terminalreporter.write_line(told, red=True, bold=True)
