"""How many threads a program gets in a crowd: a crew on clocks of the test's own."""

from __future__ import annotations

import pytest

from fastnn import config
from fastnn.backends import crew
from fastnn.backends.crew import Crew


class Machine:
    """Clocks, and how long a unit of work takes with so many threads; `share` of a core is what each thread gets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.own = self.all = 0.0
        self.each, self.share = {1: 1.0e-3, 2: 0.6e-3, 4: 0.4e-3}, 1.0
        self.teams: list[int] = []
        monkeypatch.setattr(crew, "_clocks", lambda: (self.now, self.own, self.all))

    def work(self, given: Crew, wanted: int, seconds: float) -> list[int]:
        """The teams of the runs of so many seconds, each of ten units, in their order without repetition."""
        ends = self.now + seconds
        seen: list[int] = []
        while self.now < ends:
            team = given.team(wanted)
            took = 10 * self.each[team]
            self.now += took
            self.own += self.share * took
            self.all += self.share * took * team
            given.ran(wanted, 10, took)
            self.teams.append(team)
            if not seen or seen[-1] != team:
                seen.append(team)
        return seen


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_idle_cores_are_never_given_up(machine: Machine) -> None:
    assert machine.work(Crew(2), 2, 100.0) == [2]
    assert machine.work(Crew(4), 4, 100.0) == [4]


def test_a_crowd_is_left_and_its_end_is_noticed(machine: Machine) -> None:
    given = Crew(2)
    machine.work(given, 2, 1.0)
    machine.each, machine.share = {1: 2.0e-3, 2: 5.0e-3}, 0.5
    machine.teams.clear()
    machine.work(given, 2, 100.0)
    assert machine.teams.count(1) > 0.95 * len(machine.teams)
    assert 2 in machine.teams[10:]  # it looks again
    machine.each, machine.share = {1: 1.0e-3, 2: 0.6e-3}, 1.0
    machine.work(given, 2, 40.0)
    assert given.team(2) == 2


def test_a_larger_team_goes_down_by_halves(machine: Machine) -> None:
    given = Crew(4)
    machine.each, machine.share = {1: 2.0e-3, 2: 1.5e-3, 4: 5.0e-3}, 0.6
    assert machine.work(given, 4, 20.0)[:6] == [4, 2, 1, 2, 4, 2]  # one is no better, nor are four again
    assert given.team(4) == 2 and given.team(1) == 1


def test_fewer_threads_that_are_no_faster_are_given_back(machine: Machine) -> None:
    """A thread that waits for something else than a core is no crowd."""
    given = Crew(2)
    machine.share = 0.3
    machine.work(given, 2, 100.0)
    assert given.team(2) == 2 and machine.teams.count(1) < 0.03 * len(machine.teams)


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "1", "FASTNN_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4000"}, config.available_cores()),
        ({"OMP_NUM_THREADS": "many"}, config.available_cores()),
        ({"OMP_NUM_THREADS": "0"}, config.available_cores()),
    ],
)
def test_the_variable_of_openmp_is_the_default(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], threads: int
) -> None:
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert config.get_num_threads() == threads
