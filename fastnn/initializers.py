"""How weights begin: distributions as Keras's, with the numbers of `core/random.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import config
from .core import normals, random
from .core.absent import absent
from .core.arrays import Array, numeric
from .core.declaration import Config, Declaration, find, names, number, serialize, whole
from .errors import ArgumentError, ArgumentTypeError

# Of a normal distribution cut at 2 standard deviations.
TRUNCATED_SD = 0.87962566103423978
_PARAMETERS = 2**16  # more than a layer has
_DESCRIBED = 1000  # elements of an array that a config in a file may have
_PIECE = 2**15  # elements drawn at a time, so that what they are made from stays in cache


class Initializer(Declaration):
    """Base class; one of your own has `__call__(shape, dtype)`, which is called once for each parameter.

    Attributes:
        seed: None takes the model's seed; with a number of its own it gives the same values wherever it is used.
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
                piece[:] = self._values(out.shape, _Draw(seed, layer, number, start, piece.size))

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
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


class _Draw:
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


class Zeros(Initializer):
    """All 0."""

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        return np.zeros(draw.size)


class Ones(Initializer):
    """All 1."""

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        return np.ones(draw.size)


class Constant(Initializer):
    """All one value, or given values.

    Args:
        value: a finite number, or an array of them that broadcasts to the parameter.

    Raises:
        ArgumentError: not finite; used: it does not broadcast. ArgumentTypeError: not real numbers.
    """

    fields = ("value",)

    def __init__(self, value: Any = 0.0) -> None:
        self.value: float | Array
        if not isinstance(value, list | tuple) and not getattr(value, "shape", ()) and not hasattr(value, "to_numpy"):
            self.value = number("Constant", "value", value)
            return
        self.value = np.array(numeric(value, "Constant: value"), np.float64)
        if not np.isfinite(self.value).all():
            raise ArgumentError("Constant: value has NaN or infinity, expected finite numbers")

    def get_config(self) -> Config:
        """The arguments that make an equal object."""
        return {"value": self.value if isinstance(self.value, float) else self.value.tolist()}

    @property
    def called(self) -> str:
        """What messages call it."""
        return f"Constant of shape {np.shape(self.value)}"

    @property
    def portable(self) -> bool:
        """Whether its config says all, so that a file can hold it."""
        return super().portable and np.size(self.value) <= _DESCRIBED

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        try:
            return draw.part(np.broadcast_to(self.value, shape))
        except ValueError:
            raise ArgumentError(f"Constant: value has shape {np.shape(self.value)}, the parameter {shape}") from None


class Function(Initializer):
    """A function of the caller's, called as `function(shape, dtype=dtype)`."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def __call__(self, shape: tuple[int, ...], dtype: npt.DTypeLike | None = None, **keys: int) -> Any:
        """What the function gives for the shape and the dtype."""
        return self.function(shape, dtype=dtype)

    @property
    def called(self) -> str:
        """What messages call it."""
        return str(getattr(self.function, "__name__", None) or type(self.function).__name__)


class Unknown(Initializer):
    """Stands in a file for what none can hold: the caller's Python code, a large array.

    Args:
        name: what it was.
    """

    fields = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        raise ArgumentError(
            f"initializer: {self.name} is not in the file or text that the layer came from; make the layer with "
            "another one"
        )


class RandomNormal(Initializer):
    """Normal numbers.

    Args:
        mean, stddev: of the distribution; stddev at least 0.
        seed: see `Initializer`.

    Raises:
        ArgumentError: a number out of range.

    Example:
        >>> import fastnn
        >>> fastnn.initializers.RandomNormal(stddev=0.1)((3, 2)).shape
        (3, 2)
    """

    fields = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        where = type(self).__name__
        self.mean = number(where, "mean", mean)
        self.stddev = number(where, "stddev", stddev, 0.0)
        self.seed = _seed(where, seed)

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        return draw.normal(self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normal numbers of which those beyond 2 standard deviations are drawn again.

    Args:
        mean, stddev: of the distribution before it is cut; stddev at least 0.
        seed: see `Initializer`.

    Raises:
        ArgumentError: a number out of range.
    """

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        return draw.truncated_normal(self.mean, self.stddev)


class RandomUniform(Initializer):
    """Uniform numbers in [minval, maxval).

    Args:
        minval, maxval: the ends, minval <= maxval.
        seed: see `Initializer`.

    Raises:
        ArgumentError: a number out of range.
    """

    fields = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = number("RandomUniform", "minval", minval)
        self.maxval = number("RandomUniform", "maxval", maxval, self.minval)
        self.seed = _seed("RandomUniform", seed)

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        return draw.uniform(self.minval, self.maxval)


class VarianceScaling(Initializer):
    """Numbers whose variance is scale / fan.

    Math: sd = sqrt(scale / fan); "uniform" has ends +-sqrt(3) sd; "truncated_normal" is drawn with sd / 0.8796.

    Args:
        scale: positive.
        mode: fan is "fan_in" = I, "fan_out" = O or "fan_avg" = (I + O) / 2.
        distribution: "truncated_normal" (= "normal"), "untruncated_normal" or "uniform".
        seed: see `Initializer`.

    Raises:
        ArgumentError: a scale that is not positive, an unknown mode or distribution.
    """

    fields: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed")
    modes: ClassVar[tuple[str, ...]] = ("fan_in", "fan_out", "fan_avg")
    distributions: ClassVar[tuple[str, ...]] = ("truncated_normal", "normal", "untruncated_normal", "uniform")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        self.scale = number("VarianceScaling", "scale", scale, 0.0, ends="()")
        for name, value, known in (("mode", mode, self.modes), ("distribution", distribution, self.distributions)):
            if value not in known:
                raise ArgumentError(f"VarianceScaling: {name} is {value!r}, expected one of {', '.join(known)}")
        self.mode = mode
        self.distribution = distribution
        self.seed = _seed("VarianceScaling", seed)

    def _values(self, shape: tuple[int, ...], draw: _Draw) -> Array:
        fan_in, fan_out = (shape[0], shape[-1]) if len(shape) > 1 else (math.prod(shape),) * 2
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        sd = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            return draw.uniform(-math.sqrt(3.0) * sd, math.sqrt(3.0) * sd)
        if self.distribution == "untruncated_normal":
            return draw.normal(0.0, sd)
        return draw.truncated_normal(0.0, sd / TRUNCATED_SD)


class _Scaled(VarianceScaling):
    fields: ClassVar[tuple[str, ...]] = ("seed",)
    law: ClassVar[tuple[float, str, str]]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.law, seed=seed)


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (I + O). Source: X. Glorot, Y. Bengio, AISTATS 2010."""

    law = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, variance 2 / (I + O). Source: X. Glorot, Y. Bengio, AISTATS 2010."""

    law = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, variance 2 / I. Source: K. He, X. Zhang, S. Ren, J. Sun, ICCV 2015."""

    law = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, variance 2 / I. Source: K. He, X. Zhang, S. Ren, J. Sun, ICCV 2015."""

    law = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, variance 1 / I. Source: Y. LeCun et al., Efficient BackProp, 1998."""

    law = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, variance 1 / I. Source: Y. LeCun et al., Efficient BackProp, 1998."""

    law = (1.0, "fan_in", "truncated_normal")


# Keras has each class under a second name too.
zeros, ones, constant = Zeros, Ones, Constant
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal

_SNAKE: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
}
NAMES: dict[str, type[Initializer]] = {
    **_SNAKE,
    **{initializer.__name__: initializer for initializer in _SNAKE.values()},
    "zero": Zeros,
    "one": Ones,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "Unknown": Unknown,
}


def __getattr__(name: str) -> Any:
    return absent(__name__, name, _SNAKE)


def get(identifier: object) -> Initializer:
    """The initializer that a name, a config, a class, an `Initializer` or a function stands for; None is
    GlorotUniform.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: anything else.
    """
    if identifier is None:
        return GlorotUniform()
    if isinstance(identifier, type) and not issubclass(identifier, Initializer):
        identifier = identifier()
    if callable(identifier) and not isinstance(identifier, Declaration | type):
        return Function(identifier)
    if isinstance(identifier, np.ndarray | list | tuple):
        raise ArgumentTypeError("initializer: expected a name or an initializer, got an array; give Constant(array)")
    return find("initializer", identifier, Initializer, NAMES, "initializers")


def as_json(value: object) -> Config:
    """What JSON has for an initializer that is not `portable`.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, Initializer):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return serialize(Unknown(value.called))


def _seed(where: str, seed: object) -> int | None:
    return None if seed is None else whole(where, "seed", seed, 0)


__all__ = [*sorted(initializer.__name__ for initializer in _SNAKE.values()), *_SNAKE, "Initializer", "get"]
