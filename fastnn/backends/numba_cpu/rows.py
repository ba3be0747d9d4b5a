"""The row phase of a step: gather, forward pass, losses and gradients of some rows of a batch.

A thread takes its rows through as many instructions as it can. The team meets for the statistics of a batch, in which
rows enter each other, and for a W whose columns it shares (`dense.py`): every member comes here, with rows or without.
"""

from __future__ import annotations

from .dense import dense_backward, dense_forward, dense_together, shares_columns
from .dropout import dropout_backward, dropout_forward
from .elementwise import copy, gather_column, gather_row, scale
from .jit import device
from .memory import integer_at, itemsize, real
from .operations import operate_columns, operate_losses, operate_rows
from .philox import uniform_rows
from .table import ArrayEntry, CallEntry, Column, Counter, Entry, Fused, InputEntry, Kind, LossEntry, Slot
from .threads import barrier
from .workspace import (
    array_of,
    buffer,
    call_of,
    calls,
    constant,
    entry,
    has_call,
    input_of,
    instruction,
    loss_of,
    padded,
    targets_of,
    weights_of,
)


@device
def gather_array(m, array, to, apart_to, width, first, last, batch_start):
    """A member's rows of an array to rows of the workspace `apart_to` elements apart, of which the first is at `to`,
    converted."""
    order = entry(m, Entry.ORDER)
    data, code = integer_at(array, ArrayEntry.DATA), integer_at(array, ArrayEntry.CODE)
    apart, element = integer_at(array, ArrayEntry.ROW), integer_at(array, ArrayEntry.ELEMENT)
    if width == 1:
        gather_column(m.dtype, code, to, apart_to, data, apart, order, batch_start + first, batch_start + last)
        return
    row_bytes = apart_to * itemsize(m.dtype)
    for row in range(batch_start + first, batch_start + last):
        source = integer_at(order, row) if order != 0 else row
        gather_row(m.dtype, code, to, data + source * apart, width, element)
        to += row_bytes


@device
def gather_weights(m, loss, first, last, batch_start):
    """A member's weights of a loss."""
    order, given, size = entry(m, Entry.ORDER), integer_at(weights_of(m, loss), ArrayEntry.DATA), itemsize(m.dtype)
    weights = entry(m, Entry.ROW_WEIGHTS) + loss * entry(m, Entry.CAPACITY) * size
    if given != 0:
        for row in range(first, last):
            source = batch_start + row
            if order != 0:
                source = integer_at(order, source)
            copy(m.dtype, weights + row * size, given + source * size, 1)


@device
def gather(m, first, last, batch_start, with_targets):
    """A member's rows of the batch into the workspace, converted."""
    for index in range(entry(m, Entry.INPUT_COUNT)):
        op = input_of(m, index)
        width, whole = integer_at(op, InputEntry.COLUMNS), integer_at(op, InputEntry.WHOLE)
        to = buffer(m, integer_at(op, InputEntry.UNIT), whole, first)
        to += integer_at(op, InputEntry.OFFSET) * itemsize(m.dtype)
        gather_array(m, array_of(m, index), to, padded(whole), width, first, last, batch_start)
    if with_targets:
        for index in range(entry(m, Entry.LOSS_COUNT)):
            op = loss_of(m, index)
            width = integer_at(op, LossEntry.TARGETS)
            to = buffer(m, integer_at(op, LossEntry.TARGET), width, first)
            gather_array(m, targets_of(m, index), to, padded(width), width, first, last, batch_start)
            gather_weights(m, index, first, last, batch_start)


@device
def columns_together(m, batch, calls, slot, end):
    """An instruction's operations on all rows of the batch, of which each member takes columns."""
    barrier(m.sync, batch.team)
    for index in range(slot, end):
        if has_call(calls, index):
            operate_columns(m.dtype, call_of(calls, index), batch.rows, m.index, batch.team)
    barrier(m.sync, batch.team)


@device
def random_forward(m, batch, op):
    """A member's rows of a RANDOM."""
    width, counters = integer_at(op, Column.OUTPUTS), entry(m, Entry.COUNTERS)
    dst = buffer(m, integer_at(op, Column.DST), width, batch.first)
    key = integer_at(counters, Counter.SEED), integer_at(counters, Counter.STEP), integer_at(op, Column.LAYER)
    first, last = batch.start + batch.first, batch.start + batch.last
    uniform_rows(m.dtype, dst, padded(width), first, last, width, key)


@device
def forward(m, batch, index):
    """The instructions in order from `index`, for a member's rows."""
    first, rows = batch.first, batch.last - batch.first
    while index < entry(m, Entry.INSTRUCTION_COUNT):
        op, its_calls = instruction(m, index), calls(m, index)
        inputs, kind = integer_at(op, Column.INPUTS), integer_at(op, Column.KIND)
        if shares_columns(m, op, batch.rows, batch.team, batch.training):
            index += dense_together(m, batch, index, False)
            continue
        if kind == Kind.DENSE:
            src = buffer(m, integer_at(op, Column.SRC), inputs, first)
            index += dense_forward(m, index, first, src, padded(inputs), rows, 0)
            continue
        index += 1
        if kind == Kind.DROPOUT:
            dropout_forward(m, batch, op)
            continue
        if kind == Kind.RANDOM:
            random_forward(m, batch, op)
            continue
        if batch.training and has_call(its_calls, Slot.FORWARD_COLUMNS):
            columns_together(m, batch, its_calls, Slot.FORWARD_COLUMNS, Slot.INFERENCE_COLUMNS)
        slot = Slot.FORWARD if batch.training else Slot.INFERENCE
        if has_call(its_calls, slot) and not (batch.with_loss and integer_at(op, Column.FUSED) == Fused.BOTH):
            operate_rows(m.dtype, call_of(its_calls, slot), first, rows, batch.rows)


@device
def losses(m, batch):
    """Values of the losses and of the metrics for a member's rows."""
    pairs, index = 2 * entry(m, Entry.LOSS_COUNT), 1
    while index < pairs + entry(m, Entry.METRIC_COUNT):
        call = call_of(entry(m, Entry.LOSSES), index)
        if integer_at(call, CallEntry.FAMILY) >= 0:
            operate_losses(m.dtype, call, batch.first, batch.last - batch.first)
        index += 2 if index < pairs - 1 else 1


@device
def loss_gradients(m, batch):
    """The gradients of the mean losses by what they read, for a member's rows."""
    rows, size = batch.last - batch.first, itemsize(m.dtype)
    for index in range(entry(m, Entry.LOSS_COUNT)):
        loss, place = loss_of(m, index), (index * entry(m, Entry.CAPACITY) + batch.first) * size
        share = 1.0 / batch.rows
        if integer_at(loss, LossEntry.MEAN) == 1:
            share = share / integer_at(loss, LossEntry.OUTPUTS)
        share = share * constant(m, integer_at(loss, LossEntry.WEIGHT))
        weights, scales = entry(m, Entry.ROW_WEIGHTS) + place, entry(m, Entry.ROW_SCALES) + place
        scale(m.dtype, scales, weights, rows, real(m.dtype, share))
        operate_losses(m.dtype, call_of(entry(m, Entry.LOSSES), 2 * index), batch.first, rows)


@device
def backward(m, batch):
    """The gradients of all activations for a member's rows."""
    first, rows = batch.first, batch.last - batch.first
    index = entry(m, Entry.INSTRUCTION_COUNT) - 1
    while index >= 0:
        op, its_calls = instruction(m, index), calls(m, index)
        kind = integer_at(op, Column.KIND)
        if integer_at(op, Column.GRAD_DST) >= 0 and has_call(its_calls, Slot.BACKWARD_COLUMNS):
            columns_together(m, batch, its_calls, Slot.BACKWARD_COLUMNS, Slot.WIDTH)
        if integer_at(op, Column.GRAD_SRC) < 0 and integer_at(op, Column.GRAD_SECOND) < 0:
            index -= 1
        elif shares_columns(m, op, batch.rows, batch.team, True):
            index -= dense_together(m, batch, index, True)
        elif kind == Kind.DENSE:
            index -= dense_backward(m, index, first, rows)
        elif kind == Kind.DROPOUT:
            dropout_backward(m, batch, op)
            index -= 1
        else:
            operate_rows(m.dtype, call_of(its_calls, Slot.BACKWARD), first, rows, batch.rows)
            if has_call(its_calls, Slot.BACKWARD + 1):
                operate_rows(m.dtype, call_of(its_calls, Slot.BACKWARD + 1), first, rows, batch.rows)
            index -= 1
