"""Public names of Keras that fastnn lacks: they can be imported, and refuse when they are called, subclassed or asked.

A module's `__getattr__` asks `absent`; namespaces that fastnn lacks as a whole are modules of placeholders, which
`Finder` makes when they are imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..errors import AbsentError

_PACKAGE = __name__.partition(".")[0]

# What there is instead of a name, or of a namespace and those below it.
_INSTEAD = {
    "Variable": "a layer's weights are its own: a layer has set_weights and kernel.assign",
    "applications": "fastnn has dense layers; compute features elsewhere and give them as arrays",
    "callbacks.BackupAndRestore": "use ModelCheckpoint, then load_model and fit(initial_epoch=...)",
    "callbacks.OrbaxCheckpoint": "use ModelCheckpoint",
    "callbacks.ProgbarLogger": "use fit(verbose=1)",
    "callbacks.TensorBoard": "use CSVLogger",
    "constraints": "weights have penalties, regularizers.L1, L2 and L1L2, and no constraints",
    "datasets": "there are mnist, fashion_mnist and load_digits; give arrays of your own for others",
    "distribution": "a model trains on the cores of one machine; see config.set_num_threads",
    "export": "use model.save",
    "layers.Identity": 'use layers.Activation("linear")',
    "mixed_precision": "models compute in float32 or float64; see config.set_floatx",
    "ops.transpose": "of arrays use numpy.transpose; ops.matmul takes a weight as it is: give a decoder its own",
    "optimizers.legacy": "its optimizers are in fastnn.optimizers",
    "optimizers.experimental": "its optimizers are in fastnn.optimizers",
    "preprocessing": "give arrays",
    "random": "use numpy.random, for arrays; utils.set_random_seed makes both repeatable",
    "saving.register_keras_serializable": "leave it out: no file holds Python code",
    "saving.load_model": "use fastnn.load_model",
    "saving.save_model": "use fastnn.models.save_model",
    "saving.load_weights": "use model.load_weights",
    "saving.save_weights": "use model.save_weights",
    "tree": "lists and dicts of arrays need none of it",
    "utils.PyDataset": "give arrays; a numpy.memmap may be larger than the memory",
    "utils.Sequence": "give arrays; a numpy.memmap may be larger than the memory",
    "utils.plot_model": "use model.summary",
    "utils.model_to_dot": "use model.summary",
    "utils.register_keras_serializable": "leave it out: no file holds Python code",
    "wrappers": "they need scikit-learn, which is not installed; pip install '.[sklearn]' from the checkout brings it",
}


# Module paths of Keras 1 and 2, whose names are elsewhere now.
_MOVED = {
    **dict.fromkeys(
        (
            *(
                "layers.advanced_activations",
                "layers.convolutional",
                "layers.embeddings",
                "layers.local",
                "layers.merge",
            ),
            *("layers.noise", "layers.pooling", "layers.recurrent", "layers.wrappers", "engine.topology", "engine"),
        ),
        "layers",
    ),
    **dict.fromkeys(("utils.generic_utils", "utils.np_utils", "utils.vis_utils"), "utils"),
    "engine.training": "models",
}
# What there is instead of methods that models had in Keras 1 and 2.
LEFT = {
    "predict_classes": "predict(X).argmax(axis=1)",
    "predict_proba": "predict(X)",
    "fit_generator": "fit, with arrays of all rows, or train_on_batch for each batch",
    "evaluate_generator": "evaluate, with arrays of all rows",
    "predict_generator": "predict, with arrays of all rows",
}


class Placeholder(type):
    """The type of what stands for a name: all that is done with it is refused."""

    refusal: str

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Placeholder:
        for base in bases:
            if isinstance(base, Placeholder):
                raise AbsentError(base.refusal)
        return super().__new__(cls, name, bases, space)

    def __call__(cls, *args: object, **kwargs: object) -> Any:
        raise AbsentError(cls.refusal)

    def __getattr__(cls, name: str) -> Any:
        raise AbsentError(cls.refusal)


class AbsentModule(ModuleType):
    """A namespace of Keras that fastnn lacks."""

    __all__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        return absent(self.__name__, name)


class MovedModule(ModuleType):
    """A module path of an older Keras."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(f"{_PACKAGE}.{_MOVED[_namespace(self.__name__)]}"), name)


class Finder:
    """Finds the namespaces that fastnn lacks; after all others in `sys.meta_path`."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """How to make the module of a namespace; None for any other.

        Raises:
            ImportError: `from tensorflow import keras`, with only the first name changed.
        """
        if f"{name}.".startswith(f"{_PACKAGE}.keras."):
            raise ImportError(f"{_PACKAGE} has Keras's names itself: import {_PACKAGE} as keras")
        known = name.startswith(f"{_PACKAGE}.") and (_namespace(name) in _MOVED or _namespace(name) in keras_names())
        if not known:
            return None
        return ModuleSpec(name, _Loader, is_package=True)  # type: ignore[arg-type]


class _Loader:
    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return (MovedModule if _namespace(spec.name) in _MOVED else AbsentModule)(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """All that it has is made when it is asked for."""


def keras_names() -> dict[str, frozenset[str]]:
    """The public names of Keras by namespace; read when something is missing."""
    from .keras_names import NAMES

    return NAMES


def absent(module: str, name: str, known: Iterable[str] = ()) -> Any:
    """What a module's `__getattr__` gives: a placeholder for a name of Keras, or a module of them.

    Args:
        module: its `__name__`. name: what it lacks. known: what there is instead, for the refusal.

    Raises:
        AttributeError: Keras has no such name either.
    """
    namespace = _namespace(module)
    if name not in keras_names().get(namespace, ()):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    full = f"{namespace}.{name}".lstrip(".")
    if full not in keras_names():
        return _placeholder(namespace, name, ", ".join(known))
    if hasattr(sys.modules[module], "__path__"):
        return import_module(f"{_PACKAGE}.{full}")
    return _module(f"{module}.{name}")


def refused(value: object) -> None:
    """Raises for a placeholder that is given as an argument.

    Raises:
        AbsentError: it is one.
    """
    if isinstance(value, Placeholder):
        raise AbsentError(value.refusal)


@cache
def _placeholder(namespace: str, name: str, known: str) -> Placeholder:
    full = f"{namespace}.{name}".lstrip(".")
    parts = full.split(".")
    above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    instead = next((_INSTEAD[place] for place in above if place in _INSTEAD), known and f"there are {known}")
    refusal = f"{full} of Keras is not supported" + (f"; {instead}" if instead else "")
    space = {"__module__": f"{_PACKAGE}.{namespace}".rstrip("."), "__doc__": refusal, "refusal": refusal}
    return Placeholder(name, (), space)


@cache
def _module(name: str) -> AbsentModule:
    return AbsentModule(name)


def _namespace(module: str) -> str:
    return module.removeprefix(_PACKAGE).lstrip(".")
