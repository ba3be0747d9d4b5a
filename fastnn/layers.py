"""Layers: names, hyper-parameters and shapes. In a model, a layer is also a view of its part of the model's weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from . import activations, config, declaration, initializers, regularizers
from .declaration import Declaration, flag, names, number, refuse, whole
from .errors import ArgumentError, ArgumentTypeError, NotBuiltError
from .lowering import Lowering, Penalty

if TYPE_CHECKING:
    from .stack import Stack

Shape = tuple[int, ...]
Array = npt.NDArray[Any]

_KERAS = {"autocast": True, "activity_regularizer": None, "batch_size": None, "weights": None}


def shape_of(where: str, shape: Any) -> Shape:
    """The shape of one row as a tuple of positive ints.

    Raises:
        ArgumentError: sizes that are not positive, or None. ArgumentTypeError: not a sequence of whole numbers.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise ArgumentTypeError(f"{where}: shape is {shape!r}, expected a tuple such as ({shape},)")
    if not shape:
        raise ArgumentError(f"{where}: shape is (), expected at least one size, such as (64,)")
    for size in shape:
        if size is None:
            raise ArgumentError(f"{where}: shape is {tuple(shape)!r}; sizes that vary are not supported")
    return tuple(whole(where, "shape", size) for size in shape)


class Input(Declaration):
    """The shape of one row of X, as the first entry of a `Sequential`.

    Args:
        shape: such as (64,).
        dtype: accepted as the model's dtype, "float32" or "float64"; X itself may have any real dtype.
        name: not used.

    Raises:
        ArgumentError: a size that is not positive, an unknown or an unsupported argument.
    """

    fields = ("shape", "name")
    unsupported: ClassVar[dict[str, Any]] = {
        "batch_size": None,
        "sparse": None,
        "ragged": None,
        "tensor": None,
        "optional": False,
    }

    def __init__(self, shape: Any = None, dtype: Any = None, name: str | None = None, **kwargs: Any) -> None:
        batch_shape = kwargs.pop("batch_shape", None)
        refuse("Input", kwargs, self.unsupported, (*self.fields, "dtype", "batch_shape", *self.unsupported))
        if shape is None and batch_shape is not None:
            shape = tuple(batch_shape)[1:]
        self.shape = shape_of("Input", shape)
        self.dtype = dtype
        self.name = name


InputLayer = Input


class Layer(Declaration):
    """Base class.

    Attributes:
        name: unique in its model, such as "dense" and "dense_1" unless given.
        dtype: "float32" or "float64".
        trainable: whether training changes its parameters; a change takes effect when the model is compiled again.
        input_shape: the shape of one row on the first layer of a model, where it was given; else None.
    """

    def __init__(self, name: str | None = None, dtype: Any = None, trainable: Any = True, **kwargs: Any) -> None:
        where = type(self).__name__
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(f"{where}: name is {name!r}, expected text without a slash")
        self.given_shape = _given_shape(where, kwargs)
        refuse(where, kwargs, _KERAS, (*self.fields, "input_shape", "input_dim", "batch_input_shape"))
        self.named = name is not None
        self.name = name or _snake(where)
        self.dtype = config.floatx() if dtype is None else config.dtype_name(where, dtype)
        self.trainable = trainable
        self._model: Stack | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes its parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        self._trainable = flag(type(self).__name__, "trainable", value)

    @property
    def trains(self) -> bool:
        """Whether it and its model are trainable."""
        return self._trainable and (self._model is None or self._model.trainable)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer, without weights."""
        return {name: _plain(getattr(self, name)) for name in self.fields}

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """The shape of one row that comes out for the shape of one that goes in."""
        return shape

    def parameters(self, shape: Shape) -> list[tuple[str, Shape, initializers.Initializer]]:
        """Name, shape and initializer of each parameter, for the shape of one row that goes in."""
        return []

    def lower(self, builder: Lowering, decays: Callable[[str], bool] = lambda path: True) -> None:
        """Adds this layer's instructions to a plan; `decays` says whether weight decay applies to a path."""
        raise NotImplementedError

    # a bound view

    @property
    def built(self) -> bool:
        """Whether its model knows its input shape."""
        return self._model is not None and self._model.built

    @property
    def weights(self) -> list[Array]:
        """Read-only views of its parameters, which change as the model learns; [] before the model is built."""
        if self._model is None or not self._model.built:
            return []
        views = self._model.parameters_of(self)
        for view in views:
            view.setflags(write=False)
        return views

    variables = weights

    @property
    def trainable_weights(self) -> list[Array]:
        """`weights`, or [] where it or its model is not trainable."""
        return self.weights if self.trains else []

    @property
    def non_trainable_weights(self) -> list[Array]:
        """`weights` where it or its model is not trainable, else []."""
        return [] if self.trains else self.weights

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def get_weights(self) -> list[Array]:
        """Copies of its parameters."""
        return [view.copy() for view in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets its parameters.

        Args:
            weights: arrays of the shapes of `get_weights()`.

        Raises:
            ArgumentError: another number of arrays, another shape, or numbers that are not real.
            NotBuiltError: the model does not know its input shape yet.
        """
        if self._model is None or not self._model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": set_weights before the input shape is known')
        self._model.assign(self._model.parameters_of(self), weights, f'{type(self).__name__} "{self.name}".set_weights')

    def count_params(self) -> int:
        """How many numbers its parameters hold."""
        return sum(view.size for view in self.weights)


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
    unsupported: ClassVar[dict[str, Any]] = {
        "kernel_constraint": None,
        "bias_constraint": None,
        "lora_rank": None,
        "lora_alpha": None,
        "quantization_config": None,
    }

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        constraints = {name: kwargs.pop(name) for name in tuple(kwargs) if name in self.unsupported}
        refuse("Dense", constraints, self.unsupported, self.fields)
        super().__init__(**kwargs)
        self.units = whole("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(units,)."""
        if len(shape) != 1:
            raise ArgumentError(
                f"{where}: the rows that come in have shape {shape}, expected (I,); add Flatten() before it"
            )
        return (self.units,)

    def parameters(self, shape: Shape) -> list[tuple[str, Shape, initializers.Initializer]]:
        """The kernel (I, O), and the bias (O,)."""
        found: list[tuple[str, Shape, initializers.Initializer]] = [
            ("kernel", (shape[0], self.units), self.kernel_initializer)
        ]
        return [*found, ("bias", (self.units,), self.bias_initializer)] if self.use_bias else found

    def lower(self, builder: Lowering, decays: Callable[[str], bool] = lambda path: True) -> None:
        """Z = X W + b, then the activation."""
        builder.dense(
            self.name,
            self.units,
            self.use_bias,
            kernel_penalty=_penalty(self.kernel_regularizer if self.trains else None),
            bias_penalty=_penalty(self.bias_regularizer if self.trains else None),
            trainable=self.trains,
            kernel_decay=decays(f"{self.name}/kernel"),
            bias_decay=decays(f"{self.name}/bias"),
        )
        builder.activation(self.activation.name, self.activation.parameter)

    @property
    def kernel(self) -> Array:
        """W (I, O), a read-only view."""
        return self._weight(0)

    @property
    def bias(self) -> Array | None:
        """b (O,), a read-only view, or None."""
        return self._weight(1) if self.use_bias else None

    def _weight(self, index: int) -> Array:
        weights = self.weights
        if not weights:
            raise NotBuiltError(f'Dense "{self.name}": it has no weights before its model knows the input shape')
        return weights[index]


class Activation(Layer):
    """An activation on its own. Math: A = f(Z).

    Args:
        activation: f, a name or an `activations.Activation`.
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an unknown activation or argument.
    """

    fields = ("activation", "name", "dtype", "trainable")

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """The shape that comes in."""
        if self.activation.name == "softmax" and len(shape) != 1:
            raise ArgumentError(f"{where}: softmax of rows of shape {shape}; add Flatten() before it")
        return shape

    def lower(self, builder: Lowering, decays: Callable[[str], bool] = lambda path: True) -> None:
        """A = f(Z)."""
        builder.activation(self.activation.name, self.activation.parameter)


class Dropout(Layer):
    """Zeroes a random share of its inputs in training. Math: A = Z / (1 - rate) where kept, else 0; A = Z in inference.

    Args:
        rate: the share that is zeroed, in [0, 1).
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: a rate out of range, an unknown or an unsupported argument.

    Source: N. Srivastava et al., "Dropout", JMLR 15, 2014.
    """

    fields = ("rate", "name", "dtype", "trainable")
    unsupported: ClassVar[dict[str, Any]] = {"noise_shape": None, "seed": None}

    def __init__(self, rate: float, **kwargs: Any) -> None:
        extra = {name: kwargs.pop(name) for name in tuple(kwargs) if name in self.unsupported}
        refuse("Dropout", extra, self.unsupported, self.fields)
        super().__init__(**kwargs)
        self.rate = number("Dropout", "rate", rate, 0.0, 1.0, "[)")

    def lower(self, builder: Lowering, decays: Callable[[str], bool] = lambda path: True) -> None:
        """A mask in training, nothing in inference."""
        builder.dropout(self.rate)


class Flatten(Layer):
    """Makes each row one-dimensional, its elements in C order.

    Args:
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an unknown or an unsupported argument.
    """

    fields = ("name", "dtype", "trainable")

    def __init__(self, **kwargs: Any) -> None:
        refuse("Flatten", {"data_format": kwargs.pop("data_format", None)}, {"data_format": None}, self.fields)
        super().__init__(**kwargs)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """One dimension."""
        return (math.prod(shape),)

    def lower(self, builder: Lowering, decays: Callable[[str], bool] = lambda path: True) -> None:
        """Nothing: rows of the workspace are flat."""


CLASSES: dict[str, type[Layer]] = {layer.__name__: layer for layer in (Dense, Activation, Dropout, Flatten)}
UNSUPPORTED = names(
    "Conv1D Conv2D Conv3D MaxPooling1D MaxPooling2D AveragePooling2D GlobalAveragePooling2D Embedding LSTM GRU "
    "SimpleRNN Bidirectional TimeDistributed BatchNormalization LayerNormalization GroupNormalization "
    "Normalization Rescaling Reshape Permute RepeatVector ReLU LeakyReLU PReLU ELU Softmax Concatenate Add "
    "Multiply Average Dot Lambda GaussianNoise GaussianDropout AlphaDropout SpatialDropout1D Masking Attention "
    "MultiHeadAttention"
)


def __getattr__(name: str) -> Any:
    if name in UNSUPPORTED:
        raise AttributeError(f"layers.{name} of Keras is not supported; there are {', '.join(CLASSES)} and Input")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _given_shape(where: str, kwargs: dict[str, Any]) -> Shape | None:
    if "input_dim" in kwargs:
        return (whole(where, "input_dim", kwargs.pop("input_dim")),)
    if "input_shape" in kwargs:
        return shape_of(where, kwargs.pop("input_shape"))
    if "batch_input_shape" in kwargs:
        return shape_of(where, tuple(kwargs.pop("batch_input_shape"))[1:])
    return None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, activations.Activation):
        return activations.serialize(value)
    return declaration.serialize(value) if isinstance(value, Declaration) else value


def _penalty(regularizer: regularizers.Regularizer | None) -> Penalty:
    return Penalty() if regularizer is None else regularizer.penalty()


__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer"]
