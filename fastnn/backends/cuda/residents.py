"""The data of a training on the card: whole where they fit, else in pieces of some steps, `pieces.py`."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence

import numpy as np

from ..data import Array, Data
from .calls import Lies
from .device import Card, Memory, contiguous
from .pieces import PIECES, Piece
from .tables import MOST_STEPS

SHARE = 0.5  # of the free memory, that data may take
PIECE_BYTES = 2**26  # of rows that are copied at a time

_serials = itertools.count()


class Residents:
    """Copies of data in a dtype: inputs, targets, weights.

    Attributes:
        serial: a number of its own.
    """

    def __init__(self, card: Card, dtype: np.dtype[np.floating], data: Data) -> None:
        self._card, self._dtype, self._data = card, dtype, weakref.ref(data)
        self.serial = next(_serials)
        arrays = self._arrays(data)
        self._widths = [0 if array is None else int(np.prod(array.shape[1:])) for array in arrays]
        self._there = [array is not None for array in arrays]
        row_bytes = sum(self._widths) * dtype.itemsize
        self._memories: list[Memory | None] = []
        self._pieces: list[Piece] = []
        self._order: Memory | None = None
        self._now = 0
        if row_bytes * data.rows <= SHARE * card.free_bytes():
            self.steps = data.steps
            self._copy(data, arrays)
        else:
            self.steps = max(1, min(MOST_STEPS, PIECE_BYTES // max(1, row_bytes * data.batch_size)))
            rows = min(data.rows, self.steps * data.batch_size)
            self._pieces = [Piece(card, self._widths, rows, dtype) for _ in range(PIECES)]

    def _copy(self, data: Data, arrays: Sequence[Array | None]) -> None:
        """All of it to the card."""
        for width, array in zip(self._widths, arrays, strict=True):
            if array is None:
                self._memories.append(None)
                continue
            memory = self._card.allocate(width * data.rows * self._dtype.itemsize)
            rows = max(1, PIECE_BYTES // max(1, width * self._dtype.itemsize))
            for start in range(0, len(array), rows):
                piece = contiguous(array[start : start + rows], self._dtype)
                self._card.put(memory.address + start * piece[:1].nbytes, piece)
            self._memories.append(memory)
        if data.order is not None:
            self._order = self._card.allocate(8 * data.rows)

    def holds(self, data: Data) -> bool:
        """Whether these are copies of that very object."""
        return self._data() is data

    def _arrays(self, data: Data) -> Sequence[Array | None]:
        weights = [data.weights(number) for number in range(len(data.y))]
        return [*data.X, *data.y, *weights]

    @property
    def key(self) -> tuple[int, int]:
        """By which launches that read what the last `take` made ready are known."""
        return self.serial, self._now

    @property
    def lies(self) -> list[tuple[Lies, int] | None]:
        """Where each array lies, with its width; None for weights that there are not."""
        if self._pieces:
            addresses = self._pieces[self._now].addresses
        else:
            addresses = [0 if memory is None else memory.address for memory in self._memories]
        return [
            ((address, width), width) if there else None
            for address, width, there in zip(addresses, self._widths, self._there, strict=True)
        ]

    @property
    def order(self) -> int:
        """The address of the order of the rows; 0 where they are read as they lie."""
        return 0 if self._order is None else self._order.address

    def rows_of(self, data: Data, last: int) -> int:
        """How many rows there are beside each other, of which steps up to `last` - 1 read the last."""
        if not self._pieces:
            return data.rows
        return min(last * data.batch_size, data.rows) - self._rows(data, (last - 1) // self.steps).start

    def _rows(self, data: Data, number: int) -> slice:
        """Of a piece."""
        start = number * self.steps * data.batch_size
        return slice(start, min(start + self.steps * data.batch_size, data.rows))

    def take(self, data: Data, first: int, last: int) -> list[int]:
        """Makes the rows of steps first..last - 1 ready; the first row of each.

        Args:
            last: at most `end(first)`.
        """
        start, stop = first * data.batch_size, min(last * data.batch_size, data.rows)
        if not self._pieces:
            if self._order is not None and data.order is not None:
                part = np.ascontiguousarray(data.order[start:stop])
                self._card.put(self._order.address + 8 * start, part)
            return list(range(start, stop, data.batch_size))
        number = first // self.steps
        self._now = self._ready(data, number)
        self._pieces[self._now].arrive()
        before = self._rows(data, number).start
        return list(range(start - before, stop - before, data.batch_size))

    def end(self, first: int) -> int:
        """The step before which a slice that begins at `first` must end."""
        return (first // self.steps + 1) * self.steps

    def started(self, data: Data) -> None:
        """The steps that read what `take` made ready were started: while they run, the next piece comes."""
        if self._pieces:
            now = self._pieces[self._now]
            now.leave()
            if (now.number + 1) * self.steps < data.steps:
                self._ready(data, now.number + 1)

    def _ready(self, data: Data, number: int) -> int:
        """Which of the pieces has those rows, or will."""
        rows = self._rows(data, number)
        place = number % PIECES
        if not self._pieces[place].has(number, data, rows):
            self._pieces[place].fill(number, data, self._arrays(data), rows)
        return place
