"""A DROPOUT in the row phase: elements by the random numbers of `philox.py`, whose masks are kept for the backward
pass."""

from __future__ import annotations

from .elementwise import copy
from .jit import device
from .memory import integer_at, itemsize, real
from .philox import dropout_again, dropout_rows, dropout_scalars
from .table import Column, Counter, Entry
from .workspace import buffer, constant, entry, padded


@device
def masks_of(m, op, row):
    """Where the masks of a row are, 64 elements a word, and how many bytes apart; or zeros, where no derivative reads
    them."""
    unit, size = integer_at(op, Column.SAVED), itemsize(m.dtype)
    width = (integer_at(op, Column.OUTPUTS) + 63) // 64 * 8 // size
    if unit < 0:
        return 0, 0
    return buffer(m, unit, width, row), padded(width) * size


@device
def dropout_forward(m, batch, op):
    """A member's rows: out of training a copy. Masks are left where a derivative reads them."""
    width, first, rows = integer_at(op, Column.OUTPUTS), batch.first, batch.last - batch.first
    dst = buffer(m, integer_at(op, Column.DST), width, first)
    src = buffer(m, integer_at(op, Column.SRC), width, first)
    ld = padded(width)
    if not batch.training:
        copy(m.dtype, dst, src, rows * ld)
        return
    counters, rate = entry(m, Entry.COUNTERS), constant(m, integer_at(op, Column.CONSTANT))
    key = integer_at(counters, Counter.SEED), integer_at(counters, Counter.STEP), integer_at(op, Column.LAYER)
    masks, ldm = masks_of(m, op, first)
    dropout_rows(m.dtype, dst, ld, src, ld, masks, ldm, first, batch.last, width, rate, key)


@device
def dropout_backward(m, batch, op):
    """The gradient of a member's rows, by the masks that `dropout_forward` left."""
    width, size = integer_at(op, Column.OUTPUTS), itemsize(m.dtype)
    d_src = buffer(m, integer_at(op, Column.GRAD_SRC), width, batch.first)
    d_dst = buffer(m, integer_at(op, Column.GRAD_DST), width, batch.first)
    _, scale = dropout_scalars(constant(m, integer_at(op, Column.CONSTANT)))
    masks, ldm = masks_of(m, op, batch.first)
    for row in range(batch.last - batch.first):
        down = row * padded(width) * size
        dropout_again(m.dtype, d_src + down, d_dst + down, masks + row * ldm, width, real(m.dtype, scale))
