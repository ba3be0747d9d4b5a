"""What the documents say about the code is made from it, or checked against it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import fastnn
from fastnn import operations
from support import load

PACKAGE = Path(fastnn.__file__).parent
MAP = (PACKAGE / "README.md").read_text()
README = (Path(__file__).parent.parent / "README.md").read_text()
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


def test_readme_examples(tmp_path: Path) -> None:
    """Its Python blocks run, one after the other, without a warning; a text block after one is what that prints."""
    for name in ("numba", "c"):
        load(name)
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", README, re.DOTALL)
    assert len(blocks) >= 5
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\nprint('---')\n".join(code for code, _ in blocks)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (_, expected), printed in zip(blocks, done.stdout.split("---\n"), strict=True):
        assert not expected or printed == expected
    assert (tmp_path / "digits.safetensors").exists()
