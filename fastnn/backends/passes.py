"""One batch forward and backward, operation by operation: what `Program` is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.instructions import INSTRUCTIONS, Call, gradient_of, operation_of, place, scalars
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

    def _batch_forward(self, data: Data, step: int, training: bool, sums: Sums) -> Array:
        """The forward pass, its losses and metrics; gives the weights of the batch's rows."""
        start = step * data.batch_size
        stop = min(start + data.batch_size, data.X.shape[0])
        rows: int = stop - start
        picked: Any = slice(start, stop) if data.order is None else data.order[start:stop]
        self.state.reserve(data.batch_size)
        self._gather(data.X[picked])
        assert data.y is not None
        loss = self.plan.loss
        self._buffer(int(loss[LossEntry.TARGET]), rows, int(loss[LossEntry.TARGETS]))[...] = data.y[picked]
        weights = np.ones(rows, self.plan.dtype) if data.w is None else np.ascontiguousarray(data.w[picked])
        self._forward(rows, training)
        self._sum_losses(weights, sums)
        return weights

    def _batch_gradient(self, data: Data, step: int, sums: Sums) -> None:
        weights = self._batch_forward(data, step, training=True, sums=sums)
        self._backward(weights)
        self._parameter_gradients(weights.size)

    def _gather(self, X: Array) -> None:
        with np.errstate(all="ignore"):
            self._buffer(0, X.shape[0], self.plan.features)[...] = X

    def _buffer(self, unit: int, rows: int, width: int) -> Array:
        state, plan = self.state, self.plan
        start = plan.fixed_elements + unit * state.rows
        return state.workspace[start : start + rows * padded(width)].reshape(rows, padded(width))[:, :width]

    def _array(self, row: list[int], name: str, argument: Argument, rows: int) -> Array:
        """An instruction's array of a name of `PLACES`, as an argument of an operation."""
        vector, start, width = place(row, name)
        if vector == "rows":
            buffer = self._buffer(start, rows, width)
            return buffer[:, 0] if argument.dims == "b" else buffer
        whole = {"theta": self.state.theta, "statistics": self.state.statistics, "batch": self.state.workspace}[vector]
        if len(argument.dims) == 2:
            inputs = int(row[Column.INPUTS])
            return whole[start : start + inputs * width].reshape(inputs, width)
        return whole[start : start + width]

    def _run(self, row: list[int], call: Call, rows: int) -> None:
        """One operation of an instruction for a batch."""
        operation = operation_of(row, call)
        names = call.arrays.split()
        arrays = (self._array(row, *pair, rows) for pair in zip(names, operation.arguments, strict=False))
        values: tuple[float, ...] = scalars(self.plan, row, call, rows)
        if row[Column.KIND] == Kind.DROPOUT:
            counters = self.state.counters
            values += int(counters[Counter.SEED]), int(counters[Counter.STEP]), int(row[Column.LAYER])
        self.op[operation.name](*arrays, *values)

    def _forward(self, rows: int, training: bool) -> None:
        for row in self.plan.instructions.tolist():
            kind = INSTRUCTIONS[Kind(row[Column.KIND])]
            if row[Column.KIND] == Kind.DROPOUT and not training:
                unit, width = int(row[Column.DST]), int(row[Column.OUTPUTS])
                self._buffer(unit, rows, width)[...] = self._buffer(int(row[Column.SRC]), rows, width)
                continue
            for call in kind.forward_columns if training and kind.forward_columns else kind.inference_columns:
                self._run(row, call, rows)
            self._run(row, kind.forward if training or kind.inference is None else kind.inference, rows)

    def _loss_buffers(self, rows: int) -> tuple[Array, Array, Array]:
        loss = self.plan.loss
        inputs = self._buffer(int(loss[LossEntry.INPUT]), rows, int(loss[LossEntry.OUTPUTS]))
        probability = self._buffer(int(loss[LossEntry.PROBABILITY]), rows, int(loss[LossEntry.OUTPUTS]))
        return inputs, probability, self._targets(rows)

    def _targets(self, rows: int) -> Array:
        loss = self.plan.loss
        targets = self._buffer(int(loss[LossEntry.TARGET]), rows, int(loss[LossEntry.TARGETS]))
        return targets[:, 0] if self.plan.sparse else targets

    def _spec(self, constant: int) -> tuple[float, float, float]:
        parameter, keep, add = (float(value) for value in self.plan.constants[constant : constant + 3])
        return parameter, keep, add

    def _sum_losses(self, given: Array, sums: Sums) -> None:
        """Adds the batch's weighted losses, penalties and metrics, in row order."""
        plan, rows = self.plan, given.size
        name = LOSS_NAMES[plan.loss[LossEntry.CODE]]
        inputs, probability, targets = self._loss_buffers(rows)
        spec = self._spec(int(plan.loss[LossEntry.CONSTANT]))
        values = np.empty(rows, plan.dtype)
        outs = (values, probability) if LOSS_FACTS[name].softmax else (values,)
        self.op[f"{name}_forward"](*outs, inputs, targets, *spec)
        total = np.zeros(1)
        self.op["weighted_sum"](total, values, given)
        sums[SUM_LOSS] += total[0] + rows * self._penalty()
        sums[SUM_COUNT] += rows
        predictions = self._buffer(int(plan.loss[LossEntry.PREDICTION]), rows, int(plan.loss[LossEntry.OUTPUTS]))
        ones = np.ones(rows, plan.dtype)
        for row in plan.metrics:
            slot = sums[row[MetricEntry.SLOT] : row[MetricEntry.SLOT] + row[MetricEntry.SLOTS]]
            name = METRIC_NAMES[row[MetricEntry.CODE]]
            weights = given if row[MetricEntry.WEIGHTED] else ones
            if name == "r2_score":
                self.op["r2_sums"](slot, predictions, targets, weights)
                continue
            if name in ROW_METRICS:
                self.op[name](values, predictions, targets)
            else:
                self.op[f"{name}_forward"](values, predictions, targets, *self._spec(int(row[MetricEntry.CONSTANT])))
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

    def _backward(self, weights: Array) -> None:
        """The gradients of the loss and of every activation."""
        plan, loss, rows = self.plan, self.plan.loss, weights.size
        name = LOSS_NAMES[loss[LossEntry.CODE]]
        inputs, probability, targets = self._loss_buffers(rows)
        scale = np.empty(rows, plan.dtype)
        self.op["row_scale"](scale, weights, loss_scale(name, rows, int(loss[LossEntry.OUTPUTS])))
        gradient = self._buffer(int(loss[LossEntry.GRADIENT]), rows, int(loss[LossEntry.OUTPUTS]))
        source = probability if LOSS_FACTS[name].softmax else inputs
        self.op[f"{name}_backward"](gradient, source, targets, scale, *self._spec(int(loss[LossEntry.CONSTANT])))
        for row in plan.instructions[::-1].tolist():
            kind = INSTRUCTIONS[Kind(row[Column.KIND])]
            if row[Column.GRAD_DST] >= 0:
                for call in kind.backward_columns:
                    self._run(row, call, rows)
            if row[Column.GRAD_SRC] >= 0:
                self._run(row, kind.backward, rows)

    def _parameter_gradients(self, rows: int) -> None:
        """The gradients of what is trainable, with their penalties."""
        plan, state = self.plan, self.state
        for row in plan.parameters:
            if not row[ParameterEntry.TRAINABLE]:
                continue
            view, instruction = view_of(row), plan.instructions[row[ParameterEntry.INSTRUCTION]].tolist()
            gradient, made = state.gradient[view], int(row[ParameterEntry.MADE])
            if made >= 0:
                gradient[...] = state.workspace[made : made + gradient.size]
            else:
                operation, names = gradient_of(row)
                out, *arguments = operation.arguments
                arrays = (self._array(instruction, *pair, rows) for pair in zip(names, arguments, strict=True))
                shape = row[[ParameterEntry.ROWS, ParameterEntry.COLUMNS]][-len(out.dims) :]
                self.op[operation.name](gradient.reshape(shape), *arrays)
            if row[ParameterEntry.PENALTY] >= 0:
                l1, l2 = plan.constants[row[ParameterEntry.PENALTY] :][:2].tolist()
                self.op["penalty_backward"](gradient, state.theta[view], l1, 2.0 * l2)


def view_of(row: Array) -> slice:
    """The elements of theta that a row of the parameter table names."""
    start = int(row[ParameterEntry.OFFSET])
    return slice(start, start + int(row[ParameterEntry.ROWS] * row[ParameterEntry.COLUMNS]))


def loss_scale(name: str, rows: int, outputs: int) -> float:
    """What a row's gradient is multiplied by beside its weight: 1 / B, and 1 / outputs for a mean over them."""
    return 1.0 / rows / outputs if mean_outputs(name) else 1.0 / rows
