"""From a model and the arguments of `compile` to a plan, its state, and the programs that run them."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import backends, losses, metrics, optimizers
from ..backends.data import Sums
from ..core.arrays import Array
from ..core.declaration import number
from ..core.lowering import Lowering
from ..core.plan import SUM_COUNT, SUM_LOSS, Counter, LossEntry, MetricEntry, ParameterLayout, Plan, Scalar
from ..core.state import State
from ..errors import ArgumentError, ArgumentTypeError
from ..layers import Layer, Rules, Shape
from ..losses.base import MEAN, Loss
from ..metrics import Metric
from ..optimizers import Optimizer
from . import graph
from .checks import Checks
from .graph import Flat
from .weights import connected

if TYPE_CHECKING:
    from ..backends.protocol import Backend, Program


class Entry(NamedTuple):
    """A metric of an output, and whether its rows count by their weights."""

    output: int
    metric: Metric
    weighted: bool


@dataclass(frozen=True)
class Recipe:
    """The arguments of `compile`, as objects.

    Attributes:
        losses: of each output, or None. loss_weights: what each is multiplied by. entries: the metrics by output, of
            each those that count all rows alike, then the weighted ones. outputs: their names, each once. order: of
            their losses, in results that are lists.
        called: what stands before the metrics of each output, or None. loss_names: what its loss is called.
        trained: the layers that were trainable; None before the input shape is known.
    """

    optimizer: Optimizer
    losses: tuple[Loss | None, ...]
    entries: tuple[Entry, ...]
    backend: Backend
    outputs: tuple[str, ...]
    loss_weights: tuple[float, ...]
    order: tuple[int, ...]
    called: tuple[str | None, ...]
    loss_names: tuple[str, ...]
    trained: frozenset[Layer] | None = None

    @property
    def several(self) -> bool:
        """Whether there are several outputs, whose names stand before those of their results."""
        return len(self.losses) > 1

    @property
    def keys(self) -> list[str]:
        """What the logs call `entries`: a second "mae" is "mae_1", a weighted one beside it "weighted_mae"; the
        weighted ones of all outputs are counted after the others."""
        seen: dict[str, int] = {}
        keys = [""] * len(self.entries)
        for place in sorted(range(len(keys)), key=lambda place: self.entries[place].weighted):
            output, metric, weighted = self.entries[place]
            called = self.called[output] if self.several else None
            before = "" if called is None else f"{called}_"
            name = before + metric.name
            if weighted and name in seen:
                name = f"{before}weighted_{metric.name}"
            seen[name] = seen.get(name, 0) + 1
            keys[place] = name if seen[name] == 1 else f"{name}_{seen[name] - 1}"
        return keys

    @property
    def loss_keys(self) -> list[str]:
        """What the logs call the loss of each output that has one, where there are several; of equal ones, which only
        outputs without names of their own have, they hold the last, as in Keras."""
        return self._loss_keys(range(len(self.losses)))

    @property
    def ordered_loss_keys(self) -> list[str]:
        """Those, in the order in which they were given."""
        return self._loss_keys(self.order)

    def _loss_keys(self, order: Iterable[int]) -> list[str]:
        if sum(loss is not None for loss in self.losses) < 2:
            return []
        return [f"{self.loss_names[number]}_loss" for number in order if self.losses[number] is not None]

    @property
    def names(self) -> list[str]:
        """What the results are called, in the order in which `evaluate` lists them, as Keras lists them: those of
        several outputs that are called as their metrics are come first, and the rest is sorted."""
        keys = self.keys
        if not self.several:
            return ["loss", *keys]
        of_metrics = [entry.metric.name for entry in sorted(self.entries, key=lambda entry: entry.weighted)]
        names = ["loss", *(name for name in of_metrics if name in keys), *self.ordered_loss_keys]
        return [*names, *sorted(key for key in keys if key not in names)]

    def of(self, output: int, weighted: bool) -> list[Metric]:
        """The metrics of an output, or the weighted ones."""
        return [entry.metric for entry in self.entries if (entry.output, entry.weighted) == (output, weighted)]


def recipe(
    optimizer: Any,
    loss: object,
    given_metrics: object,
    backend: str | Backend | None,
    weighted_metrics: object = None,
    outputs: Sequence[str] = ("output",),
    loss_weights: object = None,
    called: Sequence[str | None] | None = None,
) -> Recipe:
    """The objects that the arguments of `compile` stand for; results are called by the names of outputs, or as
    `called` says: None stands for the name of the loss.

    Raises:
        ArgumentError, ArgumentTypeError, BackendError: what one of them cannot be.
    """
    each = _loss_by_output(loss, outputs)
    given = tuple(None if one is None else losses.get(one) for one in each)
    of_each = [
        [_metrics(name, entry) for entry in _by_output(name, argument, outputs)]
        for name, argument in (("metrics", given_metrics), ("weighted_metrics", weighted_metrics))
    ]
    entries = tuple(
        Entry(number, metric, weighted)
        for number in range(len(outputs))
        for weighted, several in ((False, of_each[0]), (True, of_each[1]))
        for metric in several[number]
    )
    for entry in entries:
        if given[entry.output] is None:
            of = f' for "{outputs[entry.output]}"' if len(outputs) > 1 else ""
            raise ArgumentError(f'compile: loss is missing{of}, and metrics need one; give one such as loss="mse"')
    for one in given:  # without one, the model can predict
        if one is not None and one.reduction != MEAN:
            raise ArgumentError(f"compile: {one!r}: a model trains on the mean over the batch; leave reduction out")
    weights = _loss_weights(loss_weights, outputs)
    listed = list(loss) if isinstance(loss, Mapping) and "class_name" not in loss else list(outputs)
    order = tuple(outputs.index(name) for name in listed)
    made = Recipe(
        optimizers.get(optimizer),
        given,
        entries,
        backends.get(backend),
        tuple(outputs),
        weights,
        order,
        called := tuple(outputs if called is None else called),
        tuple(map(_loss_name, called, each, given)),
    )
    for name in (keys := ["loss", *dict.fromkeys(made.loss_keys), *made.keys]):
        if keys.count(name) > 1:
            raise ArgumentError(f'compile: two results are called "{name}"; give the metric another name')
    return made


def _loss_by_output(loss: Any, outputs: Sequence[str]) -> list[Any]:
    listed = isinstance(loss, list | tuple) or (isinstance(loss, Mapping) and "class_name" not in loss)
    return _by_output("loss", loss, outputs) if listed else [loss] * len(outputs)


def _loss_name(called: str | None, given: Any, loss: Loss | None) -> str:
    """What the loss of an output is called, as in Keras: as the output is, else as it was given."""
    if called is not None or loss is None:
        return called or ""
    if isinstance(given, str):
        return loss.name if given == type(loss).__name__ else given
    return given.__name__ if inspect.isfunction(given) else loss.name


def _loss_weights(given: object, outputs: Sequence[str]) -> tuple[float, ...]:
    several = _by_output("loss_weights", given, outputs)
    return tuple(1.0 if one is None else number("compile", "loss_weights", one) for one in several)


def _by_output(argument: str, given: Any, outputs: Sequence[str]) -> list[Any]:
    """What an argument says for each output: by name, or in order; of one output, all of it."""
    if isinstance(given, Mapping) and "class_name" not in given:
        unknown = [name for name in given if name not in outputs]
        if unknown:
            names = ", ".join(f'"{name}"' for name in outputs)
            raise ArgumentError(f'compile: {argument} names "{unknown[0]}", the outputs are {names}')
        return [given.get(name) for name in outputs]
    if len(outputs) == 1:
        alone = argument in ("loss", "loss_weights") and isinstance(given, list | tuple) and len(given) == 1
        return [given[0] if alone else given]
    if given is None:
        return [None] * len(outputs)
    if not isinstance(given, list | tuple) or len(given) != len(outputs):
        raise ArgumentError(
            f"compile: {argument} is {given!r}, expected one for each of the outputs {', '.join(outputs)}: a list of "
            f"{len(outputs)}, or a dict by name"
        )
    return list(given)


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

    def __init__(self, plan: Plan, metrics: Sequence[Metric], recipe: Recipe | None) -> None:
        self._names = recipe.names if recipe else ["loss"]
        self._size = plan.sums
        keys = recipe.keys if recipe else ()
        slots: list[tuple[str, Metric | None, slice, bool]] = [
            (
                key,
                metric,
                slice(int(row[MetricEntry.SLOT]), int(row[MetricEntry.SLOT] + row[MetricEntry.SLOTS])),
                bool(row[MetricEntry.WEIGHTED]),
            )
            for key, metric, row in zip(keys, metrics, plan.metrics, strict=True)
        ]
        slots.append(("loss", None, slice(SUM_LOSS, SUM_LOSS + 1), False))
        if recipe and recipe.loss_keys:
            for key, slot in zip(recipe.loss_keys, plan.losses[:, LossEntry.SLOT].tolist(), strict=False):
                slots.append((key, None, slice(slot, slot + 1), False))
        self._slots = sorted(slots, key=lambda slot: slot[0])

    def sums(self) -> Sums:
        """Zeros for a program to add to."""
        return np.zeros(self._size)

    def logs(self, sums: Sums, prefix: str = "") -> dict[str, float]:
        """The losses and the metrics of the rows that `sums` counts, plain floats, sorted by key as Keras does."""
        rows = float(sums[SUM_COUNT])
        logs = {}
        for key, metric, slots, weighted in self._slots:
            if metric is None:
                logs[prefix + key] = float(sums[slots.start]) / rows
                continue
            totals = sums[slots]
            logs[prefix + key] = metric.value(totals, float(totals[-1]) if weighted else rows)
        return logs

    def result(self, logs: dict[str, float], return_dict: bool) -> float | list[float] | dict[str, float]:
        """What `evaluate` returns: `logs`, or the loss and the metrics in the order of `compile`, or the loss alone."""
        if return_dict:
            return logs
        return [logs[name] for name in self._names] if len(logs) > 1 else logs["loss"]


class _Scan:
    """`Engine.find_nonfinite` for its checks, which do not hold it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)

    def __call__(self, X: Array) -> int:
        engine = self._engine()
        assert engine is not None  # or it would not check
        return engine.find_nonfinite(X)

    def __reduce__(self) -> Any:
        return _Scan, (self._engine(),)


@dataclass
class Engine:
    """A plan and its state on one backend: what a built model runs.

    Attributes:
        plan: what trains, and without `inference` the whole. inference: what predicts and scores.
        shapes: of a row of each output.
    """

    plan: Plan
    state: State
    backend: Backend
    checks: Checks
    scores: Scores
    shapes: tuple[Shape, ...]
    inference: Plan | None = None
    ran: bool = field(default=False)
    probes: dict[str, Program] = field(default_factory=dict, init=False)  # see probes.py
    _programs: dict[bool, Program] = field(default_factory=dict, init=False)

    @property
    def program(self) -> Program:
        """The backend's program that trains, made when first needed, and anew when `auto` changes over: a backend may
        load code for it."""
        return self._kept(True)

    @property
    def predictor(self) -> Program:
        """The program that predicts and scores, likewise."""
        return self._kept(self.inference is None)

    def _kept(self, trains: bool) -> Program:
        program = self._programs.get(trains)
        if program is None or not self.backend.keeps(program):
            with self.state.store.lock:  # a lock that all engines share would stay locked in a child forked meanwhile
                if self._programs.get(trains) is program:
                    plan = self.plan if trains else self.inference
                    assert plan is not None  # see `predictor`
                    state = self.state if trains else self.state.beside(plan)
                    self._programs[trains] = self.backend.program(plan, state)
            program = self._programs[trains]
        return program

    def __post_init__(self) -> None:
        self.checks.set_scan(_Scan(self))

    def shaped(self, outs: Sequence[Array]) -> list[Array]:
        """Flat rows of each output in their shape."""
        return [out.reshape(len(out), *shape) for out, shape in zip(outs, self.shapes, strict=True)]

    def find_nonfinite(self, X: Array) -> int:
        """`Program.find_nonfinite`; makes the program if need be."""
        return self.program.find_nonfinite(X)

    def __getstate__(self) -> dict[str, object]:
        """A copy makes programs of its own, since they hold addresses."""
        return vars(self) | {"ran": False, "probes": {}, "_programs": {}}


def lower(
    flat: Flat,
    dtype: str,
    recipe: Recipe | None = None,
    layout: ParameterLayout | None = None,
    predicts: bool = False,
) -> tuple[Plan, list[Metric]]:
    """The plan of a graph, and the metrics with "accuracy" made definite.

    Args:
        layout: places of parameters. predicts: whether it only predicts and scores.
    """
    builder = Lowering(dtype, *flat.widths, layout=layout)
    trained = recipe.trained if recipe else None
    rules = Rules(
        recipe.optimizer.decays if recipe else lambda path: True,
        (lambda layer: layer.trains) if trained is None else trained.__contains__,
    )
    outputs, added = graph.lower(flat, builder, rules)
    if recipe is None:
        return builder.finish(outputs=outputs), []
    optimizer = None if predicts else recipe.optimizer.spec()
    if not any(recipe.losses) and not added:
        return builder.finish(optimizer=optimizer, outputs=outputs), []
    resolved, specs = [], []
    for entry in recipe.entries:
        loss, width = recipe.losses[entry.output], outputs[entry.output].width
        sparse = isinstance(loss, losses.SparseCategoricalCrossentropy)
        metric = entry.metric.resolve(width, sparse)
        if metric.sparse is not sparse:
            assert loss is not None  # or the recipe would have been refused
            raise ArgumentError(_other_targets(metric, loss, sparse, width))
        resolved.append(metric)
        specs.append(metric.spec()._replace(weighted=entry.weighted, output=entry.output))
    of_outputs = [None if loss is None else loss.spec() for loss in recipe.losses]
    weights = recipe.loss_weights
    return builder.finish(of_outputs, tuple(specs), optimizer, outputs, weights, added, predicts), resolved


def engine(flat: Flat, dtype: str, seed: int, recipe: Recipe | None) -> Engine:
    """A new engine on the weights of the layers, which are made where there are none."""
    resolved: list[Metric] = []
    inference: Plan | None = None
    backend = recipe.backend if recipe else backends.get()

    def lowered(layout: ParameterLayout | None) -> Plan:
        nonlocal resolved, inference
        plan, resolved = lower(flat, dtype, recipe, layout)
        inference = None
        if flat.inference or (len(plan.losses) and not backend.moves_weights):
            inference, _ = lower(flat.predicting, dtype, recipe, plan.layout.taken(), predicts=True)
        return plan

    plan, store = connected(flat.labels, lowered, seed)
    return _engine(flat, plan, State(plan, seed, store), backend, resolved, recipe, inference)


def _engine(
    flat: Flat,
    plan: Plan,
    state: State,
    backend: Backend,
    resolved: Sequence[Metric],
    recipe: Recipe | None,
    inference: Plan | None = None,
) -> Engine:
    checks = Checks(flat, plan, recipe.losses if recipe else (), recipe.outputs if recipe else ())
    return Engine(plan, state, backend, checks, Scores(plan, resolved, recipe), flat.shapes, inference)


class Held(NamedTuple):
    """A plan and its state."""

    plan: Plan
    state: State


def carry_over(old: Engine, new: Engine | Held, optimizer: bool = True) -> None:
    """Copies the epochs of `old` to `new`, and the optimizer's state too where it is the same one."""
    new.state.counters[Counter.EPOCH] = old.state.counters[Counter.EPOCH]
    if optimizer and old.plan.slots == new.plan.slots:
        for of_old, of_new in zip(old.state.slots, new.state.slots, strict=True):
            _carry(old.plan.layout, of_old, new.plan.layout, of_new, "theta")
        new.state.counters[Counter.STEP] = old.state.counters[Counter.STEP]
        new.state.scalars[Scalar.PRODUCTS :] = old.state.scalars[Scalar.PRODUCTS :]


def carry_parameters(old: Engine, new: Engine | Held) -> None:
    """Copies weights and statistics of `old` to `new`, which is of the same layers."""
    for vector in ("theta", "statistics"):
        _carry(old.plan.layout, getattr(old.state, vector), new.plan.layout, getattr(new.state, vector), vector)


def _carry(old: ParameterLayout, of_old: Array, new: ParameterLayout, of_new: Array, vector: str) -> None:
    """Copies a vector that is laid out as one of these is, at once where both are laid out alike."""
    if old == new:
        of_new[...] = of_old
        return
    there = {parameter[:2]: parameter for parameter in old.of(vector)}
    for parameter in new.of(vector):
        new.view(of_new, parameter)[...] = old.view(of_old, there[parameter[:2]])


def float64_copy(flat: Flat, old: Engine, recipe: Recipe, backend: Backend) -> Engine:
    """An engine of the same layers, weights and counters, in float64 on `backend`."""
    plan, resolved = lower(flat, "float64", recipe)
    new = _engine(flat, plan, State(plan), backend, resolved, recipe)
    carry_parameters(old, new)
    new.state.counters[:] = old.state.counters
    return new


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
