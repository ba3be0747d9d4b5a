"""Callbacks: objects whose hooks are called at a training's events, may act on them, and may end it.

    stop = EarlyStopping(patience=5, restore_best_weights=True)
    keep = ModelCheckpoint("best-{epoch:02d}-{val_loss:.3f}.safetensors", save_best_only=True)
    model.fit(X, y, epochs=100, validation_split=0.1, callbacks=[stop, keep, CSVLogger("log.csv")])

One of your own inherits from `Callback` and overrides the hooks that it needs. A hook of batches makes every step
return to Python; without one, many steps run at a time.
"""

from __future__ import annotations

from typing import Any

from ..core.absent import absent
from .base import Callback, CallbackList, History, LambdaCallback
from .files import CSVLogger, ModelCheckpoint
from .monitor import Monitor
from .rates import LearningRateScheduler, ReduceLROnPlateau
from .stopping import EarlyStopping, NonFiniteLossError, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Monitor",
    "NonFiniteLossError",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)
