"""What the documents say about the code is made from it, or checked against it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import fastnn
from fastnn.core import operations
from pages import BLOCK, EXAMPLES, agrees, run_blocks, run_command
from support import load

PACKAGE = Path(fastnn.__file__).parent
REPOSITORY = Path(__file__).parent.parent
MAP = (PACKAGE / "README.md").read_text()
README = (REPOSITORY / "README.md").read_text()
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


@pytest.fixture
def _as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What outputs depend on: the backend that their last lines name, and a seed that other tests may have set."""
    for name in ("numba", "c"):
        load(name)
    monkeypatch.setenv("FASTNN_BACKEND", "c")
    monkeypatch.chdir(tmp_path)
    fastnn.config.set_seed(None)


@pytest.fixture
def _seedless() -> object:
    """Pages set seeds, which hold for the process."""
    yield
    fastnn.config.set_seed(None)


def test_outputs_differ_in_what_was_measured_alone() -> None:
    page = "first\n...\nloss 0.25 · 1,234 samples/s · 5.7 ms\n"
    assert agrees(page, "first\nsecond\nthird\nloss 0.25 · 98k samples/s · 12 ms\n")
    assert not agrees(page, "first\nloss 0.26 · 1,234 samples/s · 5.7 ms\n")
    assert not agrees(page, "loss 0.25 · 1,234 samples/s · 5.7 ms\n")
    assert not agrees(page, "first\nloss 0.25 · 1,234 samples/s · 5.7 s\n")


@pytest.mark.usefixtures("_as_documented", "_seedless")
def test_readme(tmp_path: Path) -> None:
    """Its first two blocks are what a new checkout is tried with, and tested; all others run."""
    first, second, *_ = (body.strip() for _, body in BLOCK.findall(README))
    assert first == "pip install . && fastnn train digits" and second.endswith("&& pytest")
    assert len(README.splitlines()) <= 150
    assert run_blocks(README, tmp_path) >= 3


@pytest.mark.usefixtures("_as_documented", "_seedless")
@pytest.mark.parametrize("page", sorted((PACKAGE / "guide").glob("*.md")), ids=lambda page: page.stem)
def test_guide(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    if "sklearn" in text:
        pytest.importorskip("sklearn")
    assert run_blocks(text, tmp_path) >= 1


@pytest.mark.usefixtures("_as_documented", "_seedless")
@pytest.mark.parametrize(
    "path", [p for p in sorted((PACKAGE / "examples").glob("*.py")) if p.stem != "__init__"], ids=lambda path: path.stem
)
def test_examples(path: Path) -> None:
    """Each prints what its first lines say."""
    command = f"{EXAMPLES}{path.stem}"
    told = (path.read_text().split('"""')[1] + "\n").partition(f"$ {command}\n")[2].partition("\n\n")[0]
    printed = run_command(command)
    assert told and agrees(told, printed), printed


def test_notebook(tmp_path: Path) -> None:
    """It runs from the first cell to the last, and ends with what it says."""
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.read(PACKAGE / "examples" / "first_steps.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells)  # as it is kept
    client.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    texts = ["".join(output.get("text", "") for output in cell.get("outputs", [])) for cell in book.cells]
    assert any("this is a 3" in text for text in texts)
    assert [text for text in texts if text][-1] == "True\n"


def test_links() -> None:
    """Where the pages point to, there is something."""
    pages = [REPOSITORY / name for name in ("README.md", "benches/README.md", "benches/RESULTS.md", "CHANGELOG.md")]
    pages += (REPOSITORY / "fastnn").rglob("*.md")
    for page in pages:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`benches/results.py`."""
    monkeypatch.syspath_prepend(REPOSITORY / "benches")
    return importlib.import_module("results")


def test_results_are_of_the_files(results: ModuleType) -> None:
    """What shows the speed is what `python benches/results.py` makes of benches/results/."""
    found = results.load()
    assert results.PAGE.read_text() == results.page(found)
    assert results.readme(README, found.comparisons) == README
    for ink in results.INKS:
        assert found.digest in results.place(ink).read_text(), "out of date: python benches/results.py"
        assert results.place(ink).relative_to(REPOSITORY).as_posix() in README


def test_picture(results: ModuleType) -> None:
    """It stands by itself, in either ink."""
    pytest.importorskip("matplotlib")
    found = results.load()
    light, dark = (results.picture(ink, found) for ink in results.INKS)
    for text, ink, other in ((light, *results.INKS.values()), (dark, *reversed(results.INKS.values()))):
        assert ink in text and other not in text and "currentColor" not in text and "var(" not in text
        assert ElementTree.fromstring(text).tag.endswith("svg")
