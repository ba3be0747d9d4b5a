"""The examples in docstrings: each runs, and prints what stands there."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnn
from support import load

PACKAGE = Path(fastnn.__file__).parent
MODULES = [
    ".".join(("fastnn", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if re.search(r"^ +>>> ", path.read_text(), re.M)
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
    if name.startswith(("fastnn.estimators", "fastnn.wrappers")):
        pytest.importorskip("sklearn")
    if name.startswith("fastnn.plotting"):
        pytest.importorskip("matplotlib")
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed


PUBLIC = (
    "fastnn", "activations", "backend", "backends", "callbacks", "datasets", "diagnostics", "errors", "gradcheck",
    "initializers", "layers", "losses", "metrics", "models", "ops", "optimizers", "optimizers.schedules", "plotting",
    "random", "regularizers", "utils",
)  # fmt: skip
# What stands without an example, and why none would help.
WITHOUT = {
    "does nothing": ["clear_session"],
    "made by other calls, whose examples show it": [
        "Choice", "History", "LayerHealth", "Monitor", "NonFiniteLossError", "Regularizer", "Result", "Rules",
    ],
    "raised, by what its sentence says": [
        "AbsentError", "ArgumentError", "ArgumentTypeError", "BackendError", "BusyError", "FileError", "NotBuiltError",
    ],
    "one sentence says it all": ["kind", "save_model", "serialize"],
}  # fmt: skip
METHODS = (
    "add", "apply_gradients", "build", "compile", "count_params", "evaluate", "fit", "get_layer", "get_weights",
    "gradients", "pop", "predict", "predict_on_batch", "save", "save_weights", "set_weights", "summary",
    "test_on_batch", "to_json", "train_on_batch",
)  # fmt: skip


def public() -> dict[str, object]:
    """Classes and functions by their names."""
    found: dict[str, object] = {}
    for name in PUBLIC:
        module = importlib.import_module("fastnn" if name == "fastnn" else f"fastnn.{name}")
        names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
        here = {n: getattr(module, n) for n in names}
        found |= {f"{name}.{n}": x for n, x in here.items() if inspect.isclass(x) or inspect.isfunction(x)}
    return {n: x for n, x in found.items() if getattr(x, "__module__", "").startswith("fastnn")}


def test_what_people_use_has_an_example() -> None:
    given = {name for names in WITHOUT.values() for name in names}
    without = {name.rpartition(".")[2] for name, x in public().items() if ">>>" not in (x.__doc__ or "")}
    assert without == given
    assert all(">>>" in (getattr(fastnn.Sequential, name).__doc__ or "") for name in METHODS)
    # Activations are objects of one class: each stands in the module's own example.
    names = [x.name for x in vars(fastnn.activations).values() if isinstance(x, fastnn.activations.Activation)]
    assert all(f"activations.{name}(" in (fastnn.activations.__doc__ or "") for name in names if name != "linear")
