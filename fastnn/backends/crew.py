"""How many threads a program is given while others want the cores, too.

A team waits at barriers for its slowest member, so that one core which another process holds stops all. A crew looks at
the clocks some fifty times a second: where its process got less of the cores than its threads had asked for, it tries
half of the threads, keeps what is faster, and tries the larger team again later, less and less often. Any number of
threads gives the same bits.
"""

from __future__ import annotations

import time

LOOK_SECONDS = 0.02  # of running between two looks
CROWDED = 0.85  # the share of the cores below which somebody else has them
FASTER = 0.97  # what a change must save
FIRST_WAIT, LAST_WAIT = 1.0, 16.0  # seconds until the next trial, doubled by each that fails


class Crew:
    """The threads of a program, and what was seen of them.

    Args:
        most: threads that there are.
    """

    def __init__(self, most: int) -> None:
        self._most = self._whole = most
        self._amount, self._seconds = 0, 0.0
        self._before: float | None = None  # during a trial: the seconds that one took before it
        self._came_from = most
        self._upward = False  # fewer threads were no better
        self._wait, self._next_trial = FIRST_WAIT, 0.0
        self._clocks = _clocks()

    @property
    def trying(self) -> bool:
        """Whether the next run is a trial, which had better be short."""
        return self._before is not None

    def team(self, wanted: int) -> int:
        """How many threads work gets that repays so many."""
        return min(wanted, self._most)

    def ran(self, wanted: int, amount: int, seconds: float) -> None:
        """So much work, steps or rows, that repays so many threads, took so long."""
        if wanted == 1:
            return
        self._amount += amount
        self._seconds += seconds
        if self._seconds >= LOOK_SECONDS and self._amount:
            self._look(min(wanted, self._whole), self._seconds / self._amount)
            self._amount, self._seconds = 0, 0.0

    def _look(self, wanted: int, each: float) -> None:
        before, self._clocks = self._clocks, _clocks()
        now = self._clocks[0]
        if self._before is not None:
            if each < FASTER * self._before:
                self._wait, self._upward = FIRST_WAIT, False
            else:
                self._upward = self._most < self._came_from
                self._most, self._wait = self._came_from, min(2 * self._wait, LAST_WAIT)
            self._before, self._next_trial = None, now + self._wait
        elif now >= self._next_trial:
            threads = self.team(wanted)
            wall, own, all_threads = (after - then for after, then in zip(self._clocks, before, strict=True))
            crowded = own < CROWDED * wall or all_threads < CROWDED * threads * wall
            if crowded and threads > 1 and not (self._upward and threads < wanted):
                self._try(threads // 2, each)
            elif threads < wanted:
                self._try(min(2 * threads, wanted), each)

    def _try(self, threads: int, each: float) -> None:
        self._before, self._came_from = each, self._most
        self._most = threads


def _clocks() -> tuple[float, float, float]:
    """Of the wall, of this thread, of the process."""
    return time.perf_counter(), time.thread_time(), time.process_time()


__all__ = ["Crew"]
