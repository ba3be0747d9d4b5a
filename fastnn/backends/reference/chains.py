"""Sums of products, each added by an fma to what the ones before it gave.

In an fma of NumPy operations most of the work looks for the rare case in which rounding needs care. Here a chain takes
the plain steps first and looks at many of them at once afterwards: had one needed care, the chain is taken again, by
fmas.
"""

from __future__ import annotations

import numpy as np

from ...core.algebra import NumpyAlgebra, add_to_odd, exact_product, needs_care, two_sum
from ...core.arrays import Array

# Elements of the intermediate results of the steps that are looked at at once, which stay in the second cache.
ELEMENTS = 2**14


def chain(o: NumpyAlgebra, a: Array, b: Array, start: Array) -> Array:
    """start + a[0] * b[0] + a[1] * b[1] and so on, by one fma each; of the shape of `start`."""
    a, b, sums = o.value(a), o.value(b), o.value(start)
    steps = _steps_float32 if o.dtype == "float32" else _steps_float64
    count = max(1, ELEMENTS // max(1, sums.size))
    with np.errstate(all="ignore"):
        plain = o.dtype == "float32" or (_splittable(a) and _splittable(b) and _splittable(sums, signed=False))
        for first in range(0, len(a), count):
            some_a, some_b = a[first : first + count], b[first : first + count]
            after = steps(some_a, some_b, sums) if plain else None
            if after is None:
                for one_a, one_b in zip(some_a, some_b, strict=True):
                    sums = o.fma(one_a, one_b, sums)
            else:
                sums = after
    return sums


def _steps_float32(a: Array, b: Array, sums: Array) -> Array | None:
    """The sums with the products a[k] * b[k] added; None where a step needs care."""
    products = np.multiply(a, b, dtype=np.float64)
    totals = np.empty_like(products)
    for product, total in zip(products, totals, strict=True):
        sums = np.add(product, sums, out=total).astype(np.float32)
    return None if needs_care(totals).any() else sums


def _steps_float64(a: Array, b: Array, sums: Array) -> Array | None:
    """Likewise, for factors that `_splittable` allows."""
    products, lows = exact_product(a, b)
    highs, right, left, results = (np.empty_like(products) for _ in range(4))
    for index, (product, low) in enumerate(zip(products, lows, strict=True)):
        total, right[index] = two_sum(sums, low)
        highs[index], left[index] = two_sum(product, total)
        sums = np.add(highs[index], right[index] + left[index], out=results[index])
    # An inexact sum of the two errors may have hidden on which side of a tie the whole lies.
    return sums if (highs + add_to_odd(right, left) == results).all() else None


def _splittable(x: Array, signed: bool = True) -> bool:
    """Whether nothing underflows when products of such values, and sums of them, are split; what overflows becomes NaN,
    which equals nothing. A sum must not begin at -0 (`signed`), which the errors that are added would make +0; none
    becomes -0 later."""
    zero = x == 0.0 if signed else x.view(np.int64) == 0
    return bool(((np.abs(x) >= 2.0**-450) | zero).all())
