"""All compilation: its options and its disk cache.

Numba's own cache looks at one file's time stamp and would keep a kernel whose helper has changed; here one hash of
everything that a kernel is made from names the cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import njit, types
from numba.core import caching, ccallback
from numba.core import config as numba_config

from .cpu import cpu

_PACKAGE = Path(__file__).resolve().parents[2]
_SOURCES = ("arithmetic.py", "formulas.py", "operations.py", "plan.py", "random.py", "backends/numba_cpu/*.py")
_OPTIONS = {"error_model": "numpy", "nogil": True}

# A function that only compiled code calls: without the wrappers that Python would need, which take a third of its
# compile time.
device = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@cache
def source_hash() -> str:
    """A hash of every source of the kernels, of the compilers' versions, and of the CPU that they compile for."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    for part in (numba.__version__, llvmlite.__version__, sys.version, *cpu()):
        digest.update(part.encode())
    return digest.hexdigest()[:24]


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, the user's cache, or nowhere (None) if no folder can be
    written."""
    candidates = []
    if numba_config.CACHE_DIR:
        candidates.append(Path(numba_config.CACHE_DIR))
    elif os.environ.get("XDG_CACHE_HOME"):
        candidates.append(Path(os.environ["XDG_CACHE_HOME"]))
    else:
        with suppress(RuntimeError):  # no HOME
            candidates.append(Path.home() / ".cache")
    for candidate in candidates:
        folder = candidate / "fastnn" / source_hash()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    warnings.warn(
        "fastnn: no folder to keep compiled kernels in (looked at NUMBA_CACHE_DIR, XDG_CACHE_HOME and ~/.cache); "
        "they are compiled anew in every process",
        RuntimeWarning,
        stacklevel=3,
    )
    return None


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """One folder for all kernels; the hash in its name is the only stamp."""

    def __init__(self, py_file: str) -> None:
        self._py_file = py_file

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return source_hash()

    def get_disambiguator(self) -> None:
        return None

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        return cls(py_file)


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_Locator]  # noqa: RUF012 - Numba's protocol


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation


def entry(function: Any, parallel: bool = False) -> Any:
    """A function that Python calls, compiled at its first call or read from disk; it holds no GIL."""
    made = njit(**_OPTIONS, parallel=parallel)(function)
    if cache_folder() is not None:
        made._cache = _Cache(function)
    return made


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


def on_disk(name: str) -> bool:
    """Whether a compiled function of this source is kept already."""
    folder = cache_folder()
    return folder is not None and any(folder.glob(f"{name}-*.nbc"))
