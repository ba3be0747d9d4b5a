"""A user's settings: FASTNN_* variables and their setters, read when a model is built or compiled.

FASTNN_BACKEND: the backend that `compile(backend="auto")` takes. FASTNN_NUM_THREADS: threads of each model;
without it OMP_NUM_THREADS, by which joblib and others share the cores among processes.
FASTNN_DATA: where data sets are looked for first.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike

from .core.absent import absent
from .core.declaration import whole
from .errors import ArgumentError

DTYPES = ("float32", "float64")


class _Settings:
    """What the setters below were given."""

    def __init__(self) -> None:
        self.floatx = "float32"
        self.threads: int | None = None
        self.seed: int | None = None
        self.models = itertools.count()


class _Here(threading.local):
    """What holds in one thread alone."""

    threads: int | None = None


_settings = _Settings()
_here = _Here()


def dtype_name(where: str, dtype: DTypeLike | None) -> str:
    """ "float32" or "float64".

    Raises:
        ArgumentError: any other dtype.
    """
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    if name not in DTYPES:
        raise ArgumentError(f'{where}: dtype is {dtype!r}, expected "float32" or "float64"')
    return str(name)


def floatx() -> str:
    """The dtype of layers that do not name one: "float32" unless set.

    Example:
        >>> import fastnn
        >>> fastnn.backend.floatx()
        'float32'
    """
    return _settings.floatx


def set_floatx(value: DTypeLike) -> None:
    """Sets the dtype of layers made from now on.

    Args:
        value: "float32" or "float64".

    Raises:
        ArgumentError: any other value.

    Example:
        >>> import fastnn
        >>> fastnn.backend.set_floatx("float64")
        >>> fastnn.layers.Dense(1).dtype
        'float64'
        >>> fastnn.backend.set_floatx("float32")
    """
    _settings.floatx = dtype_name("set_floatx", value)


def epsilon() -> float:
    """The small number that probabilities are clipped with.

    Example:
        >>> import fastnn
        >>> fastnn.backend.epsilon()
        1e-07
    """
    return 1e-7


def set_num_threads(threads: int | None) -> None:
    """Sets the threads of models that are compiled from now on; None goes back to FASTNN_NUM_THREADS or the cores.

    Raises:
        ArgumentError: below 1. ArgumentTypeError: not a whole number.

    Example:
        >>> import fastnn
        >>> fastnn.set_num_threads(1)
        >>> fastnn.get_num_threads()
        1
        >>> fastnn.set_num_threads(None)
    """
    _settings.threads = None if threads is None else whole("set_num_threads", "threads", threads)


def get_num_threads() -> int:
    """The threads that a model compiled now may use.

    Raises:
        ArgumentError: FASTNN_NUM_THREADS is not a whole number of at least 1.

    Example:
        >>> import fastnn
        >>> fastnn.set_num_threads(2)
        >>> fastnn.get_num_threads()
        2
        >>> fastnn.set_num_threads(None)
    """
    if (limit := _here.threads) is not None:
        return limit
    if _settings.threads is not None:
        return _settings.threads
    text = os.environ.get("FASTNN_NUM_THREADS", "").strip()
    if not text:
        given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # of nested levels the first
        cores = available_cores()
        return min(int(given), cores) if given.isdecimal() and int(given) else cores
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentError(f"FASTNN_NUM_THREADS is {text!r}, expected a whole number of at least 1")
    return int(text)


@contextmanager
def threads_here(threads: int | None) -> Iterator[None]:
    """While it is entered, models that this thread compiles may use so many threads; None changes nothing."""
    before = _here.threads
    _here.threads = before if threads is None else threads
    try:
        yield
    finally:
        _here.threads = before


def available_cores() -> int:
    """The cores that this process may use, by affinity and cgroup quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _cgroup_cores(cores)))


@cache
def _cgroup_cores(cores: int) -> int:
    """The smallest quota of this process's cgroup and its parents, rounded up to whole cores; `cores` without one."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return cores
    best = cores
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") if not controllers else Path("/sys/fs/cgroup/cpu")
        folder = root / path.lstrip("/")
        for place in (folder, *folder.parents):
            best = min(best, _quota(place, cores))
            if place == root:
                break
    return best


def _quota(folder: Path, cores: int) -> int:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return cores if quota in ("max", "-1") else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return cores


def default_backend() -> str:
    """The name in FASTNN_BACKEND, or "auto"."""
    return os.environ.get("FASTNN_BACKEND", "").strip() or "auto"


def data_folder() -> Path | None:
    """The folder in FASTNN_DATA, or None."""
    text = os.environ.get("FASTNN_DATA", "").strip()
    return Path(text) if text else None


def cache_folder() -> Path | None:
    """The user's cache of fastnn, whether it exists or not: in XDG_CACHE_HOME or ~/.cache; None without a home."""
    chosen = os.environ.get("XDG_CACHE_HOME", "").strip()
    try:
        return (Path(chosen) if chosen else Path.home() / ".cache") / "fastnn"
    except RuntimeError:
        return None


def set_seed(seed: int | None) -> None:
    """Makes the seeds of models made from now on a function of `seed`; None draws them from the system again."""
    _settings.seed = seed
    _settings.models = itertools.count()


def next_seed() -> int:
    """The seed of one more model."""
    if _settings.seed is None:
        import secrets

        return secrets.randbits(63)
    from .core import random

    model = next(_settings.models)
    bits = random.bits64(_settings.seed, random.Purpose.SEED_SPLIT, model, 0, 1)
    return int(bits[0] >> 1)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, ("floatx", "set_floatx", "set_num_threads", "get_num_threads"))
