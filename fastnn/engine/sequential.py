"""`Sequential`: layers one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.declaration import Config
from ..core.symbolic import Shape, Tensor
from ..core.traces import built_once
from ..core.types import ArrayOrTensor, Arrays, CustomObjects, LayerOrModel, Sizes, Tensors
from ..errors import ArgumentError, ArgumentTypeError, NotBuiltError
from ..layers import Input, InputLayer, Layer
from ..layers.composing import inner_layers, with_new_weights
from . import cloning
from .graph import Graph, input_layer
from .network import Network, input_for, rows_of_shape
from .trainer import Trainer


class Sequential(Trainer):
    """A stack of layers, each fed by the one before.

    Args:
        layers: an `Input` and layers, or layers alone: then the first X fixes the input shape. Models are layers, too.
        trainable: whether training changes weights at all. name: what `summary` calls it.

    Attributes:
        stop_training: set by a callback, ends the training after this batch or epoch.
        history: the `callbacks.History` of the last `fit`.
        metadata: notes of your own, JSON values by name, which `save` keeps in the file.

    Raises:
        ArgumentError: layers that do not fit. ArgumentTypeError: what is not a layer.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3, "relu"), fastnn.layers.Dense(1)])
        >>> model.count_params()
        19
        >>> X, y = fastnn.datasets.load_digits()
        >>> model.compile("adam", "mse", metrics=["mae"])
        >>> sorted(model.fit(X[:, :4], X[:, 36], epochs=2, verbose=0).history)
        ['loss', 'mae']
    """

    kind = "Sequential"

    def __init__(
        self, layers: Sequence[Layer | Network | Tensor] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable, name)
        self._stack: list[Any] = []
        self._tensors: list[Tensor] = []  # what goes in, then what comes out of each layer; [] before that is known
        if layers is not None and not isinstance(layers, list | tuple):
            raise ArgumentTypeError(f"Sequential: layers is {layers!r}, expected a list of layers")
        for layer in layers or ():
            self.add(layer)

    @property
    def operators(self) -> list[LayerOrModel]:
        """The layers and models in order."""
        return list(self._stack)

    def add(self, layer: Layer | Network | Tensor) -> None:
        """Puts a layer on top; a compiled model must be compiled again.

        Raises:
            ArgumentError: it does not fit, or has a name that is taken. ArgumentTypeError: it is not a layer.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((4,))])
            >>> model.add(fastnn.layers.Dense(3, "relu"))
            >>> model.add(fastnn.layers.Dense(1))
            >>> model.output_shape
            (None, 1)
        """
        self._require_no_training("Sequential.add")
        if isinstance(layer, Tensor) and input_layer(layer) is not None:
            layer = layer.node.operator
        if isinstance(layer, InputLayer):
            if self._stack or self._tensors:
                raise ArgumentError("Sequential: Input comes first, and once")
            self._tensors = [layer.tensor()]
            return
        if not isinstance(layer, Layer | Network):
            raise ArgumentTypeError(f"Sequential: expected a layer such as layers.Dense(10), got {layer!r}")
        if isinstance(layer, Layer) and not layer.composes and not layer.compiled:
            raise ArgumentTypeError(
                f"Sequential: {type(layer).__name__} is not a layer of fastnn.layers, and only those run compiled"
            )
        if any(layer is other for other in self._stack):
            raise ArgumentError(f'Sequential: the layer "{layer.name}" is part of this model already; make a new one')
        given = self._given_shape(layer)
        if not self._stack and not self._tensors and given is not None:
            self._tensors = [Input(given)]
        self._same_dtype([*self.leaves(), *layer.leaves()])
        name = layer.name
        self._adopt(layer, self._stack)
        self._stack.append(layer)
        if self._tensors:
            try:
                self._tensors.append(self._called(len(self._stack) - 1, self._tensors[-1]))
            except BaseException:
                self._stack.pop()
                layer.name = name
                if isinstance(layer, Layer):
                    layer.release(self)
                if len(self._tensors) == 1 and given is not None and not self._stack:
                    self._tensors = []
                raise
        self._changed()

    def _given_shape(self, layer: Layer | Network) -> Shape | None:
        if isinstance(layer, Layer):
            return layer.given_shape
        return layer.inputs[0].row if layer.built and len(layer.inputs) == 1 else None

    def _called(self, index: int, tensor: Tensor) -> Tensor:
        layer = self._stack[index]
        if isinstance(layer, Layer) and layer.composes:
            made = layer(tensor)
            if not isinstance(made, Tensor):
                raise ArgumentError(f'Sequential: the layer "{layer.name}" has several outputs, a stack takes one')
            known = [*inner_layers(layer), tensor.node.operator]
            strangers = with_new_weights(Graph((tensor,), (made,)).operators, known)
            if strangers:
                raise ArgumentError(
                    f'{type(layer).__name__} "{layer.name}": call makes layers of its own ({", ".join(strangers)}), '
                    "with new weights each time; make them in __init__ or build and keep them as attributes"
                )
            for leaf in layer.leaves():
                leaf.bind(self)
            return made
        if isinstance(layer, Layer):
            layer.output_shape(tensor.row, f'{type(layer).__name__} {index} "{layer.name}"')
        made = layer.symbolic([tensor] if isinstance(layer, Layer) else tensor)
        if not isinstance(made, Tensor):
            raise ArgumentError(f'Sequential: the model "{layer.name}" has several outputs, a stack takes one')
        return made

    def _changed(self) -> None:
        """What follows from other layers: another graph, not compiled."""
        self._flat = self._recipe = self._engine = None

    def pop(self) -> LayerOrModel:
        """Takes the last layer off and returns it; a compiled model must be compiled again.

        Raises:
            ArgumentError: there is none.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3, "relu"), fastnn.layers.Dense(1)])
            >>> removed = model.pop()
            >>> model.output_shape
            (None, 3)
        """
        if not self._stack:
            raise ArgumentError("Sequential.pop: there are no layers")
        self._require_no_training("Sequential.pop")
        if self._engine is not None or self.built:
            self.engine()
        layer: Layer = self._stack.pop()
        if len(self._tensors) > 1:
            layer._nodes.remove(self._tensors.pop().node)
        if isinstance(layer, Layer):
            layer.release(self)
        self._changed()
        return layer

    # building

    @property
    def built(self) -> bool:
        """Whether the input shape is known."""
        return bool(self._tensors and self._stack)

    def layer_graph(self) -> Graph:
        """The chain of calls."""
        self._require_built("Sequential")
        return Graph(self._tensors[:1], self._tensors[-1:])

    def build(self, input_shape: Sizes | Sequence[Sizes] | None = None) -> None:
        """Fixes the input shape.

        Args:
            input_shape: (None, I), the shape of X with any number of rows.

        Raises:
            ArgumentError: the layers do not fit it, or another one is fixed already.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
            >>> model.build((None, 4))
            >>> [weight.shape for weight in model.weights]
            [(4, 1), (1,)]
        """
        if input_shape is None:
            self._require_built("build")
            return
        self._build(Input(rows_of_shape(input_shape)))

    def _build_for(self, x: Arrays) -> None:
        self._build(input_for(self.alone(x)))

    def _build(self, tensor: Tensor) -> None:
        if not self._stack:
            raise NotBuiltError("Sequential: there are no layers")
        with built_once(self):
            self._build_once(tensor)

    def _build_once(self, tensor: Tensor) -> None:
        if self._tensors:
            if self._tensors[0].row != tensor.row:
                built = self._tensors[0].row
                raise ArgumentError(f"build: input_shape is {tensor.row}, the model is built for {built}")
            return
        tensors = [tensor]
        try:
            for index in range(len(self._stack)):
                tensors.append(self._called(index, tensors[-1]))
        except BaseException:
            self._forget(Graph(tensors[:1], tensors[-1:]).nodes)
            raise
        self._tensors = tensors

    def _unbuild(self) -> None:
        if self._tensors:
            super()._unbuild()
        self._tensors = []

    def inputs_of(self, x: Arrays | Tensors) -> list[ArrayOrTensor]:
        """One; a model without an input shape takes that of a tensor."""
        x = self.alone(x)
        if isinstance(x, Tensor) and not self.built:
            self._build(Input(x.row))
        return [x]

    # configs

    def get_config(self) -> Config:
        """Name, input shape and layers, without weights."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": list(self._tensors[0].row) if self._tensors else None,
            "layers": cloning.descriptions(self._stack),
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: CustomObjects | None = None) -> Sequential:
        """A model of the layers of `get_config()`, with new weights; for `custom_objects` see `load_model`."""
        with cloning.own_classes("from_config", custom_objects):
            model: Sequential = cloning.sequential_from_config(cls, config)
        return model


__all__ = ["Sequential"]
