"""Twin files read alike: the control flow of Numba and of C has the same functions in the same order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import fastnn

NUMBA = Path(fastnn.__file__).parent / "backends" / "numba_cpu"
CSRC = Path(__file__).resolve().parents[1] / "csrc"
TWINS = ("rows", "dense", "dropout", "network", "parameters", "update", "penalties", "operations", "worker")
# Functions that every family has, which C's are in its headers.
SHARED = ("expected", "scratch_size")


def python_functions(name: str) -> list[str]:
    """What Numba compiles of a file, in order."""
    body = ast.parse((NUMBA / f"{name}.py").read_text(encoding="utf-8")).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if node.decorator_list and node.name not in SHARED]


def c_functions(name: str) -> list[str]:
    """What a file of csrc/ defines, in order."""
    text = (CSRC / f"{name}.c").read_text(encoding="utf-8")
    found = re.findall(r"^\w[\w *]*?\b(?:FN\((\w+)\)|fnn_(\w+))\([^;{]*?\)\n\{", text, re.M)
    return [instance or plain for instance, plain in found]


@pytest.mark.skipif(not CSRC.exists(), reason="needs the checkout")
@pytest.mark.parametrize("name", TWINS)
def test_twins_have_the_same_functions(name: str) -> None:
    functions = python_functions(name)
    assert len(functions) >= 2 and functions == c_functions(name)
