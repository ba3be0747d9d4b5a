"""A DENSE in the row phase: its product, with the relu behind it, and the gradient of its source, with the slope of the
relu before it.

A thread does them for its rows of the batch. Where W is large beside the batch, each thread should read a part of it
rather than all of it: then a team shares them by the columns of W, or by its rows in the backward pass.
"""

from __future__ import annotations

from numba.extending import register_jitable

from ..operators import shares_columns as shares
from ..tuning import LEAST_PIECE, MOST_PIECE
from .gemm import gemm, takes_slope
from .gemm_tile import BIAS, RELU, SLOPE, TRANSPOSED
from .jit import device
from .memory import integer_at, itemsize
from .table import RELU as RELU_CODE
from .table import Column, Entry, Kind
from .threads import barrier, next_piece
from .workspace import buffer, entry, instruction, padded

_shares = register_jitable(shares)


@device
def shares_columns(m, op, rows, team, training):
    """Whether a team shares a DENSE of a batch of so many rows by the columns of its W."""
    is_dense = integer_at(op, Column.KIND) == Kind.DENSE
    inputs, outputs = integer_at(op, Column.INPUTS), integer_at(op, Column.OUTPUTS)
    return team > 1 and is_dense and _shares(inputs, outputs, rows, itemsize(m.dtype), training)


@device
def is_relu(op):
    return integer_at(op, Column.KIND) == Kind.ACTIVATION and integer_at(op, Column.CODE) == RELU_CODE


@device
def has_relu(m, index):
    """Whether a DENSE is followed by a relu in place, which its product does, too."""
    op = instruction(m, index)
    following = op + Column.WIDTH * 8
    return (
        index + 1 < entry(m, Entry.INSTRUCTION_COUNT)
        and is_relu(following)
        and integer_at(following, Column.DST) == integer_at(op, Column.DST)
        and integer_at(following, Column.OFFSET) == integer_at(op, Column.OFFSET)
    )


@device
def forward_columns(m, index, first, src, ld_src, rows, column, columns, relu, flags):
    """Columns of a DENSE of rows that lie at src, and of its relu or not, into rows of the workspace from `first`."""
    op, size = instruction(m, index), itemsize(m.dtype)
    outputs, bias, whole = integer_at(op, Column.OUTPUTS), integer_at(op, Column.BIAS), integer_at(op, Column.WHOLE)
    theta = entry(m, Entry.THETA) + column * size
    flags |= (BIAS if bias >= 0 else 0) | (RELU if relu else 0)
    gemm(
        m.dtype,
        C=buffer(m, integer_at(op, Column.DST), whole, first) + (integer_at(op, Column.OFFSET) + column) * size,
        ldc=padded(whole),
        A=src,
        a_row=ld_src,
        a_k=1,
        B=theta + integer_at(op, Column.KERNEL) * size,
        ldb=outputs,
        m=rows,
        n=columns,
        k=integer_at(op, Column.INPUTS),
        epilogue=theta + bias * size,
        flags=flags,
        scratch=m.scratch,
    )


@device
def dense_forward(m, index, first, src, ld_src, rows, flags):
    """A DENSE, and the relu behind it, of rows that lie at src, into rows of the workspace from `first`. Returns how
    many instructions that is."""
    outputs, relu = integer_at(instruction(m, index), Column.OUTPUTS), has_relu(m, index)
    forward_columns(m, index, first, src, ld_src, rows, 0, outputs, relu, flags)
    return 2 if relu else 1


@device
def has_slope(m, index, rows):
    """Whether the gradient of a DENSE's source for so many rows makes that of a relu before it in place, too."""
    op = instruction(m, index)
    before = op - Column.WIDTH * 8
    return (
        index > 0
        and is_relu(before)
        and integer_at(before, Column.GRAD_SRC) == integer_at(op, Column.GRAD_SRC)
        and integer_at(before, Column.GRAD_OFFSET) == integer_at(op, Column.GRAD_FIRST)
        and integer_at(before, Column.INPUTS) == integer_at(op, Column.GRAD_COLUMNS)
        and takes_slope(m.dtype, rows, integer_at(op, Column.GRAD_COLUMNS), integer_at(op, Column.OUTPUTS)) == 1
    )


@device
def backward_columns(m, index, first, rows, column, columns, slope):
    """Columns of the gradient of a DENSE's source, of those that are wanted, with the slope of the relu before it or
    not, for `rows` rows of the workspace from `first`."""
    op, size = instruction(m, index), itemsize(m.dtype)
    inputs, outputs = integer_at(op, Column.INPUTS), integer_at(op, Column.OUTPUTS)
    whole, flags, output = integer_at(op, Column.GRAD_WHOLE), TRANSPOSED, 0
    if slope:
        saved = integer_at(op - Column.WIDTH * 8, Column.SAVED)
        output = buffer(m, saved, inputs, first) + column * size
        flags |= SLOPE
    gemm(
        m.dtype,
        C=buffer(m, integer_at(op, Column.GRAD_SRC), inputs, first) + column * size,
        ldc=padded(inputs),
        A=buffer(m, integer_at(op, Column.GRAD_DST), whole, first) + integer_at(op, Column.GRAD_OFFSET) * size,
        a_row=padded(whole),
        a_k=1,
        B=entry(m, Entry.THETA) + (integer_at(op, Column.KERNEL) + column * outputs) * size,
        ldb=outputs,
        m=rows,
        n=columns,
        k=outputs,
        epilogue=output,
        flags=flags,
        scratch=m.scratch,
    )


@device
def dense_backward(m, index, first, rows):
    """The gradient of a DENSE's source, and of the relu before it, for `rows` rows of the workspace from `first`.
    Returns how many instructions that is."""
    op, slope = instruction(m, index), has_slope(m, index, rows)
    column, columns = integer_at(op, Column.GRAD_FIRST), integer_at(op, Column.GRAD_COLUMNS)
    backward_columns(m, index, first, rows, column, columns, slope)
    return 2 if slope else 1


@device
def piece_columns(left, team):
    """The width of the next piece of so many columns that are left: half of a member's part of them, so that the pieces
    get smaller and all threads end together."""
    part = (left // (2 * team) + LEAST_PIECE - 1) // LEAST_PIECE * LEAST_PIECE
    width = min(max(part, LEAST_PIECE), MOST_PIECE)
    return left if left - width < LEAST_PIECE else width


@device
def dense_together(m, batch, index, backward):
    """`dense_forward` or `dense_backward` of a whole batch, of which each member takes columns, once all members have
    their rows of what it reads. Returns what they return."""
    op = instruction(m, index)
    inputs, columns, begin = integer_at(op, Column.INPUTS), integer_at(op, Column.OUTPUTS), 0
    if backward:
        columns, begin = integer_at(op, Column.GRAD_COLUMNS), integer_at(op, Column.GRAD_FIRST)
    fused = has_slope(m, index, batch.rows) if backward else has_relu(m, index)
    src = buffer(m, integer_at(op, Column.SRC), inputs, 0)
    barrier(m.sync, batch.team)
    column, piece, following = 0, 0, next_piece(m.sync)
    while column < columns:
        width = piece_columns(columns - column, batch.team)
        if piece == following:
            if backward:
                backward_columns(m, index, 0, batch.rows, begin + column, width, fused)
            else:
                forward_columns(m, index, 0, src, padded(inputs), batch.rows, column, width, fused, 0)
            following = next_piece(m.sync)
        piece += 1
        column += width
    barrier(m.sync, batch.team)
    return 2 if fused else 1
