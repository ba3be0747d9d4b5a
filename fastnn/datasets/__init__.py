"""Data sets to try a network on."""

from __future__ import annotations

from typing import Any

from ..core.absent import absent
from . import fashion_mnist, mnist
from .digits import load_digits


def __getattr__(name: str) -> Any:
    return absent(__name__, name)


def __dir__() -> list[str]:
    return __all__


__all__ = ["fashion_mnist", "load_digits", "mnist"]
