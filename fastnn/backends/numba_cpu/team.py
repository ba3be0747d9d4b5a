"""How a worker is started: on this thread, or on a team of them."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

from ...core.printing import say
from ...core.store import aligned
from .. import disk_cache
from . import jit
from .pool import POOL, helping, region
from .threads import IEEE_DEFAULT, SYNC_SIZE, call_worker, exchange_mxcsr

_entries: dict[str, Any] = {}


def worker_address(dtype: str) -> int:
    """The address of the compiled worker for a dtype; compiled, or read from disk, once."""
    return _address("kernels", dtype, "worker", f"work_{dtype}")


def operations_address(dtype: str) -> int:
    """The address of the compiled entry of operations for a dtype; compiled, or read from disk, once."""
    return _address("operations", dtype, "operations", f"operate_{dtype}")


def _address(what: str, dtype: str, module: str, function: str) -> int:
    name = f"{module}.{function}"
    with jit.compiling:
        if name not in _entries:
            entry = getattr(importlib.import_module(f".{module}", __package__), function)
            if any(disk_cache.read(code) is None for code in (name, f"kernels_{dtype}")):
                once = " (once)" if disk_cache.folder() is not None else ""
                say(f"fastnn: compiling {dtype} {what} for this machine{once}", "stderr")
            from . import kernels

            kernels.load(dtype)
            _entries[name] = jit.callback(entry)
        return int(_entries[name].address)


def _alone(function, call):
    """The worker on this thread, in the IEEE default environment."""
    before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
    call_worker(function, call, 0, 1)
    exchange_mxcsr(before)


@cache
def alone() -> Any:
    """`_alone`, called without the choice among signatures that a call of a Numba function begins with."""
    return jit.compiled(_alone, 2)


def compile_all(dtype: str) -> None:
    """Compiles, or reads from disk, all that a model of a dtype needs, before one asks for it."""
    worker_address(dtype)
    alone(), region(), helping()


def launch(function: int, call: int, sync: int, team: int, meets: bool = True) -> None:
    """Runs a worker on a call block, and a sync area, with a team of up to `team` threads; fewer change nothing but the
    time. `meets` says whether the worker has barriers."""
    if team == 1 or not POOL.run(function, call, sync, team, meets):
        alone()(function, call)


def sync_area() -> np.ndarray[Any, Any]:
    """A sync area for `launch`, aligned."""
    return aligned(SYNC_SIZE, np.int64)
