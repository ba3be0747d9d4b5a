"""What is wrong with a network, by what one step shows of its layers, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LEAST_ROWS = 16  # of which a unit that is 0 in all of them is dead, and not only off by chance
_MOST_DEAD = 0.7  # a share of units; a half are dead in some networks of relus that learn well
_MOST_SATURATED = 0.5  # a share of outputs
_VANISHED, _EXPLODED = 1e-3, 1e3  # gradients of an early layer's outputs, as parts of those of the last hidden layer
_SLOW, _FAST = 1e-7, 1e-1  # the RMS of a step's changes as a part of that of the weights
_SQUASHING = ("sigmoid", "tanh", "softsign", "hard_sigmoid")
# The first step of Adam and others is by the learning rate in every weight, that of FTRL leaves next to nothing of what
# weights began with; later ones do not.
_FAST_FIRST = 1.5


@dataclass(frozen=True)
class LayerHealth:
    """One call of a layer in one step.

    Attributes:
        name: the layer's label. kind: its class. activation: the name of what it ends with, or "linear".
        hidden: whether it is no output of the model.
        weights, gradients: RMS of its largest trained weight, and of the gradient of that; NaN without one.
        outputs, mean: RMS and mean of what it gives. output_gradients: RMS of the gradient of that; NaN where no
            program makes it.
        saturated: the share of outputs whose slope is under 5 % of the steepest; NaN but for sigmoids and tanh.
        dead: the share of units that are 0 for all rows; NaN but for relus. zeros: the share of outputs that are 0.
        update: RMS of what the next step changes, as a part of `weights`; NaN without weights.
        alike: whether all units have the same weights and the same gradients.
    """

    name: str
    kind: str
    activation: str
    hidden: bool
    weights: float
    gradients: float
    outputs: float
    mean: float
    output_gradients: float
    saturated: float
    dead: float
    zeros: float
    update: float
    alike: bool


class Shown(NamedTuple):
    """What a step shows: of the calls of layers, the loss, of how many rows, and how many steps were taken before."""

    layers: Sequence[LayerHealth]
    loss: float
    rows: int
    steps: int

    @property
    def hidden(self) -> list[LayerHealth]:
        """The calls that train weights and are no outputs."""
        return [one for one in self.layers if one.hidden and not math.isnan(one.weights)]

    @property
    def graded(self) -> list[LayerHealth]:
        """The hidden ones whose outputs have gradients, where there are two at least."""
        found = [one for one in self.hidden if not math.isnan(one.output_gradients)]
        return found if len(found) > 1 and found[-1].output_gradients > 0 else []


def verdict(shown: Shown) -> tuple[str, str]:
    """Of what goes wrong together, the first cause, and what to do."""
    for name, rule in _RULES.items():
        if text := rule(shown):
            return name, text
    return "healthy", "gradients reach every layer, and steps are of a good size"


Rule = Callable[[Shown], str | None]


def _not_finite(shown: Shown) -> str | None:
    bad = next((one for one in shown.layers if not math.isfinite(one.outputs) or math.isinf(one.gradients)), None)
    if bad is None and math.isfinite(shown.loss):
        return None
    where = f'"{bad.name}" gives' if bad else "the loss is"
    return (
        f"{where} NaN or infinity; try a smaller learning rate, clipnorm=1.0 in the optimizer, or X scaled to about 1"
    )


def _symmetric(shown: Shown) -> str | None:
    bad = next((one for one in shown.hidden if one.alike), None)
    if bad is None:
        return None
    return (
        f'all units of "{bad.name}" have the same weights and the same gradients, so they stay one unit; leave '
        "kernel_initializer out"
    )


def _dead(shown: Shown) -> str | None:
    dead = [one for one in shown.layers if one.hidden and one.dead > _MOST_DEAD]
    if not dead or shown.rows < LEAST_ROWS:
        return None
    bad = max(dead, key=lambda one: one.dead)
    return (
        f'{bad.dead:.0%} of the units of "{bad.name}" are 0 for all rows and learn nothing: they are dead; try a '
        "smaller learning rate, he_normal weights, biases that begin at 0, or leaky_relu"
    )


def _saturated(shown: Shown) -> str | None:
    flat = [one for one in shown.layers if one.hidden and one.saturated > _MOST_SATURATED]
    if not flat:
        return None
    bad = max(flat, key=lambda one: one.saturated)
    return (
        f'{bad.saturated:.0%} of the outputs of "{bad.name}" lie where {bad.activation} is flat: it is saturated; '
        "scale X to about 1, begin with smaller weights, or put BatchNormalization before it"
    )


def _exploding(shown: Shown) -> str | None:
    graded = shown.graded
    bad = max(graded, key=lambda one: one.output_gradients, default=None)
    if bad is None or bad.output_gradients < _EXPLODED * graded[-1].output_gradients:
        return None
    return (
        f"{_gradients_of(bad, graded)} times the last hidden layer's: they explode; try he_normal (relu) or "
        "glorot_uniform weights, BatchNormalization, or clipnorm=1.0 in the optimizer"
    )


def _vanishing(shown: Shown) -> str | None:
    graded = shown.graded
    bad = min(graded, key=lambda one: one.output_gradients, default=None)
    if bad is None or bad.output_gradients > _VANISHED * graded[-1].output_gradients:
        return None
    squashes = any(one.activation in _SQUASHING for one in shown.layers if one.hidden)
    cure = "relu with he_normal" if squashes else "he_normal weights, shortcuts (layers.Add)"
    return f"{_gradients_of(bad, graded)} of the last hidden layer's: they vanish; try {cure}, or BatchNormalization"


def _gradients_of(bad: LayerHealth, graded: Sequence[LayerHealth]) -> str:
    part = bad.output_gradients / graded[-1].output_gradients
    return f'gradients of layer {graded.index(bad) + 1} of {len(graded)}, "{bad.name}", are {part:.0e}'


def _still(shown: Shown) -> str | None:
    updates = sorted(one.update for one in shown.layers if not math.isnan(one.update))
    if not updates or shown.loss == 0.0:
        return None
    if updates[-1] < _SLOW:
        by = f"changes weights by {updates[-1]:.0e} of their size at most" if updates[-1] else "does not change weights"
        return f"a step {by}: nothing is learned; try a larger learning rate, or X and y scaled to about 1"
    finite = [one for one in updates if math.isfinite(one)]  # the first step from weights of 0 is infinitely large
    middle = finite[len(finite) // 2] if finite else 0.0
    if middle > (_FAST if shown.steps else _FAST_FIRST):
        return (
            f"a step changes weights by {middle:.2g} of their size, which forgets what was learned; try a "
            "smaller learning rate"
        )
    return None


_RULES: Mapping[str, Rule] = {
    "exploding": lambda shown: _not_finite(shown) or _exploding(shown),
    "symmetric": _symmetric,
    "dead units": _dead,
    "saturated": _saturated,
    "vanishing": _vanishing,
    "not learning": _still,
}


__all__ = ["LayerHealth", "Shown", "verdict"]
