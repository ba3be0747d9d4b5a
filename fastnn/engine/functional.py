"""`Model`: a graph of layers between inputs and outputs, or a subclass whose `call` makes one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from ..backends.protocol import Backend
from ..core.declaration import Config, names
from ..core.symbolic import Mean, Node, Tensor, added_losses, any_tensor
from ..core.traces import Made, building, built_once, in_both_modes
from ..core.types import Arguments, ArrayOrTensor, Arrays, CustomObjects, LayerOrModel, Sizes, Tensors
from ..errors import ArgumentError, ArgumentTypeError, NotBuiltError
from ..layers import Input, Layer
from ..layers.composing import inner_layers, own_layers, with_new_weights
from ..layers.layer import AddedWeight
from ..losses import LossLike
from ..metrics import Metrics
from ..optimizers import OptimizerLike
from . import cloning
from .graph import Graph
from .network import Network, input_for, rows_of_shape
from .trainer import Trainer

T = TypeVar("T")


class Model(Trainer):
    """Layers between inputs and outputs, as they were called; or a subclass with `call`.

    A subclass makes its layers in `__init__`, after `super().__init__()`, as attributes or in lists or dicts of them,
    and composes them in `call(self, x)` or `call(self, x, training)`. That is called on symbolic tensors when the shape
    of the first data is known, with training=True and with False, which may differ in all but what shapes they give.

    Args:
        inputs: a symbolic tensor of `Input`, or a list or a dict of them. outputs: likewise, of what layers gave.
        name: what `summary` calls it. trainable: whether training changes weights at all.

    Attributes:
        stop_training: set by a callback, ends the training after this batch or epoch.
        history: the `callbacks.History` of the last `fit`.
        metadata: notes of your own, JSON values by name, which `save` keeps in the file.

    Raises:
        ArgumentError: outputs that the inputs do not lead to, or two layers of one name.
        ArgumentTypeError: what is no symbolic tensor.

    Example:
        >>> import fastnn
        >>> x = fastnn.Input((4,))
        >>> hidden = fastnn.layers.Dense(8, "relu")(x)
        >>> model = fastnn.Model(x, fastnn.layers.Dense(1)(fastnn.layers.concatenate([hidden, x])))
        >>> model.output_shape
        (None, 1)
    """

    kind = "Model"
    calls = names("build call")

    def __init__(
        self,
        inputs: Tensors | None = None,
        outputs: Tensors | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(trainable, name)
        self._graph: Graph | None = None
        self._operators: list[Any] = []
        self._losses: list[Tensor] | None = None  # what `call` adds, while it runs
        self._in_build = False  # whether a `build` of a subclass runs
        self._pending: dict[str, Any] | None = None  # what a subclass was compiled with
        if self.traces:
            if inputs is None and outputs is None:
                return
            raise ArgumentTypeError(
                f"{type(self).__name__}.call would never be called: inputs and outputs say what is computed; leave "
                "them or `call` out"
            )
        self._connect(inputs, outputs)

    def _connect(self, inputs: Any, outputs: Any, losses: Sequence[Tensor] = ()) -> None:
        """Takes the graph between tensors, with what is added to the loss."""
        self._input_keys, given = _listed("inputs", inputs)
        self._output_keys, made = _listed("outputs", outputs)
        self._single_input, self._single = isinstance(inputs, Tensor), isinstance(outputs, Tensor)
        self._take_graph(Graph(given, made, losses))

    def _take_graph(self, graph: Graph) -> None:
        operators: list[Any] = []
        for operator in graph.operators:
            self._adopt(operator, operators)
            operators.append(operator)
        self._operators = self._in_order(operators) if self.traces else operators
        self._same_dtype(self.leaves())
        self._graph = graph  # last: from now on other threads take it for built

    def _in_order(self, operators: list[Any]) -> list[Any]:
        """What a `call` used, its weights in the order of the attributes, as Keras has them.

        Raises:
            ArgumentError: it made layers with weights itself.
        """
        found = inner_layers(self)
        made_inside = with_new_weights(operators, found)
        if made_inside:
            raise ArgumentError(
                f"{type(self).__name__}: call makes layers of its own ({', '.join(made_inside)}), with new weights "
                "each time; make them in __init__ and keep them as attributes"
            )
        others = [operator for operator in operators if not any(operator is one for one in found)]
        return [*others, *(operator for operator in found if any(operator is one for one in operators))]

    # subclasses

    @property
    def traces(self) -> bool:
        """Whether it is a subclass, whose `call` says what is computed."""
        return type(self).call is not Model.call

    def add_loss(self, loss: Mean | Sequence[Mean]) -> None:
        """Adds to the loss: in `call` of a subclass, or of a graph before `compile`.

        Args:
            loss: the mean of a symbolic tensor, `ops.mean(...)`, a sum of such or a multiple; or a list of them. It may
                read any of the inputs, one that holds targets, too.

        Raises:
            ArgumentError: a tensor that is no mean, or that the inputs do not lead to; a model that is compiled.
            ArgumentTypeError: no tensor.
        """
        where = f"{type(self).__name__}.add_loss"
        losses = added_losses(where, loss)
        if self._losses is not None:
            self._losses += losses
            return
        if self.traces or self._recipe is not None:
            cure = "in `call`, which is traced once" if self.traces else "before compile"
            raise ArgumentError(f"{where}: call it {cure}")
        graph = self.layer_graph()
        self._take_graph(Graph(graph.inputs, graph.outputs, (*graph.added, *losses)))
        self._flat = self._engine = None

    def call(self, inputs: Any) -> Any:
        """What comes out for symbolic tensors; subclasses say it.

        Raises:
            NotBuiltError: this model is a graph, or the subclass has no `call`.
        """
        raise NotBuiltError(f"{type(self).__name__}: it has no call; a Model is made of inputs and outputs")

    @property
    def built(self) -> bool:
        """Whether the input shape is known."""
        return self._graph is not None

    def build(self, input_shape: Sizes | Sequence[Sizes] | None = None) -> None:
        """Fixes the input shape of a subclass.

        Args:
            input_shape: (None, I), the shape of X with any number of rows; of several inputs a list or a dict of them.

        Raises:
            ArgumentError: what `call` cannot be traced for, or another shape is fixed already.
        """
        if input_shape is None:
            self._require_built("build")
            return
        with building:
            if self._in_build:  # the subclass calls this one
                return
            if self._graph is not None:
                self._require_rows(input_shape)
                return
            with self._builds():
                self._trace(_map(input_shape, lambda shape: Input(rows_of_shape(shape))))

    def _require_rows(self, input_shape: object) -> None:
        """Raises where the model is built for rows of other shapes."""
        given: Any = _map(input_shape, rows_of_shape)
        built = [tensor.row for tensor in self.layer_graph().inputs]
        if isinstance(given, Mapping):
            given = [given.get(key) for key in self._input_keys or self.input_names]
        if (given if isinstance(given, list) else [given]) != built:
            raise ArgumentError(f"build: input_shape is {input_shape!r}, the model is built for rows of {built}")

    @contextmanager
    def _builds(self) -> Iterator[None]:
        self._in_build = True
        try:
            yield
        finally:
            self._in_build = False

    def _build_for(self, x: Arrays) -> None:
        structured = isinstance(x, Mapping) or (
            isinstance(x, list | tuple) and any(getattr(one, "ndim", 0) > 1 for one in x)
        )
        self._trace(_map(x, input_for) if structured else input_for(x))

    def _trace(self, inputs: Any) -> None:
        """Calls a `build` of the subclass, then `call` for both modes, on symbolic tensors, unless another thread was
        first."""
        with built_once(self):
            if self._graph is None:
                self._trace_once(inputs)

    def _trace_once(self, inputs: Any) -> None:
        told = self.advice() if self._recipe is not None else ()
        if type(self).build is not Model.build and not self._in_build:
            with self._builds():
                self.build(_map(inputs, lambda tensor: tensor.shape))
        found = inner_layers(self)
        for operator in found:
            self._adopt(operator, found[: found.index(operator)])
        self._name_composing()
        nodes = {operator: list(operator._nodes) for operator in found}

        def make(**arguments: Any) -> Made:
            self._losses = []
            outputs = self.call(inputs, **arguments)
            return Made(outputs, _listed("outputs", outputs)[1], self._losses)

        try:
            if "training" not in inspect.signature(self.call).parameters:
                made = make()
            else:
                given = _listed("inputs", inputs)[1]
                made = in_both_modes(type(self).__name__, lambda mode: make(training=mode), given, found)
            self._connect(inputs, made.result, made.losses)
        except BaseException:
            self._operators = []
            _restore(nodes)
            for layer in inner_layers(self, composing=True):
                layer.forget_shape()
            raise
        finally:
            self._losses = None
        if self._pending is not None:
            before = self._recipe
            try:
                self._recipe, self._advised = None, told
                super().compile(**self._pending)
            except BaseException:
                if self._recipe is None or self._recipe is before:  # refused, or Ctrl-C: as it was
                    self._unbuild()
                    self._engine, self._recipe = None, before
                raise
            finally:
                self._advised = ()

    def _name_composing(self) -> None:
        """Gives layers that compose others, which are not in the graph, names that are free, too."""
        taken = {layer.name for layer in self.layers if not isinstance(layer, Layer) or not layer.composes}
        for layer in self.layers:
            if isinstance(layer, Layer) and layer.composes:
                name, suffix = layer.name, 0
                while layer.name in taken:
                    suffix += 1
                    layer.name = f"{name}_{suffix}"
                taken.add(layer.name)

    def _unbuild(self) -> None:
        if self._graph is not None:
            super()._unbuild()
        self._graph, self._operators = None, []

    def compile(
        self,
        optimizer: OptimizerLike = "rmsprop",
        loss: LossLike | Sequence[LossLike | None] | Mapping[str, LossLike | None] | None = None,
        metrics: Metrics | None = None,
        *,
        weighted_metrics: Metrics | None = None,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        backend: str | Backend | None = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | Literal["auto"] = "auto",
        **kwargs: object,
    ) -> None:
        """Says how to train; see `Trainer.compile`."""
        given: Arguments = {"optimizer": optimizer, "loss": loss, "metrics": metrics, **kwargs}
        given |= {"weighted_metrics": weighted_metrics, "loss_weights": loss_weights, "backend": backend}
        given |= {"run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution, "jit_compile": jit_compile}
        self._pending = given if self.call.__func__ is not Model.call else None  # type: ignore[attr-defined]
        super().compile(**given)

    def _names_of_outputs(self, loss: object, others: Sequence[object]) -> list[str]:
        """What the outputs are called where the arguments of `compile` name them, as far as it is known."""
        if self.built:
            return self.result_names
        given = [one for one in (loss, *others) if isinstance(one, Mapping) and "class_name" not in one]
        names = list(dict.fromkeys(name for one in given for name in one))
        if isinstance(loss, list | tuple):
            names += [f"output_{number}" for number in range(len(names) + 1, len(loss) + 1)]
        return names or [self.name]

    def _names_in_logs(self) -> Sequence[str | None]:
        """The keys of a dict, or the names of layers; what the `call` of a subclass lists has none."""
        if self._output_keys:
            return self._output_keys
        return [None] * len(self.outputs) if self.traces else self.output_names

    @property
    def operators(self) -> list[LayerOrModel]:
        """Layers, models and functions, in order."""
        return list(self._operators)

    @property
    def layers(self) -> list[LayerOrModel]:
        """The layers and models in order; of a subclass those that its attributes hold, used or not."""
        if not self.traces:
            return self._called_layers()
        return [layer for layer in own_layers(self) if not isinstance(layer, AddedWeight)]

    @property
    def listed(self) -> list[LayerOrModel]:
        """What `summary` lists: of a subclass its layers, without the functions that `call` used."""
        return self.layers if self.traces else self.operators

    def layer_graph(self) -> Graph:
        """The calls between inputs and outputs."""
        if self._graph is None:
            self._require_built(self.kind)
        assert self._graph is not None
        return self._graph

    @property
    def result_names(self) -> list[str]:
        """What tells the outputs apart: their keys, or the names of their layers, each once."""
        return list(self._output_keys) if self._output_keys else super().result_names

    def inputs_of(self, x: Arrays | Tensors) -> list[ArrayOrTensor]:
        """What x has for each input: by name, in order, or of one input all of it.

        Raises:
            ArgumentError: another number, or an input that is missing.
        """
        if not self.built:
            if not any_tensor(x):
                self._require_built(self.kind)
            self._trace(_map(x, lambda tensor: Input(tensor.row)))
        keys, names = self._input_keys or self.input_names, self.input_names
        given: Any = x
        if isinstance(x, Mapping) or (len(names) > 1 and hasattr(x, "columns") and hasattr(x, "to_numpy")):
            found = []
            for key, name in zip(keys, names, strict=True):
                if key not in given and name not in given:
                    known = ", ".join(f'"{one}"' for one in keys)
                    raise ArgumentError(f'{self.kind} "{self.name}": x has no "{key}"; the inputs are {known}')
                found.append(given[key] if key in given else given[name])
            return found
        if len(names) == 1:
            return [self.alone(x)]
        if not isinstance(x, list | tuple) or len(x) != len(names):
            came = f"a list of {len(x)}" if isinstance(x, list | tuple) else type(x).__name__
            raise ArgumentError(
                f'{self.kind} "{self.name}": x is {came}, expected one array for each of the inputs '
                f"{', '.join(names)}: a list of {len(names)}, or a dict by name"
            )
        return list(x)

    def structured(self, outputs: Sequence[T]) -> T | list[T] | dict[str, T]:
        """Outputs as they were given to the model: one, a list or a dict."""
        if self._output_keys:
            return dict(zip(self._output_keys, outputs, strict=True))
        return outputs[0] if self._single else list(outputs)

    def structures(self, structure: Callable[[Sequence[Tensor], Sequence[str], bool], object]) -> Config:
        """How inputs and outputs were given, as `structure(tensors, keys, single)` describes them."""
        graph = self.layer_graph()
        inputs = structure(graph.inputs, self._input_keys, self._single_input)
        return {"inputs": inputs, "outputs": structure(graph.outputs, self._output_keys, self._single)}

    def get_config(self) -> Config:
        """Name, layers and calls, without weights.

        Raises:
            ArgumentError: a subclass, which is Python code.
        """
        if type(self) is not Model:
            raise ArgumentError(
                f"{type(self).__name__} is a class of your own, which no file describes; use save_weights, and "
                "load_weights on a model that was made as this one"
            )
        return cloning.graph_config(self)

    @classmethod
    def from_config(cls, config: Config, custom_objects: CustomObjects | None = None) -> Model:
        """A model of the layers of `get_config()`, with new weights; for `custom_objects` see `load_model`."""
        with cloning.own_classes("from_config", custom_objects):
            model: Model = cloning.graph_from_config(cls, config)
        return model


def _restore(nodes: Mapping[Any, list[Node]]) -> None:
    """Forgets the calls of layers that were made since."""
    for operator, before in nodes.items():
        for node in list(operator._nodes):
            if not any(node is one for one in before):
                operator._nodes.remove(node)


def _map(structure: Any, of: Callable[[Any], Any]) -> Any:
    """What a function makes of one thing, or of each in a list or a dict."""
    if isinstance(structure, Mapping):
        return {key: of(one) for key, one in structure.items()}
    several = isinstance(structure, list | tuple) and bool(structure) and not isinstance(structure[0], int | None)
    return [of(one) for one in structure] if several else of(structure)


def _listed(name: str, given: Any) -> tuple[tuple[str, ...], list[Tensor]]:
    """The keys of a dict, in Keras's order, or (), and the tensors."""
    if isinstance(given, Mapping):
        keys = tuple(sorted(given))
        tensors = [given[key] for key in keys]
    else:
        keys, tensors = (), list(given) if isinstance(given, list | tuple) else [given]
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            hint = "; it has layers, not tensors: call them" if isinstance(tensor, Layer | Network) else ""
            raise ArgumentTypeError(
                f"Model: {name} is of {type(tensor).__name__}, expected symbolic tensors such as Input((64,)){hint}"
            )
    if not tensors:
        raise ArgumentTypeError(f"Model: there are no {name}")
    return keys, tensors


__all__ = ["Model"]
