"""The reference backend's fma against exact fractions, and its chains against that."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn.backends.reference.chains import chain
from fastnn.core.algebra import NumpyAlgebra
from support import assert_same_bits, examples

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


def check_chain(dtype: str, a: Any, b: Any, start: Any) -> None:
    """One fma after the other."""
    o = NumpyAlgebra(dtype)
    a, b, expected = o.value(a), o.value(b), o.value(start)
    got = chain(o, a, b, expected)
    for one_a, one_b in zip(a, b, strict=True):
        expected = o.fma(one_a, one_b, expected)
    assert_same_bits(got, expected, f"{a.tolist()} {b.tolist()} {start}")


@pytest.mark.parametrize("dtype", FORMATS)
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_chains_of_any_floats(dtype: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(floats(dtype), floats(dtype)), min_size=1, max_size=30))
    a, b = (np.array(v, dtype=dtype)[:, None] for v in zip(*rows, strict=True))
    check_chain(dtype, a, b, [data.draw(floats(dtype))])


@pytest.mark.parametrize("dtype", FORMATS)
def test_chains_at_ties(dtype: str) -> None:
    """The second product is a tie or far beside one, which the first or the third decides: and zeros of either sign."""
    digits, rng = FORMATS[dtype][0], np.random.default_rng(3)
    odd = 2.0 ** (digits - 1) + 1 + 2 * rng.integers(0, 2 ** (digits - 3), 500)
    for far in (2.0**-100, -(2.0**-100), 0.0, -0.0):
        for start in (np.zeros(500), np.full(500, -0.0), odd / 2.0**60):
            for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1]):
                a = np.stack([np.full(500, far), odd, np.full(500, -far)])[order]
                b = np.stack([np.ones(500), np.full(500, 3.0), np.full(500, 3.0)])[order]
                check_chain(dtype, a, b, start)


@pytest.mark.parametrize("dtype", FORMATS)
def test_chains_at_the_ends_of_the_range(dtype: str) -> None:
    """One by one: an array with one of these would be added by fmas as a whole."""
    limits, digits = np.finfo(dtype), 1.0 + np.finfo(dtype).eps
    low, high = math.ldexp(digits, limits.minexp // 2), math.ldexp(digits, limits.maxexp // 2)
    positive = (0.0, 1.0, digits, low, high, float(limits.smallest_subnormal), float(limits.max))
    values = [*positive, *(-value for value in positive)]
    for x, y, start in itertools.product(values, values, values):
        check_chain(dtype, [[x], [y]], [[y], [x]], [start])
