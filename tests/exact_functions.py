"""The exact values of the functions of `formulas.FUNCTIONS` and of their slopes, for `exact.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FUNCTIONS: dict[str, Callable[[Array], Any]] = {
    "abs": np.abs,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "rsqrt": lambda z: 1 / np.sqrt(z),
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "floor": np.floor,
    "round": np.round,
}
# By what the derivative reads, as `formulas.FUNCTIONS` says: the output or the input.
FUNCTION_SLOPES: dict[str, Callable[[Array], Any]] = {
    "abs": np.sign,
    "sign": np.zeros_like,
    "sqrt": lambda a: 0.5 / a,
    "rsqrt": lambda a: -0.5 * a**3,
    "expm1": lambda a: 1 + a,
    "log": lambda z: 1 / z,
    "log1p": lambda z: 1 / (1 + z),
    "sin": np.cos,
    "cos": lambda z: -np.sin(z),
    "tan": lambda a: 1 + a * a,
    "arctan": lambda z: 1 / (1 + z * z),
    "sinh": np.cosh,
    "cosh": np.sinh,
    "erf": lambda z: 2 * np.exp(-z * z) / np.sqrt(4 * np.arctan(np.ones((), z.dtype))),
    "erfinv": lambda a: np.sqrt(4 * np.arctan(np.ones((), a.dtype))) / 2 * np.exp(a * a),
    "floor": np.zeros_like,
    "round": np.zeros_like,
}
