"""Functions of symbolic tensors, which are rows of a plan then, and of arrays, which are computed at once.

    x = fastnn.Input((8,))
    y = ops.relu(x) + ops.sum(x, axis=-1, keepdims=True)    # a symbolic tensor, for a `Model`
    ops.softmax(np.array([1.0, 2.0, 4.0]))                  # an array, on the default backend with a model's bits

Arrays have one float dtype; other dtypes become `config.floatx()`, and a number takes that of the array beside it.
`out` is an array that the result of arrays is written into, of its shape and dtype. A comparison of arrays is an array
of bool, of tensors one of 1 and 0, whose gradient is 0. The errors of all: ArgumentError for shapes that do not fit,
for an `out` of another shape or dtype, or beside a symbolic tensor; ArgumentTypeError for what is no real number. How
exact each is stands in the operation table of `fastnn/README.md`.
"""

from __future__ import annotations

from typing import Any

from ..core.absent import absent
from .elementwise import (
    abs,
    arctan,
    cos,
    cosh,
    erf,
    erfinv,
    exp,
    expm1,
    floor,
    gelu,
    log,
    log1p,
    negative,
    relu,
    round,
    rsqrt,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softplus,
    sqrt,
    square,
    tan,
    tanh,
)
from .pairs import (
    add,
    clip,
    divide,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    not_equal,
    power,
    subtract,
    where,
)
from .rows import concatenate, log_softmax, matmul, mean, one_hot, shape, softmax, sum


def __getattr__(name: str) -> Any:
    return absent(__name__, name, __all__)


__all__ = [
    "abs",
    "add",
    "arctan",
    "clip",
    "concatenate",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "erfinv",
    "exp",
    "expm1",
    "floor",
    "gelu",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "power",
    "relu",
    "round",
    "rsqrt",
    "shape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "subtract",
    "sum",
    "tan",
    "tanh",
    "where",
]
