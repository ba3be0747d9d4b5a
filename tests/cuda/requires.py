"""What the tests of this folder need, and are skipped by name without."""

import importlib.util
import os
import shutil

import pytest


def instrument() -> None:
    """At the top of a module of tests of the emulated card itself, test_card_*.py: skips it where they cannot run.

    They make the card new again and again, which a program under `run` would not survive: so they run without it.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip('needs the extra cuda13: pip install ".[cuda13]"', allow_module_level=True)
    if shutil.which("gcc") is None:
        pytest.skip("the emulated card needs gcc", allow_module_level=True)
    if "EMULATED_IN_PLACE" in os.environ:
        pytest.skip("the emulated card is in use: its own tests run without tests/cuda/run", allow_module_level=True)
