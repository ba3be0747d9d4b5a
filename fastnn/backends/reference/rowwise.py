"""The layers of `core/rowwise.py`: sums over each row, then a formula for each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.algebra import Formula, NumpyAlgebra
from ...core.arithmetic import LANES
from ...core.arrays import Array
from ...core.rowwise import ROW_WISE, Row, RowWise
from .gemm import column_sum
from .softmax import fold_lanes, row_max

Operation = Callable[..., None]


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of the families ROW_WISE_FORWARD, ROW_WISE_BACKWARD and VECTOR_BACKWARD."""
    table: dict[str, Operation] = {}
    for name, layer in ROW_WISE.items():
        table[f"{name}_forward"] = _forward(o, layer)
        table[f"{name}_backward"] = _backward(o, layer)
        for vector, slope in zip(layer.vectors, layer.slopes, strict=True):
            table[f"{name}_{vector}_backward"] = _vector_backward(o, slope)
    return table


def _forward(o: NumpyAlgebra, layer: RowWise) -> Operation:
    def run(A_bo: Array, Z_bo: Array, *others: Any) -> None:
        row = _row(o, layer, others)
        if layer.maximum:
            row = row._replace(maximum=row_max(o, Z_bo)[:, None])
        row = row._replace(sums=tuple(_sum(o, term, row, Z_bo) for term in layer.forward_sums))
        A_bo[...] = layer.forward(o, Z_bo, row)

    return run


def _backward(o: NumpyAlgebra, layer: RowWise) -> Operation:
    def run(dZ_bo: Array, dA_bo: Array, S_bo: Array, *others: Any) -> None:
        row = _row(o, layer, others)
        row = row._replace(sums=tuple(_sum(o, term, row, dA_bo, S_bo) for term in layer.backward_sums))
        dZ_bo[...] = layer.backward(o, dA_bo, S_bo, row)

    return run


def _vector_backward(o: NumpyAlgebra, slope: Formula) -> Operation:
    def run(dv_o: Array, dA_bo: Array, S_bo: Array) -> None:
        dv_o[...] = column_sum(o, slope, dA_bo, S_bo)

    return run


def _row(o: NumpyAlgebra, layer: RowWise, others: tuple[Any, ...]) -> Row[Any]:
    """What the arguments behind the elements say: vectors, then constants."""
    vectors, constants = others[: len(layer.vectors)], others[len(layer.vectors) :]
    return Row(None, (), tuple(vector[None] for vector in vectors), tuple(o.constant(value) for value in constants))


def _sum(o: NumpyAlgebra, term: Formula, row: Row[Array], *elements: Array) -> Array:
    """The sum (b, 1) of a term over each row: column c in lane c mod 16, then the lanes."""
    rows, columns = elements[0].shape
    lanes = o.value(np.zeros((rows, LANES)))
    for start in range(0, columns, LANES):
        block = slice(start, min(start + LANES, columns))
        width = block.stop - start
        here = row._replace(vectors=tuple(vector[:, block] for vector in row.vectors))
        lanes[:, :width] = term(o, lanes[:, :width], *(array[:, block] for array in elements), here)
    return fold_lanes(lanes, lambda left, right: left + right)[:, None]
