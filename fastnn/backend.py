"""Keras's `backend` module: settings, and `clear_session`. The backends themselves are in `backends`."""

from __future__ import annotations

from typing import Any

from .config import epsilon, floatx, set_floatx
from .core.absent import absent


def clear_session() -> None:
    """Does nothing: models own all that they use, and free it when they go."""


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)


__all__ = ["clear_session", "epsilon", "floatx", "set_floatx"]
