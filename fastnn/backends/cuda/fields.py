"""What a formula may read of its element, while it is traced into a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from ...core.operations import Operation
from .intrinsics import load, offset, store
from .scalars import FLOATS, I64, ITEMSIZE, Scalars, Value
from .table import is_stepped


class Fields:
    """The element of a row and a column, by the names of an operation's arrays and scalars.

    Args:
        arrays, strides, scalars: IR tuples, of the operation's order. Where its scalars lie in memory, those are the
            addresses of a table with a row for each step, and of the step's number. row, column: IR integers.
        columns: of the operation. sums: IR values of what was summed before.
    """

    def __init__(
        self,
        builder: Any,
        operation: Operation,
        dtype: str,
        arrays: Any,
        strides: Any,
        scalars: Any,
        row: Any,
        column: Any,
        columns: Any,
        sums: Sequence[Any] = (),
    ) -> None:
        self._builder, self._operation, self._o = builder, operation, Scalars(builder, dtype)
        self._tuples = arrays, strides, scalars
        self._place, self._columns = (row, column), columns
        self.sums = [self._o.value(total) for total in sums]

    def __getattr__(self, name: str) -> Value:
        for index, argument in enumerate(self._operation.arguments):
            if argument.name == name:
                value = self._o.value(load(self._builder, self._address(index), self._o.type))
                break
        else:
            value = self._scalar(self._operation.scalars.index(name))
        setattr(self, name, value)
        return value

    def _address(self, index: int) -> Any:
        builder, (row, column) = self._builder, self._place
        dims = self._operation.arguments[index].dims
        address, element = builder.extract_value(self._tuples[0], index), I64(0)
        if len(dims) > 1 or dims == "b":
            element = builder.mul(row, builder.extract_value(self._tuples[1], index))
        if dims != "b":
            element = builder.add(element, column)
        return offset(builder, address, element, ITEMSIZE[self._o.dtype])

    def _scalar(self, index: int) -> Value:
        builder, scalars = self._builder, self._tuples[2]
        if not is_stepped(self._operation):
            return self._o.value(builder.extract_value(scalars, index))
        table, clock = (builder.extract_value(scalars, place) for place in (0, 1))
        count = len(self._operation.scalars)
        element = builder.add(builder.mul(load(builder, clock, I64), I64(count)), I64(index))
        address = offset(builder, table, element, ITEMSIZE[self._o.dtype])
        return self._o.value(load(builder, address, self._o.type))

    @property
    def column(self) -> Value:
        """The column's number."""
        return self._o.real(self._place[1])

    @property
    def columns(self) -> Value:
        """How many there are."""
        return self._o.real(self._columns)

    @property
    def inverse_columns(self) -> Value:
        """1 / columns in float64, rounded once."""
        wide = Scalars(self._builder, "float64")
        return self._o.converted(1.0 / wide.real(self._columns))

    def put(self, values: Sequence[Any], of_rows: bool | None = None) -> None:
        """Writes the outputs: all, or of those with a row for each of the batch the ones `of_rows` alone or the
        others."""
        outputs = [
            index
            for index, argument in enumerate(self._operation.arguments)
            if argument.output and (of_rows is None or (argument.dims == "b") == of_rows)
        ]
        for index, value in zip(outputs, values, strict=True):
            store(self._builder, self._o.coerce(value), self._address(index))


def no_value(dtype: str) -> Any:
    """An IR value that nobody reads."""
    return ir.Constant(FLOATS[dtype], 0.0)
