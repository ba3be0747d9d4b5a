"""Locks that a fork waits for: a forked child finds them free, and what they guard whole."""

from __future__ import annotations

import os
import threading
import time
import weakref
from enum import IntEnum, auto

_WAY = 0.2  # seconds that a thread gives way at most: it may hold what the fork waits for
_PATIENCE = 0.1  # seconds that a fork first waits for one lock while it holds others, for which their threads may wait


class Rank(IntEnum):
    """What a lock guards. A thread that holds one waits only for those of later ranks, signal handlers apart."""

    BUILDING = auto()  # a model that gets its input shape and its engine
    STORE = auto()
    CONNECTING = auto()  # the places of layers in stores
    COMPILING = auto()


_locks: set[tuple[Rank, weakref.ref[threading.RLock]]] = set()
_held: dict[int, threading.RLock] = {}  # by the thread that forks
_waits = False  # whether a fork waits for locks


def lock(rank: Rank) -> threading.RLock:
    """A new lock; a fork takes place while no other thread holds it."""
    made = threading.RLock()
    _locks.add((rank, weakref.ref(made, lambda reference: _locks.discard((rank, reference)))))
    return made


def give_way() -> None:
    """Lets a fork that waits for locks have them, between two times that a thread takes one: who takes it again at once
    comes first again and again."""
    if _waits:
        ends = time.monotonic() + _WAY
        while _waits and time.monotonic() < ends:
            time.sleep(0.0005)  # no Event: a fork would copy its lock as it is, held or not


def _hold_all() -> None:
    """Takes all locks. Where one does not come, all go back and that one is waited for first, so that threads that
    hold one and want another can go on."""
    global _held, _waits
    held: dict[int, threading.RLock] = {}
    first: threading.RLock | None = None
    _waits = True
    patience = _PATIENCE
    try:
        while missing := [found for found in _living(first) if id(found) not in held]:  # those made meanwhile, too
            for wanted in missing:
                if not wanted.acquire(timeout=patience if held else -1):
                    _release(held)
                    first, patience = wanted, 2 * patience
                    break
                held[id(wanted)] = wanted
    except BaseException:  # Ctrl-C while it waits
        _release(held)
        raise
    finally:
        _waits = False
    _held = held


def _living(first: threading.RLock | None) -> list[threading.RLock]:
    """All locks by their rank, behind one of them."""
    ranked = [(rank, found) for rank, reference in list(_locks) if (found := reference()) is not None]
    ranked.sort(key=lambda one: (one[1] is not first, one[0]))
    return [found for _, found in ranked]


def _release(held: dict[int, threading.RLock]) -> None:
    while held:
        held.popitem()[1].release()


def _release_all() -> None:
    global _held
    held, _held = _held, {}
    _release(held)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)


__all__ = ["Rank", "give_way", "lock"]
