"""How a team of threads is started on a compiled entry: one parallel region a call, never more than one at a time."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import prange

from ...state import aligned
from .. import forks, kept
from . import jit
from .threads import IEEE_DEFAULT, SYNC_SIZE, call_worker, enrol, exchange_mxcsr, next_share

_compiling = threading.RLock()
_entries: dict[str, Any] = {}

# A fork waits for the compiler and its imports: a child would find them locked by a thread that it does not have.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_compiling.acquire, after_in_parent=_compiling.release, after_in_child=_compiling.release
    )


def worker_address(dtype: str) -> int:
    """The address of the compiled worker for a dtype; compiled, or read from disk, once."""
    return _address("kernels", dtype, "worker", f"work_{dtype}")


def operations_address(dtype: str) -> int:
    """The address of the compiled entry of operations for a dtype; compiled, or read from disk, once."""
    return _address("operations", dtype, "operations", f"operate_{dtype}")


def _address(what: str, dtype: str, module: str, function: str) -> int:
    name = f"{module}.{function}"
    with _compiling:
        if name not in _entries:
            entry = getattr(importlib.import_module(f".{module}", __package__), function)
            if not kept.on_disk(name):
                once = " (once)" if jit.cache_folder() is not None else ""
                print(f"fastnn: compiling {dtype} {what} for this machine{once}", file=sys.stderr, flush=True)
            from . import kernels

            kernels.load(dtype, jit.cache_folder())
            _entries[name] = jit.callback(entry)
        return int(_entries[name].address)


def _alone(function, call):
    """The worker on this thread, in the IEEE default environment."""
    before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
    call_worker(function, call, 0, 1)
    exchange_mxcsr(before)


def _together(function, call, sync, wanted, meets):
    """The worker on a team of threads: one parallel region, in which those that came share the work. Where they do not
    meet at barriers, each takes what share is left, again and again, and nobody waits for one that comes late."""
    for _ in prange(wanted):
        member, team = enrol(sync, wanted) if meets else (next_share(sync), wanted)
        while 0 <= member < team:
            before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
            call_worker(function, call, member, team)
            exchange_mxcsr(before)
            member = -1 if meets else next_share(sync)


@cache
def alone() -> Any:
    """`_alone`, called without the choice among signatures that a call of a Numba function begins with."""
    with _compiling:
        return jit.compiled(_alone, 2)


@cache
def together() -> Any:
    """`_together`, likewise."""
    with _compiling:
        return jit.compiled(_together, 5, parallel=True)


def compile_all(dtype: str) -> None:
    """Compiles, or reads from disk, all that a model of a dtype needs, before one asks for it."""
    worker_address(dtype)
    alone(), together()


_region = threading.Lock()


def launch(function: int, call: int, sync: np.ndarray[Any, Any], team: int, meets: bool = True) -> None:
    """Runs a worker on a call block with a team of up to `team` threads; fewer change nothing but the time.
    `meets` says whether the worker has barriers.

    A forked child has lost the threading layer's threads, and `workqueue` allows one region at a time: there it runs
    on one thread.
    """
    if team > 1 and not forks.threads_lost() and _region.acquire(blocking=False):
        try:
            sync[:] = 0
            together()(function, call, sync.ctypes.data, min(team, numba.get_num_threads()), meets)
        finally:
            _region.release()
    else:
        alone()(function, call)


def sync_area() -> np.ndarray[Any, Any]:
    """A sync area for `launch`, aligned."""
    return aligned(SYNC_SIZE, np.int64)
