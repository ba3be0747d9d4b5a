"""What whole processes cost: the import, a first training from the command line, and memory.

Import: wall time of `python -c "import fastnn"`, beside NumPy and an empty program; modules of fastnn are imported when
they are first used, so there is a column for a program that makes a layer. Training: `fastnn train digits
--epochs 1`, from the start of the process to the line of the first epoch, and to its end; warm is with the caches that
are there, cold with every cache of compiled code empty, and once more with Python's bytecode of all packages gone too.
The operating system's cache of files stays warm.

Memory: the peak of a process that trains, less the peak of a process with the same arrays and NumPy alone; less theta,
gradient and slots (theta x (2 + 2) with Adam), less one batch's inputs and activations: what is left is the fixed part.
At the end is the same of what is still held after the last epoch. Growth is from the second epoch to the last.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from fastnn.benchmarks import figures
from fastnn.benchmarks.processes import ITEMSIZE, Library, Session, cores, environment, say
from output import Output

IMPORTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "fastnn": "import fastnn",
    "fastnn, a layer": "import fastnn; fastnn.layers.Dense(1)",
}
COMMAND = "import sys; from fastnn.cli import main; sys.exit(main())"
PARTS = ("import", "train", "memory")
CACHES = ("warm", "cold", "cold, bytecode too")
VISITS = 5  # of each import in a round
MEGA = 1e6
EXAMPLES = """\
  python benches/startup.py                             all three
  python benches/startup.py --parts import --rounds 10
  python benches/startup.py --parts memory --networks 6 --epochs 50
  python benches/startup.py --tiny                      tries everything, measures nothing"""


def seconds_of(program: str, threads: int) -> float:
    """Wall time of a Python program."""
    with cores(threads):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=environment(threads), check=True)
        return time.perf_counter() - start


def imports(out: Output, args: argparse.Namespace) -> None:
    """The table of imports."""
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(args.rounds):
        say(f"import: round {number + 1} of {args.rounds}")
        for _ in range(1 if args.tiny else VISITS):
            for threads in args.threads:
                for name, program in IMPORTS.items():
                    found.setdefault((name, threads), []).append(seconds_of(program, threads))
    lines = []
    for threads in args.threads:
        times = {name: figures.spread(found[name, threads]) for name in IMPORTS}
        numpy = times["numpy"]
        cells = [f"{r.best * 1e3:.0f} ({r.median * 1e3:.0f})" for r in times.values()]
        own = [r for name, r in times.items() if name.startswith("fastnn")]
        ratios = [f"{r.best / numpy.best:.2f} ({r.median / numpy.median:.2f})" for r in own]
        lines.append([str(threads), *cells, *ratios])
    names = [name for name in IMPORTS if name.startswith("fastnn")]
    head = ["threads", *(f"{name}, ms" for name in IMPORTS), *(f"{name} / numpy, best (median)" for name in names)]
    out.table("Import, whole processes", head, lines)


def caches(kind: str, folder: Path) -> dict[str, str]:
    """The variables of one kind of caches; `folder` is empty."""
    if kind == "warm":
        return {}
    empty = {"NUMBA_CACHE_DIR": str(folder / "numba"), "XDG_CACHE_HOME": str(folder / "user")}
    return empty if kind == "cold" else empty | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def train_seconds(backend: str, kind: str, threads: int) -> tuple[float, float]:
    """Wall time until the first epoch's line, and until the end.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryDirectory() as name, cores(threads):
        folder = Path(name)
        given = environment(threads, caches(kind, folder) | {"PYTHONUNBUFFERED": "1"})
        out = str(folder / "digits.safetensors")
        options = ["train", "digits", "--epochs", "1", "--backend", backend, "--out", out]
        first = None
        with (folder / "errors").open("w+") as errors:
            start = time.perf_counter()
            with subprocess.Popen(
                [sys.executable, "-c", COMMAND, *options],
                env=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    if first is None and line.startswith("Epoch 1/1"):
                        first = time.perf_counter() - start
            whole = time.perf_counter() - start
            errors.seek(0)
            if process.returncode != 0 or first is None:
                raise RuntimeError(" ".join(errors.read().split()) or "no line of the first epoch was printed")
    return first, whole


def trainings(out: Output, session: Session, args: argparse.Namespace, columns: list[Library]) -> None:
    """The table of first trainings."""
    names = ["auto", *(column.backend for column in columns)]
    found: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for name in tuple(names):  # fills the caches that "warm" finds
        try:
            train_seconds(name, "warm", args.threads[0])
        except RuntimeError as error:
            session.failures[name, "training"] = str(error)
            names.remove(name)
    for number in range(args.rounds):
        say(f"train: round {number + 1} of {args.rounds}")
        for threads in args.threads:
            for name in names:
                for kind in CACHES:
                    found.setdefault((name, kind, threads), []).append(train_seconds(name, kind, threads))
    lines = []
    for (name, kind, threads), times in found.items():
        spreads = [figures.spread(seconds) for seconds in zip(*times, strict=True)]
        lines.append([name, kind, str(threads), *(f"{r.best:.2f} ({r.median:.2f})" for r in spreads)])
    head = ["backend", "caches", "threads", "first epoch's line, s, best (median)", "whole process, s, best (median)"]
    out.table("fastnn train digits --epochs 1", head, lines)


def memory(
    out: Output, made: argparse.ArgumentParser, args: argparse.Namespace, session: Session, columns: list[Library]
) -> None:
    """The table of memory."""
    alone = Library("NumPy", "numpy", "", sys.executable)
    lines = []
    for network in common.chosen_networks(made, args):
        epochs = 3 if args.tiny else args.epochs
        rows = min(network.rows, 20 * network.batch)
        job = {"widths": network.widths, "batch": network.batch, "rows": rows, "epochs": epochs}
        runs = common.run(session, args, "startup_child.py", [alone, *columns], {network.name: job})
        itemsize = ITEMSIZE["float32"]
        vectors = network.parameters * 4 * itemsize
        activations = network.batch * sum(network.widths) * itemsize
        for threads in args.threads:
            base = runs.get((network.name, alone.name, threads), [])
            for column in columns:
                mine = runs.get((network.name, column.name, threads), [])
                if not mine or not base:
                    continue
                peak = min(run["peak"] for run in mine) - min(run["peak"] for run in base)
                end = min(run["after"][-1] for run in mine) - min(run["after"][-1] for run in base)
                growth = min(run["after"][-1] - run["after"][1] for run in mine)
                known = vectors + activations
                parts = [peak, vectors, activations, peak - known, end - known]
                cells = [f"{part / MEGA:,.1f}" for part in parts]
                lines.append([network.name, column.name, str(threads), *cells, f"{growth / 1e3:,.0f}"])
    head = ["network, batch", "backend", "threads", "peak beyond NumPy with the data, MB", "theta, gradient, slots, MB"]
    head += ["one batch's activations, MB", "fixed part of the peak, MB", "fixed part at the end, MB", "growth, kB"]
    out.table("Memory of a training", head, lines)


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, {}, seconds=None)
    common.add_network_options(made)
    made.add_argument("--parts", default=",".join(PARTS), metavar="A,B", help=f"which of {', '.join(PARTS)} (all)")
    made.add_argument(
        "--epochs", type=int, default=30, metavar="N", help="of the training whose memory is watched (30)"
    )
    args = common.parse(made, {})
    parts = args.parts.split(",")
    if not set(parts) <= set(PARTS):
        made.error(f"--parts is {args.parts!r}, expected some of {', '.join(PARTS)}")
    if args.epochs < 3:
        made.error(f"--epochs is {args.epochs}, expected at least 3")
    columns = common.own_libraries(args)
    session = common.session_of(args)
    about = (
        "Wall times of fresh processes, best and in brackets the median, and memory beyond that of NumPy and the data."
    )
    out = Output(session, args, "Whole processes", about)
    if "import" in parts:
        imports(out, args)
    if "train" in parts:
        trainings(out, session, args, columns)
    if "memory" in parts:
        memory(out, made, args, session, columns)
    out.end()


if __name__ == "__main__":
    main()
