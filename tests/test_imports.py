"""Imports point down the map of fastnn/README.md, those inside functions too: no module can be part of a cycle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnn

PACKAGE = Path(fastnn.__file__).parent
FACADE = PACKAGE / "__init__.py"  # gives every name of the package, and is imported by what is above the map alone


def order() -> list[str]:
    """The files and folders of the map's first table, from the top, a row from the left."""
    table = (PACKAGE / "README.md").read_text(encoding="utf-8").split("| --- | --- |\n")[1].split("\n\n")[0]
    return [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def place(path: Path) -> str:
    """The entry of the map for a file: a folder at the top stands for all that is in it."""
    first, *rest = path.relative_to(PACKAGE).parts
    return f"{first}/" if rest else first


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != FACADE)


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from nodes(node)


def imports(path: Path) -> Iterator[Path]:
    """The files of the package that a file imports."""
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert path.is_relative_to(PACKAGE / "cli") or not any(name.startswith("fastnn") for name in names), path
        elif isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            targets = [folder / alias.name for alias in node.names] if folder.is_dir() else [folder]
            for target in targets:
                file = target.with_suffix(".py")
                yield file if file.is_file() else (target if target.is_dir() else folder) / "__init__.py"


def test_the_map_names_every_module_once() -> None:
    names = order()
    assert len(names) == len(set(names))
    assert {place(path) for path in modules()} == {re.sub(r"/.+", "/", name) for name in names}


def test_imports_are_found() -> None:
    found = {path.relative_to(PACKAGE).as_posix() for path in imports(PACKAGE / "sequential.py")}
    assert {"saving.py", "backends/protocol.py", "advice.py"} <= found  # the last is imported inside a function
    assert "callbacks/__init__.py" not in found  # for the type checker only


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    names = order()
    for imported in imports(path):
        if imported == FACADE:  # `from .. import __version__`
            assert place(path) == "cli/"
        elif place(imported) != place(path):
            assert names.index(place(imported)) > names.index(place(path)), f"{path.name} imports {imported.name}"
