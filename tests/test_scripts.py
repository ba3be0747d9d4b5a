"""Scripts as tutorials for Keras write them, with nothing changed but the name; they assert what they learn."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import fastnn
from support import load

FOLDER = Path(__file__).parent / "scripts_keras"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
NEEDS = {"diabetes": "pandas"}


def run(name: str, package: str) -> None:
    """Runs a script in the current folder, with another package in the place of Keras."""
    path = FOLDER / f"{name}.py"
    text = re.sub(r"(?<![\w.])keras\b", package, path.read_text())
    module = ModuleType("__main__")
    exec(compile(text, str(path), "exec"), vars(module))


@pytest.mark.parametrize("backend", ["numba", "c"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(name: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    load(backend)
    monkeypatch.setenv("FASTNN_BACKEND", backend)
    monkeypatch.chdir(tmp_path)
    fastnn.utils.set_random_seed(1)  # for the scripts that do not: a test must not depend on luck
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "files have fastnn's own format", UserWarning)
            run(name, "fastnn")
    finally:
        fastnn.config.set_seed(None)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_they_are_scripts_for_keras(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Keras itself, where it is installed."""
    pytest.importorskip("keras")
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(name, "keras")
