"""All compilation: its options, and what of it is kept by `disk_cache.py`."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

from numba import njit, types
from numba.core import caching, ccallback, config
from numba.core.compiler import CompileResult
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps

from ...core import forks
from ...core.printing import say
from .. import disk_cache

if config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, with which Numba compiles nothing; unset it")

_OPTIONS = {"error_model": "numpy", "nogil": True, "nopython": True, "boundscheck": False}

# A function that only compiled code calls: without the wrappers that Python would need, which take a third of its
# compile time.
device = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

# One with a single caller, which it becomes a part of: each level of calls has all below it optimised once more.
inlined = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, inline="always")


# Held by whoever compiles, or imports what is compiled. A fork waits for it: a child would find Numba's own locks held
# by a thread that it does not have.
compiling = forks.lock(forks.Rank.COMPILING)


@cache
def _say_unkept() -> None:
    say(
        f"fastnn: compiled kernels cannot be kept in {disk_cache.place() or 'any folder'}, so each process compiles "
        "them anew; name one that can be written in NUMBA_CACHE_DIR",
        "stderr",
    )


def keep(name: str, code: bytes) -> None:
    """Keeps code on disk; says once if it cannot be written."""
    if not disk_cache.write(name, code):
        _say_unkept()


class _Cache(caching.NullCache):  # type: ignore[misc]
    """The code of a function, of the one signature that it has, on disk."""

    def __init__(self, function: Any) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    def load_overload(self, signature: Any, target: Any) -> Any:
        target.refresh()
        code = disk_cache.read(self._name)
        try:
            return None if code is None else CompileResult._rebuild(target, *pickle.loads(code))
        except Exception:  # whatever it is, compiling it anew is the cure
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        keep(self._name, dumps(result._reduce()))


def compiled(function: Any, arguments: int) -> Any:
    """A function of so many ints that Python calls and that holds no GIL; compiled, or read from disk."""
    made = CPUDispatcher(function, targetoptions=_OPTIONS)  # not njit: a user may have disabled that meanwhile
    made._cache = _Cache(function)
    signature = (types.intp,) * arguments
    with compiling:
        made.compile(signature)
    return made.get_overload(signature)


def callback(function: Any) -> Any:
    """A compiled void(int, int, int) with a C address, read from disk where it is kept."""
    signature = types.void(types.intp, types.intp, types.intp)
    made = ccallback.CFunc(
        function, (signature.args, signature.return_type), locals={}, options={"error_model": "numpy"}
    )
    made._cache = _Cache(function)
    made.compile()
    return made
