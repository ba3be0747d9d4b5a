"""Every run of hypothesis tries the same examples, and a runner's threads hold for its whole test."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

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
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A backend and its number of threads; parametrize with `indirect`."""
    name, number = request.param
    load(name)
    with threads((name, number)):
        yield name, number
