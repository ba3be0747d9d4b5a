"""The digits that ship inside the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fastnn.datasets
from fastnn.datasets import load_digits


def test_shapes_dtypes_and_range() -> None:
    X, y = load_digits()
    assert X.shape == (1797, 64) and X.dtype == np.float32
    assert y.shape == (1797,) and y.dtype == np.int64
    assert X.min() == 0.0 and X.max() == 1.0
    assert np.array_equal(X * 16, np.rint(X * 16))


def test_is_the_published_data() -> None:
    # Class counts of the file's own description, the sum of all pixel counts, and the first digit, a zero.
    X, y = load_digits()
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (X * 16).sum(dtype=np.float64) == 561718.0
    assert y[:10].tolist() == list(range(10))
    assert (X[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_each_call_gives_arrays_of_its_own() -> None:
    first, _ = load_digits()
    first[:] = -1.0
    assert load_digits()[0].min() == 0.0


def test_source_and_licence_ship_beside_the_small_file() -> None:
    folder = Path(fastnn.datasets.__file__).parent
    assert (folder / "digits.npz").stat().st_size < 100_000
    text = (folder / "digits.LICENSE.txt").read_text()
    assert "CC BY 4.0" in text and "https://archive.ics.uci.edu/dataset/80/" in text
