"""From a model and the arguments of `compile` to a plan, its state, and the programs that run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import backends, losses, metrics, optimizers
from ..core.lowering import Lowering
from ..core.plan import SUM_COUNT, SUM_LOSS, Counter, Met, Plan, Scalar
from ..core.state import State
from ..errors import ArgumentError, ArgumentTypeError
from ..losses.base import MEAN, Loss
from ..metrics import Metric
from ..optimizers import Optimizer
from .checks import Checks

if TYPE_CHECKING:
    from ..backends.protocol import Backend, Program
    from ..layers import Layer, Shape

Array = npt.NDArray[Any]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """What `compile` was told."""

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
        for number, metric in enumerate(self.all_metrics):
            weighted = number >= len(self.metrics) and metric.name in seen
            name = f"weighted_{metric.name}" if weighted else metric.name
            seen[name] = seen.get(name, 0) + 1
            keys.append(name if seen[name] == 1 else f"{name}_{seen[name] - 1}")
        return keys


def recipe(optimizer: Any, loss: Any, given_metrics: Any, backend: Any, weighted_metrics: Any = None) -> Recipe:
    """The objects that the arguments of `compile` stand for.

    Raises:
        ArgumentError, ArgumentTypeError, BackendError: what one of them cannot be.
    """
    if isinstance(loss, Mapping):
        raise ArgumentTypeError(
            "compile: loss is a dict, expected one loss; models of several outputs are not supported"
        )
    found, weighted = _metrics("metrics", given_metrics), _metrics("weighted_metrics", weighted_metrics)
    if loss is None and (found or weighted):
        raise ArgumentError('compile: loss is missing, and metrics need one; give one such as loss="mse"')
    given_loss = None if loss is None else losses.get(loss)  # without one, the model can predict
    if given_loss is not None and given_loss.reduction != MEAN:
        raise ArgumentError(f"compile: {given_loss!r}: a model trains on the mean over the batch; leave reduction out")
    made = Recipe(optimizers.get(optimizer), given_loss, found, backends.get(backend), weighted)
    for name in (keys := made.keys):
        if keys.count(name) > 1 or name == "loss":
            raise ArgumentError(f'compile: two results are called "{name}"; give the metric another name')
    return made


def _metrics(argument: str, given: Any) -> tuple[Metric, ...]:
    if given is None:
        return ()
    if isinstance(given, Mapping) and "class_name" not in given:
        raise ArgumentTypeError(f'compile: {argument} is a dict, expected a list such as ["accuracy"]')
    if isinstance(given, list | tuple):  # flat or nested, as for the outputs of a model with several
        return tuple(metric for entry in given for metric in _metrics(argument, entry))
    return (metrics.get(given),)


class Scores:
    """Turns the sums of a program into logs."""

    def __init__(self, plan: Plan, found: Sequence[Metric], keys: Sequence[str]) -> None:
        self._names = ["loss", *keys]
        self._size = plan.sums
        slots = [
            (key, metric, slice(int(row[Met.SLOT]), int(row[Met.SLOT] + row[Met.SLOTS])), bool(row[Met.WEIGHTED]))
            for key, metric, row in zip(keys, found, plan.metrics, strict=True)
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

    def ordered(self, logs: Mapping[str, float]) -> list[float]:
        """The values of `logs` as `evaluate` lists them: the loss, then the metrics as `compile` was given them."""
        return [logs[name] for name in self._names]


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
        """`Program.find_nonfinite`, of a program that is made for it if need be."""
        return self.program.find_nonfinite(X)

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes a program of its own, since programs hold addresses."""
        return vars(self) | {"ran": False, "_program": None}


def lower(layers: Sequence[Layer], shape: Shape, dtype: str, told: Recipe | None = None) -> tuple[Plan, list[Metric]]:
    """The plan of layers for rows of `shape`, and the metrics with "accuracy" made definite."""
    builder = Lowering(dtype, int(np.prod(shape)))
    for layer in layers:
        layer.lower(builder, told.optimizer.decays if told else lambda path: True)
        builder.next_layer()
    if told is None:
        return builder.finish(), []
    if told.loss is None:
        return builder.finish(optimizer=told.optimizer.spec()), []
    sparse = isinstance(told.loss, losses.SparseCategoricalCrossentropy)
    outputs = _outputs(layers, shape)
    found = [metric.resolve(outputs, sparse) for metric in told.all_metrics]
    for metric in found:
        if metric.sparse is not sparse:
            raise ArgumentError(_other_targets(metric, told.loss, sparse, outputs))
    unweighted = len(told.metrics)
    specs = tuple(metric.spec()._replace(weighted=n >= unweighted) for n, metric in enumerate(found))
    return builder.finish(told.loss.spec(), specs, told.optimizer.spec()), found


def engine(layers: Sequence[Layer], shape: Shape, dtype: str, seed: int, told: Recipe | None) -> Engine:
    """A new engine; its weights are zeros."""
    plan, found = lower(layers, shape, dtype, told)
    state = State(plan, seed)
    backend = told.backend if told else backends.get(None, dtype, plan.layout.size)
    checks = Checks(layers, shape, plan, told.loss if told else None)
    return Engine(plan, state, backend, checks, Scores(plan, found, told.keys if told else ()))


def carry_over(old: Engine, new: Engine, optimizer: bool) -> None:
    """Gives `new` the weights and the epochs of `old`, and the optimizer's state too where it is the same one."""
    new.state.theta, new.state.statistics = old.state.theta, old.state.statistics
    new.state.counters[Counter.EPOCH] = old.state.counters[Counter.EPOCH]
    if optimizer and old.plan.slots == new.plan.slots:
        new.state.slots = old.state.slots
        new.state.counters[Counter.STEP] = old.state.counters[Counter.STEP]
        new.state.scalars[Scalar.PRODUCTS :] = old.state.scalars[Scalar.PRODUCTS :]


def float64_copy(layers: Sequence[Layer], old: Engine, told: Recipe, backend: Backend) -> Engine:
    """An engine of the same layers, weights and counters, in float64 on `backend`."""
    new = engine(layers, old.checks.shape, "float64", 0, replace(told, backend=backend))
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
