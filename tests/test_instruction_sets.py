"""The bits on other instruction sets than this machine's best, each in a process of its own: ten losses and thetas of
golden networks, and products at the edges of their shapes."""

from __future__ import annotations

import json
import platform
from functools import cache
from pathlib import Path

import pytest

from golden_nets import expected
from support import DTYPES, child, load

HERE = Path(__file__).parent
LEVELS = {
    ("numba", "avx2"): {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"},
    ("numba", "sse2"): {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
    ("c", "avx2"): {"FASTNN_CPU": "avx2"},
    ("c", "portable"): {"FASTNN_CPU": "portable"},
}
CASES = [
    pytest.param(*case, marks=pytest.mark.slow if case[0] == "numba" else ())  # which takes long to compile
    for case in ((name, level, dtype) for name, level in LEVELS for dtype in DTYPES)
]
CODE = """
import json, sys
from golden_nets import digests
from support import load, threads
from test_gemm import check, check_ties, shapes

name, dtype = sys.argv[1:]
check(name, dtype, [size for size in shapes() if size[2] in (0, 7, 33)][::5], 0)
sizes = (47, 33), (48, 129), (127, 300), (1, 300), (260, 5), (260, 1), (11, 129), (13, 129)
check(name, dtype, [(*size, 260) for size in sizes], 1024)
check_ties(name, dtype)
with threads((name, 2)):
    print(json.dumps(digests(load(name), dtype)))
"""

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the levels are those of x86-64")


@cache
def supported() -> set[str]:
    """C's instruction sets on this processor."""
    load("c")
    from fastnn.backends.c import LEVELS as names
    from fastnn.backends.c import ffi, lib

    before = lib.fnn_level()
    found = {level for level in names if lib.fnn_set_level(level.encode()) == lib.FNN_OK}
    assert lib.fnn_set_level(ffi.string(before)) == lib.FNN_OK
    return found


@pytest.mark.parametrize(("name", "level", "dtype"), CASES)
def test_bits(name: str, level: str, dtype: str) -> None:
    load(name)
    if name == "c" and level not in supported():
        pytest.skip(f"this processor has no {level}")
    run = child("-c", CODE, name, dtype, **LEVELS[name, level])
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == expected(dtype)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("level", ["avx2", "portable"])
def test_operations_and_programs(level: str) -> None:
    """The conformance tests, with C forced to one instruction set."""
    if level not in supported():
        pytest.skip(f"this processor has no {level}")
    files = (str(HERE / "test_operations.py"), str(HERE / "test_programs.py"))
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *files)
    run = child(*command, FASTNN_CPU=level, FASTNN_TEST_ONLY="c", FASTNN_REQUIRE="c")
    assert run.returncode == 0, run.stdout[-4000:]


def test_the_forced_instruction_set_is_used() -> None:
    code = "from fastnn.backends import c; c.CBackend(); print(c.level())"
    for level in supported():
        assert child("-c", code, FASTNN_CPU=level).stdout.strip() == level


def test_an_unknown_instruction_set() -> None:
    load("c")
    run = child("-c", "from fastnn.backends import c; c.CBackend()", FASTNN_CPU="sse9")
    assert "c: FASTNN_CPU is 'sse9', expected one of avx512, avx2, portable: unknown instruction set" in run.stderr
