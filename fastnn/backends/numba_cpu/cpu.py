"""The CPU that is compiled for."""

from __future__ import annotations

from llvmlite import binding
from numba.core import config


def cpu() -> tuple[str, str]:
    """(name, features), as Numba takes them: the host's, or NUMBA_CPU_NAME and NUMBA_CPU_FEATURES."""
    name, features = config.CPU_NAME, config.CPU_FEATURES
    return (
        name or binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten() if features is None else features,
    )


def vector_bytes() -> int:
    """The widest vector that it has."""
    enabled = set(cpu()[1].split(","))
    if "+avx512f" in enabled:
        return 64
    return 32 if "+avx2" in enabled else 16
