"""Lowering: declarations become a `Plan`. A layer's `lower` calls a `Lowering`'s methods; `finish` gives the plan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .arithmetic import BLOCK
from .formulas import ACTIVATIONS
from .instructions import INSTRUCTIONS
from .losses import LOSS_FACTS
from .plan import (
    ACTIVATION_CODE,
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
        row = [-1] * Column.WIDTH
        row[Column.KIND], row[Column.SRC], row[Column.DST] = kind, self._at, dst
        row[Column.INPUTS], row[Column.OUTPUTS], row[Column.LAYER], row[Column.FUSED] = (
            self._width,
            outputs,
            self._layer,
            0,
        )
        row[Column.SAVED] = dst
        for name, value in columns.items():
            row[Column[name]] = value
        self._instructions.append(row)
        self._at, self._width = dst, outputs

    def _parameter(self, layer: str, name: str, shape: tuple[int, ...], spec: ParameterSpec, code: int = -1) -> int:
        offset = self._theta
        self._parameters.append(Parameter(layer, name, shape, offset, spec.trainable))
        self._theta += _with_gap(math.prod(shape))
        row = [-1] * ParameterEntry.WIDTH
        row[ParameterEntry.OFFSET], row[ParameterEntry.CODE] = offset, code
        row[ParameterEntry.ROWS], row[ParameterEntry.COLUMNS] = shape[0] if len(shape) > 1 else 1, shape[-1]
        row[ParameterEntry.TRAINABLE], row[ParameterEntry.DECAY] = int(spec.trainable), int(spec.decay)
        if any(spec.penalty):
            row[ParameterEntry.PENALTY] = self._constant(*spec.penalty)
        row[ParameterEntry.INSTRUCTION] = len(self._instructions)
        row[ParameterEntry.ROLE] = _ROLES[name] if code < 0 else Role.VECTOR
        self._rows.append(row)
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
        self, layer: str, units: int, kernel: ParameterSpec = TRAINED, bias: ParameterSpec | None = TRAINED
    ) -> None:
        """Z_bo = X_bi W_io + b_o."""
        W = self._parameter(layer, "kernel", (self._width, units), kernel)
        b = self._parameter(layer, "bias", (units,), bias) if bias is not None else -1
        self._emit(Kind.DENSE, self._buffer(units), units, KERNEL=W, BIAS=b)

    def activation(self, name: str, parameter: float = 0.0) -> None:
        """A = f(Z) by a name of `formulas.ACTIVATIONS`, of a layer of `rowwise.ROW_WISE` without parameters, "softmax",
        or "linear" (nothing)."""
        if name == "linear":
            return
        if name == "softmax":
            self._emit(Kind.SOFTMAX, self._buffer(self._width), self._width)
            return
        if name in ROW_WISE:
            self.row_wise(name)
            return
        # In place where the derivative reads the output; the input of the network is never overwritten (dW reads it).
        last = self._instructions[-1] if self._instructions else None
        saved, source = ACTIVATIONS[name].saved, self._at
        in_place = saved == "output" and last is not None and INSTRUCTIONS[Kind(last[Column.KIND])].overwritable
        dst = source if in_place else self._buffer(self._width)
        self._emit(
            Kind.ACTIVATION,
            dst,
            self._width,
            CODE=ACTIVATION_CODE[name],
            CONSTANT=self._constant(parameter) if ACTIVATIONS[name].parameter else -1,
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
        code, moving = DEVIATION_CODE["inverse_deviation_floor"], self._moving(layer, "mean", "variance")
        self._normalize(Kind.STANDARDIZE, gamma, beta, constant, CODE=code, **moving)

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
        self._normalize(kind, scale, offset, constant, CODE=code, **moving)
        made = {scale: BatchVector.GAMMA_GRADIENT, offset: BatchVector.BETA_GRADIENT} if trainable else {}
        for row in self._rows:
            if row[ParameterEntry.OFFSET] in made:
                vector = made[row[ParameterEntry.OFFSET]]
                row[ParameterEntry.MADE] = moving["STATISTICS"] + vector * padded(self._width)

    def layer_norm(
        self,
        layer: str,
        epsilon: float,
        gamma: ParameterSpec | None = TRAINED,
        beta: ParameterSpec | None = TRAINED,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta, of each row."""
        scale, offset = self._vector(layer, "gamma", gamma, 1.0), self._vector(layer, "beta", beta, 0.0)
        self._normalize(Kind.LAYER_NORM, scale, offset, self._constant(epsilon), INVERSE=self._buffer(1))

    def row_wise(
        self, name: str, layer: str = "", vectors: tuple[ParameterSpec, ...] = (), constants: tuple[float, ...] = ()
    ) -> None:
        """A layer of `rowwise.ROW_WISE`, with a spec for each of its vectors and a value for each of its constants."""
        row, source, dst = ROW_WISE[name], self._at, self._buffer(self._width)
        offsets = [
            self._parameter(layer, vector, (self._width,), spec, VECTOR_GRADIENT_CODE[name, vector])
            for vector, spec in zip(row.vectors, vectors, strict=True)
        ]
        self._emit(
            Kind.ROW_WISE,
            dst,
            self._width,
            CODE=ROW_WISE_CODE[name],
            CONSTANT=self._constant(*constants) if constants else -1,
            SAVED=source if row.saved == "input" else dst,
            **dict(zip(("KERNEL", "BIAS"), offsets, strict=False)),
        )

    def _vector(self, layer: str, name: str, spec: ParameterSpec | None, constant: float) -> int:
        """A parameter of one number a column, or a constant that nobody trains."""
        return self._hide(constant) if spec is None else self._parameter(layer, name, (self._width,), spec)

    def _normalize(self, kind: Kind, gamma: int, beta: int, constant: int, **columns: int) -> None:
        dst = self._buffer(self._width)
        saved = dst if kind == Kind.STANDARDIZE else self._buffer(self._width)
        self._emit(kind, dst, self._width, KERNEL=gamma, BIAS=beta, CONSTANT=constant, SAVED=saved, **columns)

    def _moving(self, layer: str, mean: str, variance: str) -> dict[str, int]:
        """The columns of a normalization by statistics of the state."""
        offsets = {"MEAN": self._statistic(layer, mean), "VARIANCE": self._statistic(layer, variance)}
        return offsets | {"STATISTICS": self._scratch(BatchVector.WIDTH * padded(self._width))}

    def finish(
        self, loss: LossSpec | None = None, metrics: tuple[MetricSpec, ...] = (), optimizer: OptimizerSpec | None = None
    ) -> Plan:
        """The plan; without a loss it can only predict."""
        loss_row = self._lower_loss(loss) if loss is not None else []
        self._lower_gradients(loss_row)
        metric_rows, sums = self._lower_metrics(metrics)
        optimizer_row, initial = self._lower_optimizer(optimizer)
        dense = (row for row in self._instructions if row[Column.KIND] == Kind.DENSE)
        return Plan(
            dtype=self.dtype,
            instructions=_table(self._instructions, Column.WIDTH),
            parameters=_table(self._rows, ParameterEntry.WIDTH),
            metrics=_table(metric_rows, MetricEntry.WIDTH),
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
            flops_per_row=sum(2 * row[Column.INPUTS] * row[Column.OUTPUTS] for row in dense),
            sums=sums,
            slots=len(initial),
            initial_slots=initial,
        )

    def _lower_loss(self, spec: LossSpec) -> list[int]:
        name, source, probability = spec.name, self._at, -1
        facts = LOSS_FACTS[name]
        fused = bool(facts.activation) and self._fuse(facts.activation)
        if fused:
            source, probability = self._instructions[-1][Column.SRC], self._at
        if fused or (facts.logits and spec.from_logits):
            name = facts.logits
        target_width = 1 if facts.classes else self._width
        row = [-1] * LossEntry.WIDTH
        row[LossEntry.CODE], row[LossEntry.INPUT], row[LossEntry.PREDICTION] = LOSS_CODE[name], source, self._at
        row[LossEntry.OUTPUTS], row[LossEntry.TARGETS] = self._width, target_width
        row[LossEntry.MEAN] = int(mean_outputs(name))
        row[LossEntry.TARGET] = self._buffer(target_width)
        row[LossEntry.GRADIENT] = self._buffer(self._width)
        row[LossEntry.PROBABILITY] = probability if probability >= 0 else row[LossEntry.GRADIENT]
        row[LossEntry.CONSTANT] = self._constant(*smoothing(spec.parameter, spec.label_smoothing, name, self._width))
        blocks = sum(self._penalty_blocks(parameter) for parameter in self._rows)
        if blocks:
            row[LossEntry.BLOCK_TOTALS] = self._scratch(padded(blocks * 8 // self.dtype.itemsize))
        return row

    def _fuse(self, activation: str) -> bool:
        """Has the loss read the source of the last instruction, if that is this activation, and give its gradient;
        whether it is."""
        last = self._instructions[-1] if self._instructions else [-1] * Column.WIDTH
        softmax = activation == "softmax"
        if softmax and last[Column.KIND] != Kind.SOFTMAX:
            return False
        if not softmax and (last[Column.KIND], last[Column.CODE]) != (Kind.ACTIVATION, ACTIVATION_CODE[activation]):
            return False
        if last[Column.SRC] == last[Column.DST]:  # what the loss reads must outlive the activation
            last[Column.DST] = last[Column.SAVED] = self._at = self._buffer(self._width)
        last[Column.FUSED] = Fused.BOTH if softmax else Fused.GRADIENT
        return True

    def _penalty_blocks(self, row: list[int]) -> int:
        """The blocks of all sums that a parameter's penalty takes: of |w|, of w^2, or of both."""
        at = row[ParameterEntry.PENALTY]
        if at < 0:
            return 0
        sums = sum(factor != 0.0 for factor in self._constants[at : at + 2])
        return sums * -(-row[ParameterEntry.ROWS] * row[ParameterEntry.COLUMNS] // BLOCK)

    def _lower_gradients(self, loss_row: list[int]) -> None:
        """Gives every instruction the buffers of its gradients, from the last to the first."""
        if not loss_row:
            return
        gradient = loss_row[LossEntry.GRADIENT]
        first = next((n for n, row in enumerate(self._instructions) if _own_gradient(row)), None)
        if first is None:
            return
        for number in range(len(self._instructions) - 1, first - 1, -1):
            row = self._instructions[number]
            if row[Column.FUSED]:
                continue
            row[Column.GRAD_DST] = gradient
            if number == first:
                continue
            if _own_gradient(row):
                gradient = self._buffer(row[Column.INPUTS])
            if row[Column.KIND] == Kind.DROPOUT:
                row[Column.SAVED] = self._buffer(-(-row[Column.OUTPUTS] // 64) * 8 // self.dtype.itemsize)
            row[Column.GRAD_SRC] = gradient

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
        row = [-1] * OptimizerEntry.WIDTH
        row[OptimizerEntry.CODE], row[OptimizerEntry.SLOTS] = OPTIMIZER_CODE[spec.name], slots
        row[OptimizerEntry.CONSTANT] = self._constant(spec.weight_decay, *spec.constants)
        row[OptimizerEntry.HAS_DECAY], row[OptimizerEntry.CLIP] = int(spec.weight_decay != 0.0), _CLIPS[spec.clip]
        if spec.clip:
            row[OptimizerEntry.CLIP_CONSTANT] = self._constant(spec.limit)
        return row, spec.initial or (0.0,) * slots


_ROLES = {"kernel": Role.KERNEL, "bias": Role.BIAS, "beta": Role.BIAS, "gamma": Role.SCALE}
_CLIPS = {"": Clip.NONE, "value": Clip.VALUE, "norm": Clip.NORM, "global_norm": Clip.GLOBAL_NORM}


def smoothing(parameter: float, smoothing: float, name: str, outputs: int) -> tuple[float, float, float]:
    """(parameter, keep, add): binary targets move to 1/2, categorical ones to 1/C."""
    share = 0.5 if name in LOSS_FACTS and LOSS_FACTS[name].binary else 1.0 / outputs
    return parameter, 1.0 - smoothing, smoothing * share


def _own_gradient(row: list[int]) -> bool:
    return INSTRUCTIONS[Kind(row[Column.KIND])].own_gradient


def _with_gap(size: int) -> int:
    return -(-size // PARAMETER_ALIGN) * PARAMETER_ALIGN


def _table(rows: list[list[int]], width: int) -> Table:
    return _frozen(np.array(rows, np.int64).reshape(len(rows), width))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.setflags(write=False)
    return array
