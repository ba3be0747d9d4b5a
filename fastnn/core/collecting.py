"""What lowering collects, instruction by instruction, and the `Plan` that comes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from .arithmetic import BLOCK
from .buffers import Buffers, Step, Value
from .losses import LOSS_FACTS
from .plan import (
    LOSS_CODE,
    METRIC_CODE,
    OPTIMIZER_CODE,
    PARAMETER_ALIGN,
    SUM_METRICS,
    Clip,
    Column,
    Fused,
    Hidden,
    InputEntry,
    Kind,
    LossEntry,
    MetricEntry,
    OptimizerEntry,
    Parameter,
    ParameterEntry,
    ParameterLayout,
    Plan,
    Role,
    Table,
    mean_outputs,
    padded,
)
from .specs import LossSpec, MetricSpec, OptimizerSpec, ParameterSpec
from .steps import OPTIMIZERS

Names = tuple[str, str]  # a layer's and its parameter's


class Collecting:
    """Instructions and parameters as they come, and the plan that they make at the end.

    Args:
        dtype: "float32" or "float64". widths: of a row of each input.
        layout: where parameters lie already, which keep their places; more come behind them.

    Attributes:
        inputs: the values of the inputs. value: what the next instruction reads.
        label: what parameters call the layer, whatever name it gives, unless "".
    """

    def __init__(self, dtype: Any, *widths: int, layout: ParameterLayout | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self._values: list[Value] = []
        self._steps: list[Step] = []
        self._parameters: list[Parameter] = []
        self._rows: list[list[int]] = []
        self._uses: dict[Names, list[list[int]]] = {}
        self._constants: list[float] = []
        self._places: dict[Names, int] = {}
        if layout:
            self._places = {(p.layer, p.name): p.offset for p in layout.parameters}
        self._theta, self._statistics = (layout.size, layout.statistics_size) if layout else (0, 0)
        self._fixed = 0
        self._hidden: list[Hidden] = []
        self._watched: list[Value] = []
        self._layer = 0
        self._idle = False
        self.label = ""
        self.inputs = [self._new(width) for width in widths]
        self.value = self.inputs[0]

    def _new(self, width: int) -> Value:
        self._values.append(Value(len(self._values), width))
        return self._values[-1]

    def _constant(self, *values: float) -> int:
        self._constants.extend(float(value) for value in values)
        return len(self._constants) - len(values)

    def _emit(
        self,
        kind: Kind,
        outputs: int,
        second: Value | None = None,
        saved: str = "output",
        columns: Mapping[str, int] | None = None,
        reads: bool = True,
        **more: int,
    ) -> None:
        """Adds an instruction, which may read nothing. `saved` says what its derivative reads: its source or its
        output; "own" is a buffer that it has for that, "" is nothing."""
        sources = tuple(value for value in (self.value, second) if reads and value is not None)
        row = [-1] * Column.WIDTH
        row[Column.KIND], row[Column.INPUTS], row[Column.OUTPUTS] = kind, self.value.width, outputs
        row[Column.LAYER], row[Column.FUSED] = self._layer, Fused.NONE
        row[Column.WHOLE] = row[Column.GRAD_WHOLE] = outputs
        row[Column.OFFSET] = row[Column.GRAD_OFFSET] = row[Column.GRAD_FIRST] = 0
        row[Column.GRAD_COLUMNS] = self.value.width
        for name, value in {**(columns or {}), **more}.items():
            row[Column[name]] = value
        self.value = self._new(outputs)
        self._steps.append(Step(row, sources, self.value, saved))

    def _place(self, layer: str, name: str, size: int) -> int:
        """Where a parameter or a constant lies in theta; `layer` is its label."""
        if (layer, name) not in self._places:
            self._places[layer, name] = self._theta
            self._theta += _with_gap(size)
        return self._places[layer, name]

    def _parameter(self, layer: str, name: str, shape: tuple[int, ...], spec: ParameterSpec, code: int = -1) -> int:
        """One that the next instruction uses."""
        layer = self.label or layer
        offset = self._place(layer, name, math.prod(shape))
        row = [-1] * ParameterEntry.WIDTH
        row[ParameterEntry.OFFSET], row[ParameterEntry.CODE] = offset, code
        row[ParameterEntry.ROWS], row[ParameterEntry.COLUMNS] = shape[0] if len(shape) > 1 else 1, math.prod(shape[-1:])
        row[ParameterEntry.TRAINABLE], row[ParameterEntry.DECAY] = int(spec.trainable), int(spec.decay)
        row[ParameterEntry.INSTRUCTION] = -1 if self._idle else len(self._steps)
        row[ParameterEntry.ROLE] = _ROLES[name] if code < 0 else Role.VECTOR
        uses = self._uses.setdefault((layer, name), [])
        if not uses:
            self._parameters.append(Parameter(layer, name, shape, offset, spec.trainable))
            if any(spec.penalty):
                row[ParameterEntry.PENALTY] = self._constant(*spec.penalty)
            self._rows.append(row)
        uses.append(row)
        return offset

    def _statistic(self, layer: str, name: str) -> int:
        layer = self.label or layer
        if (layer, name) not in self._places:
            self._places[layer, name] = self._statistics
            self._statistics += _with_gap(self.value.width)
        offset = self._places[layer, name]
        if not self._uses.get((layer, name)):
            self._uses[layer, name] = [[]]
            self._parameters.append(Parameter(layer, name, (self.value.width,), offset, False, "statistics"))
        return offset

    def _hide(self, layer: str, name: str, value: float) -> int:
        layer = self.label or layer
        offset = self._place(layer, name, self.value.width)
        constant = Hidden(layer, name, offset, self.value.width, value)
        if constant not in self._hidden:
            self._hidden.append(constant)
        return offset

    def _scratch(self, elements: int) -> int:
        offset = self._fixed
        self._fixed += elements
        return offset

    def next_layer(self) -> None:
        """Starts the next layer's number."""
        self._layer += 1

    @contextmanager
    def idle(self, widths: Sequence[int]) -> Iterator[list[Value]]:
        """Parameters that are added inside have their places, but what uses them is no part of the plan.

        Args:
            widths: of the values that are there to be read.
        """
        before = self._values, self._steps, self._fixed
        self._values, self._steps, self._idle = [], [], True
        yield [self._new(width) for width in widths]
        (self._values, self._steps, self._fixed), self._idle = before, False

    # the end

    def watch(self, value: Value) -> None:
        """Has the gradient of a value stay in the workspace, if an instruction makes the value: see `Plan.watched`."""
        self._watched.append(value)

    def finish(
        self,
        loss: LossSpec | Sequence[LossSpec | None] | None = None,
        metrics: tuple[MetricSpec, ...] = (),
        optimizer: OptimizerSpec | None = None,
        outputs: Sequence[Value] = (),
        weights: Sequence[float] = (),
        added: Sequence[Value] = (),
        predicts: bool = False,
    ) -> Plan:
        """The plan.

        Args:
            loss: of the one output, or a list for each output; without one the model can only predict.
            metrics: of which each names its output. outputs: the value, unless others are given.
            weights: what each output's loss is multiplied by in their sum; 1 unless given.
            added: values of one column whose means over the rows are added to the loss; they are the last losses.
            predicts: whether it only predicts and scores: it has no gradients, and buffers are used again.
        """
        outputs = outputs or (self.value,)
        losses = loss if isinstance(loss, Sequence) and not isinstance(loss, LossSpec) else [loss]
        specs = [(n, spec) for n, spec in enumerate(losses) if spec is not None]
        specs += [(n, LossSpec("prediction")) for n in range(len(outputs), len(outputs) + len(added))]
        weights, ends = (*(weights or [1.0] * len(outputs)), *[1.0] * len(added)), (*outputs, *added)
        watched = {value.index for value in self._watched}
        trains = bool(specs) and not predicts
        buffers = Buffers(self._values, self._steps, self.inputs, self.dtype.itemsize, watched, keeps=trains)
        trained = self._trained([ends[n] for n, _ in specs])
        buffers.forward(ends, {n: LOSS_FACTS[spec.name].activation for n, spec in specs})
        loss_rows = [self._lower_loss(buffers, ends[n], spec, weights[n]) for n, spec in specs]
        metric_rows, sums = self._lower_metrics(metrics, loss_rows, [n for n, _ in specs])
        blocks = sum(self._penalty_blocks(parameter) for parameter in self._rows)
        if loss_rows and blocks:
            loss_rows[0][LossEntry.BLOCK_TOTALS] = self._scratch(padded(blocks * 8 // self.dtype.itemsize))
        if trains:
            gradients = [(ends[n], row[LossEntry.GRADIENT]) for (n, _), row in zip(specs, loss_rows, strict=True)]
            buffers.backward(gradients, trained | set(self._makers().values()))
        instructions = buffers.rows()
        parameters = self._parameter_rows(buffers.numbers, trained, bool(loss_rows))
        optimizer_row, initial = self._lower_optimizer(optimizer)
        return Plan(
            dtype=self.dtype,
            instructions=_table(instructions, Column.WIDTH),
            parameters=_table(parameters, ParameterEntry.WIDTH),
            metrics=_table(metric_rows, MetricEntry.WIDTH),
            losses=_table(loss_rows, LossEntry.WIDTH),
            inputs=_table([value.place for value in self.inputs], InputEntry.WIDTH),
            outputs=_table([value.place for value in outputs], InputEntry.WIDTH),
            watched=_table(self._watched_rows(), InputEntry.WIDTH),
            optimizer=_frozen(np.array(optimizer_row, np.int64)),
            constants=_frozen(np.array(self._constants, np.float64)),
            layout=ParameterLayout(tuple(self._parameters), tuple(self._hidden), self._theta, self._statistics),
            reads_in_place=self._reads_in_place(instructions, ends),
            row_elements=buffers.units,
            fixed_elements=self._fixed,
            flops_per_row=_flops(instructions),
            sums=sums,
            slots=len(initial),
            initial_slots=initial,
        )

    def _reads_in_place(self, instructions: list[list[int]], ends: Sequence[Value]) -> bool:
        """Whether a prediction reads its rows where the caller has them: a first DENSE alone does."""
        only = len(self.inputs) == 1 and sum(self.inputs[0] in step.sources for step in self._steps) == 1
        return only and self.inputs[0] not in ends and bool(instructions) and instructions[0][Column.KIND] == Kind.DENSE

    def _makers(self) -> dict[int, int]:
        """Of each watched value, by its number, the last step that writes it."""
        numbers = {value.index for value in self._watched}
        return {step.output.index: place for place, step in enumerate(self._steps) if step.output.index in numbers}

    def _watched_rows(self) -> list[list[int]]:
        makers = self._makers()
        units = {index: self._steps[place].row[Column.GRAD_DST] for index, place in makers.items()}
        return [[units.get(value.index, -1), value.width, value.width, 0] for value in self._watched]

    def _trained(self, ends: Sequence[Value]) -> set[int]:
        """The numbers of the steps that have parameters to train and lead to a loss."""
        wanted = {value.index for value in ends}
        reached = set()
        for index in range(len(self._steps) - 1, -1, -1):
            step = self._steps[index]
            if step.output.index in wanted:
                reached.add(index)
                wanted.update(value.index for value in step.sources)
        rows = (row for uses in self._uses.values() for row in uses if row)
        return reached & {row[ParameterEntry.INSTRUCTION] for row in rows if row[ParameterEntry.TRAINABLE]}

    def _parameter_rows(self, numbers: Mapping[int, int], trained: set[int], has_loss: bool) -> list[list[int]]:
        """The table: a row for each parameter, then those of the uses of one that several instructions use. What leads
        to no loss is not trained."""
        more: list[list[int]] = []
        for uses in (uses for uses in self._uses.values() if uses[0]):
            reached = [use for use in uses if use[ParameterEntry.INSTRUCTION] in trained]
            if has_loss and not reached:
                uses[0][ParameterEntry.TRAINABLE] = 0
            if len(reached) > 1:
                uses[0][ParameterEntry.NEXT] = len(self._rows) + len(more)
                for position, use in enumerate(reached, 1):
                    row = list(use)
                    row[ParameterEntry.TRAINABLE], row[ParameterEntry.PENALTY] = 0, -1
                    row[ParameterEntry.NEXT] = len(self._rows) + len(more) + 1 if position < len(reached) else -1
                    more.append(row)
            elif reached:
                for column in (ParameterEntry.INSTRUCTION, ParameterEntry.MADE):
                    uses[0][column] = reached[0][column]
        rows = [*self._rows, *more]
        for row in rows:
            row[ParameterEntry.INSTRUCTION] = numbers.get(row[ParameterEntry.INSTRUCTION], -1)
        return rows

    def _lower_loss(self, buffers: Buffers, output: Value, spec: LossSpec, weight: float) -> list[int]:
        name, facts, width = spec.name, LOSS_FACTS[spec.name], output.width
        fused = buffers.fused(output)
        if fused is not None or (facts.logits and spec.from_logits):
            name = facts.logits
        target_width = 1 if facts.classes else width
        row = [-1] * LossEntry.WIDTH
        row[LossEntry.CODE], row[LossEntry.PREDICTION] = LOSS_CODE[name], output.unit
        row[LossEntry.INPUT] = output.unit if fused is None else fused.sources[0].unit
        row[LossEntry.OUTPUTS], row[LossEntry.TARGETS] = width, target_width
        row[LossEntry.MEAN] = int(mean_outputs(name))
        row[LossEntry.TARGET] = buffers.new(target_width)
        row[LossEntry.GRADIENT] = buffers.new(width)
        row[LossEntry.PROBABILITY] = output.unit if fused is not None else row[LossEntry.GRADIENT]
        row[LossEntry.CONSTANT] = self._constant(*smoothing(spec.parameter, spec.label_smoothing, name, width))
        row[LossEntry.WEIGHT] = self._constant(weight)
        return row

    def _penalty_blocks(self, row: list[int]) -> int:
        """The blocks of all sums that a parameter's penalty takes: of |w|, of w^2, or of both."""
        place = row[ParameterEntry.PENALTY]
        if place < 0:
            return 0
        sums = sum(factor != 0.0 for factor in self._constants[place : place + 2])
        return sums * -(-row[ParameterEntry.ROWS] * row[ParameterEntry.COLUMNS] // BLOCK)

    def _lower_metrics(
        self, metrics: tuple[MetricSpec, ...], losses: list[list[int]], numbers: list[int]
    ) -> tuple[list[list[int]], int]:
        """The metric table, and how many sums there are; `numbers` are the outputs that have the losses."""
        rows, slot = [], SUM_METRICS
        if len(losses) > 1:
            for loss in losses:
                loss[LossEntry.SLOT] = slot
                slot += 1
        for spec in metrics:
            which = numbers.index(spec.output)
            width = losses[which][LossEntry.OUTPUTS]
            # r2_score's last slot is the sum of the weights as it is.
            slots = 3 * width + 1 if spec.name == "r2_score" else 1 + int(spec.weighted)
            constant = self._constant(*smoothing(spec.parameter, spec.label_smoothing, spec.name, width))
            rows.append([METRIC_CODE[spec.name], slot, slots, constant, int(spec.weighted), which])
            slot += slots
        return rows, slot

    def _lower_optimizer(self, spec: OptimizerSpec | None) -> tuple[list[int], tuple[float, ...]]:
        """The optimizer vector, and what each slot begins with."""
        if spec is None:
            return [], ()
        slots = len(OPTIMIZERS[spec.name].slots)
        row = [-1] * OptimizerEntry.WIDTH
        row[OptimizerEntry.CODE], row[OptimizerEntry.SLOTS] = OPTIMIZER_CODE[spec.name], slots
        row[OptimizerEntry.CONSTANT] = self._constant(spec.weight_decay, *spec.constants)
        row[OptimizerEntry.HAS_DECAY], row[OptimizerEntry.CLIP] = int(spec.weight_decay != 0.0), _CLIPS[spec.clip]
        if spec.clip:
            row[OptimizerEntry.CLIP_CONSTANT] = self._constant(spec.limit)
        return row, spec.initial or (0.0,) * slots


_ROLES = {"embeddings": Role.TABLE, "kernel": Role.KERNEL, "bias": Role.BIAS, "beta": Role.BIAS, "gamma": Role.SCALE}
_CLIPS = {"": Clip.NONE, "value": Clip.VALUE, "norm": Clip.NORM, "global_norm": Clip.GLOBAL_NORM}


def smoothing(parameter: float, smoothing: float, name: str, outputs: int) -> tuple[float, float, float]:
    """(parameter, keep, add): binary targets move to 1/2, categorical ones to 1/C."""
    share = 0.5 if name in LOSS_FACTS and LOSS_FACTS[name].binary else 1.0 / outputs
    return parameter, 1.0 - smoothing, smoothing * share


def _with_gap(size: int) -> int:
    return -(-size // PARAMETER_ALIGN) * PARAMETER_ALIGN


def _flops(instructions: Sequence[Sequence[int]]) -> int:
    """Of the products of a row, forward."""
    return sum(2 * row[Column.INPUTS] * row[Column.OUTPUTS] for row in instructions if row[Column.KIND] == Kind.DENSE)


def _table(rows: list[list[int]], width: int) -> Table:
    return _frozen(np.array(rows, np.int64).reshape(len(rows), width))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.setflags(write=False)
    return array
