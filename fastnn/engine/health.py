"""What one step shows of a network's health: sizes of weights, activations and gradients by layer, and a verdict."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..backends.data import Data
from ..core.arrays import Array
from ..core.lowering import Lowering
from ..core.plan import SUM_COUNT, SUM_LOSS, Clip, Counter, InputEntry, OptimizerEntry
from ..core.state import State
from ..core.tables import as_html, as_text
from ..layers import Layer, Rules
from . import graph, probes
from .compiling import Held, carry_over, carry_parameters
from .verdicts import LayerHealth, Shown
from .verdicts import verdict as judged

if TYPE_CHECKING:
    from ..backends.protocol import Program
    from .model import TrainableModel
    from .requests import Rows

_FLAT = 0.05  # of the steepest slope: an output there is saturated
_ALIKE = 1e-5  # of the largest element
_BLOCK = 1 << 14  # parameters that are looked at while they lie in a cache

_SATURATED: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda a: 4 * a * (1 - a) < _FLAT,
    "hard_sigmoid": lambda a: (a <= 0) | (a >= 1),
    "tanh": lambda a: 1 - a * a < _FLAT,
    "softsign": lambda a: (1 - np.abs(a)) ** 2 < _FLAT,
}
_RELUS = ("relu", "relu6")


@dataclass(frozen=True, repr=False)
class Health:
    """What one step shows of a network; true if that is healthy.

    Attributes:
        layers: a `LayerHealth` for each call of a layer, in order. loss: of the rows, before the step.
        verdict: "healthy", "vanishing", "exploding", "saturated", "dead units", "symmetric" or "not learning".
        text: the verdict in a sentence, with advice.

    Example:
        >>> import fastnn, numpy as np
        >>> X, y = np.eye(32), np.arange(32) % 2
        >>> hidden = fastnn.layers.Dense(8, "relu", bias_initializer=fastnn.initializers.Constant(-9.0))
        >>> model = fastnn.Sequential([fastnn.Input((32,)), hidden, fastnn.layers.Dense(2, "softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> health = fastnn.diagnostics.gradient_health(model, X, y)
        >>> bool(health), health.verdict
        (False, 'dead units')
    """

    layers: tuple[LayerHealth, ...]
    loss: float
    verdict: str
    text: str

    def __bool__(self) -> bool:
        return self.verdict == "healthy"

    def __repr__(self) -> str:
        return "\n".join([f"{self.verdict}: {self.text}", *as_text([_HEADINGS, *self._rows()])])

    def _repr_html_(self) -> str:
        return f"<p><b>{self.verdict}</b>: {html.escape(self.text)}</p>{as_html(_HEADINGS, self._rows())}"

    def _rows(self) -> list[list[str]]:
        return [
            [
                f"{one.name} ({one.activation if one.activation != 'linear' else one.kind})",
                *map(_size, (one.weights, one.outputs, one.mean, one.output_gradients, one.gradients)),
                *map(_share, (one.saturated, one.dead, one.zeros)),
                _size(one.update),
            ]
            for one in self.layers
        ]


_HEADINGS = (
    "layer",
    "weights",
    "outputs",
    "mean",
    "d outputs",
    "d weights",
    "saturated",
    "dead",
    "zeros",
    "update/weight",
)


def _size(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"


class _Watched(NamedTuple):
    """A call of a layer, the name of its activation, the parameters that it trains, the largest of these, and where a
    step leaves what it gives and the gradient of that: (unit, width)."""

    name: str
    kind: str
    activation: str
    hidden: bool
    trained: list[Any]
    largest: Any | None
    output: tuple[int, int]
    gradient: tuple[int, int]


class Examiner:
    """Takes a step of a model on copies of all that it has, and looks at it; the model stays as it is.

    Args:
        model: a compiled one, whose input shape is known.
    """

    def __init__(self, model: TrainableModel) -> None:
        recipe, flat = model.recipe, model.flat_graph()
        assert recipe is not None  # callers have asked for a trainable engine
        self._model, self._of, self._backend = model, model.engine(), recipe.backend
        calls = probes.named_calls(flat)
        ends = set(flat.outputs)
        builder = Lowering(self._of.plan.dtype, *flat.widths)
        inside = [call.result for _, call in calls if call.result not in ends]
        of_recipe = probes.rules(recipe)
        values, added = graph.lower(
            flat._replace(outputs=(*flat.outputs, *inside)), builder, Rules(recipe.optimizer.decays, of_recipe.trains)
        )
        places = dict(zip((*flat.outputs, *inside), range(len(values)), strict=True))
        watched = [values[places[call.result]] for _, call in calls]
        for value in watched:
            builder.watch(value)
        losses = [None if loss is None else loss.spec() for loss in recipe.losses]
        weights = (*recipe.loss_weights, *(1.0 for _ in inside))
        self._plan = plan = builder.finish(
            [*losses, *(None for _ in inside)], (), recipe.optimizer.spec(), values, weights, added
        )
        self._calls = []
        for (name, call), row in zip(calls, plan.watched, strict=True):
            trained = [one for one in probes.trained(plan) if one.layer == name]
            self._calls.append(
                _Watched(
                    name,
                    type(call.operator).__name__,
                    _activation(call.operator),
                    call.result not in ends,
                    trained,
                    max(trained, key=lambda one: one.size, default=None),
                    _place(plan.outputs[places[call.result]]),
                    _place(row),
                )
            )
        self._state = State(plan)
        self._program: Program = self._backend.program(plan, self._state)
        theta = self._state.theta
        # Memory that a look gets anew would take it as long as what it does there.
        self._before, self._gradient = np.empty_like(theta), np.empty_like(theta)
        self._change = np.empty(min(_BLOCK, theta.size), theta.dtype)
        self._data: tuple[Rows, Data] | None = None

    def fits(self, model: TrainableModel) -> bool:
        """Whether it is one for the model as it is now."""
        return self._of is model.engine()

    def __call__(self, rows: Rows) -> Health:
        """What a step on all rows shows."""
        if self._data is None or self._data[0] is not rows:
            self._data = rows, Data(rows.X, rows.y, rows.w, None, rows.n)
        state, plan = self._state, self._plan
        self._copy()
        sums = np.zeros(plan.sums)
        self._program.gradient(self._data[1], sums)
        np.copyto(self._before, state.theta)
        gradient = state.gradient
        if plan.optimizer[OptimizerEntry.CLIP] != Clip.NONE:  # which writes over the gradient
            np.copyto(self._gradient, gradient)
            gradient = self._gradient
        probes.update(self._program, self._model.optimizer)
        with np.errstate(all="ignore"):
            found = [self._layer(call, gradient, rows.n) for call in self._calls]
            loss = float(sums[SUM_LOSS] / sums[SUM_COUNT])
        verdict, text = judged(Shown(found, loss, rows.n, int(state.counters[Counter.STEP]) - 1))
        return Health(tuple(found), loss, verdict, text)

    def _copy(self) -> None:
        with self._model.held("gradient_health") as engine:
            self._of = engine
            held = Held(self._plan, self._state)
            carry_parameters(engine, held)
            carry_over(engine, held)
            self._state.counters[:] = engine.state.counters
            self._state.scalars[:] = engine.state.scalars

    def _layer(self, call: _Watched, gradient: Array, rows: int) -> LayerHealth:
        output = probes.buffer(self._program, call.output[0], rows, call.output[1])
        weights = gradients = update = math.nan
        alike = False
        if (largest := call.largest) is not None:
            part = slice(largest.offset, largest.offset + largest.size)
            gradients = _rms(gradient[part])
            weights, changed = self._weights(part)
            update = changed / weights if weights else math.inf if changed else math.nan
            if largest.name == "kernel" and len(largest.shape) == 2 and largest.shape[1] > 1:
                alike = all(
                    _columns_alike(self._plan.layout.view(vector, one))
                    for vector in (self._before, gradient)
                    for one in call.trained
                )
        unit, width = call.gradient
        zero = output == 0
        return LayerHealth(
            name=call.name,
            kind=call.kind,
            activation=call.activation,
            hidden=call.hidden,
            weights=weights,
            gradients=gradients,
            outputs=_rms(output),
            mean=_mean(output),
            output_gradients=_rms(self._program.buffer(unit, rows, width)) if unit >= 0 else math.nan,
            saturated=_mean(_SATURATED[call.activation](output)) if call.activation in _SATURATED else math.nan,
            dead=_mean(zero.all(axis=0)) if call.activation in _RELUS else math.nan,
            zeros=_mean(zero),
            update=update,
            alike=alike,
        )

    def _weights(self, part: slice) -> tuple[float, float]:
        """The RMS of parameters before a step, and of what it changed: block by block, which is read once."""
        before, after = self._before[part], self._state.theta[part]
        sizes, changes = 0.0, 0.0
        for first in range(0, before.size, _BLOCK):
            old = before[first : first + _BLOCK]
            change = np.subtract(after[first : first + _BLOCK], old, out=self._change[: old.size])
            sizes, changes = sizes + _squares(old), changes + _squares(change)
        return math.sqrt(sizes / before.size), math.sqrt(changes / before.size)


def _place(row: Array) -> tuple[int, int]:
    return int(row[InputEntry.UNIT]), int(row[InputEntry.COLUMNS])


def _squares(array: Array) -> float:
    """The sum of squares, in float64 where a float32 may have lost it."""
    total = float(np.vdot(array, array))
    return total if 1e-30 < total < math.inf else float(np.square(array, dtype=np.float64).sum())


def _rms(array: Array) -> float:
    return math.sqrt(_squares(array) / array.size) if array.size else math.nan


def _mean(array: Array) -> float:
    """The mean; of booleans the share."""
    if not array.size:
        return math.nan
    if array.dtype == np.bool_:
        return np.count_nonzero(array) / array.size
    mean = float(np.add.reduce(array, axis=None)) / array.size  # in pairs, with what a float32 has
    return mean if math.isfinite(mean) else float(array.mean(dtype=np.float64))


def _columns_alike(array: Array) -> bool:
    rows = np.atleast_2d(array)
    low, high = float(rows[0].min()), float(rows[0].max())
    if high - low > _ALIKE * max(-low, high):  # as in most networks; all rows would take longer than a step
        return False
    return bool(np.ptp(rows, axis=1).max() <= _ALIKE * np.abs(rows).max())


def _activation(layer: Layer) -> str:
    return str(getattr(getattr(layer, "activation", None), "name", "linear"))


__all__ = ["Examiner", "Health", "LayerHealth"]
