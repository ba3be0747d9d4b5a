"""`Layer`: what every layer declares, and its calls; and the weights that layers add."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

from numpy.typing import ArrayLike, DTypeLike

from .. import activations, config, initializers, regularizers
from ..backends import eager
from ..core import declaration
from ..core.arrays import Array, numeric
from ..core.buffers import Value
from ..core.declaration import Config, Declaration, flag, label, names, refuse
from ..core.lowering import Lowering
from ..core.specs import ParameterSpec, Penalty
from ..core.symbolic import Calls, Mean, Node, Operand, Tensor, added_losses, any_tensor, asks_for
from ..core.symbolic import Shape as Shape
from ..core.types import Outputs, Sizes, Tensors
from ..errors import ArgumentError, ArgumentTypeError, NotBuiltError
from ..initializers import Initializer, InitializerLike
from ..regularizers import Regularizer, RegularizerLike
from .bound import Bound, Weight
from .composing import inner_layers
from .shapes import given_shape, shape_of

_KERAS = {"autocast": True, "activity_regularizer": None, "batch_size": None, "weights": None}


class Rules(NamedTuple):
    """What a training does to parameters: whether weight decay applies to a path, and whether a layer is trained."""

    decays: Callable[[str], bool]
    trains: Callable[[Layer], bool]


class Layer(Declaration, Bound):
    """Base class.

    Attributes:
        name: unique in its model, such as "dense" and "dense_1" unless given.
        dtype: "float32" or "float64".
        trainable: whether training changes its parameters; a change takes effect when the model is compiled again.
        given_shape: the shape of one row, where `input_shape` or `input_dim` gave it; else None.
        named: whether its name was given.
        compiled_trainable: whether it was trainable when a model was compiled last.

    Example:
        >>> import fastnn
        >>> class Residual(fastnn.layers.Layer):
        ...     def __init__(self, units, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.dense = fastnn.layers.Dense(units, "relu")
        ...     def call(self, x):
        ...         return x + self.dense(x)
        ...
        >>> model = fastnn.Sequential([fastnn.Input((8,)), Residual(8), Residual(8)])
        >>> model.count_params()  # twice 8 x 8 + 8
        144
    """

    # What only a layer is asked that computes itself.
    spare_beside_call = names(
        "fields lower lower_values output_shape parameter_shapes parameters rows_out same_in shapes stored takes "
        "unsupported"
    )
    spare = names("")
    traced = names("__call__ add_weight build call") | spare_beside_call
    extended = names(
        "count_params dtype from_config get_config get_weights non_trainable_variables non_trainable_weights "
        "set_weights trainable trainable_variables trainable_weights variables weights"
    )
    instead: ClassVar[Mapping[str, str]] = {"": "compose layers in `call` of a subclass of Layer, which is traced once"}
    unsupported: ClassVar[dict[str, object]] = {}  # arguments of Keras that may only have their default
    only_trains: ClassVar[bool] = False  # in inference it does nothing
    pointwise: ClassVar[bool] = False  # called on an array, it takes one of any rank

    def __init__(
        self, name: str | None = None, dtype: DTypeLike | None = None, trainable: bool = True, **kwargs: object
    ) -> None:
        Bound.__init__(self)
        where = type(self).__name__
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(f"{where}: name is {name!r}, expected text without a slash")
        label(where, name, where)
        self.given_shape = given_shape(where, kwargs)
        known = (*(() if self.composes else self.fields), "input_shape", "input_dim", "batch_input_shape")
        refuse(where, kwargs, _KERAS | ({} if self.composes else self.unsupported), known)
        self.named = name is not None
        self.name = name or _snake(where)
        self.dtype = config.floatx() if dtype is None else config.dtype_name(where, dtype)
        self.trainable = trainable
        self._nodes = Calls()
        self.compiled_trainable: bool | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes its parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: object) -> None:
        self._trainable = flag(type(self).__name__, "trainable", value)
        if self.composes:
            for layer in inner_layers(self):
                layer.follow(self._trainable)

    def follow(self, trainable: bool) -> None:
        """Sets `trainable`, as that of what it is part of was set."""
        self.trainable = trainable

    @property
    def compiled(self) -> bool:
        """Whether it says what it is in a plan, as those of fastnn do."""
        kind = type(self)
        return kind.lower is not Layer.lower or kind.lower_values is not Layer.lower_values

    def get_config(self) -> Config:
        """The arguments that make an equal layer, without weights; of a class with `call`, those that it was made with.

        Raises:
            ArgumentError: a class with `call` that was made with other than plain values, and has no `get_config`.
        """
        if self.composes:
            return self._own_config(whole=type(self).get_config is Layer.get_config)
        return {name: _plain(getattr(self, name)) for name in self.fields}

    def __repr__(self) -> str:
        """What makes an equal one; of a class with `call` its name."""
        return f'<{type(self).__name__} "{vars(self).get("name", "")}">' if self.composes else super().__repr__()

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """The shape of one row that comes out for the shape of one that goes in."""
        return shape

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

    def __call__(self, x: ArrayLike | Tensors, training: bool | None = None) -> Outputs:
        """What comes out for a symbolic tensor; or for the rows of an array, in inference mode.

        Args:
            x: a symbolic tensor; or (B, ...), any real dtype, for activations and `Rescaling` an array of any rank.
            training: None or False for arrays; of tensors the mode of the call, whatever the model does.

        Returns:
            A tensor; or an array of the layer's dtype.

        Raises:
            ArgumentError: another shape than its model's, or training mode. ArgumentTypeError: not real numbers.
            NotBuiltError: its weights are not made yet.
        """
        if any_tensor(x):
            if self.composes:
                return self._compose(x, training)
            tensors: Any = [x] if isinstance(x, Tensor) else x
            return self.symbolic(tensors) if (mode := asks_for(training)) is None else self.in_mode(tensors, mode)
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
        if self._nodes and self.parameters():
            expected = self._nodes[0].inputs[0].row
            if shape != expected:
                raise ArgumentError(f"{where}: x has rows of shape {shape}, the model was built for {expected}")
        elif not self._fits(shape):
            raise ArgumentError(f"{where}: x has rows of shape {shape}, for which its weights have other shapes")
        out_shape = (len(rows), *self.output_shape(shape, where))
        model = self._model if self.built else None
        dtype, backend = (self.dtype, None) if model is None else (model.dtype, model.engine().backend)
        result = eager.forward(
            lambda builder: self.lower_values(builder, builder.inputs, RULES),
            (rows.reshape(len(rows), -1),),
            self._values(shape),
            dtype,
            backend,
        )
        return result.reshape(array.shape if self.pointwise else out_shape)

    def same_in(self, training: bool) -> bool:
        """Whether it does the same in this mode as in the one that its model is in."""
        return True

    def in_mode(self, tensors: Sequence[Tensor], training: bool) -> Tensor:
        """What comes out for symbolic tensors if it is in one mode, in training and otherwise."""
        return self.symbolic(tensors)

    # subclasses that compose others

    def add_weight(
        self,
        shape: Sizes | None = (),
        initializer: InitializerLike | None = "glorot_uniform",
        dtype: DTypeLike | None = None,
        trainable: bool = True,
        regularizer: RegularizerLike | None = None,
        name: str | None = None,
        **kwargs: object,
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
        made = AddedWeight(
            shape,
            initializer,
            regularizer,
            name=f"{self.name}_{name or 'variable'}",
            dtype=self.dtype if dtype is None else dtype,
            trainable=trainable,
        )
        self._added.append(made)
        return made

    def add_loss(self, loss: Mean | Sequence[Mean]) -> None:
        """Adds to the loss of the models that it is part of; for the `call` of a subclass.

        Args:
            loss: the mean of a symbolic tensor, `ops.mean(...)`, a sum of such or a multiple; or a list of them.

        Raises:
            ArgumentError: a tensor that is no mean, or it is called elsewhere. ArgumentTypeError: no tensor.
        """
        where = f"{type(self).__name__}.add_loss"
        if self._losses is None:
            raise ArgumentError(f"{where}: call it in `call`, which is traced for each model")
        self._losses += added_losses(where, loss)

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
        (made,) = self.rows_out(rows)
        first = self._nodes[0].inputs[0].row if self._nodes and len(rows) == 1 else ()
        if first != rows[0] and first and not self.takes(rows[0]):
            raise ArgumentError(f"{where}: it was called on rows of shape {rows[0]}, its weights are for {first}")
        if not self._nodes and len(rows) == 1 and not self._fits(rows[0]):
            raise ArgumentError(f"{where}: it was called on rows of shape {rows[0]}, its weights have other shapes")
        return self._noted(tensors, made)

    def _fits(self, row: Shape) -> bool:
        """Whether the weights that it kept from models that are gone are for rows of this shape."""
        stored = self.stored()
        return not stored or [view.shape for view in stored] == self.parameter_shapes(row)

    def _noted(self, tensors: Sequence[Tensor], row: Shape) -> Tensor:
        """What comes out of a call, which it notes."""
        node = Node(self, tensors, [row], self.dtype)
        self._nodes.append(node)
        return node.outputs[0]

    def takes(self, row: Shape) -> bool:
        """Whether it can be called on rows of this shape after its first call."""
        return self.parameter_shapes(row) == self.shapes()

    @property
    def output(self) -> Tensor:
        """The symbolic tensor that comes out of its first call.

        Raises:
            NotBuiltError: it was not called yet, nor is it in a model that knows its input shape.
        """
        nodes, index = self._made
        if nodes:
            first: Node = nodes[0]
            return first.outputs[index]
        return self._first_node().outputs[0]

    @property
    def input(self) -> Tensor | list[Tensor]:
        """The symbolic tensor that goes into its first call, or a list of them."""
        inputs = self._first_node().inputs
        return inputs[0] if len(inputs) == 1 else list(inputs)

    def _first_node(self) -> Node:
        if not self._nodes:
            where = f'{type(self).__name__} "{self.name}"'
            raise NotBuiltError(f"{where}: it has no symbolic tensors before it is called, or its model is built")
        first: Node = self._nodes[0]
        return first

    def _spec(self, name: str, regularizer: Regularizer | None, rules: Rules) -> ParameterSpec:
        """How one of its parameters is trained."""
        trains = rules.trains(self)
        penalty = regularizer.penalty() if regularizer is not None and trains else Penalty()
        return ParameterSpec(penalty, trains, rules.decays(f"{self.name}/{name}"))


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
        self,
        shape: Sizes | None = (),
        initializer: InitializerLike | None = "glorot_uniform",
        regularizer: RegularizerLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._given_trainable = self.trainable
        self.named = False  # several layers have a "kernel"
        given = (shape,) if isinstance(shape, int) else shape
        self.shape = () if given is None or given == () or given == [] else shape_of("add_weight", given)
        if len(self.shape) > 2:
            raise ArgumentError(f"add_weight: shape is {self.shape}, expected (K, N), (N,) or ()")
        self.initializer = initializers.get("glorot_uniform" if initializer is None else initializer)
        self.regularizer = regularizers.get(regularizer)

    def follow(self, trainable: bool) -> None:
        """Sets `trainable`; a weight that was made with trainable=False stays so."""
        self.trainable = trainable and self._given_trainable

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
            rows, columns = self.shape
            raise ArgumentError(
                f'"{self.name}" is a matrix {self.shape}, for ops.matmul as it is; arithmetic takes weights of shape '
                f"(N,) or (): instead of ops.matmul(x, f(W)) add x[:, k:k + 1] * f(w[k]) for k in range({rows}), of a "
                f"list w of weights of shape ({columns},)"
            )
        node = next((node for node in self._nodes if not node.inputs), None)
        return self._noted((), self.shape or (1,)) if node is None else node.outputs[0]

    @property
    def T(self) -> NoReturn:
        """It has none.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(
            f'"{self.name}" {self.shape}: products with a transposed weight are not supported; make a second weight of '
            f"shape {self.shape[::-1]}"
        )

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
        return self._noted([x], self.shape[1:])

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

    def assign(self, value: ArrayLike) -> None:
        """Sets its values.

        Raises:
            ArgumentError: another shape, or numbers that are not real. NotBuiltError: it has no values yet.
        """
        self.set_weights([value])

    def __hash__(self) -> int:
        return id(self)


RULES = Rules(lambda path: True, lambda layer: layer.trains)  # without an optimizer


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _plain(value: object) -> object:
    if isinstance(value, activations.Activation):
        return activations.serialize(value)
    if isinstance(value, Initializer) and not value.portable:
        return value
    return declaration.serialize(value) if isinstance(value, Declaration) else value
