"""The examples in docstrings: each runs, and prints what stands there."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnn
from support import load

PACKAGE = Path(fastnn.__file__).parent
MODULES = [
    ".".join(("fastnn", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if "\n    >>> " in path.read_text() or "\n        >>> " in path.read_text()
]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Examples set a seed, which holds for the process."""
    load("c")
    monkeypatch.setenv("FASTNN_BACKEND", "c")
    yield
    fastnn.config.set_seed(None)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed


def test_what_is_used_first_has_an_example() -> None:
    first = [fastnn.Sequential, fastnn.Model, fastnn.load_model, fastnn.layers.Dense, fastnn.callbacks.EarlyStopping]
    first += [fastnn.layers.Normalization, fastnn.optimizers.SGD, fastnn.utils.set_random_seed]
    assert all(">>>" in (thing.__doc__ or "") for thing in first)
