"""Bank conflicts of shared memory and sectors of global memory, from the addresses that the emulated card sees."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .raw import Array, load

ACCESS = np.dtype(
    [("address", "u8"), ("site", "u8"), ("block", "u4"), ("rank", "u4"), ("bytes", "u4"), ("shared", "u4")]
)
WARP, BANKS, WORD, SECTOR = 32, 32, 4, 32


class Site(ctypes.Structure):
    _fields_ = [
        ("line", ctypes.c_uint32),
        ("source_line", ctypes.c_uint32),
        ("file", ctypes.c_char_p),
        ("text", ctypes.c_char_p),
    ]


@dataclass(frozen=True)
class Traffic:
    """What one instruction asked of memory.

    Attributes:
        text, line: of the PTX. shared: or global. requests: of warps. parts: wavefronts of shared memory, or sectors of
            global, that they took. least: that so many bytes need.
    """

    text: str
    line: int
    shared: bool
    requests: int
    parts: int
    least: int


@dataclass
class Trace:
    """The accesses of what ran meanwhile."""

    accesses: Array = field(default_factory=lambda: np.empty(0, ACCESS))

    def traffic(self) -> list[Traffic]:
        """Of each instruction, in the order of the PTX."""
        found = [traffic_of(self.accesses[self.accesses["site"] == site]) for site in np.unique(self.accesses["site"])]
        return sorted(found, key=lambda t: t.line)

    def conflicts(self) -> dict[str, int]:
        """Wavefronts of shared memory beyond the least, by instruction; those without any are left out."""
        return {f"line {t.line}: {t.text}": t.parts - t.least for t in self.traffic() if t.shared and t.parts > t.least}


def traffic_of(rows: Array) -> Traffic:
    """Of one instruction: lanes whose n-th access it is are a request."""
    site = Site.from_address(int(rows["site"][0]))
    size, shared = int(rows["bytes"][0]), bool(rows["shared"][0])
    thread = rows["block"].astype(np.int64) << 10 | rows["rank"]
    order = np.argsort(thread, kind="stable")
    thread, address = thread[order], rows["address"][order].astype(np.int64)
    starts = np.flatnonzero(np.r_[True, thread[1:] != thread[:-1]])
    turn = np.arange(len(thread)) - np.repeat(starts, np.diff(np.r_[starts, len(thread)]))
    request = (thread // WARP) << 32 | turn
    requests = parts = least = 0
    for one in np.split(
        address[np.argsort(request, kind="stable")], np.cumsum(np.unique(request, return_counts=True)[1])[:-1]
    ):
        requests += 1
        took, needed = wavefronts(one, size) if shared else sectors(one, size)
        parts, least = parts + took, least + needed
    text = (site.text or b"").decode()
    return Traffic(text, site.line, shared, requests, parts, least)


def wavefronts(address: Array, size: int) -> tuple[int, int]:
    """Of one request: taken, and needed; wide accesses go in groups of lanes whose bytes fill all banks."""
    group = min(WARP, BANKS * WORD // max(size, WORD))
    taken = needed = 0
    for first in range(0, len(address), group):
        words = np.unique(
            np.concatenate([address[first : first + group] // WORD + k for k in range(max(size // WORD, 1))])
        )
        taken += int(np.bincount(words % BANKS).max())
        needed += -(-len(words) // BANKS)
    return taken, needed


def sectors(address: Array, size: int) -> tuple[int, int]:
    """Of one request: 32-byte pieces touched, and the fewest that hold so many bytes."""
    touched = np.unique(np.concatenate([(address + k) // SECTOR for k in range(0, size, min(size, WORD))]))
    return len(touched), -(-len(np.unique(address)) * size // SECTOR)


@contextmanager
def traced(room: int = 1 << 22) -> Iterator[Trace]:
    """Logs what runs on the emulated card meanwhile, and is waited for; the check for races must be on.

    Raises:
        MemoryError: there were more accesses than room.
    """
    library = load()
    library.emulated_traced.restype = ctypes.c_uint64
    log = np.empty(room, ACCESS)
    trace = Trace()
    library.emulated_trace(ctypes.c_void_p(log.ctypes.data), ctypes.c_uint64(room))
    try:
        yield trace
    finally:
        count = library.emulated_traced()
        library.emulated_trace(None, ctypes.c_uint64(0))
    if count > room:
        raise MemoryError(f"{count} accesses, room for {room}")
    trace.accesses = log[:count].copy()
