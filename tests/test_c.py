"""What the C backend promises beside its bits: threads, a caller's environment, a header that
serves without Python, and texts for what it refuses."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn.backends import compiled as programs
from fastnn.backends.data import Data
from fastnn.backends.protocol import Program
from fastnn.core.instructions import Slot
from fastnn.core.lowering import Lowering
from fastnn.core.operations import OPERATIONS, Family
from fastnn.core.plan import Clip, Column, Kind, OptimizerEntry, Plan
from fastnn.core.specs import MetricSpec
from fastnn.core.state import State
from fastnn.errors import BackendError
from plans import ADAM, Model
from small_run import ROWS, X, plan, trained
from support import DTYPES, child, load, threads

X86 = platform.machine() == "x86_64"
HERE = Path(__file__).parent
SOURCES = HERE.parent / "csrc"
COMPILER = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
LEVELS = ("avx512", "avx2", "portable") if X86 else ("portable",)


def train(epochs: int = 3) -> bytes:
    """theta after a few epochs on the C backend."""
    return trained("c", epochs)


@pytest.fixture(scope="module")
def alone() -> bytes:
    load("c")
    with threads(("c", 1)):
        return train()


# --- threads --------------------------------------------------------------------------------------------------------


def test_two_threads_change_nothing(alone: bytes) -> None:
    with threads(("c", 2)):
        assert train() == alone


def test_models_in_threads_side_by_side(alone: bytes) -> None:
    results: list[bytes] = []
    with threads(("c", 2)):
        workers = [threading.Thread(target=lambda: results.append(train())) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=120)
        assert results == [alone] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_trains() -> None:
    """The child has none of the parent's threads: it runs on one, to the same bits."""
    load("c")
    code = (
        "import os\n"
        "from test_c import *\n"
        "with threads(('c', 2)):\n"
        "    parent = train()\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(0 if train() == parent else 3)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    run = child("-c", code)
    assert run.stdout.strip() == "0", run.stderr


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_not_built() -> None:
    code = "import sys; sys.modules['fastnn.backends.c._fastnn'] = None\nimport fastnn.backends.c"
    assert "ImportError: not built: no C compiler found" in child("-c", code).stderr


def test_a_refusal_says_where_and_why() -> None:
    load("c")
    from fastnn.backends import c

    scratch = c.ffi.new("double[]", c.lib.FNN_SCRATCH_F64)
    families = Counter(row.family for row in OPERATIONS.values())

    def status(name: str, **fields: Any) -> int:
        row = OPERATIONS[name]
        arrays = [c.ffi.new("double[]", 64) for _ in row.arguments]
        call = {"family": int(row.family), "code": row.code, "array": arrays, "scratch": scratch}
        sizes = {"m": 1, "n": 1, "k": 1}
        return int(c.lib.fnn_operate_f64(c.ffi.new("fnn_call *", call | sizes | fields), 1))

    with pytest.raises(BackendError, match="c: gemm_nn: a size is negative"):
        c._check(status("gemm_nn", m=-1), "gemm_nn")
    for name, row in OPERATIONS.items():
        assert status(name) == c.lib.FNN_OK
        assert families[row.family] == 1 or status(name, code=-1) == status(name, code=99) == c.lib.FNN_BAD_CODE
        for number in range(len(row.arguments)):
            arrays = [c.ffi.NULL if number == one else c.ffi.new("double[]", 64) for one in range(len(row.arguments))]
            assert status(name, array=arrays) == c.lib.FNN_NULL, (name, number)
    assert status("gemm_nn", scratch=c.ffi.NULL) == c.lib.FNN_NULL == c.lib.fnn_operate_f32(c.ffi.NULL, 1)
    assert status("embedding_forward", k=0) == c.lib.FNN_BAD_SIZE
    for family in (-1, len(Family)):
        assert status("gemm_nn", family=family) == c.lib.FNN_BAD_CODE
    assert c.lib.fnn_update_f32(c.ffi.NULL, 1) == c.lib.FNN_NULL
    program = load("c").program(plan(), State(plan()))
    data = Data((X,), (np.zeros((ROWS, 1)),), (), None, 32)
    with pytest.raises(BackendError, match="c: run_steps: a size is negative, or more than the buffers hold"):
        program.run_steps(data, 0, data.steps + 1, np.zeros(2))


@pytest.mark.parametrize(
    ("clip", "spoil", "message"),
    [
        ("norm", lambda plan, c, null: setattr(c, "gradient", null), "a buffer is missing"),
        ("", lambda plan, c, null: setattr(c, "calls", null), "a buffer is missing"),
        (
            "",
            lambda plan, c, null: plan.instructions.__setitem__((0, Column.KIND), len(Kind)),
            "unknown code of an instruction",
        ),
        (
            "",
            lambda plan, c, null: setattr(c.calls[Slot.WIDTH + Slot.FORWARD], "code", 99),
            "unknown code of an instruction",
        ),
        (
            "value",
            lambda plan, c, null: plan.optimizer.__setitem__(OptimizerEntry.CLIP, len(Clip)),
            "unknown code of an instruction",
        ),
    ],
)
def test_a_plan_that_is_refused(clip: str, spoil: Callable[[Plan, Any, Any], None], message: str) -> None:
    """Nothing of it runs: theta is as before, and the program serves again once it is whole."""
    model = Model(
        "refused",
        (("dense", 6), ("activation", "relu"), ("batch_norm", {}), ("dense", 2)),
        optimizer=ADAM._replace(clip=clip, limit=0.1),
    )
    backend = load("c")
    from fastnn.backends.c import ffi

    made = model.plan("float32")
    made = replace(made, instructions=made.instructions.copy(), optimizer=made.optimizer.copy())
    state = model.state(made)
    program: Any = backend.program(made, state)
    before, data = state.theta.copy(), model.data(made)
    program._reserve(data.batch_size)
    record = program._program.calls[Slot.WIDTH + Slot.FORWARD]
    kept = (
        made.instructions.copy(),
        made.optimizer.copy(),
        program._program.gradient,
        program._program.calls,
        record.code,
    )
    spoil(made, program._program, ffi.NULL)
    with pytest.raises(BackendError, match=f"c: run_steps: {message}"):
        program.run_steps(data, 0, data.steps, np.zeros(made.sums))
    np.testing.assert_array_equal(state.theta, before)
    made.instructions[:], made.optimizer[:], program._program.gradient, program._program.calls, record.code = kept
    assert program.run_steps(data, 0, data.steps, np.zeros(made.sums)) == data.steps
    assert (state.theta != before).any()


# --- what it writes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("clip", ["", "value", "norm", "global_norm"])
def test_programs_stay_within_their_buffers(
    clip: str, number: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards round every vector that a program has, the scratch and the sums included."""
    model = Model(
        "guarded",
        (
            ("affine", 0.5, 0.1), ("standardize",), ("dense", 37), ("batch_norm", {}), ("activation", "relu"),
            ("dropout", 0.2), ("dense", 19), ("layer_norm", {}), ("activation", "gelu"), ("dense", 3),
        ),
        metrics=(MetricSpec("r2_score", weighted=True), MetricSpec("mean_absolute_error", weighted=True)),
        optimizer=ADAM._replace(clip=clip, limit=0.1),
        features=21, rows=61, batch=33, weighted=True, ordered=True,
    )  # fmt: skip
    blocks: list[tuple[np.ndarray, int]] = []

    def guarded(size: int, kind: Any, zeroed: bool = True) -> Any:
        """As `aligned`, with guards of a line before and of several behind."""
        bytes_ = size * np.dtype(kind).itemsize
        block = np.full(64 + bytes_ + 512, 0xA5, np.uint8)
        block = block[-block.ctypes.data % 64 :]
        if zeroed:
            block[64 : 64 + bytes_] = 0
        blocks.append((block, bytes_))
        return block[64 : 64 + bytes_].view(kind)

    backend = load("c")
    from fastnn.core import state as states

    made = model.plan(dtype)
    with threads(("c", number)):
        expected = model.state(made)
        data = model.data(made)
        plain = backend.program(made, expected)
        monkeypatch.setattr(states, "aligned", guarded)
        monkeypatch.setattr(programs, "aligned", guarded)
        state = model.state(made)
        program = backend.program(made, state)
        rates = guarded(data.steps, np.float64)
        rates[:] = 0.01
        sums, out = guarded(made.sums, np.float64), guarded(data.rows * made.widths[0], dtype)
        for runs in (program, plain):
            runs.run_steps(data, 0, data.steps, sums, rates, stop=True)
            runs.gradient(data, sums)
            runs.update()
            runs.score(data, 0, data.steps, sums)
            runs.forward((data.X[0],), (out.reshape(-1, made.widths[0]),))
    assert len(blocks) >= 9
    for block, size in blocks:
        assert (block[:64] == 0xA5).all() and (block[64 + size :] == 0xA5).all()
    np.testing.assert_array_equal(state.theta, expected.theta)


# --- the scan of data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_does_not_fit_is_found(dtype: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN, infinities, and float64 beyond float32, anywhere, by the library itself."""
    lowering = Lowering(dtype, 1)
    lowering.dense("dense", 1)
    backend, made = load("c"), lowering.finish()
    program = backend.program(made, State(made))
    right = Program(backend, made, State(made))
    blocks = [np.linspace(-1, 1, 7 * 61).reshape(7, 61).astype(source), np.ones((90, 4), source)[::2]]
    limit = np.finfo(np.float32).max
    values = [np.nan, np.inf, -np.inf, limit, -limit, *([2.0 * float(limit)] if source == "float64" else [])]
    wanted = []
    for whole in blocks:
        for value in values:
            for at in (0, whole.size // 2, whole.size - 1):
                data = whole.copy() if whole.flags["C_CONTIGUOUS"] else np.repeat(whole, 2, axis=0)[::2]
                data[at // data.shape[1], at % data.shape[1]] = value
                wanted.append((data, right.find_nonfinite(data)))
    monkeypatch.setattr(Program, "find_nonfinite", None)
    for number in (1, 2):
        with threads(("c", number)):
            assert [program.find_nonfinite(data) for data, _ in wanted] == [at for _, at in wanted]


# --- the header alone -----------------------------------------------------------------------------------------------


def compiled(tmp_path: Path, *files: Path, flags: tuple[str, ...] = ()) -> Path:
    """A program made of C files and the constants that the package's texts give."""
    if COMPILER is None or not SOURCES.exists():
        pytest.skip("needs a C compiler and the checkout")
    generated, made = tmp_path / "generated", tmp_path / "program"
    subprocess.run([sys.executable, SOURCES / "generate.py", generated], check=True, timeout=60)
    strict = ("-std=c11", "-O1", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Wconversion", "-Werror")
    command = [*COMPILER.split(), *strict, *flags, f"-I{SOURCES}", f"-I{generated}", *map(str, files)]
    run = subprocess.run([*command, "-lm", "-o", made], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]
    return made


@pytest.mark.slow
def test_a_network_trains_without_python(tmp_path: Path) -> None:
    """tests/c/smoke.c learns XOR through fastnn.h, to the same loss on every instruction set and number of threads."""
    sources = list(SOURCES.glob("*.c"))
    quick = ("-pthread", "-O0")  # to compile; the bits are the same
    program = compiled(tmp_path, HERE / "c" / "smoke.c", *sources, flags=quick)
    said = set()
    for level in LEVELS:
        for count in ("1", "2"):
            run = subprocess.run(
                [program, count], env={**os.environ, "FASTNN_CPU": level}, capture_output=True, text=True, timeout=60
            )
            assert run.returncode == 0, run
            said.add(run.stdout.partition(" ")[2])
    assert len(said) == 1


@pytest.mark.skipif(not X86, reason="compares with an instruction of x86-64")
def test_software_fma(tmp_path: Path) -> None:
    """5 million hard cases against the processor's own."""
    program = compiled(tmp_path, HERE / "c" / "fma.c", SOURCES / "fma.c", flags=("-O2",))
    run = subprocess.run([program], capture_output=True, text=True, timeout=60)
    if run.returncode == 77:
        pytest.skip("this processor has no fma")
    assert run.returncode == 0, run.stdout


@pytest.mark.skipif(not X86, reason="the compiler knows this option on x86-64")
def test_a_32_bit_machine_is_refused() -> None:
    """By every file, before a header that a compiler for it may lack."""
    if COMPILER is None or not SOURCES.exists():
        pytest.skip("needs a C compiler and the checkout")
    for source in SOURCES.glob("*.c"):
        command = [*COMPILER.split(), "-m32", "-fsyntax-only", str(source)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
        assert "error" in said and "fastnn needs a 64-bit machine" in said.partition("#error")[2], said


def test_the_extension_is_abi3() -> None:
    load("c")
    from fastnn.backends.c import _fastnn

    if sysconfig.get_config_var("SOABI"):
        assert ".abi3." in Path(str(_fastnn.__file__)).name or sys.platform == "win32"
