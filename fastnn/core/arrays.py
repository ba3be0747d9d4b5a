"""What callers give as arrays: real numbers in the machine's byte order, from arrays, lists and data frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentTypeError

Array = npt.NDArray[Any]

_CURES = {
    "O": "convert its columns to numbers",
    "U": "convert the text to numbers",
    "S": "convert the text to numbers",
    "c": "use its .real and .imag as columns",
    "M": "convert the dates to numbers",
    "m": "convert the times to numbers",
    "V": "give plain numbers",
    "T": "convert the text to numbers",
}


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
        cure = _CURES.get(kind, "give plain numbers")
        raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected real numbers; {cure}")
    if not array.dtype.isnative or array.dtype.itemsize > 8 or not array.flags.aligned:
        array = array.astype(np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("="))
    return np.asarray(array)


def _from_frame(value: Any, name: str) -> Array:
    """A data frame or a series as an array; columns of different kinds are brought together, text is named."""
    array = np.asarray(value.to_numpy())
    if array.dtype.kind != "O":
        return array
    if getattr(value, "columns", None) is None:
        return _column(value, name)
    columns = [_column(value[label], f"{name}, column {label!r}") for label in value.columns]
    return np.column_stack(columns)


def _column(series: Any, name: str) -> Array:
    array = np.asarray(series.to_numpy())
    if array.dtype.kind == "O":
        try:
            array = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            first = next((item for item in array if not isinstance(item, int | float)), None)
            raise ArgumentTypeError(
                f"{name} holds {type(first).__name__} such as {first!r}, expected numbers; convert or drop it"
            ) from None
    if array.dtype.kind not in "fiub":
        raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected numbers; convert or drop it")
    return array
