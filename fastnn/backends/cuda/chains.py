"""Which plans are small chains of layers, that one launch trains for a slice of steps; and their tables.

Imports no compiler.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.losses import LOSS_NAMES, METRIC_NAMES
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
from ...core.steps import OPTIMIZERS

ACTIVATIONS = ("relu", "tanh", "sigmoid")  # whose slopes read the output; numbered from 1
LOSSES = ("sparse_softmax_crossentropy", "mean_squared_error")
STEPS = ("sgd", "momentum", "adam")
METRIC = "sparse_categorical_accuracy"


GRID_FLOPS = 2**27  # of a step at most: beyond, products in tiles repay a launch of each; by the model, not measured


def kernel_name(loss: str, optimizer: str, grid: bool) -> str:
    """Of the kernel that trains chains, in one block or in a grid."""
    return f"{'grid_steps' if grid else 'steps'}_{loss}_{optimizer}"


def chain_kernels() -> dict[str, tuple[str, str, bool]]:
    """What each is made of, by its name; one takes four seconds to compile."""
    return {
        kernel_name(loss, optimizer, grid): (loss, optimizer, grid)
        for loss in LOSSES
        for optimizer in STEPS
        for grid in (False, True)
    }


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


class Chain(NamedTuple):
    """A chain for a batch.

    Attributes:
        table: (layers, len(Layer)) int64. loss, optimizer: their names. batch: rows. parameters: elements of theta.
        targets: columns of a row of them. metric: the number of its first total; -1. weighted: whether it is. at: where
        weights, targets, losses and values of the metric begin. elements: of shared memory, or of a grid's room. most:
        elements of the largest phase.
    """

    table: npt.NDArray[np.int64]
    loss: str
    optimizer: str
    batch: int
    parameters: int
    targets: int
    metric: int
    weighted: bool
    at: tuple[int, ...]
    elements: int
    most: int

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
    if name not in LOSSES or smoothing != [1.0, 0.0] or not _updates_plainly(plan):
        return None
    metric, weighted = -1, False
    if len(plan.metrics):
        row = plan.metrics[0].tolist()
        if METRIC_NAMES[row[MetricEntry.CODE]] != METRIC or name != LOSSES[0]:
            return None
        metric, weighted = first_metric, bool(row[MetricEntry.WEIGHTED])
    layers = _layers(instructions, name)
    if layers is None or layers[0][Column.SRC] != plan.inputs[0, 0]:
        return None
    return _placed(plan, layers, batch, name, metric, weighted)


def _updates_plainly(plan: Plan) -> bool:
    """Whether it is of float32, and every parameter is trained by one of `STEPS`, by one use, without penalty, decay or
    limit."""
    decay = plan.constants[plan.optimizer[OptimizerEntry.CONSTANT]]
    rows = plan.parameters
    return bool(
        plan.dtype == np.float32
        and tuple(OPTIMIZERS)[plan.optimizer[OptimizerEntry.CODE]] in STEPS
        and plan.optimizer[OptimizerEntry.CLIP] == Clip.NONE
        and decay == 0.0
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
        elif not (row[Column.KIND] == Kind.SOFTMAX and last and loss == LOSSES[0] and row[Column.SRC] == value):
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
        )
        source, gradient, at = at, at + size, at + 2 * size
    optimizer = tuple(OPTIMIZERS)[plan.optimizer[OptimizerEntry.CODE]]
    sizes = plan.layout.size, columns, metric, weighted, tuple(places), at
    widths = table[:, [Layer.INPUTS, Layer.OUTPUTS]].tolist()
    most = max(max(batch * max(fan_in, fan_out), (fan_in + 1) * fan_out) for fan_in, fan_out in widths)
    return Chain(table, loss, optimizer, batch, *sizes, most)
