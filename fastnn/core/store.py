"""Where the weights of layers that were connected lie: one vector of what is trained, and one of statistics."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BusyError
from . import forks
from .arrays import Array

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned(size: int, dtype: npt.DTypeLike, zeroed: bool = True) -> Array:
    """A vector whose first element lies on a cache line, of zeros or of anything."""
    dtype = np.dtype(dtype)
    block = (np.zeros if zeroed else np.empty)(size * dtype.itemsize + ALIGNMENT, np.uint8)
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


class Use(IntEnum):
    """What the thread that holds a store's lock is doing with it."""

    FREE = 0
    WHOLE = 1  # it reads, or runs compiled steps, between which there is no Python: weights are those of a whole step
    TORN = 2  # it writes


class Store:
    """The weights of layers of one dtype.

    Attributes:
        theta, statistics: aligned vectors; to ask for them brings them home. places: of each layer, by its parameters'
        names.
        states: those of the models that share it, which has them copied at one time with it.
        lock: held by a program while it uses them or its own buffers; a fork waits for it.
        use: what its holder does. A signal handler finds it in use by its own thread, which holds the lock already.
        moved: the store that all of it went to, when layers of two stores were connected; what points here is of no use
            then.
    """

    def __init__(self, size: int, statistics_size: int, dtype: Any) -> None:
        self._theta, self._statistics = aligned(size, dtype), aligned(statistics_size, dtype)
        self.places: weakref.WeakKeyDictionary[Any, dict[str, Place]] = weakref.WeakKeyDictionary()
        self.moved: Store | None = None
        self._start()

    def _start(self) -> None:
        self.states: weakref.WeakSet[Any] = weakref.WeakSet()
        self.lock = forks.lock(forks.Rank.STORE)
        self.use = Use.FREE
        self._bring: Callable[[], None] | None = None

    @property
    def theta(self) -> Array:
        """The vector of what is trained, at home."""
        self.home()
        return self._theta

    @property
    def statistics(self) -> Array:
        """The vector of statistics, at home."""
        self.home()
        return self._statistics

    def lend(self, bring: Callable[[], None]) -> None:
        """Weights, and the slots of a state, are on a card until somebody here asks for them.

        Args:
            bring: copies them home. What it raises, it raises once: then those at home count, as they were last.
        """
        self._bring = bring

    def home(self) -> None:
        """Brings home what was lent: whoever asks may change it, so a card must copy it again."""
        if self._bring is None:
            return
        with self.lock:
            bring, self._bring = self._bring, None
            if bring is not None:
                bring()

    def vectors_at_home(self) -> tuple[Array, Array]:
        """theta and statistics as they lie here, for who brings them."""
        return self._theta, self._statistics

    def view(self, place: Place) -> Array:
        """The view of a parameter."""
        vector = self.theta if place.vector == "theta" else self.statistics
        return vector[place.offset : place.offset + place.size].reshape(place.shape)

    @contextmanager
    def held(self, where: str, writes: bool = False) -> Iterator[None]:
        """Has all that lies here, and in its states, to itself.

        Args:
            where: what reads or `writes`, for messages.

        Raises:
            BusyError: this thread is in the middle of a step, or of a training where it `writes`.
        """
        with self.lock:
            before = self.use
            if before == Use.TORN or (writes and (before or trains_here(self))):
                raise busy(where)
            self.use = Use.TORN if writes else Use.WHOLE
            try:
                yield
            finally:
                self.use = before

    def require_idle(self, where: str) -> None:
        """Raises where this thread trains what lies here, and so a signal handler asks.

        Raises:
            BusyError: see `held`.
        """
        if trains_here(self):
            raise busy(where)

    def __getstate__(self) -> dict[str, object]:
        """All vectors at one time, those of its states too."""
        with self.held("copy"):
            return {
                "places": dict(self.places),
                "moved": self.moved,
                "theta": self.theta.copy(),
                "statistics": self.statistics.copy(),
                "vectors": [(state, state.vectors()) for state in self.states],
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has aligned vectors and a lock of its own."""
        self._theta, self._statistics = aligned_copy(state["theta"]), aligned_copy(state["statistics"])
        self.places = weakref.WeakKeyDictionary(state["places"])
        self.moved = state["moved"]
        self._start()
        for one, its in state["vectors"]:
            one.restore(its)
            self.states.add(one)


class _Here(threading.local):
    """The stores that this thread trains, and no callback has the say."""

    def __init__(self) -> None:
        self.stores: list[Store] = []


_here = _Here()


class Training:
    """While it is entered, this thread trains what lies in a store; `paused`, while a callback has the say."""

    def __init__(self, store: Store) -> None:
        self._store, self._pause = store, _Pause(store)

    def __enter__(self) -> None:
        _here.stores.append(self._store)

    def __exit__(self, *exception: object) -> None:
        _here.stores.remove(self._store)

    def paused(self) -> _Pause:
        """What is called inside may change the model."""
        return self._pause


class _Pause:
    """What `Training.paused` gives, for every hook: no generator, which costs more than most hooks do."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        _here.stores.remove(self._store)

    def __exit__(self, *exception: object) -> None:
        _here.stores.append(self._store)


def trains_here(store: Store) -> bool:
    """Whether this thread trains a store, and no callback has the say: then a signal handler asks."""
    return bool(_here.stores) and any(latest(one) is latest(store) for one in _here.stores)


def latest(store: Store) -> Store:
    """Where all of a store lies now."""
    while store.moved is not None:
        store = store.moved
    return store


def busy(where: str) -> BusyError:
    """What is raised where a step cannot be interrupted."""
    return BusyError(
        f"{where}: this thread is in the middle of a step or of fit on the same weights, which a signal handler "
        "interrupted; have the handler set a flag, and a callback look at it, such as on_train_batch_end"
    )
