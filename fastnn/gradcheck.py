"""Compares the gradient of a model with central differences of its loss, in float64."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import backends
from .backends.data import Data
from .core.declaration import number, whole
from .core.plan import SUM_COUNT, SUM_LOSS
from .core.printing import say
from .core.types import Arrays
from .engine import compiling
from .engine.requests import rows_of
from .errors import ArgumentError

if TYPE_CHECKING:
    from .backends.protocol import Backend
    from .engine.compiling import Engine
    from .engine.trainer import Trainer


@dataclass(frozen=True, repr=False)
class Result:
    """What `check` found.

    Attributes:
        errors: "layer/parameter" -> the largest error of its gradient, relative to the parameter's largest slope; what
            is not trainable has none.
        tolerance: what was allowed.
    """

    errors: dict[str, float]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest of the errors."""
        return max(self.errors.values(), default=0.0)

    @property
    def passed(self) -> bool:
        """Whether all errors are within the tolerance."""
        return self.worst <= self.tolerance

    @property
    def verdict(self) -> str:
        """Whether the gradients are right, in a sentence."""
        if not self.errors:
            return "there is nothing to check: no weight is trained"
        name = max(self.errors, key=lambda one: self.errors[one])
        compared = f"the largest error is {self.worst:.1e}, of {name}; {self.tolerance:.0e} is allowed"
        return f"the gradients are right: {compared}" if self.passed else f"a gradient is wrong: {compared}"

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        width = max(map(len, self.errors), default=0)
        lines = [f"  {name:{width}}  {error:.1e}{self._mark(error)}" for name, error in self.errors.items()]
        return "\n".join([f"gradcheck: {self.verdict}", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{error:.1e}{self._mark(error)}</td></tr>"
            for name, error in self.errors.items()
        )
        head = "<tr><th>weight</th><th>error</th></tr>"
        return f"<p>gradcheck: {html.escape(self.verdict)}</p><table>{head}{rows}</table>"

    def _mark(self, error: float) -> str:
        return "" if error <= self.tolerance else "  wrong"


def check(
    model: Trainer,
    x: Arrays,
    y: Arrays,
    sample_weight: Arrays | None = None,
    *,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    elements: int = 200,
    backend: str | Backend | None = None,
    verbose: int = 1,
) -> Result:
    """Checks the gradient of the mean loss of one batch, dropout and penalties included; the model is unchanged.

    Kinks (relu at 0) within a step of a row make an error that is no mistake: choose other rows.

    Math: dL/dw against (L(w + h) - L(w - h)) / 2h; error = max |difference| / max |slope| for each parameter.

    Args:
        model: a compiled model; a float32 one is checked as a float64 copy.
        x, y, sample_weight: one batch, as for `fit`.
        step: h, times max(1, |w|).
        tolerance: the largest error that passes.
        elements: how many elements of each parameter are tried, evenly spread; 0 is all.
        backend: another one than the model's.
        verbose: 1 prints the verdict, 0 nothing.

    Returns:
        A `Result`, true if the check passed.

    Raises:
        ArgumentError, ArgumentTypeError: as for `fit`. NotBuiltError: the model is not compiled.

    Example:
        >>> import fastnn
        >>> fastnn.utils.set_random_seed(0)
        >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(4, "tanh"), fastnn.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> result = fastnn.gradcheck.check(model, [[1.0, 2.0, 3.0]], [[1.0]], verbose=0)
        >>> max(result.errors.values()) < result.tolerance
        True
    """
    step = number("gradcheck", "step", step, 0.0, ends="()")
    elements = whole("gradcheck", "elements", elements, 0)
    model.trainable_engine(x)
    recipe = model.recipe
    assert recipe is not None  # or trainable_engine would have raised
    with model.held("gradcheck") as old:
        engine = compiling.float64_copy(
            model.flat_graph(), old, recipe, backends.get(backend) if backend else old.backend
        )
    rows = rows_of(model, engine, x, y, sample_weight, None)
    data = rows.data(rows.n)
    _loss(engine, data)
    gradient = engine.state.gradient.copy()
    if not np.isfinite(gradient).all():
        raise ArgumentError("gradcheck: the gradient is not finite; choose other rows or weights")
    errors = {}
    for parameter in (p for p in engine.plan.layout.parameters if p.trainable):
        stride = max(1, parameter.size // elements) if elements else 1
        picked = range(parameter.offset, parameter.offset + parameter.size, stride)
        slopes = np.array([_difference(engine, data, index, step) for index in picked])
        computed = gradient[picked.start : picked.stop : stride]
        scale = max(float(np.abs(slopes).max()), float(np.abs(computed).max()), 1e-8)
        errors[f"{parameter.layer}/{parameter.name}"] = float(np.abs(slopes - computed).max()) / scale
    result = Result(errors, tolerance)
    if verbose:
        say(f"gradcheck: {result.verdict}")
    return result


def _loss(engine: Engine, data: Data) -> float:
    """The mean loss of the batch in training mode; leaves its gradient in the state."""
    sums = engine.scores.sums()
    engine.program.gradient(data, sums)
    return float(sums[SUM_LOSS] / sums[SUM_COUNT])


def _difference(engine: Engine, data: Data, index: int, step: float) -> float:
    state = engine.state  # whose theta a card may have after each loss: it is asked for anew
    value = float(state.theta[index])
    h = step * max(1.0, abs(value))
    above, below = value + h, value - h
    state.theta[index] = above
    high = _loss(engine, data)
    state.theta[index] = below
    low = _loss(engine, data)
    state.theta[index] = value
    return (high - low) / (above - below)


__all__ = ["Result", "check"]
