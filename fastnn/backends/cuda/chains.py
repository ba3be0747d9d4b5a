"""Which plans are small chains of layers, that one launch trains for a slice of steps; and their tables.

Imports no compiler.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.formulas import ACTIVATIONS as FORMULAS
from ...core.losses import LOSS_NAMES, METRIC_NAMES
from ...core.losses import LOSSES as LOSS_FORMULAS
from ...core.plan import (
    ACTIVATION_CODE,
    Clip,
    Column,
    Kind,
    LossEntry,
    MetricEntry,
    OptimizerEntry,
    ParameterEntry,
    Plan,
)

# Whose slopes read the output, and that have no parameter; numbered from 1.
ACTIVATIONS = tuple(name for name, one in FORMULAS.items() if one.saved == "output" and not one.parameter)
CLASSES = "sparse_softmax_crossentropy"
# A mean over the elements of a row, without a parameter.
LOSSES = tuple(
    name
    for name, one in LOSS_FORMULAS.items()
    if one.mean and one.value is None and not (one.parameter or one.facts.softmax or one.facts.classes)
)
METRIC = "sparse_categorical_accuracy"

# Assumed, not measured: of a step at most; beyond, products in tiles repay a launch of each.
GRID_FLOPS = 2**27


def kernel_name(classes: bool, grid: bool) -> str:
    """Of the kernel that trains chains whose loss is `CLASSES`, or one of `LOSSES`, in one block or in a grid."""
    return f"{'grid_steps' if grid else 'steps'}_{'classes' if classes else 'elements'}"


def chain_kernels() -> dict[str, tuple[bool, bool]]:
    """What each is made of, by its name. Activation, loss and optimizer are numbers that a kernel branches by: one for
    each of their combinations would be hundreds."""
    return {kernel_name(classes, grid): (classes, grid) for classes in (True, False) for grid in (False, True)}


class Layer(IntEnum):
    """Columns of the table of layers; where things lie are elements of shared memory."""

    INPUTS = 0
    OUTPUTS = 1
    KERNEL = 2
    BIAS = 3  # -1: none
    ACTIVATION = 4  # 0: none
    SOURCE = 5
    OUTPUT = 6
    GRADIENT = 7
    SOURCE_GRADIENT = 8
    KERNEL_DECAYS = 9  # whether weight decay is of it
    BIAS_DECAYS = 10


class Chain(NamedTuple):
    """A chain for a batch.

    Attributes:
        table: (layers, len(Layer)) int64. loss: its name. optimizer: its code. decays: whether weights do. limit: of an
            element of the gradient; 0: none. batch: rows. parameters: elements of theta.
        targets: columns of a row of them. metric: the number of its first total; -1. weighted: whether it is. at: where
        weights, targets, losses and values of the metric begin. elements: of shared memory, or of a grid's room. most:
        elements of the largest phase.
    """

    table: npt.NDArray[np.int64]
    loss: str
    optimizer: int
    decays: bool
    limit: float
    batch: int
    parameters: int
    targets: int
    metric: int
    weighted: bool
    at: tuple[int, ...]
    elements: int
    most: int

    @property
    def classes(self) -> bool:
        """Whether targets are numbers of classes."""
        return self.loss == CLASSES

    @property
    def flops(self) -> int:
        """Of a step."""
        return 6 * self.parameters * self.batch


def chain(plan: Plan, batch: int, first_metric: int) -> Chain | None:
    """The chain that a plan is, for batches of so many rows; None for what is more.

    Args:
        first_metric: the number of the first metric's first total.
    """
    instructions = plan.instructions.tolist()
    if len(plan.inputs) != 1 or len(plan.losses) != 1 or len(plan.metrics) > 1 or not plan.optimizer.size:
        return None
    loss = plan.losses[0].tolist()
    name = LOSS_NAMES[loss[LossEntry.CODE]]
    smoothing = plan.constants[loss[LossEntry.CONSTANT] + 1 : loss[LossEntry.CONSTANT] + 3].tolist()
    if name in LOSSES and loss[LossEntry.TARGETS] != loss[LossEntry.OUTPUTS]:  # such as one that reads none
        return None
    if name not in (CLASSES, *LOSSES) or smoothing != [1.0, 0.0] or not _updates_plainly(plan):
        return None
    metric, weighted = -1, False
    if len(plan.metrics):
        row = plan.metrics[0].tolist()
        if METRIC_NAMES[row[MetricEntry.CODE]] != METRIC or name != CLASSES:
            return None
        metric, weighted = first_metric, bool(row[MetricEntry.WEIGHTED])
    layers = _layers(instructions, name)
    if layers is None or layers[0][Column.SRC] != plan.inputs[0, 0]:
        return None
    return _placed(plan, layers, batch, name, metric, weighted)


def _updates_plainly(plan: Plan) -> bool:
    """Whether every parameter is trained, by one use, without penalty or limit of a norm."""
    rows = plan.parameters
    return bool(
        plan.optimizer[OptimizerEntry.CLIP] in (Clip.NONE, Clip.VALUE)
        and rows[:, ParameterEntry.TRAINABLE].all()
        and (rows[:, ParameterEntry.PENALTY] < 0).all()
        and (rows[:, ParameterEntry.NEXT] < 0).all()
    )


def _layers(instructions: list[list[int]], loss: str) -> list[list[int]] | None:
    """The DENSE instructions, each with its activation's number behind it; None for others."""
    codes = {ACTIVATION_CODE[name]: index for index, name in enumerate(ACTIVATIONS, 1)}
    layers: list[list[int]] = []
    value = -1
    for index, row in enumerate(instructions):
        last = index == len(instructions) - 1
        if row[Column.KIND] == Kind.DENSE:
            if layers and row[Column.SRC] != value:
                return None
            layers.append([*row, 0])
        elif row[Column.KIND] == Kind.ACTIVATION and layers and not last:
            if layers[-1][-1] or row[Column.CODE] not in codes or row[Column.SRC] != value:
                return None
            layers[-1][-1] = codes[row[Column.CODE]]
        elif not (row[Column.KIND] == Kind.SOFTMAX and last and loss == CLASSES and row[Column.SRC] == value):
            return None
        value = row[Column.DST]
    return layers if layers and not layers[-1][-1] else None


def _placed(plan: Plan, layers: list[list[int]], batch: int, loss: str, metric: int, weighted: bool) -> Chain:
    columns = int(plan.losses[0, LossEntry.TARGETS])
    at = plan.layout.size * (1 + plan.slots)
    places = []
    for size in (batch, batch * columns, batch, batch):
        places.append(at)
        at += size
    table = np.zeros((len(layers), len(Layer)), np.int64)
    source, at = at, at + batch * layers[0][Column.INPUTS]
    gradient = -1
    decay = float(plan.constants[plan.optimizer[OptimizerEntry.CONSTANT]])
    decaying = {
        int(row[ParameterEntry.OFFSET]) for row in plan.parameters if decay != 0.0 and row[ParameterEntry.DECAY]
    }
    for row, layer in zip(table, layers, strict=True):
        size = batch * layer[Column.OUTPUTS]
        row[:] = (
            layer[Column.INPUTS],
            layer[Column.OUTPUTS],
            layer[Column.KERNEL],
            layer[Column.BIAS],
            layer[-1],
            source,
            at,
            at + size,
            gradient,
            layer[Column.KERNEL] in decaying,
            layer[Column.BIAS] in decaying,
        )
        source, gradient, at = at, at + size, at + 2 * size
    optimizer, clip = int(plan.optimizer[OptimizerEntry.CODE]), int(plan.optimizer[OptimizerEntry.CLIP_CONSTANT])
    limit = float(plan.constants[clip]) if plan.optimizer[OptimizerEntry.CLIP] == Clip.VALUE else 0.0
    sizes = plan.layout.size, columns, metric, weighted, tuple(places), at
    widths = table[:, [Layer.INPUTS, Layer.OUTPUTS]].tolist()
    most = max(max(batch * max(fan_in, fan_out), (fan_in + 1) * fan_out) for fan_in, fan_out in widths)
    return Chain(table, loss, optimizer, bool(decaying), limit, batch, *sizes, most)
