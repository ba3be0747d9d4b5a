"""All compilation: its options and its disk cache, whose folder `disk_cache.py` names."""

from __future__ import annotations

import os
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core import caching, ccallback

from .. import disk_cache

_OPTIONS = {"error_model": "numpy", "nogil": True}

# A function that only compiled code calls: without the wrappers that Python would need, which take a third of its
# compile time.
device = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

# One with a single caller, which it becomes a part of: each level of calls has all below it optimised once more.
inlined = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, inline="always")


# Held by whoever compiles, or imports what is compiled. A fork waits for it: a child would find Numba's own locks held
# by a thread that it does not have.
compiling = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release)


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept; nowhere (None), with a warning, if no folder can be written."""
    folder = disk_cache.folder()
    if folder is None:
        warnings.warn(
            "fastnn: no folder to keep compiled kernels in (looked at NUMBA_CACHE_DIR, XDG_CACHE_HOME and ~/.cache); "
            "they are compiled anew in every process",
            RuntimeWarning,
            stacklevel=3,
        )
    return folder


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """One folder for all kernels; the hash in its name is the only stamp."""

    def __init__(self, py_file: str) -> None:
        self._py_file = py_file

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return disk_cache.key()

    def get_disambiguator(self) -> None:
        return None

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        return cls(py_file)


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_Locator]  # noqa: RUF012 - Numba's protocol


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation


def compiled(function: Any, arguments: int) -> Any:
    """A function of so many ints that Python calls and that holds no GIL; compiled, or read from disk."""
    made = njit(**_OPTIONS)(function)
    if cache_folder() is not None:
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
    if cache_folder() is not None:
        made._cache = _Cache(function)
    made.compile()
    return made
