"""Functions of symbolic tensors, which are rows of a plan then, and of arrays, which are computed at once.

    x = fastnn.Input((8,))
    y = ops.relu(x) + ops.mean(x)                   # a symbolic tensor, for a `Model`
    ops.softmax(np.array([[1.0, 2.0, 4.0]]))        # an array, on the default backend with a model's bits

Arrays have rows, (B, ...), of one float dtype; other dtypes become `config.floatx()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .backends import eager
from .core.symbolic import any_tensor, arithmetic, call
from .errors import ArgumentError, ArgumentTypeError


def _apply(name: str, *values: Any, **arguments: Any) -> Any:
    """A function of `symbolic.FUNCTIONS` of tensors or of arrays."""
    if any_tensor(list(values)):
        if len(values) == 2 and not all(map(any_tensor, values)):
            return arithmetic(name, *values)
        return call(name, *values, **arguments)
    return eager.function(name, values, arguments)


def _last(name: str, axis: object) -> None:
    if axis not in (-1, 1):
        raise ArgumentError(f"ops.{name}: axis={axis!r} is not supported, expected -1: the last axis")


def add(x1: Any, x2: Any) -> Any:
    """x1 + x2, by element; one column beside several fits each of them."""
    return _apply("add", x1, x2)


def subtract(x1: Any, x2: Any) -> Any:
    """x1 - x2, by element."""
    return _apply("subtract", x1, x2)


def multiply(x1: Any, x2: Any) -> Any:
    """x1 x2, by element."""
    return _apply("multiply", x1, x2)


def divide(x1: Any, x2: Any) -> Any:
    """x1 / x2, by element."""
    return _apply("divide", x1, x2)


def maximum(x1: Any, x2: Any) -> Any:
    """The larger one by element, NaN where either is; of equal ones each has half of the gradient."""
    return _apply("maximum", x1, x2)


def minimum(x1: Any, x2: Any) -> Any:
    """The smaller one by element, NaN where either is; of equal ones each has half of the gradient."""
    return _apply("minimum", x1, x2)


def negative(x: Any) -> Any:
    """-x."""
    return _apply("scale", x, scale=-1.0, offset=0.0)


def square(x: Any) -> Any:
    """x x."""
    return _apply("square", x)


def exp(x: Any) -> Any:
    """e^x."""
    return _apply("exp", x)


def relu(x: Any) -> Any:
    """x where x > 0, else 0."""
    return _apply("relu", x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return _apply("sigmoid", x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return _apply("tanh", x)


def softplus(x: Any) -> Any:
    """log(1 + e^x)."""
    return _apply("softplus", x)


def silu(x: Any) -> Any:
    """x sigmoid(x)."""
    return _apply("silu", x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """x times the normal distribution function of x; `approximate` is Keras's form by tanh."""
    return _apply("gelu_tanh" if approximate else "gelu", x)


def softmax(x: Any, axis: int = -1) -> Any:
    """e^x / sum of e^x over the last axis."""
    _last("softmax", axis)
    return _apply("softmax", x)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """The logarithm of `softmax`."""
    _last("log_softmax", axis)
    return _apply("log_softmax", x)


def concatenate(xs: Sequence[Any], axis: int = -1) -> Any:
    """The columns of all beside each other."""
    _last("concatenate", axis)
    if not isinstance(xs, list | tuple) or not xs:
        raise ArgumentTypeError(f"ops.concatenate: xs is {type(xs).__name__}, expected a list of tensors or of arrays")
    return _apply("concatenate", *xs)


def sum(x: Any, axis: int = -1, keepdims: bool = False) -> Any:
    """The sum over the last axis of (B, I): (B,), or (B, 1) with `keepdims`."""
    _last("sum", axis)
    return _apply("sum", x, keepdims=keepdims)


def mean(x: Any, axis: int = -1, keepdims: bool = False) -> Any:
    """The mean over the last axis of (B, I): (B,), or (B, 1) with `keepdims`."""
    _last("mean", axis)
    return _apply("mean", x, keepdims=keepdims)


__all__ = [
    "add",
    "concatenate",
    "divide",
    "exp",
    "gelu",
    "log_softmax",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "square",
    "subtract",
    "sum",
    "tanh",
]
