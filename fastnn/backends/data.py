"""What programs read and write: arrays, the data of a fit, sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """What a fit reads: arrays are checked, never copied, and converted batch by batch.

    Attributes:
        X: (n, I), any real dtype and strides.
        y: (n, T) targets, any real dtype and strides; None to predict.
        w: (n,) weights of the model's dtype, or None.
        order: (n,) int64: step s trains on the rows order[s * batch_size : (s + 1) * batch_size]; None is 0, 1, 2, ...
        batch_size: rows a step; the last step may have fewer.
    """

    X: Array
    y: Array | None
    w: Array | None
    order: npt.NDArray[np.int64] | None
    batch_size: int

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return int(-(-self.X.shape[0] // self.batch_size))
