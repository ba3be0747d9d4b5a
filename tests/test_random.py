"""The randomness contract: known answers, layout, and what a generator must be."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from fastnn.core import normals, random
from fastnn.core.random import Purpose


def words(text: str) -> tuple[int, ...]:
    return tuple(int(w, 16) for w in text.split())


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_known_answers(counter: str, key: str, expected: str) -> None:
    """Random123's published vectors for philox4x32 with 10 rounds."""
    c0, c1, c2, c3 = words(counter)
    k0, k1 = words(key)
    got = random.philox4x32((c0, c1, c2, c3), (k0, k1))
    assert tuple(int(w) for w in got) == words(expected)


def test_counter_layout() -> None:
    assert random.key(0x1122334455667788) == (0x55667788, 0x11223344)
    got = random.counter(0xAB, 0x00CDEF0112345678, 0x1357, 0x9BDF02468ACE)
    assert got == (0x02468ACE, 0x9BDF1357, 0x12345678, 0xCDEF01AB)
    arrays = random.counter(1, 2, 3, np.array([5, 2**40 + 6], dtype=np.int64))
    assert [int(v) for v in arrays[0]] == [5, 6]
    assert [int(v) for v in arrays[1]] == [3, 3 | 2**8 << 16]


def test_element_layout() -> None:
    """Element e is word (e >> 4) & 3 of block (e >> 6 << 4) | (e & 15)."""
    seed, purpose, step, layer = 0xDEADBEEF12345678, Purpose.DROPOUT, 2**33 + 7, 3
    got = random.bits32(seed, purpose, step, layer, 200)
    for e in (0, 1, 15, 16, 17, 63, 64, 100, 127, 128, 199):
        block = (e >> 6 << 4) | (e & 15)
        four = random.philox4x32(random.counter(purpose, step, layer, block), random.key(seed))
        assert int(got[e]) == int(four[(e >> 4) & 3]), e
    pairs = random.bits64(seed, purpose, step, layer, 100)
    assert [int(v) for v in pairs] == [int(got[2 * e]) << 32 | int(got[2 * e + 1]) for e in range(100)]


def test_known_numbers() -> None:
    """These are in people's models: they must never change."""
    assert random.bits32(1, Purpose.WEIGHTS, 0, 0, 4).tolist() == KNOWN_BITS
    assert [v.hex() for v in normals.normal(1, Purpose.WEIGHTS, 0, 0, 3).tolist()] == KNOWN_NORMALS
    assert [v.hex() for v in normals.truncated_normal(1, Purpose.WEIGHTS, 0, 0, 3).tolist()] == KNOWN_TRUNCATED
    assert random.permutation(1, 0, 8).tolist() == KNOWN_ORDER


KNOWN_BITS: list[int] = [310111809, 281831268, 1027686878, 3796983983]
KNOWN_NORMALS = ["-0x1.75a6abe498d77p+0", "-0x1.6ad1939addb24p-1", "-0x1.0ff529ceced01p-1"]
KNOWN_TRUNCATED = ["-0x1.549efedaa69a4p+0", "-0x1.578117757d7d2p-1", "-0x1.0271e8a0f78a4p-1"]
KNOWN_ORDER: list[int] = [7, 0, 2, 4, 5, 3, 1, 6]


@pytest.mark.parametrize("start", [0, 1, 15, 16, 63, 64, 65, 1000])
@pytest.mark.parametrize("n", [0, 1, 17, 64, 300])
def test_any_slice_gives_the_same_numbers(start: int, n: int) -> None:
    where: tuple[int, int, int, int] = (9, Purpose.WEIGHTS, 4, 2)
    for draw in (random.bits32, random.bits64, random.uniform, normals.normal, normals.truncated_normal):
        whole = draw(*where, 1400)
        part = draw(*where, n, start=start)
        assert part.shape == (n,)
        np.testing.assert_array_equal(part, whole[start : start + n])


def test_pieces_join(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = random.bits32(3, Purpose.DROPOUT, 0, 0, 1000, start=37)
    monkeypatch.setattr(random, "_PIECE", 32)
    np.testing.assert_array_equal(random.bits32(3, Purpose.DROPOUT, 0, 0, 1000, start=37), whole)


def test_each_name_has_its_own_numbers() -> None:
    base: dict[str, Any] = {"seed": 1, "purpose": Purpose.WEIGHTS, "step": 1, "layer": 1}
    changes: list[dict[str, Any]] = [
        {"seed": 2},
        {"seed": 1 + 2**32},
        {"purpose": Purpose.SHUFFLE},
        {"step": 2},
        {"step": 1 + 2**32},
        {"layer": 2},
    ]
    draws = [random.bits32(**(base | change), n=64) for change in ({}, *changes)]
    assert len({draw.tobytes() for draw in draws}) == len(draws)
    assert len(set(np.concatenate(draws).tolist())) == 64 * len(draws)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(dtype: str) -> None:
    n, cells = 200_000, 64
    u = random.uniform(11, Purpose.WEIGHTS, 0, 0, n, dtype)
    assert u.dtype == dtype
    assert u.min() >= 0.0
    assert u.max() < 1.0
    counts = np.bincount((u * cells).astype(np.int64), minlength=cells)
    chi_squared = float(((counts - n / cells) ** 2).sum() / (n / cells))
    assert abs(chi_squared - (cells - 1)) < 4.0 * math.sqrt(2.0 * (cells - 1))
    assert abs(float(np.corrcoef(u[:-1], u[1:])[0, 1])) < 4.0 / math.sqrt(n)


def test_each_bit_is_even() -> None:
    n = 100_000
    bits = random.bits32(12, Purpose.DROPOUT, 0, 0, n)
    for place in range(32):
        ones = int((bits >> np.uint32(place) & np.uint32(1)).sum())
        assert abs(ones - n / 2) < 4.0 * math.sqrt(n) / 2, place


def test_normal_moments() -> None:
    n = 200_000
    x = normals.normal(13, Purpose.WEIGHTS, 0, 0, n)
    for power, moment, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        assert abs(float((x**power).mean()) - moment) < 4.0 * math.sqrt(variance / n), power


def test_normal_is_the_inverse_of_the_distribution_function() -> None:
    """Centre, middle and tail, where AS241 changes from one to the other, and the ends that can be drawn."""
    q = np.array([2.0**-53, 1e-12, 1e-3, 0.2, 0.4249, 0.4251, 0.49, 0.4999, 0.5 - 1e-9, 0.5 - 1e-12, 0.5 - 2.0**-53])
    q = np.concatenate([q, -q])
    with mpmath.workdps(40):
        exact = [float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(v))) for v in q.tolist()]
    np.testing.assert_allclose(normals._quantiles(q), exact, rtol=2e-15, atol=0.0)
    np.testing.assert_array_equal(normals._quantiles(-q), -normals._quantiles(q))


def test_truncated_normal() -> None:
    n = 200_000
    x = normals.truncated_normal(14, Purpose.WEIGHTS, 0, 0, n)
    assert np.abs(x).max() <= 2.0
    assert np.abs(x).max() > 1.999
    assert abs(float(x.mean())) < 4.0 * 0.88 / math.sqrt(n)
    assert abs(float(x.std()) - 0.87962566103423978) < 0.005


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 1000])
def test_permutation_is_one(n: int) -> None:
    order = random.permutation(15, 3, n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_permutation_follows_its_definition() -> None:
    n = 500
    bits = random.bits64(16, Purpose.SHUFFLE, 5, 0, n).tolist()
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = bits[i] * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    assert random.permutation(16, 5, n).tolist() == order
    assert random.permutation(16, 6, n).tolist() != order
    assert random.permutation(16, 5, n, Purpose.HOLD_OUT).tolist() != order


def test_permutations_are_even() -> None:
    """All 24 orders of 4, each about as often."""
    draws = 4800
    seen: dict[tuple[int, ...], int] = {}
    for epoch in range(draws):
        order = tuple(random.permutation(17, epoch, 4).tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    chi_squared = sum((count - draws / 24) ** 2 for count in seen.values()) / (draws / 24)
    assert abs(chi_squared - 23) < 4.0 * math.sqrt(2.0 * 23)


@pytest.mark.parametrize(("rate", "threshold"), [(0.0, 0), (0.5, 2**31), (0.25, 2**30), (1.0, 2**32 - 1)])
def test_dropout_threshold(rate: float, threshold: int) -> None:
    assert random.dropout_threshold(rate) == threshold


def test_dropout_keeps_its_share() -> None:
    n, rate = 100_000, 0.3
    kept = random.bits32(18, Purpose.DROPOUT, 0, 0, n) >= random.dropout_threshold(rate)
    assert abs(float(kept.mean()) - (1.0 - rate)) < 4.0 * math.sqrt(rate * (1.0 - rate) / n)
