"""Every run of hypothesis tries the same examples, and a runner's threads hold for its whole test."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import support
from support import Runner, load, threads

support.runs_tests = True

# Child processes import the installed package, not the checkout that they are started in.
os.environ["PYTHONSAFEPATH"] = "1"

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it

settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.load_profile("fixed")


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is the current one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models compute by NumPy, where nothing else is said."""
    monkeypatch.setenv("FASTNN_BACKEND", "reference")


@pytest.fixture
def pandas() -> None:
    """Reading tables needs it."""
    pytest.importorskip("pandas")


@pytest.fixture
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A backend and its number of threads; parametrize with `indirect`."""
    name, number = request.param
    load(name)
    with threads((name, number)):
        yield name, number
