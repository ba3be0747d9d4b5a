"""Data sets to try a network on."""

from __future__ import annotations

from . import fashion_mnist, mnist
from .digits import load_digits

__all__ = ["fashion_mnist", "load_digits", "mnist"]
