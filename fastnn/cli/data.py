"""Reading what `fastnn train` is given: digits, an MNIST archive, or arrays X and y."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import random
from ..datasets import load_digits
from ..errors import FastnnError

HELD_OUT = 0.2
MOST_CLASSES = 10_000
NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("x_train", "y_train"),
    ("X_train", "y_train"),
    ("X", "y"),
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Rows to train on and rows held out, scaled and ready for `fit`."""

    name: str
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    classes: int
    """0 for regression."""

    @property
    def outputs(self) -> int:
        """Units of the last layer."""
        return self.classes or (self.y.shape[1] if self.y.ndim == 2 else 1)

    def describe(self) -> str:
        """One line: what was read."""
        target = f"{self.classes:,} classes" if self.classes else f"regression on {_count(self.outputs, 'target')}"
        columns = _count(self.X.shape[1], "column")
        return f"{self.name}: {len(self.X):,} rows to train on, {len(self.X_test):,} held out · {columns} · {target}"


def load(data: str, seed: int) -> Table:
    """Read `data`, hold out a fifth of its rows by `seed` (or the file's own test rows), and scale the columns.

    Math:
        pixels (uint8): X / 255; other columns: (X - mean) / sd with the mean and sd of the training rows.

    Args:
        data: "digits", or the path of an .npz file.
        seed: which rows are held out.

    Returns:
        The table; X float32 (n, columns); y int64 (n,) for classes, float32 for regression.

    Raises:
        FastnnError: no such file, no such arrays, or arrays that do not fit together.
    """
    if data == "digits":
        X, y = load_digits()
        return _table("digits", _split(X, y, seed), pixels=True)
    path = Path(data)
    name = path.stem
    try:
        return _load(name, _read(path), seed)
    except MemoryError as error:
        raise FastnnError(f"{path}: not enough memory: {error}") from None


def _load(name: str, arrays: dict[str, Array], seed: int) -> Table:
    keys = list(arrays)
    if len(arrays) == 4:
        parts = _pair(name, arrays, *keys[:2]) + _pair(name, arrays, *keys[2:])
        return _table(name, parts, pixels=parts[0].dtype == np.uint8)
    X, y = _pair(name, arrays, *keys)
    return _table(name, _split(X, y, seed), pixels=X.dtype == np.uint8)


def _read(path: Path) -> dict[str, Array]:
    """X and y, or X, y, X_test and y_test where the file has its own test rows, by their names in it."""
    if not path.is_file():
        raise FastnnError(f'{path}: no such file; DATA is "digits" or the path of an .npz file')
    try:
        with open(path, "rb") as content:
            if not zipfile.is_zipfile(content):
                raise FastnnError(f"{path}: not an .npz file; write one with numpy.savez(path, X=X, y=y)")
        with np.load(path, allow_pickle=False) as file:
            for keys in NAMES:
                if set(keys) <= set(file.files):
                    arrays = {key: file[key] for key in keys}
                    break
            else:
                found = ", ".join(sorted(file.files)) or "nothing"
                raise FastnnError(f"{path}: expected arrays X and y, or x_train and y_train; found {found}")
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, FastnnError):
            raise
        text = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FastnnError(f"{path}: cannot be read: {text}") from None
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise FastnnError(f"{path}: a member is not a NumPy array; write the file with numpy.savez")
    return arrays


def _pair(name: str, arrays: dict[str, Array], X_key: str, y_key: str) -> tuple[Array, Array]:
    """X as (n, columns), y as (n,) or (n, targets), or an error that says what does not fit."""
    X, y = arrays[X_key], arrays[y_key]
    if X.ndim < 2 or X.dtype.kind not in "biuf":
        raise FastnnError(f"{name}: X is {X.dtype} of shape {X.shape}, expected numbers of shape (rows, columns)")
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2):
        raise FastnnError(f"{name}: y is {y.dtype} of shape {y.shape}, expected numbers of shape (rows,)")
    if len(X) != len(y):
        raise FastnnError(f"{name}: X has {len(X):,} rows and y has {len(y):,}; expected as many")
    if len(X) < 2 or X.size == 0 or y.size == 0:
        raise FastnnError(f"{name}: X has shape {X.shape}, y {y.shape}; expected at least 2 rows and 1 column")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind != "f" and y.ndim == 2:
        raise FastnnError(
            f"{name}: y holds integers of shape {y.shape}; expected one class number a row, shape (rows,)"
        )
    X = X.reshape(len(X), -1)
    _finite(name, X_key, X)
    _finite(name, y_key, y[:, None] if y.ndim == 1 else y, float(np.finfo(np.float32).max))
    return X, y


def _finite(name: str, key: str, array: Array, largest: float = np.inf) -> None:
    """Raises where an array (n, columns) holds NaN, infinity or more than `largest`, naming the file's row."""
    if array.dtype.kind != "f":
        return
    bad = ~np.isfinite(array) | (np.abs(array) > largest)
    if bad.any():
        row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
        place = f"row {row}, column {column}" if array.shape[1] > 1 else f"row {row}"
        value = array[row, column]
        cure = "scale it down" if np.isfinite(value) else "remove or fill such rows first"
        raise FastnnError(f"{name}: {key} holds {value} in {place}; {cure}")


def _split(X: Array, y: Array, seed: int) -> tuple[Array, Array, Array, Array]:
    order = random.permutation(seed, 0, len(X), random.Purpose.HOLD_OUT)
    held = max(1, round(len(X) * HELD_OUT))
    return X[order[held:]], y[order[held:]], X[order[:held]], y[order[:held]]


def _table(name: str, parts: tuple[Array, Array, Array, Array], pixels: bool) -> Table:
    X, y, X_test, y_test = parts
    if X.shape[1] != X_test.shape[1]:
        raise FastnnError(f"{name}: {X.shape[1]} columns to train on, {X_test.shape[1]} to test on; expected as many")
    classes = 0 if y.dtype.kind == "f" else _classes(name, y, y_test)
    target = np.int64 if classes else np.float32
    X, X_test = _pixels(X, X_test) if pixels else _standardised(name, X, X_test)
    return Table(name, X, y.astype(target), X_test, y_test.astype(target), classes)


def _classes(name: str, y: Array, y_test: Array) -> int:
    low = min(int(y.min()), int(y_test.min()))
    high = max(int(y.max()), int(y_test.max()))
    if low != 0:
        cure = f"; subtract {low}" if low > 0 else ""
        raise FastnnError(f"{name}: class numbers in y run from {low} to {high}, expected from 0{cure}")
    if high >= MOST_CLASSES:
        raise FastnnError(
            f"{name}: y holds integers up to {high:,}; store it as floats if it is a quantity, not a class"
        )
    return max(high + 1, 2)


def _pixels(X: Array, X_test: Array) -> tuple[Array, Array]:
    scale = np.float32(255 if X.dtype == np.uint8 else 1)
    return X.astype(np.float32) / scale, X_test.astype(np.float32) / scale


def _standardised(name: str, X: Array, X_test: Array) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean = X.mean(axis=0, dtype=np.float64)
        sd = X.std(axis=0, dtype=np.float64)
    if not np.isfinite(sd).all():
        raise FastnnError(f"{name}: the values in column {int(np.argmin(np.isfinite(sd)))} of X are too large to scale")
    sd[sd == 0] = 1.0
    return ((X - mean) / sd).astype(np.float32), ((X_test - mean) / sd).astype(np.float32)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
