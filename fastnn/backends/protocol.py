"""What a backend is: the operations of `operations.py`, and programs that run a plan.

`Program` gives every program in terms of operations, so a new backend works once its operations do; a fast backend
overrides programs with fused ones, and the tests want the same bits from both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ..formulas import ACTIVATIONS, LOSS_NAMES, METRIC_NAMES, OPTIMIZERS, ROW_METRICS
from ..plan import (
    SUM_COUNT,
    SUM_LOSS,
    Counter,
    I,
    Kind,
    Los,
    Met,
    Opt,
    Par,
    Plan,
    Scalar,
    largest,
    mean_outputs,
    padded,
)
from ..random import permutation
from ..state import State

Array = npt.NDArray[Any]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """What a fit reads: arrays are checked, never copied, and converted batch by batch.

    Attributes:
        X: (n, I), any real dtype and strides.
        y: (n, T) targets, any real dtype and strides; None to predict.
        w: (n,) weights of the model's dtype, or None.
        order: (n,) int64: step s trains on the rows order[s * batch_size : (s + 1) * batch_size]; None is 0, 1, 2, ...
        batch_size: rows a step; the last step may have fewer.
    """

    X: Array
    y: Array | None
    w: Array | None
    order: npt.NDArray[np.int64] | None
    batch_size: int

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return int(-(-self.X.shape[0] // self.batch_size))


Method = TypeVar("Method", bound=Callable[..., Any])


def exclusive(method: Method) -> Method:
    """A program's method that has the state's buffers to itself."""

    @wraps(method)
    def locked(self: Program, *arguments: Any) -> Any:
        with self.state.lock:
            return method(self, *arguments)

    return cast(Method, locked)


class Program:
    """A plan and its state on one backend, in terms of operations. Pointers and views are taken once, in `__init__`.

    Programs hold addresses: they cannot be copied or pickled, only made again from a plan and a state.

    Raises:
        Nothing: arguments were checked by `checks.py`.
    """

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        self.backend, self.plan, self.state = backend, plan, state
        self.op = backend.operations(plan.dtype)
        self._frozen = {int(row[Par.OFFSET]) for row in plan.parameters if not row[Par.TRAINABLE]}

    def __reduce__(self) -> Any:
        raise TypeError("a program holds addresses; make another one with Backend.program")

    # programs

    @exclusive
    def forward(self, X: Array, out: Array) -> None:
        """Predictions (n, outputs) of the rows of X, in inference mode."""
        rows = max(1, min(X.shape[0], 256))
        self.state.reserve(rows)
        for start in range(0, X.shape[0], rows):
            stop = min(start + rows, X.shape[0])
            self._gather(X[start:stop])
            self._forward(stop - start, training=False, with_loss=False)
            out[start:stop] = self._buffer(self.plan.output_unit, stop - start, self.plan.outputs)

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        """Leaves the gradient of the mean loss of `data`'s first batch in `state.gradient`, penalties included; adds
        to `sums`.

        What is not trainable has no gradient: its entries stay 0.
        """
        self._batch_gradient(data, 0, sums)

    @exclusive
    def update(self) -> None:
        """One optimizer step from `state.gradient` and `state.scalars`."""
        plan, state = self.plan, self.state
        name, scalars = self._step_scalars()
        learning_rate = float(state.scalars[Scalar.LEARNING_RATE])
        constant = int(plan.optimizer[Opt.CONSTANT])
        weight_decay = float(plan.constants[constant + len(_constants_of(name))])
        for row in plan.parameters:
            if not row[Par.TRAINABLE]:
                continue
            view = slice(int(row[Par.OFFSET]), int(row[Par.OFFSET] + row[Par.ROWS] * row[Par.COLUMNS]))
            theta = state.theta[view]
            if weight_decay != 0.0 and row[Par.DECAY]:
                self.op["decay_step"](theta, -(learning_rate * weight_decay))
            self.op[f"{name}_step"](theta, *(slot[view] for slot in state.slots), state.gradient[view], *scalars)
        state.counters[Counter.STEP] += 1

    @exclusive
    def run_steps(self, data: Data, first: int, last: int, sums: Sums) -> None:
        """Trains on steps first..last - 1 of the epoch and adds their losses and metrics to `sums`."""
        for step in range(first, last):
            self._batch_gradient(data, step, sums)
            self.update()

    @exclusive
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        """Adds the losses and metrics of steps first..last - 1, in inference mode, to `sums`."""
        for step in range(first, last):
            self._batch_forward(data, step, training=False, sums=sums)

    # before the first step

    @exclusive
    def find_nonfinite(self, X: Array) -> int:
        """The first element of a (n, I) float array that is not finite in the plan's dtype: its flat index, or -1."""
        with np.errstate(all="ignore"):
            bad = ~(np.abs(X) <= largest(X.dtype, self.plan.dtype))
        return int(np.argmax(bad)) if bad.any() else -1

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        """Fills `order` with the permutation of the state's seed and epoch."""
        counters = self.state.counters
        order[:] = permutation(int(counters[Counter.SEED]), int(counters[Counter.EPOCH]), order.size)

    # one batch

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
        self._forward(rows, training, with_loss=True)
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

    def _forward(self, rows: int, training: bool, with_loss: bool) -> None:
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
                    self.op[f"{_activation(row)}_forward"](dst, src, self._parameter(row))
                case Kind.SOFTMAX:
                    self.op["softmax_forward"](dst, src)
                case Kind.DROPOUT:
                    if training:
                        self.op["dropout"](dst, src, *self._dropout_key(row))
                    else:
                        dst[...] = src

    def _dropout_key(self, row: Array) -> tuple[float, int, int, int]:
        counters = self.state.counters
        return self._parameter(row), int(counters[Counter.SEED]), int(counters[Counter.STEP]), int(row[I.LAYER])

    def _parameter(self, row: Array) -> float:
        return float(self.plan.constants[row[I.CONSTANT]]) if row[I.CONSTANT] >= 0 else 0.0

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
            if name == "r2_score":
                self.op["r2_sums"](slot, predictions, targets)
                continue
            if name in ROW_METRICS:
                self.op[name](values, predictions, targets)
            else:
                self.op[f"{name}_forward"](values, predictions, targets, *self._spec(int(row[Met.CONSTANT])))
            total[0] = 0.0
            self.op["weighted_sum"](total, values, ones)
            slot[0] += total[0]

    def _penalty(self) -> float:
        """l1 sum |w| + l2 sum w^2 over the regularised parameters, float64."""
        penalty = 0.0
        for row in self.plan.parameters:
            if row[Par.PENALTY] < 0:
                continue
            l1, l2 = (float(value) for value in self.plan.constants[row[Par.PENALTY] : row[Par.PENALTY] + 2])
            w = self.state.theta[row[Par.OFFSET] : row[Par.OFFSET] + row[Par.ROWS] * row[Par.COLUMNS]]
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
            if row[I.KIND] == Kind.DENSE:
                self._dense_backward(row, rows, d_dst)
                continue
            if row[I.GRAD_SRC] < 0:
                continue
            d_src = self._buffer(int(row[I.GRAD_SRC]), rows, int(row[I.INPUTS]))
            saved = self._buffer(int(row[I.SAVED]), rows, int(row[I.OUTPUTS]))
            match row[I.KIND]:
                case Kind.ACTIVATION:
                    self.op[f"{_activation(row)}_backward"](d_src, d_dst, saved, self._parameter(row))
                case Kind.SOFTMAX:
                    self.op["softmax_backward"](d_src, d_dst, saved)
                case Kind.DROPOUT:
                    self.op["dropout"](d_src, d_dst, *self._dropout_key(row))
        self._penalty_backward()

    def _dense_backward(self, row: Array, rows: int, dZ: Array) -> None:
        i, o = int(row[I.INPUTS]), int(row[I.OUTPUTS])
        gradient = self.state.gradient
        if row[I.GRAD_SRC] >= 0:
            self.op["gemm_nt"](self._buffer(int(row[I.GRAD_SRC]), rows, i), dZ, self._weights(row)[0])
        if int(row[I.KERNEL]) in self._frozen:
            return
        dW = gradient[row[I.KERNEL] : row[I.KERNEL] + i * o].reshape(i, o)
        self.op["gemm_tn"](dW, self._buffer(int(row[I.SRC]), rows, i), dZ)
        if row[I.BIAS] >= 0:
            self.op["bias_backward"](gradient[row[I.BIAS] : row[I.BIAS] + o], dZ)

    def _penalty_backward(self) -> None:
        for row in self.plan.parameters:
            if row[Par.PENALTY] >= 0 and row[Par.TRAINABLE]:
                l1, l2 = (float(value) for value in self.plan.constants[row[Par.PENALTY] : row[Par.PENALTY] + 2])
                view = slice(int(row[Par.OFFSET]), int(row[Par.OFFSET] + row[Par.ROWS] * row[Par.COLUMNS]))
                self.op["penalty_backward"](self.state.gradient[view], self.state.theta[view], l1, 2.0 * l2)

    def _step_scalars(self) -> tuple[str, tuple[float, ...]]:
        """Advances the beta powers and gives the step's scalars, float64, in the order of the optimizer's row."""
        plan, scalars = self.plan, self.state.scalars
        name = list(OPTIMIZERS)[plan.optimizer[Opt.CODE]]
        constant = int(plan.optimizer[Opt.CONSTANT])
        c = [float(value) for value in plan.constants[constant : constant + len(_constants_of(name))]]
        rate = float(scalars[Scalar.LEARNING_RATE])
        if name != "adam":
            return name, (rate, 1.0 - c[0], c[1]) if name == "rmsprop" else (rate, *c)
        scalars[Scalar.BETA_1_POWER] *= c[0]
        scalars[Scalar.BETA_2_POWER] *= c[1]
        power_1, power_2 = float(scalars[Scalar.BETA_1_POWER]), float(scalars[Scalar.BETA_2_POWER])
        return name, (rate * math.sqrt(1.0 - power_2) / (1.0 - power_1), 1.0 - c[0], 1.0 - c[1], c[2])


class Backend:
    """One way to execute the contract. Subclasses give `name`, `operations` and, where they fuse, `program`."""

    name = ""

    def operations(self, dtype: Any) -> Mapping[str, Callable[..., None]]:
        """The operations of `operations.py`, by name, for arrays of one dtype."""
        raise NotImplementedError

    def program(self, plan: Plan, state: State) -> Program:
        """The programs of one plan and state."""
        return Program(self, plan, state)


def loss_scale(name: str, rows: int, outputs: int) -> float:
    """What a row's gradient is multiplied by beside its weight: 1 / B, and 1 / outputs for a mean over them."""
    return 1.0 / rows / outputs if mean_outputs(name) else 1.0 / rows


def _constants_of(name: str) -> tuple[str, ...]:
    return {
        "sgd": (),
        "momentum": ("momentum",),
        "nesterov": ("momentum",),
        "rmsprop": ("rho", "epsilon"),
        "adagrad": ("epsilon",),
        "adam": ("beta_1", "beta_2", "epsilon"),
    }[name]


def _activation(row: Array) -> str:
    return list(ACTIVATIONS)[int(row[I.CODE])]
