"""Builds the C backend's extensions with cffi: run by setuptools through `cffi_modules` in setup.py.

`library` is everything in fastnn.h; `openmp` only starts threads, and is apart so that a machine without OpenMP's
runtime can still load the rest.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE))

from generate import write  # noqa: E402 - beside this file, which is not in a package

# -Os or -O1 of a distribution would cost speed, never bits: what follows comes later on the command line.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fvisibility=hidden", "-g0"]
FILES = (
    "gemm", "gemm_blocks", "transpose", "elementwise", "softmax", "losses", "normalization", "optimizers", "philox",
    "rows", "parameters", "network", "worker", "levels", "operations", "programs", "threads", "fma",
)  # fmt: skip

# setuptools wants paths relative to the folder of setup.py, which is where it runs this.
HERE = "csrc"
GENERATED = Path("build", "generated")


def declarations(header: str) -> str:
    """What a header declares, without the preprocessor."""
    text = (SOURCE / header).read_text(encoding="utf-8")
    if header == "fastnn.h":
        return text.partition("/* declarations:")[2].partition("*/")[2].partition("/* end of declarations */")[0]
    return re.sub(r"^#.*$", "", text, flags=re.M)


def has_openmp() -> bool:
    """Whether the compiler takes -fopenmp and its runtime links."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
        command = [*compiler, "-fopenmp", str(source), "-o", str(Path(folder, "try"))]
        try:
            return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


write(GENERATED)
INCLUDE = [HERE, str(GENERATED)]

library = FFI()
library.cdef(declarations("fastnn.h"))
library.set_source(
    "fastnn.backends.c._fastnn",
    '#include "fastnn.h"',
    sources=[f"{HERE}/{name}.c" for name in FILES],
    depends=[*(f"{HERE}/{path.name}" for path in SOURCE.glob("*.[ch]")), *map(str, GENERATED.glob("*.h"))],
    include_dirs=INCLUDE,
    extra_compile_args=FLAGS,
    optional=True,
)

OPENMP = ["-fopenmp"] if has_openmp() else []
openmp = FFI()
openmp.cdef(declarations("openmp.h"))
openmp.set_source(
    "fastnn.backends.c._openmp",
    '#include "openmp.h"',
    sources=[f"{HERE}/openmp.c"],
    include_dirs=INCLUDE,
    extra_compile_args=[*FLAGS, *OPENMP],
    extra_link_args=OPENMP,
    optional=True,
)
