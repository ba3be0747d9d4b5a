"""The data of a training on the card: whole where they fit, else the rows of a few steps at a time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import numpy as np

from ..data import Array, Data
from .calls import Lies
from .device import Card, Memory, contiguous
from .tables import MOST_STEPS

SHARE = 0.5  # of the free memory, that data may take
PIECE_BYTES = 2**28  # of rows that are copied at a time


class Residents:
    """Copies of data in a dtype: inputs, targets, weights.

    Attributes:
        lies: where each array lies, with its width; None for weights that there are not.
    """

    def __init__(self, card: Card, dtype: np.dtype[np.floating]) -> None:
        self._card, self._dtype = card, dtype
        self._data: Callable[[], Data | None] = lambda: None
        self._memories: list[Memory | None] = []
        self.lies: list[tuple[Lies, int] | None] = []
        self._whole = False
        self._order: Memory | None = None

    def bind(self, data: Data) -> bool:
        """Takes data, once as long as it stays the same object; whether addresses changed."""
        if data is self._data():
            return False
        self._data = lambda: None
        arrays = self._arrays(data)
        widths = [0 if array is None else int(np.prod(array.shape[1:])) for array in arrays]
        row_bytes = sum(widths) * self._dtype.itemsize
        self._memories, self._order = [], None  # given back before more is taken
        self._whole = row_bytes * data.rows <= SHARE * self._card.free_bytes()
        self.steps = max(1, min(MOST_STEPS, PIECE_BYTES // max(1, row_bytes * data.batch_size)))
        rows = data.rows if self._whole else self.steps * data.batch_size
        sizes = [width * rows * self._dtype.itemsize for width in widths]
        self._memories = [
            None if array is None else self._card.allocate(size) for array, size in zip(arrays, sizes, strict=True)
        ]
        self.lies = [
            None if memory is None else ((memory.address, width), width)
            for memory, width in zip(self._memories, widths, strict=True)
        ]
        if self._whole:
            for memory, array in zip(self._memories, arrays, strict=True):
                if memory is not None and array is not None:
                    self._put(memory, array)
        if data.order is not None and self._whole:
            self._order = self._card.allocate(8 * data.rows)
        self._data = weakref.ref(data)
        return True

    def _arrays(self, data: Data) -> Sequence[Array | None]:
        weights = [data.weights(number) for number in range(len(data.y))]
        return [*data.X, *data.y, *weights]

    def _put(self, memory: Memory, array: Array) -> None:
        rows = max(1, PIECE_BYTES // max(1, array[:1].size * self._dtype.itemsize))
        for start in range(0, len(array), rows):
            piece = contiguous(array[start : start + rows], self._dtype)
            self._card.put(memory.address + start * piece[:1].nbytes, piece)

    def rows_of(self, data: Data, first: int, last: int) -> int:
        """What a step's first row is subtracted from, for how many there are at most."""
        return data.rows if self._whole else min(last * data.batch_size, data.rows) - first * data.batch_size

    @property
    def order(self) -> int:
        """The address of the order of the rows; 0 where they are read as they lie."""
        return 0 if self._order is None else self._order.address

    def piece(self, data: Data, first: int, last: int) -> list[int]:
        """Makes the rows of steps first..last - 1 ready; the first row of each."""
        start, stop = first * data.batch_size, min(last * data.batch_size, data.rows)
        if self._whole:
            if self._order is not None and data.order is not None:
                part = np.ascontiguousarray(data.order[start:stop])
                self._card.put(self._order.address + 8 * start, part)
            return list(range(start, stop, data.batch_size))
        for memory, array in zip(self._memories, self._arrays(data), strict=True):
            if memory is not None and array is not None:
                self._put(memory, array[start:stop] if data.order is None else array[data.order[start:stop]])
        return list(range(0, stop - start, data.batch_size))
