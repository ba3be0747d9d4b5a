"""On which instruction set each library runs."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

_NAMES = ("scipy_openblas_get_config64_", "scipy_openblas_get_config", "openblas_get_config64_", "openblas_get_config")


def openblas() -> str:
    """What each OpenBLAS of this process says of itself: version and the processor whose kernels it runs; empty if
    there is none, or the system does not tell which libraries are loaded."""
    maps, found = Path("/proc/self/maps"), []
    if not maps.exists():
        return ""
    for path in sorted({line.split()[-1] for line in maps.read_text().splitlines() if "openblas" in line}):
        library = ctypes.CDLL(path)
        for name in _NAMES:
            if hasattr(library, name):
                config = getattr(library, name)
                config.restype = ctypes.c_char_p
                words = config().decode().split()
                kernels = [word for word in words[2:] if not word.isupper() and "=" not in word]
                found.append(" ".join([*words[:2], *kernels]))
                break
    return ", ".join(dict.fromkeys(found))


def runs_on(job: dict[str, Any]) -> str:
    """Of the library of a job, once it has computed."""
    library, backend = job["library"], job["backend"]
    if backend == "c":
        from ..backends import c

        return c.level()
    if backend == "numba":
        from ..backends.numba_cpu.cpu import cpu, vector_bytes

        return f"{cpu()[0]}, {8 * vector_bytes()} bits"
    if library in ("torch", "compile"):
        import torch

        return f"{torch.backends.cpu.get_cpu_capability()}, MKL and oneDNN"
    if library in ("jax", "keras"):
        return "XLA, for this processor"
    return openblas()
