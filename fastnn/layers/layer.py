"""`Layer`: what every layer declares, its calls, and its view of its part of a model's weights."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import activations, config, initializers, regularizers
from ..backends import eager
from ..core import declaration
from ..core.arrays import Array, Variable, numeric
from ..core.buffers import Value
from ..core.declaration import Config, Declaration, flag, label, names, refuse, whole
from ..core.lowering import Lowering
from ..core.model import LayerOwner
from ..core.specs import ParameterSpec, Penalty
from ..core.symbolic import Node, Operand, Tensor, any_tensor
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

    calls = names("call")
    traced = names("__call__ add_weight build")
    instead: ClassVar[Mapping[str, str]] = {"": "compose layers in `call` of a subclass of Layer, which is traced once"}
    unsupported: ClassVar[dict[str, object]] = {}  # arguments of Keras that may only have their default
    pointwise: ClassVar[bool] = False  # called on an array, it takes one of any rank

    def __init__(
        self, name: str | None = None, dtype: object = None, trainable: object = True, **kwargs: object
    ) -> None:
        where = type(self).__name__
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(f"{where}: name is {name!r}, expected text without a slash")
        label(where, name, where)
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
        self._added: list[AddedWeight] = []
        self._given_weights = 0  # how many of them were made before `build`
        self._composed = False
        self._result: Any = None  # of its first call, where it composes others

    @property
    def trainable(self) -> bool:
        """Whether training changes its parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: object) -> None:
        self._trainable = flag(type(self).__name__, "trainable", value)
        if self.composes:
            for layer in inner_layers(self):
                layer.trainable = value

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
            if self.composes:
                return self._compose(x, training)
            return self.symbolic([x] if isinstance(x, Tensor) else x)
        where = f'{type(self).__name__} "{self.name}"'
        if self.composes:
            raise ArgumentTypeError(f"{where}: a layer with `call` takes symbolic tensors; predict with a model of it")
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

    # subclasses that compose others

    @property
    def composes(self) -> bool:
        """Whether it is what its `call` makes of other layers and of weights."""
        return hasattr(self, "call")

    def build(self, input_shape: Any = None) -> None:
        """Makes weights by `add_weight`; subclasses with `call` say it, and it is called before that.

        Args:
            input_shape: (None, I), the shape of what comes in, or a list of them.
        """

    def add_weight(
        self,
        shape: object = (),
        initializer: object = "glorot_uniform",
        dtype: object = None,
        trainable: object = True,
        regularizer: object = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> AddedWeight:
        """A weight of a subclass with `call`.

        Args:
            shape: (K, N), a matrix for `ops.matmul`; or (N,) or (), for arithmetic with tensors and `fastnn.ops`.
            initializer: how it begins. dtype: that of the layer. regularizer: a penalty on it.
            trainable: whether training changes it. name: "variable" unless given.

        Raises:
            ArgumentError: another shape or argument, or a layer without `call`.
        """
        where = f"{type(self).__name__}.add_weight"
        refuse(where, kwargs, {"constraint": None, "autocast": True, "aggregation": "none"}, ("shape", "initializer"))
        if not self.composes:
            raise ArgumentError(f"{where}: {type(self).__name__} has no `call`, which would read the weight")
        self._added.append(
            AddedWeight(
                shape,
                initializer,
                regularizer,
                name=f"{self.name}_{name or 'variable'}",
                dtype=self.dtype if dtype is None else dtype,
                trainable=trainable,
            )
        )
        return self._added[-1]

    def add_loss(self, loss: object) -> None:
        """Not supported.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(
            f"{type(self).__name__}: add_loss is not supported; make it an output, with a loss of its own in compile"
        )

    def _compose(self, x: Any, training: object) -> Any:
        if not self._composed:
            tensors = x if isinstance(x, list | tuple) else [x]
            shapes = [operand.tensor.shape for operand in tensors] if not isinstance(x, dict) else []
            self._given_weights = len(self._added)
            self.build(shapes if isinstance(x, list | tuple) else shapes[0] if shapes else None)
            self._composed = True
        call = self.call  # type: ignore[attr-defined]
        takes_training = "training" in inspect.signature(call).parameters
        result = call(x, training=True if training is None else training) if takes_training else call(x)
        if self._result is None:
            self._result = result
        return result

    def forget_shape(self) -> None:
        """Forgets the shape that it was called on first, and what `build` made for it."""
        self._composed, self._result = False, None
        self._added = self._added[: self._given_weights]

    def leaves(self) -> list[Layer]:
        """The layers with weights that it is: itself, or those that it composes."""
        return [leaf for layer in inner_layers(self) for leaf in layer.leaves()] if self.composes else [self]

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
    def output(self) -> Any:
        """The symbolic tensor that comes out of its first call.

        Raises:
            NotBuiltError: it was not called yet, nor is it in a model that knows its input shape.
        """
        if self._result is not None:
            return self._result
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
        """Whether its model knows its input shape; setting it, as some `build` do, changes nothing."""
        if self.composes:
            return self._composed
        return self._model is not None and self._model.built and bool(self.nodes)

    @built.setter
    def built(self, value: object) -> None: ...

    @property
    def weights(self) -> list[Array]:
        """Read-only views of its parameters, which change as the model learns; [] before the model is built."""
        if self.composes:
            return [view for leaf in self.leaves() for view in leaf.weights]
        if self._model is None or not self.built:
            return []
        named = zip(self._model.parameters_of(self), self.parameters(), strict=True)
        return [
            Variable.of(view, f"{self.name}/{weight.name}", partial(self._assign, index))
            for index, (view, weight) in enumerate(named)
        ]

    def _assign(self, index: int, value: object) -> None:
        """Sets one parameter."""
        assert self._model is not None  # or there would be no variable
        where = f"{self.name}/{self.parameters()[index].name}.assign"
        self._model.assign([self._model.parameters_of(self)[index]], [value], where)

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
        if self.composes:
            return [found for leaf in self.leaves() for found in leaf._trained()]
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
        return [np.array(view) for view in self.weights]

    def set_weights(self, weights: Sequence[object]) -> None:
        """Sets its parameters.

        Args:
            weights: arrays of the shapes of `get_weights()`.

        Raises:
            ArgumentError: another number of arrays, another shape, or numbers that are not real.
            NotBuiltError: the model does not know its input shape yet.
        """
        if self.composes:
            self._set_composed(weights)
            return
        if self._model is None or not self._model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": set_weights before the input shape is known')
        self._model.assign(self._model.parameters_of(self), weights, f'{type(self).__name__} "{self.name}".set_weights')

    def _set_composed(self, weights: Sequence[object]) -> None:
        """The weights of the layers that it composes, one after the other."""
        leaves = self.leaves()
        model = leaves[0]._model if leaves else None
        if model is None or not model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": set_weights before the input shape is known')
        views = [view for leaf in leaves for view in model.parameters_of(leaf)]
        model.assign(views, weights, f'{type(self).__name__} "{self.name}".set_weights')

    def count_params(self) -> int:
        """How many numbers its parameters hold."""
        return sum(view.size for view in self.weights)


class AddedWeight(Layer, Operand):
    """A weight that `Layer.add_weight` made: a matrix (K, N), or a vector or a number, which is the same in all rows.

    Args:
        shape: (K, N), (N,) or (). initializer: how it begins. regularizer: a penalty on it.
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: another shape, an unknown argument.
    """

    fields = ("shape", "initializer", "regularizer", "name", "dtype", "trainable")

    def __init__(
        self, shape: object = (), initializer: object = "glorot_uniform", regularizer: object = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.named = False  # several layers have a "kernel"
        given = (shape,) if isinstance(shape, int) else shape
        self.shape = () if given is None or given == () or given == [] else shape_of("add_weight", given)
        if len(self.shape) > 2:
            raise ArgumentError(f"add_weight: shape is {self.shape}, expected (K, N), (N,) or ()")
        self.initializer = initializers.get("glorot_uniform" if initializer is None else initializer)
        self.regularizer = regularizers.get(regularizer)
        self._tensor: Tensor | None = None

    def parameters(self) -> list[Weight]:
        """It."""
        return [Weight("kernel", self.initializer)]

    def shapes(self) -> list[Shape]:
        """Its shape."""
        return [self.shape]

    @property
    def tensor(self) -> Tensor:
        """It in every row.

        Raises:
            ArgumentError: it is a matrix.
        """
        if len(self.shape) == 2:
            raise ArgumentError(
                f'"{self.name}" is a matrix {self.shape}, for ops.matmul; arithmetic takes weights of shape (N,) or ()'
            )
        if self._tensor is None or self._tensor.node not in self.nodes:
            self.nodes.append(Node(self, (), [self.shape or (1,)], self.dtype))
            self._tensor = self.nodes[-1].outputs[0]
        return self._tensor

    def symbolic(self, tensors: Sequence[Tensor]) -> Tensor:
        """`product`, as a call."""
        (x,) = tensors
        return self.product(x)

    def product(self, x: Tensor) -> Tensor:
        """The matrix product of a tensor (B, K) and it, (K, N).

        Raises:
            ArgumentError: shapes that do not fit.
        """
        if len(self.shape) != 2 or x.row != self.shape[:1]:
            raise ArgumentError(f'matmul: {x!r} and the weight "{self.name}" {self.shape}, expected (B, K) and (K, N)')
        self.nodes.append(Node(self, [x], [self.shape[1:]], self.dtype))
        return self.nodes[-1].outputs[0]

    def lower_values(self, builder: Lowering, values: Sequence[Value], rules: Rules) -> None:
        """A product with what it is called on, or itself in every row."""
        spec = self._spec("kernel", self.regularizer, rules)
        if values:
            (builder.value,) = values
            builder.dense(self.name, self.shape[1], spec, None)
        else:
            builder.variable(self.name, self.shape, spec)

    def numpy(self) -> Array:
        """A copy of its values.

        Raises:
            NotBuiltError: its model does not know its input shape yet.
        """
        return self._weight("kernel").copy()

    def assign(self, value: object) -> None:
        """Sets its values.

        Raises:
            ArgumentError: another shape, or numbers that are not real. NotBuiltError: it has no values yet.
        """
        self.set_weights([value])

    def __hash__(self) -> int:
        return id(self)


def inner_layers(owner: object, composing: bool = False) -> list[Any]:
    """The layers and models among the attributes of an object, in lists and dicts too, in their order, each once; of
    layers that compose others the ones in them, or, if `composing`, only those that compose."""
    found: list[Any] = []

    def look(value: Any) -> None:
        composes = isinstance(value, Layer) and value.composes
        wanted = composes if composing else not composes and hasattr(value, "leaves")
        if wanted and not any(value is one for one in found):
            found.append(value)
        if composes:
            for inner in inner_layers(value, composing):
                look(inner)
        elif isinstance(value, list | tuple):
            for entry in value:
                look(entry)
        elif isinstance(value, Mapping):
            for entry in value.values():
                look(entry)

    for name, value in vars(owner).items():
        if name not in _NOT_INNER:
            look(value)
    return found


# Attributes of models and layers that lead to other models and layers.
_NOT_INNER = ("_operators", "_graph", "_flat", "_engine", "_recipe", "_model", "nodes")
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
        return shape_of(where, after_batch(where, "batch_input_shape", kwargs.pop("batch_input_shape")))
    return None


def after_batch(where: str, name: str, value: object) -> Sequence[object]:
    """The shape of one row in (None, I)."""
    if not isinstance(value, list | tuple):
        raise ArgumentTypeError(f"{where}: {name} is {value!r}, expected a tuple such as (None, 64)")
    return value[1:]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _plain(value: object) -> object:
    if isinstance(value, activations.Activation):
        return activations.serialize(value)
    if isinstance(value, Initializer) and not value.portable:
        return value
    return declaration.serialize(value) if isinstance(value, Declaration) else value
