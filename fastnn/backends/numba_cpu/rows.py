"""The row phase of a step: gather, forward pass, losses and gradients of some rows of a batch.

A thread takes its rows through as many instructions as it can. The team meets for the statistics of a batch, in which
rows enter each other, and for a W whose columns it shares (`dense.py`): every member comes here, with rows or without.
"""

from __future__ import annotations

from .dense import dense_backward, dense_forward, dense_together, shares_columns
from .dropout import dropout_backward, dropout_forward
from .elementwise import copy, gather_row, scale
from .jit import device
from .memory import integer_at, itemsize, real
from .operations import operate_columns, operate_losses, operate_rows
from .table import CallEntry, Column, Entry, Fused, Kind, LossEntry, Slot
from .threads import barrier
from .workspace import buffer, call_of, calls, entry, has_call, instruction, padded


@device
def gather(m, first, last, batch_start, with_targets):
    """A member's rows of the batch into the workspace, converted."""
    order, features, loss = entry(m, Entry.ORDER), entry(m, Entry.FEATURES), entry(m, Entry.LOSS)
    for row in range(first, last):
        source = batch_start + row
        if order != 0:
            source = integer_at(order, source)
        x = entry(m, Entry.X) + source * entry(m, Entry.X_ROW)
        at = buffer(m, 0, features, row)
        gather_row(m.dtype, entry(m, Entry.X_CODE), at, x, features, entry(m, Entry.X_ELEMENT))
        if with_targets:
            targets = integer_at(loss, LossEntry.TARGETS)
            y = entry(m, Entry.Y) + source * entry(m, Entry.Y_ROW)
            at = buffer(m, integer_at(loss, LossEntry.TARGET), targets, row)
            gather_row(m.dtype, entry(m, Entry.Y_CODE), at, y, targets, entry(m, Entry.Y_ELEMENT))
            if entry(m, Entry.W) != 0:
                size = itemsize(m.dtype)
                copy(m.dtype, entry(m, Entry.ROW_WEIGHTS) + row * size, entry(m, Entry.W) + source * size, 1)


@device
def columns_together(m, batch, calls, slot, end):
    """An instruction's operations on all rows of the batch, of which each member takes columns."""
    barrier(m.sync, batch.team)
    for number in range(slot, end):
        if has_call(calls, number):
            operate_columns(m.dtype, call_of(calls, number), batch.rows, m.number, batch.team)
    barrier(m.sync, batch.team)


@device
def forward(m, batch, number):
    """The instructions in order from `number`, for a member's rows."""
    first, rows = batch.first, batch.last - batch.first
    while number < entry(m, Entry.INSTRUCTION_COUNT):
        at, its_calls = instruction(m, number), calls(m, number)
        inputs, kind = integer_at(at, Column.INPUTS), integer_at(at, Column.KIND)
        if shares_columns(m, at, batch.rows, batch.team, batch.training):
            number += dense_together(m, batch, number, False)
            continue
        if kind == Kind.DENSE:
            src = buffer(m, integer_at(at, Column.SRC), inputs, first)
            number += dense_forward(m, number, first, src, padded(inputs), rows, 0)
            continue
        number += 1
        if kind == Kind.DROPOUT:
            dropout_forward(m, batch, at)
            continue
        if batch.training and has_call(its_calls, Slot.FORWARD_COLUMNS):
            columns_together(m, batch, its_calls, Slot.FORWARD_COLUMNS, Slot.INFERENCE_COLUMNS)
        if not (batch.with_loss and integer_at(at, Column.FUSED) == Fused.BOTH):
            slot = Slot.FORWARD if batch.training else Slot.INFERENCE
            operate_rows(m.dtype, call_of(its_calls, slot), first, rows, batch.rows)


@device
def losses(m, batch):
    """Values of the loss and of the metrics for a member's rows."""
    for number in range(1, 2 + entry(m, Entry.METRIC_COUNT)):
        call = call_of(entry(m, Entry.LOSSES), number)
        if integer_at(call, CallEntry.FAMILY) >= 0:
            operate_losses(m.dtype, call, batch.first, batch.last - batch.first)


@device
def loss_gradient(m, batch):
    """The gradient of the mean loss by what the loss reads, for a member's rows."""
    first, rows, loss = batch.first * itemsize(m.dtype), batch.last - batch.first, entry(m, Entry.LOSS)
    share = 1.0 / batch.rows
    if integer_at(loss, LossEntry.MEAN) == 1:
        share = share / integer_at(loss, LossEntry.OUTPUTS)
    weights, scales = entry(m, Entry.ROW_WEIGHTS) + first, entry(m, Entry.ROW_SCALES) + first
    scale(m.dtype, scales, weights, rows, real(m.dtype, share))
    operate_losses(m.dtype, entry(m, Entry.LOSSES), batch.first, rows)


@device
def backward(m, batch):
    """The gradients of all activations for a member's rows."""
    first, rows = batch.first, batch.last - batch.first
    number = entry(m, Entry.INSTRUCTION_COUNT) - 1
    while number >= 0:
        at, its_calls = instruction(m, number), calls(m, number)
        kind = integer_at(at, Column.KIND)
        if integer_at(at, Column.GRAD_DST) >= 0 and has_call(its_calls, Slot.BACKWARD_COLUMNS):
            columns_together(m, batch, its_calls, Slot.BACKWARD_COLUMNS, Slot.WIDTH)
        if integer_at(at, Column.GRAD_SRC) < 0:
            number -= 1
        elif shares_columns(m, at, batch.rows, batch.team, True):
            number -= dense_together(m, batch, number, True)
        elif kind == Kind.DENSE:
            number -= dense_backward(m, number, first, rows)
        elif kind == Kind.DROPOUT:
            dropout_backward(m, batch, at)
            number -= 1
        else:
            operate_rows(m.dtype, call_of(its_calls, Slot.BACKWARD), first, rows, batch.rows)
            number -= 1
