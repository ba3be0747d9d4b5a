"""Embedding: a row of a table for each class number; and the mean over the numbers of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

from numpy.typing import ArrayLike

from .. import initializers, regularizers
from ..core.arrays import Array
from ..core.buffers import Value
from ..core.declaration import flag, whole
from ..core.lowering import Lowering
from ..core.symbolic import Tensor
from ..core.types import LayerArguments, NamedLayerArguments, Outputs, Tensors
from ..errors import ArgumentError, ArgumentTypeError
from ..initializers import InitializerLike
from ..regularizers import RegularizerLike
from .bound import Weight
from .layer import Layer, Rules, Shape


class Embedding(Layer):
    """A row of a table for each class number. Math: A_bnd = W_vd where v is X_bn.

    It is called on an `Input`, or on columns of one, such as x[:, 0]. Class numbers are whole numbers of any dtype from
    0 to input_dim - 1; data with others are refused. The gradient of W is plain sums over the batch, by row, then by
    position in the row; optimizers move all of W.

    Args:
        input_dim: V, how many classes there are. output_dim: D, the width of a row of W.
        embeddings_initializer: how W (V, D) begins.
        embeddings_regularizer: a penalty on it; without effect where the layer is not trainable.
        mask_zero: only False. input_length: accepted, without effect.
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an argument out of range, unknown or unsupported.

    Example:
        >>> import fastnn
        >>> words = fastnn.Input((2,), dtype="int32")
        >>> fastnn.layers.Embedding(50, 4)(words).shape
        (None, 2, 4)
    """

    fields = (
        "input_dim",
        "output_dim",
        "embeddings_initializer",
        "embeddings_regularizer",
        "name",
        "dtype",
        "trainable",
    )
    unsupported: ClassVar[dict[str, object]] = {
        "embeddings_constraint": None,
        "weights": None,
        "lora_rank": None,
        "lora_alpha": None,
        "quantization_config": None,
    }

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike | None = "uniform",
        embeddings_regularizer: RegularizerLike | None = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        **kwargs: Unpack[NamedLayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        if flag("Embedding", "mask_zero", mask_zero):
            raise ArgumentError("Embedding: mask_zero=True is not supported; without it 0 is a class like others")
        self.input_dim = whole("Embedding", "input_dim", input_dim)
        self.output_dim = whole("Embedding", "output_dim", output_dim)
        if self.dtype == "float32" and self.input_dim > 2**24:
            raise ArgumentError(f"Embedding: input_dim is {input_dim}, float32 tells at most {2**24} numbers apart")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(N, D) for rows of N class numbers, (D,) for one."""
        if len(shape) > 1:
            raise ArgumentError(f"{where}: rows of shape {shape}, expected class numbers of shape (N,) or ()")
        return (*shape, self.output_dim)

    def parameters(self) -> list[Weight]:
        """W (V, D)."""
        return [Weight("embeddings", self.embeddings_initializer)]

    def parameter_shapes(self, shape: Shape) -> list[Shape]:
        """(V, D)."""
        return [(self.input_dim, self.output_dim)]

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Rows of the table beside each other."""
        table = self._spec("embeddings", self.embeddings_regularizer, rules)
        builder.embedding(self.name, self.input_dim, self.output_dim, table)

    def __call__(self, x: ArrayLike | Tensors, training: bool | None = None) -> Outputs:
        """What comes out for the tensor of an `Input`.

        Raises:
            ArgumentTypeError: anything else.
        """
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(
                f'Embedding "{self.name}": it was called on {type(x).__name__}, expected the tensor of an Input; for '
                "arrays, predict with a model of it"
            )
        return self.symbolic([x])

    @property
    def embeddings(self) -> Array:
        """W (V, D), a read-only view."""
        return self._weight("embeddings")


class GlobalAveragePooling1D(Layer):
    """The mean over the first axis of each row. Math: A_bd = sum over n of X_bnd / N.

    Args:
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an unknown or an unsupported argument.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((2, 2)), fastnn.layers.GlobalAveragePooling1D()])
        >>> print(model.predict([[[1.0, 10.0], [3.0, 30.0]]], verbose=0))
        [[ 2. 20.]]
    """

    fields = ("name", "dtype", "trainable")
    unsupported: ClassVar[dict[str, object]] = {"data_format": None, "keepdims": False}

    def __init__(self, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self._rows: Shape = ()

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(D,) for rows of shape (N, D)."""
        if len(shape) != 2:
            raise ArgumentError(f"{where}: rows of shape {shape}, expected (N, D), such as an Embedding's")
        self._rows = self._rows or shape
        return shape[1:]

    def takes(self, row: Shape) -> bool:
        """Rows of its first call alone: a plan knows no shapes."""
        return row == self._rows

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """The parts of a row added in order, times 1 / N."""
        count, width = self._rows
        builder.value = values[0]
        parts = []
        for number in range(count):
            builder.value = values[0]
            builder.columns(number * width, (number + 1) * width)
            parts.append(builder.value)
        builder.value = parts[0]
        for part in parts[1:]:
            builder.binary("add", part)
        builder.affine(1.0 / count, 0.0)
