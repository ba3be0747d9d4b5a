"""An optimizer step: its scalars, what limits gradients, and the parameters of a range."""

from __future__ import annotations

import math

from numba.extending import register_jitable

from ...core.steps import MOST_PRODUCTS
from ..tuning import BLOCK_BYTES, BLOCK_ROWS, GRADIENT_BLOCK
from .elementwise import clip_value, decay_step, scale, sum_squares
from .gemm_blocks import pack_size
from .jit import device
from .memory import double_at, integer_at, itemsize, real, set_double, set_integer
from .optimizers import DECAY, PRODUCTS, RATE, SCALARS, optimizer_step, prepare_step
from .table import Clip, Counter, Entry, OptimizerEntry, ParameterEntry, Role, Scalar
from .workspace import constant, entry, parameter


@register_jitable
def scratch_size(size):
    """Elements of a thread's scratch, for elements of `size` bytes: what GEMMs pack, the gradient of a block of a W."""
    return pack_size(size) + max(GRADIENT_BLOCK, BLOCK_ROWS * BLOCK_BYTES // size)


@device
def begin_step(m, rate):
    """The address of an optimizer step at a learning rate, in the member's scratch."""
    optimizer, scalars = entry(m, Entry.OPTIMIZER), entry(m, Entry.SCALARS)
    constants = entry(m, Entry.CONSTANTS) + 8 * integer_at(optimizer, OptimizerEntry.CONSTANT)
    s = m.scratch + scratch_size(itemsize(m.dtype)) * itemsize(m.dtype)
    decays = integer_at(optimizer, OptimizerEntry.HAS_DECAY) == 1
    set_double(s, RATE, rate)
    set_double(s, DECAY, -(rate * double_at(constants, 0)) if decays else 0.0)
    for index in range(MOST_PRODUCTS):
        set_double(s, PRODUCTS + index, double_at(scalars, Scalar.PRODUCTS + index))
    prepare_step(m.dtype, integer_at(optimizer, OptimizerEntry.CODE), s, constants + 8)
    return s


@device
def finish_step(m, s):
    """The step's learning rate and products and its number, to the state."""
    scalars, counters = entry(m, Entry.SCALARS), entry(m, Entry.COUNTERS)
    set_double(scalars, Scalar.LEARNING_RATE, double_at(s, RATE))
    for index in range(MOST_PRODUCTS):
        set_double(scalars, Scalar.PRODUCTS + index, double_at(s, PRODUCTS + index))
    set_integer(counters, Counter.STEP, integer_at(counters, Counter.STEP) + 1)


@device
def clips_norms(m):
    """Whether the optimizer needs the whole gradient first."""
    return integer_at(entry(m, Entry.OPTIMIZER), OptimizerEntry.CLIP) >= Clip.NORM


@device
def clip_limit(m):
    """The greatest element, or norm, of a gradient."""
    return constant(m, integer_at(entry(m, Entry.OPTIMIZER), OptimizerEntry.CLIP_CONSTANT))


@device
def norm_factor(m, index):
    """What clipping by norms multiplies a parameter's gradient by."""
    norms, count = entry(m, Entry.NORMS), 1
    if integer_at(entry(m, Entry.OPTIMIZER), OptimizerEntry.CLIP) == Clip.GLOBAL_NORM:
        index, count = 0, entry(m, Entry.PARAMETER_COUNT)
    squares = 0.0
    for other in range(index, index + count):
        squares += double_at(norms, other)
    norm, limit = math.sqrt(squares), clip_limit(m)
    return limit / norm if norm > limit else 1.0


@device
def decay_of(row, s):
    """What the parameters of a row decay by in a step."""
    return double_at(s, DECAY) if integer_at(row, ParameterEntry.DECAY) == 1 else 0.0


@device
def add_squares(m):
    """The sum of squares of each parameter's gradient, from the gradient vector. Members take matrices in turn, and
    vectors, since every second parameter is small."""
    matrices, vectors = 0, 0
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        matrix = integer_at(row, ParameterEntry.ROLE) == Role.KERNEL
        turn = matrices if matrix else vectors
        if matrix:
            matrices += 1
        else:
            vectors += 1
        if turn % m.team == m.index:
            n = integer_at(row, ParameterEntry.ROWS) * integer_at(row, ParameterEntry.COLUMNS)
            if integer_at(row, ParameterEntry.TRAINABLE) == 0:
                n = 0
            gradient = entry(m, Entry.GRADIENT) + integer_at(row, ParameterEntry.OFFSET) * itemsize(m.dtype)
            set_double(entry(m, Entry.NORMS), index, sum_squares(m.dtype, gradient, n))


@device
def update_range(m, offset, n, ahead, gradient, factor, decay, s):
    """Clipping and the optimizer on n parameters from `offset`, with their gradient at an address; those that come next
    lie `ahead` bytes further."""
    dtype, place, optimizer = m.dtype, offset * itemsize(m.dtype), entry(m, Entry.OPTIMIZER)
    theta = entry(m, Entry.THETA) + place
    if integer_at(optimizer, OptimizerEntry.CLIP) == Clip.VALUE:
        clip_value(dtype, gradient, gradient, n, real(dtype, clip_limit(m)))
    if factor != 1.0:
        scale(dtype, gradient, gradient, n, real(dtype, factor))
    if decay != 0.0:
        decay_step(dtype, theta, theta, n, real(dtype, decay))
    code = integer_at(optimizer, OptimizerEntry.CODE)
    s0, s1, s2 = entry(m, Entry.SLOT_0) + place, entry(m, Entry.SLOT_1) + place, entry(m, Entry.SLOT_2) + place
    optimizer_step(dtype, code, theta, s0, s1, s2, gradient, n, ahead, s + 8 * SCALARS)
