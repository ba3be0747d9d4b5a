"""The functions of `core/binary.py`, copies of columns, and sums over a row."""

from __future__ import annotations

from collections.abc import Callable

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

    return table | {"copy": copy, "fill": fill, "row_sum": sum_of_row, "repeat": repeat}


def _mapped(o: NumpyAlgebra, formula: Formula) -> Operation:
    def run(out: Array, *elements: Array) -> None:
        out[...] = formula(o, *elements)

    return run
