"""Ten losses and the final theta: the same bits on every backend, with one thread or two, on every instruction set."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from golden_run import digests
from support import DTYPES, TWINS, Runner, load, runner_name

# (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES): what the kernels are compiled for, whatever this machine has beyond it.
LEVELS = {
    "avx2": ("haswell", "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"),
    "sse2": ("x86-64", "+sse2"),
}


@cache
def expected(dtype: str) -> dict[str, str]:
    return digests(load("reference"), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, ids=runner_name, indirect=True)
def test_backends_agree(runner: Runner, dtype: str) -> None:
    assert digests(load(runner[0]), dtype) == expected(dtype)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the levels are those of x86-64")
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("level", LEVELS)
def test_instruction_sets_agree(level: str, dtype: str) -> None:
    load("numba")
    name, features = LEVELS[level]
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("golden_run.py"), "numba", "2", dtype],
        env={**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == expected(dtype)
