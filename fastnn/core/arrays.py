"""What callers give as arrays: real numbers in the machine's byte order, from arrays, lists and data frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, ArgumentTypeError

Array = npt.NDArray[Any]

_OF_TEXTS = "; class numbers of texts are np.unique(texts, return_inverse=True)[1]"
_CURES = {
    "O": "convert its columns to numbers",
    "U": f"convert the text to numbers{_OF_TEXTS}",
    "S": f"convert the text to numbers{_OF_TEXTS}",
    "c": "use its .real and .imag as columns",
    "M": "convert the dates to numbers",
    "m": "convert the times to numbers",
    "V": "give plain numbers",
    "T": f"convert the text to numbers{_OF_TEXTS}",
}


class Variable(np.ndarray[Any, np.dtype[Any]]):
    """A weight of a layer: a read-only view, which changes as the model learns, with what Keras's variables have.

    Attributes:
        name: its name in its layer, "kernel". path: that behind its layer's.
    """

    name = path = ""
    _setter: Callable[[object], None] | None = None

    @staticmethod
    def of(view: Array, path: str, setter: Callable[[object], None]) -> Variable:
        """A variable of a view; `setter` writes an array to where it lies."""
        variable = view.view(Variable)
        variable.setflags(write=False)
        variable.path, variable.name, variable._setter = path, path.rpartition("/")[2], setter
        return variable

    def __array_wrap__(self, array: Array, context: object = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __reduce__(self) -> Any:
        return np.array(self).__reduce__()

    def __deepcopy__(self, memo: object) -> Array:  # type: ignore[override]
        return np.array(self)

    @property
    def value(self) -> Array:
        """It as a plain array, a view."""
        return np.asarray(self).view(np.ndarray)

    def numpy(self) -> Array:
        """A copy."""
        return np.array(self)

    def assign(self, value: object) -> None:
        """Sets it.

        Raises:
            ArgumentError: another shape, or this is a part or a copy. ArgumentTypeError: not real numbers.
        """
        if self._setter is None:
            raise ArgumentError("assign: this is a part or a copy of a weight; assign the whole weight")
        self._setter(value)

    def assign_add(self, value: Any) -> None:
        """Adds to it; as `assign`."""
        self.assign(self.numpy() + numeric(value, "assign_add: value"))

    def assign_sub(self, value: Any) -> None:
        """Subtracts from it; as `assign`."""
        self.assign(self.numpy() - numeric(value, "assign_sub: value"))


def numeric(value: Any, name: str) -> Array:
    """`value` as an array of real numbers in the machine's byte order, without a copy where it is one.

    Args:
        value: an array, nested lists, or a data frame or series (anything with `to_numpy`).
        name: what to call it: "X".

    Raises:
        ArgumentTypeError: it does not hold real numbers.
    """
    array = value
    if type(value) is not np.ndarray:
        if value is None:
            raise ArgumentTypeError(f"{name} is None, expected an array")
        if hasattr(value, "toarray"):
            raise ArgumentTypeError(f"{name} is a sparse {type(value).__name__}, expected an array; use .toarray()")
        if hasattr(value, "to_numpy"):
            array = _from_frame(value, name)
        elif isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            raise ArgumentTypeError(f"{name} has masked elements; fill them first, for example with .filled(0)")
        try:
            array = np.asarray(array)
        except (ValueError, TypeError) as error:
            raise ArgumentTypeError(f"{name} does not make an array: {error}") from None
    kind = array.dtype.kind
    if kind not in "fiub":
        if array.ndim == 0 and kind == "O":
            raise ArgumentTypeError(f"{name} is {_described(value, name.rpartition(' ')[2])}")
        cure = _CURES.get(kind, "give plain numbers")
        raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected real numbers; {cure}")
    if not array.dtype.isnative or array.dtype.itemsize > 8 or not array.flags.aligned:
        array = array.astype(np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("="))
    return np.asarray(array)


def require_fit(array: Array, dtype: np.dtype[Any], name: str) -> None:
    """Raises for finite numbers that are none in a narrower dtype; NaN and infinity are what they are.

    Raises:
        ArgumentError: the first of them.
    """
    if array.dtype.kind != "f" or array.dtype.itemsize <= dtype.itemsize:
        return
    with np.errstate(over="ignore"):
        lost = np.isfinite(array) & ~np.isfinite(array.astype(dtype))
    if lost.any():
        place = tuple(int(index) for index in np.argwhere(lost)[0])
        raise ArgumentError(f"{name} is {array[place]:g} at {place}, which does not fit {dtype}")


def _described(value: Any, code: str) -> str:
    """What is no array, and how to make one of it."""
    kind = f"a {type(value).__name__}"
    if isinstance(value, Mapping):
        listed = ", ".join(map(repr, list(value)[:3])) + (", ..." if len(value) > 3 else "")
        return f"{kind} of {listed}, expected an array; for columns give numpy.column_stack(list({code}.values()))"
    if hasattr(value, "collect"):
        return f"{kind}, expected an array; call its collect() first"
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | os.PathLike):
        return f"{kind}, expected an array; give numpy.array(list({code}))"
    return f"{kind}, expected real numbers"


def _from_frame(value: Any, name: str) -> Array:
    """A data frame or a series as an array; columns of different kinds are brought together, text is named."""
    array = np.asarray(value.to_numpy())
    if array.dtype.kind != "O":
        return array
    if getattr(value, "columns", None) is None:
        return _column(value, name)
    # By position: two columns may have one name.
    columns = value.items() if hasattr(value, "items") else ((label, value[label]) for label in value.columns)
    return np.column_stack([_column(series, f"{name}, column {label!r}") for label, series in columns])


def _column(series: Any, name: str) -> Array:
    array = np.asarray(series.to_numpy())
    if array.dtype.kind == "O":
        try:
            array = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            first = next((item for item in array if not isinstance(item, int | float)), None)
            cure = f"convert or drop it{_OF_TEXTS if isinstance(first, str) else ''}"
            raise ArgumentTypeError(
                f"{name} holds {type(first).__name__} such as {first!r}, expected numbers; {cure}"
            ) from None
    if array.dtype.kind not in "fiub":
        raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected numbers; convert or drop it")
    return array
