"""Where the weights of layers that were connected lie: one vector of what is trained, and one of statistics."""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import Array

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned(size: int, dtype: npt.DTypeLike) -> Array:
    """A zeroed vector whose first element lies on a cache line."""
    dtype = np.dtype(dtype)
    block = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size * dtype.itemsize].view(dtype)


def aligned_copy(vector: Array) -> Array:
    """A copy of a vector whose first element lies on a cache line."""
    copy = aligned(vector.size, vector.dtype)
    copy[:] = vector
    return copy


class Place(NamedTuple):
    """Where one parameter of a layer lies, or a constant in theta that is nobody's."""

    offset: int
    shape: tuple[int, ...]
    vector: str = "theta"  # | "statistics"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Store:
    """The weights of layers of one dtype.

    Attributes:
        theta, statistics: aligned vectors. places: of each layer, by its parameters' names.
        lock: held by a program while it uses them or its own buffers.
        moved: the store that all of it went to, when layers of two stores were connected; what points here is of no use
            then.
    """

    def __init__(self, size: int, statistics_size: int, dtype: Any) -> None:
        self.theta, self.statistics = aligned(size, dtype), aligned(statistics_size, dtype)
        self.places: dict[Any, dict[str, Place]] = {}
        self.lock = threading.RLock()
        self.moved: Store | None = None

    def view(self, place: Place) -> Array:
        """The view of a parameter."""
        vector = self.theta if place.vector == "theta" else self.statistics
        return vector[place.offset : place.offset + place.size].reshape(place.shape)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """A copy has aligned vectors and a lock of its own."""
        vars(self).update(state)
        self.theta, self.statistics = aligned_copy(self.theta), aligned_copy(self.statistics)
        self.lock = threading.RLock()
