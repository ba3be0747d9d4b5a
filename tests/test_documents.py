"""What the documents say about the code is made from it, or checked against it."""

from __future__ import annotations

from pathlib import Path

import fastnn
from fastnn import operations

PACKAGE = Path(fastnn.__file__).parent
MAP = (PACKAGE / "README.md").read_text()
FOLDERS = ("cli", "datasets", "layers", "metrics", "optimizers", "callbacks")  # their modules are what they are called


def test_operation_table() -> None:
    """The table in fastnn/README.md is what `python -m fastnn.operations` prints."""
    between = MAP.partition("`python -m fastnn.operations` -->\n")[2].partition("<!-- end of operations -->")[0]
    assert between.strip() == operations.table()


def test_every_module_is_on_the_map() -> None:
    """A file that the map does not name would have to be explained."""
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(PACKAGE)
        folder = relative.parts[0] in FOLDERS or relative.parts[:2] == ("backends", "reference")
        assert folder or path.name == "__init__.py" or f"`{path.name}`" in MAP, relative
