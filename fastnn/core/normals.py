"""Normal and truncated normal numbers, by the inverse of the distribution function, from the numbers of `random.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import arithmetic, random

if TYPE_CHECKING:
    from .algebra import Algebra, Real

# AS241's rational functions: numerator and denominator, constant first.
_CENTRE = (
    (
        3.3871328727963665,
        133.14166789178438,
        1971.5909503065513,
        13731.69376550946,
        45921.95393154987,
        67265.7709270087,
        33430.57558358813,
        2509.0809287301227,
    ),
    (
        1.0,
        42.31333070160091,
        687.1870074920579,
        5394.196021424751,
        21213.794301586597,
        39307.89580009271,
        28729.085735721943,
        5226.495278852854,
    ),
)
_MIDDLE = (
    (
        1.4234371107496835,
        4.630337846156546,
        5.769497221460691,
        3.6478483247632045,
        1.2704582524523684,
        0.2417807251774506,
        0.022723844989269184,
        0.0007745450142783414,
    ),
    (
        1.0,
        2.053191626637759,
        1.6763848301838038,
        0.6897673349851,
        0.14810397642748008,
        0.015198666563616457,
        0.0005475938084995345,
        1.0507500716444169e-09,
    ),
)
_TAIL = (
    (
        6.657904643501103,
        5.463784911164114,
        1.7848265399172913,
        0.29656057182850487,
        0.026532189526576124,
        0.0012426609473880784,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ),
    (
        1.0,
        0.599832206555888,
        0.1369298809227358,
        0.014875361290850615,
        0.0007868691311456133,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ),
)

# P(|x| <= 2) of the standard normal distribution, erf(sqrt 2).
_WITHIN_2 = 0.9544997361036416


def _normal_quantile(o: Algebra, q: Real) -> Real:
    """The x below which a standard normal number lies with probability 1/2 + q, for |q| < 1/2.

    Source: M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics
    37(3), 1988.
    """
    size = o.abs(q)
    r = o.fma(-q, q, 0.180625)
    centre = size * (arithmetic.polynomial(o, _CENTRE[0], r) / arithmetic.polynomial(o, _CENTRE[1], r))
    depth = o.sqrt(-arithmetic.log(o, 0.5 - size))
    r = depth - 1.6
    middle = arithmetic.polynomial(o, _MIDDLE[0], r) / arithmetic.polynomial(o, _MIDDLE[1], r)
    r = depth - 5.0
    tail = arithmetic.polynomial(o, _TAIL[0], r) / arithmetic.polynomial(o, _TAIL[1], r)
    return o.copysign(o.select(size <= 0.425, centre, o.select(depth <= 5.0, middle, tail)), q)


def _centred(seed: int, purpose: int, step: int, layer: int, n: int, start: int) -> npt.NDArray[np.float64]:
    """Uniform numbers in (-1/2, 1/2), odd multiples of 2^-53, so never an end and never 0."""
    whole = (random.bits64(seed, purpose, step, layer, n, start) >> np.uint64(12)).astype(np.float64)
    return (whole + 0.5) * 2.0**-52 - 0.5


def _quantiles(q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from .algebra import NumpyAlgebra  # here, since few models need it

    return np.asarray(NumpyAlgebra("float64").apply(_normal_quantile, q))


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
