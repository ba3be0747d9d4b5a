"""Random numbers: arrays at once, or noise in a model, which has other numbers in each step and each row.

    random.normal((2, 3), seed=1)                  # an array
    z = mean + ops.exp(0.5 * log_variance) * random.normal(ops.shape(mean))      # of tensors, for a `Model`

The numbers of a model are a function of its seed (`utils.set_random_seed` makes it repeatable), the steps that it was
trained for, and the row: between two steps predictions of the same rows are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import config
from .core import normals
from .core import random as numbers
from .core.absent import absent
from .core.arrays import Array
from .core.declaration import Config, number, refuse, whole
from .core.symbolic import Tensor, noise
from .core.types import ArrayOrTensor
from .errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ROOT_2 = 1.4142135623730951


class SeedGenerator:
    """Seeds for functions that are called again and again, and shall give other numbers each time.

    In a model it leaves the numbers to the model's own seed.

    Args:
        seed: a whole number; None takes one from `utils.set_random_seed`, or else from the system.

    Raises:
        ArgumentError, ArgumentTypeError: another seed.

    Example:
        >>> import fastnn
        >>> seeds = fastnn.random.SeedGenerator(1)
        >>> first, second = (fastnn.random.uniform((2,), seed=seeds) for _ in range(2))
        >>> bool((first == second).any())
        False
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: object) -> None:
        refuse("SeedGenerator", kwargs, {}, ("seed", "name"))
        self.seed = config.next_seed() if seed is None else whole("SeedGenerator", "seed", seed, low=0)
        self.name = name or "seed_generator"
        self._draws = 0

    def next(self) -> tuple[int, int]:
        """The seed, and how often it was asked for before."""
        self._draws += 1
        return self.seed, self._draws - 1

    def get_config(self) -> Config:
        """What makes an equal one."""
        return {"seed": self.seed, "name": self.name}


Seed: TypeAlias = int | SeedGenerator


def normal(
    shape: Sequence[int | None],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DTypeLike | None = None,
    seed: Seed | None = None,
) -> ArrayOrTensor:
    """Normal numbers; in a model each is made of 23 bits, so that they lie within 5.2 standard deviations.

    Args:
        shape: of the array; with None for its rows, as `ops.shape` gives it, that of a symbolic tensor.
        mean, stddev: of the distribution.
        dtype: "float32" or "float64"; `config.floatx()` unless given.
        seed: a whole number, which gives the same array each time; a `SeedGenerator`; or None, by
            `utils.set_random_seed`.

    Raises:
        ArgumentError: another shape or dtype, or a whole number as the seed of a symbolic tensor. ArgumentTypeError: no
        numbers.

    >>> normal((2, 3), seed=1).round(2)
    array([[-1.  ,  1.8 , -0.16],
           [-0.68, -0.77, -0.67]], dtype=float32)
    """
    mean, deviation = number("normal", "mean", mean), number("normal", "stddev", stddev)
    if (tensor := _tensor("normal", shape, dtype, seed)) is not None:
        from . import ops

        return _ROOT_2 * deviation * ops.erfinv(tensor) + mean
    return _array("normal", shape, dtype, seed, lambda *key: mean + deviation * normals.normal(*key))


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DTypeLike | None = None,
    seed: Seed | None = None,
) -> Array:
    """Normal numbers within two standard deviations of the mean; arrays only. See `normal`.

    >>> bool(abs(truncated_normal((1000,), seed=1)).max() <= 2)
    True
    """
    mean, deviation = number("truncated_normal", "mean", mean), number("truncated_normal", "stddev", stddev)
    return _array("truncated_normal", shape, dtype, seed, lambda *k: mean + deviation * normals.truncated_normal(*k))


def uniform(
    shape: Sequence[int | None],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: DTypeLike | None = None,
    seed: Seed | None = None,
) -> ArrayOrTensor:
    """Numbers from `minval` to `maxval`, all alike. See `normal`.

    >>> uniform((3,), seed=1).round(2)
    array([0.16, 0.96, 0.44], dtype=float32)
    """
    low, high = number("uniform", "minval", minval), number("uniform", "maxval", maxval)
    if (tensor := _tensor("uniform", shape, dtype, seed)) is not None:
        return 0.5 * (high - low) * tensor + 0.5 * (high + low)
    return _array("uniform", shape, dtype, seed, lambda *key: low + (high - low) * numbers.uniform(*key))


def randint(
    shape: Sequence[int], minval: int, maxval: int, dtype: DTypeLike = "int32", seed: Seed | None = None
) -> Array:
    """Whole numbers from `minval` to below `maxval`, all alike; arrays only. See `normal`.

    >>> randint((5,), 0, 10, seed=1)
    array([8, 4, 9, 8, 4], dtype=int32)
    """
    low, high = (
        whole("randint", name, value, low=-(2**62)) for name, value in (("minval", minval), ("maxval", maxval))
    )
    if high <= low:
        raise ArgumentError(f"randint: maxval is {high}, minval {low}; expected more")
    kind = np.dtype(dtype)
    if kind.kind not in "iu" or low < np.iinfo(kind).min or high - 1 > np.iinfo(kind).max:
        raise ArgumentError(f"randint: dtype is {kind}, expected one of whole numbers that holds {low} to {high - 1}")
    draws = _draw(numbers.bits64, "randint", shape, seed)
    made: Array = (low + (draws % np.uint64(high - low)).astype(np.int64)).astype(kind)
    return made


def shuffle(x: ArrayLike, axis: int = 0, seed: Seed | None = None) -> Array:
    """A copy of an array whose rows are in another order.

    >>> shuffle([1, 2, 3, 4], seed=1)
    array([4, 3, 2, 1])
    """
    given = np.asarray(x)
    if not given.ndim or not -given.ndim <= axis < given.ndim:
        raise ArgumentError(f"shuffle: x has shape {given.shape}, which has no axis {axis}")
    key, step = _key("shuffle", seed)
    order = numbers.permutation(key, step, given.shape[axis], numbers.Purpose.ARRAYS)
    return np.take(given, order, axis=axis)


def _key(where: str, seed: object) -> tuple[int, int]:
    """A seed, and a number that tells its draws apart."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    return (config.next_seed() if seed is None else whole(where, "seed", seed, low=0)), 0


def _draw(of: Any, where: str, shape: object, seed: object) -> Array:
    given = _sizes(where, shape)
    if None in given:
        raise ArgumentError(f"{where}: shape is {given}; it makes arrays only, not symbolic tensors")
    sizes = [whole(where, "shape", size, low=0) for size in given]
    key, step = _key(where, seed)
    made: Array = of(key, numbers.Purpose.ARRAYS, step, 0, math.prod(sizes)).reshape(sizes)
    return made


def _array(where: str, shape: object, dtype: DTypeLike | None, seed: object, of: Any) -> Array:
    kind = config.floatx() if dtype is None else config.dtype_name(where, dtype)
    return _draw(of, where, shape, seed).astype(kind)


def _tensor(where: str, shape: object, dtype: DTypeLike | None, seed: object) -> Tensor | None:
    """Numbers from -1 to 1 in a model, or None for an array."""
    sizes = _sizes(where, shape)
    if sizes[:1] != (None,):
        return None
    if None in sizes[1:] or len(sizes) == 1:
        raise ArgumentError(f"{where}: shape is {sizes}, expected (None, N): any number of rows of so many numbers")
    if seed is not None and not isinstance(seed, SeedGenerator):
        raise ArgumentError(
            f"{where}: seed={seed!r} would give a model the same numbers in every step; leave it out, or give a "
            "SeedGenerator: they are by the model's seed then"
        )
    if dtype is not None:
        config.dtype_name(where, dtype)
    return noise(tuple(whole(where, "shape", size) for size in sizes[1:]), config.floatx())


def _sizes(where: str, shape: object) -> tuple[Any, ...]:
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise ArgumentTypeError(f"{where}: shape is {shape!r}, expected a tuple such as (2, 3)")
    return tuple(shape)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)


__all__ = ["SeedGenerator", "normal", "randint", "shuffle", "truncated_normal", "uniform"]
