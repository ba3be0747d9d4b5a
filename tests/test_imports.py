"""The floors of fastnn/README.md: imports lead down or stay on their floor, and never in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fastnn

PACKAGE = Path(fastnn.__file__).parent
FACADE = PACKAGE / "__init__.py"  # gives every name of the package: above all floors
USERS = ("examples/", "cli/", "benchmarks/")  # what takes them from there, as everybody does


def floors() -> dict[str, int]:
    """The files and folders of the map's first table, each with the number of its row, from the top."""
    table = (PACKAGE / "README.md").read_text(encoding="utf-8").split("| --- | --- |\n")[1].split("\n\n")[0]
    rows = (re.findall(r"`([^`]+)`", row.split(" | ")[0]) for row in table.splitlines())
    return {name: number for number, names in enumerate(rows) for name in names}


def place(path: Path) -> str:
    """The entry of the map for a file: a folder at the top stands for all that is in it."""
    first, *rest = path.relative_to(PACKAGE).parts
    return f"{first}/" if rest else first


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != FACADE)


def imports(path: Path) -> Iterator[Path]:
    """The files of the package that a file imports, inside functions and for the type checker too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            public = place(path) in USERS
            assert public or not any(name.startswith("fastnn") for name in names), path
        elif isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            targets = [folder / alias.name for alias in node.names] if folder.is_dir() else [folder]
            for target in targets:
                file = target.with_suffix(".py")
                yield file if file.is_file() else (target if target.is_dir() else folder) / "__init__.py"


def test_the_map_names_every_module() -> None:
    assert {place(path) for path in modules()} == set(floors())
    assert len(list(PACKAGE.glob("*.py"))) <= 20


def test_imports_are_found() -> None:
    """A reader of imports that finds none would pass everything."""
    found = {path.relative_to(PACKAGE).as_posix() for path in imports(PACKAGE / "engine" / "compilable.py")}
    # At the top, for the type checker, and inside a function.
    assert {"engine/compiling.py", "backends/__init__.py", "optimizers/__init__.py", "engine/advice.py"} <= found


def test_imports_lead_down() -> None:
    number = floors()
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {imported.relative_to(PACKAGE)}"
        for path in modules()
        for imported in imports(path)
        if (place(path) not in USERS if imported == FACADE else number[place(imported)] < number[place(path)])
    ]
    assert not wrong


def test_no_circles() -> None:
    graph = {path: set(imports(path)) - {path} for path in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        names = " -> ".join(str(path.relative_to(PACKAGE)) for path in reversed(error.args[1]))
        raise AssertionError(f"a circle of imports: {names}") from None
