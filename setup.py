"""How the extension module is built, which pyproject.toml cannot declare; everything else is there."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.egg_info import egg_info

SCRATCH = tempfile.mkdtemp(prefix="fastnn-build-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


class Build(build):
    """Leaves nothing in the checkout, where a stale build/ would install modules that are gone."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = SCRATCH


class EggInfo(egg_info):
    """Likewise, except for an sdist, which takes the folder along."""

    def initialize_options(self) -> None:
        super().initialize_options()
        if "sdist" not in sys.argv:
            self.egg_base = SCRATCH


class BuildExt(build_ext):
    """Compiles as many sources at a time as there are cores; setuptools takes one after the other."""

    def build_extension(self, ext: Extension) -> None:
        compile_in_turn = self.compiler.compile

        def compile_side_by_side(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_in_turn([source], **options), sources)
                return [file for files in objects for file in files]

        self.compiler.compile = compile_side_by_side
        super().build_extension(ext)


setup(
    cffi_modules=["csrc/build.py:library"],
    cmdclass={"build": Build, "egg_info": EggInfo, "build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
