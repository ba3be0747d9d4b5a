"""The functions of `core/binary.py`, copies of columns, sums over a row, and rows of a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.algebra import Formula, NumpyAlgebra
from ...core.arrays import Array
from ...core.binary import BINARY, BINARY_GRADIENTS
from .softmax import row_sum

Operation = Callable[..., None]


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of the families BINARY and BINARY_BACKWARD, and COPY, FILL, ROW_SUM, REPEAT."""
    table: dict[str, Operation] = {name: _mapped(o, row.forward) for name, row in BINARY.items()}
    for name, side in BINARY_GRADIENTS:
        table[f"{name}_{side}_backward"] = _mapped(o, getattr(BINARY[name], side))

    def copy(A_bo: Array, Z_bo: Array) -> None:
        A_bo[...] = Z_bo

    def fill(A_bo: Array, value: float) -> None:
        A_bo[...] = o.constant(value)

    def sum_of_row(s_b: Array, Z_bo: Array) -> None:
        s_b[...] = row_sum(o, Z_bo)

    def repeat(A_bo: Array, s_b: Array) -> None:
        A_bo[...] = s_b[:, None]

    def embedding_forward(A_be: Array, y_bn: Array, W_vd: Array) -> None:
        A_be[...] = W_vd[y_bn.astype(np.intp)].reshape(A_be.shape)

    def embedding_backward(dW_vd: Array, y_bn: Array, dA_be: Array) -> None:
        for codes, d in zip(y_bn.astype(np.intp), dA_be, strict=True):
            for position, code in enumerate(codes):
                width = dW_vd.shape[1]
                dW_vd[code] = dW_vd[code] + d[position * width : (position + 1) * width]

    table |= {"embedding_forward": embedding_forward, "embedding_backward": embedding_backward}
    return table | {"copy": copy, "fill": fill, "row_sum": sum_of_row, "repeat": repeat}


def _mapped(o: NumpyAlgebra, formula: Formula) -> Operation:
    def run(out: Array, *elements: Array) -> None:
        out[...] = formula(o, *elements)

    return run
