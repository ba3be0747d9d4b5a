"""fastnn: dense neural networks, trained as fast as the hardware allows, from a small Keras-like API.

Submodules load when they are first used: importing fastnn costs next to nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .core.absent import AbsentModule, Finder, absent

if TYPE_CHECKING:
    from . import (
        activations,
        backend,
        backends,
        callbacks,
        config,
        datasets,
        diagnostics,
        errors,
        gradcheck,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        plotting,
        random,
        regularizers,
        utils,
    )
    from .config import get_num_threads, set_num_threads
    from .errors import FastnnError, ModelAdvice
    from .initializers import Initializer
    from .layers import Input, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Model, Sequential, load_model
    from .optimizers import Optimizer
    from .regularizers import Regularizer

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "backend",
    "backends",
    "callbacks",
    "config",
    "datasets",
    "diagnostics",
    "errors",
    "gradcheck",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plotting",
    "random",
    "regularizers",
    "utils",
)
_OPTIONAL = ("estimators", "wrappers")  # they need scikit-learn, so that `import *` leaves them alone
_NAMES = {
    "Model": "models",
    "Sequential": "models",
    "load_model": "models",
    "Input": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "Initializer": "initializers",
    "Regularizer": "regularizers",
    "FastnnError": "errors",
    "ModelAdvice": "errors",
    "get_num_threads": "config",
    "set_num_threads": "config",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES or name in _OPTIONAL:
        return import_module(f".{name}", __name__)
    if name in _NAMES:
        value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    return absent(__name__, name)


def __dir__() -> list[str]:
    here = {name for name, value in globals().items() if not isinstance(value, AbsentModule)}
    return sorted({*here, *_MODULES, *_NAMES})


if Finder not in sys.meta_path:
    sys.meta_path.append(Finder)

__all__ = [
    "FastnnError",
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "ModelAdvice",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "activations",
    "backend",
    "backends",
    "callbacks",
    "config",
    "datasets",
    "diagnostics",
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
    "plotting",
    "random",
    "regularizers",
    "set_num_threads",
    "utils",
]
