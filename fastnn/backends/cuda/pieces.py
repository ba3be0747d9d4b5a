"""Data larger than the card: while the steps of one piece run, the next is gathered into pinned memory and copied."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data import Array, Data
from .device import Card, Pinned

PIECES = 2  # one that steps read, one that arrives


class Piece:
    """The rows of some steps: pinned memory of the host, and as much of the card's.

    Three waits order what uses them: the host gathers once the last copy is done, the copy begins once the last steps
    that read the piece are done, and steps that read it begin once the copy is done.

    Args:
        widths: of a row of each array; 0 for weights that there are not.

    Attributes:
        addresses: of each array on the card. number: of the piece that it has; -1.
    """

    def __init__(self, card: Card, widths: Sequence[int], rows: int, dtype: np.dtype[np.floating]) -> None:
        self._card, self._dtype, self._widths = card, dtype, widths
        places = np.cumsum([0, *(width * rows for width in widths)]).tolist()
        size = places[-1] * dtype.itemsize
        self._there, self._here = card.allocate(size), Pinned(card, size)
        self._places = places[:-1]
        self.addresses = [self._there.address + place * dtype.itemsize for place in self._places]
        self._order: npt.NDArray[np.int64] | None = None
        self._copied: Any = None
        self._read = card.mark(card.stream)  # its memory is there, at least
        self.number = -1

    def __del__(self) -> None:
        with suppress(Exception):  # the card may be lost, or the process at its end
            self._copied.sync()

    def has(self, number: int, data: Data, rows: slice) -> bool:
        """Whether it holds those rows already, in the order in which they are now."""
        if number != self.number:
            return False
        return data.order is None or bool(np.array_equal(data.order[rows], self._order))  # type: ignore[arg-type]

    def fill(self, number: int, data: Data, arrays: Sequence[Array | None], rows: slice) -> None:
        """Gathers rows of the data, and starts their copy."""
        if self._copied is not None:
            self._card.wait(self._copied)
        self._order = None if data.order is None else data.order[rows].copy()
        picked = rows if self._order is None else self._order
        self.number = -1
        self._card.after(self._card.incoming, self._read)
        whole = self._here.bytes.view(self._dtype)
        places = zip(arrays, self._widths, self._places, self.addresses, strict=True)
        try:
            for array, width, place, address in places:
                if array is not None:
                    part = whole[place : place + width * (rows.stop - rows.start)]
                    with np.errstate(all="ignore"):
                        part.reshape(-1, *array.shape[1:])[...] = array[picked]
                    self._card.send(address, part)
        finally:  # after Ctrl-C, too, what was sent must be waited for
            self._copied = self._card.mark(self._card.incoming)
        self.number = number

    def arrive(self) -> None:
        """The steps that come wait for the copy."""
        self._card.after(self._card.stream, self._copied)

    def leave(self) -> None:
        """The steps that read it were started."""
        self._read = self._card.mark(self._card.stream)
