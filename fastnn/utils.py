"""Keras's utilities for arrays and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from . import config
from .core.absent import absent
from .core.arrays import numeric
from .core.declaration import number, whole
from .errors import ArgumentError

__path__: list[str] = []  # of module paths of an older Keras, such as utils.np_utils; see `absent.Finder`


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> npt.NDArray[np.float64]:
    """One-hot rows of class numbers.

    Args:
        x: class numbers from 0, of any shape; a last dimension of 1 is dropped.
        num_classes: C; by default the largest class number + 1.

    Returns:
        (..., C) float64.

    Raises:
        ArgumentError: class numbers that are not whole or not in 0..C-1. ArgumentTypeError: not real numbers.

    Example:
        >>> import fastnn
        >>> print(fastnn.utils.to_categorical([0, 2]))
        [[1. 0. 0.]
         [0. 0. 1.]]
    """
    given = numeric(x, "to_categorical: x")
    if given.ndim > 1 and given.shape[-1] == 1:
        given = given[..., 0]
    if not np.isfinite(given).all() or (np.floor(given) != given).any():
        raise ArgumentError("to_categorical: x has fractions or NaN, expected whole class numbers")
    low, top = (int(given.min()), int(given.max())) if given.size else (0, -1)
    classes = top + 1 if num_classes is None else whole("to_categorical", "num_classes", num_classes)
    if low < 0 or top >= classes:
        raise ArgumentError(f"to_categorical: x runs from {low} to {top}, expected class numbers 0 to {classes - 1}")
    try:
        rows = np.zeros((given.size, classes))
    except (MemoryError, ValueError):
        raise ArgumentError(
            f"to_categorical: {given.size:,} rows of {classes:,} classes are too large; number the classes from 0, "
            "for example with numpy.unique(x, return_inverse=True)"
        ) from None
    rows[np.arange(given.size), given.reshape(-1).astype(np.int64)] = 1.0
    return rows.reshape(*given.shape, classes)


def set_random_seed(seed: int) -> None:
    """Makes the models built from now on, `random` and NumPy's global generator functions of `seed`.

    Args:
        seed: a whole number in [0, 2**32).

    Raises:
        ArgumentError: out of range. ArgumentTypeError: not a whole number.

    Example:
        >>> import fastnn
        >>> def first():
        ...     fastnn.utils.set_random_seed(1)
        ...     return fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1)]).get_weights()[0]
        >>> bool((first() == first()).all())
        True
    """
    import random

    seed = whole("set_random_seed", "seed", seed, 0)
    if seed >= 2**32:
        raise ArgumentError(f"set_random_seed: seed is {seed}, expected a whole number below 2**32")
    random.seed(seed)
    np.random.seed(seed)
    config.set_seed(seed)


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> npt.NDArray[np.float64]:
    """Divides vectors by their norm; zero vectors stay.

    Math: x / (sum |x|^order)^(1 / order).

    Args:
        x: real numbers. axis: that of the vectors. order: of the norm.

    Returns:
        An array of the shape of x.

    Raises:
        ArgumentError: an axis that x does not have, an order that is not positive.
        ArgumentTypeError: not real numbers.

    Example:
        >>> import fastnn
        >>> print(fastnn.utils.normalize([[3.0, 4.0], [0.0, 0.0]]))
        [[0.6 0.8]
         [0.  0. ]]
    """
    array = np.atleast_1d(np.asarray(numeric(x, "normalize: x"), np.float64))
    axis = whole("normalize", "axis", axis, -array.ndim)
    if axis >= array.ndim:
        raise ArgumentError(f"normalize: axis is {axis}, x has {array.ndim}")
    order = number("normalize", "order", order, 0.0, ends="(]")
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(array, order, axis, keepdims=True)
        norms[norms == 0] = 1.0
        return np.asarray(array / norms)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)


__all__ = ["normalize", "set_random_seed", "to_categorical"]
