"""`keras.wrappers.scikit_learn` of older scripts; needs the extra `sklearn`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ..core.absent import absent

_NAMES = ["BaseWrapper", "KerasClassifier", "KerasRegressor"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        return absent(__name__, name, __all__)
    from . import built

    return getattr(built, name)


__all__ = _NAMES if find_spec("sklearn") else []
