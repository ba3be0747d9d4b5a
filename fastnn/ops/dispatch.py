"""What every function does first: symbolic tensors become rows of a plan, arrays are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..backends import eager
from ..core.arrays import Array
from ..core.symbolic import Mean, Operand, Tensor, any_tensor, arithmetic, call
from ..core.types import ArrayOrTensor
from ..errors import ArgumentError

# Where the operation of a function has another name.
_OPERATIONS = {"exp": "exponential"}


def unary(function: str, name: str, x: ArrayLike | Operand, out: Array | None = None) -> ArrayOrTensor:
    """A function of each element; `function` is what the caller called."""
    if isinstance(x, Operand):
        no_out(function, out)
        return call(name, x)
    return eager.elementwise(function, _OPERATIONS.get(name, name), x, out)


def binary(
    function: str, name: str, x1: ArrayLike | Operand, x2: ArrayLike | Operand, out: Array | None = None
) -> ArrayOrTensor:
    """A function of two elements."""
    if any_tensor([x1, x2]):
        no_out(function, out)
        return arithmetic(name, x1, x2)
    return eager.binary(function, name, x1, x2, out)


def comparison(function: str, name: str, x1: ArrayLike | Operand, x2: ArrayLike | Operand) -> ArrayOrTensor:
    """Of arrays an array of bool."""
    found = binary(function, name, x1, x2)
    return found if isinstance(found, Tensor) else found.astype(bool)


def no_out(function: str, out: Any) -> None:
    """Refuses `out` beside a symbolic tensor."""
    if out is not None:
        raise ArgumentError(f"ops.{function}: out is for arrays; a symbolic tensor has no values yet")


def last_axis(function: str, x: Any, axis: object) -> None:
    """Refuses another axis than the last."""
    ndim = x.tensor.ndim if isinstance(x, Operand) else np.ndim(x)
    known = (-1, ndim - 1, (-1,), [-1], (ndim - 1,), [ndim - 1])
    if isinstance(axis, bool | np.ndarray) or axis not in known:
        raise ArgumentError(f"ops.{function}: axis={axis!r} is not supported, expected -1: the last axis")


def by_row(function: str, x: Any, axis: int, out: Array | None) -> ArrayOrTensor:
    """A function of each row."""
    if isinstance(x, Operand):
        no_out(function, out)
        last_axis(function, x, axis)
        return call(function, x)
    made = eager.activate(function, 0.0, x, axis)
    return made if out is None else eager.binary(function, "add", made, 0.0, out)


def summed(function: str, x: Any, axis: int | None, keepdims: bool, out: Array | None) -> Any:
    """Of arrays the sum; of a tensor the function, a sum or a mean, of each row."""
    x = x if isinstance(x, Operand) else eager.floating(x, f"ops.{function}: x")
    if axis is not None:
        last_axis(function, x, axis)
    if not isinstance(x, Operand):
        return eager.total(function, x, axis, keepdims, out)
    no_out(function, out)
    if axis is not None:
        return call(function, x, keepdims=keepdims)
    if isinstance(x, Mean):
        return x
    if keepdims or function == "sum":
        raise ArgumentError(
            f"ops.{function}: over all rows of a symbolic tensor it depends on the batch; give axis=-1, of each row, "
            "or take ops.mean, for add_loss"
        )
    return Mean(call("row_mean", x))
