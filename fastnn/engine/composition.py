"""Layers and the graph of their calls: what a model is made of, before anything of it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .. import config
from ..core.absent import LEFT
from ..core.declaration import Extensible
from ..core.symbolic import Calls, Function, Node, Shape, Tensor
from ..core.types import ArrayOrTensor, Arrays, LayerOrModel, Outputs, Shapes, Sizes, Tensors
from ..errors import ArgumentError, NotBuiltError
from ..layers import InputLayer, Layer
from .graph import Flat, Graph

T = TypeVar("T")


class Composition(Extensible):
    """The layers of a model, which may be called as one, too.

    Attributes:
        kind: "Sequential" or "Model". name: what `summary` and other models call it. _nodes: its calls on tensors.
    """

    kind = "Model"
    name: str
    _nodes: Calls
    _flat: Flat | None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Says what there is instead of methods that left Keras.

            Raises:
                AttributeError: there is none of this name. NotBuiltError: `super().__init__()` was forgotten.
            """
            if name in LEFT:
                raise AttributeError(f"{self.kind}.{name} has left Keras; use {LEFT[name]}")
            return super().__getattr__(name)

    # layers

    @property
    def operators(self) -> list[LayerOrModel]:
        """Layers, models and functions, in order."""
        raise NotImplementedError

    @property
    def layers(self) -> list[LayerOrModel]:
        """The layers and models in order, each a view of its part of the weights."""
        return self._called_layers()

    def _called_layers(self) -> list[LayerOrModel]:
        return [operator for operator in self.operators if not isinstance(operator, Function)]

    @property
    def traces(self) -> bool:
        """Whether it is a subclass, whose `call` says what is computed."""
        return False

    @property
    def listed(self) -> list[LayerOrModel]:
        """What `summary` lists."""
        return self.operators

    def leaves(self) -> list[Layer]:
        """The layers in order, those of models in it too, each once."""
        found: dict[Layer, None] = {}
        for layer in self._called_layers():
            found |= dict.fromkeys(layer.leaves())
        return list(found)

    def get_layer(self, name: str | None = None, index: int | None = None) -> LayerOrModel:
        """A layer by its name or its index.

        Raises:
            ArgumentError: there is none such.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.layers.Dense(3, name="hidden"), fastnn.layers.Dense(1)])
            >>> model.get_layer("hidden") is model.get_layer(index=0)
            True
        """
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ArgumentError(f"get_layer: index is {index}, the model has {len(layers)} layers")
            return layers[index]
        for layer in (*layers, *self._called_layers()):
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in layers)
        raise ArgumentError(f'get_layer: there is no layer "{name}"; there are: {names}')

    def _same_dtype(self, layers: Sequence[Layer]) -> None:
        first: Layer | None = None
        for layer in layers:
            if not layer.parameters():
                continue
            first = layer if first is None else first
            if first.dtype != layer.dtype:
                raise ArgumentError(
                    f'{self.kind}: "{first.name}" is {first.dtype} and "{layer.name}" is {layer.dtype}; '
                    "a model has one dtype"
                )

    # calling

    def layer_graph(self) -> Graph:
        """The calls between inputs and outputs.

        Raises:
            NotBuiltError: the input shape is not known.
        """
        raise NotImplementedError

    def rows_out(self, rows: Sequence[Shape]) -> list[Shape]:
        """The shapes of one row of each output for those that go in."""
        expected = [tensor.row for tensor in self.layer_graph().inputs]
        if list(rows) != expected:
            raise ArgumentError(
                f'{self.kind} "{self.name}": it was called on rows of shape {", ".join(map(str, rows))}, '
                f"expected {', '.join(map(str, expected))}"
            )
        return [tensor.row for tensor in self.layer_graph().outputs]

    def symbolic(self, x: Tensors) -> Outputs:
        """What comes out for symbolic tensors."""
        tensors = self.inputs_of(x)
        node = Node(self, tensors, self.rows_out([tensor.row for tensor in tensors]), self.dtype)
        self._nodes.append(node)
        return self.structured(node.outputs)

    def inputs_of(self, x: Arrays | Tensors) -> list[ArrayOrTensor]:
        """What x has for each input, in order."""
        return [x]

    def alone(self, x: Arrays | Tensors) -> ArrayOrTensor:
        """What x has for a model of one input: itself, or the one array or tensor in a list."""
        if isinstance(x, list | tuple) and len(x) == 1:
            axes = getattr(x[0], "ndim", 0)
            if isinstance(x[0], Tensor) or (axes == 1 + len(self.inputs[0].row) if self.built else axes > 1):
                return x[0]
        return x

    def structured(self, outputs: Sequence[T]) -> T | list[T] | dict[str, T]:
        """Outputs as the model gives them: one, a list or a dict."""
        return outputs[0]

    @property
    def inputs(self) -> list[Tensor]:
        """The symbolic tensors that go in."""
        return list(self.layer_graph().inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The symbolic tensors that come out."""
        return list(self.layer_graph().outputs)

    @property
    def input(self) -> Tensor | list[Tensor]:
        """The symbolic tensor that goes in, or a list of them."""
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Outputs:
        """The symbolic tensor that comes out, or a list or a dict of them."""
        return self.structured(self.outputs)

    @property
    def input_names(self) -> list[str]:
        """What the inputs are called."""
        return [tensor.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called, after the layers that made them."""
        return [tensor.name for tensor in self.outputs]

    @property
    def result_names(self) -> list[str]:
        """What tells the outputs apart, each name once."""
        names: list[str] = []
        for tensor in self.outputs:
            count = sum(name == tensor.name or name.startswith(f"{tensor.name}_") for name in names)
            names.append(f"{tensor.name}_{count}" if tensor.name in names else tensor.name)
        return names

    def flat_graph(self) -> Flat:
        """The graph with the models in it taken apart."""
        if self._flat is None:
            self._flat = self.layer_graph().flat()
        return self._flat

    # building

    @property
    def built(self) -> bool:
        """Whether the input shape is known."""
        return True

    @property
    def dtype(self) -> str:
        """ "float32" or "float64": that of the layers with weights."""
        leaves = [layer for layer in self.leaves() if not isinstance(layer, InputLayer)]
        dtypes = [layer.dtype for layer in leaves if layer.parameters()]
        dtypes += [layer.dtype for layer in leaves]
        return dtypes[0] if dtypes else config.floatx()

    @property
    def input_shape(self) -> Shapes:
        """(None, I): the shape of X with any number of rows; or a list of them."""
        self._require_built("input_shape")
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Shapes:
        """(None, O): the shape of the predictions for any number of rows; or a list of them, of a dict in the order of
        its keys, sorted."""
        self._require_built("output_shape")
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    def build(self, input_shape: Sizes | Sequence[Sizes] | None = None) -> None:
        """Fixes the input shape, where it is not known yet."""

    def _build_for(self, x: Arrays) -> None:
        """Takes the input shape of data."""

    def _require_built(self, what: str) -> None:
        if not self.built:
            raise NotBuiltError(
                f"{what}: the input shape is not known; put Input((64,)) first, "
                "call build((None, 64)), or fit some data"
            )
