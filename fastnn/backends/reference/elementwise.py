"""Activations, losses and metrics made of one formula an element, random numbers, and the sums over rows."""

from __future__ import annotations

from collections.abc import Callable

from ...core.algebra import Formula, NumpyAlgebra
from ...core.arrays import Array
from ...core.formulas import ELEMENTWISE
from ...core.losses import LOSSES, Loss
from ...core.random import Purpose, bits32, dropout_threshold
from .chains import chain
from .softmax import row_fold, row_sum

Operation = Callable[..., None]

RANDOM_ROW = 64  # the random numbers of a row start at a multiple of this


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of activations, elementwise losses, dropout, binary_accuracy, and the sums over the rows of a batch."""
    table: dict[str, Operation] = {}
    for name, activation in ELEMENTWISE.items():
        table[f"{name}_forward"] = _activation_forward(o, activation.forward)
        table[f"{name}_backward"] = _activation_backward(o, activation.backward)
    for name, loss in LOSSES.items():
        table[f"{name}_forward"] = _loss_forward(o, loss)
        table[f"{name}_backward"] = _loss_backward(o, loss)

    def binary_accuracy(r_b: Array, A_bc: Array, Y_bc: Array) -> None:
        right = o.select(o.select(A_bc > 0.5, 1.0, 0.0) == Y_bc, 1.0, 0.0)
        r_b[...] = row_sum(o, right) * o.constant(1.0 / A_bc.shape[1])

    def dropout(A_bo: Array, Z_bo: Array, rate: float, seed: int, step: int, layer: int) -> None:
        rows, columns = Z_bo.shape
        bits = random_bits(rows, columns, seed, Purpose.DROPOUT, step, layer)
        A_bo[...] = o.select(bits >= dropout_threshold(rate), Z_bo * o.constant(1.0 / (1.0 - rate)), 0.0)

    def uniform(A_bo: Array, seed: int, step: int, layer: int, row: int) -> None:
        rows, columns = A_bo.shape
        bits = random_bits(rows, columns, seed, Purpose.NOISE, step, layer, row)
        A_bo[...] = (2.0 * (bits >> 9) - 8388607.0) * 2.0**-23  # exact in either dtype

    def row_scale(s_b: Array, w_b: Array, factor: float) -> None:
        s_b[...] = w_b * o.constant(factor)

    wide = NumpyAlgebra("float64")

    def weighted_sum(total_1: Array, l_b: Array, w_b: Array) -> None:
        total_1[...] = chain(wide, w_b[:, None], l_b[:, None], total_1)

    def r2_sums(total_t: Array, A_bc: Array, Y_bc: Array, w_b: Array) -> None:
        columns = A_bc.shape[1]
        sy, syy, see = (total_t[n * columns : (n + 1) * columns] for n in range(3))
        for a, y, w in zip(wide.value(A_bc), wide.value(Y_bc), wide.value(w_b), strict=True):
            sy[...] = wide.fma(w, y, sy)
            syy[...] = wide.fma(w * y, y, syy)
            d = y - a
            see[...] = wide.fma(w * d, d, see)
            total_t[3 * columns] += w

    table |= {
        "binary_accuracy": binary_accuracy,
        "dropout": dropout,
        "uniform": uniform,
        "row_scale": row_scale,
        "weighted_sum": weighted_sum,
        "r2_sums": r2_sums,
    }
    return table


def random_bits(rows: int, columns: int, seed: int, purpose: int, step: int, layer: int, first: int = 0) -> Array:
    """32 bits for each element of some rows, (rows, columns), from row `first` on."""
    stride = -(-columns // RANDOM_ROW) * RANDOM_ROW
    bits = bits32(seed, purpose, step, layer, rows * stride, first * stride)
    return bits.reshape(rows, stride)[:, :columns]


def _activation_forward(o: NumpyAlgebra, formula: Callable[..., object]) -> Operation:
    def forward(A_bo: Array, Z_bo: Array, p: float) -> None:
        A_bo[...] = formula(o, Z_bo, o.constant(p))

    return forward


def _activation_backward(o: NumpyAlgebra, formula: Callable[..., object]) -> Operation:
    def backward(dZ_bo: Array, dA_bo: Array, saved_bo: Array, p: float) -> None:
        dZ_bo[...] = formula(o, dA_bo, saved_bo, o.constant(p))

    return backward


def _loss_forward(o: NumpyAlgebra, loss: Loss) -> Operation:
    def forward(l_b: Array, A_bc: Array, Y_bc: Array, p: float, keep: float, add: float) -> None:
        sums = _loss_sums(o, loss, A_bc, o.fma(Y_bc, keep, add), o.constant(p))
        value = (sums[0] if loss.value is None else loss.value(o, *sums))[:, 0]
        l_b[...] = value * o.constant(1.0 / A_bc.shape[1]) if loss.mean else value

    return forward


def _loss_backward(o: NumpyAlgebra, loss: Loss) -> Operation:
    def backward(dA_bc: Array, A_bc: Array, Y_bc: Array, s_b: Array, p: float, keep: float, add: float) -> None:
        Y_bc, parameter = o.fma(Y_bc, keep, add), o.constant(p)
        sums = [] if loss.value is None else _loss_sums(o, loss, A_bc, Y_bc, parameter)
        dA_bc[...] = loss.slope(o, A_bc, Y_bc, parameter, *sums) * s_b[:, None]

    return backward


def _loss_sums(o: NumpyAlgebra, loss: Loss, A_bc: Array, Y_bc: Array, parameter: Array) -> list[Array]:
    """The sums of each row, (b, 1), which read those before them."""
    sums: list[Array] = []
    for step, largest in loss.sums:

        def accumulate(a: Array, y: Array, lane: Array, step: Formula = step) -> Array:
            made: Array = step(o, lane, a, y, parameter, *sums)
            return made

        sums.append(row_fold(o, accumulate, A_bc, Y_bc, largest=largest)[:, None])
    return sums
