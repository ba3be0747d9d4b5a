"""A DENSE in the row phase: its product, with the relu behind it, and the gradient of its source, with the slope of the
relu before it.

A thread does them for its rows of the batch. Where W is large beside the batch, each thread should read a part of it
rather than all of it: then a team shares them by the columns of W, or by its rows in the backward pass.
"""

from __future__ import annotations

from numba.extending import register_jitable

from ..operators import shares_columns as shares
from ..tuning import LEAST_PIECE, MOST_PIECE
from . import call as c
from . import table as t
from .gemm import gemm, takes_slope
from .gemm_tile import BIAS, RELU, SLOPE, TRANSPOSED
from .jit import device
from .memory import integer_at, itemsize
from .threads import barrier, next_piece
from .workspace import buffer, instruction, pack, padded

_shares = register_jitable(shares)


@device
def shares_columns(zero, at, rows, team, training):
    """Whether a team shares a DENSE of a batch of so many rows by the columns of its W."""
    is_dense = integer_at(at, t.I_KIND) == t.DENSE
    inputs, outputs = integer_at(at, t.I_INPUTS), integer_at(at, t.I_OUTPUTS)
    return team > 1 and is_dense and _shares(inputs, outputs, rows, itemsize(zero), training)


@device
def has_relu(call, number):
    """1 if a DENSE is followed by a relu in place, which its product does, too; else 0."""
    at = instruction(call, number)
    following = at + t.I_WIDTH * 8
    return int(
        number + 1 < integer_at(call, c.INSTRUCTION_COUNT)
        and integer_at(following, t.I_KIND) == t.ACTIVATION
        and integer_at(following, t.I_CODE) == t.RELU_CODE
        and integer_at(following, t.I_DST) == integer_at(at, t.I_DST)
    )


@device
def forward_columns(zero, call, number, first, src, ld_src, rows, column, columns, relu, flags, member):
    """Columns of a DENSE of rows that lie at src, and of its relu or not, into rows of the workspace from `first`."""
    at, size = instruction(call, number), itemsize(zero)
    outputs, bias = integer_at(at, t.I_OUTPUTS), integer_at(at, t.I_BIAS)
    theta = integer_at(call, c.THETA) + column * size
    flags |= BIAS if bias >= 0 else 0
    flags |= RELU if relu == 1 else 0
    gemm(
        zero,
        buffer(zero, call, integer_at(at, t.I_DST), outputs, first) + column * size,
        padded(outputs),
        src,
        ld_src,
        1,
        theta + integer_at(at, t.I_KERNEL) * size,
        outputs,
        rows,
        columns,
        integer_at(at, t.I_INPUTS),
        theta + bias * size,
        flags,
        pack(zero, call, member),
    )


@device
def dense(zero, call, number, first, src, ld_src, rows, flags, member):
    """A DENSE, and the relu behind it, of rows that lie at src, into rows of the workspace from `first`. Gives how many
    instructions more than one that is."""
    outputs, relu = integer_at(instruction(call, number), t.I_OUTPUTS), has_relu(call, number)
    forward_columns(zero, call, number, first, src, ld_src, rows, 0, outputs, relu, flags, member)
    return relu


@device
def has_slope(zero, call, number, rows):
    """1 if the gradient of a DENSE's source for so many rows makes that of a relu before it in place, too; else 0."""
    at = instruction(call, number)
    before = at - t.I_WIDTH * 8
    return int(
        number > 0
        and integer_at(before, t.I_KIND) == t.ACTIVATION
        and integer_at(before, t.I_CODE) == t.RELU_CODE
        and integer_at(before, t.I_GRAD_SRC) == integer_at(at, t.I_GRAD_SRC)
        and takes_slope(zero, rows, integer_at(at, t.I_INPUTS), integer_at(at, t.I_OUTPUTS)) == 1
    )


@device
def backward_columns(zero, call, number, first, rows, column, columns, slope, member):
    """Columns of the gradient of a DENSE's source, with the slope of the relu before it or not, for `rows` rows of the
    workspace from `first`."""
    at, size = instruction(call, number), itemsize(zero)
    inputs, outputs = integer_at(at, t.I_INPUTS), integer_at(at, t.I_OUTPUTS)
    flags, output = TRANSPOSED, 0
    if slope == 1:
        saved = integer_at(at - t.I_WIDTH * 8, t.I_SAVED)
        output = buffer(zero, call, saved, inputs, first) + column * size
        flags |= SLOPE
    gemm(
        zero,
        buffer(zero, call, integer_at(at, t.I_GRAD_SRC), inputs, first) + column * size,
        padded(inputs),
        buffer(zero, call, integer_at(at, t.I_GRAD_DST), outputs, first),
        padded(outputs),
        1,
        integer_at(call, c.THETA) + (integer_at(at, t.I_KERNEL) + column * outputs) * size,
        outputs,
        rows,
        columns,
        outputs,
        output,
        flags,
        pack(zero, call, member),
    )


@device
def dense_backward(zero, call, number, first, rows, member):
    """The gradient of a DENSE's source, and of the relu before it, for `rows` rows of the workspace from `first`. Gives
    how many instructions more than one that is."""
    inputs, slope = integer_at(instruction(call, number), t.I_INPUTS), has_slope(zero, call, number, rows)
    backward_columns(zero, call, number, first, rows, 0, inputs, slope, member)
    return slope


@device
def piece_columns(left, team):
    """The width of the next piece of so many columns that are left: half of a member's part of them, so that the pieces
    get smaller and all threads end together."""
    part = (left // (2 * team) + LEAST_PIECE - 1) // LEAST_PIECE * LEAST_PIECE
    width = min(max(part, LEAST_PIECE), MOST_PIECE)
    return left if left - width < LEAST_PIECE else width


@device
def dense_together(zero, call, number, member, team, batch_rows, backward):
    """`dense` or `dense_backward` of the whole batch, of which each thread takes columns, once all members have their
    rows of what it reads. Gives what they give."""
    at, sync = instruction(call, number), integer_at(call, c.SYNC)
    inputs, outputs = integer_at(at, t.I_INPUTS), integer_at(at, t.I_OUTPUTS)
    src = buffer(zero, call, integer_at(at, t.I_SRC), inputs, 0)
    columns = inputs if backward else outputs
    fused = has_slope(zero, call, number, batch_rows) if backward else has_relu(call, number)
    barrier(sync, team)
    column, piece, following = 0, 0, next_piece(sync)
    while column < columns:
        width = piece_columns(columns - column, team)
        if piece == following:
            if backward:
                backward_columns(zero, call, number, 0, batch_rows, column, width, fused, member)
            else:
                forward_columns(
                    zero, call, number, 0, src, padded(inputs), batch_rows, column, width, fused, 0, member
                )  # fmt: skip
            following = next_piece(sync)
        piece += 1
        column += width
    barrier(sync, team)
    return fused
