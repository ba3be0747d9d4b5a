"""What is installed: the version, light imports, and that the tests see the installed package and not the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import fastnn

DISTRIBUTION = "fastnn-dense"
HEAVY = ("numba", "llvmlite", "rich", "cffi", "safetensors", "pandas", "argparse", "multiprocessing")


def distribution() -> metadata.Distribution:
    try:
        return metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("fastnn runs from a checkout on the path and is not installed")


def test_is_the_installed_package() -> None:
    url = distribution().read_text("direct_url.json") or ""
    if re.search(r'"editable":\s*true', url) and os.environ.get("CI") != "true":
        pytest.skip("an editable installation")
    assert fastnn.__file__ is not None
    sites = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    assert any(Path(fastnn.__file__).resolve().is_relative_to(site) for site in sites), fastnn.__file__


def test_version_has_one_source() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", fastnn.__version__)
    assert distribution().version == fastnn.__version__


def test_import_loads_numpy_and_nothing_heavier() -> None:
    code = "import numpy, sys; had = set(sys.modules); import fastnn; print(*(set(sys.modules) - had))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in run.stdout.split()} & set(HEAVY)


def test_nothing_unresolved_in_the_public_names() -> None:
    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None


def test_command_is_declared() -> None:
    (entry,) = [e for e in distribution().entry_points if e.group == "console_scripts"]
    assert (entry.name, entry.value) == ("fastnn", "fastnn.cli:main")


def test_the_module_is_the_command(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "fastnn", "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout == f"fastnn {fastnn.__version__}\n", run.stderr


def test_a_checkout_says_that_it_is_one(tmp_path: Path) -> None:
    """Its package has no extension beside it, although the installed one does."""
    source = Path(fastnn.__file__ or "").parent
    without = shutil.ignore_patterns("__pycache__", "_fastnn.*")
    shutil.copytree(source, tmp_path / "fastnn", ignore=without)
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "build.py").touch()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    code = "import fastnn; print(fastnn.backends.available()['c'])"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.startswith(f"not built: {tmp_path} is the checkout, not the installed package; run Python in")


def test_licences_ship() -> None:
    names = [Path(str(file)).name for file in distribution().files or []]
    assert {"LICENSE", "digits.LICENSE.txt", "iris.LICENSE.txt", "py.typed"} <= set(names)
