"""Losses of symbolic tensors, a value for each row, made of `fastnn.ops`: what `add_loss` takes the mean of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..core.collecting import smoothing
from ..core.losses import EPSILON, PROBABILITY_FLOOR
from ..core.specs import LossSpec
from ..core.symbolic import Operand, Tensor
from ..errors import ArgumentError


def _binary(y: Any, a: Any) -> Any:
    q = ops.clip(a, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return ops.mean(-(y * ops.log(q) + (1.0 - y) * ops.log(1.0 - q)), axis=-1)


def _binary_of_logits(y: Any, z: Any) -> Any:
    return ops.mean(ops.softplus(z) - y * z, axis=-1)


def _categorical(y: Any, a: Any) -> Any:
    q = ops.clip(a / ops.sum(a, axis=-1, keepdims=True), PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return -ops.sum(y * ops.log(q), axis=-1)


def _divergence(y: Any, a: Any) -> Any:
    t, q = ops.clip(y, EPSILON, 1.0), ops.clip(a, EPSILON, 1.0)
    return ops.sum(t * ops.log(t / q), axis=-1)


_ROWS: dict[str, Callable[[Any, Any], Any]] = {
    "mean_squared_error": lambda y, a: ops.mean(ops.square(a - y), axis=-1),
    "mean_absolute_error": lambda y, a: ops.mean(ops.abs(a - y), axis=-1),
    "binary_crossentropy": _binary,
    "binary_crossentropy of logits": _binary_of_logits,
    "categorical_crossentropy": _categorical,
    "categorical_crossentropy of logits": lambda y, z: -ops.sum(y * ops.log_softmax(z), axis=-1),
    "kl_divergence": _divergence,
    "poisson": lambda y, a: ops.mean(a - y * ops.log(a + EPSILON), axis=-1),
}


def rows(where: str, spec: LossSpec, y_true: object, y_pred: object) -> Tensor:
    """The loss of each row.

    Raises:
        ArgumentError: a loss that arrays alone have, an array beside a tensor, or shapes that do not fit.
    """
    name = f"{spec.name} of logits" if spec.from_logits else spec.name
    if name not in _ROWS:
        raise ArgumentError(
            f"{where}: it takes arrays; of tensors there are {', '.join(_ROWS)}; give it to compile, or compose it of "
            "fastnn.ops"
        )
    for given in (y_true, y_pred):
        if not isinstance(given, Operand):
            raise ArgumentError(f"{where}: it was given {given!r} beside a symbolic tensor; make it an Input")
    y: Any = y_true
    if spec.label_smoothing:
        _, keep, add = smoothing(0.0, spec.label_smoothing, spec.name, y.tensor.size)
        y = y * keep + add
    made: Tensor = _ROWS[name](y, y_pred)
    return made
