"""Models from descriptions of models: configs, JSON, clones. No weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .. import layers as layer_module
from ..core.declaration import refuse
from ..errors import ArgumentError, ArgumentTypeError, FastnnError
from ..layers import Input, Layer
from .model import TrainableModel

Model = TypeVar("Model", bound=TrainableModel)


def model_from_config(cls: type[Model], config: Mapping[str, Any]) -> Model:
    """A model of the layers of `Sequential.get_config()`.

    Raises:
        ArgumentError: an unknown layer, or arguments that it does not take.
    """
    model = cls(name=config["name"], trainable=config.get("trainable", True))
    if config["input_shape"] is not None:
        model.add(Input(config["input_shape"]))
    for entry in config["layers"]:
        kind = layer_module.CLASSES.get(entry["class_name"])
        if kind is None:
            raise ArgumentError(f'unknown layer "{entry["class_name"]}"')
        model.add(kind.from_config(entry["config"]))
    return model


def to_json(model: TrainableModel, **kwargs: Any) -> str:
    """The text that `model_from_json` reads; see `Sequential.to_json`."""
    return json.dumps({"class_name": "Sequential", "config": model.get_config()}, **kwargs)


def model_from_json(cls: type[Model], text: object, custom_objects: object = None) -> Model:
    """A model of a text of `to_json`; see `models.model_from_json`."""
    refuse("model_from_json", {"custom_objects": custom_objects}, {"custom_objects": None}, ("json_string",))
    if not isinstance(text, str):
        raise ArgumentTypeError(f"model_from_json: expected the text of to_json, got {type(text).__name__}")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"model_from_json: not JSON: {error}") from None
    if isinstance(found, dict) and "module" in found:
        raise ArgumentError("model_from_json: this text is of Keras itself; build the model with fastnn.layers instead")
    if not isinstance(found, dict) or found.get("class_name") != "Sequential":
        raise ArgumentError("model_from_json: not a text that to_json of a fastnn model gave")
    try:
        return model_from_config(cls, found["config"])
    except (KeyError, TypeError, AttributeError, FastnnError) as error:
        raise ArgumentError(f"model_from_json: its description of the model is not valid: {error}") from None


def clone_model(
    cls: type[Model], model: object, clone_function: Callable[[Layer], object] | None = None, **kwargs: object
) -> Model:
    """A model of equal layers with weights of its own; see `models.clone_model`."""
    defaults = {"input_tensors": None, "call_function": None, "recursive": False}
    refuse("clone_model", kwargs, defaults, ("model", "clone_function"))
    if not isinstance(model, cls):
        raise ArgumentTypeError(f"clone_model: expected a Sequential, got {type(model).__name__}")
    clone = cls(name=model.name, trainable=model.trainable)
    if (shape := model.get_config()["input_shape"]) is not None:
        clone.add(Input(shape))
    for layer in model.layers:
        clone.add(type(layer).from_config(layer.get_config()) if clone_function is None else clone_function(layer))
    return clone


__all__ = ["clone_model", "model_from_config", "model_from_json", "to_json"]
