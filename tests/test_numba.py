"""What the Numba backend promises beside its bits: packed code, a cache that follows its sources, threads that never
hang."""

from __future__ import annotations

import copy
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.backends import disk_cache
from fastnn.backends.data import Data
from fastnn.core import formulas
from fastnn.core.formulas import ELEMENTWISE
from fastnn.core.plan import DEVIATION_CODE
from fastnn.core.state import State
from fastnn.core.steps import OPTIMIZERS
from small_run import ROWS, START, X, plan, trained
from support import child, load, threads
from test_imports import imports

X86 = platform.machine() == "x86_64"


def train(epochs: int = 3) -> bytes:
    """theta after a few epochs on the Numba backend."""
    return trained("numba", epochs)


@pytest.fixture(scope="module")
def alone() -> bytes:
    load("numba")
    with threads(("numba", 1)):
        return train()


def of_this_file(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of this test file's functions in a process of its own."""
    return child("-c", f"from test_numba import *\nload('numba')\n{code}", **environment)


# --- packed code ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not X86, reason="reads x86-64 assembly")
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_elementwise_kernels_are_packed(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every body of the families has vector arithmetic, and outside the gather no scalar arithmetic at all."""
    load("numba")
    from fastnn.backends.numba_cpu import kernels
    from fastnn.backends.numba_cpu.declare import KERNELS

    suffix, packed = ("f32", "ps") if dtype == "float32" else ("f64", "pd")
    chosen = r"(activation_forward|activation_backward|optimizer_step|inverse_deviation)"
    mapped = r"penalty_backward|decay_step|scale|affine|clip_value|moving_average|batch_moments|scale_backward"
    by_rows = r"(standardize|batch_norm)_(forward|backward)"
    looked_at = [kernel for kernel in KERNELS if re.fullmatch(f"{chosen}|{mapped}|{by_rows}", kernel.name)]
    monkeypatch.setattr(kernels, "KERNELS", looked_at)  # others take long to compile
    bodies = dict(re.findall(rf"^fnn_(\w+)_{suffix}:(.*?)^\.Lfunc_end", kernels.assembly(dtype), re.M | re.S))
    names = [name for name in bodies if re.fullmatch(rf"{chosen}_\d+|{mapped}|{by_rows}", name)]
    assert len(names) == 2 * len(ELEMENTWISE) + len(OPTIMIZERS) + len(DEVIATION_CODE) + 12
    slopes = [activation.backward for activation in ELEMENTWISE.values()]
    flat = {f"activation_backward_{number}" for number, slope in enumerate(slopes) if slope is formulas.no_slope}
    for name in names:
        arithmetic = re.findall(
            r"\bv?(?:f?n?m(?:add|sub)\d*|add|sub|mul|div|sqrt|max|min|cmp\w*|and\w*)([ps][sd])\b", bodies[name]
        )
        assert set(arithmetic) == (set() if name in flat else {packed}), (name, set(arithmetic))


# --- the notation of kernels ----------------------------------------------------------------------------------------


def test_what_is_traced_has_no_truth() -> None:
    """A Python `if`, `and`, `not` or `in` of what only the running kernel knows is an error, not a choice."""
    load("numba")
    from llvmlite import ir

    from fastnn.backends.numba_cpu.frame import Frame
    from fastnn.backends.numba_cpu.integers import Pointer
    from fastnn.backends.numba_cpu.lanes import I64

    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), [I64]), "f")
    f = Frame(ir.IRBuilder(function.append_basic_block()), "float32")
    p, i, v = Pointer(f.lanes, function.args[0], "float32"), f.integer(1), f.lanes.constant(1.0)
    for traced in (p, p == 0, i, i < 2, v, v < 2.0, f.mask(i), p[0], p.load()):
        with pytest.raises(TypeError, match="no truth value"):
            bool(traced)
    with pytest.raises(TypeError, match="no truth value"):
        _ = i in [f.integer(2)]


def test_kernels_are_called_by_name() -> None:
    load("numba").operations("float32")
    from numba import njit

    from fastnn.backends.numba_cpu.elementwise import affine

    @njit
    def twice(zero, dst, src, n):  # type: ignore[no-untyped-def]
        affine(zero, n=n, A=dst, Z=src, offset=zero, scale=zero + zero + np.float32(2.0))

    src, dst = np.arange(5, dtype=np.float32), np.zeros(6, np.float32)
    twice(np.float32(0.0), dst.ctypes.data, src.ctypes.data, 5)
    assert dst.tolist() == [0, 2, 4, 6, 8, 0]


# --- the cache ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_cache_follows_its_sources(tmp_path: Path) -> None:
    """Editing a formula in a copied package changes what its kernels compute, although no kernel file was touched."""
    load("numba")
    shipped = disk_cache.folder()
    assert shipped is not None
    shutil.copytree(shipped, tmp_path / "cache" / "fastnn" / shipped.name)
    package = tmp_path / "fastnn"
    shutil.copytree(Path(fastnn.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, fastnn.backends.numba_cpu as n\n"
        "a = np.empty((1, 3), np.float32)\n"
        "n.NumbaBackend().operations('float32')['relu_forward'](a, np.array([[-1, 0, 2]], np.float32), 0.0)\n"
        "print(a.tolist(), n.__file__.startswith(sys.argv[1]))"
    )

    def run() -> tuple[str, str]:
        made = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=1200,
        )
        return made.stdout.strip(), made.stderr.strip()

    assert run() == ("[[0.0, 0.0, 2.0]] True", "")
    formulas = package / "core" / "formulas.py"
    text = formulas.read_text()
    edited = text.replace("return o.select(z < 0.0, 0.0, z)", "return o.select(z < 0.0, 7.0, z)", 1)
    assert edited != text
    formulas.write_text(edited)
    out, errors = run()
    assert out == "[[7.0, 0.0, 2.0]] True" and errors.count("compiling") == 1


# Files that kernels import something of, but nothing that decides their code.
HARMLESS = {
    "config.py",
    "core/algebra.py",  # types alone
    "core/files.py",
    "core/forks.py",
    "core/printing.py",
    "core/state.py",
    "core/store.py",
    "backends/data.py",
    "backends/disk_cache.py",
    "backends/protocol.py",
}


def test_the_key_of_the_cache_is_of_every_source() -> None:
    """Whatever the files of kernels import, directly or through one another, is in the hash that names the folder."""
    package = Path(fastnn.__file__).parent
    hashed = {path for pattern in disk_cache._SOURCES for path in package.glob(pattern)}
    assert all(list(package.glob(pattern)) for pattern in disk_cache._SOURCES)
    kernels = {path for path in hashed if path.parent.name == "numba_cpu" and path.name != "__init__.py"}
    imported = {file for path in hashed - {package / "backends/numba_cpu/__init__.py"} for file in imports(path)}
    assert len(kernels) > 20
    outside = {path.relative_to(package).as_posix() for path in imported - hashed}
    assert {name for name in outside if not name.endswith("__init__.py")} <= HARMLESS


def test_damaged_code_is_compiled_anew(tmp_path: Path) -> None:
    """And replaced; where nothing can be written it is kept in memory. What is whole is read where nobody may write."""
    load("numba")
    code = """
import os, resource
import numba
from fastnn.backends import disk_cache
from fastnn.backends.numba_cpu import jit

def twice(n):
    return 2 * n

def compiled():
    \"""Whether it was read, and what is on disk then.\"""
    before, made = counted[0], jit.compiled(twice, 1)
    assert made(4) == 8
    return counted[0] == before, path.read_bytes() if path.exists() else None

save, counted = jit._Cache.save_overload, [0]
def counting(self, *arguments):
    counted[0] += 1
    save(self, *arguments)
jit._Cache.save_overload = counting
path = disk_cache.place() / "__main__.twice.code"
numba.config.DISABLE_JIT = True  # by somebody who looks into code of his own
read, right = compiled()
assert not read and right and compiled() == (True, right)
for damage in (b"", right[:100], os.urandom(len(right)), right[:200] + b"?" + right[201:], b"garbled" * 9):
    path.write_bytes(damage)
    assert compiled()[0] is False and compiled()[0] is True, damage[:20]
assert disk_cache.write("__main__.twice", b"no pickle, with a digest")
assert compiled()[0] is False and compiled()[0] is True
path.unlink()
path.mkdir()
assert disk_cache.read("__main__.twice") is None
path.rmdir()
right = path.write_bytes(right) and right
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # no room for a file
assert compiled()[0] is True
path.write_bytes(b"")
assert [compiled(), compiled()] == [(False, b"")] * 2
assert os.listdir(path.parent) == [path.name]
"""
    run = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    (said,) = run.stderr.splitlines()
    assert said.startswith("fastnn: compiled kernels cannot be kept in ")


@pytest.mark.slow
def test_without_a_cache_folder(tmp_path: Path) -> None:
    """No folder to write to: it says so once, and works."""
    load("numba")
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = (
        "import warnings; warnings.simplefilter('always'); train(); load('numba').operations('float32'); print('done')"
    )
    run = of_this_file(code, NUMBA_CACHE_DIR=str(blocked / "cache"))
    assert run.stdout.strip() == "done", run.stderr
    assert run.stderr.count("compiled kernels cannot be kept in") == 1
    # The entry that runs single operations is compiled by the first of them, which a training never calls.
    assert run.stderr.count("compiling") == 1 and "compiling float32 kernels" in run.stderr


# --- threads --------------------------------------------------------------------------------------------------------


def test_two_threads_change_nothing(alone: bytes) -> None:
    with threads(("numba", 2)):
        assert train() == alone


def test_too_few_threads_come(alone: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team whose second member never comes works on one thread: enrolment, not a deadlock."""
    from fastnn.backends.numba_cpu import pool, team
    from fastnn.backends.numba_cpu.call import Entry

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    empty = pool._Pool()
    monkeypatch.setattr(team, "POOL", empty)
    sync, call = team.sync_area(), np.zeros(Entry.WIDTH, np.int64)
    call[0] = 99  # a mode that does nothing
    team.launch(team.worker_address("float32"), call.ctypes.data, sync.ctypes.data, 2)
    assert sync[24] == 1
    with threads(("numba", 2)):
        assert train() == alone
    assert not empty._threads


def test_helpers_sleep_wake_and_end(alone: bytes) -> None:
    """An idle helper sleeps, comes again, and has left compiled code when the pool is closed."""
    code = (
        "from fastnn.backends.numba_cpu.pool import POOL\n"
        "sleeps = threading.Event()\n"
        "class Door(threading.Condition):\n"
        "    def wait(self, timeout=None):\n"
        "        sleeps.set()\n"
        "        return super().wait(timeout)\n"
        "POOL._door = Door()\n"
        "with threads(('numba', 2)):\n"
        "    for _ in range(3):\n"
        "        print(train().hex())\n"
        "        while not POOL._asleep:\n"
        "            sleeps.wait()\n"
        "            sleeps.clear()\n"
        "    (helper,) = POOL._threads\n"
        "    POOL.close()\n"
        "    print(helper.is_alive(), train().hex())"
    )
    run = of_this_file(code)
    assert run.stdout.split() == [*[alone.hex()] * 3, "False", alone.hex()], run.stderr


def test_models_in_threads_side_by_side(alone: bytes) -> None:
    results: list[bytes] = []
    with threads(("numba", 2)):
        workers = [threading.Thread(target=lambda: results.append(train(20))) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=120)
        assert not any(worker.is_alive() for worker in workers)
        assert len(results) == 3 and len(set(results)) == 1


def test_one_program_in_many_threads(alone: bytes) -> None:
    """Predictions of one program from four threads, beside training: each has the buffers to itself."""
    lowered = plan()
    state = State(lowered)
    state.theta[:] = START[: state.theta.size]
    program = load("numba").program(lowered, state)
    expected = np.empty((ROWS, 10), np.float32)
    program.forward((X,), (expected,))
    wrong: list[int] = []

    def predict(first: int) -> None:
        out = np.empty((ROWS - first, 10), np.float32)
        for _ in range(200):
            out[:] = np.nan
            program.forward((X[first:],), (out,))
            if not np.array_equal(out, expected[first:]):
                wrong.append(first)

    workers = [threading.Thread(target=predict, args=(first,)) for first in (0, 10, 50, 90)]
    for worker in workers:
        worker.start()
    data, sums = Data((X,), ((np.arange(ROWS) % 10)[:, None],), (), None, 32), np.zeros(lowered.sums)
    for _ in range(100):
        program.score(data, 0, data.steps, sums)
    for worker in workers:
        worker.join(timeout=120)
    assert not wrong and not any(worker.is_alive() for worker in workers)


@pytest.mark.parametrize("program", ["forward", "score", "find_nonfinite"])
def test_ctrl_c_at_any_line(program: str, alone: bytes) -> None:
    """An interrupt between any two lines of a call leaves a program that still works."""
    lowered = plan()
    backend = load("numba")
    data, sums = Data((X,), ((np.arange(ROWS) % 10)[:, None],), (), None, 32), np.zeros(lowered.sums)
    out = np.empty((ROWS, 10), np.float32)
    state = State(lowered)
    state.theta[:] = START[: state.theta.size]
    calls = {
        "forward": lambda made: made.forward((X,), (out,)),
        "score": lambda made: made.score(data, 0, data.steps, sums),
        "find_nonfinite": lambda made: made.find_nonfinite(np.repeat(X, 3, axis=1)),
    }
    backend.program(lowered, state).forward((X,), (out,))
    expected, stop = out.copy(), 1
    while stop:
        made, seen = backend.program(lowered, state), 0

        def interrupt(frame: Any, event: str, argument: Any, last: int = stop) -> Any:
            nonlocal seen
            if "numba_cpu" in frame.f_code.co_filename and event == "line":
                seen += 1
                if seen == last:
                    raise KeyboardInterrupt
            return interrupt

        sys.settrace(interrupt)
        try:
            calls[program](made)
            stop = 0
        except KeyboardInterrupt:
            stop += 1
        finally:
            sys.settrace(None)
        out[:] = np.nan
        made.forward((X,), (out,))
        assert np.array_equal(out, expected)
        before = sums.copy()
        made.score(data, 0, data.steps, sums)
        assert np.isfinite(sums - before).all()


def test_programs_are_not_copied() -> None:
    """A copy would hold the addresses of the original's buffers."""
    lowered = plan()
    with pytest.raises(TypeError, match="addresses"):
        copy.deepcopy(load("numba").program(lowered, State(lowered)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_trains(alone: bytes) -> None:
    """The child has none of the parent's threads: it runs on one, to the same bits."""
    code = (
        "import os\n"
        "with threads(('numba', 2)):\n"
        "    parent = train()\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(0 if train() == parent else 3)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    run = of_this_file(code)
    assert run.stdout.strip() == "0", run.stderr


def test_numbas_own_threads_are_not_started(alone: bytes) -> None:
    """They end a region only when the last of them has come, and a forked child cannot use them."""
    code = (
        "with threads(('numba', 2)):\n"
        "    print(train().hex())\n"
        "import numba.np.ufunc.parallel as layer\n"
        "print(layer._is_initialized)"
    )
    run = of_this_file(code)
    assert run.stdout.split() == [alone.hex(), "False"], run.stderr


@pytest.mark.skipif(not X86, reason="MXCSR")
def test_a_caller_with_flush_to_zero(alone: bytes) -> None:
    """Another library may have set FTZ, DAZ or another rounding: the bits stay, and the caller's setting too."""
    from fastnn.backends.numba_cpu import jit
    from fastnn.backends.numba_cpu.threads import exchange_mxcsr

    load("numba")
    exchange = jit.compiled(lambda value: exchange_mxcsr(np.uint32(value)), 1)
    odd = 0x1F80 | 0x8040 | 0x4000  # FTZ, DAZ, rounding up
    before = exchange(odd)
    try:
        made = train()
        left = exchange(odd)
    finally:
        exchange(before)
    assert made == alone
    assert left & 0xFFC0 == odd
