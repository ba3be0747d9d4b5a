"""The algebra of `core/arithmetic.py`: its types, and the one on NumPy arrays, whose fma rounds once in NumPy's own
operations.

The types name all that a formula may do, so that a type checker refuses what a backend could not trace.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .arrays import Array

Formula = Callable[..., Any]


class Mask(Protocol):
    """Conditions."""

    def __and__(self, other: Mask, /) -> Mask: ...
    def __or__(self, other: Mask, /) -> Mask: ...
    def __invert__(self) -> Mask: ...


class Real(Protocol):
    """Values of the dtype; a literal is rounded to it."""

    def __add__(self, other: Real | float, /) -> Real: ...
    def __radd__(self, other: float, /) -> Real: ...
    def __sub__(self, other: Real | float, /) -> Real: ...
    def __rsub__(self, other: float, /) -> Real: ...
    def __mul__(self, other: Real | float, /) -> Real: ...
    def __rmul__(self, other: float, /) -> Real: ...
    def __truediv__(self, other: Real | float, /) -> Real: ...
    def __rtruediv__(self, other: float, /) -> Real: ...
    def __neg__(self) -> Real: ...
    def __lt__(self, other: Real | float, /) -> Mask: ...
    def __gt__(self, other: Real | float, /) -> Mask: ...
    def __le__(self, other: Real | float, /) -> Mask: ...
    def __ge__(self, other: Real | float, /) -> Mask: ...
    def __eq__(self, other: Real | float, /) -> Mask: ...  # type: ignore[override]
    def __ne__(self, other: Real | float, /) -> Mask: ...  # type: ignore[override]


class Bits(Protocol):
    """Their bit patterns, as integers that wrap."""

    def __add__(self, other: Bits | int, /) -> Bits: ...
    def __sub__(self, other: Bits | int, /) -> Bits: ...
    def __rsub__(self, other: int, /) -> Bits: ...
    def __and__(self, other: int, /) -> Bits: ...
    def __lshift__(self, other: int, /) -> Bits: ...
    def __rshift__(self, other: int, /) -> Bits: ...
    def __eq__(self, other: int, /) -> Mask: ...  # type: ignore[override]


class Algebra(Protocol):
    """What computes with them."""

    @property
    def dtype(self) -> str: ...
    def constant(self, v: float, /) -> Real: ...
    def fma(self, a: Real | float, b: Real | float, c: Real | float, /) -> Real: ...
    def sqrt(self, a: Real, /) -> Real: ...
    def abs(self, a: Real, /) -> Real: ...
    def copysign(self, magnitude: Real, sign: Real, /) -> Real: ...
    def select(self, condition: Mask, a: Real | float, b: Real | float, /) -> Real: ...
    def to_bits(self, x: Real, /) -> Bits: ...
    def from_bits(self, i: Bits, /) -> Real: ...


INTEGERS: dict[str, npt.DTypeLike] = {"float32": np.dtype(np.int32), "float64": np.dtype(np.int64)}

# What float32 drops of a float64, and its value halfway between two float32.
_DROPPED = np.int64(2**29 - 1)
_HALFWAY = np.int64(2**28)
_SPLITTER = np.float64(2.0**27 + 1.0)


class NumpyAlgebra:
    """Values are NumPy arrays of the dtype; what is not, is converted.

    The operators are NumPy's own, so a formula meant for every argument runs through `apply`, which silences the
    warnings that infinities and NaN give; the methods here silence their own.

    Args:
        dtype: "float32" or "float64", or anything np.dtype takes for them.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype: str = np.dtype(dtype).name
        self._real = np.dtype(dtype)
        self._integer = INTEGERS[self.dtype]

    def apply(self, formula: Formula, *values: npt.ArrayLike) -> Any:
        """`formula(self, *values)` with the values as arrays, without floating-point warnings."""
        with np.errstate(all="ignore"):
            return formula(self, *(self.value(v) for v in values))

    def value(self, v: npt.ArrayLike) -> Array:
        """An array of the dtype, rounded once."""
        return np.asarray(v, dtype=self._real)

    def constant(self, v: float) -> Array:
        """A 0-d array of the dtype."""
        return self.value(v)

    def fma(self, a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Array:
        """a * b + c, rounded once, for all arguments."""
        fused = fma_float32 if self.dtype == "float32" else fma_float64
        return fused(self.value(a), self.value(b), self.value(c))

    def sqrt(self, a: npt.ArrayLike) -> Array:
        """The square root; NaN below 0."""
        with np.errstate(all="ignore"):
            return np.asarray(np.sqrt(self.value(a)))

    def abs(self, a: npt.ArrayLike) -> Array:
        """The magnitude."""
        return np.asarray(np.abs(self.value(a)))

    def copysign(self, magnitude: npt.ArrayLike, sign: npt.ArrayLike) -> Array:
        """The magnitude of one with the sign of the other."""
        return np.asarray(np.copysign(self.value(magnitude), self.value(sign)))

    def select(self, condition: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
        """a where the condition holds, else b."""
        return np.where(condition, self.value(a), self.value(b))

    def to_bits(self, x: npt.ArrayLike) -> Array:
        """The bit pattern as a signed integer."""
        return self.value(x).view(self._integer)

    def from_bits(self, i: npt.ArrayLike) -> Array:
        """The value with this bit pattern."""
        value: Array = np.asarray(i, dtype=self._integer).view(self._real)
        return value


def fma_float32(a: Array, b: Array, c: Array) -> Array:
    """a * b + c in float32, rounded once.

    The double product is exact. The double sum, rounded again to float32, is right unless it lies halfway between two
    float32, where the second rounding needs to know which way the first went: there, and among denormals, the sum is
    redone rounded to odd.

    Source: S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to
    odd", IEEE Transactions on Computers 57(4), 2008.
    """
    with np.errstate(all="ignore"):
        product = np.multiply(a, b, dtype=np.float64)
        addend = np.asarray(c, dtype=np.float64)
        total = np.asarray(product + addend)
        risky = needs_care(total)
        if risky.any():
            product, addend = np.broadcast_arrays(product, addend)
            total[risky] = add_to_odd(product[risky], addend[risky])
        return total.astype(np.float32)


def needs_care(total: Array) -> Array:
    """Where a float64 sum, rounded again to float32, may not be what rounding once gives."""
    size = np.abs(total)
    risky: Array = (total.view(np.int64) & _DROPPED) == _HALFWAY
    return risky | ((size < 2.0**-126) & (size > 0.0))


def fma_float64(a: Array, b: Array, c: Array) -> Array:
    """a * b + c in float64, rounded once.

    By the algorithm of Boldo and Melquiond (see `fma_float32`) where its splittings neither overflow nor underflow;
    `_fma_float64_rest` does the elements at the ends of the range.
    """
    with np.errstate(all="ignore"):
        product, low = exact_product(a, b)
        size = np.abs(product)
        safe = (size >= 2.0**-900) & (size <= 2.0**1000) & (np.abs(c) <= 2.0**1000)
        safe &= (np.abs(a) <= 2.0**990) & (np.abs(b) <= 2.0**990)
        low_sum, low_error = two_sum(c, low)
        high_sum, high_error = two_sum(product, low_sum)
        result = np.asarray(high_sum + add_to_odd(low_error, high_error))
        if not safe.all():
            rest = ~safe
            a, b, c, product = np.broadcast_arrays(a, b, c, product)
            result[rest] = _fma_float64_rest(a[rest], b[rest], c[rest], product[rest])
        return result


def exact_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a * b rounded, and the error of that; exact unless a part overflows or underflows.

    Source: T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik
    18, 1971.
    """
    product = np.asarray(a * b)
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _split(a: Array) -> tuple[Array, Array]:
    """Two halves of the digits, whose sum is a."""
    t = a * _SPLITTER
    high = t - (t - a)
    return high, a - high


def _fma_float64_rest(a: Array, b: Array, c: Array, product: Array) -> Array:
    """a * b + c for one axis of elements that splitting cannot do."""
    # A factor of 0, infinity or NaN: the plain expression rounds nothing.
    result = product + c
    left = np.isfinite(a) & np.isfinite(b) & (a != 0.0) & (b != 0.0)
    # A product far below the last place of c, or a c that is not finite, while the product may have overflowed.
    unchanged = left & (((np.abs(product) < 2.0**-900) & (np.abs(c) > 2.0**-800)) | ~np.isfinite(c))
    result[unchanged] = c[unchanged]
    # Nothing added: only the product rounds, and keeps its sign where it underflows to 0.
    alone = left & (c == 0.0)
    result[alone] = product[alone]
    left &= ~(unchanged | alone)
    if left.any():
        result[left] = [_fma_exact(*row) for row in zip(*(v[left].tolist() for v in (a, b, c)), strict=True)]
    return result


def two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """x + y rounded, and the error of that; exact unless it overflows."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def add_to_odd(x: Array, y: Array) -> Array:
    """x + y rounded to odd: an inexact sum gets the neighbour whose last bit is 1."""
    total, error = two_sum(x, y)
    total, error = np.asarray(total), np.asarray(error)
    bits = total.view(np.int64)
    outward = 1 | ((bits ^ error.view(np.int64)) >> 63)
    inexact_even = ((error > 0.0) | (error < 0.0)) & ((bits & 1) == 0)
    return np.asarray(bits + np.where(inexact_even, outward, 0)).view(np.float64)


def _fma_exact(a: float, b: float, c: float) -> float:
    """a * b + c for finite arguments, a and b not 0, through a fraction, whose conversion to float rounds once."""
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        value = float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")
    return -0.0 if value == 0.0 and exact < 0 else value
