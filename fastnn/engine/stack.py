"""A stack of layers with their weights: what `models.Sequential` trains and uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .. import config
from ..core.arrays import Array, numeric
from ..core.declaration import flag, label
from ..core.plan import Counter
from ..errors import ArgumentError, ArgumentTypeError, FastnnError, NotBuiltError
from ..layers import Input, Layer, Shape
from . import compiling
from .compiling import Engine, Recipe

_UNCHANGED: AbstractContextManager[None] = nullcontext()


class Stack:
    """Layers in order, the shapes between them, and the engine that holds their weights.

    Args:
        layers: an `Input` and layers, or layers alone: then the first X fixes the input shape.
        trainable: whether training changes weights at all. name: what `summary` calls it.

    Raises:
        ArgumentError: layers that do not fit. ArgumentTypeError: what is not a layer.
    """

    def __init__(self, layers: Sequence[object] | None = None, trainable: bool = True, name: str | None = None) -> None:
        self._trainable = flag("Sequential", "trainable", trainable)
        self.name = label("Sequential", name, "sequential")
        self._layers: list[Layer] = []
        self._shapes: list[Shape] = []  # of one row: what goes in, then what comes out of each layer
        self._seed = config.next_seed()
        self._recipe: Recipe | None = None
        self._engine: Engine | None = None
        if layers is not None and not isinstance(layers, list | tuple):
            raise ArgumentTypeError(f"Sequential: layers is {layers!r}, expected a list of layers")
        for layer in layers or ():
            self.add(layer)

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        if self._recipe is not None and self._engine is not None:
            self._recipe.optimizer.bind(self._engine.state)

    # layers

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, each a view of its part of the weights."""
        return list(self._layers)

    def add(self, layer: object) -> None:
        """Puts a layer on top; a compiled model must be compiled again.

        Raises:
            ArgumentError: it does not fit, belongs to a model already, or has a name that is taken.
            ArgumentTypeError: it is not a layer.
        """
        if isinstance(layer, Input):
            if self._layers or self._shapes:
                raise ArgumentError("Sequential: Input comes first, and once")
            self._shapes = [layer.shape]
            return
        if not isinstance(layer, Layer):
            kind = "another model" if isinstance(layer, Stack) else repr(layer)
            raise ArgumentTypeError(f"Sequential: expected a layer such as layers.Dense(10), got {kind}")
        if hasattr(layer, "call") or type(layer).lower is Layer.lower:
            raise ArgumentTypeError(
                f"Sequential: {type(layer).__name__} is not a layer of fastnn.layers, and only those run compiled"
            )
        if layer.bound:
            raise ArgumentError(f'Sequential: the layer "{layer.name}" is part of a model already; make a new one')
        name = self._free_name(layer)
        shapes = list(self._shapes)
        if not self._layers and not shapes and layer.given_shape is not None:
            shapes = [layer.given_shape]
        if shapes:
            shapes.append(layer.output_shape(shapes[-1], f'{type(layer).__name__} {len(self._layers)} "{name}"'))
        self._same_dtype(layer)
        layer.bind(self, name)
        self._replace([*self._layers, layer], shapes)

    def pop(self) -> Layer:
        """Takes the last layer off and returns it; a compiled model must be compiled again.

        Raises:
            ArgumentError: there is none.
        """
        if not self._layers:
            raise ArgumentError("Sequential.pop: there are no layers")
        layer = self._layers[-1]
        self._replace(self._layers[:-1], self._shapes[:-1] if len(self._shapes) > 1 else self._shapes)
        layer.release()
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its index.

        Raises:
            ArgumentError: there is none such.
        """
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ArgumentError(f"get_layer: index is {index}, the model has {len(self._layers)} layers")
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self._layers)
        raise ArgumentError(f'get_layer: there is no layer "{name}"; there are: {names}')

    def _free_name(self, layer: Layer) -> str:
        taken = {other.name for other in self._layers}
        if layer.named and layer.name in taken:
            raise ArgumentError(f'Sequential: there are two layers "{layer.name}"; names are unique in a model')
        name, suffix = layer.name, 0
        while name in taken:
            suffix += 1
            name = f"{layer.name}_{suffix}"
        return name

    def _same_dtype(self, layer: Layer) -> None:
        if not layer.parameters():
            return
        for other in self._layers:
            if other.parameters() and other.dtype != layer.dtype:
                raise ArgumentError(
                    f'Sequential: "{other.name}" is {other.dtype} and "{layer.name}" is {layer.dtype}; '
                    "a model has one dtype"
                )

    def _replace(self, layers: list[Layer], shapes: list[Shape]) -> None:
        """Another stack of layers; those that stay keep their weights."""
        values = {}
        if self._engine is not None:
            values = {layer: self.parameters_of(layer) for layer in layers if layer in self._layers}
        self._layers, self._shapes, self._recipe, self._engine = layers, shapes, None, None
        for layer, old in values.items():
            for view, value in zip(self.parameters_of(layer), old, strict=True):
                view[...] = value

    # building

    @property
    def built(self) -> bool:
        """Whether the input shape is known."""
        return bool(self._shapes and self._layers)

    @property
    def dtype(self) -> str:
        """ "float32" or "float64": that of the layers with weights."""
        dtypes = [layer.dtype for layer in self._layers if layer.parameters()]
        dtypes += [layer.dtype for layer in self._layers]
        return dtypes[0] if dtypes else config.floatx()

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """(None, I): the shape of X with any number of rows."""
        self._require_built("input_shape")
        return (None, *self._shapes[0])

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """(None, O): the shape of the predictions for any number of rows."""
        self._require_built("output_shape")
        return (None, *self._shapes[-1])

    def input_shape_of(self, layer: Layer) -> Shape:
        """The shape of one row that goes into a layer of a built model."""
        return self._shapes[self._layers.index(layer)]

    def build(self, input_shape: object = None) -> None:
        """Fixes the input shape.

        Args:
            input_shape: (None, I), the shape of X with any number of rows.

        Raises:
            ArgumentError: the layers do not fit it, or another one is fixed already.
        """
        if input_shape is None:
            self._require_built("build")
            return
        if not isinstance(input_shape, list | tuple) or len(input_shape) < 2:
            raise ArgumentError(f"build: input_shape is {input_shape!r}, expected such as (None, 64)")
        self._build(Input(tuple(input_shape)[1:]).shape)

    def _build(self, shape: Shape) -> None:
        if not self._layers:
            raise NotBuiltError("Sequential: there are no layers")
        if self._shapes:
            if self._shapes[0] != shape:
                raise ArgumentError(f"build: input_shape is {shape}, the model is built for {self._shapes[0]}")
            return
        shapes = [shape]
        for index, layer in enumerate(self._layers):
            shapes.append(layer.output_shape(shapes[-1], f'{type(layer).__name__} {index} "{layer.name}"'))
        self._shapes = shapes

    def _require_built(self, what: str) -> None:
        if not self.built:
            raise NotBuiltError(
                f"{what}: the input shape is not known; put Input((64,)) first, "
                "call build((None, 64)), or fit some data"
            )

    def engine(self) -> Engine:
        """The plan and state of the model, made when first needed.

        Raises:
            NotBuiltError: the input shape is not known.
        """
        if self._engine is None:
            self._require_built("Sequential")
            self._engine = self._new_engine(self._recipe)
            self._initialize(self._engine)
            if self._recipe is not None:
                self._recipe.optimizer.bind(self._engine.state)
        return self._engine

    @property
    def seed(self) -> int:
        """What weights, shuffles and dropout are keyed by: from `set_random_seed`, else drawn from the system."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = value
        if self._engine is not None:
            self._engine.state.counters[Counter.SEED] = value

    @property
    def recipe(self) -> Recipe | None:
        """The arguments of `compile`, or None before it."""
        return self._recipe

    def _new_engine(self, recipe: Recipe | None) -> Engine:
        return compiling.engine(self._layers, self._shapes[0], self.dtype, self._seed, recipe)

    def _initialize(self, engine: Engine) -> None:
        layout = iter(engine.plan.layout.parameters)
        for index, layer in enumerate(self._layers):
            for number, weight in enumerate(layer.parameters()):
                view = engine.state.view(next(layout))
                weight.initializer.fill(view, seed=self._seed, layer=index, number=number)

    def predicting_engine(self, x: object) -> Engine:
        """The engine; a model without an input shape takes that of x."""
        if self._engine is not None:
            return self._engine
        if not self.built:
            shape = numeric(x, "X").shape
            self._build(shape[1:] if len(shape) > 1 else (1,))
        return self.engine()

    def undone_if_refused(self) -> AbstractContextManager[None]:
        """What is tried on data inside leaves a model without an input shape as it was if the data are refused."""
        return _UNCHANGED if self._engine is not None else self._undone_if_refused()

    @contextmanager
    def _undone_if_refused(self) -> Iterator[None]:
        built = self.built
        try:
            yield
        except FastnnError:
            if not built:
                self._shapes, self._engine = [], None
                if self._recipe is not None:
                    self._recipe.optimizer.release()
            raise

    def trainable_engine(self, x: object) -> Engine:
        """The engine of a compiled model.

        Raises:
            NotBuiltError: it was not compiled. ArgumentError: it was compiled without a loss.
        """
        if self._recipe is None:
            raise NotBuiltError('the model is not compiled; call compile(optimizer="adam", loss=...) first')
        if self._recipe.loss is None:
            raise ArgumentError('the model was compiled without a loss; give one such as compile(loss="mse") first')
        return self.predicting_engine(x)

    # weights

    def parameters_of(self, layer: Layer) -> list[Array]:
        """Views of the parameters of one layer."""
        engine = self.engine()
        return [engine.state.view(p) for p in engine.plan.layout.parameters if p.layer == layer.name]

    def assign(self, views: Sequence[Array], values: Sequence[object], where: str) -> None:
        """Writes arrays into views, after checking all of them.

        Raises:
            ArgumentError, ArgumentTypeError: another number, another shape, no real numbers.
        """
        if not isinstance(values, list | tuple) or len(values) != len(views):
            count = len(values) if isinstance(values, list | tuple) else type(values).__name__
            raise ArgumentError(f"{where}: got {count}, expected a list of {len(views)} arrays")
        arrays = [numeric(value, f"{where}: array {index}") for index, value in enumerate(values)]
        for index, (view, array) in enumerate(zip(views, arrays, strict=True)):
            if view.shape != array.shape:
                raise ArgumentError(f"{where}: array {index} has shape {array.shape}, expected {view.shape}")
        for view, array in zip(views, arrays, strict=True):
            view[...] = array

    @property
    def weights(self) -> list[Array]:
        """Read-only views of all parameters; [] before the input shape is known."""
        return [view for layer in self._layers for view in layer.weights]

    variables = weights

    @property
    def trainable_weights(self) -> list[Array]:
        """`weights` of the layers that are trainable."""
        return [view for layer in self._layers for view in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """`weights` of the layers that are not trainable."""
        return [view for layer in self._layers for view in layer.non_trainable_weights]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes weights at all; setting it sets all layers, and needs another `compile`."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: object) -> None:
        self._trainable = flag("Sequential", "trainable", value)
        for layer in self._layers:
            layer.trainable = self._trainable

    def get_weights(self) -> list[Array]:
        """Copies of all parameters, layer by layer; [] before the input shape is known."""
        return [view.copy() for view in self.weights]

    def set_weights(self, weights: Sequence[object]) -> None:
        """Sets all parameters to arrays of the shapes of `get_weights()`.

        Raises:
            ArgumentError, ArgumentTypeError: another number, another shape, no real numbers.
        """
        views = [view for layer in self._layers for view in self.parameters_of(layer)]
        self.assign(views, weights, "set_weights")

    def count_params(self) -> int:
        """How many numbers the parameters hold."""
        self._require_built("count_params")
        inputs = self._shapes[:-1]
        shapes = [
            shape for layer, rows in zip(self._layers, inputs, strict=True) for shape in layer.parameter_shapes(rows)
        ]
        return sum(map(math.prod, shapes))
