"""The handwritten digits that ship inside the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load 1,797 handwritten digits of 8 x 8 pixels, in their published order.

    Each pixel counts the inked points (0 to 16) in a 4 x 4 block of a 32 x 32 scan.

    Math:
        X = count / 16, exact in float32.

    Returns:
        X: (1797, 64) float32 in [0, 1], one image a row, its pixels row by row from the top left.
        y: (1797,) int64 in [0, 9], the digit.

    Source:
        Optical Recognition of Handwritten Digits, test set. E. Alpaydin, C. Kaynak (1998), UCI Machine Learning
        Repository, https://archive.ics.uci.edu/dataset/80/. CC BY 4.0: see digits.LICENSE.txt beside this.

    Example:
        >>> import fastnn
        >>> X, y = fastnn.datasets.load_digits()
        >>> X.shape, [int(digit) for digit in y[:5]]
        ((1797, 64), [0, 1, 2, 3, 4])
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        pixels, digit = file["pixels"], file["digit"]
    return pixels.astype(np.float32) / np.float32(16), digit.astype(np.int64)
