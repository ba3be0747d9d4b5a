"""`Input`: where rows enter a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from numpy.typing import DTypeLike

from ..core.declaration import Config, refuse
from ..core.lowering import Lowering
from ..core.symbolic import Tensor
from .layer import Layer, Rules
from .shapes import after_batch, shape_of


class InputLayer(Layer):
    """Where rows enter a model: what `Input` makes its tensor with.

    Args:
        shape: of one row, such as (64,).
        dtype: "float32" or "float64", or that of whole numbers; X itself may have any real dtype.
        name: of the input, for data that come as a dict.

    Raises:
        ArgumentError: a size that is not positive, an unknown or an unsupported argument.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.layers.InputLayer((4,)), fastnn.layers.Dense(2)])  # as with Input((4,))
        >>> model.input_shape
        (None, 4)
    """

    fields = ("shape", "dtype", "name")
    unsupported: ClassVar[dict[str, object]] = {
        "sparse": None,
        "ragged": None,
        "input_tensor": None,
        "optional": False,
    }

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        given: object = shape
        batch_shape = kwargs.pop("batch_shape", None)
        if shape is None and batch_shape is not None:
            given = after_batch("Input", "batch_shape", batch_shape)
        refuse("Input", kwargs, self.unsupported | {"batch_size": None}, (*self.fields, "batch_shape"))
        super().__init__(name=name)
        self.name = name or "input_layer"
        self.shape = () if isinstance(given, tuple | list) and not given else shape_of("Input", given)
        self.given_dtype = dtype

    def tensor(self) -> Tensor:
        """What goes in, for any number of rows."""
        return self._nodes[0].outputs[0] if self._nodes else self._noted((), self.shape)

    @property
    def output(self) -> Tensor:
        """What goes in, for any number of rows."""
        return self.tensor()

    def get_config(self) -> Config:
        """The arguments that make an equal input."""
        given = self.given_dtype
        return {"shape": list(self.shape), "dtype": None if given is None else str(given), "name": self.name}

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Nothing: rows are there already."""


def Input(
    shape: Sequence[int] | None = None, dtype: DTypeLike | None = None, name: str | None = None, **kwargs: object
) -> Tensor:
    """A symbolic tensor: the first entry of a `Sequential`, or what layers are called on to make a `Model`.

    Args:
        shape: of one row, such as (64,).
        dtype: "float32" or "float64", or that of whole numbers; X itself may have any real dtype.
        name: of the input, for data that come as a dict.

    Raises:
        ArgumentError: a size that is not positive, an unknown or an unsupported argument.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((4,))
        >>> model = fastnn.Model(x, fastnn.layers.Dense(2)(x))
        >>> model.count_params()  # 4 x 2 weights and 2 biases
        10
    """
    return InputLayer(shape, dtype, name, **kwargs).tensor()
