"""Threads that wait for work. A region of them waits for none that comes late: it has nothing left to do.

`csrc/pool.c` is the same without Python. Here a helper is a thread of Python's, which holds the GIL only to go to sleep
and to wake.
"""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from typing import Any

import numpy as np

from ...core.store import aligned
from ..tuning import IDLE_LOOKS
from . import jit
from .memory import integer_at, set_integer
from .threads import (
    ARRIVED,
    COUNT,
    GENERATION,
    IEEE_DEFAULT,
    PIECES,
    TEAM,
    atomic_add,
    atomic_exchange,
    atomic_load,
    atomic_replace,
    atomic_store,
    call_worker,
    enrol,
    exchange_mxcsr,
    next_share,
    relax,
)

# Entries of a pool's area, int64: those that threads wait for on cache lines of their own, then the job, which is
# written while no helper can be in it.
WANTED = 0  # helpers that may still come to the job
FINISHED = 8  # helpers that came and went
ANNOUNCED = 16  # a job is about to be written
FUNCTION, CALL, SYNC, SIZE, MEETS = 24, 25, 26, 27, 28
AREA_SIZE = 32


@jit.device
def _join(function: int, call: int, sync: int, wanted: int, meets: int) -> None:
    """A thread's part of a region. Where threads do not meet at barriers, each takes what share is left, again and
    again, and nobody waits for one that comes late."""
    member, team = enrol(sync, wanted) if meets else (next_share(sync), wanted)
    while 0 <= member < team:
        before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
        call_worker(function, call, member, team)
        exchange_mxcsr(before)
        member = -1 if meets else next_share(sync)


def _region(area, helpers, function, call, sync, wanted, meets):
    """A worker on this thread and on the helpers that come while it works."""
    for entry in (COUNT, PIECES, GENERATION, ARRIVED, TEAM):
        set_integer(sync, entry, 0)
    set_integer(area, FUNCTION, function)
    set_integer(area, CALL, call)
    set_integer(area, SYNC, sync)
    set_integer(area, SIZE, wanted)
    set_integer(area, MEETS, meets)
    atomic_store(area, FINISHED, 0)
    atomic_store(area, WANTED, helpers)
    atomic_store(area, ANNOUNCED, 0)
    _join(function, call, sync, wanted, meets)
    came, spins = helpers - atomic_exchange(area, WANTED, 0), 0
    while atomic_load(area, FINISHED) < came:
        relax(spins)
        spins += 1


def _help(area):
    """A helper's work, until it has found none for a while."""
    looks = 0
    while looks < IDLE_LOOKS:
        places = atomic_load(area, WANTED)
        if places > 0 and atomic_replace(area, WANTED, places, places - 1):
            _join(
                integer_at(area, FUNCTION),
                integer_at(area, CALL),
                integer_at(area, SYNC),
                integer_at(area, SIZE),
                integer_at(area, MEETS),
            )
            atomic_add(area, FINISHED, 1)
            looks = 0
        else:
            relax(looks)
            looks += 1


@cache
def region() -> Any:
    """`_region`, called without the choice among signatures that a call of a Numba function begins with."""
    return jit.compiled(_region, 7)


@cache
def helping() -> Any:
    """`_help`, likewise."""
    return jit.compiled(_help, 1)


class _Pool:
    """Helpers, started when they are first wanted. One region at a time: more would fight for the cores."""

    def __init__(self) -> None:
        self._area = aligned(AREA_SIZE, np.int64)
        self._entries = memoryview(self._area)  # written in less than half of the array's time
        self._address = int(self._area.ctypes.data)
        self._threads: list[threading.Thread] = []
        self._busy = threading.Lock()
        self._door = threading.Condition()
        self._asleep = 0
        self.closed = False

    def run(self, function: int, call: int, sync: int, team: int, meets: bool) -> bool:
        """Runs a worker on a team; False, with nothing done, where another region runs."""
        if self.closed or not self._busy.acquire(blocking=False):
            return False
        try:
            if len(self._threads) < team - 1:
                self._start(team - 1)
            # Before the look for sleepers, as a helper looks for work after it says it sleeps.
            self._entries[ANNOUNCED] = 1
            if self._asleep:
                with self._door:
                    self._door.notify_all()
            region()(self._address, min(team - 1, len(self._threads)), function, call, sync, team, meets)
        finally:
            self._busy.release()
        return True

    def _start(self, count: int) -> None:
        """Starts helpers that are lacking; fewer come if the system has no more threads."""
        while len(self._threads) < count:
            name = f"fastnn-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._help, args=(helping(),), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return
            self._threads.append(thread)

    def _help(self, work: Any) -> None:
        while not self.closed:
            work(self._address)
            with self._door:
                self._asleep += 1
                if not (self._area[ANNOUNCED] or self._area[WANTED] > 0 or self.closed):
                    self._door.wait()
                self._asleep -= 1

    def close(self) -> None:
        """No helper is left in compiled code, which Python is about to free."""
        if self.closed:  # as in a forked child, where the door may be held by a thread that it does not have
            return
        with self._door:
            self.closed = True
            self._door.notify_all()
        for thread in self._threads:
            thread.join(timeout=1.0)

    def lose(self) -> None:
        """In a forked child, which has none of its parent's threads."""
        self.closed = True


POOL = _Pool()
atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.lose)
