"""Dense, Dropout, and the layers that only change shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from .. import activations, initializers, regularizers
from ..activations import ActivationLike
from ..core.arrays import Array
from ..core.declaration import number, whole
from ..core.lowering import Lowering
from ..core.symbolic import Tensor, arithmetic, noise
from ..core.types import LayerArguments
from ..errors import ArgumentError, ArgumentTypeError
from ..initializers import InitializerLike
from ..regularizers import RegularizerLike
from .bound import Weight
from .layer import Layer, Rules, Shape
from .shapes import features


class Dense(Layer):
    """A fully connected layer. Math: A_bo = f(X_bi W_io + b_o).

    Args:
        units: O, at least 1.
        activation: f, a name or an `activations.Activation`; None is linear.
        use_bias: whether there is b.
        kernel_initializer, bias_initializer: how W and b begin.
        kernel_regularizer, bias_regularizer: penalties on them; without effect where the layer is not trainable.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: an argument out of range, unknown or unsupported.

    Example:
        >>> import fastnn, numpy
        >>> layer = fastnn.layers.Dense(2, activation="relu", kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((3,)), layer])
        >>> print(layer(numpy.array([[1.0, 2.0, 3.0]])))
        [[6. 6.]]
    """

    fields = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "name",
        "dtype",
        "trainable",
    )
    unsupported: ClassVar[dict[str, object]] = {
        "kernel_constraint": None,
        "bias_constraint": None,
        "lora_rank": None,
        "lora_alpha": None,
        "quantization_config": None,
    }

    def __init__(
        self,
        units: int,
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike | None = "glorot_uniform",
        bias_initializer: InitializerLike | None = "zeros",
        kernel_regularizer: RegularizerLike | None = None,
        bias_regularizer: RegularizerLike | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.units = whole("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(units,); (1, units) for rows of shape (1, I)."""
        features(where, shape)
        return (*shape[:-1], self.units)

    def parameters(self) -> list[Weight]:
        """The kernel, and the bias where there is one."""
        kernel = Weight("kernel", self.kernel_initializer)
        return [kernel, Weight("bias", self.bias_initializer)] if self.use_bias else [kernel]

    def parameter_shapes(self, shape: Shape) -> list[Shape]:
        """(I, O), and (O,)."""
        kernel = (shape[-1], self.units)
        return [kernel, (self.units,)] if self.use_bias else [kernel]

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Z = X W + b, then the activation."""
        kernel = self._spec("kernel", self.kernel_regularizer, rules)
        bias = self._spec("bias", self.bias_regularizer, rules) if self.use_bias else None
        builder.dense(self.name, self.units, kernel, bias)
        builder.activation(self.activation.name, self.activation.parameter)

    @property
    def kernel(self) -> Array:
        """W (I, O), a read-only view."""
        return self._weight("kernel")

    @property
    def bias(self) -> Array | None:
        """b (O,), a read-only view, or None."""
        return self._weight("bias") if self.use_bias else None


class Dropout(Layer):
    """Zeroes a random share of its inputs in training. Math: A = Z / (1 - rate) where kept, else 0; A = Z in inference.

    Which are kept is keyed by the model's seed, the step and the layer's place, so that a layer has no seed of its own.
    Called on a tensor with training=True, it does so in predictions, too.

    Args:
        rate: the share that is zeroed, in [0, 1).
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: a rate out of range, an unknown or an unsupported argument.

    Source: N. Srivastava et al., "Dropout", JMLR 15, 2014.

    Example:
        >>> import fastnn, numpy
        >>> print(fastnn.layers.Dropout(0.5)(numpy.ones((1, 4))))  # outside a training it does nothing
        [[1. 1. 1. 1.]]
    """

    fields = ("rate", "name", "dtype", "trainable")
    unsupported: ClassVar[dict[str, object]] = {"noise_shape": None, "seed": None}
    only_trains = pointwise = True

    def __init__(self, rate: float, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.rate = number("Dropout", "rate", rate, 0.0, 1.0, "[)")

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """A mask in training, nothing in inference."""
        builder.dropout(self.rate)

    def same_in(self, training: bool) -> bool:
        """Whether nothing is dropped."""
        return self.rate == 0.0

    def in_mode(self, tensors: Sequence[Tensor], training: bool) -> Tensor:
        """A mask in training and otherwise, of functions; or nothing."""
        (x,) = tensors
        if not training or self.same_in(training):
            return x
        kept = noise(x.row, x.dtype) >= 2.0 * self.rate - 1.0
        made: Tensor = (1.0 / (1.0 - self.rate)) * arithmetic("keep", x, kept)
        return made


class Flatten(Layer):
    """Makes each row one-dimensional, its elements in C order.

    Args:
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an unknown or an unsupported argument.

    Example:
        >>> import fastnn, numpy
        >>> fastnn.layers.Flatten()(numpy.ones((5, 8, 8))).shape
        (5, 64)
    """

    fields = ("name", "dtype", "trainable")
    unsupported: ClassVar[dict[str, object]] = {"data_format": None}

    def __init__(self, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """One dimension."""
        return (math.prod(shape),)

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Nothing: rows of the workspace are flat."""


class Reshape(Layer):
    """Gives each row another shape, its elements in C order.

    Args:
        target_shape: such as (28, 28); one size may be -1, which stands for what is left.
        name, dtype, trainable: see `Layer`. input_shape: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: sizes that are not positive, more than one -1, an unknown argument.
        ArgumentTypeError: not a sequence of whole numbers.

    Example:
        >>> import fastnn, numpy
        >>> fastnn.layers.Reshape((8, -1))(numpy.ones((5, 64))).shape
        (5, 8, 8)
    """

    fields = ("target_shape", "name", "dtype", "trainable")

    def __init__(self, target_shape: Sequence[int], **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        given: Any = target_shape
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            raise ArgumentTypeError(f"Reshape: target_shape is {given!r}, expected a tuple such as (28, 28)")
        sizes = [size if size == -1 else whole("Reshape", "target_shape", size) for size in given]
        if sizes.count(-1) > 1:
            raise ArgumentError(f"Reshape: target_shape is {tuple(sizes)}, expected one -1 at most")
        self.target_shape: Shape = tuple(sizes)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """The target, with -1 filled in."""
        elements, known = math.prod(shape), math.prod(size for size in self.target_shape if size != -1)
        if elements % known if -1 in self.target_shape else elements != known:
            raise ArgumentError(
                f"{where}: the rows that come in have shape {shape}, {elements} elements, which do not make "
                f"{self.target_shape}"
            )
        return tuple(elements // known if size == -1 else size for size in self.target_shape)

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Nothing: rows of the workspace are flat."""
