"""One batch forward and backward, operation by operation: what `Program` is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.formulas import ACTIVATIONS, LOSS_NAMES, METRIC_NAMES, ROW_METRICS
from ..core.plan import (
    DEVIATION_CODE,
    SUM_COUNT,
    SUM_LOSS,
    Batch,
    Counter,
    I,
    Kind,
    Los,
    Met,
    Par,
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
        self._trained = {int(row[Par.OFFSET]) for row in plan.parameters if row[Par.TRAINABLE]}

    def _batch_forward(self, data: Data, step: int, training: bool, sums: Sums) -> int:
        start = step * data.batch_size
        stop = min(start + data.batch_size, data.X.shape[0])
        rows: int = stop - start
        picked: Any = slice(start, stop) if data.order is None else data.order[start:stop]
        self.state.reserve(data.batch_size)
        self._gather(data.X[picked])
        assert data.y is not None
        loss = self.plan.loss
        self._buffer(int(loss[Los.TARGET]), rows, int(loss[Los.TARGETS]))[...] = data.y[picked]
        self._w = np.ones(rows, self.plan.dtype) if data.w is None else np.ascontiguousarray(data.w[picked])
        self._forward(rows, training)
        self._sum_losses(rows, sums)
        return rows

    def _batch_gradient(self, data: Data, step: int, sums: Sums) -> None:
        rows = self._batch_forward(data, step, training=True, sums=sums)
        self._backward(rows)

    def _gather(self, X: Array) -> None:
        with np.errstate(all="ignore"):
            self._buffer(0, X.shape[0], self.plan.features)[...] = X

    def _buffer(self, unit: int, rows: int, width: int) -> Array:
        state, plan = self.state, self.plan
        start = plan.fixed_elements + unit * state.rows
        return state.workspace[start : start + rows * padded(width)].reshape(rows, padded(width))[:, :width]

    def _weights(self, row: Array) -> tuple[Array, Array | None]:
        theta, i, o = self.state.theta, int(row[I.INPUTS]), int(row[I.OUTPUTS])
        W = theta[row[I.KERNEL] : row[I.KERNEL] + i * o].reshape(i, o)
        return W, theta[row[I.BIAS] : row[I.BIAS] + o] if row[I.BIAS] >= 0 else None

    def _forward(self, rows: int, training: bool) -> None:
        for row in self.plan.instructions:
            src = self._buffer(int(row[I.SRC]), rows, int(row[I.INPUTS]))
            dst = self._buffer(int(row[I.DST]), rows, int(row[I.OUTPUTS]))
            match row[I.KIND]:
                case Kind.DENSE:
                    W, b = self._weights(row)
                    if b is None:
                        self.op["gemm_nn"](dst, src, W)
                    else:
                        self.op["dense_forward"](dst, src, W, b)
                case Kind.ACTIVATION:
                    self.op[f"{_activation(row)}_forward"](dst, src, self._constant(row))
                case Kind.SOFTMAX:
                    self.op["softmax_forward"](dst, src)
                case Kind.DROPOUT:
                    if training:
                        self.op["dropout"](dst, src, *self._dropout_key(row))
                    else:
                        dst[...] = src
                case Kind.AFFINE:
                    self.op["affine"](dst, src, *self._constants(row))
                case Kind.BATCH_NORM if training:
                    self._batch_norm_forward(row, rows, dst, src)
                case Kind.STANDARDIZE | Kind.BATCH_NORM:
                    inv = self._of_batch(row, Batch.INVERSE)
                    mean, variance = self._kept(row)
                    self.op[_DEVIATIONS[row[I.CODE]]](inv, variance, self._constant(row))
                    self.op["standardize_forward"](dst, src, mean, inv, *self._gamma_beta(row))
                case Kind.LAYER_NORM:
                    N, inv = self._saved(row, rows), self._buffer(int(row[I.INVERSE]), rows, 1)[:, 0]
                    scalars = self._constant(row), 1.0 / int(row[I.OUTPUTS])
                    self.op["layer_norm_forward"](dst, N, inv, src, *self._gamma_beta(row), *scalars)

    def _batch_norm_forward(self, row: Array, rows: int, dst: Array, src: Array) -> None:
        mean, variance, inv = (self._of_batch(row, of) for of in (Batch.MEAN, Batch.VARIANCE, Batch.INVERSE))
        epsilon, rate = self._constants(row)
        self.op["batch_moments"](mean, variance, src, 1.0 / rows)
        self.op[_DEVIATIONS[row[I.CODE]]](inv, variance, epsilon)
        for kept, new in zip(self._kept(row), (mean, variance), strict=True):
            self.op["moving_average"](kept, new, rate)
        self.op["batch_norm_forward"](dst, self._saved(row, rows), src, mean, inv, *self._gamma_beta(row))

    def _constant(self, row: Array) -> float:
        return float(self.plan.constants[row[I.CONSTANT]]) if row[I.CONSTANT] >= 0 else 0.0

    def _constants(self, row: Array) -> tuple[float, float]:
        first, second = self.plan.constants[row[I.CONSTANT] : row[I.CONSTANT] + 2]
        return float(first), float(second)

    def _gamma_beta(self, row: Array) -> tuple[Array, Array]:
        theta, width = self.state.theta, int(row[I.OUTPUTS])
        return theta[row[I.KERNEL] : row[I.KERNEL] + width], theta[row[I.BIAS] : row[I.BIAS] + width]

    def _kept(self, row: Array) -> tuple[Array, Array]:
        """The mean and the variance that the state keeps."""
        statistics, width = self.state.statistics, int(row[I.OUTPUTS])
        return statistics[row[I.MEAN] : row[I.MEAN] + width], statistics[row[I.VARIANCE] : row[I.VARIANCE] + width]

    def _of_batch(self, row: Array, vector: Batch) -> Array:
        """One of the vectors of a normalization in the workspace."""
        width = int(row[I.OUTPUTS])
        start = int(row[I.STATISTICS]) + vector * padded(width)
        return self.state.workspace[start : start + width]

    def _saved(self, row: Array, rows: int) -> Array:
        return self._buffer(int(row[I.SAVED]), rows, int(row[I.OUTPUTS]))

    def _dropout_key(self, row: Array) -> tuple[float, int, int, int]:
        counters = self.state.counters
        return self._constant(row), int(counters[Counter.SEED]), int(counters[Counter.STEP]), int(row[I.LAYER])

    def _loss_buffers(self, rows: int) -> tuple[Array, Array, Array]:
        loss = self.plan.loss
        inputs = self._buffer(int(loss[Los.INPUT]), rows, int(loss[Los.OUTPUTS]))
        probability = self._buffer(int(loss[Los.PROBABILITY]), rows, int(loss[Los.OUTPUTS]))
        return inputs, probability, self._targets(rows)

    def _targets(self, rows: int) -> Array:
        loss = self.plan.loss
        targets = self._buffer(int(loss[Los.TARGET]), rows, int(loss[Los.TARGETS]))
        return targets[:, 0] if self.plan.sparse else targets

    def _spec(self, constant: int) -> tuple[float, float, float]:
        parameter, keep, add = (float(value) for value in self.plan.constants[constant : constant + 3])
        return parameter, keep, add

    def _sum_losses(self, rows: int, sums: Sums) -> None:
        """Adds the batch's weighted losses, penalties and metrics, in row order."""
        plan = self.plan
        name = LOSS_NAMES[plan.loss[Los.CODE]]
        inputs, probability, targets = self._loss_buffers(rows)
        spec = self._spec(int(plan.loss[Los.CONSTANT]))
        values = np.empty(rows, plan.dtype)
        outs = (values, probability) if "softmax" in name else (values,)
        self.op[f"{name}_forward"](*outs, inputs, targets, *spec)
        total = np.zeros(1)
        self.op["weighted_sum"](total, values, self._w)
        sums[SUM_LOSS] += total[0] + rows * self._penalty()
        sums[SUM_COUNT] += rows
        predictions = self._buffer(int(plan.loss[Los.PREDICTION]), rows, int(plan.loss[Los.OUTPUTS]))
        ones = np.ones(rows, plan.dtype)
        for row in plan.metrics:
            slot = sums[row[Met.SLOT] : row[Met.SLOT] + row[Met.SLOTS]]
            name = METRIC_NAMES[row[Met.CODE]]
            weights = self._w if row[Met.WEIGHTED] else ones
            if name == "r2_score":
                self.op["r2_sums"](slot, predictions, targets, weights)
                continue
            if name in ROW_METRICS:
                self.op[name](values, predictions, targets)
            else:
                self.op[f"{name}_forward"](values, predictions, targets, *self._spec(int(row[Met.CONSTANT])))
            for at, of in ((0, values), (1, weights))[: row[Met.SLOTS]]:
                total[0] = 0.0
                self.op["weighted_sum"](total, of, weights if at == 0 else ones)
                slot[at] += total[0]

    def _penalty(self) -> float:
        """l1 sum |w| + l2 sum w^2 over the regularised parameters, float64."""
        penalty = 0.0
        for row in self.plan.parameters:
            if row[Par.PENALTY] < 0:
                continue
            l1, l2 = (float(value) for value in self.plan.constants[row[Par.PENALTY] : row[Par.PENALTY] + 2])
            w = self.state.theta[view_of(row)]
            for factor, operation in ((l1, "sum_abs"), (l2, "sum_squares")):
                if factor != 0.0:
                    total = np.zeros(1)
                    self.op[operation](total, w)
                    penalty += factor * float(total[0])
        return penalty

    def _backward(self, rows: int) -> None:
        plan, loss = self.plan, self.plan.loss
        name = LOSS_NAMES[loss[Los.CODE]]
        inputs, probability, targets = self._loss_buffers(rows)
        scale = np.empty(rows, plan.dtype)
        self.op["row_scale"](scale, self._w, loss_scale(name, rows, int(loss[Los.OUTPUTS])))
        gradient = self._buffer(int(loss[Los.GRADIENT]), rows, int(loss[Los.OUTPUTS]))
        source = probability if "softmax" in name else inputs
        self.op[f"{name}_backward"](gradient, source, targets, scale, *self._spec(int(loss[Los.CONSTANT])))
        for row in plan.instructions[::-1]:
            if row[I.GRAD_DST] < 0:
                continue
            d_dst = self._buffer(int(row[I.GRAD_DST]), rows, int(row[I.OUTPUTS]))
            d_src = self._buffer(int(row[I.GRAD_SRC]), rows, int(row[I.INPUTS])) if row[I.GRAD_SRC] >= 0 else None
            match row[I.KIND]:
                case Kind.DENSE:
                    self._dense_backward(row, rows, d_src, d_dst)
                case Kind.ACTIVATION:
                    saved = self._saved(row, rows)
                    self.op[f"{_activation(row)}_backward"](d_src, d_dst, saved, self._constant(row))
                case Kind.SOFTMAX:
                    self.op["softmax_backward"](d_src, d_dst, self._saved(row, rows))
                case Kind.DROPOUT:
                    self.op["dropout"](d_src, d_dst, *self._dropout_key(row))
                case Kind.AFFINE:
                    self.op["affine"](d_src, d_dst, self._constant(row), 0.0)
                case Kind.STANDARDIZE:
                    self.op["standardize_backward"](
                        d_src, d_dst, self._of_batch(row, Batch.INVERSE), self._gamma_beta(row)[0]
                    )
                case Kind.BATCH_NORM:
                    self._batch_norm_backward(row, rows, d_src, d_dst)
                case Kind.LAYER_NORM:
                    self._layer_norm_backward(row, rows, d_src, d_dst)
        self._penalty_backward()

    def _dense_backward(self, row: Array, rows: int, dX: Array | None, dZ: Array) -> None:
        i, o = int(row[I.INPUTS]), int(row[I.OUTPUTS])
        if dX is not None:
            self.op["gemm_nt"](dX, dZ, self._weights(row)[0])
        dW, db = self._gradient(row[I.KERNEL], i * o), self._gradient(row[I.BIAS], o)
        if dW is not None:
            self.op["gemm_tn"](dW.reshape(i, o), self._buffer(int(row[I.SRC]), rows, i), dZ)
        if db is not None:
            self.op["bias_backward"](db, dZ)

    def _batch_norm_backward(self, row: Array, rows: int, dZ: Array | None, dA: Array) -> None:
        N, width = self._saved(row, rows), int(row[I.OUTPUTS])
        db, dg = self._of_batch(row, Batch.BETA_GRADIENT), self._of_batch(row, Batch.GAMMA_GRADIENT)
        self.op["bias_backward"](db, dA)
        self.op["scale_backward"](dg, dA, N)
        for offset, found in ((row[I.BIAS], db), (row[I.KERNEL], dg)):
            gradient = self._gradient(offset, width)
            if gradient is not None:
                gradient[:] = found
        if dZ is not None:
            inv = self._of_batch(row, Batch.INVERSE)
            self.op["batch_norm_backward"](dZ, dA, N, inv, self._gamma_beta(row)[0], db, dg, 1.0 / rows)

    def _layer_norm_backward(self, row: Array, rows: int, dZ: Array | None, dA: Array) -> None:
        N, width = self._saved(row, rows), int(row[I.OUTPUTS])
        db, dg = self._gradient(row[I.BIAS], width), self._gradient(row[I.KERNEL], width)
        if db is not None:
            self.op["bias_backward"](db, dA)
        if dg is not None:
            self.op["scale_backward"](dg, dA, N)
        if dZ is not None:
            inv = self._buffer(int(row[I.INVERSE]), rows, 1)[:, 0]
            self.op["layer_norm_backward"](dZ, dA, N, inv, self._gamma_beta(row)[0], 1.0 / width)

    def _gradient(self, offset: int, size: int) -> Array | None:
        """The gradient of the parameter at `offset` of theta; None where there is none to train."""
        return self.state.gradient[offset : offset + size] if int(offset) in self._trained else None

    def _penalty_backward(self) -> None:
        for row in self.plan.parameters:
            if row[Par.PENALTY] >= 0 and row[Par.TRAINABLE]:
                l1, l2 = (float(value) for value in self.plan.constants[row[Par.PENALTY] : row[Par.PENALTY] + 2])
                view = view_of(row)
                self.op["penalty_backward"](self.state.gradient[view], self.state.theta[view], l1, 2.0 * l2)


def view_of(row: Array) -> slice:
    """The elements of theta that a row of the parameter table names."""
    return slice(int(row[Par.OFFSET]), int(row[Par.OFFSET] + row[Par.ROWS] * row[Par.COLUMNS]))


def loss_scale(name: str, rows: int, outputs: int) -> float:
    """What a row's gradient is multiplied by beside its weight: 1 / B, and 1 / outputs for a mean over them."""
    return 1.0 / rows / outputs if mean_outputs(name) else 1.0 / rows


def _activation(row: Array) -> str:
    return list(ACTIVATIONS)[int(row[I.CODE])]


_DEVIATIONS = list(DEVIATION_CODE)
