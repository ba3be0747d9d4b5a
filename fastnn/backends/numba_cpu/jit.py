"""All compilation: the workers, their disk cache, and how a team of threads is started on them.

Numba's own cache looks at one file's time stamp and would keep a kernel whose helper has changed; here one hash of everything that a
kernel is made from names the cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit, prange, types
from numba.core import caching, ccallback
from numba.core import config as numba_config

from .gemm_tile import cpu
from .threads import IEEE_DEFAULT, SYNC_SIZE, call_worker, enrol, exchange_mxcsr

_PACKAGE = Path(__file__).resolve().parents[2]
_SOURCES = ("arithmetic.py", "formulas.py", "operations.py", "plan.py", "random.py", "backends/numba_cpu/*.py")
_DTYPES = ("float32", "float64")


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
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, the user's cache, or nowhere (None) if no folder can be written."""
    candidates = []
    if numba_config.CACHE_DIR:
        candidates.append(Path(numba_config.CACHE_DIR))
    elif os.environ.get("XDG_CACHE_HOME"):
        candidates.append(Path(os.environ["XDG_CACHE_HOME"]))
    else:
        try:
            candidates.append(Path.home() / ".cache")
        except RuntimeError:  # no HOME
            pass
    for candidate in candidates:
        folder = candidate / "fastnn" / source_hash()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    warnings.warn(
        "fastnn: no folder to keep compiled kernels in (looked at NUMBA_CACHE_DIR, XDG_CACHE_HOME and ~/.cache); they are compiled anew "
        "in every process",
        RuntimeWarning,
        stacklevel=2,
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


def _keep_on_disk(compiled: Any, function: Any) -> Any:
    if cache_folder() is not None:
        compiled._cache = _Cache(function)
    return compiled


def worker_cached(dtype: str) -> bool:
    """Whether a worker of this source is on disk already."""
    folder = cache_folder()
    return folder is not None and any(folder.glob(f"worker.work_{dtype}-*.nbc"))


_compiling = threading.Lock()
_workers: dict[str, Any] = {}


def worker_address(dtype: str) -> int:
    """The address of the compiled worker for a dtype; compiled, or read from disk, once."""
    with _compiling:
        if dtype not in _workers:
            from . import kernels, worker

            if not worker_cached(dtype):
                print(f"fastnn: compiling {dtype} kernels for this machine (once)", file=sys.stderr, flush=True)
            kernels.load(dtype, cache_folder())
            function = getattr(worker, f"work_{dtype}")
            signature = types.void(types.intp, types.intp, types.intp)
            callback = ccallback.CFunc(function, (signature.args, signature.return_type), locals={}, options=_OPTIONS)
            _keep_on_disk(callback, function)
            callback.compile()
            _workers[dtype] = callback
        return int(_workers[dtype].address)


_OPTIONS = {"error_model": "numpy"}


def _alone(function, call):
    """The worker on this thread, in the IEEE default environment."""
    before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
    call_worker(function, call, 0, 1)
    exchange_mxcsr(before)


def _together(function, call, sync, wanted):
    """The worker on a team of threads: one parallel region, in which those that came share the work."""
    for _ in prange(wanted):
        member, team = enrol(sync, wanted)
        if member >= 0:
            before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
            call_worker(function, call, member, team)
            exchange_mxcsr(before)


@cache
def _launchers() -> tuple[Any, Any]:
    alone = _keep_on_disk(njit(nogil=True, error_model="numpy")(_alone), _alone)
    together = _keep_on_disk(njit(nogil=True, error_model="numpy", parallel=True)(_together), _together)
    return alone, together


_region = threading.Lock()
_home = os.getpid()


def launch(function: int, call: int, sync: np.ndarray[Any, Any], team: int) -> None:
    """Runs a worker on a call block with a team of up to `team` threads; fewer change nothing but the time.

    A forked child has lost the threading layer's threads, and `workqueue` allows one region at a time: both work on one thread.
    """
    alone, together = _launchers()
    if team > 1 and os.getpid() == _home and _region.acquire(blocking=False):
        try:
            sync[:] = 0
            together(function, call, sync.ctypes.data, min(team, numba.get_num_threads()))
        finally:
            _region.release()
    else:
        alone(function, call)


def sync_area() -> np.ndarray[Any, Any]:
    """A sync area for `launch`, aligned."""
    from ...state import aligned

    return aligned(SYNC_SIZE, np.int64)
