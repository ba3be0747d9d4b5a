"""What an operation may be called with: kernels believe in what they are given, and would read and write elsewhere."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..core.operations import Argument, Family, Operation
from ..errors import ArgumentError, ArgumentTypeError
from .data import Array

# Families whose first array, the output, may be their first input as a whole, since they read an element, or a row,
# before they write it.
IN_PLACE = (
    Family.ACTIVATION_FORWARD, Family.ACTIVATION_BACKWARD, Family.SOFTMAX_FORWARD, Family.SOFTMAX_BACKWARD,
    Family.LOSS_BACKWARD, Family.CROSSENTROPY_BACKWARD, Family.DROPOUT, Family.ROW_SCALE, Family.AFFINE,
    Family.STANDARDIZE_BACKWARD, Family.ROW_WISE_FORWARD, Family.ROW_WISE_BACKWARD, Family.BINARY,
    Family.BINARY_BACKWARD,
)  # fmt: skip
EMBEDDINGS = (Family.EMBEDDING_FORWARD, Family.EMBEDDING_BACKWARD)

# Sizes that others make: of the sums of r2_score, and of the rows of an embedding.
_MADE: dict[str, tuple[str, Callable[..., int]]] = {"t": ("3 c + 1", lambda c: 3 * c + 1), "e": ("n d", operator.mul)}

WHOLE_SCALARS = ("seed", "step", "layer", "row")

_SOME = "cd"  # sizes that are no 0: means are over classes, and rows of a table are counted by its columns

_INT64, _FLOAT64 = struct.Struct("q"), struct.Struct("d")


class Arguments:
    """The arguments of an operation on arrays of a dtype: the arrays of its row, then its scalars."""

    def __init__(self, row: Operation, dtype: str) -> None:
        self._row, self._name, self._count = row, row.name, len(row.arguments)
        self._dtypes = tuple(np.dtype(np.float64 if spec.total else dtype) for spec in row.arguments)
        outputs = [number for number, spec in enumerate(row.arguments) if spec.output]
        # Outputs and what they must lie apart from; and whether they may be the other as a whole.
        self._apart = tuple(
            (output, other, row.family in IN_PLACE and output == 0 and other in self._sources())
            for output in outputs
            for other in range(output + 1, self._count)
        )
        self._whole = tuple(name for name in row.scalars if name in WHOLE_SCALARS)
        # The class numbers of an embedding, and its table.
        self.places: tuple[int, ...] = ()
        if row.family in EMBEDDINGS:
            names = [spec.name for spec in row.arguments]
            self.places = names.index("y"), next(place for place, name in enumerate(names) if name.endswith("W"))

    def _sources(self) -> tuple[int, ...]:
        return (1, 2) if self._row.family == Family.BINARY else (1,)

    def check(self, given: Sequence[Any]) -> None:
        """Refuses what the operation cannot be called with.

        Raises:
            ArgumentTypeError: too many or too few, another dtype, or no array or number. ArgumentError: shapes that do
                not fit each other, rows that are not contiguous or not in order, an output that is read-only or shares
                memory, a class number without a row in the table.
        """
        row, count = self._row, self._count
        if len(given) != count + len(row.scalars):
            wanted = ", ".join((*(f"{spec.name}_{spec.dims}" for spec in row.arguments), *row.scalars))
            raise ArgumentTypeError(
                f"{self._name}: {len(given)} arguments were given, expected {count + len(row.scalars)}: {wanted}"
            )
        sizes = {"1": 1}
        for spec, dtype, array in zip(row.arguments, self._dtypes, given, strict=False):
            self._array(spec, dtype, array)
            if len(array.shape) != len(spec.dims):
                raise self._shape(spec, array, sizes)
            for letter, size in zip(spec.dims, array.shape, strict=True):
                if sizes.setdefault(letter, size) != size:
                    raise self._shape(spec, array, sizes)
            self._memory(spec, array)
        if "t" in sizes and sizes["t"] != 3 * sizes["c"] + 1:
            raise self._made("t", "c", sizes)
        for letter in _SOME:
            if sizes.get(letter) == 0:
                name, found = next(
                    (x.name, y.shape) for x, y in zip(row.arguments, given, strict=False) if letter in x.dims
                )
                raise ArgumentError(f"{self._name}: {name} has shape {found}, expected columns")
        if self.places:
            if sizes["e"] != sizes["n"] * sizes["d"]:
                raise self._made("e", "nd", sizes)
            self.require_places(given)
        for output, other, whole in self._apart:
            if np.shares_memory(given[output], given[other]):
                self._shared(output, other, whole, given)
        for name, value in zip(row.scalars, given[count:], strict=True):
            self._scalar(name, value)

    def require_places(self, given: Sequence[Any]) -> None:
        """Refuses class numbers without a row in the table, NaN among them: they are places in memory.

        Raises:
            ArgumentError: there is one.
        """
        y, table = (given[place] for place in self.places)
        rows = len(table)
        if y.size and not (y.min() >= 0 and y.max() < rows):
            bad = next(value for value in y.flat if not 0 <= value < rows)
            raise ArgumentError(
                f"{self._name}: y holds {bad}, expected class numbers from 0 to {rows - 1}: the table has {rows} rows"
            )

    def _array(self, spec: Argument, dtype: np.dtype[Any], array: Any) -> None:
        """Refuses what is no array of the dtype."""
        if type(array) is not np.ndarray and type(array) is not np.memmap:
            raise ArgumentTypeError(
                f"{self._name}: {spec.name} is a {type(array).__name__}, expected an array of {dtype}; use np.asarray"
            )
        if array.dtype != dtype:
            raise ArgumentTypeError(
                f"{self._name}: {spec.name} has dtype {array.dtype}, expected {dtype}; convert it with .astype"
            )

    def _memory(self, spec: Argument, array: Array) -> None:
        """Refuses what a kernel cannot go through as rows of contiguous elements, or cannot write."""
        flags, where = array.flags, f"{self._name}: {spec.name}"
        if spec.output and not flags.writeable:
            raise ArgumentError(f"{where} is read-only and would be written; give a copy of it")
        if not flags.aligned:
            raise ArgumentError(f"{where} does not lie at a multiple of {array.itemsize} bytes; give a copy of it")
        if flags.c_contiguous or not array.size:
            return
        size = array.itemsize
        column = spec.dims == "b"  # a vector over the batch may be one
        width, stride = (1, size) if column else (array.shape[-1], array.strides[-1])
        rows, apart = (array.shape[0], array.strides[0]) if column or len(spec.dims) > 1 else (1, 0)
        if (width > 1 and stride != size) or (rows > 1 and (apart < width * size or apart % size)):
            raise ArgumentError(
                f"{where} has strides {array.strides}, expected contiguous elements in each row, and rows behind each "
                "other; use np.ascontiguousarray"
            )

    def _shape(self, spec: Argument, array: Any, sizes: dict[str, int]) -> ArgumentError:
        """What to raise for a shape that does not fit those before it."""
        before = self._row.arguments[: self._row.arguments.index(spec)]
        known = [letter for letter in spec.dims if any(letter in other.dims for other in before)]
        because = ", ".join(
            f"{next(other.name for other in before if letter in other.dims)} has {letter} = {sizes[letter]}"
            for letter in dict.fromkeys(known)
        )
        shape = "".join(f"{sizes[letter] if letter in known or letter == '1' else letter}, " for letter in spec.dims)
        return ArgumentError(
            f"{self._name}: {spec.name} has shape {array.shape}, expected ({shape[: -2 if len(spec.dims) > 1 else -1]})"
            + (f": {because}" if because else "")
        )

    def _made(self, letter: str, of: str, sizes: dict[str, int]) -> ArgumentError:
        """What to raise for a size that does not follow from others."""
        spec = next(spec for spec in self._row.arguments if letter in spec.dims)
        formula, make = _MADE[letter]
        wanted = make(*(sizes[other] for other in of))
        return ArgumentError(
            f"{self._name}: {spec.name} has {letter} = {sizes[letter]}, expected {formula} = {wanted} with "
            f"{', '.join(f'{other} = {sizes[other]}' for other in of)}"
        )

    def _shared(self, output: int, other: int, whole: bool, given: Sequence[Any]) -> None:
        """Raises, except where the output may be the other array, and is."""
        one, two = given[output], given[other]
        if whole and one.ctypes.data == two.ctypes.data and (len(one) == 1 or one.strides == two.strides):
            return
        name, of = (self._row.arguments[number].name for number in (output, other))
        hint = f"{of} itself or " if whole else ""
        raise ArgumentError(f"{self._name}: {name} shares memory with {of}; give {hint}an array of its own")

    def _scalar(self, name: str, value: object) -> None:
        where, whole = f"{self._name}: {name} is", name in self._whole
        if not isinstance(value, Integral if whole else Real):
            raise ArgumentTypeError(f"{where} {value!r}, expected a {'whole ' if whole else ''}number")
        try:
            _INT64.pack(value) if whole else _FLOAT64.pack(value)
        except (struct.error, OverflowError):
            held = "int64" if whole else "float64"
            raise ArgumentError(f"{where} too large, expected a number that {held} can hold") from None
        if name == "rate" and self._row.family == Family.DROPOUT and not 0.0 <= float(value) < 1.0:
            raise ArgumentError(f"{where} {value}, expected a number of at least 0 and below 1")
