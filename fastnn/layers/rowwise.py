"""PReLU and UnitNormalization: layers of `core/rowwise.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

from .. import initializers, regularizers
from ..core.arrays import Array
from ..core.lowering import Lowering
from ..core.types import LayerArguments
from ..initializers import InitializerLike
from ..regularizers import RegularizerLike
from .bound import Weight
from .layer import Layer, Rules, Shape
from .shapes import last_axis, one_dimension

_EPSILON = 1e-12  # Keras's


class PReLU(Layer):
    """A relu whose slope below 0 is learned for each feature. Math: A = Z where Z >= 0, else alpha * Z.

    Args:
        alpha_initializer: how alpha (I,) begins.
        alpha_regularizer: a penalty on it; without effect where the layer is not trainable.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: an unknown or unsupported argument: alpha_constraint and shared_axes are Keras's.

    Source: K. He, X. Zhang, S. Ren, J. Sun, ICCV 2015.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.PReLU(alpha_initializer=fastnn.initializers.Constant([0.5, 0.0]))
        >>> print(fastnn.Sequential([fastnn.Input((2,)), layer]).predict([[-1.0, -1.0], [3.0, 3.0]], verbose=0))
        [[-0.5 -0. ]
         [ 3.   3. ]]
    """

    fields = ("alpha_initializer", "alpha_regularizer", "name", "dtype", "trainable")
    unsupported: ClassVar[dict[str, object]] = {"alpha_constraint": None, "shared_axes": None}

    def __init__(
        self,
        alpha_initializer: InitializerLike | None = "zeros",
        alpha_regularizer: RegularizerLike | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(I,), as it comes in."""
        return (one_dimension(where, shape),)

    def parameters(self) -> list[Weight]:
        """alpha (I,)."""
        return [Weight("alpha", self.alpha_initializer)]

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """A = Z where Z >= 0, else alpha Z."""
        builder.row_wise("prelu", self.name, (self._spec("alpha", self.alpha_regularizer, rules),))

    @property
    def alpha(self) -> Array:
        """The slopes (I,), a read-only view."""
        return self._weight("alpha")


class UnitNormalization(Layer):
    """Scales each row to length 1. Math: A = Z / max(sqrt(sum of Z^2 over the row), 1e-12).

    Args:
        axis: -1, or 1: the features.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: another axis, an unknown argument.

    Example:
        >>> import fastnn, numpy
        >>> print(fastnn.layers.UnitNormalization()(numpy.array([[3.0, 4.0]])))
        [[0.6 0.8]]
    """

    fields = ("axis", "name", "dtype", "trainable")

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.axis = last_axis("UnitNormalization", axis)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(I,), as it comes in."""
        return (one_dimension(where, shape),)

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """A = Z / |Z|, of each row."""
        builder.row_wise("unit_normalization", constants=(_EPSILON,))
