"""Data sets to try a network on."""

from __future__ import annotations

from .digits import load_digits

__all__ = ["load_digits"]
