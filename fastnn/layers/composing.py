"""Layers whose `call` makes them of other layers and of weights, and what lies in an object."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from ..core.symbolic import Calls, Operand, Tensor
from ..core.traces import Made, built_once, in_both_modes, with_losses
from ..core.types import LayerOrModel, Sizes
from ..errors import ArgumentError, ArgumentTypeError


class Composing:
    """The part of a `Layer` that runs its `call`, once for each call on symbolic tensors."""

    name: str
    dtype: str
    trainable: bool

    _arguments: Mapping[str, Any] | None  # what it was made with, where that is plain; of those with `call` alone

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """An object that knows what it is made with, for `get_config`."""
        made = super().__new__(cls)
        if hasattr(cls, "call"):
            made._arguments = _plain_arguments(cls, args, kwargs)
        return made

    def __init__(self) -> None:
        self._added: list[Any] = []  # what `add_weight` made
        self._given_weights = 0  # how many of them were made before `build`
        self._composed = False
        self._losses: list[Tensor] | None = None  # what `call` adds, while it runs
        self._made = Calls(), 0  # what made its first result, and where, if it composes others

    @property
    def composes(self) -> bool:
        """Whether it is what its `call` makes of other layers and of weights."""
        return hasattr(type(self), "call")

    def _own_config(self, whole: bool) -> dict[str, Any]:
        """The arguments that make an equal layer, those of its own class only if `whole`, as in Keras.

        Raises:
            ArgumentError: it was made with what no config holds.
        """
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if not whole:
            return config
        kind = type(self).__name__
        if self._arguments is None:
            raise ArgumentError(
                f"{kind}: it was made with more than texts, numbers, None, lists and dicts of them, by their names; "
                f"write {kind}.get_config, which gives the arguments that make an equal one"
            )
        takes = inspect.signature(type(self).__init__).parameters
        anything = any(one.kind is one.VAR_KEYWORD for one in takes.values())
        config = {name: value for name, value in config.items() if anything or name in takes}
        return copy.deepcopy(dict(self._arguments)) | config

    def build(self, input_shape: Sizes | Sequence[Sizes] | None = None) -> None:
        """Makes weights by `add_weight`; subclasses with `call` say it, and it is called before that.

        Args:
            input_shape: (None, I), the shape of what comes in, or a list of them.
        """

    def _compose(self, x: Any, training: object) -> Any:
        with built_once(self):
            return self._composed_once(x, training)

    def _composed_once(self, x: Any, training: object) -> Any:
        if not self._composed:
            tensors = x if isinstance(x, list | tuple) else [x]
            shapes = [operand.tensor.shape for operand in tensors] if not isinstance(x, dict) else []
            self._given_weights = len(self._added)
            self.build(shapes if isinstance(x, list | tuple) else shapes[0] if shapes else None)
            self._composed = True
        try:
            made = self._called(x, training)
        finally:
            self._losses = None
        result = with_losses(made.result, made.losses)
        if not self.trainable:
            self.trainable = False  # what `build` and `call` made, too
        if isinstance(result, Tensor) and not self._made[0]:
            self._made = Calls(), result.index
            self._made[0].append(result.node)
        return result

    def _called(self, x: Any, training: object) -> Made:
        """What `call` makes; where it may ask for the mode, of which nobody said one, in both.

        Raises:
            ArgumentError: it returns other shapes in training, or makes weights. ArgumentTypeError: it makes no
                tensors.
        """
        its_call, where = self.call, f'{type(self).__name__} "{self.name}"'  # type: ignore[attr-defined]
        before = len(self._added)

        def make(**arguments: object) -> Made:
            self._losses = []
            result, tensors = _tensors(f"{where}: call returned", its_call(x, **arguments))
            return Made(result, tensors, self._losses)

        if "training" not in inspect.signature(its_call).parameters:
            return make()
        if training is not None:
            return make(training=training)
        inputs = _tensors(f"{where}: x has", x)[1]
        made = in_both_modes(where, lambda mode: make(training=mode), inputs, inner_layers(self))
        if len(self._added) > before:
            raise ArgumentError(f"{where}: call makes weights of its own, new ones each time; make them in build")
        return made

    def forget_shape(self) -> None:
        """Forgets the shape that it was called on first, and what `build` made for it."""
        self._composed, self._made = False, (Calls(), 0)
        self._added = self._added[: self._given_weights]

    def leaves(self) -> list[LayerOrModel]:
        """The layers with weights that it is: itself, or those that it composes."""
        return [leaf for layer in inner_layers(self) for leaf in layer.leaves()] if self.composes else [self]


def _plain_arguments(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a constructor is given, by name, with its defaults; None where that is not plain, or has no names."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:  # what the constructor will say, or a copy, which gets its arguments with its state
        return None
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for one in list(signature.parameters.values())[1:]:
        value = bound.arguments[one.name]
        if one.kind is one.POSITIONAL_ONLY or (one.kind is one.VAR_POSITIONAL and value):
            return None
        if one.kind is one.VAR_KEYWORD:
            found |= value
        elif one.kind is not one.VAR_POSITIONAL:
            found[one.name] = value
    return copy.deepcopy(found) if all(map(_is_plain, found.values())) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values())) and all(isinstance(key, str) for key in value)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


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


def with_new_weights(operators: Iterable[Any], known: Sequence[Any]) -> list[str]:
    """The names of the layers and models among operators of a `call` that it made itself, and that have weights."""
    made = [one for one in operators if hasattr(one, "leaves") and not any(one is other for other in known)]
    return [one.name for one in made if any(leaf.parameters() for leaf in one.leaves())]


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
    composes = isinstance(value, Composing) and value.composes
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


def own_layers(owner: object) -> list[Any]:
    """The layers and models among the attributes of an object, in lists and dicts too, in their order, each once; not
    those in layers that compose them, which are among them themselves."""
    found: dict[int, Any] = {}
    waiting = [value for name, value in reversed(vars(owner).items()) if name not in _NOT_INNER]
    while waiting:
        value = waiting.pop()
        if hasattr(value, "leaves"):
            found.setdefault(id(value), value)
        elif isinstance(value, list | tuple | Mapping):
            waiting += reversed(list(value.values() if isinstance(value, Mapping) else value))
    return list(found.values())


# Attributes of models and layers that lead to other models and layers.
_NOT_INNER = ("_operators", "_graph", "_flat", "_engine", "_recipe", "_nodes")
