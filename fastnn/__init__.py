"""Dense neural networks, trained as fast as the hardware allows, from a small API with Keras's names.

What people use first: `Sequential`, a stack of layers, and `Model`, a graph of them, with `compile`, `fit`, `evaluate`,
`predict` and `save`; `load_model`; `layers`, `losses`, `optimizers`, `metrics` and `callbacks`, by Keras's names;
`datasets.load_digits` to try it on; `utils.set_random_seed`, so that runs repeat; `diagnostics.gradient_health`, when a
network does not learn; `estimators` for scikit-learn. Submodules load when they are first used. The types that
signatures name, such as `Arrays`, stand in `fastnn.core.types`; those of one family with it, such as `losses.LossLike`.

    >>> import fastnn
    >>> X, y = fastnn.datasets.load_digits()
    >>> model = fastnn.Sequential([fastnn.layers.Dense(32, "relu"), fastnn.layers.Dense(10, "softmax")])
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> history = model.fit(X[:1500], y[:1500], epochs=20, verbose=0)
    >>> loss, accuracy = model.evaluate(X[1500:], y[1500:], verbose=0)
    >>> bool(accuracy > 0.8)
    True
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
