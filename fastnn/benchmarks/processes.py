"""Fresh processes, in rounds that visit all libraries in turn. The standard library alone: processes of peers import
this in environments that have nothing of fastnn."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]
ITEMSIZE = {"float32": 4, "float64": 8}

# The variables by which the libraries are told how many threads to use.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS")

# Some machines set them, and so hold NumPy to the kernels of another processor.
OPENBLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")

# What holds each library to AVX2: OpenBLAS, PyTorch's own kernels, its oneDNN and MKL, XLA, and fastnn's two backends.
AVX2 = {
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    "FASTNN_CPU": "avx2",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2",
}

LIMITS = "limits"  # what limits.py measures, among the libraries

# What a fresh process does. It gets this very package wherever it may lie, and nothing else of the caller's path.
_START = """\
import importlib.util, sys
folder, child = sys.argv[1:3]
spec = importlib.util.spec_from_file_location("fastnn", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["fastnn"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from fastnn.benchmarks import processes
processes.serve(child, sys.argv[3])
"""

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
    """The variables of a process that is to use so many threads; OpenBLAS chooses its kernels itself, unless
    `variables` say which."""
    given = dict(variables or {})
    held = OPENBLAS[0] in given
    made = {name: value for name, value in os.environ.items() if held or name not in OPENBLAS}
    made |= dict.fromkeys(THREADS, str(threads)) | {"KERAS_BACKEND": "jax"} | given
    if threads == 1:
        made["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=false {made.get('XLA_FLAGS', '')}".strip()
    return made


def empty_caches(folder: str) -> dict[str, str]:
    """The variables by which whatever compiles keeps its code in an empty folder."""
    return {"NUMBA_CACHE_DIR": folder, "TORCHINDUCTOR_CACHE_DIR": folder, "JAX_COMPILATION_CACHE_DIR": folder}


class Session:
    """The processes of one run: starts them, and remembers their versions and why some failed.

    Args:
        cold: whether each process has empty caches of compiled code. variables: of each process.
    """

    def __init__(self, cold: bool = False, variables: Mapping[str, str] | None = None) -> None:
        self.cold = cold
        self.variables = dict(variables or {})
        self.versions: list[str] = []
        self.failures: dict[tuple[str, str], str] = {}
        self.missing: dict[str, str] = {}
        self.neighbours = Neighbours()

    def measure(
        self, child: str, library: Library, where: str, threads: int, job: Found, cold: bool = False
    ) -> Found | None:
        """What a fresh process measured; None, and a reason for `footer`, if it failed now or before.

        Args:
            child: the module of `fastnn.benchmarks`, or the path of a file, whose `measure` it calls. where: the row of
                the table. job: what that is told, beside library and threads. cold: empty caches for this one.
        """
        if library.name in self.missing or (library.name, where) in self.failures:
            return None
        told = job | {"library": library.library, "backend": library.backend, "threads": threads}
        with tempfile.TemporaryDirectory() as empty, cores(threads):
            variables = self.variables | (empty_caches(empty) if self.cold or cold else {})
            run = subprocess.run(
                [library.python, "-c", _START, str(PACKAGE), child, json.dumps(told)],
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

    def reasons(self) -> list[str]:
        """What could not be measured, and why."""
        lines = [f"{name}: skipped: {reason}" for name, reason in self.missing.items()]
        return lines + [f"{name}, {where}: failed: {reason}" for (name, where), reason in self.failures.items()]

    def footer(self, command: str) -> str:
        """What could not be measured and why; the machine, the versions, the command."""
        lines = [f"- {reason}" for reason in self.reasons()]
        if lines:
            lines.append("")
        lines.append("; ".join([machine(), ", ".join(self.versions)]))
        if self.variables:
            lines.append("with " + " ".join(f"{name}={value}" for name, value in self.variables.items()))
        lines += [text] if (text := self.neighbours.told()) else []
        lines.append(f"Command: {command}")
        return "\n".join(lines)


Runs = dict[tuple[str, str, int], list[Found]]  # by row of the table, name of the library, threads


def rounds(
    session: Session,
    count_of_rounds: int,
    threads: Sequence[int],
    child: str,
    columns: Sequence[Library],
    jobs: Mapping[str, Found],
    limits: Found | None = None,
) -> Runs:
    """Visits every library with every number of threads and every job, round after round.

    Args:
        jobs: by row of the table. limits: what limits.py is told, which is then visited as a library, LIMITS.
    """
    runs: Runs = {}
    for number in range(count_of_rounds):
        for where, job in jobs.items():
            say(f"{where}: round {number + 1} of {count_of_rounds}")
            for team in threads:
                visits = [(child, column, job) for column in columns]
                if limits is not None:
                    visits.insert(0, (LIMITS, Library(LIMITS, LIMITS, "", sys.executable), limits))
                for module, library, told in visits:
                    found = session.measure(module, library, f"{where}, {count(team)}", team, told)
                    if found is not None:
                        runs.setdefault((where, library.name, team), []).append(found)
    return runs


def serve(child: str, job: str) -> None:
    """The main of a fresh process: prints the answer as the last line of stdout, also if a library is missing."""
    if child.endswith(".py"):
        sys.path.insert(0, str(Path(child).parent))
        spec = importlib.util.spec_from_file_location(Path(child).stem, child)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(f".{child}", __package__)
    try:
        found = module.measure(json.loads(job))
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


def memory(name: str) -> int:
    """Bytes that Linux tells of this process: VmRSS now, VmHWM at most so far, which unlike `ru_maxrss` starts anew in
    each program. Elsewhere the most so far for both."""
    table = Path("/proc/self/status")
    if table.exists():
        line = next(line for line in table.read_text().splitlines() if line.startswith(f"{name}:"))
        return 1024 * int(line.split()[1])
    import resource  # Windows has none

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


# --- what is said ---------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """A line of progress, which is no part of the tables."""
    print(text, file=sys.stderr, flush=True)


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


class Neighbours:
    """How much of the cores others took, from when this was made: other programs, and other virtual machines."""

    ALLOWED = 0.1  # cores

    def __init__(self) -> None:
        self._since = _clocks()

    def cores(self) -> float | None:
        """Cores that others took, on average; None where the system does not tell."""
        if self._since is None or (now := _clocks()) is None:
            return None
        wall, busy, own = (after - before for before, after in zip(self._since, now, strict=True))
        return max(0.0, busy - own) / wall if wall > 0 else 0.0

    def told(self) -> str:
        """What a reader must know of them; empty if the machine was idle."""
        others = self.cores()
        if others is None or others <= self.ALLOWED:
            return ""
        return f"NOT IDLE: others took {others:.1f} of {os.cpu_count()} cores, so these times are not to be relied on."


def _clocks() -> tuple[float, float, float] | None:
    """Seconds: of the wall, that all cores worked, that this process and those which it waited for did."""
    table = Path("/proc/stat")
    if not table.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, table.read_text().split("\n")[0].split()[1:9])
    ticks = os.sysconf("SC_CLK_TCK")
    return time.perf_counter(), (user + nice + system + irq + softirq + steal) / ticks, sum(os.times()[:4])
