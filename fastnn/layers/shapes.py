"""Checks of the shapes that layers are given."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.declaration import whole
from ..core.symbolic import Shape
from ..errors import ArgumentError, ArgumentTypeError


def shape_of(where: str, shape: object) -> Shape:
    """The shape of one row as a tuple of positive ints.

    Raises:
        ArgumentError: sizes that are not positive, or None. ArgumentTypeError: not a sequence of whole numbers.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise ArgumentTypeError(f"{where}: shape is {shape!r}, expected a tuple such as ({shape},)")
    if not shape:
        raise ArgumentError(f"{where}: shape is (), expected at least one size, such as (64,)")
    for size in shape:
        if size is None:
            raise ArgumentError(f"{where}: shape is {tuple(shape)!r}; sizes that vary are not supported")
    return tuple(whole(where, "shape", size) for size in shape)


def one_dimension(where: str, shape: Shape) -> int:
    """The features of rows that must have one dimension.

    Raises:
        ArgumentError: they have more.
    """
    if len(shape) != 1:
        raise ArgumentError(
            f"{where}: the rows that come in have shape {shape}, expected (I,); add Flatten() before it"
        )
    return shape[0]


def features(where: str, shape: Shape) -> int:
    """The features of rows that may have axes of size 1 before them, such as an Embedding's of one number.

    Raises:
        ArgumentError: they have several vectors.
    """
    return one_dimension(where, shape[-1:] if math.prod(shape[:-1]) == 1 else shape)


def last_axis(where: str, axis: int | Sequence[int]) -> int:
    """-1 for every way to name the features of a batch of rows.

    Raises:
        ArgumentError: another axis.
    """
    if getattr(axis, "shape", ()) != () or axis not in (-1, 1, [-1], [1], (-1,), (1,)):
        raise ArgumentError(f"{where}: axis={axis!r} is not supported, expected -1: the features of each row")
    return -1


def given_shape(where: str, kwargs: dict[str, object]) -> Shape | None:
    if "input_dim" in kwargs:
        return (whole(where, "input_dim", kwargs.pop("input_dim")),)
    if "input_shape" in kwargs:
        return shape_of(where, kwargs.pop("input_shape"))
    if "batch_input_shape" in kwargs:
        return shape_of(where, after_batch(where, "batch_input_shape", kwargs.pop("batch_input_shape")))
    return None


def after_batch(where: str, name: str, value: object) -> Sequence[object]:
    """The shape of one row in (None, I)."""
    if not isinstance(value, list | tuple):
        raise ArgumentTypeError(f"{where}: {name} is {value!r}, expected a tuple such as (None, 64)")
    return value[1:]
