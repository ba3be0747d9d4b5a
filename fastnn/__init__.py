"""fastnn: dense neural networks, trained as fast as the hardware allows, from a small Keras-like API.

Submodules load when they are first used: importing fastnn costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        activations,
        backend,
        backends,
        callbacks,
        config,
        datasets,
        errors,
        gradcheck,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        regularizers,
        utils,
    )
    from .config import get_num_threads, set_num_threads
    from .errors import FastnnError, ModelAdvice
    from .layers import Input
    from .models import Model, Sequential, load_model

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "backend",
    "backends",
    "callbacks",
    "config",
    "datasets",
    "errors",
    "gradcheck",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "utils",
)
_NAMES = {
    "Model": "models",
    "Sequential": "models",
    "load_model": "models",
    "Input": "layers",
    "FastnnError": "errors",
    "ModelAdvice": "errors",
    "get_num_threads": "config",
    "set_num_threads": "config",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name in _NAMES:
        value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})


__all__ = [
    "FastnnError",
    "Input",
    "Model",
    "ModelAdvice",
    "Sequential",
    "activations",
    "backend",
    "backends",
    "callbacks",
    "config",
    "datasets",
    "errors",
    "get_num_threads",
    "gradcheck",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "set_num_threads",
    "utils",
]
