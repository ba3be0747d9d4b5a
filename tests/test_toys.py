"""Adding a layer and an optimizer takes a formula, a row, a declaration and an exact value, whatever the backend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
import toys
from support import child, load

PACKAGE = Path(fastnn.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[1]


def with_toys(folder: Path) -> None:
    """A copy of the package with the formulas and the rows of `toys.py`."""
    shutil.copytree(PACKAGE, folder / "fastnn", ignore=shutil.ignore_patterns("__pycache__"))
    for name, table, formulas, row in (
        ("rowwise.py", "ROW_WISE: dict[str, RowWise] = {", toys.LAYER_FORMULAS, toys.LAYER_ROW),
        ("steps.py", "OPTIMIZERS: dict[str, Optimizer] = {", toys.OPTIMIZER_FORMULAS, toys.OPTIMIZER_ROW),
    ):
        file = folder / "fastnn" / "core" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(table) == 1
        file.write_text(text.replace(table, f"{formulas}{table}{row}"), encoding="utf-8")


def build(folder: Path) -> None:
    """The copy's C library, quickly: its bits depend neither on the optimization nor on the instruction set."""
    shutil.copytree(CHECKOUT / "csrc", folder / "csrc")
    for name, slow, quick in (("build.py", '"-O3"', '"-O0"'), ("internal.h", "FNN_X86 1", "FNN_X86 0")):
        file = folder / "csrc" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(slow) == 1
        file.write_text(text.replace(slow, quick), encoding="utf-8")
    code = "import sys; sys.path.insert(0, 'csrc'); import build; build.library.compile()"
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]


@pytest.mark.slow
def test_toys_run_everywhere(tmp_path: Path) -> None:
    """Their exact values hold on every backend, and a training has the same bits on all of them."""
    names = ["reference", "numba"]
    with_toys(tmp_path)
    if (CHECKOUT / "csrc").exists() and shutil.which("cc"):
        build(tmp_path)
        names.append("c")
    load("numba")
    folders = [str(tmp_path), str(Path(__file__).parent), *filter(None, sys.path)]
    environment = {"PYTHONPATH": os.pathsep.join(folders), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run = child("-m", "toys", *names, **environment)
    assert run.returncode == 0, run.stderr[-4000:]
    package, *digests = run.stdout.splitlines()
    assert Path(package).is_relative_to(tmp_path)
    assert len(digests) == len(names) and len(set(digests)) == 1
