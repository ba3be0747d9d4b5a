"""The functions of `core/binary.py`, copies of columns, sums over a row, and rows of a table."""

from __future__ import annotations

from typing import Any

from ...core.binary import BINARY, BINARY_GRADIENTS
from .specs import Formula, Map, Own, Rows, Spec, sum_of


def _forward(formula: Formula) -> Map:
    return Map(lambda o, e: (formula(o, e.A, e.B),))


def _backward(formula: Formula) -> Map:
    return Map(lambda o, e: (formula(o, e.dC, e.A, e.B),))


def _copied(name: str) -> Map:
    def copied(o: Any, e: Any) -> Any:
        return (getattr(e, name),)

    return Map(copied)


def specs() -> dict[str, Spec]:
    """Of the families BINARY and BINARY_BACKWARD, and from COPY to EMBEDDING_BACKWARD."""
    made: dict[str, Spec] = {name: _forward(row.forward) for name, row in BINARY.items()}
    for name, side in BINARY_GRADIENTS:
        made[f"{name}_{side}_backward"] = _backward(getattr(BINARY[name], side))
    return made | {
        "copy": _copied("Z"),
        "fill": _copied("value"),
        "row_sum": Rows((sum_of(lambda e: e.Z),), None, lambda o, e: (e.sums[0],)),
        "repeat": _copied("s"),
        "embedding_forward": Own("embedding_forward"),
        "embedding_backward": Own("embedding_backward"),
    }
