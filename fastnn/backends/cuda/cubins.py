"""Compiled kernels on disk: by a hash of all they are made from, then by the card's architecture. Imports no compiler.

They are found where FASTNN_CUDA_CUBINS points, then in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ... import config
from ...core.files import write_atomically

_PACKAGE = Path(__file__).resolve().parents[2]
_SOURCES = (
    "core/arithmetic.py",
    "core/binary.py",
    "core/formulas.py",
    "core/functions.py",
    "core/losses.py",
    "core/operations.py",
    "core/random.py",
    "core/rowwise.py",
    "core/steps.py",
    "backends/cuda/*.py",
)
# What starts kernels and has no part in them.
_HOST = (
    *("__init__", "buffers", "calls", "cubins", "device", "library", "network", "pieces", "program", "residents"),
    *("snapshots", "tables"),
)
_DIGEST_BYTES = 32


@cache
def key() -> str:
    """A hash of every source of the kernels, in which the compiler's version is named."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            if path.parent.name == "cuda" and path.stem in _HOST:
                continue
            content = path.read_bytes()
            digest.update(b"%s %d " % (path.name.encode(), len(content)))
            digest.update(content)
    return digest.hexdigest()[:24]


def carried() -> Path | None:
    """The folder in FASTNN_CUDA_CUBINS, or None."""
    text = os.environ.get("FASTNN_CUDA_CUBINS", "").strip()
    return Path(text) if text else None


def place() -> Path | None:
    """Where this machine keeps what it compiles; None without a home."""
    parent = config.cache_folder()
    return None if parent is None else parent / "cuda"


def _folders(arch: str) -> Iterator[Path]:
    for parent in (carried(), place()):
        if parent is not None:
            yield parent / key() / arch


def read(name: str, arch: str) -> bytes | None:
    """What is kept under a name such as "relu_forward_float32.cubin"; None where there is nothing undamaged."""
    for folder in _folders(arch):
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        code, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if digest == _digest(code):
            return code
    return None


def write(name: str, arch: str, code: bytes, parent: Path | None = None) -> bool:
    """Keeps code under a name; False if it cannot be written."""
    parent = parent or place()
    if parent is None:
        return False
    path = parent / key() / arch / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, code, _digest(code))
    except OSError:
        return False
    return True


def count(arch: str, suffix: str = ".cubin") -> int:
    """How many kernels of an architecture are kept."""
    return len({path.name for folder in _folders(arch) if folder.is_dir() for path in folder.glob(f"*{suffix}")})


def _digest(code: bytes) -> bytes:
    return hashlib.blake2b(code, digest_size=_DIGEST_BYTES).digest()
