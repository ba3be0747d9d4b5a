"""The reference backend's fma against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn.core.algebra import NumpyAlgebra
from support import examples

# precision, least exponent of a last place, exponent at which the format overflows
FORMATS = {"float32": (24, -149, 128), "float64": (53, -1074, 1024)}
INTEGERS = {"float32": np.int32, "float64": np.int64}


def round_fraction(exact: Fraction, dtype: str) -> float:
    """The nearest value of the dtype, ties to even, for an exact value that is not 0."""
    precision, least, top = FORMATS[dtype]
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    unit = max(exponent - precision + 1, least)
    whole = round(size / Fraction(2) ** unit)
    value = math.inf if Fraction(whole) * Fraction(2) ** unit >= Fraction(2) ** top else math.ldexp(whole, unit)
    return math.copysign(value, 1.0 if exact > 0 else -1.0)


def expected_fma(a: float, b: float, c: float, dtype: str) -> float:
    """What IEEE 754 says, argument by argument."""
    if math.isnan(a) or math.isnan(b) or math.isnan(c):
        return math.nan
    negative = math.copysign(1.0, a) * math.copysign(1.0, b) < 0
    if math.isinf(a) or math.isinf(b):
        if a == 0 or b == 0 or (math.isinf(c) and (c < 0) != negative):
            return math.nan
        return -math.inf if negative else math.inf
    if math.isinf(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact:
        return round_fraction(exact, dtype)
    both_negative = negative and math.copysign(1.0, c) < 0 and (a == 0 or b == 0)
    return -0.0 if both_negative else 0.0


def check(a: Any, b: Any, c: Any, dtype: str) -> None:
    """Compare bit patterns, NaN with any NaN."""
    a, b, c = (np.asarray(v, dtype=dtype) for v in (a, b, c))
    got = NumpyAlgebra(dtype).fma(a, b, c)
    assert got.dtype == dtype
    rows = zip(a.ravel().tolist(), b.ravel().tolist(), c.ravel().tolist(), strict=True)
    expected = np.array([expected_fma(*row, dtype) for row in rows], dtype=dtype).reshape(a.shape)
    same = (got.view(INTEGERS[dtype]) == expected.view(INTEGERS[dtype])) | (np.isnan(got) & np.isnan(expected))
    wrong = np.flatnonzero(~np.asarray(same).ravel())
    assert wrong.size == 0, [
        tuple(float(v.ravel()[i]).hex() for v in (a, b, c, got, expected)) for i in wrong[:3].tolist()
    ]


def floats(dtype: str) -> st.SearchStrategy[float]:
    """Any float, and floats of few bits near each other, which make ties and cancellation."""
    bits = FORMATS[dtype][0]
    few = st.builds(
        lambda whole, nudge, exponent: math.ldexp(whole, exponent) + math.ldexp(nudge, exponent - bits + 6),
        st.integers(-31, 31),
        st.integers(-2, 2),
        st.integers(-bits - 4, bits + 4),
    )
    return st.floats(width=32 if dtype == "float32" else 64) | few


@pytest.mark.parametrize("dtype", FORMATS)
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_fma_of_any_floats(dtype: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(floats(dtype), floats(dtype), floats(dtype)), min_size=1, max_size=30))
    a, b, c = (np.array(v, dtype=dtype) for v in zip(*rows, strict=True))
    check(a, b, c, dtype)


@pytest.mark.parametrize("dtype", FORMATS)
def test_fma_of_special_values(dtype: str) -> None:
    limits = np.finfo(dtype)
    least, eps = float(limits.smallest_subnormal), float(limits.eps)
    positive = [0.0, least, float(limits.tiny), eps, 0.5, 1.0, 1.0 + eps, 3.0, float(limits.max), math.inf, math.nan]
    special = np.array([*positive, *(-v for v in positive)], dtype=dtype)
    a, b, c = (g.ravel() for g in np.meshgrid(special, special, special, indexing="ij"))
    check(a, b, c, dtype)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("place", ["middle", "underflow", "denormal", "overflow"])
def test_fma_where_rounding_twice_goes_wrong(dtype: str, place: str) -> None:
    """Products of few bits, addends about a last place away: ties, near-ties and cancellation, at each end."""
    rng = np.random.default_rng(7)
    n = 4000
    precision, least, top = FORMATS[dtype]
    centre = {"middle": 0, "underflow": least // 2, "denormal": (least + precision) // 2, "overflow": top // 2 - 3}[
        place
    ]

    def few(low: int, high: int) -> np.ndarray[Any, Any]:
        value = np.ldexp(rng.integers(-15, 16, n).astype(np.float64), rng.integers(low, high, n)).astype(dtype)
        nudged = np.nextafter(value, np.asarray(rng.choice([-np.inf, np.inf], n), dtype=dtype))
        return np.where(rng.random(n) < 0.5, value, nudged)

    with np.errstate(all="ignore"):
        a, b = few(centre - 4, centre + 4), few(centre - 4, centre + 4)
        c = few(max(2 * centre - precision - 8, least), min(2 * centre + precision + 8, top - 5))
        check(a, b, c, dtype)
        check(a, b, -(a * b), dtype)
        check(a, b, np.nextafter(-(a * b), np.asarray(0.0, dtype=dtype)), dtype)


@given(st.integers(1, 2**24), st.integers(1, 2**24), st.integers(-149, 0))
@example(1, 1, -149)
@settings(max_examples=examples(100), deadline=None)
def test_fma_with_a_sticky_bit(x: int, y: int, exponent: int) -> None:
    """A product of 48 bits plus a power of two far below: only rounding to odd sees the last one."""
    check([float(x)] * 2, [float(y)] * 2, [math.ldexp(1.0, exponent), -math.ldexp(1.0, exponent)], "float32")


@pytest.mark.parametrize("dtype", FORMATS)
def test_fma_broadcasts_and_takes_literals(dtype: str) -> None:
    o = NumpyAlgebra(dtype)
    column, row = np.arange(3, dtype=dtype)[:, None], np.arange(4, dtype=dtype)
    np.testing.assert_array_equal(o.fma(column, row, 0.5), column * row + 0.5)
    assert o.fma(2.0, 3.0, 4.0).shape == ()
    assert float(o.fma(2.0, 3.0, 4.0)) == 10.0
    assert o.fma(np.empty((0, 3), dtype), 1.0, 0.0).shape == (0, 3)
