"""What the scripts share: options, fresh processes, rounds. The standard library alone, since
the children of peers import it in environments that have nothing of fastnn."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ITEMSIZE = {"float32": 4, "float64": 8}

# The variables by which the libraries are told how many threads to use.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS")

# What holds each library to AVX2: OpenBLAS, PyTorch's own kernels, its oneDNN and MKL, and fastnn's two backends.
AVX2 = {
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "FASTNN_CPU": "avx2",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2",
}

CALLS = ("predict", "train", "fit")  # of small_calls.py
LIMITS = "limits"  # what limits_child.py measures, among the libraries

Found = dict[str, Any]


class Library(NamedTuple):
    """A column of the tables: what computes, and the interpreter that has it."""

    name: str
    library: str
    backend: str
    python: str

    @property
    def own(self) -> bool:
        """Whether it is fastnn."""
        return self.library == "fastnn"


# --- options --------------------------------------------------------------------------------------------------------


def whole_numbers(text: str) -> list[int]:
    """Of an option such as 1,2.

    Raises:
        argparse.ArgumentTypeError: anything but whole numbers of at least 1.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected whole numbers from 1 with commas between them, such as 1,2"
        )
    return [int(part) for part in parts]


def parser(
    description: str | None, examples: str, peers: Mapping[str, str], seconds: float | None = 2.0
) -> argparse.ArgumentParser:
    """The options of every script.

    Args:
        examples: commands that teach, with what each is good for. peers: title of each peer by name; empty: none.
        seconds: of repeating, unless told; None for a script that counts instead.
    """
    made = argparse.ArgumentParser(
        description=description,
        epilog="examples\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    measuring = made.add_argument_group("how to measure")
    measuring.add_argument(
        "--threads",
        type=whole_numbers,
        default=[1, 2],
        metavar="N,N",
        help="thread counts, each on as many cores (1,2)",
    )
    measuring.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="fresh processes of each; a round visits all in turn (3)"
    )
    if seconds is not None:
        measuring.add_argument(
            "--seconds",
            type=float,
            default=seconds,
            metavar="X",
            help=f"of repeating in each process, for each figure ({seconds:g})",
        )
    measuring.add_argument(
        "--cold", action="store_true", help="empty caches of compiled code for each process: shows compilation"
    )
    measuring.add_argument(
        "--tiny", action="store_true", help="next to no work, one round: tries the program, measures nothing"
    )
    compared = made.add_argument_group("what to compare")
    compared.add_argument(
        "--backends", default="", metavar="A,B", help="of fastnn (all that are available, but not reference)"
    )
    if peers:
        names = ",".join(peers)
        compared.add_argument("--peers", default=names, metavar="A,B", help=f'which of {names} (all); "" for none')
        compared.add_argument(
            "--peer-python",
            default=sys.executable,
            metavar="PATH",
            help="the interpreter that has the peers (this one)",
        )
    return made


def parse(made: argparse.ArgumentParser, peers: Mapping[str, str]) -> argparse.Namespace:
    """The options; ends the script with a message for an unknown peer."""
    args = made.parse_args()
    if args.tiny:
        args.rounds, args.seconds = 1, 0.0
    if args.rounds < 1:
        made.error(f"--rounds is {args.rounds}, expected at least 1")
    if peers:
        unknown = [name for name in args.peers.split(",") if name and name not in peers]
        if unknown:
            made.error(f"--peers: unknown {', '.join(unknown)}; known: {', '.join(peers)}")
    return args


def own_libraries(args: argparse.Namespace) -> list[Library]:
    """fastnn on each backend that is asked for, or available."""
    if args.backends:
        names = args.backends.split(",")
    else:
        import fastnn

        names = [name for name, reason in fastnn.backends.available().items() if not reason and name != "reference"]
    return [Library(f"fastnn {name}", "fastnn", name, sys.executable) for name in names]


def libraries(args: argparse.Namespace, peers: Mapping[str, str]) -> list[Library]:
    """fastnn's backends, then the chosen peers."""
    chosen = [name for name in args.peers.split(",") if name]
    return own_libraries(args) + [Library(peers[name], name, "", args.peer_python) for name in chosen]


# --- processes ------------------------------------------------------------------------------------------------------


@contextmanager
def cores(threads: int) -> Iterator[None]:
    """Processes started inside may use so many cores: they inherit this one's, and see them before any import."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(threads: int, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a process that is to use so many threads."""
    made = os.environ | dict.fromkeys(THREADS, str(threads)) | {"KERAS_BACKEND": "jax"} | dict(variables or {})
    if threads == 1:
        made["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=false {made.get('XLA_FLAGS', '')}".strip()
    return made


def empty_caches(folder: str) -> dict[str, str]:
    """The variables by which whatever compiles keeps its code in an empty folder."""
    return {"NUMBA_CACHE_DIR": folder, "TORCHINDUCTOR_CACHE_DIR": folder, "JAX_COMPILATION_CACHE_DIR": folder}


class Session:
    """The processes of one run: starts them, and remembers their versions and why some failed."""

    def __init__(self, args: argparse.Namespace, variables: Mapping[str, str] | None = None) -> None:
        self.cold: bool = args.cold
        self.variables = dict(variables or {})
        self.versions: list[str] = []
        self.failures: dict[tuple[str, str], str] = {}
        self.missing: dict[str, str] = {}
        self.load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan

    def measure(self, child: str, library: Library, where: str, threads: int, job: Found) -> Found | None:
        """What a fresh process measured; None, and a reason for `footer`, if it failed now or before.

        Args:
            child: its script's name. where: the row of the table. job: what it is told, beside library and threads.
        """
        if library.name in self.missing or (library.name, where) in self.failures:
            return None
        told = job | {"library": library.library, "backend": library.backend, "threads": threads}
        with tempfile.TemporaryDirectory() as empty, cores(threads):
            variables = self.variables | (empty_caches(empty) if self.cold else {})
            run = subprocess.run(
                [library.python, str(HERE / child), json.dumps(told)],
                env=environment(threads, variables),
                capture_output=True,
                text=True,
                check=False,
            )
        if run.returncode != 0:
            lines = [line.strip() for line in run.stderr.splitlines() if line.strip()]
            self.failures[library.name, where] = lines[-1] if lines else f"exit code {run.returncode}"
            return None
        found: Found = json.loads(run.stdout.splitlines()[-1])
        if "missing" in found:
            self.missing[library.name] = found["missing"]
            return None
        if found["version"] not in self.versions:
            self.versions.append(found["version"])
        return found

    def footer(self) -> str:
        """What could not be measured and why; the machine, the versions, the command."""
        lines = [f"- {name}: skipped: {reason}" for name, reason in self.missing.items()]
        lines += [f"- {name}, {where}: failed: {reason}" for (name, where), reason in self.failures.items()]
        if lines:
            lines.append("")
        lines.append("; ".join([machine(), ", ".join(self.versions)]))
        if self.variables:
            lines.append("with " + " ".join(f"{name}={value}" for name, value in self.variables.items()))
        if self.load > 0.5:
            lines.append(f"Not idle: the load was {self.load:.1f} when it began.")
        lines.append(f"Command: python benches/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".rstrip())
        return "\n".join(lines)


Runs = dict[tuple[str, str, int], list[Found]]  # by row of the table, name of the library, threads


def rounds(
    session: Session,
    args: argparse.Namespace,
    child: str,
    columns: Sequence[Library],
    jobs: Mapping[str, Found],
    limits: Found | None = None,
) -> Runs:
    """Visits every library with every number of threads and every job, round after round.

    Args:
        jobs: by row of the table. limits: what limits_child.py is told, which is then visited as a library, LIMITS.
    """
    runs: Runs = {}
    for number in range(args.rounds):
        for where, job in jobs.items():
            say(f"{where}: round {number + 1} of {args.rounds}")
            for threads in args.threads:
                visits = [(child, column, job) for column in columns]
                if limits is not None:
                    visits.insert(0, ("limits_child.py", Library(LIMITS, LIMITS, "", sys.executable), limits))
                for script, library, told in visits:
                    found = session.measure(script, library, f"{where}, {count(threads)}", threads, told)
                    if found is not None:
                        runs.setdefault((where, library.name, threads), []).append(found)
    return runs


def serve(measure: Callable[[Found], Found]) -> None:
    """The main of a child: its job is argument 1, its answer the last line of stdout, also if a library is missing."""
    try:
        found = measure(json.loads(sys.argv[1]))
    except ModuleNotFoundError as error:
        found = {"missing": f"{error.name} is not installed"}
    print(json.dumps(found))


def repeat(call: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds that one call takes, over and over; short calls are timed many at once, so that the clock is free."""
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    times = max(1, int(1e-3 / max(once, 1e-7)))
    found: list[float] = []
    began = time.perf_counter()
    while not found or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times)
    return found


def say(text: str) -> None:
    """A line of progress, which is no part of the tables."""
    print(text, file=sys.stderr, flush=True)


def limits_job(
    args: argparse.Namespace, dtype: str = "float32", sizes: Sequence[int] = (), avx2: bool = False
) -> Found:
    """What limits_child.py is told: the peak, and the bandwidth of Adam at `sizes` parameters."""
    return {"dtype": dtype, "sizes": list(sizes), "seconds": min(0.3, args.seconds), "avx2": avx2}


def count(threads: int) -> str:
    """ "1 thread", "2 threads"."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def machine() -> str:
    """The processor and what runs on it."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
