"""The parameter phase of a step: the gradients of some rows of every W, which stay in cache, and the optimizer."""

from __future__ import annotations

import math

from numba.extending import register_jitable

from ...core.steps import MOST_PRODUCTS
from ..tuning import BLOCK_BYTES, BLOCK_ROWS, GRADIENT_BLOCK, GRADIENT_ROWS, PIECES_FROM, ROW_BLOCK, STEP_PREFETCH_BYTES
from . import call as c
from . import table as t
from .elementwise import clip_value, copy, decay_step, penalty_backward, scale, sum_squares
from .gemm import bias_backward, gemm, packs_columns
from .gemm_blocks import (
    K_CHUNK,
    gemm_rows,
    pack_panels,
    pack_size,
    packed_columns,
)
from .gemm_tile import ACCUMULATE, BYTES, PACKED
from .jit import device
from .memory import double_at, integer_at, itemsize, real, set_double, set_integer
from .normalization import scale_backward
from .optimizers import DECAY, PRODUCTS, RATE, SCALARS, optimizer_step, prepare_step
from .statistics import statistic
from .threads import barrier, next_piece
from .workspace import buffer, constant, instruction, pack, padded, parameter


@register_jitable
def scratch_size(size):
    """Elements of a thread's scratch, for elements of `size` bytes: what GEMMs pack, the gradient of a block of a W."""
    return pack_size(size) + max(GRADIENT_BLOCK, BLOCK_ROWS * BLOCK_BYTES // size)


@device
def step_rate(call, step, member):
    """The learning rate of a call's step: its own, where the call brings some, which the state then keeps."""
    rates, scalars = integer_at(call, c.RATES), integer_at(call, c.SCALARS)
    if rates == 0:
        return double_at(scalars, t.LEARNING_RATE)
    rate = double_at(rates, step)
    if member == 0:
        set_double(scalars, t.LEARNING_RATE, rate)
    return rate


@device
def begin_step(zero, call, member, rate):
    """The address of an optimizer step at a learning rate, in the member's scratch."""
    optimizer, scalars = integer_at(call, c.OPTIMIZER), integer_at(call, c.SCALARS)
    constants = integer_at(call, c.CONSTANTS) + 8 * integer_at(optimizer, t.O_CONSTANT)
    s = pack(zero, call, member) + scratch_size(itemsize(zero)) * itemsize(zero)
    decays = integer_at(optimizer, t.O_HAS_DECAY) == 1
    set_double(s, RATE, rate)
    set_double(s, DECAY, -(rate * double_at(constants, 0)) if decays else 0.0)
    for number in range(MOST_PRODUCTS):
        set_double(s, PRODUCTS + number, double_at(scalars, t.PRODUCTS + number))
    prepare_step(zero, integer_at(optimizer, t.O_CODE), s, constants + 8)
    return s


@device
def decay_of(row, s):
    """What the parameters of a row decay by in a step."""
    return double_at(s, DECAY) if integer_at(row, t.P_DECAY) == 1 else 0.0


@device
def clip_limit(call):
    return constant(call, integer_at(integer_at(call, c.OPTIMIZER), t.O_CLIP_CONSTANT))


@device
def clips_norms(call):
    return integer_at(integer_at(call, c.OPTIMIZER), t.O_CLIP) >= t.CLIP_NORM


@device
def add_squares(zero, call, member, team):
    """The sum of squares of each parameter's gradient, from the gradient vector; a member takes every team-th."""
    for number in range(member, integer_at(call, c.PARAMETER_COUNT), team):
        row = parameter(call, number)
        squares = 0.0
        if integer_at(row, t.P_TRAINABLE) == 1:
            gradient = integer_at(call, c.GRADIENT_VECTOR) + integer_at(row, t.P_OFFSET) * itemsize(zero)
            squares = sum_squares(zero, gradient, integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS))
        set_double(integer_at(call, c.NORMS), number, squares)


@device
def norm_factor(call, number):
    """What clipping by norms multiplies a parameter's gradient by."""
    norms, count = integer_at(call, c.NORMS), 1
    if integer_at(integer_at(call, c.OPTIMIZER), t.O_CLIP) == t.CLIP_GLOBAL_NORM:
        number, count = 0, integer_at(call, c.PARAMETER_COUNT)
    squares = 0.0
    for other in range(number, number + count):
        squares += double_at(norms, other)
    norm, limit = math.sqrt(squares), clip_limit(call)
    return limit / norm if norm > limit else 1.0


@device
def update_range(zero, call, offset, n, ahead, gradient, factor, decay, s):
    """Clipping and the optimizer on n parameters from `offset`, with their gradient at an address; those that come next
    lie `ahead` bytes further."""
    theta = integer_at(call, c.THETA) + offset * itemsize(zero)
    if integer_at(integer_at(call, c.OPTIMIZER), t.O_CLIP) == t.CLIP_VALUE:
        clip_value(zero, gradient, gradient, n, real(zero, clip_limit(call)))
    if factor != 1.0:
        scale(zero, gradient, gradient, n, real(zero, factor))
    if decay != 0.0:
        decay_step(zero, theta, theta, n, real(zero, decay))
    place, code = offset * itemsize(zero), integer_at(integer_at(call, c.OPTIMIZER), t.O_CODE)
    s0, s1, s2 = integer_at(call, c.SLOT_0), integer_at(call, c.SLOT_1), integer_at(call, c.SLOT_2)
    optimizer_step(zero, code, theta, s0 + place, s1 + place, s2 + place, gradient, n, ahead, s + 8 * SCALARS)


@device
def vector_gradient(zero, call, row, at, gradient, first, n, batch_rows):
    """The gradient of a vector's elements first .. first + n - 1."""
    width, size = integer_at(at, t.I_OUTPUTS), itemsize(zero)
    ld, role = padded(width), integer_at(row, t.P_ROLE)
    dA = buffer(zero, call, integer_at(at, t.I_GRAD_DST), width, 0) + first * size
    if integer_at(at, t.I_KIND) == t.BATCH_NORM:  # the row phase has made it
        made = t.GAMMA_GRADIENT if role == t.SCALE else t.BETA_GRADIENT
        copy(zero, gradient, statistic(zero, call, at, made, first), n)
    elif role == t.BIAS:
        bias_backward(zero, gradient, dA, ld, batch_rows, n)
    else:
        N = buffer(zero, call, integer_at(at, t.I_SAVED), width, 0) + first * size
        scale_backward(zero, gradient, dA, ld, N, ld, batch_rows, n)


@device
def finish_block(zero, call, row, first, rows, column, columns, gradient, ld, s):
    """What follows the gradient of a block of a parameter: its penalty's share, the optimizer."""
    size, width = itemsize(zero), integer_at(row, t.P_COLUMNS)
    runs, length, ahead = rows, columns, width * size
    if columns == width:
        runs, length, ahead = 1, rows * columns, STEP_PREFETCH_BYTES
    penalty_at = integer_at(row, t.P_PENALTY)
    for run in range(runs):
        place = integer_at(row, t.P_OFFSET) + (first + run) * width + column
        g = gradient + run * ld * size
        if penalty_at >= 0:
            theta = integer_at(call, c.THETA) + place * size
            l1, two_l2 = real(zero, constant(call, penalty_at)), real(zero, 2.0 * constant(call, penalty_at + 1))
            penalty_backward(zero, g, g, theta, length, l1, two_l2)
        if s != 0:
            update_range(zero, call, place, length, ahead, g, 1.0, decay_of(row, s), s)


@device
def held_columns(zero, batch_rows):
    """The columns of a W of which the buffer holds all rows of dZ packed, or 0."""
    return packed_columns((batch_rows + K_CHUNK - 1) // K_CHUNK, itemsize(zero))


@device
def kernel_phase(zero, call, row, first, last, begin, end, batch_rows, member, s):
    """The gradient of rows first..last - 1 of columns begin..end - 1 of a W: X^T dZ, a block at a time, and what
    follows it. A large one has dZ packed, once if the buffer holds all of a block of columns."""
    at, size = instruction(call, integer_at(row, t.P_INSTRUCTION)), itemsize(zero)
    width, inputs = integer_at(row, t.P_COLUMNS), integer_at(at, t.I_INPUTS)
    ldx, ldz = padded(inputs), padded(width)
    X = buffer(zero, call, integer_at(at, t.I_SRC), inputs, 0)
    dZ = buffer(zero, call, integer_at(at, t.I_GRAD_DST), width, 0)
    packed = pack(zero, call, member)
    packs = packs_columns(zero, ldz, last - first, width, batch_rows) == 1
    theta, slot_0, slot_1 = integer_at(call, c.THETA), integer_at(call, c.SLOT_0), integer_at(call, c.SLOT_1)
    slot_0, slot_1 = slot_0 - theta if slot_0 != 0 else 0, slot_1 - theta if slot_1 != 0 else 0
    held = held_columns(zero, batch_rows) if packs else 0
    once, block = held > 0, held if held > 0 else BLOCK_BYTES // size
    for column in range(begin, end, block):
        columns = min(block, end - column)
        height = BLOCK_ROWS if packs else GRADIENT_BLOCK // columns // ROW_BLOCK * ROW_BLOCK
        if once:
            height = GRADIENT_ROWS
            for k in range(0, batch_rows, K_CHUNK):
                panels = packed + k * block * size
                depth = min(K_CHUNK, batch_rows - k)
                pack_panels(zero, panels, dZ + (k * ldz + column) * size, ldz, columns, depth)
        for start in range(first, last, height):
            rows = min(height, last - start)
            place = (integer_at(row, t.P_OFFSET) + start * width + column) * size
            gradient, ld = packed + pack_size(size) * size, columns
            if s == 0:
                gradient, ld = integer_at(call, c.GRADIENT_VECTOR) + place, width
            if once:
                for k in range(0, batch_rows, K_CHUNK):
                    x, depth = X + (k * ldx + start) * size, min(K_CHUNK, batch_rows - k)
                    dz, panel = packed + k * block * size, 2 * BYTES // size
                    flags = PACKED | (ACCUMULATE if k > 0 else 0)
                    wanted = theta + place if s != 0 and k == 0 else 0
                    gemm_rows(
                        zero,
                        gradient,
                        ld,
                        x,
                        1,
                        ldx,
                        dz,
                        panel,
                        panel * depth,
                        rows,
                        columns,
                        depth,
                        0,
                        flags,
                        packed,
                        wanted,
                        width * size,
                        slot_0,
                        slot_1,
                    )
            else:
                x, dz = X + start * size, dZ + column * size
                gemm(zero, gradient, ld, x, 1, ldx, dz, ldz, rows, columns, batch_rows, 0, 0, packed)
            finish_block(
                zero, call, row, start, rows, column, columns, gradient, ld, s
            )  # fmt: skip


@device
def trainable_size(call):
    """Elements of all trainable parameters: the length of the line that a team shares."""
    total = 0
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = parameter(call, number)
        if integer_at(row, t.P_TRAINABLE) == 1:
            total += integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS)
    return total


@device
def cut(place, n, unit):
    """Which of n units of a parameter begins at a place behind its first element, in whole blocks."""
    if place <= 0:
        return 0
    return n if place >= n * unit else min((place // unit + ROW_BLOCK // 2) // ROW_BLOCK * ROW_BLOCK, n)


@device
def own(row, before, total, member, team):
    """A member's part of a parameter, [first, last) of the rows of a W or of the elements of a vector; and how many
    elements one is. The trainable parameters lie behind each other, `before` elements before this one, and the line is
    cut into equal parts: a member has few parameters whole rather than some rows of all, so that less of what other
    cores wrote has to come to its own."""
    is_kernel = integer_at(row, t.P_ROLE) == t.KERNEL
    n = integer_at(row, t.P_ROWS if is_kernel else t.P_COLUMNS)
    unit = integer_at(row, t.P_COLUMNS) if is_kernel else 1
    first, last = total * member // team - before, total * (member + 1) // team - before
    return cut(first, n, unit), cut(last, n, unit), unit


@device
def vector_phase(zero, call, row, first, last, batch_rows, member, s):
    """The gradient of a vector's elements first..last - 1, and what follows it."""
    size, at = itemsize(zero), instruction(call, integer_at(row, t.P_INSTRUCTION))
    for start in range(first, last, GRADIENT_BLOCK):
        n = min(GRADIENT_BLOCK, last - start)
        gradient = pack(zero, call, member)
        if s == 0:
            gradient = integer_at(call, c.GRADIENT_VECTOR) + (integer_at(row, t.P_OFFSET) + start) * size
        vector_gradient(zero, call, row, at, gradient, start, n, batch_rows)
        finish_block(zero, call, row, 0, 1, start, n, gradient, n, s)


@device
def piece_rows(rows, columns, left, team):
    """Rows of the next piece of a W's columns, where so many elements of the line are left: half of a member's part of
    them, so that the pieces get smaller and all threads end together; equal ones for all rows of the columns."""
    most = max(left // (2 * team * columns), BLOCK_ROWS)
    pieces = (rows + most - 1) // most
    return ((rows + pieces - 1) // pieces + GRADIENT_ROWS - 1) // GRADIENT_ROWS * GRADIENT_ROWS


@device
def phase_by_pieces(zero, call, left, member, team, batch_rows, s):
    """The parameter phase where threads take pieces of the line in turn, each of which packs its own columns of dZ."""
    sync, held, piece = integer_at(call, c.SYNC), held_columns(zero, batch_rows), 0
    width, following = held if held > 0 else BLOCK_BYTES // itemsize(zero), next_piece(sync)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = parameter(call, number)
        if integer_at(row, t.P_TRAINABLE) == 0:
            continue
        rows, every = integer_at(row, t.P_ROWS), integer_at(row, t.P_COLUMNS)
        if integer_at(row, t.P_ROLE) != t.KERNEL:
            if piece == following:
                vector_phase(zero, call, row, 0, every, batch_rows, member, s)
                following = next_piece(sync)
            piece += 1
            left -= every
            continue
        for column in range(0, every, width):
            columns = min(width, every - column)
            height = piece_rows(rows, columns, left, team)
            for start in range(0, rows, height):
                if piece == following:
                    last, end = min(start + height, rows), column + columns
                    kernel_phase(zero, call, row, start, last, column, end, batch_rows, member, s)
                    following = next_piece(sync)
                piece += 1
            left -= rows * columns


@device
def parameter_phase(zero, call, member, team, batch_rows, s):
    """A member's share of every gradient; with a step s the optimizer follows at once, else it is left in the gradient
    vector."""
    before, total = 0, trainable_size(call)
    if team > 1 and total >= PIECES_FROM:
        phase_by_pieces(zero, call, total, member, team, batch_rows, s)
        return
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = parameter(call, number)
        if integer_at(row, t.P_TRAINABLE) == 0:
            continue
        first, last, _ = own(row, before, total, member, team)
        before += integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS)
        if first == last:
            continue
        if integer_at(row, t.P_ROLE) == t.KERNEL:
            end = integer_at(row, t.P_COLUMNS)
            kernel_phase(zero, call, row, first, last, 0, end, batch_rows, member, s)
        else:
            vector_phase(zero, call, row, first, last, batch_rows, member, s)


@device
def update_phase(zero, call, member, team, s):
    """The optimizer from the gradient vector, which is clipped first."""
    if clips_norms(call):
        add_squares(zero, call, member, team)
        barrier(integer_at(call, c.SYNC), team)
    before, total = 0, trainable_size(call)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = parameter(call, number)
        if integer_at(row, t.P_TRAINABLE) == 0:
            continue
        factor = norm_factor(call, number) if clips_norms(call) else 1.0
        first, last, unit = own(row, before, total, member, team)
        before += integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS)
        place, n = integer_at(row, t.P_OFFSET) + first * unit, (last - first) * unit
        gradient = integer_at(call, c.GRADIENT_VECTOR) + place * itemsize(zero)
        update_range(zero, call, place, n, STEP_PREFETCH_BYTES, gradient, factor, decay_of(row, s), s)


@device
def finish_step(call, s):
    """The step's products and its number, to the state."""
    scalars, counters = integer_at(call, c.SCALARS), integer_at(call, c.COUNTERS)
    for number in range(MOST_PRODUCTS):
        set_double(scalars, t.PRODUCTS + number, double_at(s, PRODUCTS + number))
    set_integer(counters, t.STEP, integer_at(counters, t.STEP) + 1)
