"""How fast a card trains networks beside C, as `fastnn warmup` measured it: found without importing what CUDA needs.

A file for each state of the sources, in the user's cache. Its first lines name the card, its driver, the build of the C
library, and the seconds that a process takes longer to start with the card; each line after them has a dtype, the
flops of a step and how many times as fast as C the card trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .. import config
from . import disk_cache

_PACKAGE = Path(__file__).resolve().parents[1]
_HEAD = ("card", "driver", "c", "loading")


class Measured(NamedTuple):
    """What was measured.

    Attributes:
        card, driver: their names. loading: seconds. speeds: by dtype, pairs of flops a step and speed, ascending.
    """

    card: str
    driver: str
    loading: float
    speeds: Mapping[str, Sequence[tuple[float, float]]]

    def speed(self, dtype: str, flops: float) -> float:
        """That of the largest network measured which has no more flops a step; 0.0 where all have more."""
        return max(((size, speed) for size, speed in self.speeds.get(dtype, ()) if size <= flops), default=(0.0, 0.0))[
            1
        ]


def dotted(version: Sequence[int]) -> str:
    """A version as text."""
    return ".".join(map(str, version))


def flops_of(parameters: int, batch: int) -> float:
    """Of a step: each parameter takes part in three products, of two flops for each row."""
    return 6.0 * parameters * batch


def _folder() -> Path | None:
    parent = config.cache_folder()
    return None if parent is None else parent / "card_speeds"


def _path() -> Path | None:
    """The file for these sources, which none but `write` makes."""
    folder = _folder()
    return None if folder is None else folder / f"{_key()}.txt"


@cache
def _key() -> str:
    digest = hashlib.sha256()
    for pattern in ("core/*.py", "backends/cuda/*.py"):
        for path in sorted(_PACKAGE.glob(pattern)):
            content = path.read_bytes()
            digest.update(b"%s %d " % (path.name.encode(), len(content)))
            digest.update(content)
    return digest.hexdigest()[:24]


def write(measured: Measured) -> Path | None:
    """Keeps what was measured, and says where; None if it cannot be written."""
    from ..core.files import write_atomically

    path = _path()
    if path is None:
        return None
    head = (measured.card, measured.driver, disk_cache.library(), f"{measured.loading:.3f}")
    lines = [f"{name} {value}" for name, value in zip(_HEAD, head, strict=True)]
    lines += [f"{dtype} {size:.0f} {speed:.4f}" for dtype, pairs in measured.speeds.items() for size, speed in pairs]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, ("\n".join(lines) + "\n").encode())
    except OSError:
        return None
    read.cache_clear()
    return path


@cache
def read() -> Measured | None:
    """What `write` kept, read once a process so that its choices do not change; None where there is nothing, or nothing
    of use: damaged, of other sources, or beside another build of the C library."""
    folder = _folder()
    if folder is None or not folder.is_dir():  # the sources need not be read
        return None
    path = _path()
    assert path is not None
    try:
        lines = path.read_text().splitlines()
        names, values = zip(*(line.split(" ", 1) for line in lines[: len(_HEAD)]), strict=True)
        card, driver, library, loading = values
        if names != _HEAD or library != disk_cache.library():
            return None
        speeds: dict[str, list[tuple[float, float]]] = {}
        for line in lines[len(_HEAD) :]:
            dtype, size, speed = line.split(" ")
            speeds.setdefault(dtype, []).append((float(size), float(speed)))
        found = Measured(card, driver, float(loading), {dtype: sorted(pairs) for dtype, pairs in speeds.items()})
    except (OSError, ValueError):
        return None
    numbers = [found.loading, *(number for pairs in speeds.values() for pair in pairs for number in pair)]
    return found if all(0.0 < number < float("inf") for number in numbers) else None
