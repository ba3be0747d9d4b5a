"""A state as it was at the end of an epoch, which comes home beside the steps of the next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ...core.plan import Counter, Scalar
from ...core.state import State
from ..data import Array
from .device import Card, Memory, Pinned

KEPT = 2  # of which one is whole while the other is written


class Counts(NamedTuple):
    """What of a state the host counts: the optimizer's products and its step."""

    products: Array
    step: int

    @classmethod
    def of(cls, state: State) -> Counts:
        """As they are now."""
        return cls(state.scalars[Scalar.PRODUCTS :].copy(), int(state.counters[Counter.STEP]))

    def restore(self, state: State) -> None:
        """As they were."""
        state.scalars[Scalar.PRODUCTS :] = self.products
        state.counters[Counter.STEP] = self.step


class Snapshots:
    """The last states that came home, and one that may be on its way.

    Each is copied on the card, behind its steps, so that the next steps may go on; then to pinned memory of the host,
    and behind it its number: so the host knows without the driver, which may have failed, whether all of it is there.

    Args:
        memories: of theta, statistics, slots.
    """

    def __init__(self, card: Card, memories: Sequence[Memory]) -> None:
        self._card, self._memories = card, memories
        self._there: Memory | None = None
        self._here: list[Pinned] = []
        self._counts: list[Counts | None] = [None] * KEPT
        self._places = np.cumsum([0, *(-(-memory.size // 8) * 8 for memory in memories)]).tolist()
        self._number = 0
        self._home: Any = None

    def __del__(self) -> None:
        with suppress(Exception):  # the card may be lost, or the process at its end
            self._home.sync()

    def take(self, state: State) -> None:
        """Copies what the card has now, and starts to bring it home."""
        card, size = self._card, self._places[-1]
        if self._there is None:
            self._there = card.allocate(size + 8)
            self._here = [Pinned(card, size + 8) for _ in range(KEPT)]
            for pinned in self._here:
                pinned.bytes[size:] = 0
        self._number += 1
        buffer = self._number % KEPT
        self._counts[buffer] = None
        if self._home is not None:
            card.after(card.stream, self._home)
        for memory, place in zip(self._memories, self._places, strict=False):
            card.copy(self._there.address + place, memory.address, memory.size)
        card.number(self._there.address + size, self._number)
        card.after(card.outgoing, card.mark(card.stream))
        here = self._here[buffer].bytes
        for memory, place in zip(self._memories, self._places, strict=False):
            card.fetch(here[place : place + memory.size], self._there.address + place)
        card.fetch(here[size : size + 4], self._there.address + size)
        self._home = card.mark(card.outgoing)
        self._counts[buffer] = Counts.of(state)

    def forget(self) -> None:
        """Those that were taken are of no use: the weights were at home since."""
        self._counts = [None] * KEPT

    def last(self, vectors: Sequence[Array], wait: bool) -> Counts | None:
        """Fills vectors with the last state that came home, and says what the host had counted; None where there is
        none.

        Args:
            wait: for the one that is on its way, if there is one.
        """
        if wait and self._home is not None:
            self._card.wait(self._home)
        for number in range(self._number, max(0, self._number - KEPT), -1):
            counts = self._counts[number % KEPT]
            if counts is None:
                continue
            here = self._here[number % KEPT].bytes
            if int(here[self._places[-1] :][:4].view(np.int32)[0]) != number:
                continue
            for vector, memory, place in zip(vectors, self._memories, self._places, strict=False):
                vector[...] = here[place : place + memory.size].view(vector.dtype)
            return counts
        return None
