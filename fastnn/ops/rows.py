"""Functions of whole rows or matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import config
from ..backends import eager
from ..core.arrays import numeric
from ..core.declaration import whole
from ..core.symbolic import Mean, Operand, Tensor, any_tensor, call, product
from ..core.types import ArrayOrTensor
from ..errors import ArgumentError, ArgumentTypeError
from .dispatch import by_row, last_axis, no_out, summed
from .pairs import multiply

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..core.arrays import Array


def concatenate(xs: Sequence[ArrayLike | Tensor], axis: int = 0) -> ArrayOrTensor:
    """All behind each other along an axis, of tensors the last.

    >>> concatenate([[[1.0, 2.0]], [[3.0]]], axis=-1)
    array([[1., 2., 3.]])
    """
    if not isinstance(xs, list | tuple) or not xs:
        raise ArgumentTypeError(f"ops.concatenate: xs is {type(xs).__name__}, expected a list of tensors or of arrays")
    if not any_tensor(xs):
        arrays = [eager.floating(x, f"ops.concatenate: xs[{n}]") for n, x in enumerate(xs)]
        try:
            return np.concatenate(arrays, whole("ops.concatenate", "axis", axis, -arrays[0].ndim))
        except ValueError:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ArgumentError(f"ops.concatenate: shapes {shapes} do not fit each other along axis {axis}") from None
    if not all(isinstance(x, Operand) for x in xs):
        raise ArgumentTypeError("ops.concatenate: xs has symbolic tensors and arrays, expected one of both")
    last_axis("concatenate", xs[0], axis)
    return call("concatenate", *xs)


def log_softmax(x: ArrayLike | Tensor, axis: int = -1, out: Array | None = None) -> ArrayOrTensor:
    """The logarithm of `softmax`.

    >>> log_softmax([0.0, 0.0])
    array([-0.69314718, -0.69314718])
    """
    return by_row("log_softmax", x, axis, out)


def matmul(x1: ArrayLike | Tensor, x2: ArrayLike | Tensor, out: Array | None = None) -> ArrayOrTensor:
    """The product of matrices, (M, K) and (K, N); of a tensor (B, K) and a weight (K, N) of its layer.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    array([[11.]])
    """
    if any_tensor([x1, x2]):
        no_out("matmul", out)
        return product(x1, x2)
    return eager.matmul(x1, x2, out)


def mean(
    x: ArrayLike | Tensor, axis: int | None = None, keepdims: bool = False, out: Array | None = None
) -> ArrayOrTensor | Mean:
    """The mean over the last axis, or over everything: of a symbolic tensor one number for the batch, for `add_loss`.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=-1)
    array([1.5, 3.5])
    """
    if isinstance(x, Operand):
        return summed("mean", x, axis, keepdims, out)
    given = eager.floating(x, "ops.mean: x")
    count = given.size if axis is None or not given.ndim else given.shape[-1]
    return multiply(summed("mean", given, axis, keepdims, out), 1.0 / count if count else np.nan, out)


def one_hot(x: ArrayLike | Tensor, num_classes: int, axis: int = -1) -> ArrayOrTensor:
    """1 in the column of a class number, 0 in the others; all 0 for a number out of range.

    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    last_axis("one_hot", x, axis) if axis != -1 else None
    if isinstance(x, Tensor):
        if x.row not in ((), (1,)):
            raise ArgumentError(f"ops.one_hot: {x!r} has several class numbers in a row, expected one")
        return call("one_hot", x, classes=whole("ops.one_hot", "num_classes", num_classes))
    codes = numeric(x, "ops.one_hot: x")
    columns = np.arange(whole("ops.one_hot", "num_classes", num_classes))
    return (codes[..., None] == columns).astype(config.floatx())


def shape(x: ArrayLike | Tensor) -> tuple[int | None, ...]:
    """The shape; that of a tensor has None for the rows.

    >>> shape([[1.0, 2.0]])
    (1, 2)
    """
    return x.shape if isinstance(x, Tensor) else np.shape(x)


def softmax(x: ArrayLike | Tensor, axis: int = -1, out: Array | None = None) -> ArrayOrTensor:
    """e^x / sum of e^x over the last axis, of arrays any.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    return by_row("softmax", x, axis, out)


def sum(
    x: ArrayLike | Tensor, axis: int | None = None, keepdims: bool = False, out: Array | None = None
) -> ArrayOrTensor:
    """The sum over the last axis, or of an array over everything.

    >>> sum([[1.0, 2.0], [3.0, 4.0]])
    array(10.)
    """
    return summed("sum", x, axis, keepdims, out)
