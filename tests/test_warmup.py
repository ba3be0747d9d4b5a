"""No cold start: `auto` runs on C until `fastnn warmup` has compiled Numba and measured it faster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastnn import backends, config
from fastnn.backends import disk_cache
from fastnn.cli import main
from support import DTYPES, load

HERE = Path(__file__).parent
KEPT = ("team._alone", "pool._region", "pool._help", *(f"{n}_{d}" for d in DTYPES for n in ("kernels", "worker.work")))


def child(code: str, cache: Path, *arguments: str) -> str:
    """What a process with a kernel cache of its own prints."""
    base = {name: value for name, value in os.environ.items() if name != "FASTNN_BACKEND"}
    path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**base, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cache.parent,
    )
    assert run.returncode == 0, run.stderr
    assert "compiling" not in run.stderr or "warmup" in arguments
    return run.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where kernels are kept during a test: a folder of its own, empty."""
    load("numba")
    load("c")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("FASTNN_BACKEND", raising=False)
    forget()
    found = disk_cache.folder()
    assert found is not None and found.parent == tmp_path / "fastnn"
    yield found
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Lets the cache folder be looked up anew, as in a new process."""
    disk_cache.folder.cache_clear()
    disk_cache.speeds_on_disk.cache_clear()


def pretend_compiled(folder: Path) -> None:
    for name in KEPT:
        assert disk_cache.write(name, b"code")
        assert (folder / f"{name}.code").exists()


# --- cold -----------------------------------------------------------------------------------------------------------


def test_a_cold_start_does_not_load_numba(tmp_path: Path) -> None:
    """A training by `auto` runs on C, and has not even imported Numba; nor has the command line."""
    load("c")
    code = (
        "import sys\nfrom fastnn.cli import main\nimport fastnn\n"
        "model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(2)])\n"
        "model.compile('sgd', 'mse')\nmodel.fit([[1, 2, 3, 4]], [[1, 2]], verbose=0)\n"
        "assert model.backend == 'c'\n"
        "assert main(['train', 'digits', '--epochs', '1', '--layers', '0', '--out', 'm.safetensors']) == 0\n"
        "print(sorted({'numba', 'llvmlite'} & set(sys.modules)))"
    )
    assert child(code, tmp_path / "cache").splitlines()[-1] == "[]"
    assert not (tmp_path / "cache").exists()


def test_info_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert "numba has no float64 kernels on disk yet; `fastnn warmup` compiles" in capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["auto"]["float32"].startswith("c: numba has no float32 kernels on disk yet")
    assert report["backends"]["numba"] == "available, threads of its own"


@pytest.mark.parametrize("missing", KEPT)
def test_compiled_is_all_that_a_dtype_needs(missing: str, folder: Path) -> None:
    """Undamaged: else `auto` takes C, and says why."""
    assert not any(disk_cache.compiled(dtype) or disk_cache.damaged(dtype) for dtype in DTYPES)
    pretend_compiled(folder)
    assert all(disk_cache.compiled(dtype) and not disk_cache.damaged(dtype) for dtype in DTYPES)
    needs_it = [not missing.endswith(DTYPES) or missing.endswith(dtype) for dtype in DTYPES]
    path = folder / f"{missing}.code"
    right = path.read_bytes()
    for wrong in (b"", right[:-1], right[1:], right + b" ", b"x" + right[1:], bytes(len(right)), right[-32:]):
        path.write_bytes(wrong)
        assert [disk_cache.damaged(dtype) for dtype in DTYPES] == needs_it
        assert [disk_cache.compiled(dtype) for dtype in DTYPES] == [not needs for needs in needs_it]
    for dtype in [dtype for dtype, needs in zip(DTYPES, needs_it, strict=True) if needs]:
        why = f"numba's {dtype} kernels on disk are damaged; `fastnn warmup` compiles them anew"
        assert backends.choice(dtype) == ("c", why)
    path.unlink()
    assert not any(disk_cache.damaged(dtype) for dtype in DTYPES)
    assert [disk_cache.compiled(dtype) for dtype in DTYPES] == [not needs for needs in needs_it]


def test_the_key_follows_what_is_compiled_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load("numba")
    make = disk_cache.key.__wrapped__
    key = make()
    assert len(key) == 24 and make() == key
    others = {key}
    for name, value in {
        "CPU_NAME": "haswell",
        "OPT": "1",
        "BOUNDSCHECK": "1",
        "DEBUGINFO": "1",
        "ENABLE_AVX": "0",
    }.items():
        monkeypatch.setenv(f"NUMBA_{name}", value)
        others.add(make())
        monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    Path(".numba_config.yaml").write_text("opt: 1\n")
    others.add(make())
    assert len(others) == 7
    monkeypatch.undo()
    for name in ("numba", "llvmlite"):
        version = disk_cache._version
        monkeypatch.setattr(
            disk_cache, "_version", lambda asked, name=name, real=version: real(asked) + b"1" * (asked == name)
        )
        assert make() not in (key, "")
        monkeypatch.setattr(
            disk_cache, "_version", lambda asked, name=name, real=version: b"" if asked == name else real(asked)
        )
        assert make() == ""
        monkeypatch.undo()
    monkeypatch.setattr(disk_cache, "_processor", lambda: b"another")
    assert make() != key


# --- measured -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speed", "name", "why"),
    [
        (0.9, "c", "numba trains 0.90 times as fast here, which does not repay its loading"),
        (1.03, "c", "numba trains 1.03 times as fast here, which does not repay its loading"),
        (1.25, "numba", "it trains 1.25 times as fast as c here; c until a training has taken 2.5 s"),
    ],
)
def test_auto_takes_the_faster_for_this_kind_of_work(speed: float, name: str, why: str, folder: Path) -> None:
    pretend_compiled(folder)
    assert disk_cache.write_speeds({backends.kind("float32", 10, 2): speed})
    assert backends.choice("float32", 10, threads=2) == (name, why)
    unmeasured = ("c", "it has not been measured against numba here; `fastnn warmup` does that")
    for other in (("float64", 10, 2), ("float32", 10, 1), ("float32", backends.LARGE, 2), ("float32", None, 2)):
        assert backends.choice(*other) == unmeasured


LONG = """
import sys
import numpy as np
import fastnn
from fastnn import backends, config
from fastnn.backends import compiled, disk_cache

config.set_num_threads(1)
assert disk_cache.write_speeds({backends.kind("float32", size): 5.0 for size in (0, backends.LARGE)})
X = np.cos(np.arange(32000.0)).reshape(4000, 8)

def model(backend):
    made = fastnn.Sequential([fastnn.Input((8,)), fastnn.layers.Dense(9, "tanh"), fastnn.layers.Dense(1)])
    made.compile("adam", "mse", backend=backend)
    return made

def bits(made):
    return b"".join(array.tobytes() for array in made.get_weights())

class Watch(fastnn.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        assert "numba" not in sys.modules
    def on_train_batch_end(self, batch, logs=None):
        assert ("numba" in sys.modules) == (changed := self.model.backend == "numba")
        if batch == 60 and not changed:
            compiled.CompiledProgram.seconds = 1.0  # as if it had taken so long

short, long, other = model("auto"), model("auto"), model("auto")
rest = model("c")
for made in (short, long, other):
    made.set_weights(rest.get_weights())
short.fit(X[:100], X[:100, :1], verbose=0, shuffle=False)
fastnn.activations.relu(X)
assert short.backend == "c" and "numba" not in sys.modules
long.fit(X, X[:, :1], verbose=0, shuffle=False, callbacks=[Watch()])
rest.fit(X, X[:, :1], verbose=0, shuffle=False)
assert long.backend == "numba" and bits(long) == bits(rest)
for _ in range(2):  # another one follows at once
    other.train_on_batch(X[:32], X[:32, :1])
    assert other.backend == "numba"
assert model("c").backend == rest.backend == "c"
print(short.backend)
"""


def test_a_long_training_changes_over(tmp_path: Path) -> None:
    """In mid-epoch, and no bit of it changes; a short one does not load Numba."""
    load("numba")
    load("c")
    kept = disk_cache.folder()
    assert kept is not None
    shutil.copytree(kept, tmp_path / "cache" / "fastnn" / kept.name)
    assert child(LONG, tmp_path / "cache") == "c\n"


def test_a_speed_without_kernels_is_not_followed(folder: Path) -> None:
    assert disk_cache.write_speeds({backends.kind("float32", None): 9.0})
    assert backends.choice("float32").name == "c"
    pretend_compiled(folder)
    assert backends.choice("float32").name == "numba"


def test_the_choice_is_the_same_all_through_a_process(folder: Path) -> None:
    pretend_compiled(folder)
    disk_cache.write_speeds({backends.kind("float32", None): 9.0})
    assert backends.choice("float32").name == "numba"
    (folder / "speeds.txt").write_text("")
    assert backends.choice("float32").name == "numba"
    forget()
    assert backends.choice("float32").name == "c"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"c 1 2\n{kind} 9.0\n",  # another build of the library
        b"{library}\n{kind}\n",
        b"{library}\n{kind} nan\n",
        b"{library}\n{kind} inf\n",
        b"{library}\n{kind} -9.0\n",
        b"{library}\n\n{kind} 9.0\n",
        None,
    ],
    ids=str,
)
def test_a_damaged_record_is_no_record(content: bytes | None, folder: Path) -> None:
    pretend_compiled(folder)
    kind = backends.kind("float32", None)
    assert disk_cache.write_speeds({kind: 9.0})
    record = folder / "speeds.txt"
    library = record.read_bytes().splitlines()[0]
    forget()
    record.unlink()
    if content is None:
        record.mkdir()
    else:
        record.write_bytes(content.replace(b"{kind}", kind.encode()).replace(b"{library}", library))
    assert backends.choice("float32").name == "c"


def test_without_a_folder(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    forget()
    assert (
        disk_cache.folder() is None
        and not disk_cache.compiled("float32")
        and not disk_cache.write_speeds({"float32": 2.0})
    )
    assert backends.choice("float32").name == "c"
    assert main(["warmup"]) == 2
    assert capsys.readouterr().err.startswith("fastnn warmup: there is no folder to keep compiled kernels in; name one")


# --- the command ----------------------------------------------------------------------------------------------------


def test_warmup_compiles_measures_and_keeps(tmp_path: Path) -> None:
    """First some functions are missing; then `auto` does what was measured, and Numba compiles nothing more."""
    load("numba")
    load("c")
    compiled = disk_cache.folder()
    assert compiled is not None
    cache = tmp_path / "cache"
    shutil.copytree(
        compiled, cache / "fastnn" / compiled.name, ignore=shutil.ignore_patterns("speeds.txt", "team._alone*")
    )
    run = (
        "import sys\nfrom fastnn.cli import main, warmup\nwarmup.ROUNDS, warmup.ROUND_SECONDS = 1, 0.001\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    first = json.loads(child(run, cache, "warmup", "--json"))
    assert first["folder"].startswith(str(cache)) and list(first["compiled"]) == ["float32"]
    assert first["compiled"]["float32"] > 0.0
    assert len(first["speeds"]) == (2 if config.get_num_threads() == 1 else 4)
    assert all(kind.startswith("float32, ") and speed > 0.0 for kind, speed in first["speeds"].items())
    assert "float32: compiled already\n" in child(run, cache, "warmup")

    use = (
        "from fastnn import backends\nfrom fastnn.backends import disk_cache\nfrom test_fallback import weights\n"
        "(key,) = {kind for kind in disk_cache.speeds_on_disk() if kind == backends.kind('float32', 0)}\n"
        "speed = disk_cache.speeds_on_disk()[key]\n"
        "assert backends.choice('float32', 0).name == ('numba' if speed > 1 + backends.LOADING else 'c')\n"
        "print(weights('numba') == weights('c'))"
    )
    assert child(use, cache) == "True\n"


def test_warmup_without_numba(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(backends._reasons, "numba", "not installed")
    assert main(["warmup"]) == 2
    said = "fastnn warmup: there is nothing to compile: numba is not available (not installed)\n"
    assert capsys.readouterr().err == said
