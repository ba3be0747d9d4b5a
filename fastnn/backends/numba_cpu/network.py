"""Programs: any plan's steps, updates and predictions. Every thread of a team runs them.

A step has two phases with a barrier after each: that of `rows.py`, in which a thread takes rows of the batch from the
gather to the gradients of all activations, and that of `parameters.py`, in which it takes a part of the parameters.
"""

from __future__ import annotations

import math

from ..tuning import ROW_BLOCK
from .dense import dense_forward, shares_columns
from .elementwise import SOURCE_DTYPES, copy, weighted_sum
from .gemm_blocks import expected_samples
from .gemm_tile import FAR
from .jit import device, inlined
from .losses import r2_sums
from .memory import double_at, integer_at, itemsize, set_double, set_integer
from .operations import operate_columns
from .parameters import parameter_phase, update_phase
from .penalties import penalty, penalty_blocks
from .prefetch import LEFT, expect
from .rows import backward, forward, gather, loss_gradients, losses
from .table import (
    R2_SCORE,
    SUM_COUNT,
    SUM_LOSS,
    ArrayEntry,
    Entry,
    InputEntry,
    LossEntry,
    MetricEntry,
    Phase,
    Scalar,
    Slot,
)
from .threads import barrier
from .update import begin_step, clips_norms, finish_step
from .workspace import (
    Batch,
    array_of,
    buffer,
    call_of,
    calls,
    constant,
    entry,
    has_call,
    instruction,
    lap,
    loss_of,
    output_of,
    padded,
    share,
    weights_of,
)

FLOAT32 = SOURCE_DTYPES.index("float32")  # float64 follows


@device
def expected(m):
    """The address of the samples that a member expects."""
    return m.scratch + expected_samples(itemsize(m.dtype)) * itemsize(m.dtype)


@device
def prepare(m, training):
    """What holds for a whole call: no samples are expected yet, and statistics that no step changes have their
    columns."""
    any_columns = False
    set_integer(expected(m), LEFT, 0)
    for index in range(entry(m, Entry.INSTRUCTION_COUNT)):
        its_calls = calls(m, index)
        of_batch = training and has_call(its_calls, Slot.FORWARD_COLUMNS)
        if has_call(its_calls, Slot.INFERENCE_COLUMNS) and not of_batch:
            operate_columns(m.dtype, call_of(its_calls, Slot.INFERENCE_COLUMNS), 1, m.index, m.team)
            any_columns = True
    if any_columns:
        barrier(m.sync, m.team)
    lap(m, Phase.FORWARD)


@inlined
def row_phase(m, batch, start):
    """The row phase of a step that begins at row `start`."""
    gather(m, batch.first, batch.last, start, True)
    lap(m, Phase.GATHER)
    forward(m, batch, 0)
    lap(m, Phase.FORWARD)
    losses(m, batch)
    if batch.training:
        loss_gradients(m, batch)
    lap(m, Phase.LOSS)
    if batch.training:
        backward(m, batch)
        lap(m, Phase.BACKWARD)


@device
def add_weighted(m, slot, values, weights, rows):
    """Adds a batch's weighted sum to a slot of the sums; a double of the call block holds it meanwhile."""
    sums, total = entry(m, Entry.SUMS), m.call + Entry.TOTAL * 8
    set_double(total, 0, 0.0)
    weighted_sum(m.dtype, total, values, 1, weights, 1, rows)
    set_double(sums, slot, double_at(sums, slot) + double_at(total, 0))


@device
def add_metric(m, metric, values, rows):
    """The batch's sums of one metric, whose rows have these values."""
    index, slot = integer_at(metric, MetricEntry.LOSS), integer_at(metric, MetricEntry.SLOT)
    loss = loss_of(m, index)
    outputs, targets = integer_at(loss, LossEntry.OUTPUTS), integer_at(loss, LossEntry.TARGETS)
    weighted = integer_at(metric, MetricEntry.WEIGHTED) == 1
    all_weights = entry(m, Entry.ROW_WEIGHTS) + index * entry(m, Entry.CAPACITY) * itemsize(m.dtype)
    weights = all_weights if weighted and integer_at(weights_of(m, index), ArrayEntry.DATA) != 0 else 0
    if integer_at(metric, MetricEntry.CODE) == R2_SCORE:
        A = buffer(m, integer_at(loss, LossEntry.PREDICTION), outputs, 0)
        Y = buffer(m, integer_at(loss, LossEntry.TARGET), targets, 0)
        sums = entry(m, Entry.SUMS) + slot * 8
        r2_sums(m.dtype, sums, A, padded(outputs), Y, padded(targets), weights, 1, rows, outputs)
        return
    add_weighted(m, slot, values, weights, rows)
    if weighted:
        add_weighted(m, slot + 1, all_weights, 0, rows)


@device
def add_sums(m, rows):
    """The batch's losses and metrics, in row order, into the sums. One thread."""
    sums, each, whole = entry(m, Entry.SUMS), entry(m, Entry.CAPACITY) * itemsize(m.dtype), 0.0
    values, all_weights = entry(m, Entry.ROW_VALUES), entry(m, Entry.ROW_WEIGHTS)
    total = m.call + Entry.TOTAL * 8
    for index in range(entry(m, Entry.LOSS_COUNT)):
        loss, slot = loss_of(m, index), integer_at(loss_of(m, index), LossEntry.SLOT)
        weights = all_weights + index * each if integer_at(weights_of(m, index), ArrayEntry.DATA) != 0 else 0
        set_double(total, 0, 0.0)
        weighted_sum(m.dtype, total, values, 1, weights, 1, rows)
        if slot >= 0:
            set_double(sums, slot, double_at(sums, slot) + double_at(total, 0))
        whole += constant(m, integer_at(loss, LossEntry.WEIGHT)) * double_at(total, 0)
        values += each
    set_double(
        sums, SUM_LOSS, double_at(sums, SUM_LOSS) + (whole + rows * (double_at(m.call, Entry.SHARE) * penalty(m)))
    )
    set_double(sums, SUM_COUNT, double_at(sums, SUM_COUNT) + rows)
    for index in range(entry(m, Entry.METRIC_COUNT)):
        add_metric(m, entry(m, Entry.METRICS) + index * MetricEntry.WIDTH * 8, values, rows)
        values += each


@device
def step_rate(m, step):
    """The learning rate of a call's step: its own, where the call brings some."""
    rates = entry(m, Entry.RATES)
    return double_at(rates, step) if rates != 0 else double_at(entry(m, Entry.SCALARS), Scalar.LEARNING_RATE)


@inlined
def steps(m, training, updating):
    """Steps FIRST..LAST - 1 of the epoch: training with or without the update, or scoring. Returns how many were
    taken."""
    n, rows, last = entry(m, Entry.ROWS), entry(m, Entry.BATCH), entry(m, Entry.LAST)
    at_once, shares = updating and not clips_norms(m), entry(m, Entry.SHARES)
    prepare(m, training)
    taken, s = 0, 0
    for step in range(entry(m, Entry.FIRST), last):
        start = step * rows
        batch_rows = min(rows, n - start)
        first, end = share(batch_rows, ROW_BLOCK, m.index, m.team)
        batch = Batch(batch_rows, first, end, m.team, training, True, start)
        if training or taken == 0:
            penalty_blocks(m)
            lap(m, Phase.LOSS)
        if updating:
            s = begin_step(m, step_rate(m, taken))
            lap(m, Phase.UPDATE)
        if m.index == 0:  # the others read it behind the barrier
            set_double(m.call, Entry.SHARE, double_at(shares, step) if shares != 0 else 1.0)
        expect(m, expected(m), start + batch_rows if step + 1 < last else n)
        row_phase(m, batch, start)
        barrier(m.sync, m.team)
        lap(m, Phase.WAIT)
        if m.index == 0:
            add_sums(m, batch_rows)
            lap(m, Phase.LOSS)
        if training:
            parameter_phase(m, batch_rows, s if at_once else 0)
            lap(m, Phase.BACKWARD)
        if updating and not at_once:
            barrier(m.sync, m.team)
            update_phase(m, s)
        if updating and m.index == 0:
            finish_step(m, s)
        if updating:
            lap(m, Phase.UPDATE)
        barrier(m.sync, m.team)
        lap(m, Phase.WAIT)
        taken += 1
        # Every member reads the same sum: the next one is added behind the next barrier.
        if entry(m, Entry.STOP) == 1 and not math.isfinite(double_at(entry(m, Entry.SUMS), SUM_LOSS)):
            break
    return taken


@inlined
def update(m):
    """One optimizer step from the gradient vector."""
    s = begin_step(m, double_at(entry(m, Entry.SCALARS), Scalar.LEARNING_RATE))
    update_phase(m, s)
    lap(m, Phase.UPDATE)
    barrier(m.sync, m.team)
    lap(m, Phase.WAIT)
    if m.index == 0:
        finish_step(m, s)
    lap(m, Phase.UPDATE)


@device
def reads_in_place(m):
    """Whether a first DENSE can read the input where it lies."""
    size, x = itemsize(m.dtype), array_of(m, 0)
    return (
        entry(m, Entry.READS_IN_PLACE) == 1
        and integer_at(x, ArrayEntry.CODE) == FLOAT32 + size // 8
        and integer_at(x, ArrayEntry.ELEMENT) == size
        and (integer_at(x, ArrayEntry.DATA) | integer_at(x, ArrayEntry.ROW)) % size == 0
    )


@device
def give(m, start, base, rows):
    """Rows of the workspace into every output's array, from its row `start`."""
    for index in range(entry(m, Entry.OUTPUT_COUNT)):
        output, out = output_of(m, index), integer_at(entry(m, Entry.OUTS), index)
        unit, width = integer_at(output, InputEntry.UNIT), integer_at(output, InputEntry.COLUMNS)
        for row in range(rows):
            place = out + (start + row) * width * itemsize(m.dtype)
            copy(m.dtype, place, buffer(m, unit, width, base + row), width)


@device
def predicts_together(m, rows):
    """Whether a team shares a large W for all rows of a call, which are few: they are one batch then."""
    shared = False
    for index in range(entry(m, Entry.INSTRUCTION_COUNT)):
        shared = shared or shares_columns(m, instruction(m, index), rows, m.team, False)
    return shared and rows <= min(entry(m, Entry.FORWARD_ROWS), entry(m, Entry.CAPACITY))


@inlined
def predict(m):
    """Predictions of all rows: each member takes its share, in blocks in its own rows of the workspace, or at once
    where the team shares W."""
    n, size = entry(m, Entry.ROWS), itemsize(m.dtype)
    together = predicts_together(m, n)
    in_place = not together and reads_in_place(m)
    first, last = share(n, ROW_BLOCK, m.index, m.team)
    block = min(entry(m, Entry.FORWARD_ROWS), entry(m, Entry.CAPACITY) // m.team)
    base, crew, blocks = m.index * block, 1, (last - first + block - 1) // block
    if together:  # without rows a member has columns
        block, base, crew, blocks = last - first, first, m.team, 1
    prepare(m, False)
    for index in range(blocks):
        start = first + index * block
        rows = min(block, last - start)
        batch = Batch(n, base, base + rows, crew, False, False, entry(m, Entry.FIRST) + start - base)
        done = 0
        if in_place:
            x, apart = array_of(m, 0), integer_at(array_of(m, 0), ArrayEntry.ROW)
            data = integer_at(x, ArrayEntry.DATA) + start * apart
            done = dense_forward(m, 0, base, data, apart // size, rows, FAR)
        else:
            gather(m, base, base + rows, start - base, False)
            lap(m, Phase.GATHER)
        forward(m, batch, done)
        give(m, start, base, rows)
        lap(m, Phase.FORWARD)
