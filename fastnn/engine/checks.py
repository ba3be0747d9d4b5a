"""The only checks of arrays: what comes in is named where it is wrong, and never copied where it is right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses
from ..core.arrays import Array, numeric
from ..core.function_table import Function
from ..core.losses import METRIC_NAMES
from ..core.plan import MetricEntry, Plan, largest, mean_outputs
from ..errors import ArgumentError, ArgumentTypeError
from ..layers import Embedding, InputLayer, Shape

if TYPE_CHECKING:
    from .graph import Flat

Scan = Callable[[Array], int]

_SMALL = 4096  # elements


class Checks:
    """The checks of one built model.

    Args:
        flat: the model's graph. plan: its plan. given_losses, outputs: what it was compiled with for each output, and
            their names.

    Attributes:
        inputs: the checks of each input. targets: those of each output that has a loss.
    """

    def __init__(
        self, flat: Flat, plan: Plan, given_losses: Sequence[losses.Loss | None], outputs: Sequence[str]
    ) -> None:
        layers = [layer for layer in flat.layers if not isinstance(layer, InputLayer)]
        first = f'{type(layers[0]).__name__} 0 "{layers[0].name}"' if layers else "Model"
        several = len(flat.rows) > 1
        self.inputs = [
            InputChecks(f'Input {number} "{name}"' if several else first, row, plan.dtype)
            for number, (row, name) in enumerate(zip(flat.rows, flat.names, strict=True))
        ]
        for (number, start, stop), embedding in codes_of(flat).items():
            self.inputs[number].embeddings.append((start, stop, embedding))
        self.names, self.outputs = flat.names, tuple(outputs)
        self.with_loss = [number for number, loss in enumerate(given_losses) if loss is not None]
        self.targets = [
            TargetChecks(f'Output "{outputs[number]}"' if len(given_losses) > 1 else first, loss, width, plan.dtype)
            for number, (loss, width) in enumerate(zip(given_losses, plan.widths, strict=False))
            if loss is not None
        ]
        names = [(METRIC_NAMES[row[MetricEntry.CODE]], row[MetricEntry.LOSS]) for row in plan.metrics.tolist()]
        for place, (number, check) in enumerate(zip(self.with_loss, self.targets, strict=True)):
            of_it = [name for name, loss in names if loss == place]
            if all(name == "binary_accuracy" or mean_outputs(name) for name in (check.loss.spec().name, *of_it)):
                check.shape = flat.shapes[number]

    def set_scan(self, scan: Scan) -> None:
        """Has all of them search for what is not finite by `scan`, which is `Program.find_nonfinite`."""
        for check in (*self.inputs, *self.targets):
            check.scan = scan

    def X(self, values: Sequence[object], name: str = "X", finite: bool = True) -> tuple[Array, ...]:
        """Each input as (n, features), a view where it can be one.

        Raises:
            ArgumentError: another number of inputs, another shape, no rows, or NaN or infinity where `finite`.
            ArgumentTypeError: not real numbers.
        """
        if len(self.inputs) == 1:
            return (self.inputs[0].X(values[0], name, finite),)
        arrays = []
        for number, (check, value) in enumerate(zip(self.inputs, values, strict=True)):
            here = f'{name}["{self.names[number]}"]'
            arrays.append(check.X(value, here, finite))
            if arrays[-1].shape[0] != arrays[0].shape[0]:
                raise ArgumentError(
                    f"{here} has {arrays[-1].shape[0]:,} rows, the first input {arrays[0].shape[0]:,}; expected as many"
                )
        return tuple(arrays)

    def y(self, values: Sequence[object], rows: int, name: str = "y", X_name: str = "X") -> tuple[Array, ...]:
        """The targets of each loss; see `TargetChecks.y`."""
        if len(self.outputs) == 1 and self.targets:
            return (self.targets[0].y(values[0], rows, name, X_name),)
        return tuple(
            check.y(value, rows, self._of(name, number), X_name)
            for number, (check, value) in enumerate(zip(self.targets, values, strict=True))
        )

    def weights(
        self, given: Sequence[object], class_weight: object, y: Sequence[Array], rows: int, name: str = "sample_weight"
    ) -> tuple[Array | None, ...]:
        """The weights of the rows in each loss; see `TargetChecks.weights`."""
        if class_weight is not None and len(self.targets) > 1:
            raise ArgumentError(
                "class_weight with several outputs is not supported; give sample_weight, a list of one array for each "
                "output: np.array([class_weight[label] for label in y]) for this one, ones for the others"
            )
        return tuple(
            check.weights(one, class_weight, target, rows, self._of(name, number))
            for number, (check, one, target) in enumerate(zip(self.targets, given, y, strict=True))
        )

    def _of(self, name: str, number: int) -> str:
        return f'{name}["{self.outputs[self.with_loss[number]]}"]' if len(self.outputs) > 1 else name


def codes_of(flat: Flat) -> dict[tuple[int, int, int], Embedding]:
    """The columns of inputs that an embedding reads, with the one that has the fewest classes: (input, start, stop).

    Raises:
        ArgumentError: an embedding that reads anything else.
    """
    found: dict[tuple[int, int, int], Embedding] = {}
    for graph in (flat, *([flat.inference] if flat.inference else [])):
        places = {number: (number, 0, math.prod(row)) for number, row in zip(flat.inputs, flat.rows, strict=True)}
        for call in graph.calls:
            operator = call.operator
            if isinstance(operator, Function) and operator.function == "columns" and call.sources[0] in places:
                number, first, _ = places[call.sources[0]]
                start, stop = operator.arguments["start"], operator.arguments["stop"]
                places[call.result] = (number, first + start, first + stop)
            if not isinstance(operator, Embedding):
                continue
            if (place := places.get(call.sources[0])) is None:
                raise ArgumentError(
                    f'Embedding "{call.label}": it is not called on an Input or columns of one, which class numbers '
                    "come from"
                )
            if place not in found or operator.input_dim < found[place].input_dim:
                found[place] = operator
    return found


class FiniteChecks:
    """What inputs and targets have in common."""

    scan: Scan

    def __init__(self, where: str, dtype: np.dtype[Any]) -> None:
        self.where, self.dtype = where, dtype
        self._largest = float(np.finfo(dtype).max)

    def _finite(self, array: Array, name: str, shape: Shape, given: object) -> None:
        """Raises where a float array (n, I) holds NaN or infinity, or what is infinity in the model's dtype."""
        if array.size <= _SMALL and (np.abs(array) <= largest(array.dtype, self.dtype)).all():
            return  # cheaper than a call of compiled code
        flat = self.scan(array)
        if flat < 0:
            return
        row, column = divmod(int(flat), array.shape[1])
        value = array[row, column]
        labels = getattr(given, "columns", None)
        place = f"row {row}"
        if len(shape) > 1:
            place += f", element {tuple(int(i) for i in np.unravel_index(column, shape))}"
        elif array.shape[1] > 1 or name.endswith("X"):
            place += f", column {column}" + (f" ({labels[column]!r})" if labels is not None else "")
        if np.isfinite(value):
            raise ArgumentError(f"{name} is {value:g} at {place}, which does not fit {self.dtype}; scale it down")
        raise ArgumentError(f"{name} is {value} at {place}; remove such rows or fill them in first")


class InputChecks(FiniteChecks):
    """The checks of one input, whose rows have a shape."""

    def __init__(self, where: str, shape: Shape, dtype: np.dtype[Any]) -> None:
        super().__init__(where, dtype)
        self.shape, self.features = shape, math.prod(shape)
        self.embeddings: list[tuple[int, int, Embedding]] = []  # what reads columns [start, stop) as class numbers

    def X(self, value: object, name: str = "X", finite: bool = True) -> Array:
        """X as (n, features), a view where it can be one.

        Raises:
            ArgumentError: another shape, no rows, or NaN or infinity where `finite`.
            ArgumentTypeError: not real numbers.
        """
        X = numeric(value, name)
        if X.ndim != 2 or X.shape[1] != self.features or len(self.shape) != 1:
            X = self._rows(X, name)
        if X.shape[0] == 0:
            raise ArgumentError(f"{self.where}: {name} has no rows, its shape is {X.shape}")
        if finite and X.dtype.kind == "f":
            self._finite(X, name, self.shape, value)
        for start, stop, embedding in self.embeddings:
            self._codes(X[:, start:stop], name, embedding, start)
        return X

    def _codes(self, X: Array, name: str, embedding: Embedding, start: int) -> None:
        """Raises for what is no class number: a program takes such numbers for places in memory. The first column of X
        is `start` of the input."""
        low, high, limit = X.min(), X.max(), embedding.input_dim
        if low >= 0 and high < limit and (X.dtype.kind != "f" or (np.floor(X) == X).all()):
            return
        with np.errstate(invalid="ignore"):
            row, column = (int(i) for i in np.argwhere(~((X >= 0) & (limit > X) & (np.floor(X) == X)))[0])
        raise ArgumentError(
            f'{name} is {X[row, column]:g} at row {row}, column {start + column}; Embedding "{embedding.name}" with '
            f"input_dim={limit} takes whole class numbers from 0 to {limit - 1}"
        )

    def _rows(self, X: Array, name: str) -> Array:
        if X.shape[1:] == self.shape:
            return X.reshape(X.shape[0], self.features)
        if X.ndim == 1 and self.shape == (1,):
            return X[:, None]
        expected = ("B", *self.shape)
        text = f"{self.where}: {name} has shape {X.shape}, expected ({', '.join(map(str, expected))})"
        if X.shape == self.shape:
            raise ArgumentError(f"{text}; for one row give {_code(name)}[None]")
        if X.ndim == 0:
            raise ArgumentError(f"{text}; give an array of rows")
        what = f"{self.features} features" if len(self.shape) == 1 else f"rows of shape {self.shape}"
        if X.ndim != len(expected) and math.prod(X.shape[1:]) == self.features:
            raise ArgumentError(f"{text}; reshape it: {_code(name)}.reshape(-1, {', '.join(map(str, self.shape))})")
        raise ArgumentError(f"{text}; the model was built for {what}")


class TargetChecks(FiniteChecks):
    """The checks of the targets of one output, and of its rows' weights."""

    def __init__(self, where: str, loss: losses.Loss, outputs: int, dtype: np.dtype[Any]) -> None:
        super().__init__(where, dtype)
        self.loss, self.outputs = loss, outputs
        self.sparse = isinstance(loss, losses.SparseCategoricalCrossentropy)
        self.binary = isinstance(loss, losses.BinaryCrossentropy)
        self.shape: Shape = (outputs,)  # of a row, where losses and metrics are means over all of it
        most = int(2 / np.finfo(dtype).eps)  # all whole numbers below have a float of their own
        if self.sparse and outputs > most:
            raise ArgumentError(f'{where}: {dtype} tells at most {most:,} classes apart; use dtype="float64" for more')

    def y(self, value: object, rows: int, name: str = "y", X_name: str = "X") -> Array:
        """y as (n, 1) class numbers or (n, outputs) targets, a view.

        Raises:
            ArgumentError: another shape or length, NaN or infinity, labels out of range.
            ArgumentTypeError: not real numbers.
        """
        if value is None:
            raise ArgumentTypeError(f"{name} is missing: {self.where}: the loss needs targets")
        y = numeric(_alone(value, rows), name)
        if y.ndim == 0 or y.shape[0] != rows:
            came = "is one number" if y.ndim == 0 else f"has {y.shape[0]:,} rows"
            raise ArgumentError(f"{name} {came}, {X_name} has {rows:,} rows; expected as many")
        if len(self.shape) > 1 and y.shape[1:] == self.shape:
            y = y.reshape(rows, self.outputs)
        width = 1 if self.sparse else self.outputs
        if y.ndim == 1 and width == 1:
            y = y[:, None]
        if y.ndim != 2 or y.shape[1] != width:
            raise ArgumentError(self._wrong_width(y, name, width))
        if y.dtype.kind == "f":
            self._finite(y, name, (width,), value)
        if self.sparse:
            self._labels(y, name)
        elif self.binary:
            self._binary(y, name)
        return y

    def _wrong_width(self, y: Array, name: str, width: int) -> str:
        loss = type(self.loss).__name__
        expected = "(n,) or (n, 1)" if width == 1 else f"(n, {width})"
        text = f"{name} has shape {y.shape}, expected {expected} for {loss} with {self.outputs} outputs"
        if self.sparse and y.ndim == 2:
            return (
                f'{text}; one-hot targets go with loss="categorical_crossentropy", or give {_code(name)}.argmax(axis=1)'
            )
        if isinstance(self.loss, losses.CategoricalCrossentropy) and (y.ndim == 1 or y.shape[1:] == (1,)):
            return (
                f'{text}; class numbers go with loss="sparse_categorical_crossentropy", or give '
                f"to_categorical({_code(name)}, {width})"
            )
        if y.ndim > 2:
            return f"{text}; reshape it: {_code(name)}.reshape(len({_code(name)}), -1)"
        columns = y.shape[1] if y.ndim == 2 else 1
        return f"{text}; the last layer needs {columns} unit{'s' if columns != 1 else ''} for such targets"

    def _labels(self, y: Array, name: str) -> None:
        low, high = y.min(), y.max()
        if y.dtype.kind == "f":
            fractional = np.floor(y) != y
            if fractional.any():
                row = int(np.argmax(fractional[:, 0]))
                raise ArgumentError(f"{name} is {y[row, 0]} at row {row}, expected whole class numbers from 0")
        if low >= 0 and high < self.outputs:
            return
        bad = (y[:, 0] < 0) | (y[:, 0] >= self.outputs)
        row = int(np.argmax(bad))
        text = f"{name} is {y[row, 0]:g} at row {row}, expected class numbers 0 to {self.outputs - 1}"
        if low >= 1 and high == self.outputs:
            raise ArgumentError(f"{text}; the labels run from {low:g} to {high:g}: subtract 1")
        if low >= 0:
            raise ArgumentError(f"{text}; labels up to {high:g} need {int(high) + 1} units in the last layer")
        raise ArgumentError(f"{text}; number the classes from 0, for example with numpy.unique(y, return_inverse=True)")

    def _binary(self, y: Array, name: str) -> None:
        low, high = y.min(), y.max()
        if low >= 0 and high <= 1:
            return
        row, column = (int(i) for i in np.unravel_index(int(np.argmax((y < 0) | (y > 1))), y.shape))
        text = f"{name} is {y[row, column]:g} at row {row}, expected targets in [0, 1]"
        if low == -1 and high <= 1:
            raise ArgumentError(f"{text}; -1 and +1 become 0 and 1 by ({_code(name)} + 1) / 2")
        if low >= 1 and high == 2:
            raise ArgumentError(f"{text}; the labels are 1 and 2: subtract 1")
        raise ArgumentError(f"{text}; BinaryCrossentropy is for yes/no targets")

    def weights(
        self, sample_weight: object, class_weight: object, y: Array, rows: int, name: str = "sample_weight"
    ) -> Array | None:
        """The weight of each row, (n,) of the model's dtype, or None.

        Raises:
            ArgumentError: both are given, another length, NaN or infinity.
            ArgumentTypeError: not real numbers, or no dict.
        """
        if class_weight is not None:
            if sample_weight is not None:
                raise ArgumentError("sample_weight and class_weight cannot be used together; multiply them into one")
            return self._class_weights(class_weight, y)
        if sample_weight is None:
            return None
        w = numeric(_alone(sample_weight, rows), name)
        if w.shape not in ((rows,), (rows, 1)):
            raise ArgumentError(f"{name} has shape {w.shape}, expected ({rows},): one weight for each row of X")
        given = w.reshape(rows)
        with np.errstate(over="ignore"):
            w = np.ascontiguousarray(given, self.dtype)
        if not np.isfinite(w).all():
            row = int(np.argmin(np.isfinite(w)))
            if np.isfinite(given[row]):
                raise ArgumentError(f"{name} is {given[row]:g} at row {row}, which does not fit {self.dtype}")
            raise ArgumentError(f"{name} is {given[row]} at row {row}, expected finite weights")
        if not w.any():
            warnings.warn(f"{name} is 0 in every row: nothing will be learned", UserWarning, stacklevel=4)
        return w

    def _class_weights(self, class_weight: object, y: Array) -> Array:
        if not isinstance(class_weight, Mapping):
            raise ArgumentTypeError(f"class_weight is {class_weight!r}, expected a dict such as {{0: 1.0, 1: 5.0}}")
        labels = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
        labels = np.rint(labels) if labels.dtype.kind == "f" else labels
        w = np.ones(labels.size, self.dtype)
        for label, weight in class_weight.items():
            try:
                weight, class_number = float(weight), int(label)
            except (TypeError, ValueError, OverflowError):
                raise ArgumentTypeError(f"class_weight[{label!r}] is {weight!r}, expected class: weight") from None
            if class_number != label:
                raise ArgumentError(f"class_weight has the class {label!r}, expected whole class numbers")
            if not math.isfinite(weight):
                raise ArgumentError(f"class_weight[{label!r}] is {weight!r}, expected a finite weight")
            if abs(weight) > self._largest:
                raise ArgumentError(f"class_weight[{label!r}] is {weight:g}, which does not fit {self.dtype}")
            w[labels == class_number] = weight
        return w


def _alone(value: object, rows: int) -> object:
    """What is given for the rows: the one array in a list, too."""
    if rows != 1 and isinstance(value, list | tuple) and len(value) == 1 and getattr(value[0], "ndim", None):
        return value[0]
    return value


def _code(name: str) -> str:
    """What an array is called in code: y for "validation y"."""
    return name.rpartition(" ")[2]
