"""Models: `Sequential`, `Model`, and what makes one from a file, from a text or from another model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .core.absent import absent
from .core.types import CustomObjects, Tensors
from .engine import cloning, saving
from .engine.functional import Model
from .engine.sequential import Sequential
from .errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .backends.protocol import Backend
    from .layers import Layer

cloning.KINDS.update(Sequential=Sequential, Model=Model)


def save_model(
    model: Sequential | Model, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: object
) -> None:
    """`model.save(filepath, overwrite)`."""
    if not isinstance(model, Sequential | Model):
        raise ArgumentTypeError(f"save_model: model is {model!r}, expected a model")
    model.save(filepath, overwrite, **kwargs)


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: CustomObjects | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    backend: str | Backend | None = "auto",
) -> Sequential | Model:
    """A model from a file that `Sequential.save` wrote, as it was: weights, optimizer, counters and seed.

    Args:
        filepath: the file; what counts is its content, not its name.
        custom_objects: {"MyLayer": MyLayer}, the classes with `call` that a `Sequential` in it has.
        safe_mode: accepted; nothing of a file is ever executed.
        compile: whether to compile it as it was compiled; without, it can only predict.
        backend: see `Sequential.compile`.

    Returns:
        The model.

    Raises:
        FileError: not such a file, or a damaged one. OSError: it cannot be read.
        BackendError: a backend that is not available.

    Example:
        >>> import fastnn, pathlib, tempfile
        >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(pathlib.Path(folder) / "model.safetensors")
        ...     again = fastnn.models.load_model(pathlib.Path(folder) / "model.safetensors")
        >>> bool((again.get_weights()[0] == model.get_weights()[0]).all())
        True
    """
    with cloning.own_classes("load_model", custom_objects):
        made: Sequential | Model = saving.load(filepath, compile, backend)
        return made


def clone_model(
    model: Sequential | Model,
    input_tensors: Tensors | None = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    **kwargs: object,
) -> Sequential | Model:
    """A model of equal layers with new weights of its own, not compiled.

    Args:
        model: a `Sequential` or a `Model`.
        clone_function: called with each layer, returns the layer that takes its place; by default an equal one.

    Raises:
        ArgumentError: unsupported arguments. ArgumentTypeError: not a model.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
        >>> fastnn.models.clone_model(model).count_params()
        5
    """
    made: Sequential | Model = cloning.clone_model(model, clone_function, input_tensors=input_tensors, **kwargs)
    return made


def model_from_json(json_string: str, custom_objects: CustomObjects | None = None) -> Sequential | Model:
    """A model of a text that `Sequential.to_json` gave, with new weights; for `custom_objects` see `load_model`.

    Raises:
        ArgumentError: not such a text. ArgumentTypeError: not a text.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(2)])
        >>> fastnn.models.model_from_json(model.to_json()).count_params()
        10
    """
    made: Sequential | Model = cloning.model_from_json(json_string, custom_objects)
    return made


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)


__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
