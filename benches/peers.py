"""Training throughput of fastnn beside its peers: `python benches/peers.py`, see README.md in this folder.

Each measurement is a fresh process (peer_child.py) on the cores it may use. A round visits every peer once before the
next round begins, so that a slow minute of the machine hits all of them. The time of the first epoch beyond later ones,
which is compilation and first-use cost, stands in a column of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

CHILD = Path(__file__).with_name("peer_child.py")


class Network(NamedTuple):
    """Widths from input to output, and rows an epoch: whole batches, near a second or less for the slowest peer."""

    name: str
    widths: list[int]
    batch: int
    rows: int


NETWORKS = [
    Network("64-32-10, 32", [64, 32, 10], 32, 32 * 1500),
    Network("784-128-10, 64", [784, 128, 10], 64, 64 * 400),
    Network("784-256-128-10, 128", [784, 256, 128, 10], 128, 128 * 160),
    Network("32-(64 x 8)-2, 256", [32, *[64] * 8, 2], 256, 256 * 200),
    Network("784-1024-1024-10, 256", [784, 1024, 1024, 10], 256, 256 * 24),
    Network("1024-4096-4096-16, 512", [1024, 4096, 4096, 16], 512, 512 * 2),
]


class Runner(NamedTuple):
    """A column of the tables."""

    name: str
    peer: str
    backend: str
    python: str


class Result(NamedTuple):
    """What all rounds of one runner on one network gave, in samples/s and seconds."""

    best: float
    median: float
    first: float


def measure(runner: Runner, network: Network, threads: int, args: argparse.Namespace) -> dict[str, Any]:
    """One fresh process. An empty dict, and a line on stderr, if it fails."""
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else []
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads))
    if runner.peer == "jax" and threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + environment.get("XLA_FLAGS", "")
    job = network._asdict() | runner._asdict() | {"threads": threads, "cores": cores, "seconds": args.seconds}
    if args.tiny:
        job |= {"rows": network.batch * 2, "seconds": 0.0}
    with tempfile.TemporaryDirectory() as empty:
        if args.cold:
            environment["NUMBA_CACHE_DIR"] = empty
        command = [runner.python, str(CHILD), json.dumps(job)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        reason = (run.stderr.strip() or f"exit code {run.returncode}").splitlines()[-1]
        print(f"{runner.name}, {network.name}, {threads} threads: {reason}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found | {"rows": job["rows"]}


def summary(runs: list[dict[str, Any]]) -> Result | None:
    """All epochs of all rounds together; None if every run failed."""
    runs = [run for run in runs if run]
    if not runs:
        return None
    rows = runs[0]["rows"]
    epochs = [seconds for run in runs for seconds in run["epochs"]]
    typical = statistics.median(epochs)
    first = statistics.median(run["first"] for run in runs) - typical
    return Result(rows / min(epochs), rows / typical, max(0.0, first))


def runners(args: argparse.Namespace) -> list[Runner]:
    """fastnn on each backend that is available, then the peers."""
    if args.backends:
        backends = args.backends.split(",")
    else:
        import fastnn

        available = fastnn.backends.available()
        backends = [name for name, reason in available.items() if not reason and name != "reference"]
    own = [Runner(f"fastnn {name}", "fastnn", name, sys.executable) for name in backends]
    titles = {"jax": "JAX scan", "torch": "PyTorch", "sklearn": "scikit-learn", "numpy": "NumPy loop"}
    return own + [Runner(titles[peer], peer, "", args.peer_python) for peer in args.peers.split(",") if peer]


def rate(value: float) -> str:
    """Samples/s with three digits."""
    digits = f"{float(f'{value:.3g}'):,.0f}"
    return digits if value < 10_000 else f"{float(f'{value:.3g}') / 1000:,.6g}k"


def table(threads: int, columns: list[Runner], found: dict[tuple[str, str], Result | None], names: list[str]) -> str:
    """Markdown: samples/s of the best epoch, the two ratios, and the first-use seconds."""
    peers = [c.name for c in columns if c.peer != "fastnn"]
    own = [c.name for c in columns if c.peer == "fastnn"]
    ratios = [f"{name} / best peer, best (median)" for name in own] if peers else []
    head = ["network, batch", *(c.name for c in columns), *ratios, "first use, s"]
    lines = [f"{threads} thread{'s' if threads > 1 else ''}, samples/s", ""]
    lines += ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for name in names:
        row = {c.name: found[name, c.name] for c in columns}
        cells = [name, *("failed" if r is None else rate(r.best) for r in row.values())]
        rivals = [r for r in (row[p] for p in peers) if r]
        for mine in (row[o] for o in own) if ratios else ():
            if mine is None or not rivals:
                cells.append("-")
                continue
            best, median = (max(getattr(r, field) for r in rivals) for field in ("best", "median"))
            cells.append(f"{mine.best / best:.2f} ({mine.median / median:.2f})")
        cells.append(" / ".join("-" if r is None else f"{r.first:.1f}" for r in row.values()))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> str:
    """The processor and what runs on it."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next(
            (s.split(":")[1].strip() for s in info.read_text().splitlines() if s.startswith("model name")), model
        )
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="", help="numbers of the rows, from 1, such as 1,3 (all)")
    parser.add_argument("--threads", default="1,2", help="thread counts (1,2)")
    parser.add_argument("--peers", default="jax,torch,sklearn,numpy", help="which peers (all); empty for none")
    parser.add_argument("--backends", default="", help="fastnn's backends (all available but reference)")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has the peers (this one)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes of each (3)")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of epochs in each process, at least three epochs (2)"
    )
    parser.add_argument("--cold", action="store_true", help="an empty cache of compiled code for each fastnn process")
    parser.add_argument("--tiny", action="store_true", help="two steps an epoch: tries the program, measures nothing")
    args = parser.parse_args()
    networks = [NETWORKS[int(n) - 1] for n in args.networks.split(",")] if args.networks else NETWORKS
    columns = runners(args)
    versions: dict[str, str] = {}
    for threads in (int(n) for n in args.threads.split(",")):
        runs: dict[tuple[str, str], list[dict[str, Any]]] = {(n.name, c.name): [] for n in networks for c in columns}
        for network in networks:
            for _ in range(args.rounds):
                for column in columns:
                    run = measure(column, network, threads, args)
                    runs[network.name, column.name].append(run)
                    versions |= {column.peer: run["version"]} if run else {}
        found = {key: summary(values) for key, values in runs.items()}
        print(table(threads, columns, found, [n.name for n in networks]), end="\n\n", flush=True)
    print(f"{machine()}; " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    print("Command: python benches/peers.py " + " ".join(sys.argv[1:]))


if __name__ == "__main__":
    main()
