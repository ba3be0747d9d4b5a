"""What declarations say to `lowering.py`: a parameter, a loss, a metric, an optimizer."""

from __future__ import annotations

from typing import NamedTuple


class Penalty(NamedTuple):
    """l1 * sum |w| + l2 * sum w^2."""

    l1: float = 0.0
    l2: float = 0.0


class ParameterSpec(NamedTuple):
    """How one parameter is trained: `decay` says whether decoupled weight decay applies to it."""

    penalty: Penalty = Penalty()
    trainable: bool = True
    decay: bool = True


TRAINED = ParameterSpec()


class LossSpec(NamedTuple):
    """A loss for `Lowering.finish`: a name of `formulas.LOSS_NAMES` or "categorical_crossentropy"-like with
    `from_logits`."""

    name: str
    from_logits: bool = False
    parameter: float = 0.0  # huber's delta, Lp's p, the quantile
    label_smoothing: float = 0.0


class MetricSpec(NamedTuple):
    """A metric for `Lowering.finish`: a name of `formulas.METRIC_NAMES`, the loss's parameters where it is one, and
    whether rows count by their weights, and the number of the output that it is of."""

    name: str
    parameter: float = 0.0
    label_smoothing: float = 0.0
    weighted: bool = False
    output: int = 0


class OptimizerSpec(NamedTuple):
    """An optimizer for `Lowering.finish`: a name of `steps.OPTIMIZERS`, and the hyper-parameters that its row calls
    `constants`.

    `initial`: of each slot; () is zeros. `clip`: "", or "value", "norm" or "global_norm" for gradients of at most
    `limit`.
    """

    name: str
    constants: tuple[float, ...] = ()
    weight_decay: float = 0.0
    initial: tuple[float, ...] = ()
    clip: str = ""
    limit: float = 0.0
