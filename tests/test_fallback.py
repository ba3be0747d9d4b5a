"""What `auto` runs on where Numba, the C library or both are missing: each really hidden from a process of its own, in
which a model and the command line must work, to the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

import fastnn
from support import load

HERE = Path(__file__).parent
FAKES = {
    "too old": ('__version__ = "0.60.0"', "cannot be used: it is version 0.60.0, expected 0.68 or later"),
    "broken": ('raise OSError("bad ELF")', "cannot be used: bad ELF"),
    "refuses this NumPy": (
        'raise ImportError("Numba needs NumPy 2.1 or less")',
        "cannot be used: Numba needs NumPy 2.1 or less",
    ),
    "something else": ("", "cannot be used: module 'numba' has no attribute '__version__'"),
}


@dataclass
class Report:
    """What a child process said."""

    backend: str
    why: str
    weights: str
    reasons: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    info: str = ""


def weights(backend: str = "auto") -> str:
    """The bits of a small trained model."""
    X, y = fastnn.datasets.load_digits()
    fastnn.config.set_seed(5)
    model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(9, "tanh"), fastnn.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", backend=backend)
    model.fit(X[:100], y[:100], verbose=0)
    assert backend in ("auto", model.backend)
    return b"".join(array.tobytes() for array in model.get_weights()).hex()


@cache
def expected() -> str:
    return weights("reference")


def pretend_warm() -> None:
    """Makes `auto` believe that Numba is compiled, and much faster than C."""
    from fastnn import backends
    from fastnn.backends import disk_cache

    for name in disk_cache._COMPILED:
        assert all(disk_cache.write(name.format(dtype=dtype), b"code") for dtype in fastnn.config.DTYPES)
    disk_cache.write_speeds({backends.kind("float32", size, threads): 9.0 for size in (0, 10**9) for threads in (1, 2)})


def report() -> None:
    """Run in a child: train by `auto`, train and ask by the command line, print what happened."""
    from fastnn import backends, cli

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bits = weights()
        name, why = backends.choice("float32", 0)
    said = [str(warning.message) for warning in caught]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cli.main(["train", "digits", "--epochs", "1", "--layers", "4", "--out", "digits.safetensors"]) == 0
    assert cli.main(["info"]) == 0
    print(json.dumps([name, why, bits, backends.available(), said]))


def child(tmp_path: Path, prelude: str = "", path: str = "", **environment: str) -> Report:
    """`report` in a process with a cache of its own; `path` comes first where modules are looked for."""
    code = f"import sys\n{prelude}\nfrom test_fallback import *\nreport()"
    folders = [path, str(HERE), *sys.path]
    base = {name: value for name, value in os.environ.items() if name != "FASTNN_BACKEND"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **base,
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
            "PYTHONPATH": os.pathsep.join(filter(None, folders)),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    made = Report(*json.loads(lines[-1]))
    made.info = run.stdout
    return made


def hidden(*names: str) -> str:
    """Code after which these modules cannot be found, as if they were not installed."""
    return f"""
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""


NO_NUMBA = hidden("numba", "llvmlite")
NO_C = hidden("fastnn.backends.c._fastnn")
WARM = "from test_fallback import pretend_warm\npretend_warm()"


def test_without_numba(tmp_path: Path) -> None:
    load("c")
    found = child(tmp_path, NO_NUMBA)
    assert (found.backend, found.why) == ("c", "numba is not available (not installed)")
    assert found.weights == expected() and not found.warnings
    assert "numba: not installed\n" in found.info and "auto        c: numba is not available" in found.info


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_with_a_numba_that_cannot_be_used(warm: bool, fake: str, tmp_path: Path) -> None:
    """Also where an earlier, better Numba was compiled and measured faster: with `warm` it would be taken."""
    load("c")
    text, reason = FAKES[fake]
    for name in ("numba", "llvmlite"):
        package = tmp_path / "fake" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(text + "\n")
        (package / "_version.py").write_text("# 1\n")
    found = child(tmp_path, WARM if warm else "", str(tmp_path / "fake"))
    assert found.backend == "c" and found.weights == expected() and not found.warnings
    assert found.reasons["numba"] == reason
    assert f"numba: {reason}\n" in found.info and f"auto        c: numba is not available ({reason})\n" in found.info


@pytest.mark.parametrize("prelude", ["", WARM], ids=["cold", "warm"])
def test_with_a_numba_that_compiles_nothing(prelude: str, tmp_path: Path) -> None:
    load("c")
    found = child(tmp_path, prelude, NUMBA_DISABLE_JIT="1")
    reason = "cannot be used: NUMBA_DISABLE_JIT is set, with which Numba compiles nothing; unset it"
    assert found.backend == "c" and found.weights == expected() and not found.warnings
    assert found.reasons["numba"] == reason
    assert f"auto        c: numba is not available ({reason})\n" in found.info


def test_without_a_c_compiler(tmp_path: Path) -> None:
    load("numba")
    found = child(tmp_path, NO_C, NUMBA_CACHE_DIR=os.environ.get("NUMBA_CACHE_DIR", ""))
    assert found.backend == "numba" and found.weights == expected() and not found.warnings
    assert "c: not built: no C compiler found" in found.info
    assert "auto        numba: c is not available (not built: no C compiler found" in found.info


def test_without_cffi(tmp_path: Path) -> None:
    load("c")
    found = child(tmp_path, hidden("_cffi_backend"), NUMBA_CACHE_DIR=os.environ.get("NUMBA_CACHE_DIR", ""))
    assert found.reasons["c"] == "_cffi_backend is not installed"
    assert found.backend == ("reference" if found.reasons["numba"] else "numba")


def test_with_neither(tmp_path: Path) -> None:
    found = child(tmp_path, NO_NUMBA + NO_C)
    assert found.backend == "reference" and found.weights == expected()
    (said,) = found.warnings
    assert said.startswith('the backends "numba" (not installed) and "c" (not built: no C compiler found')
    assert said.endswith('install Numba with: pip install "numba>=0.68"')
