"""Functions, activations, layers, losses and metrics of arrays, at once: on the default backend, a model's bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import backends, config
from ..core.arrays import Array, numeric
from ..core.collecting import smoothing
from ..core.declaration import whole
from ..core.formulas import ACTIVATIONS
from ..core.losses import LOSS_FACTS
from ..core.lowering import Lowering
from ..core.specs import LossSpec
from ..core.state import State
from ..errors import ArgumentError

if TYPE_CHECKING:
    from .protocol import Backend

Totals = npt.NDArray[np.float64]


class Pair(NamedTuple):
    """Targets and predictions, a row for each value of a loss."""

    y: Array  # (n, C), or class numbers (n,)
    a: Array  # (n, C), of the same dtype
    shape: tuple[int, ...]  # of the values: that of the predictions without the last axis


@cache
def _operations(backend: str, dtype: str) -> Mapping[str, Callable[..., None]]:
    return backends.get(backend).operations(dtype)


def _operation(name: str, dtype: np.dtype[Any]) -> Callable[..., None]:
    return _operations(backends.get().name, dtype.name)[name]


def floating(value: object, name: str) -> Array:
    """A float32 or float64 array; other dtypes become `config.floatx()`."""
    array = numeric(value, name)
    return array if array.dtype.name in ("float32", "float64") else array.astype(config.floatx())


def activate(name: str, parameter: float, x: object, axis: int = -1) -> Array:
    """An activation of an array of any shape; one that needs whole rows, such as softmax, runs along `axis`.

    Raises:
        ArgumentError: softmax of a number, or an axis that x does not have. ArgumentTypeError: not real numbers.
    """
    given = floating(x, "x")
    if name == "linear" or not given.size:
        return given.copy()
    if name not in ACTIVATIONS:
        axis = whole(name, "axis", axis, -given.ndim - 1)
        if not -given.ndim <= axis < given.ndim:
            raise ArgumentError(f"{name}: x has shape {given.shape}, which has no axis {axis}")
        rows = np.ascontiguousarray(np.moveaxis(given, axis, -1))
        out = np.empty_like(rows)
        _operation(f"{name}_forward", given.dtype)(_flat(out), _flat(rows))
        return np.moveaxis(out, -1, axis)
    out = np.empty(given.shape, given.dtype)
    _operation(f"{name}_forward", given.dtype)(_flat(out), _flat(np.ascontiguousarray(given)), parameter)
    return out


def _flat(array: Array) -> Array:
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1] if array.ndim else 1)


def forward(
    lower: Callable[[Lowering], object],
    arrays: Sequence[Array],
    weights: Sequence[Array],
    dtype: str,
    backend: Backend | None = None,
) -> Array:
    """What a layer alone makes of rows, in inference mode.

    Args:
        lower: adds the layer's instructions on the builder's inputs. arrays: (B, I) of each input, any real dtype.
        weights: in the order of its parameters. dtype: of the result, "float32" or "float64". backend: None is the
            default one.

    Returns:
        (B, O).
    """
    builder = Lowering(dtype, *(array.shape[1] for array in arrays))
    lower(builder)
    plan = builder.finish()
    state = State(plan)
    for parameter, weight in zip(plan.layout.parameters, weights, strict=True):
        state.view(parameter)[...] = weight
    out = np.empty((len(arrays[0]), *plan.widths), plan.dtype)
    backends.get(backend).program(plan, state).forward(arrays, (out,))
    return out


def elementwise(function: str, name: str, x: object, out: Array | None = None) -> Array:
    """A function of `formulas.ELEMENTWISE` of an array of any shape.

    Args:
        function: its name for callers. out: where the result goes, of the shape and the dtype of x.

    Raises:
        ArgumentError: an out of another shape or dtype. ArgumentTypeError: not real numbers.
    """
    given = np.asarray(floating(x, f"ops.{function}: x"), order="C")
    operation = _operation(f"{name}_forward", given.dtype)
    return _into(function, out, given.shape, (given,), lambda made: operation(_flat(made), _flat(given), 0.0))


def binary(function: str, name: str, a: object, b: object, out: Array | None = None) -> Array:
    """A function of `binary.BINARY` of two arrays, whose shapes are broadcast; a number takes the other's dtype.

    Raises:
        ArgumentError: shapes that do not fit, an out of another shape or dtype. ArgumentTypeError: not real numbers.
    """
    left, right = floating(a, f"ops.{function}: x1"), floating(b, f"ops.{function}: x2")
    dtype = _shared_dtype(left, right)
    try:
        left, right = (np.asarray(array, dtype, order="C") for array in np.broadcast_arrays(left, right))
    except ValueError:
        raise ArgumentError(
            f"ops.{function}: the arrays have shapes {left.shape} and {right.shape}, which do not fit each other"
        ) from None
    operation = _operation(name, dtype)
    return _into(
        function, out, left.shape, (left, right), lambda made: operation(_flat(made), _flat(left), _flat(right))
    )


def _shared_dtype(left: Array, right: Array) -> np.dtype[Any]:
    return np.result_type(*([array.dtype for array in (left, right) if array.ndim] or [left.dtype]))


def where(condition: object, a: object, b: object) -> Array:
    """a where the condition, of any real dtype, is other than 0, else b; see `binary`."""
    left, right = floating(a, "ops.where: x1"), floating(b, "ops.where: x2")
    dtype = _shared_dtype(left, right)
    chosen = (numeric(condition, "ops.where: condition") != 0).astype(dtype)
    kept, dropped = (
        binary("where", name, array.astype(dtype), chosen) for name, array in (("keep", left), ("drop", right))
    )
    return binary("where", "add", kept, dropped)


def total(function: str, x: object, axis: int | None, keepdims: bool, out: Array | None = None) -> Array:
    """The sum over the last axis, or over everything.

    Raises:
        ArgumentError: an out of another shape or dtype. ArgumentTypeError: not real numbers.
    """
    given = floating(x, f"ops.{function}: x")
    rows = np.ascontiguousarray(given.reshape(1, -1) if axis is None else _flat(given))
    kept = (1,) * given.ndim if axis is None else (*given.shape[:-1], 1)
    shape = kept if keepdims else kept[:-1] if axis is not None else ()
    operation = _operation("row_sum", given.dtype)
    return _into(function, out, shape, (rows,), lambda made: operation(made.reshape(-1), rows))


def matmul(a: object, b: object, out: Array | None = None) -> Array:
    """The product of matrices (M, K) and (K, N); a vector is a row on the left, a column on the right.

    Raises:
        ArgumentError: shapes that do not fit, an out of another shape or dtype. ArgumentTypeError: not real numbers.
    """
    left, right = floating(a, "ops.matmul: x1"), floating(b, "ops.matmul: x2")
    if not (0 < left.ndim < 3 and 0 < right.ndim < 3) or left.shape[-1] != right.shape[0]:
        raise ArgumentError(f"ops.matmul: shapes {left.shape} and {right.shape}, expected (M, K) and (K, N)")
    dtype = np.result_type(left.dtype, right.dtype)
    A = np.ascontiguousarray(np.atleast_2d(left), dtype)
    B = np.ascontiguousarray(right if right.ndim == 2 else right[:, None], dtype)
    shape = (*left.shape[:-1], *right.shape[1:])
    operation = _operation("gemm_nn", dtype)
    return _into("matmul", out, shape, (A, B), lambda made: operation(made.reshape(len(A), B.shape[1]), A, B))


def _into(
    function: str, out: Array | None, shape: tuple[int, ...], given: tuple[Array, ...], run: Callable[[Array], None]
) -> Array:
    """What `run` writes into a new array, or into `out`."""
    dtype = given[0].dtype
    if out is None or not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        if out is not None:
            found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ArgumentError(f"ops.{function}: out is {found}, expected an array of {dtype} {shape}")
        out = np.empty(shape, dtype)
    elif not out.flags.writeable:
        raise ArgumentError(f"ops.{function}: out is read-only")
    direct = (
        out.flags.c_contiguous and out.flags.aligned and not any(np.may_share_memory(out, array) for array in given)
    )
    made = out if direct else np.empty(shape, dtype)
    if math.prod(shape) and given[0].size:
        run(made)
    elif not given[0].size:
        made.fill(0.0)
    if not direct:
        out[...] = made
    return out


def pair(where: str, y_true: object, y_pred: object, sparse: bool) -> Pair:
    """The rows of targets and predictions; (n,) beside (n, 1) means (n, 1).

    Args:
        where: what reads them, for messages. sparse: whether targets are class numbers.

    Raises:
        ArgumentError: shapes that do not fit, or class numbers out of range. ArgumentTypeError: not real numbers.
    """
    y, a = numeric(y_true, "y_true"), floating(y_pred, "y_pred")
    shapes = f"{where}: y_true has shape {y.shape} and y_pred {a.shape}"
    if a.ndim == 0:
        raise ArgumentError(f"{shapes}; expected predictions in rows")
    if sparse:
        if y.shape not in (a.shape[:-1], (*a.shape[:-1], 1)):
            raise ArgumentError(f"{shapes}; expected a class number for each row of y_pred")
        labels = y.reshape(-1)
        if labels.size and not ((labels >= 0) & (labels < a.shape[-1]) & (labels == np.floor(labels))).all():
            raise ArgumentError(f"{where}: y_true holds other values than the class numbers 0 to {a.shape[-1] - 1}")
        return Pair(np.ascontiguousarray(labels, a.dtype), np.ascontiguousarray(_flat(a)), a.shape[:-1])
    if y.shape == (*a.shape, 1):
        a = a[..., None]
    elif (*y.shape, 1) == a.shape:
        y = y[..., None]
    if y.shape != a.shape:
        raise ArgumentError(f"{shapes}; expected the same shape for both")
    return Pair(np.ascontiguousarray(_flat(y), a.dtype), np.ascontiguousarray(_flat(a)), a.shape[:-1])


def losses(spec: LossSpec, rows: Pair) -> Array:
    """The loss of each row, (n,)."""
    name = LOSS_FACTS[spec.name].logits if spec.from_logits else spec.name
    out = np.empty(len(rows.a), rows.a.dtype)
    outs = (out, np.empty_like(rows.a)) if LOSS_FACTS[name].softmax else (out,)  # those give the softmax too
    scalars = smoothing(spec.parameter, spec.label_smoothing, name, rows.a.shape[1])
    _operation(f"{name}_forward", rows.a.dtype)(*outs, rows.a, rows.y, *scalars)
    return out


def metric(name: str, rows: Pair) -> Array:
    """A metric of `losses.ROW_METRICS` of each row, (n,)."""
    out = np.empty(len(rows.a), rows.a.dtype)
    _operation(name, rows.a.dtype)(out, rows.a, rows.y)
    return out


def is_sparse(spec: LossSpec) -> bool:
    """Whether the targets of a loss are class numbers."""
    return LOSS_FACTS[spec.name].classes


def weights(where: str, sample_weight: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The weight of each row, (n,), from None, one number, or an array.

    Args:
        where: what reads them, for messages. shape: of the rows' values.

    Raises:
        ArgumentError: another shape. ArgumentTypeError: not real numbers.
    """
    n = math.prod(shape)
    if sample_weight is None:
        return np.ones(n, dtype)
    w = numeric(sample_weight, "sample_weight")
    if w.ndim and w.shape not in (shape, (*shape, 1)):
        raise ArgumentError(
            f"{where}: sample_weight has shape {w.shape}, expected {shape}: one weight for each row of y_pred"
        )
    return np.ascontiguousarray(np.broadcast_to(w.reshape(-1), n), dtype)


def weighted_total(row_values: Array, w: Array) -> float:
    """The sum of w times the values, in row order, float64."""
    total = np.zeros(1)
    _operation("weighted_sum", w.dtype)(total, row_values, w)
    return float(total[0])


def r2_totals(totals: Totals, rows: Pair, w: Array) -> None:
    """Adds the sums that r2_score is made of to (3 C + 1,) totals."""
    _operation("r2_sums", w.dtype)(totals, rows.a, rows.y, w)
