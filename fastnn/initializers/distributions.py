"""Initializers that draw from a distribution; those of layers scale it by their fans."""

from __future__ import annotations

import math
from typing import ClassVar

from ..core.arrays import Array
from ..core.declaration import number, whole
from ..errors import ArgumentError
from .base import Draw, Initializer

# Of a normal distribution cut at 2 standard deviations.
TRUNCATED_SD = 0.87962566103423978


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

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        return draw.normal(self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normal numbers of which those beyond 2 standard deviations are drawn again.

    Args:
        mean, stddev: of the distribution before it is cut; stddev at least 0.
        seed: see `Initializer`.

    Raises:
        ArgumentError: a number out of range.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.TruncatedNormal(stddev=0.1, seed=1)((1000, 10))
        >>> bool(abs(values).max() <= 0.2)
        True
    """

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
        return draw.truncated_normal(self.mean, self.stddev)


class RandomUniform(Initializer):
    """Uniform numbers in [minval, maxval).

    Args:
        minval, maxval: the ends, minval <= maxval.
        seed: see `Initializer`.

    Raises:
        ArgumentError: a number out of range.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.RandomUniform(0.0, 1.0, seed=1)((1000, 10))
        >>> round(float(values.mean()), 2)
        0.51
    """

    fields = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = number("RandomUniform", "minval", minval)
        self.maxval = number("RandomUniform", "maxval", maxval, self.minval)
        self.seed = _seed("RandomUniform", seed)

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
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

    Example:
        >>> import fastnn
        >>> draw = fastnn.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=1)
        >>> round(float(draw((50, 1000)).std()), 2)  # sqrt(2 / 50)
        0.2
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

    def _values(self, shape: tuple[int, ...], draw: Draw) -> Array:
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
    """Uniform, variance 2 / (I + O). Source: X. Glorot, Y. Bengio, AISTATS 2010.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.GlorotUniform(seed=1)((30, 70))
        >>> float(abs(values).max()) <= (6 / (30 + 70)) ** 0.5  # the ends: sqrt(3) standard deviations
        True
    """

    law = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, variance 2 / (I + O). Source: X. Glorot, Y. Bengio, AISTATS 2010.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.GlorotNormal(seed=1)((50, 150))
        >>> round(float(values.std()), 2)  # sqrt(2 / (50 + 150))
        0.1
    """

    law = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, variance 2 / I. Source: K. He, X. Zhang, S. Ren, J. Sun, ICCV 2015.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.HeUniform(seed=1)((150, 100))
        >>> float(abs(values).max()) <= (6 / 150) ** 0.5  # the ends: sqrt(3) standard deviations
        True
    """

    law = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, variance 2 / I. Source: K. He, X. Zhang, S. Ren, J. Sun, ICCV 2015.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.HeNormal(seed=1)((200, 100))  # for layers that end with relu
        >>> round(float(values.std()), 2)  # sqrt(2 / 200)
        0.1
    """

    law = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, variance 1 / I. Source: Y. LeCun et al., Efficient BackProp, 1998.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.LecunUniform(seed=1)((300, 10))
        >>> float(abs(values).max()) <= (3 / 300) ** 0.5  # the ends: sqrt(3) standard deviations
        True
    """

    law = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, variance 1 / I. Source: Y. LeCun et al., Efficient BackProp, 1998.

    Example:
        >>> import fastnn
        >>> values = fastnn.initializers.LecunNormal(seed=1)((100, 100))  # for layers that end with selu
        >>> round(float(values.std()), 2)  # sqrt(1 / 100)
        0.1
    """

    law = (1.0, "fan_in", "truncated_normal")


def _seed(where: str, seed: object) -> int | None:
    return None if seed is None else whole(where, "seed", seed, 0)
