"""Builds the C backend's extension with cffi: run by setuptools through `cffi_modules` in setup.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cffi import FFI

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE))

from generate import write  # noqa: E402 - beside this file, which is not in a package

# -Os or -O1 of a distribution would cost speed, never bits: what follows comes later on the command line.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fvisibility=hidden", "-g0"]
THREADS = [] if os.name == "nt" else ["-pthread"]
FILES = (
    "gemm", "gemm_few", "gemm_blocks", "transpose", "elementwise", "softmax", "losses", "normalization", "optimizers",
    "philox", "prefetch", "dense", "rows", "penalties", "parameters", "network", "worker", "levels", "operations",
    "programs", "threads", "pool", "fma",
)  # fmt: skip

# setuptools wants paths relative to the folder of setup.py, which is where it runs this.
HERE = "csrc"
GENERATED = Path("build", "generated")


def declarations() -> str:
    """What fastnn.h declares, without the preprocessor."""
    text = (SOURCE / "fastnn.h").read_text(encoding="utf-8")
    return text.partition("/* declarations:")[2].partition("*/")[2].partition("/* end of declarations */")[0]


write(GENERATED)
INCLUDE = [HERE, str(GENERATED)]

library = FFI()
library.cdef(declarations())
library.set_source(
    "fastnn.backends.c._fastnn",
    '#include "fastnn.h"',
    sources=[f"{HERE}/{name}.c" for name in FILES],
    depends=[*(f"{HERE}/{path.name}" for path in SOURCE.glob("*.[ch]")), *map(str, GENERATED.glob("*.h"))],
    include_dirs=INCLUDE,
    extra_compile_args=[*FLAGS, *THREADS],
    extra_link_args=THREADS,
    optional=True,
)
