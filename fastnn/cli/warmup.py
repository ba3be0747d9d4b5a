"""`fastnn warmup`: compile Numba's kernels for later, and measure which backend is faster here; or compile those of a
card that may be in another machine."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from ..core.printing import say
from ..errors import FastnnError
from . import cards, options

HELP = "compile Numba's kernels for this machine, once, and measure whether they or C are faster"
DESCRIPTION = """\
Compiles what the backend "numba" needs and keeps it on disk, then trains small
and large networks with "numba" and "c" for a few seconds and keeps which one
was faster: `auto` takes that one from the next process on. Where there is a
card for "cuda", it measures networks of several sizes beside "c", too. Run it
while the machine does little else. All compute the same bits; until then `auto`
takes "c", which needs no compilation.
"""

# A network of each size: units from the inputs to the classes, and the batch.
NETWORKS = {"small": ((64, 32, 10), 32), "large": ((784, 256, 128, 10), 128)}
ROUNDS = 15
ROUND_SECONDS = 0.02


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "warmup", help=HELP, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64", "both"), default="float32", help="of which models (float32)"
    )
    parser.add_argument(
        "--cuda",
        metavar="ARCH",
        help='compile the kernels of "cuda" for a card such as sm_90 instead, which need not be in this machine; they '
        "lie where FASTNN_CUDA_CUBINS points, or in the user's cache",
    )
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compile, measure, and say what was done and how long it took."""
    if args.cuda is not None:
        return _run_cuda(args)
    from .. import backends
    from ..backends import disk_cache

    reasons = backends.available()
    timed = not reasons["c"] and not cards.why_not_timed()
    if reasons["numba"] and not timed:
        raise FastnnError(f"there is nothing to compile: numba is not available ({reasons['numba']})")
    dtypes = ("float32", "float64") if args.dtype == "both" else (args.dtype,)
    if not reasons["numba"] and disk_cache.folder() is None and not all(map(disk_cache.compiled, dtypes)):
        raise FastnnError(
            "there is no folder to keep compiled kernels in; name one that can be written in NUMBA_CACHE_DIR"
        )
    report: dict[str, Any] = {"folder": str(disk_cache.place()), "compiled": {}, "speeds": {}}
    for dtype in dtypes if not reasons["numba"] else ():
        report["compiled"][dtype] = _compile(dtype, quiet=args.json)
    if not reasons["c"] and not reasons["numba"]:
        report["speeds"] = _measure(dtypes)
        kept = disk_cache.write_speeds({**disk_cache.speeds_on_disk(), **report["speeds"]})
        if not kept:
            say(f"fastnn warmup: the speeds cannot be kept in {report['folder']}", "stderr")
    if timed:
        report["card"] = cards.run(dtypes, _epoch, _speed)
    elif not reasons["cuda"]:
        say(f'fastnn warmup: "cuda" is not measured: {cards.why_not_timed()}', "stderr")
    if args.json:
        options.print_json(report)
        return 0
    for work, speed in report["speeds"].items():
        options.answer(f"{work}: numba trains {speed:.2f} times as fast as c\n")
    for line in report.get("card", ()):
        options.answer(f"{line}\n")
    options.answer(f"kept in {report['folder']}\n")
    return 0


def _run_cuda(args: argparse.Namespace) -> int:
    """Compile the kernels of a card that is named."""
    import re

    from ..backends.cuda import cubins

    if not re.fullmatch(r"sm_\d{2,3}", args.cuda):
        raise FastnnError(f"--cuda is {args.cuda!r}, expected a card's architecture such as sm_90")
    try:
        from ..backends.cuda import library, sources
    except ImportError as error:
        raise FastnnError(f'{error.name} is not installed; from the checkout: pip install ".[cuda13]"') from None
    parent = cubins.carried() or cubins.place()
    if parent is None:
        raise FastnnError("there is no folder to keep compiled kernels in; name one in FASTNN_CUDA_CUBINS")
    report: dict[str, Any] = {"folder": str(parent), "arch": args.cuda, "kernels": 0, "seconds": 0.0, "bytes": 0}
    begun = time.perf_counter()
    for dtype in ("float32", "float64") if args.dtype == "both" else (args.dtype,):
        for name in sources.names(dtype):
            code = library.cubin(name, dtype, args.cuda)
            if not cubins.write(f"{library.file_name(name, dtype)}.cubin", args.cuda, code, parent):
                raise FastnnError(f"{parent} cannot be written; name a folder in FASTNN_CUDA_CUBINS")
            report["kernels"] += 1
            report["bytes"] += len(code)
    report["seconds"] = round(time.perf_counter() - begun, 1)
    if args.json:
        options.print_json(report)
        return 0
    size = report["bytes"] / 1e6
    options.answer(f"{report['kernels']} kernels for {args.cuda}, {size:.1f} MB, in {report['seconds']} s: {parent}\n")
    return 0


def _compile(dtype: str, quiet: bool) -> float:
    """The seconds that compiling took; 0.0 if all was on disk."""
    from ..backends import disk_cache

    if disk_cache.compiled(dtype):
        if not quiet:
            say(f"{dtype}: compiled already")
        return 0.0
    from ..backends.numba_cpu import team

    begun = time.perf_counter()
    team.compile_all(dtype)
    seconds = time.perf_counter() - begun
    if not quiet:
        say(f"{dtype}: compiled in {seconds:.1f} s")
    return seconds


def _measure(dtypes: tuple[str, ...]) -> dict[str, float]:
    """How many times as fast as C Numba trains, by the kind of work."""
    from .. import backends, config

    speeds = {}
    for dtype in dtypes:
        for size, (units, batch) in NETWORKS.items():
            for threads in sorted({1, config.get_num_threads()}):
                config.set_num_threads(threads)
                kind = backends.kind(dtype, backends.LARGE if size == "large" else 0)
                speeds[kind] = _speed(*(_epoch(backend, dtype, units, batch) for backend in ("c", "numba")))
                config.set_num_threads(None)
    return speeds


def _epoch(backend: str, dtype: str, units: tuple[int, ...], batch: int) -> Callable[[], object]:
    """Trains a network on a few batches."""
    import numpy as np

    from .. import layers
    from ..backends.data import Data
    from ..models import Sequential

    hidden = [layers.Dense(width, activation="relu", dtype=dtype) for width in units[1:-1]]
    model = Sequential([layers.Input(units[:1]), *hidden, layers.Dense(units[-1], activation="softmax", dtype=dtype)])
    model.compile("adam", "sparse_categorical_crossentropy", backend=backend)
    rows = 8 * batch
    X = np.cos(np.arange(rows * units[0], dtype=dtype)).reshape(rows, units[0])
    data = Data((X,), (np.arange(rows)[:, None] % units[-1],), (), None, batch)
    engine = model.trainable_engine(X)
    sums = engine.scores.sums()
    return lambda: engine.program.run_steps(data, 0, data.steps, sums)


def _speed(c: Callable[[], object], other: Callable[[], object]) -> float:
    """How many times as fast as `c` another backend is: the median of rounds that time one right after the other, since
    other programs disturb a whole round more often than half of one."""
    ratios = sorted(_seconds(c) / _seconds(other) for _ in range(ROUNDS))
    return ratios[ROUNDS // 2]


def _seconds(train: Callable[[], object]) -> float:
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < ROUND_SECONDS:
        train()
        count += 1
    return (time.perf_counter() - begun) / count
