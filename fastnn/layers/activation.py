"""Activations as layers of their own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar, Unpack

from .. import activations
from ..activations import ActivationLike
from ..core.declaration import number
from ..core.lowering import Lowering
from ..core.types import LayerArguments
from ..errors import ArgumentError
from .layer import Layer, Rules, Shape
from .shapes import last_axis


class Activation(Layer):
    """An activation on its own. Math: A = f(Z).

    Args:
        activation: a name or an `activations.Activation`.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: an unknown activation or argument.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.Activation("tanh")([[0.0, 9.0]]))
        [[0. 1.]]
    """

    fields: ClassVar[tuple[str, ...]] = ("activation", "name", "dtype", "trainable")
    pointwise = True

    def __init__(self, activation: ActivationLike | None, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """The shape that comes in."""
        if self.activation.name in activations.BY_ROW and len(shape) != 1:
            raise ArgumentError(f"{where}: {self.activation.name} of rows of shape {shape}; add Flatten() before it")
        return shape

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """A = f(Z)."""
        builder.activation(self.activation.name, self.activation.parameter)


class ReLU(Activation):
    """Math: A = Z where Z > 0, else negative_slope * Z; at most max_value.

    Args:
        max_value: None, or 6 without a slope.
        negative_slope: at least 0.
        name, dtype, trainable, input_shape: see `Activation`.

    Raises:
        ArgumentError: a negative slope, an unknown argument, or what only Keras has: a threshold, another max_value.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.ReLU(max_value=6)([[-1.0, 2.0, 7.0]]), fastnn.layers.ReLU(negative_slope=0.5)([[-1.0]]))
        [[0. 2. 6.]] [[-0.5]]
    """

    fields = ("max_value", "negative_slope", "name", "dtype", "trainable")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        self.max_value = max_value
        self.negative_slope = number("ReLU", "negative_slope", negative_slope, 0.0)
        super().__init__(activations.rectifier("ReLU", max_value, self.negative_slope, threshold), **kwargs)


class LeakyReLU(Activation):
    """Math: A = Z where Z >= 0, else negative_slope * Z.

    Args:
        negative_slope: at least 0; as in Keras 0.3 here, but 0.2 for activation="leaky_relu". `alpha` is its old name.
        name, dtype, trainable, input_shape: see `Activation`.

    Raises:
        ArgumentError: a negative slope, an unknown argument.

    Example:
        >>> import fastnn, numpy
        >>> print(fastnn.layers.LeakyReLU(0.5)(numpy.array([[-2.0, 2.0]])))
        [[-1.  2.]]
    """

    fields = ("negative_slope", "name", "dtype", "trainable")

    def __init__(self, negative_slope: float = 0.3, **kwargs: Unpack[LayerArguments]) -> None:
        if "alpha" in kwargs:
            warnings.warn("LeakyReLU: alpha is called negative_slope now", UserWarning, stacklevel=2)
            negative_slope = kwargs.pop("alpha")  # type: ignore[typeddict-item]
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope, 0.0)
        super().__init__(activations.Activation("leaky_relu", self.negative_slope), **kwargs)


class ELU(Activation):
    """Math: A = Z where Z >= 0, else alpha * (e^Z - 1).

    Args:
        alpha: a finite number.
        name, dtype, trainable, input_shape: see `Activation`.

    Raises:
        ArgumentError: an unknown argument.

    Source: D.-A. Clevert, T. Unterthiner, S. Hochreiter, ICLR 2016.

    Example:
        >>> import fastnn
        >>> print(fastnn.layers.ELU(alpha=0.5)([[-99.0, 1.0]]))
        [[-0.5  1. ]]
    """

    fields = ("alpha", "name", "dtype", "trainable")

    def __init__(self, alpha: float = 1.0, **kwargs: Unpack[LayerArguments]) -> None:
        self.alpha = number("ELU", "alpha", alpha)
        super().__init__(activations.Activation("elu", self.alpha), **kwargs)


class Softmax(Activation):
    """Math: A_bc = e^Z_bc / sum over c of e^Z_bc.

    Args:
        axis: -1, or 1: the last dimension of a batch of rows.
        name, dtype, trainable, input_shape: see `Activation`.

    Raises:
        ArgumentError: another axis, an unknown argument.

    Example:
        >>> import fastnn, numpy
        >>> print(fastnn.layers.Softmax()(numpy.array([[0.0, 0.0]])))
        [[0.5 0.5]]
    """

    fields = ("axis", "name", "dtype", "trainable")

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Unpack[LayerArguments]) -> None:
        self.axis = last_axis("Softmax", axis)
        super().__init__("softmax", **kwargs)
