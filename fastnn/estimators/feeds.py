"""What an estimator's training reads: rows in scikit-learn's order, weights and penalties divided by the weight of
their batch, sparse rows made dense a block at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..backends.data import Data
from ..backends.protocol import Program
from ..core.arrays import Array

_BLOCK = 1 << 22  # elements of rows that are dense at a time
_ROWS = 1 << 16  # that are predicted in one call, behind which Ctrl-C takes effect


def is_sparse(X: Any) -> bool:
    """Whether it is a matrix or an array of SciPy's: in CSR, as the checks of rows leave them."""
    return not isinstance(X, np.ndarray)


def dense(X: Any, rows: Any = slice(None)) -> Array:
    """Some rows, as an array."""
    return X[rows].toarray() if is_sparse(X) else X[rows]


def block_rows(X: Any) -> int:
    """How many rows are read at a time."""
    return max(1, _BLOCK // max(1, X.shape[1])) if is_sparse(X) else _ROWS


class Feed:
    """What each epoch reads.

    Args:
        X: (n, I) array or CSR matrix. y: (n, T) targets. w: (n,) weights, or None.
        batch: rows a step. random: what shuffles, or None. dtype: of the model.

    Attributes:
        strength: what an L2 penalty would have to be divided by to be that of one row.
    """

    def __init__(
        self,
        X: Any,
        y: Array,
        w: Array | None,
        batch: int,
        random: np.random.RandomState | None,
        dtype: str,
        strength: float,
    ) -> None:
        self._X, self._y, self._given, self._random = X, y, w, random
        self.rows, self.batch = X.shape[0], batch
        self.steps = -(-self.rows // batch)
        self._order: Array | None = np.arange(self.rows) if random is not None else None
        self._starts = np.arange(0, self.rows, batch)
        self._sizes = np.diff(self._starts, append=self.rows).astype(np.float64)
        self._shares = strength / self._sizes
        self._strength = strength
        self._w = None if w is None else np.empty(self.rows, dtype)
        self._data: Data | None = None

    def epoch(self, program: Program | None = None) -> Iterable[Data]:
        """The data of the next epoch, one after another."""
        if self._random is not None:
            assert self._order is not None
            self._random.shuffle(self._order)  # as scikit-learn, which takes rows of its order by shuffled places
        self._divide()
        if not is_sparse(self._X):
            return (self._whole(),)
        return in_blocks(self._X, self._y, self._w, self._order, self.batch, self._shares)

    def _divide(self) -> None:
        """Weights and penalties by the sum of their batch's weights; a batch without any weighs nothing."""
        if self._given is None:
            return
        assert self._w is not None
        w = self._given if self._order is None else self._given[self._order]
        sums = np.add.reduceat(w, self._starts, dtype=np.float64)
        inverse = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums != 0.0)
        self._w[slice(None) if self._order is None else self._order] = w * np.repeat(
            self._sizes * inverse, self._sizes.astype(np.int64)
        )
        self._shares[:] = self._strength * inverse

    def _whole(self) -> Data:
        if self._data is None:
            self._data = Data((self._X,), (self._y,), (self._w,), self._order, self.batch, self._shares)
        return self._data


def in_blocks(X: Any, y: Array, w: Array | None, order: Array | None, batch: int, shares: Array) -> Iterator[Data]:
    """Whole steps of rows, as many at a time as may be dense."""
    steps = max(1, block_rows(X) // batch)
    for first in range(0, len(shares), steps):
        some = slice(first * batch, (first + steps) * batch)
        rows = some if order is None else order[some]
        block, weights = dense(X, rows), None if w is None else np.ascontiguousarray(w[rows])
        yield Data((block,), (y[rows],), (weights,), None, min(batch, len(block)), shares[first : first + steps])


def without_penalties(X: Any, y: Array, w: Array | None, batch: int, dtype: Any) -> Iterable[Data]:
    """All rows in their order, weighted so that the mean over all of them is that by their weights."""
    if w is not None:
        w = (w * (len(w) / w.sum())).astype(dtype)
    return in_blocks(X, y, w, None, batch, np.zeros(-(-X.shape[0] // batch)))


def forward(program: Program, X: Any, width: int, dtype: Any) -> Array:
    """Predictions (n, width) of the rows of X."""
    rows = X.shape[0]
    out = np.empty((rows, width), dtype)
    height = block_rows(X)
    for first in range(0, rows, height):
        some = slice(first, first + height)
        program.forward((dense(X, some),), (out[some],))
    return out


def moments(X: Any, w: Array | None) -> tuple[Array, Array]:
    """The mean and the variance of each column in float64, weighted."""
    if is_sparse(X):
        from sklearn.utils.sparsefuncs import mean_variance_axis

        mean, variance = mean_variance_axis(X.astype(np.float64), axis=0, weights=w)
        return np.asarray(mean), np.asarray(variance)
    w = np.ones(len(X)) if w is None else w.astype(np.float64)
    blocks = [slice(first, first + _ROWS) for first in range(0, len(X), _ROWS)]
    mean = sum(w[some] @ X[some] for some in blocks) / w.sum()
    variance = sum(w[some] @ np.square(X[some] - mean) for some in blocks) / w.sum()
    return np.asarray(mean), np.asarray(variance)
