"""What Numba's compilations and `fastnn warmup` left on disk, found in a few milliseconds without importing Numba.

Numba's own cache looks at one file's time stamp and would keep a kernel whose helper has changed; here one hash of
everything that a kernel is made from names the folder. Each file ends with a digest of the rest: machine code that is
damaged would end the process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from .. import config

_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = (
    "core/arithmetic.py",
    "core/binary.py",
    "core/formulas.py",
    "core/functions.py",
    "core/instructions.py",
    "core/losses.py",
    "core/operations.py",
    "core/plan.py",
    "core/random.py",
    "core/rowwise.py",
    "core/steps.py",
    "backends/operators.py",
    "backends/tuning.py",
    "backends/numba_cpu/*.py",
)
_COMPILERS = ("numba", "llvmlite")

# What names a processor and its instruction sets in /proc/cpuinfo; the other lines change from core to core.
_CPU_LINES = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU implementer", "CPU part")

# What changes the code that Numba makes: variables, and a file where it is run, which may set them.
_CODE_CHOSEN = (
    *("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE"),
    *("NUMBA_ENABLE_AVX", "NUMBA_DISABLE_INTEL_SVML", "NUMBA_BOUNDSCHECK", "NUMBA_DEBUGINFO", "NUMBA_ENABLE_PROFILING"),
    *("NUMBA_EXTEND_VARIABLE_LIFETIMES", "NUMBA_LLVM_REFPRUNE_PASS", "NUMBA_LLVM_REFPRUNE_FLAGS"),
)
_SETTINGS = ".numba_config.yaml"

# What a model of a dtype needs: its kernels, its worker, and what starts it on one thread and on several.
_COMPILED = ("kernels_{dtype}", "worker.work_{dtype}", "team._alone", "pool._region", "pool._help")

_DIGEST_BYTES = 32

_SPEEDS = "speeds.txt"


@cache
def key() -> str:
    """A hash of every source of the kernels, of the compilers' versions and settings, and of the processor; "" without
    Numba."""
    import hashlib
    import sys

    parts = [sys.version.encode(), _processor(), _settings()]
    for name in _COMPILERS:
        version = _version(name)
        if not version:
            return ""
        parts.append(version)
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            parts += path.name.encode(), path.read_bytes()
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.hexdigest()[:24]


def _settings() -> bytes:
    """What the user set of Numba that changes its code."""
    chosen = "".join(f"{name}={os.environ[name]}\n" for name in _CODE_CHOSEN if name in os.environ).encode()
    try:
        return chosen + Path(_SETTINGS).read_bytes()
    except OSError:
        return chosen


def _version(name: str) -> bytes:
    """The file in which an installed package keeps its version; empty where there is no such package."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
        return Path(spec.origin).with_name("_version.py").read_bytes() if spec and spec.origin else b""
    except (OSError, ValueError, ImportError):  # a package that cannot be found in any of these ways
        return b""


def _processor() -> bytes:
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            first = file.read(16384).decode(errors="replace").partition("\n\n")[0]
    except OSError:
        from llvmlite import binding

        return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}".encode()
    return "\n".join(line for line in first.splitlines() if line.startswith(_CPU_LINES)).encode()


def place() -> Path | None:
    """Where this machine's compilations belong, whether the folder exists or not: in NUMBA_CACHE_DIR or the user's
    cache; None without Numba or a home."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    parent = Path(chosen, "fastnn") if chosen else config.cache_folder()
    return parent / key() if parent is not None and key() else None


@cache
def folder() -> Path | None:
    """`place()`, made if need be; None if nothing can be written there."""
    found = place()
    if found is None:
        return None
    trial = found / f"try.{os.getpid()}"
    try:
        found.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError:
        return None
    return found


def compiled(dtype: str) -> bool:
    """Whether all that a model of a dtype needs is on disk, undamaged."""
    return all(read(name.format(dtype=dtype)) is not None for name in _COMPILED)


def damaged(dtype: str) -> bool:
    """Whether something of what a model of a dtype needs is on disk, but of no use."""
    found = place()
    names = [name.format(dtype=dtype) for name in _COMPILED]
    return found is not None and any((found / f"{name}.code").exists() and read(name) is None for name in names)


def read(name: str) -> bytes | None:
    """The code that is kept under a name; None where there is none, or it is damaged, or cannot be read."""
    found = place()
    try:
        content = (found / f"{name}.code").read_bytes() if found is not None else b""
    except OSError:
        return None
    code, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    return code if digest == _digest(code) else None


def write(name: str, code: bytes) -> bool:
    """Keeps code under a name, instead of what is there; False if it cannot be written."""
    found = place()
    return found is not None and _write(found / f"{name}.code", code, _digest(code))


def _digest(code: bytes) -> bytes:
    import hashlib

    return hashlib.blake2b(code, digest_size=_DIGEST_BYTES).digest()


def _write(path: Path, *content: bytes) -> bool:
    from ..core.files import write_atomically  # its random names would cost every start

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, *content)
    except OSError:
        return False
    return True


def write_speeds(speeds: Mapping[str, float]) -> bool:
    """Keeps measured speeds by the kind of work; False if they cannot be written."""
    found = place()
    lines = [f"c {library()}", *(f"{kind} {speed:.4f}" for kind, speed in speeds.items())]
    if found is None or not _write(found / _SPEEDS, ("\n".join(lines) + "\n").encode()):
        return False
    speeds_on_disk.cache_clear()
    return True


@cache
def speeds_on_disk() -> Mapping[str, float]:
    """What `write_speeds` kept, read once a process so that its choices do not change; empty where there is nothing,
    or nothing of use: damaged, or measured with another build of the C library."""
    found = place()
    if found is None:
        return {}
    try:
        first, *lines = (found / _SPEEDS).read_text().splitlines() or [""]
        if first != f"c {library()}":
            return {}
        pairs = [line.rsplit(" ", 1) for line in lines]
        speeds = {kind: float(speed) for kind, speed in pairs}
    except (OSError, ValueError):
        return {}
    return speeds if all(0.0 < speed < float("inf") for speed in speeds.values()) else {}


def library() -> str:
    """The build of the C library: the size and the time of its file."""
    found = next((_PACKAGE / "backends" / "c").glob("_fastnn.*"), None)
    return f"{found.stat().st_size} {found.stat().st_mtime_ns}" if found else ""
