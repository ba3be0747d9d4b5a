"""Whether this process may start threads: a forked child has none of its parent's, and OpenMP's runtime, on which
Numba's loops run, would wait for them for ever. The C library looks after its own threads."""

from __future__ import annotations

import multiprocessing
import os
import sys


def _inherited() -> bool:
    """Whether this process may be a fork whose parent used Numba's threads before fastnn came."""
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    return bool(getattr(parallel, "_is_initialized", False)) and multiprocessing.parent_process() is not None


_lost = _inherited()


def _in_the_child() -> None:
    global _lost
    _lost = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)


def threads_lost() -> bool:
    """Whether this process was forked from one that may have used threads."""
    return _lost
