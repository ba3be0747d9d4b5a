"""`fastnn info`: what this installation is and what it can use here."""

from __future__ import annotations

import argparse
import os
import platform
from importlib import metadata
from typing import Any

import fastnn

HELP = "show the version, the processor, the threads, and each backend with why it is or is not available"

# What decides which kernels run and how fast; the rest of a processor's list is noise here.
FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "avx512bw", "neon")


def add_parser(commands: Any) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser("info", help=HELP, description=HELP)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    backends = fastnn.backends.available()
    threads = f"{fastnn.get_num_threads()} of {os.cpu_count()} logical cores"
    rows = [
        ("fastnn", f"{fastnn.__version__}, {_versions()}"),
        ("machine", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ("processor", _processor()),
        ("threads", threads if backends["numba"] else f"{threads}, layer {_threading_layer()}"),
    ]
    for name, reason in backends.items():
        rows.append((f"backend {name}", f"not available: {reason}" if reason else "available"))
    for name, text in rows:
        print(f"{name:18} {text}")
    return 0


def _versions() -> str:
    found = []
    for name in ("numpy", "numba", "llvmlite"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _processor() -> str:
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return platform.processor() or platform.machine()
    features = llvm.get_host_cpu_features()
    names = " ".join(name for name in FEATURES if features.get(name))
    return f"{llvm.get_host_cpu_name()}: {names or 'no vector features known here'}"


def _threading_layer() -> str:
    """Which of its layers (omp, tbb, workqueue) Numba takes here; it decides when threads are first launched."""
    import numba
    from numba.np.ufunc import parallel

    parallel._launch_threads()
    return str(numba.threading_layer())
