"""Keras's wrappers of models for scikit-learn, and those of older scripts. They need the extra `sklearn`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ..core.absent import absent

_PLACES = {
    "SKLearnClassifier": "compiled",
    "SKLearnRegressor": "compiled",
    "SKLearnTransformer": "compiled",
    "KerasClassifier": "built",
    "KerasRegressor": "built",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        if _PLACES.get(name) == "built":  # Keras has them at their old path alone
            raise ImportError(
                f"fastnn.wrappers.{name} needs scikit-learn, which is not installed; from fastnn's checkout it comes "
                "with pip install '.[sklearn]'"
            )
        return absent(__name__, name, __all__)
    from importlib import import_module

    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


__all__ = list(_PLACES) if find_spec("sklearn") else []
