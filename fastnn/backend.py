"""Keras's `backend` module: settings, and `clear_session`. The backends themselves are in `backends`."""

from __future__ import annotations

from .config import epsilon, floatx, set_floatx


def clear_session() -> None:
    """Does nothing: models own all that they use, and free it when they go."""


__all__ = ["clear_session", "epsilon", "floatx", "set_floatx"]
