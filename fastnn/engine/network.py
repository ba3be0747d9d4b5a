"""What all models have: layers, their weights, and the engine that runs them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import config
from ..core.arrays import Array, numeric, require_fit
from ..core.declaration import flag, label, names, whole
from ..core.plan import Counter
from ..core.symbolic import Calls, Function, Node, Shape, Tensor
from ..core.traces import building, built_once
from ..core.types import Arrays
from ..errors import ArgumentError, BusyError, FastnnError, NotBuiltError
from ..layers import Input, Layer
from ..layers.composing import inner_layers
from . import compiling, summaries, weights
from .compiling import Engine, Recipe
from .composition import Composition
from .graph import Flat

_UNCHANGED: AbstractContextManager[None] = nullcontext()


class Network(Composition):
    """Layers, the graph of their calls, and the engine that holds what training needs.

    Args:
        trainable: whether training changes weights at all. name: what `summary` and other models call it.
    """

    spare = names("activations apply_gradients gradients save save_weights summary to_json")
    extended = names(
        "add compile count_params dtype evaluate fit from_config get_config get_layer get_weights kind layers "
        "load_weights loss metrics metrics_names non_trainable_variables non_trainable_weights pop predict "
        "predict_on_batch set_weights test_on_batch train_on_batch trainable trainable_variables trainable_weights "
        "variables weights"
    )
    instead: ClassVar[Mapping[str, str]] = {
        "": "steps are compiled: give compile a loss, an optimizer and metrics, and a callback what is to happen "
        "between steps; or write the loop yourself, with model.gradients and model.apply_gradients",
        "__call__": "write `call` in a subclass of Model, which is traced once",
        "build": "make the layers in __init__",
        "call": "write it in a subclass of Model, where it is traced once",
    }

    def __init__(self, trainable: bool = True, name: str | None = None) -> None:
        self._trainable = flag(self.kind, "trainable", trainable)
        self.named = name is not None
        self.name = label(self.kind, name, self.kind.lower() if self.kind == "Sequential" else "functional")
        self._nodes = Calls()
        self._seed = config.next_seed()
        self._recipe: Recipe | None = None
        self._engine: Engine | None = None
        self._flat: Flat | None = None
        self._trying = False  # data that may be refused, and with them the input shape that they gave
        self._trainers: list[threading.Thread] = []  # in which a fit of it runs

    def __getstate__(self) -> dict[str, object]:
        """Without what is of this process."""
        return {name: value for name, value in vars(self).items() if name != "_trainers"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._trying, self._trainers = False, []
        its_state = getattr(self._engine, "state", None)  # an engine that is copied by itself has none yet
        if self._recipe is not None and its_state is not None:
            self._recipe.optimizer.bind(its_state)

    def __repr__(self) -> str:
        """Its class and name, layers and parameters."""
        layers = f"{len(self.layers)} layer{'' if len(self.layers) == 1 else 's'}"
        if not self.built:
            return f'<{type(self).__name__} "{self.name}": {layers}, not built>'
        count = self.count_params()
        parameters = f"{count:,} parameter{'' if count == 1 else 's'}"
        compiled = "" if self._recipe else ", not compiled"
        return f'<{type(self).__name__} "{self.name}": {layers}, {parameters}{compiled}>'

    def _repr_html_(self) -> str:
        """The table of `summary`."""
        return summaries.page(self)

    # layers that enter it

    def _adopt(self, operator: Any, taken: Sequence[Any]) -> None:
        """Gives what enters the model a name that is free, and a layer of no model this one.

        Raises:
            ArgumentError: a name that it was given is taken.
        """
        there = {other.name for other in taken}
        given = getattr(operator, "named", False)
        if given and operator.name in there:
            raise ArgumentError(f'{self.kind}: there are two layers "{operator.name}"; names are unique in a model')
        name, suffix = operator.name, 0
        while name in there:
            suffix += 1
            name = f"{operator.name}_{suffix}"
        if isinstance(operator, Layer):
            operator.bind(self)
        operator.name = name

    # the engine

    def engine(self) -> Engine:
        """The plan and state of the model, made when first needed, and again where its weights have moved.

        Raises:
            NotBuiltError: the input shape is not known.
        """
        engine = self._engine
        if engine is not None and engine.state.store.moved is None:
            return engine
        with building:
            return self._made()

    def _made(self) -> Engine:
        old = self._engine
        if old is not None and old.state.store.moved is None:  # another thread was first
            return old
        with built_once(self):
            return self._made_once(old)

    def _made_once(self, old: Engine | None) -> Engine:
        self._require_built(self.kind)
        if self._recipe is not None and self._recipe.trained is None:
            self._recipe = replace(self._recipe, trained=self._trained())
        engine = self._new_engine(self._recipe)
        if old is not None:
            compiling.carry_over(old, engine)
        if self._recipe is not None:
            self._recipe.optimizer.bind(engine.state)
        self._engine = engine
        return engine

    def _trained(self) -> frozenset[Layer]:
        """The layers that are trainable now."""
        return frozenset(layer for layer in self.leaves() if layer.trains)

    @property
    def seed(self) -> int:
        """What weights, shuffles and dropout are keyed by: from `set_random_seed`, else drawn from the system."""
        return self._seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        if value is None:  # as a subclass may have it from its caller: any
            return
        value = whole(self.kind, "seed", value, low=-(2**63))
        self._seed = value
        if self._engine is not None:
            self._engine.state.counters[Counter.SEED] = value

    @property
    def recipe(self) -> Recipe | None:
        """The arguments of `compile`, or None before it."""
        return self._recipe

    def _new_engine(self, recipe: Recipe | None) -> Engine:
        return compiling.engine(self.flat_graph(), self.dtype, self._seed, recipe)

    def predicting_engine(self, x: Arrays) -> Engine:
        """The engine; a model without an input shape takes that of x."""
        if self._engine is None or self._trying:
            with building:
                if not self.built:
                    self._build_for(x)
                return self.engine()
        return self.engine()

    def undone_if_refused(self) -> AbstractContextManager[None]:
        """What is tried on data inside leaves a model without an input shape as it was if the data are refused."""
        return _UNCHANGED if self._engine is not None and not self._trying else self._undone_if_refused()

    @contextmanager
    def _undone_if_refused(self) -> Iterator[None]:
        with building:  # others wait to see whether there is an input shape
            built, trying, recipe = self.built, self._trying, self._recipe
            self._trying = not built
            try:
                yield
            except FastnnError:
                if not built and self.built:  # or it was refused by who builds it, whom a signal handler interrupted
                    self._unbuild()
                    self._engine = None
                    if self._recipe is not None:
                        self._recipe.optimizer.release()
                    self._recipe = recipe  # that of now knows which of the layers that are gone were trainable
                raise
            finally:
                self._trying = trying

    def _unbuild(self) -> None:
        """Forgets an input shape that came from data, and the calls that were made for it."""
        self._forget(self.layer_graph().nodes)
        self._flat = None

    def _forget(self, nodes: Sequence[Node]) -> None:
        """Forgets calls, the weights of layers that have no other, and what layers that compose made for them."""
        for node in nodes:
            operator = node.operator
            if not isinstance(operator, Function):
                operator._nodes.remove(node)
                if isinstance(operator, Layer) and not operator._nodes:
                    operator._store = None
        for layer in inner_layers(self, composing=True):
            layer.forget_shape()

    @contextmanager
    def while_training(self) -> Iterator[None]:
        """What is called inside cannot change what the model is made of, or compiled with."""
        models, thread = list(self._models()), threading.current_thread()
        for model in models:
            model._trainers.append(thread)
        try:
            yield
        finally:
            for model in models:
                model._trainers.remove(thread)

    def _models(self) -> Iterator[Network]:
        """This one and those in it."""
        yield self
        for layer in self._called_layers():
            if isinstance(layer, Network):
                yield from layer._models()

    def _require_no_training(self, where: str) -> None:
        if any(thread.is_alive() for thread in self._trainers):  # those of its parent are not, in a forked child
            raise BusyError(
                f'{where}: "{self.name}" is training; do it after fit, which model.stop_training = True ends'
            )

    def trainable_engine(self, x: Arrays) -> Engine:
        """The engine of a compiled model.

        Raises:
            NotBuiltError: it was not compiled. ArgumentError: it was compiled without a loss.
        """
        if self._recipe is None:
            raise NotBuiltError('the model is not compiled; call compile(optimizer="adam", loss=...) first')
        if self.built and not any(self._recipe.losses) and not self.flat_graph().losses:
            raise _without_loss()
        engine = self.predicting_engine(x)
        if not len(engine.plan.losses):
            raise _without_loss()
        return engine

    # weights

    def parameters_of(self, layer: Layer) -> list[Array]:
        """Views of the parameters of one layer."""
        if weights.store_of(layer) is None:
            self.engine()
        return layer.stored()

    @contextmanager
    def held(self, where: str, writes: bool = False) -> Iterator[Engine]:
        """The engine, which no program uses meanwhile: all that it holds is of one step.

        Args:
            where: what reads or `writes`, for messages.

        Raises:
            BusyError: a signal handler asks, in the middle of a step, or of a training where it `writes`.
            NotBuiltError: the input shape is not known.
        """
        while True:
            engine = self.engine()
            with engine.state.store.held(where, writes):
                if engine.state.store.moved is None:
                    yield engine
                    return

    def copies_of(self, layer: Layer) -> list[Array]:
        """Copies of the parameters of one layer, all of one step."""
        with self.held(f'{type(layer).__name__} "{layer.name}"'):
            return [view.copy() for view in self.parameters_of(layer)]

    def assign(
        self, layers: Sequence[Layer], values: Sequence[ArrayLike], where: str, part: slice = slice(None)
    ) -> None:
        """Sets the parameters of layers, or a part of them, to arrays, after checking all of these.

        Raises:
            ArgumentError, ArgumentTypeError: another number, another shape, no real numbers.
            BusyError: a signal handler asks, in the middle of a training.
        """
        views = [view for layer in layers for view in self.parameters_of(layer)][part]
        if not isinstance(values, list | tuple) or len(values) != len(views):
            count = len(values) if isinstance(values, list | tuple) else type(values).__name__
            raise ArgumentError(f"{where}: got {count}, expected a list of {len(views)} arrays")
        arrays = [numeric(value, f"{where}: array {index}") for index, value in enumerate(values)]
        for index, (view, array) in enumerate(zip(views, arrays, strict=True)):
            if view.shape != array.shape:
                raise ArgumentError(f"{where}: array {index} has shape {array.shape}, expected {view.shape}")
            require_fit(array, view.dtype, f"{where}: array {index}")
        with self.held(where, writes=True):
            views = [view for layer in layers for view in self.parameters_of(layer)][part]
            for view, array in zip(views, arrays, strict=True):
                view[...] = array

    @property
    def weights(self) -> list[Array]:
        """Read-only views of all parameters; [] before the input shape is known."""
        if self.built:
            self.engine()
        return [view for layer in self.leaves() for view in layer.weights]

    variables = weights

    @property
    def trainable_weights(self) -> list[Array]:
        """`weights` of the layers that are trainable."""
        return [view for layer in self.leaves() for view in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """`weights` of the layers that are not trainable."""
        return [view for layer in self.leaves() for view in layer.non_trainable_weights]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes weights at all; setting it sets all layers, and needs another `compile`."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(self.kind, "trainable", value)
        for layer in (*self.layers, *self._called_layers()):
            layer.follow(self._trainable)

    def follow(self, trainable: bool) -> None:
        """Sets `trainable`, as that of what it is part of was set."""
        self.trainable = trainable

    def get_weights(self) -> list[Array]:
        """Copies of all parameters, layer by layer; [] before the input shape is known.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
            >>> [array.shape for array in model.get_weights()]
            [(4, 1), (1,)]
        """
        if not self.built:
            return []
        with self.held("get_weights"):
            return [np.array(view) for view in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all parameters to arrays of the shapes of `get_weights()`.

        Raises:
            ArgumentError, ArgumentTypeError: another number, another shape, no real numbers.

        Example:
            >>> import fastnn
            >>> import numpy as np
            >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1)])
            >>> model.set_weights([np.array([[1.0], [2.0]]), np.array([0.5])])
            >>> print(model.predict([[1.0, 1.0]], verbose=0))
            [[3.5]]
        """
        self.engine()
        self.assign(self.leaves(), weights, "set_weights")

    def count_params(self) -> int:
        """How many numbers the parameters hold.

        Example:
            >>> import fastnn
            >>> fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(10)]).count_params()  # 64 x 10 + 10
            650
        """
        self._require_built("count_params")
        return sum(map(math.prod, (shape for layer in self.leaves() for shape in layer.shapes())))


def input_for(x: object) -> Tensor:
    """The `Input` of rows like those of x; (n,) is one feature."""
    shape = numeric(x, "X").shape
    return Input(shape[1:] if len(shape) > 1 else (1,))


def rows_of_shape(input_shape: object) -> Shape:
    """The shape of one row, of what `build` is given.

    Raises:
        ArgumentError: it is no shape with rows.
    """
    if not isinstance(input_shape, list | tuple) or len(input_shape) < 2 or isinstance(input_shape[0], list | tuple):
        raise ArgumentError(f"build: input_shape is {input_shape!r}, expected such as (None, 64)")
    return tuple(input_shape)[1:]


def _without_loss() -> ArgumentError:
    return ArgumentError('the model was compiled without a loss; give one such as compile(loss="mse") first')
