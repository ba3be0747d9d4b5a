"""Backends, threads and bits for the tests of everything that computes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import config
from fastnn.backends import operators
from fastnn.backends.protocol import Backend

Array = npt.NDArray[Any]
Runner = tuple[str, int]  # a backend and its number of threads

DTYPES = ("float32", "float64")
CLASSES = {
    "reference": ("fastnn.backends.reference", "ReferenceBackend"),
    "numba": ("fastnn.backends.numba_cpu", "NumbaBackend"),
    "c": ("fastnn.backends.c", "CBackend"),
}
RUNNERS: tuple[Runner, ...] = (("reference", 1), ("numba", 1), ("numba", 2), ("c", 1), ("c", 2))
TWINS = tuple(runner for runner in RUNNERS if runner[0] != "reference")


def load(name: str) -> Backend:
    """A backend; skips the test where it cannot be imported, or fails it where FASTNN_REQUIRE names it."""
    module, cls = CLASSES[name]
    try:
        backend: Backend = getattr(importlib.import_module(module), cls)()
    except ImportError as error:
        if name in os.environ.get("FASTNN_REQUIRE", "").split(","):
            pytest.fail(f"FASTNN_REQUIRE names {name}, which cannot be imported: {error}")
        pytest.skip(f"{name}: {error}")
    return backend


@contextmanager
def threads(runner: Runner) -> Iterator[None]:
    """What runs inside uses the runner's threads, however small the work."""
    config.set_num_threads(runner[1])
    with pytest.MonkeyPatch.context() as patch:
        if runner[1] > 1:
            patch.setattr(operators, "FLOPS_PER_THREAD", 1)
        yield
    config.set_num_threads(None)


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
