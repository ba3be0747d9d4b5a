"""One batch forward and backward, operation by operation: what `Program` is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.instructions import INSTRUCTIONS, Call, backward_calls, gradient_of, operation_of, place, scalars
from ..core.losses import LOSS_FACTS, LOSS_NAMES, METRIC_NAMES, ROW_METRICS
from ..core.operations import Argument
from ..core.plan import (
    SUM_COUNT,
    SUM_LOSS,
    Column,
    Counter,
    Kind,
    LossEntry,
    MetricEntry,
    ParameterEntry,
    Plan,
    mean_outputs,
    padded,
)
from ..core.state import State
from .data import Array, Data, Sums


class Passes:
    """The passes of one batch through a plan's instructions, on the operations of a backend."""

    def __init__(self, operations: Mapping[str, Callable[..., None]], plan: Plan, state: State) -> None:
        self.op, self.plan, self.state = operations, plan, state

    def _batch_forward(self, data: Data, step: int, training: bool, sums: Sums) -> list[Array]:
        """The forward pass, its losses and metrics; gives the weights of the batch's rows in each loss."""
        start = step * data.batch_size
        stop = min(start + data.batch_size, data.rows)
        rows: int = stop - start
        picked: Any = slice(start, stop) if data.order is None else data.order[start:stop]
        self.state.reserve(data.batch_size)
        self._gather([X[picked] for X in data.X])
        given: list[Array] = []
        for number, (loss, y) in enumerate(zip(self.plan.losses.tolist(), data.y, strict=True)):
            self._targets(loss, rows)[...] = y[picked]
            w = data.weights(number)
            given.append(np.ones(rows, self.plan.dtype) if w is None else np.ascontiguousarray(w[picked]))
        self._forward(rows, training, start)
        self._sum_losses(given, data.share(step), sums)
        return given

    def _batch_gradient(self, data: Data, step: int, sums: Sums) -> None:
        weights = self._batch_forward(data, step, training=True, sums=sums)
        self._backward(weights)
        self._parameter_gradients(weights[0].size, data.share(step))

    def _gather(self, inputs: Sequence[Array]) -> None:
        with np.errstate(all="ignore"):
            for (unit, width, whole, offset), X in zip(self.plan.inputs.tolist(), inputs, strict=True):
                self._buffer(unit, X.shape[0], whole)[:, offset : offset + width] = X

    def _buffer(self, unit: int, rows: int, width: int) -> Array:
        state, plan = self.state, self.plan
        start = plan.fixed_elements + unit * state.rows
        return state.workspace[start : start + rows * padded(width)].reshape(rows, padded(width))[:, :width]

    def _array(self, row: list[int], name: str, argument: Argument, rows: int) -> Array:
        """An instruction's array of a name of `PLACES`, as an argument of an operation."""
        vector, start, width, whole_width, offset = place(row, name)
        if vector == "rows":
            buffer = self._buffer(start, rows, whole_width)
            return buffer[:, 0] if argument.dims == "b" else buffer[:, offset : offset + width]
        whole = {"theta": self.state.theta, "statistics": self.state.statistics, "batch": self.state.workspace}[vector]
        if len(argument.dims) == 2:
            inputs = int(row[Column.TABLE if name == "table" else Column.INPUTS])
            return whole[start : start + inputs * width].reshape(inputs, width)
        return whole[start : start + width]

    def _run(self, row: list[int], call: Call, rows: int, start: int = 0) -> None:
        """One operation of an instruction for a batch that begins at row `start` of the data."""
        operation = operation_of(row, call)
        names = call.arrays.split()
        arrays = (self._array(row, *pair, rows) for pair in zip(names, operation.arguments, strict=False))
        values: tuple[float, ...] = scalars(self.plan, row, call, rows)
        if row[Column.KIND] in (Kind.DROPOUT, Kind.RANDOM):
            counters = self.state.counters
            values += int(counters[Counter.SEED]), int(counters[Counter.STEP]), int(row[Column.LAYER])
        if row[Column.KIND] == Kind.RANDOM:
            values += (start,)
        self.op[operation.name](*arrays, *values)

    def _forward(self, rows: int, training: bool, start: int) -> None:
        for row in self.plan.instructions.tolist():
            kind = INSTRUCTIONS[Kind(row[Column.KIND])]
            if row[Column.KIND] == Kind.DROPOUT and not training:
                unit, width = int(row[Column.DST]), int(row[Column.OUTPUTS])
                self._buffer(unit, rows, width)[...] = self._buffer(int(row[Column.SRC]), rows, width)
                continue
            for call in kind.forward_columns if training and kind.forward_columns else kind.inference_columns:
                self._run(row, call, rows)
            whole = kind.forward if training or kind.inference is None else kind.inference
            if whole is not None:
                self._run(row, whole, rows, start)

    def _loss_buffers(self, loss: list[int], rows: int) -> tuple[Array, Array, Array]:
        inputs = self._buffer(loss[LossEntry.INPUT], rows, loss[LossEntry.OUTPUTS])
        probability = self._buffer(loss[LossEntry.PROBABILITY], rows, loss[LossEntry.OUTPUTS])
        targets = self._targets(loss, rows)
        classes = LOSS_FACTS[LOSS_NAMES[loss[LossEntry.CODE]]].classes
        return inputs, probability, targets[:, 0] if classes else targets

    def _targets(self, loss: list[int], rows: int) -> Array:
        return self._buffer(loss[LossEntry.TARGET], rows, loss[LossEntry.TARGETS])

    def _spec(self, constant: int) -> tuple[float, float, float]:
        parameter, keep, add = (float(value) for value in self.plan.constants[constant : constant + 3])
        return parameter, keep, add

    def _sum_losses(self, given: Sequence[Array], share: float, sums: Sums) -> None:
        """Adds the batch's weighted losses, penalties and metrics, in row order."""
        plan, rows, whole = self.plan, given[0].size, 0.0
        values, total = np.empty(rows, plan.dtype), np.zeros(1)
        for loss, weights in zip(plan.losses.tolist(), given, strict=True):
            name = LOSS_NAMES[loss[LossEntry.CODE]]
            inputs, probability, targets = self._loss_buffers(loss, rows)
            outs = (values, probability) if LOSS_FACTS[name].softmax else (values,)
            self.op[f"{name}_forward"](*outs, inputs, targets, *self._spec(loss[LossEntry.CONSTANT]))
            total[0] = 0.0
            self.op["weighted_sum"](total, values, weights)
            if loss[LossEntry.SLOT] >= 0:
                sums[loss[LossEntry.SLOT]] += total[0]
            whole += float(plan.constants[loss[LossEntry.WEIGHT]]) * float(total[0])
        sums[SUM_LOSS] += whole + rows * (share * self._penalty())
        sums[SUM_COUNT] += rows
        for metric in plan.metrics.tolist():
            self._sum_metric(metric, given[metric[MetricEntry.LOSS]], sums)

    def _sum_metric(self, row: list[int], given: Array, sums: Sums) -> None:
        loss, rows = self.plan.losses[row[MetricEntry.LOSS]].tolist(), given.size
        predictions = self._buffer(loss[LossEntry.PREDICTION], rows, loss[LossEntry.OUTPUTS])
        targets, ones = self._loss_buffers(loss, rows)[2], np.ones(rows, self.plan.dtype)
        name, weights = METRIC_NAMES[row[MetricEntry.CODE]], given if row[MetricEntry.WEIGHTED] else ones
        slot = sums[row[MetricEntry.SLOT] :][: row[MetricEntry.SLOTS]]
        values, total = np.empty(rows, self.plan.dtype), np.zeros(1)
        if name == "r2_score":
            self.op["r2_sums"](slot, predictions, targets, weights)
            return
        if name in ROW_METRICS:
            self.op[name](values, predictions, targets)
        else:
            self.op[f"{name}_forward"](values, predictions, targets, *self._spec(row[MetricEntry.CONSTANT]))
        for at, of in ((0, values), (1, weights))[: row[MetricEntry.SLOTS]]:
            total[0] = 0.0
            self.op["weighted_sum"](total, of, weights if at == 0 else ones)
            slot[at] += total[0]

    def _penalty(self) -> float:
        """l1 sum |w| + l2 sum w^2 over the regularised parameters, float64."""
        penalty = 0.0
        for row in self.plan.parameters:
            if row[ParameterEntry.PENALTY] < 0:
                continue
            l1, l2 = self.plan.constants[row[ParameterEntry.PENALTY] :][:2].tolist()
            w = self.state.theta[view_of(row)]
            for factor, operation in ((l1, "sum_abs"), (l2, "sum_squares")):
                if factor != 0.0:
                    total = np.zeros(1)
                    self.op[operation](total, w)
                    penalty += factor * float(total[0])
        return penalty

    def _backward(self, weights: Sequence[Array]) -> None:
        """The gradients of the losses and of every activation."""
        plan, rows = self.plan, weights[0].size
        scale = np.empty(rows, plan.dtype)
        for loss, given in zip(plan.losses.tolist(), weights, strict=True):
            name, outputs = LOSS_NAMES[loss[LossEntry.CODE]], loss[LossEntry.OUTPUTS]
            inputs, probability, targets = self._loss_buffers(loss, rows)
            share = loss_scale(name, rows, outputs) * float(plan.constants[loss[LossEntry.WEIGHT]])
            self.op["row_scale"](scale, given, share)
            gradient = self._buffer(loss[LossEntry.GRADIENT], rows, outputs)
            source = probability if LOSS_FACTS[name].softmax else inputs
            self.op[f"{name}_backward"](gradient, source, targets, scale, *self._spec(loss[LossEntry.CONSTANT]))
        for row in plan.instructions[::-1].tolist():
            if row[Column.GRAD_DST] >= 0:
                for call in INSTRUCTIONS[Kind(row[Column.KIND])].backward_columns:
                    self._run(row, call, rows)
            for call in backward_calls(row):
                self._run(row, call, rows)

    def _parameter_gradients(self, rows: int, share: float) -> None:
        """The gradients of what is trainable, with a share of their penalties."""
        plan, state = self.plan, self.state
        for row in plan.parameters:
            if not row[ParameterEntry.TRAINABLE]:
                continue
            view = view_of(row)
            gradient, use = state.gradient[view], int(row[ParameterEntry.NEXT])
            self._use_gradient(row if use < 0 else plan.parameters[use], gradient, rows)
            while use >= 0 and (use := int(plan.parameters[use, ParameterEntry.NEXT])) >= 0:
                other = np.empty_like(gradient)
                self._use_gradient(plan.parameters[use], other, rows)
                self.op["add"](gradient[None], gradient[None], other[None])
            if row[ParameterEntry.PENALTY] >= 0:
                l1, l2 = plan.constants[row[ParameterEntry.PENALTY] :][:2].tolist()
                self.op["penalty_backward"](gradient, state.theta[view], share * l1, share * (2.0 * l2))

    def _use_gradient(self, row: Array, gradient: Array, rows: int) -> None:
        """The gradient of a parameter by one instruction that uses it."""
        made = int(row[ParameterEntry.MADE])
        if made >= 0:
            gradient[...] = self.state.workspace[made : made + gradient.size]
            return
        instruction = self.plan.instructions[row[ParameterEntry.INSTRUCTION]].tolist()
        operation, names = gradient_of(row.tolist())
        out, *arguments = operation.arguments
        arrays = (self._array(instruction, *pair, rows) for pair in zip(names, arguments, strict=True))
        shape = row[[ParameterEntry.ROWS, ParameterEntry.COLUMNS]][-len(out.dims) :]
        if out.updated:
            gradient[...] = 0.0
        self.op[operation.name](gradient.reshape(shape), *arrays)


def view_of(row: Array) -> slice:
    """The elements of theta that a row of the parameter table names."""
    start = int(row[ParameterEntry.OFFSET])
    return slice(start, start + int(row[ParameterEntry.ROWS] * row[ParameterEntry.COLUMNS]))


def loss_scale(name: str, rows: int, outputs: int) -> float:
    """What a row's gradient is multiplied by beside its weight: 1 / B, and 1 / outputs for a mean over them."""
    return 1.0 / rows / outputs if mean_outputs(name) else 1.0 / rows
