"""The layers of `core/rowwise.py`: sums over each row, then a formula for each element."""

from __future__ import annotations

from typing import Any

from ...core.rowwise import ROW_WISE, Row, RowWise
from .specs import Columns, Fold, Formula, Rows, Spec, maximum_of


def _row(layer: RowWise, e: Any, maximum: bool, count: int | None = None) -> Row:
    sums = e.sums if count is None else e.sums[:count]
    return Row(
        sums[0] if maximum else None,
        tuple(sums[1:] if maximum else sums),
        tuple(getattr(e, vector) for vector in layer.vectors),
        tuple(getattr(e, constant) for constant in layer.constants),
    )


def _saved(layer: RowWise) -> str:
    return "A" if layer.saved == "output" else "Z"


def _forward(layer: RowWise) -> Rows:
    ahead = (maximum_of(lambda e: e.Z),) if layer.maximum else ()

    def fold(term: Formula, index: int) -> Fold:
        return Fold(lambda o, lane, e: term(o, lane, e.Z, _row(layer, e, layer.maximum, index)))

    folds = tuple(fold(term, index) for index, term in enumerate(layer.forward_sums, len(ahead)))
    return Rows((*ahead, *folds), lambda o, e: (layer.forward(o, e.Z, _row(layer, e, layer.maximum)),))


def _backward(layer: RowWise) -> Rows:
    saved = _saved(layer)

    def fold(term: Formula) -> Fold:
        return Fold(lambda o, lane, e: term(o, lane, e.dA, getattr(e, saved), _row(layer, e, False, 0)))

    def element(o: Any, e: Any) -> Any:
        return (layer.backward(o, e.dA, getattr(e, saved), _row(layer, e, False)),)

    return Rows(tuple(map(fold, layer.backward_sums)), element)


def _vector_backward(layer: RowWise, slope: Formula) -> Columns:
    saved = _saved(layer)
    return Columns((lambda o, total, e: slope(o, total, e.dA, getattr(e, saved)),), lambda o, e: (e.sums[0],))


def specs() -> dict[str, Spec]:
    """Of the families ROW_WISE_FORWARD, ROW_WISE_BACKWARD and VECTOR_BACKWARD."""
    made: dict[str, Spec] = {}
    for name, layer in ROW_WISE.items():
        made[f"{name}_forward"], made[f"{name}_backward"] = _forward(layer), _backward(layer)
        for vector, slope in zip(layer.vectors, layer.slopes, strict=True):
            made[f"{name}_{vector}_backward"] = _vector_backward(layer, slope)
    return made
