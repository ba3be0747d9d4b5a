"""A layer's view of its part of its models' weights."""

from __future__ import annotations

import html
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Array, Variable
from ..core.model import LayerOwner
from ..core.store import latest
from ..core.symbolic import Calls, Shape
from ..core.tables import as_html
from ..errors import NotBuiltError
from ..initializers import Initializer
from .composing import Composing


class Weight(NamedTuple):
    """One tensor of a layer; no optimizer changes a statistic."""

    name: str
    initializer: Initializer
    statistic: bool = False


class Bound(Composing):
    """The part of a `Layer` that is a view, of the first of its models that is still there."""

    _nodes: Calls

    def __init__(self) -> None:
        super().__init__()
        self._owners: list[weakref.ref[LayerOwner]] = []
        self._store: Any = None

    def parameters(self) -> list[Weight]:
        """Its weights, in Keras's order."""
        return []

    @property
    def trains(self) -> bool:
        """Whether it and its model are trainable."""
        return self.trainable and (self._model is None or self._model.trainable)

    @property
    def _model(self) -> LayerOwner | None:
        """The first of its models that is still there."""
        return next((model for owner in self._owners if (model := owner()) is not None), None)

    @property
    def is_bound(self) -> bool:
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
        return self._model is not None and self._model.built and bool(self._nodes)

    @built.setter
    def built(self, value: object) -> None: ...

    @property
    def weights(self) -> list[Variable]:
        """Read-only views of its parameters, which change as the model learns; [] before the model is built."""
        if self.composes:
            return [view for leaf in self.leaves() for view in leaf.weights]
        views = self._model.parameters_of(self) if self._model is not None and self.built else self.stored()
        return [
            Variable.of(view, f"{self.name}/{weight.name}", partial(self._assign, index))
            for index, (view, weight) in enumerate(zip(views, self.parameters(), strict=False))
        ]

    def _assign(self, index: int, value: Any) -> None:
        """Sets one parameter."""
        where = f"{self.name}/{self.parameters()[index].name}.assign"
        self._keeper("assign").assign([self], [value], where, slice(index, index + 1))

    def stored(self) -> list[Array]:
        """Views of its parameters where they lie now; [] before they are made. They outlive the models that it is part
        of."""
        store = self._store
        if store is not None and store.moved is not None:
            store = self._store = latest(store)
        if store is None or self not in store.places:
            return []
        places = store.places[self]
        return [store.view(places[weight.name]) for weight in self.parameters()]

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """`weights` without statistics, or [] where it or its model is not trainable."""
        return [view for view, trains in self._trained() if trains]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Statistics; all `weights` where it or its model is not trainable."""
        return [view for view, trains in self._trained() if not trains]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def _trained(self) -> list[tuple[Variable, bool]]:
        if self.composes:
            return [found for leaf in self.leaves() for found in leaf._trained()]
        if not (weights := self.weights):
            return []
        declared = zip(weights, self.parameters(), strict=True)
        return [(view, self.trains and not weight.statistic) for view, weight in declared]

    def _repr_html_(self) -> str:
        """What it is, and its weights as a table, once it has some."""
        rows = [
            [view.path, " x ".join(map(str, view.shape)), f"{view.size:,}", "yes" if trains else "no"]
            for view, trains in self._trained()
        ]
        told = f"<p><b>{html.escape(self.name)}</b> <code>{html.escape(repr(self))}</code></p>"
        return told + (as_html(["weight", "shape", "numbers", "trained"], rows) if rows else "")

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

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
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
        if self._model is None and self._store is not None:
            raise NotBuiltError(
                f'{type(self).__name__} "{self.name}": {what} after its model has gone; keep the model, or make '
                "another one of it"
            )
        if self._model is None or not self._model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": {what} before the input shape is known')
        return self._model

    def _set_composed(self, weights: Sequence[ArrayLike]) -> None:
        """The weights of the layers that it composes, one after the other."""
        leaves = self.leaves()
        model = leaves[0]._model if leaves else None
        if model is None or not model.built:
            raise NotBuiltError(f'{type(self).__name__} "{self.name}": set_weights before the input shape is known')
        model.assign(leaves, weights, f'{type(self).__name__} "{self.name}".set_weights')

    def count_params(self) -> int:
        """How many numbers its parameters hold."""
        return sum(view.size for view in self.weights)

    def _values(self, shape: Shape) -> list[Array]:
        """Its weights, for a call on rows of `shape`."""
        if self.parameters() and not self.weights:
            raise self._unbuilt()
        return self.get_weights()

    def _unbuilt(self) -> NotBuiltError:
        where, shared = f'{type(self).__name__} "{self.name}"', ""
        if self._nodes:  # somebody calls it on tensors, and its model is being made
            shared = (
                ", and a `call` cannot read them; to share them there, call the layer itself, or use a weight of "
                "add_weight in several places by ops.matmul, as it is: products with a transposed weight are not "
                "supported"
            )
        return NotBuiltError(f"{where}: it has no weights before its model knows the input shape{shared}")
