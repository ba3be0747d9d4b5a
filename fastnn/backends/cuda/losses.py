"""Losses made of sums over a row and a slope for each element, the accuracy of yes or no, and the sums over the
batch."""

from __future__ import annotations

from typing import Any

from ...core.losses import LOSSES, Loss, Sum
from .specs import Fold, Own, Rows, Spec, largest


def _target(o: Any, e: Any) -> Any:
    return o.fma(e.Y, e.keep, e.add)


def _folds(loss: Loss, parameter: str) -> tuple[Fold, ...]:
    def fold(one: Sum, index: int) -> Fold:
        def step(o: Any, lane: Any, e: Any) -> Any:
            return one.step(o, lane, e.A, _target(o, e), getattr(e, parameter), *e.sums[:index])

        return largest(step) if one.largest else Fold(step)

    return tuple(fold(one, index) for index, one in enumerate(loss.sums))


def _forward(loss: Loss, parameter: str) -> Rows:
    def result(o: Any, e: Any) -> Any:
        value = e.sums[0] if loss.value is None else loss.value(o, *e.sums)
        return (value * e.inverse_columns if loss.mean else value,)

    return Rows(_folds(loss, parameter), None, result)


def _backward(loss: Loss, parameter: str) -> Rows:
    folds = () if loss.value is None else _folds(loss, parameter)

    def element(o: Any, e: Any) -> Any:
        return (loss.slope(o, e.A, _target(o, e), getattr(e, parameter), *e.sums) * e.s,)

    return Rows(folds, element)


def _right(o: Any, lane: Any, e: Any) -> Any:
    return lane + o.select(o.select(e.A > 0.5, 1.0, o.constant(0.0)) == e.Y, 1.0, o.constant(0.0))


def specs() -> dict[str, Spec]:
    """Of the losses by element, binary_accuracy, WEIGHTED_SUM and R2_SUMS."""
    made: dict[str, Spec] = {}
    for name, loss in LOSSES.items():
        parameter = loss.parameter or "unused"
        made[f"{name}_forward"], made[f"{name}_backward"] = _forward(loss, parameter), _backward(loss, parameter)
    return made | {
        "binary_accuracy": Rows((Fold(_right),), None, lambda o, e: (e.sums[0] * e.inverse_columns,)),
        "weighted_sum": Own("weighted_sum"),
        "r2_sums": Own("r2_sums"),
    }
