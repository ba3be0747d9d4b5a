"""Steps over the flat parameters, their penalties and limits, and the sums over them."""

from __future__ import annotations

from typing import Any

from ...core import arithmetic as ar
from ...core import formulas as fo
from ...core.steps import OPTIMIZERS, Optimizer
from .specs import Map, Own, Spec


def _step(optimizer: Optimizer) -> Map:
    names = "mvu"[: len(optimizer.slots)]

    def step(o: Any, e: Any) -> Any:
        slots = tuple(getattr(e, name) for name in names)
        scalars = tuple(getattr(e, name) for name in optimizer.scalars)
        theta, new = optimizer.step(o, e.theta, slots, e.g, scalars)
        return theta, *new

    return Map(step)


def specs() -> dict[str, Spec]:
    """Of the families from SUM_ABS to OPTIMIZER_STEP, CLIP_VALUE and GRADIENT_SCALE."""
    made: dict[str, Spec] = {f"{name}_step": _step(optimizer) for name, optimizer in OPTIMIZERS.items()}
    return made | {
        "penalty_backward": Map(lambda o, e: (fo.penalty_slope(o, e.g, e.w, e.l1, e.two_l2),)),
        "decay_step": Map(lambda o, e: (fo.decay(o, e.theta, e.factor),)),
        "clip_value": Map(lambda o, e: (ar.clip(o, e.g, -e.limit, e.limit),)),
        "gradient_scale": Map(lambda o, e: (e.g * e.factor,)),
        "sum_abs": Own("sum_abs"),
        "sum_squares": Own("sum_squares"),
    }
