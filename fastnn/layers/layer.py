"""`Layer`: what every layer declares, its calls, and its view of its part of a model's weights."""

from __future__ import annotations

import inspect
import re
import weakref
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
from ..core.store import latest
from ..core.symbolic import (
    Calls,
    Node,
    Operand,
    Tensor,
    added_losses,
    any_tensor,
    asks_for,
    same_in_both_modes,
    trace,
    traced,
)
from ..core.symbolic import Shape as Shape
from ..core.symbolic import call as symbolic_call
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

    traced = names("__call__ add_weight build call")
    instead: ClassVar[Mapping[str, str]] = {"": "compose layers in `call` of a subclass of Layer, which is traced once"}
    unsupported: ClassVar[dict[str, object]] = {}  # arguments of Keras that may only have their default
    only_trains: ClassVar[bool] = False  # in inference it does nothing
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
        self._owners: list[weakref.ref[LayerOwner]] = []
        self.nodes = Calls()
        self.store: Any = None
        self.compiled_trainable: bool | None = None
        self._added: list[AddedWeight] = []
        self._given_weights = 0  # how many of them were made before `build`
        self._composed = False
        self._losses: list[Tensor] | None = None  # what `call` adds, while it runs
        self._made = Calls(), 0  # what made its first result, and where, if it composes others

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
            tensors = [x] if isinstance(x, Tensor) else x
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
        if self.nodes and self.parameters():
            expected = self.nodes[0].inputs[0].row
            if shape != expected:
                raise ArgumentError(f"{where}: x has rows of shape {shape}, the model was built for {expected}")
        elif not self._fits(shape):
            raise ArgumentError(f"{where}: x has rows of shape {shape}, for which its weights have other shapes")
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

    def in_mode(self, tensors: Sequence[Tensor], training: bool) -> Any:
        """What comes out for symbolic tensors if it is in one mode, in training and otherwise."""
        return self.symbolic(tensors)

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

    def _compose(self, x: Any, training: object) -> Any:
        if not self._composed:
            tensors = x if isinstance(x, list | tuple) else [x]
            shapes = [operand.tensor.shape for operand in tensors] if not isinstance(x, dict) else []
            self._given_weights = len(self._added)
            self.build(shapes if isinstance(x, list | tuple) else shapes[0] if shapes else None)
            self._composed = True
        self._losses = []
        try:
            result = self._with_losses(self._called(x, training))
        finally:
            self._losses = None
        if not self._trainable:
            self.trainable = False  # what `build` and `call` made, too
        if isinstance(result, Tensor) and not self._made[0]:
            self._made = Calls(), result.index
            self._made[0].append(result.node)
        return result

    def _with_losses(self, result: Any) -> Any:
        """What `call` returned, from which the losses can be reached that it added."""
        if not self._losses:
            return result
        several = list(result.values()) if isinstance(result, dict) else result
        first = several[0] if isinstance(several, list | tuple) else result
        holder = symbolic_call("identity", first)  # what is returned may have been made elsewhere
        holder.node.losses = tuple(self._losses)
        if isinstance(result, dict):
            return dict(zip(result, (holder, *several[1:]), strict=True))
        return holder if first is result else type(result)((holder, *several[1:]))

    def _called(self, x: Any, training: object) -> Any:
        """What `call` makes; where it may ask for the mode, of which nobody said one, the same in both.

        Raises:
            ArgumentError: they differ by more than Dropout. ArgumentTypeError: it makes no tensors.
        """
        call, where = self.call, f'{type(self).__name__} "{self.name}"'  # type: ignore[attr-defined]
        made = f"{where}: call returned"
        if "training" not in inspect.signature(call).parameters:
            return _tensors(made, call(x))[0]
        if training is not None:
            return _tensors(made, call(x, training=training))[0]
        before = len(self._added)
        inputs, known = _tensors(f"{where}: x has", x)[1], inner_layers(self)
        assert self._losses is not None
        with traced(False):
            outputs = _tensors(made, call(x, training=False))[1]
        inference = trace(inputs, [*outputs, *self._losses], known)
        del self._added[before:], self._losses[:]
        with traced(True):
            result, outputs = _tensors(made, call(x, training=True))
        same_in_both_modes(where, trace(inputs, [*outputs, *self._losses], known), inference)
        return result

    def forget_shape(self) -> None:
        """Forgets the shape that it was called on first, and what `build` made for it."""
        self._composed, self._made = False, (Calls(), 0)
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
        (made,) = self.rows_out(rows)
        first = self.nodes[0].inputs[0].row if self.nodes and len(rows) == 1 else ()
        if first != rows[0] and first and not self.takes(rows[0]):
            raise ArgumentError(f"{where}: it was called on rows of shape {rows[0]}, its weights are for {first}")
        if not self.nodes and len(rows) == 1 and not self._fits(rows[0]):
            raise ArgumentError(f"{where}: it was called on rows of shape {rows[0]}, its weights have other shapes")
        return self._noted(tensors, made)

    def _fits(self, row: Shape) -> bool:
        """Whether the weights that it kept from models that are gone are for rows of this shape."""
        stored = self.stored()
        return not stored or [view.shape for view in stored] == self.parameter_shapes(row)

    def _noted(self, tensors: Sequence[Tensor], row: Shape) -> Tensor:
        """What comes out of a call, which it notes."""
        node = Node(self, tensors, [row], self.dtype)
        self.nodes.append(node)
        return node.outputs[0]

    def takes(self, row: Shape) -> bool:
        """Whether it can be called on rows of this shape after its first call."""
        return self.parameter_shapes(row) == self.shapes()

    @property
    def output(self) -> Any:
        """The symbolic tensor that comes out of its first call.

        Raises:
            NotBuiltError: it was not called yet, nor is it in a model that knows its input shape.
        """
        nodes, index = self._made
        if nodes:
            return nodes[0].outputs[index]
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
        first: Node = self.nodes[0]
        return first

    def _spec(self, name: str, regularizer: Regularizer | None, rules: Rules) -> ParameterSpec:
        """How one of its parameters is trained."""
        trains = rules.trains(self)
        penalty = regularizer.penalty() if regularizer is not None and trains else Penalty()
        return ParameterSpec(penalty, trains, rules.decays(f"{self.name}/{name}"))

    def _values(self, shape: Shape) -> list[Array]:
        """Its weights, for a call on rows of `shape`."""
        if self.parameters() and not self.weights:
            raise self._unbuilt()
        return self.get_weights()

    def _unbuilt(self) -> NotBuiltError:
        where = f'{type(self).__name__} "{self.name}"'
        return NotBuiltError(f"{where}: it has no weights before its model knows the input shape")

    # a bound view

    @property
    def _model(self) -> LayerOwner | None:
        """The first of its models that is still there."""
        return next((model for owner in self._owners if (model := owner()) is not None), None)

    @property
    def bound(self) -> bool:
        """Whether it is part of a model."""
        return self._model is not None

    def bind(self, model: LayerOwner) -> None:
        """Makes it part of a model."""
        self.release(model)
        self._owners.append(weakref.ref(model))

    def release(self, model: LayerOwner) -> None:
        """Makes it part of a model no more."""
        self._owners = [owner for owner in self._owners if owner() is not None and owner() is not model]

    def __getstate__(self) -> dict[str, object]:
        """Its models are copied with it."""
        return vars(self) | {"_owners": [model for owner in self._owners if (model := owner()) is not None]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"_owners": [weakref.ref(model) for model in state["_owners"]]})

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
        views = self._model.parameters_of(self) if self._model is not None and self.built else self.stored()
        return [
            Variable.of(view, f"{self.name}/{weight.name}", partial(self._assign, index))
            for index, (view, weight) in enumerate(zip(views, self.parameters(), strict=False))
        ]

    def _assign(self, index: int, value: object) -> None:
        """Sets one parameter."""
        where = f"{self.name}/{self.parameters()[index].name}.assign"
        self._keeper("assign").assign([self], [value], where, slice(index, index + 1))

    def stored(self) -> list[Array]:
        """Views of its parameters where they lie now; [] before they are made. They outlive the models that it is part
        of."""
        store = self.store
        if store is not None and store.moved is not None:
            store = self.store = latest(store)
        if store is None or self not in store.places:
            return []
        places = store.places[self]
        return [store.view(places[weight.name]) for weight in self.parameters()]

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
        if self.composes:
            return [array for leaf in self.leaves() for array in leaf.get_weights()]
        if self._model is not None and self.built:
            return self._model.copies_of(self)
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
        self._keeper("set_weights").assign([self], weights, f'{type(self).__name__} "{self.name}".set_weights')

    def _keeper(self, what: str) -> LayerOwner:
        """The model whose weights these are."""
        if self._model is None and self.store is not None:
            raise NotBuiltError(
                f'{type(self).__name__} "{self.name}": {what} after its model has gone; keep the model, or make '
                "another one of it"
            )
        if self._model is None or not self._model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": {what} before the input shape is known')
        return self._model

    def _set_composed(self, weights: Sequence[object]) -> None:
        """The weights of the layers that it composes, one after the other."""
        leaves = self.leaves()
        model = leaves[0]._model if leaves else None
        if model is None or not model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": set_weights before the input shape is known')
        model.assign(leaves, weights, f'{type(self).__name__} "{self.name}".set_weights')

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
            raise ArgumentError(
                f'"{self.name}" is a matrix {self.shape}, for ops.matmul; arithmetic takes weights of shape (N,) or ()'
            )
        node = next((node for node in self.nodes if not node.inputs), None)
        return self._noted((), self.shape or (1,)) if node is None else node.outputs[0]

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

    def assign(self, value: object) -> None:
        """Sets its values.

        Raises:
            ArgumentError: another shape, or numbers that are not real. NotBuiltError: it has no values yet.
        """
        self.set_weights([value])

    def __hash__(self) -> int:
        return id(self)


def _tensors(where: str, given: Any) -> tuple[Any, list[Tensor]]:
    """What a `call` takes or makes, its weights as tensors, and a list of all tensors in it."""
    if isinstance(given, Operand):
        return given.tensor, [given.tensor]
    if isinstance(given, Mapping):
        made = {key: _tensors(where, one) for key, one in given.items()}
        return {key: one for key, (one, _) in made.items()}, [tensor for _, found in made.values() for tensor in found]
    if isinstance(given, list | tuple) and given:
        several = [_tensors(where, one) for one in given]
        kept = [one for one, _ in several]
        return kept if isinstance(given, list) else tuple(kept), [tensor for _, found in several for tensor in found]
    raise ArgumentTypeError(f"{where} {type(given).__name__}, expected a symbolic tensor, or a list or dict of them")


def inner_layers(owner: object, composing: bool = False) -> list[Any]:
    """The layers and models among the attributes of an object, in lists and dicts too, in their order, each once; of
    layers that compose others the ones in them, or, if `composing`, only those that compose."""
    found: list[Any] = []
    for name, value in vars(owner).items():
        if name not in _NOT_INNER:
            _look(value, composing, found)
    return found


def _look(value: Any, composing: bool, found: list[Any]) -> None:
    """Adds what is in a value; a function of its own, since one inside would hold itself and all that is found."""
    composes = isinstance(value, Layer) and value.composes
    wanted = composes if composing else not composes and hasattr(value, "leaves")
    if wanted and not any(value is one for one in found):
        found.append(value)
    inside: Any = ()
    if composes:
        inside = inner_layers(value, composing)
    elif isinstance(value, list | tuple):
        inside = value
    elif isinstance(value, Mapping):
        inside = value.values()
    for one in inside:
        _look(one, composing, found)


# Attributes of models and layers that lead to other models and layers.
_NOT_INNER = ("_operators", "_graph", "_flat", "_engine", "_recipe", "nodes")
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
