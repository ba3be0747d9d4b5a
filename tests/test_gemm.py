"""The GEMM at the edges of its shapes: heights of tiles, last panels, packed and unpacked, few rows, few columns.

An element of C has the same bits in every product that has its row of A and its column of B: so one product of the
reference serves all parts of it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

from support import DTYPES, TWINS, Array, Runner, assert_same_bits, load, runner_name

EDGES = (1, 2, 3, 4, 5, 6, 7, *range(13, 18), 31, 32, 33, 47, 48, 49, 63, 64, 65, 159, 160, 161)
FEW = (1, 3, 7, 16, 33, 64, 161)
DEPTHS = (0, *EDGES, 255, 256, 257, 513)
# Blocks of columns, of rows and of k; what the second cache holds unpacked; what threads share by rows, by columns.
LARGE = tuple(itertools.product((1, 6, 31, 47, 48, 127, 161), (5, 161, 513, 600), (40, 260)))


class Parent(NamedTuple):
    """A product of the reference, (C, A, B, b) and C + b."""

    C: Array
    A: Array
    B: Array
    b: Array
    Z: Array


@functools.cache
def parent(m: int, n: int, k: int, dtype: str) -> Parent:
    random = np.random.default_rng(m * n + k)
    A, B, b = (random.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (n,)))
    C, Z = np.empty((m, n), dtype), np.empty((m, n), dtype)
    table = load("reference").operations(dtype)
    table["gemm_nn"](C, A, B)
    table["dense_forward"](Z, A, B, b)
    return Parent(C, A, B, b, Z)


def spread(array: Array, ld: int) -> Array:
    """A copy whose rows lie `ld` elements apart, or beside each other."""
    wide = np.full((array.shape[0], max(ld, array.shape[1])), np.nan, array.dtype)
    wide[:, : array.shape[1]] = array
    return wide[:, : array.shape[1]]


def shapes() -> Iterator[tuple[int, int, int]]:
    """(m, n, k), those of one k beside each other."""
    for k in DEPTHS:
        yield from ((m, n, k) for m, n in itertools.product(*[EDGES if k in (7, 33) else FEW] * 2))


def check(name: str, dtype: str, sizes: list[tuple[int, int, int]], ld: int) -> None:
    """All forms of these products, of matrices whose rows lie `ld` elements apart."""
    table, most = load(name).operations(dtype), tuple(map(max, zip(*sizes, strict=True)))
    for k, group in itertools.groupby(sizes, lambda size: size[2]):
        whole = parent(most[0], most[1], k, dtype)
        for m, n, _ in group:
            A, B, b = whole.A[:m], whole.B[:, :n], whole.b[:n]
            rows, columns = spread(A, ld), spread(B, ld)
            products = {
                "gemm_nn": (whole.C, (rows, columns)),
                "gemm_tn": (whole.C, (spread(A.T, ld), columns)),
                "gemm_nt": (whole.C, (rows, spread(B.T, ld))),
                "dense_forward": (whole.Z, (rows, columns, b)),
            }
            for form, (expected, arguments) in products.items():
                guarded = np.full((m + 1, max(ld, n + 1)), 7, dtype)
                where = f"{name} {form} {dtype} {(m, n, k)} ld {ld}"
                table[form](guarded[:m, :n], *arguments)
                assert_same_bits(guarded[:m, :n], expected[:m, :n], where)
                assert (guarded[m] == 7).all() and (guarded[:m, n:] == 7).all(), f"{where}: wrote outside C"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", [runner for runner in TWINS if runner[1] == 1], indirect=True, ids=runner_name)
def test_edges(runner: Runner, dtype: str) -> None:
    check(runner[0], dtype, list(shapes()), 0)


def check_ties(name: str, dtype: str) -> None:
    """Products halfway between two floats, and an addend far below that decides: an fma that rounds twice is wrong."""
    digits = np.finfo(dtype).nmant + 1
    x = [2**digits // 3 // 2 * 2 + 3 + 2 * number for number in range(33)]  # odd, so that 3 x is, of a digit too many
    signs = [number % 3 - 1 for number in range(33)]
    expected = [3 * value + sign if sign else (3 * value + 1) // 4 * 4 for value, sign in zip(x, signs, strict=True)]
    A = np.stack([np.array(signs) * 2.0**-100, np.array(x, np.float64)], axis=1).astype(dtype)
    for columns in (1, 5, 33):
        C, B = np.empty((33, columns), dtype), np.array([[1], [3]], dtype).repeat(columns, axis=1)
        load(name).operations(dtype)["gemm_nn"](C, A, B)
        wanted = np.array(expected, np.float64).astype(dtype)[:, None].repeat(columns, axis=1)
        assert_same_bits(C, wanted, f"{name} {dtype} {columns} columns")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["reference", *dict(TWINS)])
def test_ties(name: str, dtype: str) -> None:
    check_ties(name, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", [runner for runner in TWINS if runner[1] == 1], indirect=True, ids=runner_name)
def test_nothing(runner: Runner, dtype: str) -> None:
    """A C without columns or rows is left alone, and so is what lies beside it."""
    for shape in ((64, 0, 5), (0, 64, 5), (0, 0, 5), (64, 0, 0)):
        check(runner[0], dtype, [shape], 16)


@pytest.mark.parametrize("ld", [1024, 617])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, indirect=True, ids=runner_name)
def test_large(runner: Runner, dtype: str, ld: int) -> None:
    check(runner[0], dtype, sorted(LARGE, key=lambda size: size[2]), ld)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, indirect=True, ids=runner_name)
def test_beyond_the_second_cache(runner: Runner, dtype: str) -> None:
    """Few rows by a B that it cannot hold, a narrow product of an X^T that it cannot hold."""
    check(runner[0], dtype, [(m, 1100, 600) for m in (2, 3, 7, 17)], 0)
    check(runner[0], dtype, [(100, 60, 300)], 617)


@pytest.mark.parametrize("ld", [0, 2112])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", [runner for runner in TWINS if runner[1] == 1], indirect=True, ids=runner_name)
def test_one_row_or_column(runner: Runner, dtype: str, ld: int) -> None:
    """Longer than the row of sums that stays in the first cache."""
    for shape in ((1, 2100, 260), (1, 1100, 43), (2100, 1, 260)):
        check(runner[0], dtype, [shape], ld)


@pytest.mark.parametrize("ld", [0, 1700])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", [runner for runner in TWINS if runner[1] > 1], indirect=True, ids=runner_name)
def test_shared_by_chunks(runner: Runner, dtype: str, ld: int) -> None:
    """Too small a C for two threads, or one row or column: they take chunks of k, or those of C where there is one."""
    for shape in ((1, 33, 700), (1, 1500, 513), (16, 16, 1300), (5, 3, 1025), (40, 1, 600), (1, 1, 1500), (7, 32, 256)):
        check(runner[0], dtype, [shape], ld)
