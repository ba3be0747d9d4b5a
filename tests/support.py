"""Backends, threads and bits for the tests of everything that computes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import backends, config
from fastnn.backends import disk_cache, tuning
from fastnn.backends.protocol import Backend

Array = npt.NDArray[Any]
Runner = tuple[str, int]  # a backend and its number of threads

DTYPES = ("float32", "float64")
CLASSES = {
    "reference": ("fastnn.backends.reference", "ReferenceBackend"),
    "numba": ("fastnn.backends.numba_cpu", "NumbaBackend"),
    "c": ("fastnn.backends.c", "CBackend"),
}
# FASTNN_TEST_ONLY=c leaves the other compiled backends out: for runs of one of them under other conditions. "cuda" has
# to be named: with the emulated card, see cuda/README.md.
ONLY = os.environ.get("FASTNN_TEST_ONLY", "numba,c").split(",")
TWINS: tuple[Runner, ...] = tuple((name, number) for name in ("numba", "c") if name in ONLY for number in (1, 2))
if "cuda" in ONLY:
    CLASSES = {name: place for name, place in CLASSES.items() if name == "reference" or name in ONLY}
    CLASSES["cuda"] = ("fastnn.backends.cuda", "CudaBackend")
    TWINS += (("cuda", 1),)
RUNNERS: tuple[Runner, ...] = (("reference", 1), *TWINS)


def child(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, with this folder's modules."""
    folders = [str(Path(__file__).parent), *filter(None, sys.path)]
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), **environment},
        capture_output=True,
        text=True,
        timeout=1200,
    )


def load(name: str) -> Backend:
    """A backend; skips the test where it cannot be imported, or fails it where FASTNN_REQUIRE names it."""
    module, cls = CLASSES.get(name, ("fastnn.backends.cuda", "CudaBackend"))
    try:
        if name == "cuda" and (reason := backends.available()["cuda"]):
            raise ImportError(reason)
        backend: Backend = getattr(importlib.import_module(module), cls)()
    except ImportError as error:
        # "cuda" wants a card, "emulated" the emulated one.
        required = {name, "emulated"} if name == "cuda" else {name}
        if required & set(os.environ.get("FASTNN_REQUIRE", "").split(",")):
            pytest.fail(f"FASTNN_REQUIRE names {name}, which cannot be imported: {error}")
        pytest.skip(f"{name}: {error}")
    if name == "cuda":
        _require_right_card()
    if name == "numba" and runs_tests:
        _compile_once()
    return backend


def _require_right_card() -> None:
    """Fails where FASTNN_REQUIRE names a card, and this one is emulated, or the other way round."""
    from fastnn.backends.cuda.device import card

    names = os.environ.get("FASTNN_REQUIRE", "").split(",")
    if ("cuda" in names and card().emulated) or ("emulated" in names and not card().emulated):
        pytest.fail(f"FASTNN_REQUIRE is {','.join(names)}, and the card is {card().name}")


runs_tests = False  # set by conftest.py: not in the processes that tests start


@cache
def _compile_once() -> None:
    """All kernels, each dtype by one of the processes that run tests: on cold caches both would compile both."""
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:
        return
    if disk_cache.folder() is None:
        return
    from fastnn.backends.numba_cpu import team

    second = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw1"
    for dtype in DTYPES[::-1] if second else DTYPES:
        with Path(tempfile.gettempdir(), f"fastnn-tests-{disk_cache.key()}-{dtype}.lock").open("w") as file:
            flock(file, LOCK_EX)
            team.compile_all(dtype)
            team.operations_address(dtype)


def present(runners: Sequence[Runner]) -> list[Runner]:
    """Those whose backend is there; skips the test where none is."""
    found = []
    for runner in runners:
        try:
            load(runner[0])
        except pytest.skip.Exception as error:
            reason = error
        else:
            found.append(runner)
    if runners and not found:
        raise reason
    return found


@contextmanager
def threads(runner: Runner) -> Iterator[None]:
    """What runs inside uses the runner's threads, however small the work."""
    config.set_num_threads(runner[1])
    with pytest.MonkeyPatch.context() as patch:
        if runner[1] > 1:
            patch.setattr(tuning, "FLOPS_PER_THREAD", 1)
        yield
    config.set_num_threads(None)


def examples(most: int) -> int:
    """How many examples hypothesis tries: `most` of them where FASTNN_THOROUGH is set, as CI does, else a third."""
    return most if os.environ.get("FASTNN_THOROUGH") else most // 3


def runner_name(runner: Runner) -> str:
    """The name of a runner in test ids."""
    return f"{runner[0]}-{runner[1]}"


def bits(array: Array) -> Array:
    """The bit patterns of an array's elements, with one pattern for every NaN."""
    canonical = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return np.asarray(canonical.view(f"i{array.dtype.itemsize}"))


def assert_same_bits(got: Array, expected: Array, where: str) -> None:
    """Fails, naming the first element that differs."""
    assert got.shape == expected.shape and got.dtype == expected.dtype, where
    different = np.argwhere(bits(got) != bits(expected))
    if different.size:
        at = tuple(int(index) for index in different[0])
        got_value, expected_value = got[at], expected[at]
        pytest.fail(
            f"{where}: {len(different)} of {got.size} differ, first at {at}: {got_value!r}, not {expected_value!r}"
        )
