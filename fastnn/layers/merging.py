"""Layers that merge several tensors, and the functions that call them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Unpack

from numpy.typing import ArrayLike

from ..backends import eager
from ..core.arrays import numeric
from ..core.buffers import Value
from ..core.declaration import flag
from ..core.lowering import Lowering
from ..core.symbolic import Tensor, any_tensor
from ..core.types import LayerArguments, Outputs, Tensors
from ..errors import ArgumentError, ArgumentTypeError
from .layer import RULES, Layer, Rules, Shape


class Merge(Layer):
    """Base class: called on a list of tensors, or of arrays with as many rows.

    Args:
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an unknown argument. Called: tensors whose shapes do not fit.
    """

    fields: ClassVar[tuple[str, ...]] = ("name", "dtype", "trainable")
    least: ClassVar[int] = 2  # tensors
    most: ClassVar[int | None] = None

    def __init__(self, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)

    def __call__(self, x: ArrayLike | Tensors, training: bool | None = None) -> Outputs:
        """What comes out for a list of symbolic tensors, or of arrays (B, ...)."""
        where = f'{type(self).__name__} "{self.name}"'
        if isinstance(x, Tensor) or not isinstance(x, list | tuple):
            raise ArgumentTypeError(f"{where}: it was called on {x!r}, expected a list of tensors")
        if any_tensor(x):
            return self.symbolic(x)
        arrays = [numeric(one, f"{where}: x[{index}]") for index, one in enumerate(x)]
        if any(array.ndim < 2 or len(array) != len(arrays[0]) or not len(array) for array in arrays):
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ArgumentError(f"{where}: the arrays have shapes {shapes}, expected (B, ...) with the same B")
        (row,) = self.rows_out([array.shape[1:] for array in arrays])
        flat = [array.reshape(len(array), -1) for array in arrays]
        result = eager.forward(lambda builder: self.lower_values(builder, builder.inputs, RULES), flat, (), self.dtype)
        return result.reshape(len(arrays[0]), *row)

    def rows_out(self, rows: Sequence[Shape]) -> list[Shape]:
        """The shape of one row that comes out."""
        where = f'{type(self).__name__} "{self.name}"'
        if len(rows) < self.least or (self.most is not None and len(rows) > self.most):
            expected = f"{self.least}" if self.most == self.least else f"at least {self.least}"
            raise ArgumentError(f"{where}: it was called on {len(rows)} tensors, expected {expected}")
        return [self._row(rows, where)]

    def _row(self, rows: Sequence[Shape], where: str) -> Shape:
        """Equal shapes; one element beside several fits each of them."""
        whole = max(rows, key=lambda row: (len(row), row))
        if any(row not in (whole, (1,) * len(whole)) for row in rows):
            raise ArgumentError(f"{where}: rows of shapes {_listed(rows)} do not fit each other; expected equal ones")
        return whole

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """The first with the second, then with the third, and so on."""
        builder.merge(self.function, values)

    function: ClassVar[str] = ""


class Add(Merge):
    """Math: A = X_1 + X_2 + ...; see `Merge`.

    Example:
        >>> import fastnn, numpy
        >>> print(fastnn.layers.Add()([numpy.array([[1.0, 2.0]]), numpy.array([[10.0, 20.0]])]))
        [[11. 22.]]
    """

    function = "add"


class Subtract(Merge):
    """Math: A = X_1 - X_2; see `Merge`.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Subtract()([[[5.0, 1.0]], [[3.0, 4.0]]]))
        [[ 2. -3.]]
    """

    function, most = "subtract", 2


class Multiply(Merge):
    """Math: A = X_1 X_2 ..., element by element; see `Merge`.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Multiply()([[[2.0, 3.0]], [[4.0, 0.5]]]))
        [[8.  1.5]]
    """

    function = "multiply"


class Maximum(Merge):
    """The largest of each element; of equal ones each has its share of the gradient; see `Merge`.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Maximum()([[[5.0, 1.0]], [[3.0, 4.0]]]))
        [[5. 4.]]
    """

    function = "maximum"


class Minimum(Merge):
    """The smallest of each element; of equal ones each has its share of the gradient; see `Merge`.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Minimum()([[[5.0, 1.0]], [[3.0, 4.0]]]))
        [[3. 1.]]
    """

    function = "minimum"


class Average(Merge):
    """Math: A = (X_1 + ... + X_n) / n; see `Merge`.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Average()([[[5.0, 1.0]], [[3.0, 4.0]]]))
        [[4.  2.5]]
    """

    function = "add"

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """The sum, times 1 / n."""
        super().lower_values(builder, values, rules)
        builder.affine(1.0 / len(values), 0.0)


class Concatenate(Merge):
    """The columns of all beside each other.

    Args:
        axis: of the batch, where 0 is the rows: -1 is the last. Axes between have size 1, since rows are flat.
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: another axis, an unknown argument. Called: tensors whose shapes do not fit.

    Example:
        >>> import fastnn
        >>> a, b = fastnn.Input((3,)), fastnn.Input((2,))
        >>> fastnn.layers.Concatenate()([a, b]).shape
        (None, 5)
    """

    fields = ("axis", "name", "dtype", "trainable")
    least = 1

    def __init__(self, axis: int = -1, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        if not _names_axis(axis):
            raise ArgumentError(f"Concatenate: axis={axis!r} is not supported, expected -1 or an axis from 1 on")
        self.axis = axis

    def _row(self, rows: Sequence[Shape], where: str) -> Shape:
        first = rows[0]
        at = _place(where, self.axis, first)
        if any((row[:at], row[at + 1 :]) != (first[:at], first[at + 1 :]) or len(row) != len(first) for row in rows):
            raise ArgumentError(f"{where}: rows of shapes {_listed(rows)} cannot stand beside each other")
        if math.prod(first[:at]) != 1:
            raise ArgumentError(
                f"{where}: rows of shapes {_listed(rows)} cannot stand beside each other along axis {self.axis}; add "
                "Flatten() before it"
            )
        return (*first[:at], sum(row[at] for row in rows), *first[at + 1 :])

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """Copies beside each other."""
        builder.join(values)


class Dot(Merge):
    """The product of two vectors in each row, one column. Math: a_b = sum over i of X_bi Y_bi.

    Args:
        axes: an axis of the batch, where 0 is the rows, or a pair of them: the features, 1 of (B, I), 2 of (B, 1, I),
            -1 of both. The other axes of a row have size 1, and stay: of (B, 1, I) comes (B, 1, 1).
        normalize: whether each vector is divided by its length first: the cosine of their angle.
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: other axes, an unknown argument. Called: tensors whose shapes do not fit.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Dot(axes=1)([[[1.0, 2.0]], [[3.0, 4.0]]]))
        [[11.]]
        >>> print(fastnn.layers.Dot(axes=1, normalize=True)([[[1.0, 2.0]], [[2.0, 4.0]]]).round(4))  # of one direction
        [[1.]]
    """

    fields = ("axes", "normalize", "name", "dtype", "trainable")
    most = 2

    def __init__(
        self, axes: int | Sequence[int] = 1, normalize: bool = False, **kwargs: Unpack[LayerArguments]
    ) -> None:
        super().__init__(**kwargs)
        given = axes if isinstance(axes, list | tuple) else (axes, axes)
        if len(given) != 2 or not all(map(_names_axis, given)):
            raise ArgumentError(f"Dot: axes={axes!r} is not supported, expected -1: the features of each row")
        self.axes = axes
        self.normalize = flag("Dot", "normalize", normalize)

    def _row(self, rows: Sequence[Shape], where: str) -> Shape:
        axes = self.axes if isinstance(self.axes, list | tuple) else (self.axes, self.axes)
        places = [_place(where, axis, row) for axis, row in zip(axes, rows, strict=True)]
        lengths = {row[at] for at, row in zip(places, rows, strict=True)}
        if lengths != {math.prod(row) for row in rows} or len(lengths) != 1:
            raise ArgumentError(
                f"{where}: rows of shapes {_listed(rows)} and axes={self.axes!r}, expected two vectors of one length: "
                "axes that have all elements of each row"
            )
        kept = [size for at, row in zip(places, rows, strict=True) for size in (*row[:at], *row[at + 1 :])]
        return tuple(kept) or (1,)

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """A product of elements, and its sum over the row."""
        made = []
        for value in values:
            builder.value = value
            if self.normalize:
                builder.row_wise("unit_normalization", constants=(1e-12,))
            made.append(builder.value)
        builder.value = made[0]
        builder.binary("multiply", made[1])
        builder.row_sum()


def _names_axis(axis: object) -> bool:
    return isinstance(axis, int) and not isinstance(axis, bool) and axis != 0


def _place(where: str, axis: int, row: Shape) -> int:
    """Where in the shape of a row an axis of the batch is."""
    at = axis - 1 if axis > 0 else axis + len(row)
    if not 0 <= at < len(row):
        raise ArgumentError(f"{where}: axis {axis} of rows of shape {row}, expected -1 or one from 1 to {len(row)}")
    return at


def _listed(rows: Sequence[Shape]) -> str:
    return ", ".join(map(str, rows))


def add(inputs: Sequence[Tensor], **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Add(**kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> fastnn.layers.add([x, fastnn.layers.Dense(3)(x)]).shape
        (None, 3)
    """
    made: Tensor = Add(**kwargs)(inputs)
    return made


def subtract(inputs: Sequence[Tensor], **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Subtract(**kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> fastnn.layers.subtract([x, fastnn.layers.Dense(3)(x)]).shape
        (None, 3)
    """
    made: Tensor = Subtract(**kwargs)(inputs)
    return made


def multiply(inputs: Sequence[Tensor], **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Multiply(**kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> fastnn.layers.multiply([x, fastnn.layers.Dense(3)(x)]).shape
        (None, 3)
    """
    made: Tensor = Multiply(**kwargs)(inputs)
    return made


def average(inputs: Sequence[Tensor], **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Average(**kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> fastnn.layers.average([x, fastnn.layers.Dense(3)(x)]).shape
        (None, 3)
    """
    made: Tensor = Average(**kwargs)(inputs)
    return made


def maximum(inputs: Sequence[Tensor], **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Maximum(**kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> fastnn.layers.maximum([x, fastnn.layers.Dense(3)(x)]).shape
        (None, 3)
    """
    made: Tensor = Maximum(**kwargs)(inputs)
    return made


def minimum(inputs: Sequence[Tensor], **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Minimum(**kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> fastnn.layers.minimum([x, fastnn.layers.Dense(3)(x)]).shape
        (None, 3)
    """
    made: Tensor = Minimum(**kwargs)(inputs)
    return made


def concatenate(inputs: Sequence[Tensor], axis: int = -1, **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Concatenate(axis, **kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> a, b = fastnn.Input((3,)), fastnn.Input((2,))
        >>> fastnn.layers.concatenate([a, b]).shape
        (None, 5)
    """
    made: Tensor = Concatenate(axis, **kwargs)(inputs)
    return made


def dot(inputs: Sequence[Tensor], axes: int | Sequence[int] = -1, **kwargs: Unpack[LayerArguments]) -> Tensor:
    """`Dot(axes, **kwargs)(inputs)`.

    Example:
        >>> import fastnn
        >>> a, b = fastnn.Input((3,)), fastnn.Input((3,))
        >>> fastnn.layers.dot([a, b], axes=1).shape
        (None, 1)
    """
    made: Tensor = Dot(axes, **kwargs)(inputs)
    return made
