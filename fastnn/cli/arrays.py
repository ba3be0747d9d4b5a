"""Arrays of .npz files, and the data sets that are known by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.arrays import Array
from ..datasets import archives, fashion_mnist, load_digits, mnist
from ..errors import FastnnError
from . import sources
from .frames import LARGEST, SUFFIXES

SETS = ("digits", "mnist", "fashion_mnist")
TARGETS = ("y_train", "y")
# The target, its rows X, and the file's own test rows.
_PARTS = {
    "y_train": (("x_train", "x_test"), ("X_train", "X_test")),
    "y": (("X", "X_test"), ("x", "x_test")),
}
_INPUTS = ("X", "x", "X_test", "x_test")


def is_table(data: str) -> bool:
    """Whether DATA is a .csv file, by its name, or a pipe; else it is an .npz file or one of SETS.

    Raises:
        FastnnError: it is none of them.
    """
    if data in SETS:
        return False
    if sources.is_stream(data):
        return True
    path, suffix = Path(data), sources.suffix(data)
    if not path.is_file():
        raise FastnnError(f"{data}: no such file; DATA is {', '.join(SETS)} or the path of a .csv or .npz file")
    # Without an ending it may be a descriptor, such as /dev/fd/0.
    return suffix in SUFFIXES or (not suffix and not sources.begins_as_archive(path))


def train(data: str, target: str | None) -> tuple[str, list[Array]]:
    """What to train on: the target's name, and X, y or X, y, X_test, y_test.

    Args:
        data: a name of SETS, or the path of an .npz file. target: the name of the target's array; None to find it.

    Raises:
        FastnnError: no such file, no such arrays, or arrays that do not fit together.
    """
    if data in SETS:
        if target is not None:
            raise FastnnError(f"{data}: --target is for files; the digits and pictures have classes of their own")
        return "class", list(load_digits()) if data == "digits" else _known(data)
    path = Path(data)
    there = archives.names(path)
    target = target or next((name for name in TARGETS if name in there), None)
    pairs = _PARTS.get(target or "", (("X", "X_test"), ("x", "x_test")))
    X_name, X_test_name = next((pair for pair in pairs if pair[0] in there), ("", ""))
    if target not in there or not X_name:
        expected = f'X and "{target}"' if target else "X and y, or x_train and y_train"
        raise FastnnError(f"{path}: expected arrays {expected}; found {', '.join(sorted(there)) or 'nothing'}")
    names = [X_name, target]
    if target in TARGETS and {X_test_name, "y_test"} <= set(there):
        names += [X_test_name, "y_test"]
    arrays = archives.read_npz(path, names)
    for place in range(0, len(names), 2):
        arrays[place], arrays[place + 1] = _pair(path, names[place : place + 2], *arrays[place : place + 2])
    if len(arrays) == 4 and arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise FastnnError(
            f"{path}: rows of {X_name} have shape {arrays[0].shape[1:]}, of {X_test_name} {arrays[2].shape[1:]}; "
            "expected the same"
        )
    return target, arrays


def inputs(data: str) -> Array:
    """The rows to predict for: of the arrays X, x, X_test, x_test the first that is there; of a set its test rows.

    Raises:
        FastnnError: no such file or arrays.
    """
    if data in SETS:
        return load_digits()[0] if data == "digits" else _known(data)[2]
    path = Path(data)
    there = archives.names(path)
    name = next((name for name in _INPUTS if name in there), None)
    if name is None:
        raise FastnnError(f"{path}: expected an array X, or x_test; found {', '.join(sorted(there)) or 'nothing'}")
    (X,) = archives.read_npz(path, [name])
    _require_numbers(path, name, X)
    return X


def _known(data: str) -> list[Array]:
    (x_train, y_train), (x_test, y_test) = (mnist if data == "mnist" else fashion_mnist).load_data()
    return [x_train, y_train, x_test, y_test]


def _require_numbers(path: Path, name: str, X: Array) -> None:
    if X.ndim < 2 or X.dtype.kind not in "biuf":
        raise FastnnError(f"{path}: {name} is {X.dtype} of shape {X.shape}, expected numbers of shape (rows, columns)")
    require_finite(f"{path}: {name}", X)


def _pair(path: Path, names: Sequence[str], X: Array, y: Array) -> tuple[Array, Array]:
    """X (n, ...) and y (n,) or (n, targets), or an error that says what does not fit."""
    _require_numbers(path, names[0], X)
    if y.dtype.kind not in "biufU" or y.ndim not in (1, 2):
        raise FastnnError(f"{path}: {names[1]} is {y.dtype} of shape {y.shape}, expected shape (rows,)")
    if len(X) != len(y):
        raise FastnnError(f"{path}: {names[0]} has {len(X):,} rows and {names[1]} has {len(y):,}; expected as many")
    if len(X) < 2 or X.size == 0 or y.size == 0:
        raise FastnnError(
            f"{path}: {names[0]} has shape {X.shape}, {names[1]} {y.shape}; expected at least 2 rows and 1 column"
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind != "f" and y.ndim == 2:
        raise FastnnError(
            f"{path}: {names[1]} is {y.dtype} of shape {y.shape}; expected one class a row, shape (rows,)"
        )
    return X, y


def flattened(X: Array) -> Array:
    """X (n, ...) as (n, inputs), the same memory."""
    return X.reshape(len(X), math.prod(X.shape[1:]))


def require_finite(what: str, array: Array, nan: bool = True) -> None:
    """Raises where an array (n, ...) holds infinity or what float32 cannot hold, or NaN unless it is allowed."""
    if array.dtype.kind != "f":
        return
    flat = flattened(array)
    bad = np.abs(flat) > LARGEST
    if not nan:
        bad |= np.isnan(flat)
    if bad.any():
        row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
        place = f"row {row}, column {column}" if flat.shape[1] > 1 else f"row {row}"
        value = flat[row, column]
        cure = "scale it down" if np.isfinite(value) else "remove or fill such rows first"
        raise FastnnError(f"{what} holds {value} in {place}; {cure}")
