"""Builds the C backend's extension with cffi: run by setuptools through `cffi_modules` in setup.py."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from cffi import FFI

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE))

from generate import write  # noqa: E402 - beside this file, which is not in a package

# -Os or -O1 of a distribution would cost speed, never bits: what follows comes later on the command line.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fvisibility=hidden", "-g0"]
THREADS = [] if os.name == "nt" else ["-pthread"]
# Those that take longest to compile first, so that no core is left with one of them at the end.
FILES = (
    "gemm_blocks", "gemm_few", "elementwise", "softmax", "losses", "normalization", "parameters", "optimizers", "rows",
    "rowwise", "gemm", "dense", "binary", "operations", "transpose", "network", "philox", "update", "penalties",
    "dropout", "worker", "calls", "threads", "programs", "prefetch", "levels", "pool", "fma",
)  # fmt: skip

# setuptools wants paths relative to the folder of setup.py, which is where it runs this.
HERE = "csrc"
# What the generated headers are made from.
_CORE = (
    "arithmetic", "binary", "formulas", "functions", "instructions", "losses", "operations", "plan", "random",
    "rowwise", "steps",
)  # fmt: skip
CONTRACT = [f"fastnn/core/{name}.py" for name in _CORE]
CONTRACT.append("fastnn/backends/tuning.py")


def declarations() -> str:
    """What fastnn.h declares, without the preprocessor."""
    text = (SOURCE / "fastnn.h").read_text(encoding="utf-8")
    return text.partition("/* declarations:")[2].partition("*/")[2].partition("/* end of declarations */")[0]


generated = Path(tempfile.mkdtemp(prefix="fastnn-headers-"))
atexit.register(shutil.rmtree, generated, ignore_errors=True)
write(generated)

library = FFI()
library.cdef(declarations())
library.set_source(
    "fastnn.backends.c._fastnn",
    '#include "fastnn.h"',
    sources=[f"{HERE}/{name}.c" for name in FILES],
    depends=[*(f"{HERE}/{path.name}" for path in (*SOURCE.glob("*.[ch]"), *SOURCE.glob("*.py"))), *CONTRACT],
    include_dirs=[HERE, str(generated)],
    extra_compile_args=[*FLAGS, *THREADS],
    extra_link_args=THREADS,
    optional=True,
)
