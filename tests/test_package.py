"""What is installed: the version, light imports, and that the tests see the installed package and not the checkout."""

from __future__ import annotations

import os
import re
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


def test_licences_ship() -> None:
    names = [Path(str(file)).name for file in distribution().files or []]
    assert "LICENSE" in names and "digits.LICENSE.txt" in names and "py.typed" in names
