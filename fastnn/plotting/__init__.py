"""Pictures, by matplotlib: `pip install ".[plot]"` in the checkout.

    plotting.curves(history, "curves.png")
    plotting.activations(["sigmoid", "relu"], "activations.svg")

Each function gives a matplotlib figure, which a notebook shows, and writes it where a file is named (.png, .svg, .pdf).
"""

from __future__ import annotations

from .curves import curves, health, log
from .figures import svg
from .networks import activations, weights
from .outcomes import confusion, predictions
from .text import curve

__all__ = ["activations", "confusion", "curve", "curves", "health", "log", "predictions", "svg", "weights"]
