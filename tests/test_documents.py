"""What the documents say about the code is made from it, or checked against it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn.core import operations
from support import load

PACKAGE = Path(fastnn.__file__).parent
MAP = (PACKAGE / "README.md").read_text()
README = (Path(__file__).parent.parent / "README.md").read_text()
NUMBA = "backends/numba_cpu"
CUDA = "backends/cuda"


def test_operation_table() -> None:
    """The table in fastnn/README.md is what `python -m fastnn.core.operations` prints."""
    between = MAP.partition("`python -m fastnn.core.operations` -->\n")[2].partition("<!-- end of operations -->")[0]
    assert between.strip() == operations.table()


def test_every_file_is_on_a_map() -> None:
    """A file that no map names would have to be explained. Elsewhere modules are what they are called."""
    pages = {
        "core": MAP,
        "engine": MAP,
        "backends": MAP,
        **{own: (PACKAGE / own / "README.md").read_text() for own in (NUMBA, CUDA)},
    }
    for folder, page in pages.items():
        for path in (PACKAGE / folder).glob("*.py"):
            assert path.name == "__init__.py" or f"`{path.name}`" in page, path


def run_blocks(page: str, tmp_path: Path) -> int:
    """Runs the Python blocks of a page, one after the other, without a warning; a text block after one is what that
    prints. Gives how many there are."""
    for name in ("numba", "c"):
        load(name)
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", page, re.DOTALL)
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
    return len(blocks)


def test_readme_examples(tmp_path: Path) -> None:
    assert run_blocks(README, tmp_path) >= 5
    assert (tmp_path / "digits.safetensors").exists()


@pytest.mark.parametrize("page", sorted((PACKAGE / "guide").glob("*.md")), ids=lambda page: page.stem)
def test_guide(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    if "sklearn" in text:
        pytest.importorskip("sklearn")
    assert run_blocks(text, tmp_path) >= 2
