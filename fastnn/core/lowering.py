"""Lowering: declarations become a `Plan`. A layer's `lower` calls a `Lowering`'s methods, which collect instructions on
values; `finish` gives them buffers (`buffers.py`) and gives the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .arithmetic import BLOCK
from .buffers import Buffers, Step, Value
from .formulas import ELEMENTWISE
from .losses import LOSS_FACTS
from .plan import (
    ACTIVATION_CODE,
    BINARY_CODE,
    DEVIATION_CODE,
    LOSS_CODE,
    METRIC_CODE,
    OPTIMIZER_CODE,
    PARAMETER_ALIGN,
    ROW_WISE_CODE,
    SUM_METRICS,
    VECTOR_GRADIENT_CODE,
    BatchVector,
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
from .rowwise import ROW_WISE
from .specs import TRAINED, LossSpec, MetricSpec, OptimizerSpec, ParameterSpec
from .steps import OPTIMIZERS

Names = tuple[str, str]  # a layer's and its parameter's


class Lowering:
    """Collects instructions; each of the methods of layers reads `value`, the last value made unless another is set.

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
        **more: int,
    ) -> None:
        """Adds an instruction. `saved` says what its derivative reads: its source or its output; "own" is a buffer that
        it has for that, "" is nothing."""
        sources = (self.value,) if second is None else (self.value, second)
        row = [-1] * Column.WIDTH
        row[Column.KIND], row[Column.INPUTS], row[Column.OUTPUTS] = kind, self.value.width, outputs
        row[Column.LAYER], row[Column.FUSED] = self._layer, Fused.NONE
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
        row[ParameterEntry.INSTRUCTION] = len(self._steps)
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

    # layers of one value

    def dense(
        self, layer: str, units: int, kernel: ParameterSpec = TRAINED, bias: ParameterSpec | None = TRAINED
    ) -> None:
        """Z_bo = X_bi W_io + b_o."""
        W = self._parameter(layer, "kernel", (self.value.width, units), kernel)
        b = self._parameter(layer, "bias", (units,), bias) if bias is not None else -1
        self._emit(Kind.DENSE, units, KERNEL=W, BIAS=b)

    def activation(self, name: str, parameter: float = 0.0) -> None:
        """A = f(Z) by a name of `formulas.ELEMENTWISE`, of a layer of `rowwise.ROW_WISE` without parameters, "softmax",
        or "linear" (nothing)."""
        if name == "linear":
            return
        if name == "softmax":
            self._emit(Kind.SOFTMAX, self.value.width)
            return
        if name in ROW_WISE:
            self.row_wise(name)
            return
        constant = self._constant(parameter) if ELEMENTWISE[name].parameter else -1
        code = ACTIVATION_CODE[name]
        self._emit(Kind.ACTIVATION, self.value.width, saved=ELEMENTWISE[name].saved, CODE=code, CONSTANT=constant)

    def dropout(self, rate: float) -> None:
        """A = keep ? A / (1 - rate) : 0 in training."""
        if rate > 0.0:
            self._emit(Kind.DROPOUT, self.value.width, saved="", CONSTANT=self._constant(rate))

    def affine(self, scale: float, offset: float) -> None:
        """A = Z * scale + offset."""
        self._emit(Kind.AFFINE, self.value.width, CONSTANT=self._constant(scale, offset))

    def standardize(self, layer: str, epsilon: float) -> None:
        """A = (Z - mean) / max(sqrt(variance), epsilon), of statistics that training does not change."""
        gamma, beta = self._hide(layer, "gamma", 1.0), self._hide(layer, "beta", 0.0)
        code, moving = DEVIATION_CODE["inverse_deviation_floor"], self._moving(layer, "mean", "variance")
        self._normalize(Kind.STANDARDIZE, gamma, beta, self._constant(epsilon), CODE=code, **moving)

    def batch_norm(
        self,
        layer: str,
        momentum: float,
        epsilon: float,
        gamma: ParameterSpec | None = TRAINED,
        beta: ParameterSpec | None = TRAINED,
        trainable: bool = True,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta: of the batch in training, of its moving averages
        otherwise, and always if the layer is not trainable."""
        scale, offset = self._vector(layer, "gamma", gamma, 1.0), self._vector(layer, "beta", beta, 0.0)
        kind, constant = Kind.BATCH_NORM if trainable else Kind.STANDARDIZE, self._constant(epsilon, 1.0 - momentum)
        code, moving = DEVIATION_CODE["inverse_deviation"], self._moving(layer, "moving_mean", "moving_variance")
        if trainable:
            made = {"gamma": BatchVector.GAMMA_GRADIENT, "beta": BatchVector.BETA_GRADIENT}
            for name, vector in made.items():
                if uses := self._uses.get((self.label or layer, name)):
                    uses[-1][ParameterEntry.MADE] = moving["STATISTICS"] + vector * padded(self.value.width)
        self._normalize(kind, scale, offset, constant, CODE=code, **moving)

    def layer_norm(
        self,
        layer: str,
        epsilon: float,
        gamma: ParameterSpec | None = TRAINED,
        beta: ParameterSpec | None = TRAINED,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta, of each row."""
        scale, offset = self._vector(layer, "gamma", gamma, 1.0), self._vector(layer, "beta", beta, 0.0)
        self._normalize(Kind.LAYER_NORM, scale, offset, self._constant(epsilon))

    def row_wise(
        self, name: str, layer: str = "", vectors: tuple[ParameterSpec, ...] = (), constants: tuple[float, ...] = ()
    ) -> None:
        """A layer of `rowwise.ROW_WISE`, with a spec for each of its vectors and a value for each of its constants."""
        row = ROW_WISE[name]
        offsets = [
            self._parameter(layer, vector, (self.value.width,), spec, VECTOR_GRADIENT_CODE[name, vector])
            for vector, spec in zip(row.vectors, vectors, strict=True)
        ]
        self._emit(
            Kind.ROW_WISE,
            self.value.width,
            saved=row.saved,
            columns=dict(zip(("KERNEL", "BIAS"), offsets, strict=False)),
            CODE=ROW_WISE_CODE[name],
            CONSTANT=self._constant(*constants) if constants else -1,
        )

    def _vector(self, layer: str, name: str, spec: ParameterSpec | None, constant: float) -> int:
        """A parameter of one number a column, or a constant that nobody trains."""
        if spec is None:
            return self._hide(layer, name, constant)
        return self._parameter(layer, name, (self.value.width,), spec)

    def _normalize(self, kind: Kind, gamma: int, beta: int, constant: int, **columns: int) -> None:
        saved = "output" if kind == Kind.STANDARDIZE else "own"
        self._emit(kind, self.value.width, None, saved, columns, KERNEL=gamma, BIAS=beta, CONSTANT=constant)

    def _moving(self, layer: str, mean: str, variance: str) -> dict[str, int]:
        """The columns of a normalization by statistics of the state."""
        offsets = {"MEAN": self._statistic(layer, mean), "VARIANCE": self._statistic(layer, variance)}
        return offsets | {"STATISTICS": self._scratch(BatchVector.WIDTH * padded(self.value.width))}

    def embedding(self, layer: str, rows: int, width: int, table: ParameterSpec = TRAINED) -> None:
        """Rows of a table (rows, width), one for each of the class numbers of a row, beside each other."""
        W = self._parameter(layer, "embeddings", (rows, width), table)
        self._emit(Kind.EMBEDDING, self.value.width * width, KERNEL=W, TABLE=rows)

    # merging, and shapes

    def binary(self, name: str, second: Value) -> None:
        """A function of `binary.BINARY` of the value and a second one of its width."""
        self._emit(Kind.BINARY, self.value.width, second, CODE=BINARY_CODE[name])

    def merge(self, name: str, values: Sequence[Value]) -> None:
        """A function of `binary.BINARY` of the first with the second, of that with the third, and so on; one column is
        repeated beside several."""
        width = max(value.width for value in values)
        wide = []
        for value in values:
            self.value = value
            if value.width < width:
                self.repeat(width)
            wide.append(self.value)
        self.value = wide[0]
        for value in wide[1:]:
            self.binary(name, value)

    def fill(self, number: float, width: int) -> None:
        """A number in `width` columns."""
        self._emit(Kind.FILL, width, saved="", CONSTANT=self._constant(number))
        self._steps[-1].sources = ()

    def random(self, width: int) -> None:
        """Random numbers in `width` columns, between -1 and 1, other ones in each step and each row."""
        self._emit(Kind.RANDOM, width, saved="")
        self._steps[-1].sources = ()

    def variable(self, layer: str, shape: tuple[int, ...], spec: ParameterSpec) -> None:
        """A parameter (N,) or () in every row."""
        self.fill(1.0, 1)
        W = self._parameter(layer, "kernel", shape, spec)
        self._emit(Kind.DENSE, math.prod(shape), KERNEL=W)

    def join(self, values: Sequence[Value]) -> None:
        """The columns of several values beside each other."""
        joined, start = self._new(sum(value.width for value in values)), 0
        for value in values:
            self.value = value
            self._emit(Kind.JOIN, joined.width, OFFSET=start)
            self._values.pop()  # all parts are of one value
            self._steps[-1].output = joined
            start += value.width
        self.value = joined

    def columns(self, start: int, stop: int) -> None:
        """Columns start..stop - 1."""
        self._emit(Kind.SLICE, stop - start, OFFSET=start)

    def row_sum(self) -> None:
        """The sum of each row, one column."""
        self._emit(Kind.ROW_SUM, 1)

    def repeat(self, width: int) -> None:
        """A value of one column in `width` columns."""
        self._emit(Kind.REPEAT, width)

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
    ) -> Plan:
        """The plan.

        Args:
            loss: of the one output, or a list for each output; without one the model can only predict.
            metrics: of which each names its output. outputs: the value, unless others are given.
            weights: what each output's loss is multiplied by in their sum; 1 unless given.
            added: values of one column whose means over the rows are added to the loss; they are the last losses.
        """
        outputs = outputs or (self.value,)
        losses = loss if isinstance(loss, Sequence) and not isinstance(loss, LossSpec) else [loss]
        specs = [(n, spec) for n, spec in enumerate(losses) if spec is not None]
        specs += [(n, LossSpec("prediction")) for n in range(len(outputs), len(outputs) + len(added))]
        weights, ends = (*(weights or [1.0] * len(outputs)), *[1.0] * len(added)), (*outputs, *added)
        buffers = Buffers(self._values, self._steps, self.inputs, self.dtype.itemsize)
        trained = self._trained([ends[n] for n, _ in specs])
        buffers.forward(ends, {n: LOSS_FACTS[spec.name].activation for n, spec in specs})
        loss_rows = [self._lower_loss(buffers, ends[n], spec, weights[n]) for n, spec in specs]
        metric_rows, sums = self._lower_metrics(metrics, loss_rows, [n for n, _ in specs])
        if loss_rows:
            blocks = sum(self._penalty_blocks(parameter) for parameter in self._rows)
            if blocks:
                loss_rows[0][LossEntry.BLOCK_TOTALS] = self._scratch(padded(blocks * 8 // self.dtype.itemsize))
            gradients = [row[LossEntry.GRADIENT] for row in loss_rows]
            made = list(zip((ends[n] for n, _ in specs), gradients, strict=True))
            buffers.backward(made, trained | set(self._makers().values()))
        instructions = buffers.rows()
        parameters = self._parameter_rows(buffers.numbers, trained, bool(loss_rows))
        optimizer_row, initial = self._lower_optimizer(optimizer)
        dense = [row for row in instructions if row[Column.KIND] == Kind.DENSE]
        first = self.inputs[0]
        return Plan(
            dtype=self.dtype,
            instructions=_table(instructions, Column.WIDTH),
            parameters=_table(parameters, ParameterEntry.WIDTH),
            metrics=_table(metric_rows, MetricEntry.WIDTH),
            losses=_table(loss_rows, LossEntry.WIDTH),
            inputs=_table([[value.unit, value.width] for value in self.inputs], InputEntry.WIDTH),
            outputs=_table([[value.unit, value.width] for value in outputs], InputEntry.WIDTH),
            watched=_table(self._watched_rows(), InputEntry.WIDTH),
            optimizer=_frozen(np.array(optimizer_row, np.int64)),
            constants=_frozen(np.array(self._constants, np.float64)),
            layout=ParameterLayout(tuple(self._parameters), tuple(self._hidden), self._theta, self._statistics),
            reads_in_place=len(self.inputs) == 1
            and bool(instructions)
            and instructions[0][Column.KIND] == Kind.DENSE
            and first not in ends
            and sum(first in step.sources for step in self._steps) == 1,
            row_elements=buffers.units,
            fixed_elements=self._fixed,
            flops_per_row=sum(2 * row[Column.INPUTS] * row[Column.OUTPUTS] for row in dense),
            sums=sums,
            slots=len(initial),
            initial_slots=initial,
        )

    def _makers(self) -> dict[int, int]:
        """Of each watched value, by its number, the last step that writes it."""
        numbers = {value.number for value in self._watched}
        return {step.output.number: at for at, step in enumerate(self._steps) if step.output.number in numbers}

    def _watched_rows(self) -> list[list[int]]:
        makers = self._makers()
        units = {number: self._steps[at].row[Column.GRAD_DST] for number, at in makers.items()}
        return [[units.get(value.number, -1), value.width] for value in self._watched]

    def _trained(self, ends: Sequence[Value]) -> set[int]:
        """The numbers of the steps that have parameters to train and lead to a loss."""
        wanted = {value.number for value in ends}
        reached = set()
        for number in range(len(self._steps) - 1, -1, -1):
            step = self._steps[number]
            if step.output.number in wanted:
                reached.add(number)
                wanted.update(value.number for value in step.sources)
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
            row[ParameterEntry.INSTRUCTION] = numbers[row[ParameterEntry.INSTRUCTION]]
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
        at = row[ParameterEntry.PENALTY]
        if at < 0:
            return 0
        sums = sum(factor != 0.0 for factor in self._constants[at : at + 2])
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


def _table(rows: list[list[int]], width: int) -> Table:
    return _frozen(np.array(rows, np.int64).reshape(len(rows), width))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.setflags(write=False)
    return array
