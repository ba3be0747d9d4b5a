"""Lowering: declarations become a `Plan`. A layer's `lower` calls a `Lowering`'s methods; `finish` gives the plan."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arithmetic import BLOCK
from .formulas import ACTIVATIONS, SPARSE_LOSSES
from .plan import (
    ACTIVATION_CODE,
    DEVIATION_CODE,
    LOSS_CODE,
    METRIC_CODE,
    OPTIMIZER_CODE,
    PARAMETER_ALIGN,
    SUM_METRICS,
    Batch,
    Clip,
    Hidden,
    I,
    Kind,
    Los,
    Met,
    Opt,
    Par,
    Parameter,
    ParameterLayout,
    Plan,
    Role,
    Table,
    padded,
)
from .steps import OPTIMIZERS


class Penalty(NamedTuple):
    """l1 * sum |w| + l2 * sum w^2."""

    l1: float = 0.0
    l2: float = 0.0


NO_PENALTY = Penalty()


class LossSpec(NamedTuple):
    """A loss for `Lowering.finish`: a name of `formulas.LOSS_NAMES` or "categorical_crossentropy"-like with
    `from_logits`."""

    name: str
    from_logits: bool = False
    parameter: float = 0.0  # huber's delta, Lp's p
    label_smoothing: float = 0.0


class MetricSpec(NamedTuple):
    """A metric for `Lowering.finish`: a name of `formulas.METRIC_NAMES`, the loss's parameters where it is one, and
    whether rows count by their weights."""

    name: str
    parameter: float = 0.0
    label_smoothing: float = 0.0
    weighted: bool = False


class OptimizerSpec(NamedTuple):
    """An optimizer for `Lowering.finish`: a name of `steps.OPTIMIZERS`, and the hyper-parameters that its row calls
    `constants`.

    `initial`: of each slot; () is zeros. `clip`: "", or "value", "norm" or "global_norm" for gradients of at most
    `limit`.
    """

    name: str
    constants: tuple[float, ...] = ()
    weight_decay: float = 0.0
    initial: tuple[float, ...] = ()
    clip: str = ""
    limit: float = 0.0


class Lowering:
    """Collects instructions in the order of the layers; each layer's `lower` calls one of the methods below."""

    def __init__(self, dtype: Any, features: int) -> None:
        self.dtype = np.dtype(dtype)
        self.features = features
        self._instructions: list[list[int]] = []
        self._parameters: list[Parameter] = []
        self._rows: list[list[int]] = []
        self._constants: list[float] = []
        self._units = 0
        self._theta = 0
        self._statistics = 0
        self._fixed = 0
        self._hidden: list[Hidden] = []
        self._width = features
        self._at = self._buffer(features)
        self._layer = 0

    def _buffer(self, width: int) -> int:
        unit = self._units
        self._units += padded(width)
        return unit

    def _constant(self, *values: float) -> int:
        self._constants.extend(float(value) for value in values)
        return len(self._constants) - len(values)

    def _emit(self, kind: Kind, dst: int, outputs: int, **columns: int) -> None:
        row = [-1] * I.WIDTH
        row[I.KIND], row[I.SRC], row[I.DST] = kind, self._at, dst
        row[I.INPUTS], row[I.OUTPUTS], row[I.LAYER], row[I.FUSED] = self._width, outputs, self._layer, 0
        row[I.SAVED] = dst
        for name, value in columns.items():
            row[I[name]] = value
        self._instructions.append(row)
        self._at, self._width = dst, outputs

    def _parameter(
        self, layer: str, name: str, shape: tuple[int, ...], trainable: bool, penalty: Penalty, decay: bool
    ) -> int:
        offset = self._theta
        self._parameters.append(Parameter(layer, name, shape, offset, trainable))
        self._theta += _with_gap(math.prod(shape))
        constant = self._constant(*penalty) if any(penalty) else -1
        rows = shape[0] if len(shape) > 1 else 1
        number = len(self._instructions)
        self._rows.append([offset, rows, shape[-1], int(trainable), int(decay), constant, number, _ROLES[name]])
        return offset

    def _statistic(self, layer: str, name: str) -> int:
        offset = self._statistics
        self._parameters.append(Parameter(layer, name, (self._width,), offset, False, "statistics"))
        self._statistics += _with_gap(self._width)
        return offset

    def _hide(self, value: float) -> int:
        offset = self._theta
        self._hidden.append(Hidden(offset, self._width, value))
        self._theta += _with_gap(self._width)
        return offset

    def _scratch(self, elements: int) -> int:
        offset = self._fixed
        self._fixed += elements
        return offset

    def next_layer(self) -> None:
        """Starts the next layer's number."""
        self._layer += 1

    def dense(
        self,
        layer: str,
        units: int,
        use_bias: bool,
        *,
        kernel_penalty: Penalty = NO_PENALTY,
        bias_penalty: Penalty = NO_PENALTY,
        trainable: bool = True,
        kernel_decay: bool = True,
        bias_decay: bool = True,
    ) -> None:
        """Z_bo = X_bi W_io + b_o."""
        kernel = self._parameter(layer, "kernel", (self._width, units), trainable, kernel_penalty, kernel_decay)
        bias = self._parameter(layer, "bias", (units,), trainable, bias_penalty, bias_decay) if use_bias else -1
        self._emit(Kind.DENSE, self._buffer(units), units, KERNEL=kernel, BIAS=bias)

    def activation(self, name: str, parameter: float = 0.0) -> None:
        """A = f(Z) by a name of `formulas.ACTIVATIONS`, "softmax", or "linear" (nothing)."""
        if name == "linear":
            return
        if name == "softmax":
            self._emit(Kind.SOFTMAX, self._buffer(self._width), self._width)
            return
        saved = ACTIVATIONS[name].saved
        # In place where the derivative reads the output; the input of the network is never overwritten (dW reads it).
        in_place = saved == "output" and bool(self._instructions) and self._instructions[-1][I.KIND] in _OVERWRITABLE
        source = self._at
        dst = source if in_place else self._buffer(self._width)
        constant = self._constant(parameter) if ACTIVATIONS[name].parameter else -1
        self._emit(
            Kind.ACTIVATION,
            dst,
            self._width,
            CODE=ACTIVATION_CODE[name],
            CONSTANT=constant,
            SAVED=source if saved == "input" else dst,
        )

    def dropout(self, rate: float) -> None:
        """A = keep ? A / (1 - rate) : 0 in training."""
        if rate > 0.0:
            self._emit(Kind.DROPOUT, self._buffer(self._width), self._width, CONSTANT=self._constant(rate), SAVED=-1)

    def affine(self, scale: float, offset: float) -> None:
        """A = Z * scale + offset."""
        constant = self._constant(scale, offset)
        self._emit(Kind.AFFINE, self._buffer(self._width), self._width, CONSTANT=constant)

    def standardize(self, layer: str, epsilon: float) -> None:
        """A = (Z - mean) / max(sqrt(variance), epsilon), of statistics that training does not change."""
        gamma, beta, constant = self._hide(1.0), self._hide(0.0), self._constant(epsilon)
        code, kept = DEVIATION_CODE["inverse_deviation_floor"], self._kept(layer, "mean", "variance")
        self._normalize(Kind.STANDARDIZE, gamma, beta, constant, CODE=code, **kept)

    def batch_norm(
        self,
        layer: str,
        momentum: float,
        epsilon: float,
        *,
        scale: bool = True,
        center: bool = True,
        gamma_penalty: Penalty = NO_PENALTY,
        beta_penalty: Penalty = NO_PENALTY,
        trainable: bool = True,
        gamma_decay: bool = True,
        beta_decay: bool = True,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta: of the batch in training, of its moving averages
        otherwise, and always if the layer is not trainable."""
        gamma = self._parameter_or(1.0, scale, layer, "gamma", trainable, gamma_penalty, gamma_decay)
        beta = self._parameter_or(0.0, center, layer, "beta", trainable, beta_penalty, beta_decay)
        kind, constant = Kind.BATCH_NORM if trainable else Kind.STANDARDIZE, self._constant(epsilon, 1.0 - momentum)
        code, kept = DEVIATION_CODE["inverse_deviation"], self._kept(layer, "moving_mean", "moving_variance")
        self._normalize(kind, gamma, beta, constant, CODE=code, **kept)

    def layer_norm(
        self,
        layer: str,
        epsilon: float,
        *,
        scale: bool = True,
        center: bool = True,
        gamma_penalty: Penalty = NO_PENALTY,
        beta_penalty: Penalty = NO_PENALTY,
        trainable: bool = True,
        gamma_decay: bool = True,
        beta_decay: bool = True,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta, of each row."""
        gamma = self._parameter_or(1.0, scale, layer, "gamma", trainable, gamma_penalty, gamma_decay)
        beta = self._parameter_or(0.0, center, layer, "beta", trainable, beta_penalty, beta_decay)
        self._normalize(Kind.LAYER_NORM, gamma, beta, self._constant(epsilon), INVERSE=self._buffer(1))

    def _parameter_or(
        self, constant: float, wanted: bool, layer: str, name: str, trainable: bool, penalty: Penalty, decay: bool
    ) -> int:
        if not wanted:
            return self._hide(constant)
        return self._parameter(layer, name, (self._width,), trainable, penalty, decay)

    def _normalize(self, kind: Kind, gamma: int, beta: int, constant: int, **columns: int) -> None:
        dst = self._buffer(self._width)
        saved = dst if kind == Kind.STANDARDIZE else self._buffer(self._width)
        self._emit(kind, dst, self._width, KERNEL=gamma, BIAS=beta, CONSTANT=constant, SAVED=saved, **columns)

    def _kept(self, layer: str, mean: str, variance: str) -> dict[str, int]:
        """The columns of a normalization by statistics of the state."""
        offsets = {"MEAN": self._statistic(layer, mean), "VARIANCE": self._statistic(layer, variance)}
        return offsets | {"STATISTICS": self._scratch(Batch.WIDTH * padded(self._width))}

    def finish(
        self, loss: LossSpec | None = None, metrics: tuple[MetricSpec, ...] = (), optimizer: OptimizerSpec | None = None
    ) -> Plan:
        """The plan; without a loss it can only predict."""
        loss_row = self._lower_loss(loss) if loss is not None else []
        self._lower_gradients(loss_row)
        metric_rows, sums = self._lower_metrics(metrics)
        optimizer_row, initial = self._lower_optimizer(optimizer)
        dense = (row for row in self._instructions if row[I.KIND] == Kind.DENSE)
        return Plan(
            dtype=self.dtype,
            instructions=_table(self._instructions, I.WIDTH),
            parameters=_table(self._rows, Par.WIDTH),
            metrics=_table(metric_rows, Met.WIDTH),
            loss=_frozen(np.array(loss_row, np.int64)),
            optimizer=_frozen(np.array(optimizer_row, np.int64)),
            constants=_frozen(np.array(self._constants, np.float64)),
            layout=ParameterLayout(tuple(self._parameters), self._theta, self._statistics),
            hidden=tuple(self._hidden),
            features=self.features,
            outputs=self._width,
            output_unit=self._at,
            row_elements=self._units,
            fixed_elements=self._fixed,
            flops_per_row=sum(2 * row[I.INPUTS] * row[I.OUTPUTS] for row in dense),
            sums=sums,
            slots=len(initial),
            initial_slots=initial,
        )

    def _lower_loss(self, spec: LossSpec) -> list[int]:
        name, prediction, source, probability = spec.name, self._at, self._at, -1
        last = self._instructions[-1] if self._instructions else None
        fused_kind = _fused_activation(name)
        if fused_kind is not None:
            fused = last is not None and (
                last[I.KIND] == Kind.SOFTMAX
                if fused_kind == "softmax"
                else last[I.KIND] == Kind.ACTIVATION and last[I.CODE] == ACTIVATION_CODE["sigmoid"]
            )
            if fused:
                assert last is not None
                if last[I.SRC] == last[I.DST]:  # the logits must outlive the sigmoid
                    last[I.DST] = last[I.SAVED] = self._at = prediction = self._buffer(self._width)
                source, probability = last[I.SRC], last[I.DST]
                last[I.FUSED] = 1
            if fused or spec.from_logits:
                name = FROM_LOGITS[name]
        target_width = 1 if name in SPARSE_LOSSES else self._width
        row = [-1] * Los.WIDTH
        row[Los.CODE], row[Los.INPUT], row[Los.PREDICTION] = LOSS_CODE[name], source, prediction
        row[Los.OUTPUTS], row[Los.TARGETS] = self._width, target_width
        row[Los.TARGET] = self._buffer(target_width)
        row[Los.GRADIENT] = self._buffer(self._width)
        row[Los.PROBABILITY] = probability if probability >= 0 else row[Los.GRADIENT]
        row[Los.CONSTANT] = self._constant(*smoothing(spec.parameter, spec.label_smoothing, name, self._width))
        blocks = sum(self._penalty_blocks(parameter) for parameter in self._rows)
        if blocks:
            row[Los.BLOCK_TOTALS] = self._scratch(padded(blocks * 8 // self.dtype.itemsize))
        return row

    def _penalty_blocks(self, row: list[int]) -> int:
        """The blocks of all sums that a parameter's penalty takes: of |w|, of w^2, or of both."""
        at = row[Par.PENALTY]
        if at < 0:
            return 0
        sums = sum(factor != 0.0 for factor in self._constants[at : at + 2])
        return sums * -(-row[Par.ROWS] * row[Par.COLUMNS] // BLOCK)

    def _lower_gradients(self, loss_row: list[int]) -> None:
        """Gives every instruction the buffers of its gradients, from the last to the first."""
        if not loss_row:
            return
        gradient = loss_row[Los.GRADIENT]
        first = next((n for n, row in enumerate(self._instructions) if row[I.KIND] in _OWN_GRADIENT), None)
        if first is None:
            return
        for number in range(len(self._instructions) - 1, first - 1, -1):
            row = self._instructions[number]
            if row[I.FUSED]:
                continue
            row[I.GRAD_DST] = gradient
            if number == first:
                continue
            if row[I.KIND] in _OWN_GRADIENT:
                gradient = self._buffer(row[I.INPUTS])
            if row[I.KIND] == Kind.DROPOUT:
                row[I.SAVED] = self._buffer(-(-row[I.OUTPUTS] // 64) * 8 // self.dtype.itemsize)
            row[I.GRAD_SRC] = gradient

    def _lower_metrics(self, metrics: tuple[MetricSpec, ...]) -> tuple[list[list[int]], int]:
        rows, slot = [], SUM_METRICS
        for spec in metrics:
            # r2_score's last slot is the sum of the weights as it is.
            slots = 3 * self._width + 1 if spec.name == "r2_score" else 1 + int(spec.weighted)
            constant = self._constant(*smoothing(spec.parameter, spec.label_smoothing, spec.name, self._width))
            rows.append([METRIC_CODE[spec.name], slot, slots, constant, int(spec.weighted)])
            slot += slots
        return rows, slot

    def _lower_optimizer(self, spec: OptimizerSpec | None) -> tuple[list[int], tuple[float, ...]]:
        """The optimizer vector, and what each slot begins with."""
        if spec is None:
            return [], ()
        slots = len(OPTIMIZERS[spec.name].slots)
        row = [-1] * Opt.WIDTH
        row[Opt.CODE], row[Opt.SLOTS] = OPTIMIZER_CODE[spec.name], slots
        row[Opt.CONSTANT] = self._constant(spec.weight_decay, *spec.constants)
        row[Opt.HAS_DECAY], row[Opt.CLIP] = int(spec.weight_decay != 0.0), _CLIPS[spec.clip]
        if spec.clip:
            row[Opt.CLIP_CONSTANT] = self._constant(spec.limit)
        return row, spec.initial or (0.0,) * slots


_ROLES = {"kernel": Role.KERNEL, "bias": Role.BIAS, "beta": Role.BIAS, "gamma": Role.SCALE}
_CLIPS = {"": Clip.NONE, "value": Clip.VALUE, "norm": Clip.NORM, "global_norm": Clip.GLOBAL_NORM}
# Their gradients read dst's gradient after src's is known, so src's has a buffer of its own.
_OWN_GRADIENT = (Kind.DENSE, Kind.BATCH_NORM, Kind.LAYER_NORM)
# No derivative reads their dst, so an activation may overwrite it.
_OVERWRITABLE = (*_OWN_GRADIENT, Kind.AFFINE, Kind.STANDARDIZE)
FROM_LOGITS = {
    "categorical_crossentropy": "softmax_crossentropy",
    "sparse_categorical_crossentropy": "sparse_softmax_crossentropy",
    "binary_crossentropy": "sigmoid_crossentropy",
}


def _fused_activation(loss: str) -> str | None:
    """The activation that a crossentropy is fused with."""
    if loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        return "softmax"
    return "sigmoid" if loss == "binary_crossentropy" else None


def smoothing(parameter: float, smoothing: float, name: str, outputs: int) -> tuple[float, float, float]:
    """(parameter, keep, add): binary targets move to 1/2, categorical ones to 1/C."""
    share = 0.5 if name in ("binary_crossentropy", "sigmoid_crossentropy") else 1.0 / outputs
    return parameter, 1.0 - smoothing, smoothing * share


def _with_gap(size: int) -> int:
    return -(-size // PARAMETER_ALIGN) * PARAMETER_ALIGN


def _table(rows: list[list[int]], width: int) -> Table:
    return _frozen(np.array(rows, np.int64).reshape(len(rows), width))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.setflags(write=False)
    return array
