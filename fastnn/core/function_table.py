"""The functions of symbolic tensors: for each the shape of a row that comes out, and what it adds to a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import ArgumentError
from .binary import BINARY
from .buffers import Value
from .formulas import FUNCTIONS as FUNCTION_NAMES
from .lowering import Lowering

Shape = tuple[int, ...]

BY_MODE = "by_mode"  # its first tensor in training, its second one otherwise: a graph without one side or the other


class FunctionRow(NamedTuple):
    """One function: the shape of a row that comes out of those that go in, and what it adds to a plan, which leaves
    its value in the builder. Both take its other arguments by name."""

    row: Callable[..., Shape]
    lower: Callable[..., None]


class Function:
    """A function of the table with its arguments; `name` is unique in its model."""

    def __init__(self, function: str, **arguments: Any) -> None:
        self.function, self.name, self.arguments = function, function, arguments

    def rows_out(self, rows: Sequence[Shape]) -> list[Shape]:
        """One."""
        return [FUNCTIONS[self.function].row(*rows, **self.arguments)]

    def lower_values(self, builder: Lowering, values: Sequence[Value]) -> None:
        """Adds its instructions."""
        if values:
            builder.value = values[0]
        FUNCTIONS[self.function].lower(builder, *values, **self.arguments)


def _same(a: Shape, b: Shape) -> Shape:
    """Equal shapes, or one element beside several."""
    if a == b or b in ((1,), (1,) * len(a)):
        return a
    if a == (1,) * len(b):
        return b
    raise ArgumentError(f"tensors with rows of shape {a} and {b} do not fit each other; expected the same shape")


def _binary(name: str) -> FunctionRow:
    return FunctionRow(_same, lambda builder, *values: builder.merge(name, values))


def _unary(name: str) -> FunctionRow:
    return FunctionRow(lambda row: row, lambda builder, x: builder.activation(name))


def _joined(*rows: Shape) -> Shape:
    if any(row[:-1] != rows[0][:-1] or not _is_vector(row) for row in rows):
        raise ArgumentError(f"tensors with rows of shape {', '.join(map(str, rows))} cannot stand beside each other")
    return (*rows[0][:-1], sum(row[-1] for row in rows))


def _is_vector(row: Shape) -> bool:
    """Whether the last axis has all elements of a row."""
    return bool(row) and math.prod(row[:-1]) == 1


def _sum(builder: Lowering, x: Value, keepdims: bool = True) -> None:
    builder.row_sum()


def _mean(builder: Lowering, x: Value, keepdims: bool = True) -> None:
    builder.row_sum()
    builder.affine(1.0 / x.width, 0.0)


def _one_hot(builder: Lowering, x: Value, classes: int) -> None:
    columns = []
    for code in range(classes):
        builder.value = x
        builder.fill(float(code), x.width)
        builder.binary("equal", x)
        columns.append(builder.value)
    builder.join(columns)


def _one_column(row: Shape, keepdims: bool = True) -> Shape:
    if not _is_vector(row):
        raise ArgumentError(f"a tensor with rows of shape {row} has more than one axis to sum over; flatten it first")
    return (*row[:-1], 1) if keepdims else row[:-1]


def _row_wise(name: str) -> FunctionRow:
    def row_of(row: Shape) -> Shape:
        if not _is_vector(row):
            raise ArgumentError(f"{name} of a tensor with rows of shape {row}, expected (N,); flatten it first")
        return row

    return FunctionRow(row_of, lambda builder, x: builder.activation(name))


_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "silu", "gelu", "gelu_tanh")

FUNCTIONS: dict[str, FunctionRow] = {
    **{name: _binary(name) for name in BINARY},
    **{name: _unary(name) for name in (*FUNCTION_NAMES, *_ACTIVATIONS)},
    **{name: _row_wise(name) for name in ("softmax", "log_softmax")},
    "exp": _unary("exponential"),
    "scale": FunctionRow(
        lambda row, scale, offset: row, lambda builder, x, scale, offset: builder.affine(scale, offset)
    ),
    "full": FunctionRow(lambda row, number: row, lambda builder, x, number: builder.fill(number, x.width)),
    "columns": FunctionRow(
        lambda row, start, stop, keepdims=True: (stop - start,) if keepdims else (),
        lambda builder, x, start, stop, keepdims=True: builder.columns(start, stop),
    ),
    "square": FunctionRow(lambda row: row, lambda builder, x: builder.binary("multiply", x)),
    "concatenate": FunctionRow(_joined, lambda builder, *values: builder.join(values)),
    "one_hot": FunctionRow(lambda row, classes: (*row, classes), _one_hot),
    "identity": FunctionRow(lambda row: row, lambda builder, x: None),
    BY_MODE: FunctionRow(lambda training, inference: training, lambda builder, training, inference: None),
    "noise": FunctionRow(lambda row: tuple(row), lambda builder, row: builder.random(math.prod(row))),
    "row_mean": FunctionRow(lambda row: (1,), _mean),
    "sum": FunctionRow(_one_column, _sum),
    "mean": FunctionRow(_one_column, _mean),
}
