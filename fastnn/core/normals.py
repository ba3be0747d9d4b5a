"""Normal and truncated normal numbers, by the inverse of the distribution function, from the numbers of `random.py`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import functions, random

# P(|x| <= 2) of the standard normal distribution, erf(sqrt 2).
_WITHIN_2 = 0.9544997361036416


def _centred(seed: int, purpose: int, step: int, layer: int, n: int, start: int) -> npt.NDArray[np.float64]:
    """Uniform numbers in (-1/2, 1/2), odd multiples of 2^-53, so never an end and never 0."""
    whole = (random.bits64(seed, purpose, step, layer, n, start) >> np.uint64(12)).astype(np.float64)
    return (whole + 0.5) * 2.0**-52 - 0.5


def _quantiles(q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from .algebra import NumpyAlgebra  # here, since few models need it

    return np.asarray(NumpyAlgebra("float64").apply(functions.normal_quantile, q))


def normal(seed: int, purpose: int, step: int, layer: int, n: int, start: int = 0) -> npt.NDArray[np.float64]:
    """Normal numbers of mean 0 and standard deviation 1, by the inverse of the distribution function.

    Args:
        seed, purpose, step, layer, n, start: see `random.bits32`.

    Returns:
        (n,) float64.
    """
    return _quantiles(_centred(seed, purpose, step, layer, n, start))


def truncated_normal(seed: int, purpose: int, step: int, layer: int, n: int, start: int = 0) -> npt.NDArray[np.float64]:
    """Normal numbers of mean 0 and standard deviation 1, given that they lie in [-2, 2].

    Their own standard deviation is 0.8796: who wants 1 divides by it.

    Args:
        seed, purpose, step, layer, n, start: see `random.bits32`.

    Returns:
        (n,) float64.
    """
    x = _quantiles(_centred(seed, purpose, step, layer, n, start) * _WITHIN_2)
    x[x > 2.0] = 2.0
    x[x < -2.0] = -2.0
    return x
