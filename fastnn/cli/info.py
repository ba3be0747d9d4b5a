"""`fastnn info`: what this installation is and what it can use here; `fastnn info MODEL`: what is in a file."""

from __future__ import annotations

import argparse
import os
import platform
from typing import Any

from . import cards, options

HELP = "show the version, the processor, the threads, each backend with why it is not available, and what is in a model"

# What decides which kernels run and how fast; the rest of a processor's list is noise here.
FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "avx512bw", "neon")


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser("info", help=HELP, description=HELP)
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a file that `fastnn train` or `model.save` wrote: says what is in it instead",
    )
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    if args.model is not None:
        from . import contents

        return contents.run(args)
    import fastnn

    from .. import config

    reasons = fastnn.backends.available()
    report: dict[str, Any] = {
        "fastnn": fastnn.__version__,
        "versions": _versions(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "processor": _processor(),
        "threads": fastnn.get_num_threads(),
        "backends": {name: reason or "available" + _details(name) for name, reason in reasons.items()},
        "available": [name for name, reason in reasons.items() if not reason],
        "auto": _auto(config.default_backend()),
    }
    if args.json:
        options.print_json(report)
        return 0
    rows = [
        ("fastnn", f"{report['fastnn']}, {', '.join(report['versions'])}"),
        ("machine", report["machine"]),
        ("processor", report["processor"]),
        ("threads", f"{report['threads']} of {os.cpu_count()} logical cores"),
        *_listed("backends", report["backends"]),
        *_listed("auto", report["auto"]),
    ]
    for name, text in rows:
        options.answer(f"{name:12}{text}\n")
    return 0


def _listed(name: str, texts: dict[str, str]) -> list[tuple[str, str]]:
    return [("" if index else name, f"{key}: {text}") for index, (key, text) in enumerate(texts.items())]


def _details(name: str) -> str:
    """How an available backend runs here."""
    if name == "numba":
        return ", threads of its own"
    if name == "c":
        from ..backends import c

        return f", {c.level()}, {'threads of its own' if os.name == 'posix' else 'one thread'}"
    if name == "cuda":
        return f": {_card()}"
    return ""


def _card() -> str:
    """The card, its memory and driver, and what is compiled for it."""
    from ..backends.cuda import cubins
    from ..backends.cuda.device import card

    found = card()
    what = "the emulated card, which is none: " if found.emulated else ""
    memory, known = found.total_bytes() / 1e9, ".".join(map(str, found.driver))
    kept = cubins.count(found.arch, ".ptx" if found.emulated else ".cubin")
    return (
        f"{what}{found.name}, {found.arch}, {memory:.1f} GB, a driver for CUDA {known}, {kept} kernels compiled in "
        f"{cubins.carried() or cubins.place()}; {cards.explained()}"
    )


def _auto(backend: str) -> dict[str, str]:
    """What `auto` takes and why: one entry if it is always the same, else one for each kind of network."""
    from ..backends import LARGE, choice
    from ..config import DTYPES

    if backend != "auto":
        return {backend: "FASTNN_BACKEND names it"}
    kinds = {(dtype, size): choice(dtype, size) for dtype in DTYPES for size in (0, LARGE)}
    if len(set(kinds.values())) == 1:
        return dict([kinds[DTYPES[0], 0]])
    found = {}
    for dtype in DTYPES:
        small, large = kinds[dtype, 0], kinds[dtype, LARGE]
        if small == large:
            found[dtype] = f"{small.name}: {small.why}"
        else:
            found[f"{dtype}, small networks"] = f"{small.name}: {small.why}"
            found[f"{dtype}, networks of {LARGE:,} parameters or more"] = f"{large.name}: {large.why}"
    return found


def _versions() -> list[str]:
    from importlib import metadata

    found = []
    of_card = ("numba-cuda", "cuda-core")  # which most have no use for
    for name in ("numpy", "numba", "llvmlite", *of_card):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            if name not in of_card:
                found.append(f"no {name}")
    return found


def _processor() -> str:
    try:
        import llvmlite.binding as llvm
    except Exception:  # a broken installation may fail in any way
        return platform.processor() or platform.machine()
    features = llvm.get_host_cpu_features()
    names = " ".join(name for name in FEATURES if features.get(name))
    return f"{llvm.get_host_cpu_name()}: {names or 'no vector features known here'}"
