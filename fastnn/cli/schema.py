"""What a model's file says of the data it was trained on: enough to predict from another file like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import FileError

if TYPE_CHECKING:
    import fastnn

KEY = "data"  # in `Sequential.metadata`


class Column(NamedTuple):
    """A column of a table: numbers, or texts of which each category becomes an input of its own, 0 or 1."""

    name: str
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many inputs of the network it becomes."""
        return 1 if self.categories is None else len(self.categories)


def texts(columns: Sequence[Column]) -> list[str]:
    """The names of those that hold texts."""
    return [column.name for column in columns if column.categories is not None]


class Notation(NamedTuple):
    """How a table writes its numbers, and what stands for a missing value beside an empty field, NA, NaN and null."""

    na: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""


USUAL = Notation()


@dataclass(frozen=True)
class Schema:
    """The columns, the target and its classes.

    Args:
        target: what the network predicts: the name of a column or an array.
        columns: in the order of the network's inputs; () for arrays, whose columns have no names.
        classes: what the outputs stand for; None for regression.
        fill: what an input is where the value is missing; None where that is an error.
        notation: that of the table.
    """

    target: str
    columns: tuple[Column, ...] = ()
    classes: tuple[str | int, ...] | None = None
    fill: tuple[float, ...] | None = None
    notation: Notation = USUAL

    def to_json(self) -> dict[str, object]:
        """The value that is stored under `KEY`."""
        return {
            "target": self.target,
            "columns": [
                {"name": name} if categories is None else {"name": name, "categories": list(categories)}
                for name, categories in self.columns
            ],
            "classes": None if self.classes is None else list(self.classes),
            "fill": None if self.fill is None else list(self.fill),
            "notation": {**self.notation._asdict(), "na": list(self.notation.na)},
        }


def of_model(path: object, model: fastnn.Sequential | fastnn.Model) -> Schema | None:
    """The schema in a model's metadata; None in a model that was not made by `fastnn train`.

    Raises:
        FileError: it is not what `to_json` gives, or does not fit the model.
    """
    if KEY not in model.metadata:
        return None
    try:
        schema = _from_json(model.metadata[KEY])
        inputs = math.prod(size or 1 for size in model.input_shape[1:])
        outputs = model.output_shape[-1]
        if schema.columns and sum(column.width for column in schema.columns) != inputs:
            raise ValueError(f"its columns do not make the {inputs} inputs of the network")
        if schema.fill is not None and len(schema.fill) != inputs:
            raise ValueError(f"it fills {len(schema.fill)} of {inputs} inputs")
        if schema.classes is not None and len(schema.classes) != outputs:
            raise ValueError(f"it has {len(schema.classes)} classes for {outputs} outputs")
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: its description of the data is not valid: {error}") from None
    return schema


def _from_json(value: Any) -> Schema:
    columns = tuple(Column(_text(entry["name"]), _texts(entry.get("categories"))) for entry in _list(value["columns"]))
    classes = None if value["classes"] is None else tuple(_class(entry) for entry in _list(value["classes"]))
    fill = None if value["fill"] is None else tuple(float(entry) for entry in _list(value["fill"]))
    written = value.get("notation")  # not in files of the first versions
    notation = USUAL if written is None else _notation(written)
    return Schema(_text(value["target"]), columns, classes, fill, notation)


def _notation(value: Any) -> Notation:
    notation = Notation(_texts(value["na"]) or (), _text(value["decimal"]), _text(value["thousands"]))
    if notation.decimal not in (".", ",") or len(notation.thousands) > 1:
        raise ValueError(f"its numbers have {notation.decimal!r} and {notation.thousands!r}")
    return notation


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a name, found {type(value).__name__}")
    return value


def _texts(value: object) -> tuple[str, ...] | None:
    return None if value is None else tuple(_text(entry) for entry in _list(value))


def _class(value: object) -> str | int:
    if not isinstance(value, int):
        return _text(value)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"the class {value} is no 64-bit integer")
    return value
