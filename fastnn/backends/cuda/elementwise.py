"""Activations, functions of `fastnn.ops`, and what is a formula of one element."""

from __future__ import annotations

from typing import Any

from ...core import formulas as fo
from .specs import Map, Own, Spec


def _forward(activation: fo.Activation, parameter: str) -> Map:
    return Map(lambda o, e: (activation.forward(o, e.Z, getattr(e, parameter)),))


def _backward(activation: fo.Activation, parameter: str) -> Map:
    saved = "A" if activation.saved == "output" else "Z"
    return Map(lambda o, e: (activation.backward(o, e.dA, getattr(e, saved), getattr(e, parameter)),))


def specs() -> dict[str, Spec]:
    """Of the families of activations, AFFINE, ROW_SCALE, DROPOUT and UNIFORM."""
    made: dict[str, Spec] = {}
    for name, activation in fo.ELEMENTWISE.items():
        parameter = activation.parameter or "unused"
        made[f"{name}_forward"] = _forward(activation, parameter)
        made[f"{name}_backward"] = _backward(activation, parameter)
    return made | {
        "affine": Map(_affine),
        "row_scale": Map(lambda o, e: (e.w * e.factor,)),
        "dropout": Own("dropout"),
        "uniform": Own("uniform"),
    }


def _affine(o: Any, e: Any) -> Any:
    return (fo.affine(o, e.Z, e.scale, e.offset),)
