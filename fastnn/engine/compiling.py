"""From a model and the arguments of `compile` to a plan, its state, and the programs that run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import backends, losses, metrics, optimizers
from ..backends.data import Sums
from ..core.arrays import Array
from ..core.lowering import Lowering
from ..core.plan import SUM_COUNT, SUM_LOSS, Counter, MetricEntry, Plan, Scalar
from ..core.state import State
from ..errors import ArgumentError, ArgumentTypeError
from ..losses.base import MEAN, Loss
from ..metrics import Metric
from ..optimizers import Optimizer
from .checks import Checks

if TYPE_CHECKING:
    from ..backends.protocol import Backend, Program
    from ..layers import Layer, Shape


@dataclass(frozen=True)
class Recipe:
    """The arguments of `compile`, as objects."""

    optimizer: Optimizer
    loss: Loss | None
    metrics: tuple[Metric, ...]
    backend: Backend
    weighted_metrics: tuple[Metric, ...] = ()

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The metrics, then the weighted ones."""
        return (*self.metrics, *self.weighted_metrics)

    @property
    def keys(self) -> list[str]:
        """What the logs call `all_metrics`: a second "mae" is "mae_1", a weighted one beside it "weighted_mae"."""
        seen: dict[str, int] = {}
        keys = []
        for index, metric in enumerate(self.all_metrics):
            weighted = index >= len(self.metrics) and metric.name in seen
            name = f"weighted_{metric.name}" if weighted else metric.name
            seen[name] = seen.get(name, 0) + 1
            keys.append(name if seen[name] == 1 else f"{name}_{seen[name] - 1}")
        return keys


def recipe(
    optimizer: object,
    loss: object,
    given_metrics: object,
    backend: str | Backend | None,
    weighted_metrics: object = None,
) -> Recipe:
    """The objects that the arguments of `compile` stand for.

    Raises:
        ArgumentError, ArgumentTypeError, BackendError: what one of them cannot be.
    """
    if isinstance(loss, Mapping):
        raise ArgumentTypeError(
            "compile: loss is a dict, expected one loss; models of several outputs are not supported"
        )
    unweighted, weighted = _metrics("metrics", given_metrics), _metrics("weighted_metrics", weighted_metrics)
    if loss is None and (unweighted or weighted):
        raise ArgumentError('compile: loss is missing, and metrics need one; give one such as loss="mse"')
    given_loss = None if loss is None else losses.get(loss)  # without one, the model can predict
    if given_loss is not None and given_loss.reduction != MEAN:
        raise ArgumentError(f"compile: {given_loss!r}: a model trains on the mean over the batch; leave reduction out")
    made = Recipe(optimizers.get(optimizer), given_loss, unweighted, backends.get(backend), weighted)
    for name in (keys := made.keys):
        if keys.count(name) > 1 or name == "loss":
            raise ArgumentError(f'compile: two results are called "{name}"; give the metric another name')
    return made


def _metrics(argument: str, given: object) -> tuple[Metric, ...]:
    if given is None:
        return ()
    if isinstance(given, Mapping) and "class_name" not in given:
        raise ArgumentTypeError(f'compile: {argument} is a dict, expected a list such as ["accuracy"]')
    if isinstance(given, list | tuple):  # flat or nested, as for the outputs of a model with several
        return tuple(metric for entry in given for metric in _metrics(argument, entry))
    return (metrics.get(given),)


class Scores:
    """Turns the sums of a program into logs."""

    def __init__(self, plan: Plan, metrics: Sequence[Metric], keys: Sequence[str]) -> None:
        self._names = ["loss", *keys]
        self._size = plan.sums
        slots = [
            (
                key,
                metric,
                slice(int(row[MetricEntry.SLOT]), int(row[MetricEntry.SLOT] + row[MetricEntry.SLOTS])),
                bool(row[MetricEntry.WEIGHTED]),
            )
            for key, metric, row in zip(keys, metrics, plan.metrics, strict=True)
        ]
        self._slots = sorted([("loss", None, slice(0), False), *slots], key=lambda slot: slot[0])

    def sums(self) -> Sums:
        """Zeros for a program to add to."""
        return np.zeros(self._size)

    def logs(self, sums: Sums, prefix: str = "") -> dict[str, float]:
        """The loss and the metrics of the rows that `sums` counts, plain floats, sorted by key as Keras does."""
        rows = float(sums[SUM_COUNT])
        logs = {}
        for key, metric, slots, weighted in self._slots:
            if metric is None:
                logs[prefix + key] = float(sums[SUM_LOSS]) / rows
                continue
            totals = sums[slots]
            logs[prefix + key] = metric.value(totals, float(totals[-1]) if weighted else rows)
        return logs

    def result(self, logs: dict[str, float], return_dict: bool) -> float | list[float] | dict[str, float]:
        """What `evaluate` returns: `logs`, or the loss and the metrics in the order of `compile`, or the loss alone."""
        if return_dict:
            return logs
        return [logs[name] for name in self._names] if len(logs) > 1 else logs["loss"]


@dataclass
class Engine:
    """A plan and its state on one backend: what a built model runs."""

    plan: Plan
    state: State
    backend: Backend
    checks: Checks
    scores: Scores
    ran: bool = field(default=False)
    _program: Program | None = field(default=None, init=False)

    @property
    def program(self) -> Program:
        """The backend's programs, made when first needed: a backend may load compiled code for it."""
        if self._program is None:
            with self.state.lock:  # a lock that all engines share would stay locked in a child forked meanwhile
                self._program = self._program or self.backend.program(self.plan, self.state)
        return self._program

    def __post_init__(self) -> None:
        self.checks.scan = self.find_nonfinite

    def find_nonfinite(self, X: Array) -> int:
        """`Program.find_nonfinite`; makes the program if need be."""
        return self.program.find_nonfinite(X)

    def __getstate__(self) -> dict[str, object]:
        """A copy makes a program of its own, since programs hold addresses."""
        return vars(self) | {"ran": False, "_program": None}


def lower(layers: Sequence[Layer], shape: Shape, dtype: str, recipe: Recipe | None = None) -> tuple[Plan, list[Metric]]:
    """The plan of layers for rows of `shape`, and the metrics with "accuracy" made definite."""
    builder = Lowering(dtype, int(np.prod(shape)))
    for layer in layers:
        layer.lower(builder, recipe.optimizer.decays if recipe else lambda path: True)
        builder.next_layer()
    if recipe is None:
        return builder.finish(), []
    if recipe.loss is None:
        return builder.finish(optimizer=recipe.optimizer.spec()), []
    sparse = isinstance(recipe.loss, losses.SparseCategoricalCrossentropy)
    outputs = _outputs(layers, shape)
    resolved = [metric.resolve(outputs, sparse) for metric in recipe.all_metrics]
    for metric in resolved:
        if metric.sparse is not sparse:
            raise ArgumentError(_other_targets(metric, recipe.loss, sparse, outputs))
    unweighted = len(recipe.metrics)
    specs = tuple(metric.spec()._replace(weighted=n >= unweighted) for n, metric in enumerate(resolved))
    return builder.finish(recipe.loss.spec(), specs, recipe.optimizer.spec()), resolved


def engine(layers: Sequence[Layer], shape: Shape, dtype: str, seed: int, recipe: Recipe | None) -> Engine:
    """A new engine; its weights are zeros."""
    plan, resolved = lower(layers, shape, dtype, recipe)
    state = State(plan, seed)
    backend = recipe.backend if recipe else backends.get(None, dtype, plan.layout.size)
    checks = Checks(layers, shape, plan, recipe.loss if recipe else None)
    return Engine(plan, state, backend, checks, Scores(plan, resolved, recipe.keys if recipe else ()))


def carry_over(old: Engine, new: Engine, optimizer: bool) -> None:
    """Copies the weights and the epochs of `old` to `new`, and the optimizer's state too where it is the same one."""
    new.state.theta, new.state.statistics = old.state.theta, old.state.statistics
    new.state.counters[Counter.EPOCH] = old.state.counters[Counter.EPOCH]
    if optimizer and old.plan.slots == new.plan.slots:
        new.state.slots = old.state.slots
        new.state.counters[Counter.STEP] = old.state.counters[Counter.STEP]
        new.state.scalars[Scalar.PRODUCTS :] = old.state.scalars[Scalar.PRODUCTS :]


def float64_copy(layers: Sequence[Layer], old: Engine, recipe: Recipe, backend: Backend) -> Engine:
    """An engine of the same layers, weights and counters, in float64 on `backend`."""
    new = engine(layers, old.checks.shape, "float64", 0, replace(recipe, backend=backend))
    for of_old, of_new in zip(old.plan.layout.parameters, new.plan.layout.parameters, strict=True):
        new.state.view(of_new)[...] = old.state.view(of_old)
    new.state.counters[:] = old.state.counters
    return new


def _outputs(layers: Sequence[Layer], shape: Shape) -> int:
    for layer in layers:
        shape = layer.output_shape(shape, layer.name)
    return int(np.prod(shape))


def _other_targets(metric: Metric, loss: Loss, sparse: bool, outputs: int) -> str:
    name = type(metric).__name__
    if sparse:
        return (
            f'compile: metric "{metric.name}" ({name}) reads targets of shape (n, {outputs}), but '
            f"{type(loss).__name__} takes class numbers; use its sparse form, or one-hot targets for both"
        )
    return (
        f'compile: metric "{metric.name}" ({name}) reads class numbers, but {type(loss).__name__} takes targets of '
        f'shape (n, {outputs}); use "accuracy", which fits every loss'
    )
