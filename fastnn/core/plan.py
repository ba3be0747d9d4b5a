"""The plan: a small table of integers that every backend's one generic program runs, and the layout of theta.

Sizes: B batch, I fan-in, O fan-out, C classes, P parameters. Buffers of the workspace have rows of `padded(width)`
elements; a buffer's offset is `unit * rows`, where `unit` is the sum of the padded widths before it, so one plan
serves every batch size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .binary import BINARY, BINARY_GRADIENTS
from .formulas import ELEMENTWISE
from .losses import LOSS_FACTS, LOSS_NAMES, LOSSES, METRIC_NAMES
from .rowwise import ROW_WISE, VECTOR_GRADIENTS
from .steps import OPTIMIZERS

ROW_PAD = 16  # elements; padded rows keep every row of a buffer on its own cache lines
ROW_ALIAS = 512  # elements; rows a multiple of this apart share few sets of a cache
PARAMETER_ALIGN = 16  # elements; the gaps of theta stay zero

ACTIVATION_CODE = {name: code for code, name in enumerate(ELEMENTWISE)}
LOSS_CODE = {name: code for code, name in enumerate(LOSS_NAMES)}
METRIC_CODE = {name: code for code, name in enumerate(METRIC_NAMES)}
DEVIATION_CODE = {"inverse_deviation": 0, "inverse_deviation_floor": 1}
ROW_WISE_CODE = {name: code for code, name in enumerate(ROW_WISE)}
BINARY_CODE = {name: code for code, name in enumerate(BINARY)}
BINARY_GRADIENT_CODE = {pair: code for code, pair in enumerate(BINARY_GRADIENTS)}
VECTOR_GRADIENT_CODE = {pair: code for code, pair in enumerate(VECTOR_GRADIENTS)}
OPTIMIZER_CODE = {name: code for code, name in enumerate(OPTIMIZERS)}

Table = npt.NDArray[np.int64]


def padded(width: int) -> int:
    """The elements that a row of `width` takes in the workspace."""
    whole = -(-width // ROW_PAD) * ROW_PAD
    return whole + ROW_PAD if whole and whole % ROW_ALIAS == 0 else whole


class Kind(IntEnum):
    """What an instruction does forward; backward it does the transposed."""

    DENSE = 0  # dst = src W + b
    ACTIVATION = 1  # dst = f(src)
    SOFTMAX = 2  # dst = softmax(src) by rows
    DROPOUT = 3  # dst = src * mask in training, src otherwise
    AFFINE = 4  # dst = src * scale + offset, two numbers
    STANDARDIZE = 5  # dst = (src - mean) * inv * gamma + beta, of the statistics that the state keeps
    BATCH_NORM = 6  # the same of the batch's own statistics in training, of the kept ones otherwise
    LAYER_NORM = 7  # the same of each row's own statistics
    ROW_WISE = 8  # dst by a layer of `rowwise.ROW_WISE`
    BINARY = 9  # dst = f(src, second source), by element
    JOIN = 10  # columns of dst = src: a part of a concatenation
    SLICE = 11  # dst = columns of src
    ROW_SUM = 12  # dst, of one column, = the sum of src by rows
    REPEAT = 13  # dst = src, of one column, in every column
    FAN = 14  # forward nothing; backward the sum of two gradients of src, which several instructions read
    EMBEDDING = 15  # dst = rows of a table, one for each of the class numbers in src
    FILL = 16  # dst = a number; it has no source
    RANDOM = 17  # dst = random numbers from -1 to 1; it has no source


class Column(IntEnum):
    """Columns of an instruction."""

    KIND = 0
    CODE = 1  # ACTIVATION, ROW_WISE, BINARY: which one; STANDARDIZE, BATCH_NORM: that of their inverse deviation
    SRC = 2  # unit of the source buffer
    DST = 3  # unit of the destination buffer (may be SRC: in place)
    INPUTS = 4  # width of the source
    OUTPUTS = 5  # width of the destination
    KERNEL = 6  # offset of W in theta, or of gamma, or of a ROW_WISE's first vector; -1
    BIAS = 7  # offset of b in theta, or of beta, or of a ROW_WISE's second vector; -1
    CONSTANT = 8  # index of its constants, whose names are in `instructions.INSTRUCTIONS`; -1
    LAYER = 9  # number of the layer, keys DROPOUT and RANDOM
    GRAD_SRC = 10  # unit of the gradient of src; -1 where nobody needs it
    GRAD_DST = 11  # unit of the gradient of dst; -1 where the loss skips over this instruction (fused)
    SAVED = 12  # unit of what the derivative reads: of BATCH_NORM and LAYER_NORM dst before gamma and beta, of DROPOUT
    # its masks, 64 elements a word of 64 bits (-1 without a derivative)
    FUSED = 13  # a value of `Fused`
    MEAN = 14  # offset of the mean in the statistics; -1
    VARIANCE = 15  # offset of the variance in the statistics; -1
    STATISTICS = 16  # elements into the fixed part of the workspace, see BatchVector; -1
    INVERSE = 17  # LAYER_NORM: unit of a buffer of width 1, the rows' inverse deviations; -1
    SECOND = 18  # BINARY: unit of the second source; -1
    GRAD_SECOND = 19  # BINARY: unit of the gradient of the second source, FAN: of the gradient that it adds; -1
    OFFSET = 20  # JOIN, SLICE: the first of the columns in the wider of src and dst; else that of dst in its rows
    TABLE = 21  # EMBEDDING: rows of its table
    WHOLE = 22  # width of the rows in which dst lies: OUTPUTS, unless it is a part of a joined value
    GRAD_WHOLE = 23  # the same of the gradient of dst
    GRAD_OFFSET = 24  # the first of its columns there
    GRAD_FIRST = 25  # DENSE: the first of the columns of the gradient of src that anybody reads; programs may leave
    # the others as they are
    GRAD_COLUMNS = 26  # DENSE: and how many
    WIDTH = 27


class Fused(IntEnum):
    """What the loss does of the instruction before it."""

    NONE = 0
    GRADIENT = 1  # its gradient is that of src
    BOTH = 2  # and it computes dst, too


class BatchVector(IntEnum):
    """The vectors of padded(OUTPUTS) elements at STATISTICS; STANDARDIZE, and BATCH_NORM out of training, use only
    INVERSE."""

    MEAN = 0
    VARIANCE = 1
    INVERSE = 2  # 1 / deviation
    BETA_GRADIENT = 3
    GAMMA_GRADIENT = 4
    WIDTH = 5


class Role(IntEnum):
    """What a parameter's gradient is made of, from its instruction's dA."""

    KERNEL = 0  # X^T dA
    BIAS = 1  # bias or beta: the sum of dA
    SCALE = 2  # gamma: the sum of dA N
    VECTOR = 3  # of a ROW_WISE: the sum of the slopes of its code of `rowwise.VECTOR_GRADIENTS`
    TABLE = 4  # of an EMBEDDING: the sum of dA over where a row was taken


class ParameterEntry(IntEnum):
    """Columns of a row of the parameter table."""

    OFFSET = 0
    ROWS = 1
    COLUMNS = 2
    TRAINABLE = 3
    DECAY = 4  # 1: decoupled weight decay applies
    PENALTY = 5  # index of (l1, l2) in the constants; -1
    INSTRUCTION = 6  # the instruction that produces its gradient; -1 of what the other mode alone uses
    ROLE = 7
    CODE = 8  # VECTOR: which gradient; else -1
    MADE = 9  # elements into the fixed part of the workspace, where the row phase leaves its gradient; -1
    NEXT = 10  # of a parameter that several instructions use: the row of its first use, and there that of the next; -1
    WIDTH = 11


class InputEntry(IntEnum):
    """Columns of a row of the table of inputs, and of that of outputs."""

    UNIT = 0
    COLUMNS = 1
    WHOLE = 2  # width of the rows in which they lie: COLUMNS, unless they are a part of a joined value
    OFFSET = 3  # the first of them there
    WIDTH = 4


class MetricEntry(IntEnum):
    """Columns of a row of the metric table."""

    CODE = 0
    SLOT = 1  # first slot of the sums
    SLOTS = 2
    CONSTANT = 3  # index of (parameter, keep, add); -1
    WEIGHTED = 4  # 1: rows count by their weights, whose sum is in the last slot
    LOSS = 5  # the loss whose predictions and targets it reads
    WIDTH = 6


class LossEntry(IntEnum):
    """Columns of a row of the loss table, of which each output that has a loss has one."""

    CODE = 0
    INPUT = 1  # unit of what the loss reads: the logits where it is fused, else the predictions
    PREDICTION = 2  # unit of the predictions that metrics read
    PROBABILITY = 3  # unit where a crossentropy from logits leaves its probabilities
    GRADIENT = 4  # unit of the gradient of INPUT
    OUTPUTS = 5
    TARGET = 6  # unit of the gathered targets
    TARGETS = 7  # width of a row of targets
    CONSTANT = 8  # index of (parameter, keep, add): y' = y * keep + add is label smoothing
    BLOCK_TOTALS = 9  # of the first: offset in the workspace of float64 totals, one for each block of each sum of a
    # penalty; -1
    MEAN = 10  # 1: a row's loss is divided by the number of outputs
    WEIGHT = 11  # index of what it is multiplied by in the sum of losses
    SLOT = 12  # the slot of the sums that it has to itself, where there are several; -1
    WIDTH = 13


class OptimizerEntry(IntEnum):
    """Entries of the optimizer vector."""

    CODE = 0
    SLOTS = 1
    CONSTANT = 2  # index of the weight decay, which its own constants follow
    HAS_DECAY = 3
    CLIP = 4
    CLIP_CONSTANT = 5  # index of the limit; -1
    WIDTH = 6


class Clip(IntEnum):
    """How an optimizer limits gradients."""

    NONE = 0
    VALUE = 1  # each element
    NORM = 2  # the norm of each parameter's
    GLOBAL_NORM = 3  # the norm of them all


class Scalar(IntEnum):
    """Entries of `State.scalars` (float64)."""

    LEARNING_RATE = 0
    PRODUCTS = 1  # the first of the running products of `steps.Optimizer`
    WIDTH = 4


class Counter(IntEnum):
    """Entries of `State.counters` (int64)."""

    STEP = 0  # optimizer steps taken, keys DROPOUT and RANDOM
    EPOCH = 1  # epochs trained, keys the shuffle
    SEED = 2
    WIDTH = 3


class Phase(IntEnum):
    """Entries of a thread's laps (int64): clock cycles that it spent in each phase. A row is a cache line."""

    GATHER = 0
    FORWARD = 1
    LOSS = 2  # losses, metrics, penalties
    BACKWARD = 3  # gradients of activations and of parameters
    UPDATE = 4
    WAIT = 5  # for the team, at the ends of both halves of a step
    SINCE = 6  # what the clock said at the last lap
    WHOLE = 7  # all that calls took, counted once from their beginnings to their ends
    WIDTH = 8


SUM_LOSS, SUM_COUNT, SUM_METRICS = 0, 1, 2  # the first entries of a vector of sums


class Parameter(NamedTuple):
    """One tensor of the state."""

    layer: str
    name: str  # "kernel" | "bias" | "gamma" | "beta" | "moving_mean" | "moving_variance" | "mean" | "variance"
    shape: tuple[int, ...]
    offset: int
    trainable: bool
    vector: str = "theta"  # | "statistics"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Hidden(NamedTuple):
    """A constant in theta that is nobody's parameter: the gamma or beta of a layer without one."""

    layer: str
    name: str
    offset: int
    size: int
    value: float


@dataclass(frozen=True)
class ParameterLayout:
    """Names, shapes and offsets of the views of theta and of the statistics; the sizes count the gaps too."""

    parameters: tuple[Parameter, ...]
    hidden: tuple[Hidden, ...]
    size: int
    statistics_size: int

    def of(self, vector: str) -> tuple[Parameter, ...]:
        """The parameters in "theta", which optimizers keep slots for, or in "statistics"."""
        return tuple(parameter for parameter in self.parameters if parameter.vector == vector)

    def taken(self) -> ParameterLayout:
        """The same places, for another plan of the same layers."""
        hidden = (Parameter(one.layer, one.name, (one.size,), one.offset, False) for one in self.hidden)
        return ParameterLayout((*self.parameters, *hidden), (), self.size, self.statistics_size)

    def view(self, vector: npt.NDArray[Any], parameter: Parameter) -> npt.NDArray[Any]:
        """The view of one parameter in an array laid out as its vector is."""
        return vector[parameter.offset : parameter.offset + parameter.size].reshape(parameter.shape)


@dataclass(frozen=True)
class Plan:
    """A lowered model. Arrays are read-only after `Lowering.finish`; `numerics` and sizes are all that a backend sees
    of a model."""

    dtype: np.dtype[Any]
    instructions: Table
    parameters: Table
    metrics: Table
    losses: Table  # empty: a model that only predicts
    inputs: Table
    outputs: Table
    watched: Table  # as outputs: gradients that stay in the workspace; unit -1 of one that no program makes
    optimizer: Table
    constants: npt.NDArray[np.float64]
    layout: ParameterLayout
    reads_in_place: bool  # whether the first instruction alone reads the one input, and is a DENSE
    row_elements: int  # workspace elements a row takes
    fixed_elements: int  # workspace elements beside the rows: statistics of a batch
    flops_per_row: int  # floating-point operations of one row's forward pass
    sums: int
    slots: int
    initial_slots: tuple[float, ...]

    @property
    def features(self) -> tuple[int, ...]:
        """The width of each input."""
        return tuple(self.inputs[:, InputEntry.COLUMNS].tolist())

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each output."""
        return tuple(self.outputs[:, InputEntry.COLUMNS].tolist())

    @property
    def sparse(self) -> tuple[bool, ...]:
        """Of each loss, whether its targets are class labels."""
        return tuple(LOSS_FACTS[LOSS_NAMES[code]].classes for code in self.losses[:, LossEntry.CODE])

    @property
    def forward_rows(self) -> int:
        """Rows of a thread's block in inference, whole tiles of 14: each packs every W anew, and has activations in the
        workspace, which shall not outgrow theta for it, or four megabytes."""
        return 504 if 504 * self.row_elements <= max(self.layout.size, 1 << 20) else 252

    def bytes_of_training(self, rows: int) -> int:
        """Bytes of a state that trains on batches of `rows`: theta, gradient, slots, statistics and workspace."""
        vectors = (2 + self.slots) * self.layout.size + self.layout.statistics_size
        return (vectors + self.fixed_elements + rows * self.row_elements) * self.dtype.itemsize

    def rows_of_blocks(self, rows: int, threads: int) -> int:
        """What the workspace must hold for each thread to have a block of `forward_rows`, or its share of `rows`."""
        return threads * min(self.forward_rows, -(-max(1, rows) // (threads * ROW_PAD)) * ROW_PAD)


@cache
def largest(source: np.dtype[Any], target: np.dtype[Any]) -> np.floating[Any]:
    """The largest number of a float dtype that is finite in another one too."""
    most: np.floating[Any] = source.type(min(float(np.finfo(source).max), float(np.finfo(target).max)))
    return most


def mean_outputs(loss_name: str) -> bool:
    """Whether a row's loss is divided by the number of outputs."""
    return loss_name in LOSSES and LOSSES[loss_name].mean
