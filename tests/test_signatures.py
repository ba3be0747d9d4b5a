"""The signatures that `help` shows: each argument and each result has a type, and none is called anything."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from typing import Any

from fastnn.core import types
from test_docstrings import PUBLIC

NEED_SKLEARN = ("estimators", "wrappers") if importlib.util.find_spec("sklearn") else ()
# What may be anything, and why.
TRUE = {"Model.call": "subclasses write it, with arguments and results of their own"}
IGNORED = re.compile(r"Callable\[(\.\.\.|\[.*?\]), object\]")  # what such a function returns is not looked at


def functions() -> Iterator[tuple[str, Any]]:
    """What is called, in public modules and classes, each once, by its name there."""
    known: set[object] = set()
    for name in (*PUBLIC, "config", *NEED_SKLEARN):
        module = importlib.import_module("fastnn" if name == "fastnn" else f"fastnn.{name}")
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        for public in getattr(module, "__all__", own):
            thing = getattr(module, public)
            if public.startswith("_") or not str(getattr(thing, "__module__", "")).startswith("fastnn"):
                continue
            for label, function in _called(thing):
                if function not in known:
                    known.add(function)
                    yield label, function


def _called(thing: Any) -> Iterator[tuple[str, Any]]:
    """A function, or the methods that a class has from the package."""
    if inspect.isfunction(thing):
        yield thing.__qualname__, thing
    for base in thing.__mro__ if inspect.isclass(thing) else ():
        for name, value in vars(base).items():
            method = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            shown = not name.startswith("_") or name in ("__init__", "__call__")
            if shown and inspect.isfunction(method) and method.__module__.startswith("fastnn"):
                yield method.__qualname__, method


def vague(function: Any) -> Iterator[str]:
    """The arguments of a function without a real type, and its result."""
    signature = inspect.signature(function)
    of = {name: one.annotation for name, one in signature.parameters.items() if name not in ("self", "cls")}
    for name, given in (of | {"return": signature.return_annotation}).items():
        rest = name in signature.parameters and signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        if rest and given == "object":  # Keras's others, refused by name or without effect; or all that `fit` takes
            continue
        if given is not None and (not isinstance(given, str) or re.search(r"\b(Any|object)\b", IGNORED.sub("", given))):
            yield name


def test_types_are_real() -> None:
    found = dict(functions())
    assert {"relu", "Trainer.fit", "Dense.__init__", "load_model", "Sequential.pop"} <= set(found)
    wrong = {f"{label}: {name}" for label, function in found.items() for name in vague(function)}
    assert {one for one in wrong if one.partition(":")[0] not in TRUE} == set()


def test_what_a_checker_takes_for_any_is_real_otherwise() -> None:
    names = re.findall(r"^    (\w+): TypeAlias = Any$", inspect.getsource(types), re.M)
    assert len(names) > 5 and all(getattr(types, name) is not Any for name in names)
