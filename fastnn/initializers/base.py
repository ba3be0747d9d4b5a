"""What all initializers share: a parameter is filled piece by piece, by random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

from .. import config
from ..core import normals, random
from ..core.arrays import Array, numeric
from ..core.declaration import Declaration, names
from ..errors import ArgumentError

_PARAMETERS = 2**16  # more than a layer has
_PIECE = 2**15  # elements drawn at a time, so that what they are made from stays in cache

NAMES: dict[str, type[Initializer]] = {}  # the package's own, by what they are called; `__init__.py` fills it


class Initializer(Declaration):
    """Base class; one of your own has `__call__(shape, dtype)`, which is called once for each parameter.

    Attributes:
        seed: None takes the model's seed; with a number of its own it gives the same values wherever it is used.

    Example:
        >>> import fastnn, numpy as np
        >>> class Diagonal(fastnn.Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return np.eye(*shape)
        ...
        >>> layer = fastnn.layers.Dense(2, kernel_initializer=Diagonal())
        >>> model = fastnn.Sequential([fastnn.Input((2,)), layer])
        >>> print(layer.kernel)
        [[1. 0.]
         [0. 1.]]
    """

    calls = names("__call__")
    seed: int | None = None

    def __call__(
        self,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike | None = None,
        *,
        seed: int = 0,
        layer: int = 0,
        number: int = 0,
    ) -> Array:
        """Values for one parameter.

        Args:
            shape: (I, O) of a kernel, (O,) of a bias.
            dtype: "float32" or "float64"; None is `config.floatx()`.
            seed, layer, number: key the random numbers: the model's seed, the layer, the parameter in the layer.

        Returns:
            An array of the shape and dtype.
        """
        values = np.empty(shape, config.floatx() if dtype is None else dtype)
        drawn = _drawn.get()
        self._fill(values, *((seed, layer, number) if drawn is None else drawn.next()))
        return values

    def fill(self, out: Array, *, seed: int = 0, layer: int = 0, number: int = 0) -> None:
        """Writes the values of one parameter, piece by piece; those that a `__call__` of the caller's own gives.

        Args:
            out: contiguous, of the parameter's shape and dtype.
            seed, layer, number: as for a call; what is called inside one of the caller's own is keyed by them, too.

        Raises:
            ArgumentError, ArgumentTypeError: such a call gives another shape, or no real numbers.
        """
        if _of_file.get():
            return
        if type(self).__call__ is Initializer.__call__:
            self._fill(out, seed, layer, number)
            return
        token = _drawn.set(_Keys(seed, layer, number))
        try:
            values = numeric(self(out.shape, dtype=out.dtype.name), f"initializer: what {self.called} gives")
        finally:
            _drawn.reset(token)
        if values.shape != out.shape:
            raise ArgumentError(f"initializer: what {self.called} gives has shape {values.shape}, expected {out.shape}")
        with np.errstate(over="ignore"):
            out[...] = values

    @property
    def called(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @property
    def portable(self) -> bool:
        """Whether its config says all, so that a file can hold it."""
        return type(self) in NAMES.values()

    def _fill(self, out: Array, seed: int, layer: int, number: int) -> None:
        if self.seed is not None:
            seed, layer, number = self.seed, 0, 0
        flat = out.reshape(-1)
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE]
            with np.errstate(over="ignore"):  # rounded to the dtype, as every scalar is
                piece[:] = self._values(out.shape, Draw(seed, layer, number, start, piece.size))

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        raise NotImplementedError


class _Keys:
    """What the random numbers of one parameter are keyed by, for several draws: each has numbers of its own."""

    def __init__(self, seed: int, layer: int, number: int) -> None:
        self._next = seed, layer, number

    def next(self) -> tuple[int, int, int]:
        seed, layer, number = self._next
        self._next = seed, layer, number + _PARAMETERS
        return seed, layer, number


_drawn: ContextVar[_Keys | None] = ContextVar("drawn", default=None)
_of_file: ContextVar[bool] = ContextVar("of_file", default=False)


@contextmanager
def of_file() -> Iterator[None]:
    """Parameters that are made inside stay as they are: a file has their values."""
    token = _of_file.set(True)
    try:
        yield
    finally:
        _of_file.reset(token)


class Draw:
    """The random numbers of a piece of one parameter, in float64 so that both dtypes start alike."""

    def __init__(self, seed: int, layer: int, number: int, start: int, n: int) -> None:
        self._key = (seed, random.Purpose.WEIGHTS, number, layer, n)
        self._start = start

    @property
    def size(self) -> int:
        return self._key[-1]

    def part(self, values: Array) -> Array:
        """What values of the parameter's shape have for this piece."""
        return np.asarray(values.flat[self._start : self._start + self.size])

    def uniform(self, low: float, high: float) -> Array:
        return low + (high - low) * random.uniform(*self._key, start=self._start)

    def normal(self, mean: float, sd: float) -> Array:
        return mean + sd * normals.normal(*self._key, start=self._start)

    def truncated_normal(self, mean: float, sd: float) -> Array:
        return mean + sd * normals.truncated_normal(*self._key, start=self._start)
