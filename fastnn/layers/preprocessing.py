"""Layers that prepare data inside the model: Normalization and Rescaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .. import config, initializers
from ..core.arrays import Array, numeric
from ..core.declaration import Config, number
from ..core.lowering import Lowering
from ..core.types import LayerArguments
from ..errors import ArgumentError, NotBuiltError
from .bound import Weight
from .layer import Layer, Rules, Shape
from .shapes import last_axis, one_dimension

Moments = tuple[Array, Array]  # mean and variance, float64, both () or both (I,)

_CHUNK = 4096  # rows that `adapt` widens to float64 at a time


class Rescaling(Layer):
    """Math: A = scale * Z + offset.

    Args:
        scale, offset: finite numbers, such as 1 / 255 and 0.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: not finite, an unknown argument. ArgumentTypeError: not one number.

    Example:
        >>> import fastnn, numpy
        >>> print(fastnn.layers.Rescaling(1 / 255)(numpy.array([[0.0, 255.0]])))
        [[0. 1.]]
    """

    fields = ("scale", "offset", "name", "dtype", "trainable")
    pointwise = True

    def __init__(self, scale: float, offset: float = 0.0, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.scale = number("Rescaling", "scale", scale)
        self.offset = number("Rescaling", "offset", offset)

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """One multiplication and addition for each element."""
        builder.affine(self.scale, self.offset)


class Normalization(Layer):
    """Standardizes each feature by a mean and a variance that are given, or that `adapt` reads off data.

    Math: A = (Z - mean) / max(sqrt(variance), 1e-7).

    Its weights are the mean and the variance, each (I,), which no training changes; they begin as 0 and 1. The third
    weight that Keras has, a count that is always 0, is left out.

    Args:
        axis: -1, or 1: the features; None: one mean and one variance for all of them.
        mean, variance: both or neither; one number or one for each feature.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: one without the other, unlike shapes, numbers that are not finite, a negative variance, an
            unknown or unsupported argument. ArgumentTypeError: not real numbers.

    Example:
        >>> import fastnn, numpy
        >>> layer = fastnn.layers.Normalization()
        >>> layer.adapt(numpy.array([[10.0], [20.0], [30.0]]))
        >>> print(layer(numpy.array([[20.0]])))
        [[0.]]
    """

    fields = ("axis", "mean", "variance", "name", "dtype", "trainable")
    unsupported: ClassVar[dict[str, object]] = {"invert": False}

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.axis = None if axis is None else last_axis("Normalization", axis)
        self._given = _given(mean, variance, self.axis, self.dtype)
        self._adapted: Moments | None = None

    def get_config(self) -> Config:
        """The arguments that make an equal layer; what `adapt` read is in its weights, and not among them."""
        mean, variance = (None, None) if self._given is None else (moment.tolist() for moment in self._given)
        plain = {name: getattr(self, name) for name in ("name", "dtype", "trainable")}
        return {"axis": self.axis, "mean": mean, "variance": variance, **plain}

    def adapt(self, data: ArrayLike) -> None:
        """Sets the mean and the variance to those of data, computed in float64; before or after it is in a model.

        Args:
            data: (n, I), or (n,) for one feature; any real dtype, no NaN or infinity.

        Raises:
            ArgumentError: no rows, another number of features, NaN or infinity, moments that do not fit the dtype.
            ArgumentTypeError: not real numbers.
        """
        where = f'Normalization "{self.name}".adapt'
        if self._given is not None:
            raise ArgumentError(f"{where}: its mean and variance were given; leave them out to adapt it")
        rows = numeric(data, f"{where}: data")
        rows = rows[:, None] if rows.ndim == 1 else rows
        if rows.ndim != 2 or not rows.size:
            raise ArgumentError(f"{where}: data has shape {rows.shape}, expected (n, I) with at least one row")
        _require_finite(rows, where, getattr(data, "columns", None))
        model = self._model if self._model is not None and self._model.built else None
        if model is not None and self.axis is not None and rows.shape[1:] != self._nodes[0].inputs[0].row:
            features = self._nodes[0].inputs[0].row[0]
            raise ArgumentError(f"{where}: data has {rows.shape[1]} features, the model was built for {features}")
        moments = _moments(rows, self.axis is None)
        _require_fit(moments, where, self.dtype if model is None else model.dtype)
        self._adapted = moments
        if model is not None:
            views = model.parameters_of(self)
            values = [np.broadcast_to(value, view.shape) for value, view in zip(moments, views, strict=True)]
            model.assign([self], values, where)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(I,), as it comes in."""
        features = one_dimension(where, shape)
        known = self._given or self._adapted
        if known is not None and known[0].shape not in ((), (features,)):
            raise ArgumentError(
                f"{where}: its mean and variance have {known[0].size} features, the rows that come in {features}"
            )
        return shape

    def parameters(self) -> list[Weight]:
        """The mean (I,) and the variance (I,)."""
        known = self._given or self._adapted
        begin: tuple[initializers.Initializer, ...] = (initializers.Zeros(), initializers.Ones())
        if known is not None:
            begin = tuple(initializers.Constant(moment) for moment in known)
        names = ("mean", "variance")
        return [Weight(name, initializer, statistic=True) for name, initializer in zip(names, begin, strict=True)]

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """By the mean and the variance, in training too."""
        builder.standardize(self.name, config.epsilon())

    @property
    def known(self) -> bool:
        """Whether it was given its mean and variance, or adapted."""
        return self._given is not None or self._adapted is not None

    @property
    def mean(self) -> Array | None:
        """(1, I) or, of one number for all features, (1, 1); None before it is known."""
        return self._moment(0)

    @property
    def variance(self) -> Array | None:
        """As `mean`."""
        return self._moment(1)

    def _moment(self, index: int) -> Array | None:
        known = self._given or self._adapted
        if weights := self.weights:
            return weights[index].reshape(1, -1)
        return None if known is None else known[index].astype(self.dtype).reshape(1, -1)

    def _values(self, shape: Shape) -> list[Array]:
        known = self._given or self._adapted
        if known is None or self.weights:
            return super()._values(shape)
        return [np.broadcast_to(moment, shape) for moment in known]

    def _unbuilt(self) -> NotBuiltError:
        return NotBuiltError(f'Normalization "{self.name}": it has no mean and variance yet; call adapt(data) first')


def _given(mean: object, variance: object, axis: int | None, dtype: str) -> Moments | None:
    """mean and variance of `Normalization` as float64, both () or both (I,)."""
    if mean is None and variance is None:
        return None
    if mean is None or variance is None:
        raise ArgumentError("Normalization: mean and variance go together; give both or neither")
    pair = [numeric(value, f"Normalization: {name}") for name, value in (("mean", mean), ("variance", variance))]
    shapes = tuple(moment.shape for moment in pair)
    if shapes[0] != shapes[1] or len(shapes[0]) > 1 or not pair[0].size or (axis is None and shapes[0]):
        expected = "one number each" if axis is None else "one number each or (I,) each"
        raise ArgumentError(
            f"Normalization: mean and variance have shapes {shapes[0]} and {shapes[1]}, expected {expected}"
        )
    moments = (np.asarray(pair[0], np.float64), np.asarray(pair[1], np.float64))
    if not (moments[1] >= 0.0).all():
        raise ArgumentError(f"Normalization: variance is {variance!r}, expected numbers >= 0")
    _require_fit(moments, "Normalization", dtype)
    return moments


def _moments(rows: Array, overall: bool) -> Moments:
    """Mean and biased variance of each column, or of all elements, in two passes over chunks of rows."""
    n, width = rows.shape
    chunks = [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.zeros(width)
        for chunk in chunks:
            total += rows[chunk].astype(np.float64, order="C").sum(axis=0)
        mean = np.asarray(total.sum() / (n * width)) if overall else total / n
        squares = np.zeros(width)
        for chunk in chunks:
            squares += ((rows[chunk].astype(np.float64, order="C") - mean) ** 2).sum(axis=0)
        return mean, np.asarray(squares.sum() / (n * width)) if overall else squares / n


def _require_finite(rows: Array, where: str, labels: Sequence[object] | None) -> None:
    for start in range(0, len(rows), _CHUNK):
        finite = np.isfinite(rows[start : start + _CHUNK])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            label = "" if labels is None else f" ({labels[column]!r})"
            value = rows[start + row, column]
            raise ArgumentError(
                f"{where}: data is {value} at row {start + row}, column {column}{label}; "
                "remove such rows or fill them in first"
            )


def _require_fit(moments: Moments, where: str, dtype: str) -> None:
    most = np.finfo(dtype).max
    for name, moment in zip(("mean", "variance"), moments, strict=True):
        if not (np.abs(moment) <= most).all():
            raise ArgumentError(f"{where}: the {name} is up to {np.abs(moment).max():g}, which does not fit {dtype}")
