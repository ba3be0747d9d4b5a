"""The emulated card's tests run where the extra cuda13 is, and gcc; elsewhere each is skipped by name."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def missing() -> str:
    """What the tests lack here, or nothing."""
    if importlib.util.find_spec("numba_cuda") is None:
        return 'the extra cuda13 is not installed: pip install ".[cuda13]"'
    return "" if shutil.which("gcc") else "the emulated card needs gcc"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    for item in items:
        if reason and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def settings_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The card's settings are variables of the environment: each test has its own."""
    from emulated_card.raw import SETTINGS

    for name in SETTINGS:
        monkeypatch.delenv(f"EMULATED_{name}", raising=False)
    yield
