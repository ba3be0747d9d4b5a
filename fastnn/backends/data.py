"""What programs read and write: arrays, the data of a fit, sums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """What a fit reads: arrays are checked, never copied, and converted batch by batch.

    Attributes:
        X: (n, I) of each input, any real dtype and strides.
        y: (n, T) targets of each loss, any real dtype and strides; () to predict.
        w: (n,) weights of the rows in each loss, of the model's dtype, or None; () is None for all.
        order: (n,) int64: step s trains on the rows order[s * batch_size : (s + 1) * batch_size]; None is 0, 1, 2, ...
        batch_size: rows a step; the last step may have fewer.
        shares: (steps,) float64, what the penalties of each step are multiplied by; None: 1.
    """

    X: tuple[Array, ...]
    y: tuple[Array, ...]
    w: tuple[Array | None, ...]
    order: npt.NDArray[np.int64] | None
    batch_size: int
    shares: Sums | None = None

    @cached_property
    def rows(self) -> int:
        """n."""
        return int(self.X[0].shape[0])

    @cached_property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.rows // self.batch_size)

    def part(self, first: int) -> Data:
        """One batch of rows that have no order, from row `first` on, as views."""
        some = slice(first, first + self.batch_size)
        X, y = tuple(X[some] for X in self.X), tuple(y[some] for y in self.y)
        w = tuple(None if w is None else w[some] for w in self.w)
        step = first // self.batch_size
        shares = None if self.shares is None else self.shares[step : step + 1]
        return Data(X, y, w, None, min(self.batch_size, len(X[0])), shares)

    def weights(self, loss: int) -> Array | None:
        """Those of one loss."""
        return self.w[loss] if self.w else None

    def share(self, step: int) -> float:
        """What the penalties of a step are multiplied by."""
        return 1.0 if self.shares is None else float(self.shares[step])
