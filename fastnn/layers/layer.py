"""`Input`, and `Layer`: what every layer declares, its calls, and its view of its part of a model's weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from .. import activations, config
from ..backends import eager
from ..core import declaration
from ..core.arrays import Array, numeric
from ..core.buffers import Value
from ..core.declaration import Config, Declaration, flag, refuse, whole
from ..core.lowering import Lowering
from ..core.model import LayerOwner
from ..core.specs import ParameterSpec, Penalty
from ..core.symbolic import Node, Tensor, any_tensor
from ..core.symbolic import Shape as Shape
from ..errors import ArgumentError, ArgumentTypeError, NotBuiltError
from ..initializers import Initializer
from ..regularizers import Regularizer

_KERAS = {"autocast": True, "activity_regularizer": None, "batch_size": None, "weights": None}


class Rules(NamedTuple):
    """What a training does to parameters: whether weight decay applies to a path, and whether a layer is trained."""

    decays: Callable[[str], bool]
    trains: Callable[[Layer], bool]


class Weight(NamedTuple):
    """One tensor of a layer; no optimizer changes a statistic."""

    name: str
    initializer: Initializer
    statistic: bool = False


def shape_of(where: str, shape: object) -> Shape:
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


class Layer(Declaration):
    """Base class.

    Attributes:
        name: unique in its model, such as "dense" and "dense_1" unless given.
        dtype: "float32" or "float64".
        trainable: whether training changes its parameters; a change takes effect when the model is compiled again.
        given_shape: the shape of one row, where `input_shape` or `input_dim` gave it; else None.
        named: whether its name was given.
        nodes: its calls on symbolic tensors. store: where its weights lie, once a model has made them.
        compiled_trainable: whether it was trainable when a model was compiled last.
    """

    unsupported: ClassVar[dict[str, object]] = {}  # arguments of Keras that may only have their default
    pointwise: ClassVar[bool] = False  # called on an array, it takes one of any rank

    def __init__(
        self, name: str | None = None, dtype: object = None, trainable: object = True, **kwargs: object
    ) -> None:
        where = type(self).__name__
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(f"{where}: name is {name!r}, expected text without a slash")
        self.given_shape = _given_shape(where, kwargs)
        known = (*self.fields, "input_shape", "input_dim", "batch_input_shape")
        refuse(where, kwargs, _KERAS | self.unsupported, known)
        self.named = name is not None
        self.name = name or _snake(where)
        self.dtype = config.floatx() if dtype is None else config.dtype_name(where, dtype)
        self.trainable = trainable
        self._model: LayerOwner | None = None
        self.nodes: list[Node] = []
        self.store: Any = None
        self.compiled_trainable: bool | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes its parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: object) -> None:
        self._trainable = flag(type(self).__name__, "trainable", value)

    @property
    def compiled(self) -> bool:
        """Whether it says what it is in a plan, as those of fastnn do."""
        kind = type(self)
        return kind.lower is not Layer.lower or kind.lower_values is not Layer.lower_values

    @property
    def trains(self) -> bool:
        """Whether it and its model are trainable."""
        return self._trainable and (self._model is None or self._model.trainable)

    def get_config(self) -> Config:
        """The arguments that make an equal layer, without weights."""
        return {name: _plain(getattr(self, name)) for name in self.fields}

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """The shape of one row that comes out for the shape of one that goes in."""
        return shape

    def parameters(self) -> list[Weight]:
        """Its weights, in Keras's order."""
        return []

    def parameter_shapes(self, shape: Shape) -> list[Shape]:
        """The shapes of `parameters()` for the shape of one row that goes in."""
        return [shape for _ in self.parameters()]

    def shapes(self) -> list[Shape]:
        """The shapes of its parameters, once it was called."""
        return self.parameter_shapes(self._first_node().inputs[0].row) if self.parameters() else []

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Adds this layer's instructions on the builder's value to a plan."""
        raise NotImplementedError

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """Adds its instructions on the values of what it is called on."""
        (builder.value,) = values
        self.lower(builder, rules)

    def rows_out(self, rows: Sequence[Shape]) -> list[Shape]:
        """The shape of one row that comes out for those of the tensors that go in."""
        where = f'{type(self).__name__} "{self.name}"'
        if len(rows) != 1:
            raise ArgumentTypeError(f"{where}: it was called on {len(rows)} tensors, expected one")
        return [self.output_shape(rows[0], where)]

    def __call__(self, x: Any, training: object = None) -> Any:
        """What comes out for a symbolic tensor; or for the rows of an array, in inference mode.

        Args:
            x: a symbolic tensor; or (B, ...), any real dtype, for activations and `Rescaling` an array of any rank.
            training: None or False for arrays; without effect on tensors.

        Returns:
            A tensor; or an array of the layer's dtype.

        Raises:
            ArgumentError: another shape than its model's, or training mode. ArgumentTypeError: not real numbers.
            NotBuiltError: its weights are not made yet.
        """
        if any_tensor(x):
            if hasattr(self, "call"):  # a layer that composes others is what it makes of them
                return self.call(x)
            return self.symbolic([x] if isinstance(x, Tensor) else x)
        where = f'{type(self).__name__} "{self.name}"'
        if isinstance(x, Layer):
            raise ArgumentTypeError(f"{where}: it was called on {x!r}, expected a symbolic tensor such as Input((64,))")
        if training not in (None, False):
            raise ArgumentError(f"{where}: training={training!r} is not supported; fit a model that has the layer")
        array = numeric(x, f"{where}: x")
        rows = array.reshape(1, -1) if self.pointwise and array.ndim < 2 else array
        if rows.ndim < 2 or not rows.shape[0]:
            raise ArgumentError(f"{where}: x has shape {array.shape}, expected (B, ...) with at least one row")
        shape = rows.shape[1:]
        if self.nodes and self.parameters():
            expected = self.nodes[0].inputs[0].row
            if shape != expected:
                raise ArgumentError(f"{where}: x has rows of shape {shape}, the model was built for {expected}")
        out_shape = (len(rows), *self.output_shape(shape, where))
        model = self._model if self.built else None
        dtype, backend = (self.dtype, None) if model is None else (model.dtype, model.engine().backend)
        result = eager.forward(
            lambda builder: self.lower(builder, RULES),
            (rows.reshape(len(rows), -1),),
            self._values(shape),
            dtype,
            backend,
        )
        return result.reshape(array.shape if self.pointwise else out_shape)

    def symbolic(self, tensors: Sequence[Tensor]) -> Tensor:
        """What comes out for symbolic tensors.

        Raises:
            ArgumentError: shapes that do not fit. ArgumentTypeError: what is no tensor.
        """
        where = f'{type(self).__name__} "{self.name}"'
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise ArgumentTypeError(f"{where}: it was called on {tensor!r} among symbolic tensors")
        rows = [tensor.row for tensor in tensors]
        made = self.rows_out(rows)
        first = self.nodes[0].inputs[0].row if self.nodes and len(rows) == 1 else ()
        if first != rows[0] and first and not self.takes(rows[0]):
            raise ArgumentError(f"{where}: it was called on rows of shape {rows[0]}, its weights are for {first}")
        self.nodes.append(Node(self, tensors, made, self.dtype))
        return self.nodes[-1].outputs[0]

    def takes(self, row: Shape) -> bool:
        """Whether it can be called on rows of this shape after its first call."""
        return self.parameter_shapes(row) == self.shapes()

    @property
    def output(self) -> Tensor:
        """The symbolic tensor that comes out of its first call.

        Raises:
            NotBuiltError: it was not called yet, nor is it in a model that knows its input shape.
        """
        return self._first_node().outputs[0]

    @property
    def input(self) -> Any:
        """The symbolic tensor that goes into its first call, or a list of them."""
        inputs = self._first_node().inputs
        return inputs[0] if len(inputs) == 1 else list(inputs)

    def _first_node(self) -> Node:
        if not self.nodes:
            where = f'{type(self).__name__} "{self.name}"'
            raise NotBuiltError(f"{where}: it has no symbolic tensors before it is called, or its model is built")
        return self.nodes[0]

    def _spec(self, name: str, regularizer: Regularizer | None, rules: Rules) -> ParameterSpec:
        """How one of its parameters is trained."""
        trains = rules.trains(self)
        penalty = regularizer.penalty() if regularizer is not None and trains else Penalty()
        return ParameterSpec(penalty, trains, rules.decays(f"{self.name}/{name}"))

    def _values(self, shape: Shape) -> list[Array]:
        """Its weights, for a call on rows of `shape`."""
        if self.parameters() and not self.weights:
            raise self._unbuilt()
        return self.weights

    def _unbuilt(self) -> NotBuiltError:
        where = f'{type(self).__name__} "{self.name}"'
        return NotBuiltError(f"{where}: it has no weights before its model knows the input shape")

    # a bound view

    @property
    def bound(self) -> bool:
        """Whether it is part of a model."""
        return self._model is not None

    def bind(self, model: LayerOwner, name: str) -> None:
        """Makes it part of a model, in which it is called `name`."""
        self._model, self.name = model, name

    def release(self) -> None:
        """Makes it part of no model."""
        self._model = None

    @property
    def built(self) -> bool:
        """Whether its model knows its input shape."""
        return self._model is not None and self._model.built and bool(self.nodes)

    @property
    def weights(self) -> list[Array]:
        """Read-only views of its parameters, which change as the model learns; [] before the model is built."""
        if self._model is None or not self.built:
            return []
        views = self._model.parameters_of(self)
        for view in views:
            view.setflags(write=False)
        return views

    variables = weights

    @property
    def trainable_weights(self) -> list[Array]:
        """`weights` without statistics, or [] where it or its model is not trainable."""
        return [view for view, trains in self._trained() if trains]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """Statistics; all `weights` where it or its model is not trainable."""
        return [view for view, trains in self._trained() if not trains]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def _trained(self) -> list[tuple[Array, bool]]:
        if not (weights := self.weights):
            return []
        declared = zip(weights, self.parameters(), strict=True)
        return [(view, self.trains and not weight.statistic) for view, weight in declared]

    def _weight(self, name: str) -> Array:
        """One weight by its name.

        Raises:
            NotBuiltError: the model does not know its input shape yet.
        """
        if not (weights := self.weights):
            raise self._unbuilt()
        return weights[[weight.name for weight in self.parameters()].index(name)]

    def get_weights(self) -> list[Array]:
        """Copies of its parameters."""
        return [view.copy() for view in self.weights]

    def set_weights(self, weights: Sequence[object]) -> None:
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


class InputLayer(Layer):
    """Where rows enter a model: what `Input` makes its tensor with.

    Args:
        shape: of one row, such as (64,).
        dtype: "float32" or "float64", or that of whole numbers; X itself may have any real dtype.
        name: of the input, for data that come as a dict.

    Raises:
        ArgumentError: a size that is not positive, an unknown or an unsupported argument.
    """

    fields = ("shape", "dtype", "name")
    unsupported: ClassVar[dict[str, object]] = {
        "sparse": None,
        "ragged": None,
        "input_tensor": None,
        "optional": False,
    }

    def __init__(self, shape: object = None, dtype: object = None, name: str | None = None, **kwargs: object) -> None:
        batch_shape = kwargs.pop("batch_shape", None)
        if shape is None and batch_shape is not None:
            shape = _after_batch("Input", "batch_shape", batch_shape)
        refuse("Input", kwargs, self.unsupported | {"batch_size": None}, (*self.fields, "batch_shape"))
        super().__init__(name=name)
        self.name = name or "input_layer"
        self.shape = () if isinstance(shape, tuple | list) and not shape else shape_of("Input", shape)
        self.given_dtype = dtype
        self.nodes.append(Node(self, (), (self.shape,), self.dtype))

    def get_config(self) -> Config:
        """The arguments that make an equal input."""
        given = self.given_dtype
        return {"shape": list(self.shape), "dtype": None if given is None else str(given), "name": self.name}

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Nothing: rows are there already."""


def Input(shape: object = None, dtype: object = None, name: str | None = None, **kwargs: object) -> Tensor:
    """A symbolic tensor: the first entry of a `Sequential`, or what layers are called on to make a `Model`.

    Args:
        shape: of one row, such as (64,).
        dtype: "float32" or "float64", or that of whole numbers; X itself may have any real dtype.
        name: of the input, for data that come as a dict.

    Raises:
        ArgumentError: a size that is not positive, an unknown or an unsupported argument.
    """
    return InputLayer(shape, dtype, name, **kwargs).nodes[0].outputs[0]


RULES = Rules(lambda path: True, lambda layer: layer.trains)  # without an optimizer


def one_dimension(where: str, shape: Shape) -> int:
    """The features of rows that must have one dimension.

    Raises:
        ArgumentError: they have more.
    """
    if len(shape) != 1:
        raise ArgumentError(
            f"{where}: the rows that come in have shape {shape}, expected (I,); add Flatten() before it"
        )
    return shape[0]


def last_axis(where: str, axis: object) -> int:
    """-1 for every way to name the features of a batch of rows.

    Raises:
        ArgumentError: another axis.
    """
    if getattr(axis, "shape", ()) != () or axis not in (-1, 1, [-1], [1], (-1,), (1,)):
        raise ArgumentError(f"{where}: axis={axis!r} is not supported, expected -1: the features of each row")
    return -1


def _given_shape(where: str, kwargs: dict[str, object]) -> Shape | None:
    if "input_dim" in kwargs:
        return (whole(where, "input_dim", kwargs.pop("input_dim")),)
    if "input_shape" in kwargs:
        return shape_of(where, kwargs.pop("input_shape"))
    if "batch_input_shape" in kwargs:
        return shape_of(where, _after_batch(where, "batch_input_shape", kwargs.pop("batch_input_shape")))
    return None


def _after_batch(where: str, name: str, value: object) -> Sequence[object]:
    """The shape of one row in (None, I)."""
    if not isinstance(value, list | tuple):
        raise ArgumentTypeError(f"{where}: {name} is {value!r}, expected a tuple such as (None, 64)")
    return value[1:]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _plain(value: object) -> object:
    if isinstance(value, activations.Activation):
        return activations.serialize(value)
    return declaration.serialize(value) if isinstance(value, Declaration) else value
