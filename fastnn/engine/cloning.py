"""Models from descriptions of models: configs, JSON, clones. No weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from .. import layers as layer_module
from ..config import floatx
from ..core.declaration import Config, refuse, serialize
from ..core.function_table import FUNCTIONS, Function
from ..core.symbolic import Mean, Node, Tensor
from ..errors import ArgumentError, ArgumentTypeError, FastnnError
from ..initializers import as_json
from ..layers import Input, Layer
from ..layers.layer import AddedWeight

KINDS: dict[str, Any] = {}  # the classes of models by the names that descriptions have for them; `models.py` fills it
_OWN: ContextVar[Mapping[str, type[Layer]]] = ContextVar("own", default=MappingProxyType({}))
_MET: ContextVar[dict[int, Any] | None] = ContextVar("met", default=None)


@contextmanager
def _one_model() -> Iterator[None]:
    """What is described meanwhile is of one model: a layer in two of the models in it stays one layer."""
    if _MET.get() is not None:
        yield
        return
    token = _MET.set({})
    try:
        yield
    finally:
        _MET.reset(token)


@contextmanager
def own_classes(where: str, custom_objects: object) -> Iterator[None]:
    """What is described meanwhile may be of these classes of the caller's.

    Args:
        where: what was called. custom_objects: {"Name": class}, layers with `call`; or None.

    Raises:
        ArgumentTypeError: no dict, or a class of something else.
    """
    given = _OWN.get() if custom_objects is None else custom_objects
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(f'{where}: custom_objects is {given!r}, expected a dict such as {{"MyLayer": MyLayer}}')
    for name, kind in given.items():
        if not (isinstance(kind, type) and issubclass(kind, Layer) and hasattr(kind, "call")):
            raise ArgumentTypeError(
                f"{where}: custom_objects[{name!r}] is {kind!r}; only layers with `call` can be of classes of one's own"
            )
    token = _OWN.set(given)
    try:
        yield
    finally:
        _OWN.reset(token)


def description(operator: Any) -> Config:
    """What a layer, a model or a function is; a layer of a class of the caller's is marked as such, and what is met
    again in one model has a number.

    Raises:
        ArgumentError: it cannot say what it was made with.
    """
    met = _MET.get()
    if met is None or isinstance(operator, Function):
        return _described_alone(operator)
    if id(operator) not in met:
        met[id(operator)] = _described_alone(operator)
    else:
        met[id(operator)].setdefault("shared", sum("shared" in one for one in met.values()))
    made: Config = met[id(operator)]
    return made


def _described_alone(operator: Any) -> Config:
    if isinstance(operator, Function):
        return {"class_name": "Function", "config": {"function": operator.function, "arguments": operator.arguments}}
    if isinstance(operator, Layer) and operator.composes:
        return {"class_name": type(operator).__name__, "config": operator.get_config(), "own": True}
    if isinstance(operator, Layer):
        return serialize(operator)
    return {"class_name": operator.kind, "config": operator.get_config()}


def described(entry: Mapping[str, Any]) -> Any:
    """The layer, model or function of a description.

    Raises:
        ArgumentError: an unknown one, or arguments that it does not take.
    """
    met, number = _MET.get(), entry.get("shared")
    if met is None or number is None:
        return _made_alone(entry)
    if number not in met:
        met[number] = _made_alone(entry)
    return met[number]


def _made_alone(entry: Mapping[str, Any]) -> Any:
    name, config = entry["class_name"], entry["config"]
    if name == "Function":
        if config["function"] not in FUNCTIONS:
            raise ArgumentError(f'unknown function "{config["function"]}"')
        return Function(config["function"], **config["arguments"])
    if entry.get("own"):
        return _own_class(name).from_config(config)
    kind = AddedWeight if name == "AddedWeight" else KINDS.get(name, layer_module.CLASSES.get(name))
    if kind is None:
        raise ArgumentError(f'unknown layer "{name}"')
    return kind.from_config(config)


def _own_class(name: str) -> type[Layer]:
    """A class of the caller's by its name."""
    if (kind := _OWN.get().get(name)) is None:
        raise ArgumentError(
            f'"{name}" is a class of your own; give custom_objects={{"{name}": {name}}}, or make the model as it was '
            "made, and call load_weights"
        )
    return kind


def descriptions(operators: Iterable[Any]) -> list[Config]:
    """Those of the layers, models and functions of a model, with their names."""
    with _one_model():
        listed = []
        for operator in operators:
            entry = description(operator)
            entry["name"] = operator.name
            listed.append(entry)
        return listed


def sequential_from_config(cls: Any, config: Mapping[str, Any]) -> Any:
    """A model of the layers of `Sequential.get_config()`; see `described`."""
    model = cls(name=config["name"], trainable=config.get("trainable", True))
    if config["input_shape"] is not None:
        model.add(Input(config["input_shape"]))
    with _one_model():
        for entry in config["layers"]:
            model.add(described(entry))
    return model


def graph_config(model: Any) -> Config:
    """Name, layers and calls of a `Model`: each call says which tensors went in, by the place of the call that made
    them and their place there."""
    graph, operators = model.layer_graph(), model.operators
    places = {id(node): number for number, node in enumerate(graph.nodes)}

    def at(tensor: Tensor) -> list[int]:
        return [places[id(tensor.node)], tensor.index]

    def structure(tensors: Any, keys: Any, single: bool) -> Any:
        listed = [at(tensor) for tensor in tensors]
        return dict(zip(keys, listed, strict=True)) if keys else listed[0] if single else listed

    inputs = {id(tensor.node) for tensor in graph.inputs}
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": descriptions(operators),
        "calls": [
            {
                "layer": next(number for number, one in enumerate(operators) if one is node.operator),
                "inputs": [] if id(node) in inputs else [at(tensor) for tensor in node.inputs],
                **({"losses": [at(tensor) for tensor in node.losses]} if node.losses else {}),
            }
            for node in graph.nodes
        ],
        **model.structures(structure),
        **({"losses": [at(tensor) for tensor in graph.added]} if graph.added else {}),
    }


def graph_from_config(cls: Any, config: Mapping[str, Any], replace: Callable[[Any], Any] | None = None) -> Any:
    """A model of `Model.get_config()`; see `described`. `replace` gives other layers for some."""
    operators = []
    with _one_model():
        for entry in config["layers"]:
            operator = described(entry)
            if not isinstance(operator, Function):
                operator = operator if replace is None else replace(operator)
            operator.name = entry["name"]
            operators.append(operator)
    made: list[tuple[Tensor, ...]] = []

    def tensor(place: Any) -> Tensor:
        call, index = place
        if not 0 <= call < len(made):
            raise ArgumentError(f"call {call} comes before it was made")
        found: Tensor = made[call][index]
        return found

    for entry in config["calls"]:
        operator, inputs = operators[entry["layer"]], [tensor(place) for place in entry["inputs"]]
        made.append(_called(operator, inputs))
    for entry, tensors_of in zip(config["calls"], made, strict=True):
        if "losses" in entry:
            tensors_of[0].node.losses = tuple(tensor(place) for place in entry["losses"])

    def tensors(structure: Any) -> Any:
        if isinstance(structure, Mapping):
            return {key: tensor(place) for key, place in structure.items()}
        single = bool(structure) and not isinstance(structure[0], list | tuple)
        return tensor(structure) if single else [tensor(place) for place in structure]

    inputs, outputs = tensors(config["inputs"]), tensors(config["outputs"])
    model = cls(inputs, outputs, name=config["name"], trainable=config.get("trainable", True))
    for place in config.get("losses", ()):
        model.add_loss(Mean(tensor(place)))
    return model


def _called(operator: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """What a call of a layer, a model or a function gives."""
    if isinstance(operator, Function):
        rows = operator.rows_out([tensor.row for tensor in inputs])
        return Node(operator, inputs, rows, inputs[0].dtype if inputs else floatx()).outputs
    if not inputs and isinstance(operator, AddedWeight):
        return (operator.tensor,)
    if not inputs:
        return (operator.tensor(),)
    _made = operator.symbolic(inputs if isinstance(operator, Layer) or len(inputs) > 1 else inputs[0])
    return tuple(operator._nodes[-1].outputs)


def to_json(model: Any, **kwargs: Any) -> str:
    """The text that `model_from_json` reads; see `Sequential.to_json`."""
    return json.dumps(description(model), **{"default": as_json} | kwargs)


def model_from_json(text: object, custom_objects: object = None) -> Any:
    """A model of a text of `to_json`; see `models.model_from_json`."""
    if not isinstance(text, str):
        raise ArgumentTypeError(f"model_from_json: expected the text of to_json, got {type(text).__name__}")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"model_from_json: not JSON: {error}") from None
    if isinstance(found, dict) and "module" in found:
        raise ArgumentError("model_from_json: this text is of Keras itself; build the model with fastnn.layers instead")
    if not isinstance(found, dict) or found.get("class_name") not in KINDS:
        raise ArgumentError("model_from_json: not a text that to_json of a fastnn model gave")
    with own_classes("model_from_json", custom_objects):
        try:
            return described(found)
        except (KeyError, TypeError, AttributeError, IndexError, StopIteration, FastnnError) as error:
            raise ArgumentError(f"model_from_json: its description of the model is not valid: {error}") from None


def clone_model(model: Any, clone_function: Callable[[Layer], object] | None = None, **kwargs: object) -> Any:
    """A model of equal layers with weights of its own; see `models.clone_model`."""
    defaults = {"input_tensors": None, "call_function": None, "recursive": False}
    refuse("clone_model", kwargs, defaults, ("model", "clone_function"))
    if not any(isinstance(model, kind) for kind in KINDS.values()):
        raise ArgumentTypeError(f"clone_model: expected a model, got {type(model).__name__}")
    with own_classes("clone_model", _classes_in(model, {})):
        return _clone(model, clone_function)


def _classes_in(model: Any, found: dict[str, type[Layer]]) -> dict[str, type[Layer]]:
    """The classes of the caller's among the layers of a model, and of those in it, by their names.

    Raises:
        ArgumentError: two have one name.
    """
    for layer in model.layers:
        if not isinstance(layer, Layer):
            _classes_in(layer, found)
        elif layer.composes and found.setdefault(type(layer).__name__, type(layer)) is not type(layer):
            raise ArgumentError(f"clone_model: there are two classes {type(layer).__name__}")
    return found


def _clone(model: Any, clone_function: Callable[[Layer], object] | None) -> Any:
    if model.kind != "Sequential":
        return graph_from_config(type(model), model.get_config(), clone_function)
    config = model.get_config()
    if clone_function is None:
        return sequential_from_config(KINDS[model.kind], config)
    clone = KINDS[model.kind](name=model.name, trainable=model.trainable)
    if config["input_shape"] is not None:
        clone.add(Input(config["input_shape"]))
    for layer in model.layers:
        clone.add(clone_function(layer))
    return clone


__all__ = ["KINDS", "clone_model", "described", "description", "model_from_json", "own_classes", "to_json"]
