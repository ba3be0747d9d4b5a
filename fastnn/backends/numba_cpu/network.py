"""The worker: one compiled program that runs any plan. Every thread of a team runs it; `call` is the block of
`call.py`.

A step has two phases with a barrier after each. In the row phase a thread takes its rows of the batch from the gather
through the forward pass and the loss to the gradients of all activations. In the parameter phase it takes its part of
the parameters: their gradient, which stays in cache, and the optimizer. A BATCH_NORM splits the row phase, since its
statistics are those of all rows, and so does a large W, of whose product each thread takes columns; clipping by norms
splits the parameter phase, since they are those of the whole gradient.
"""

from __future__ import annotations

import math

from ..tuning import ROW_BLOCK
from . import call as c
from . import table as t
from .dense import dense, shares_columns
from .elementwise import SOURCE_DTYPES, copy, weighted_sum
from .gemm_blocks import expected_samples
from .gemm_tile import FAR
from .jit import device
from .losses import r2_sums
from .memory import double_at, integer_at, itemsize, set_double, set_integer
from .parameters import (
    begin_step,
    clips_norms,
    finish_step,
    parameter_phase,
    step_rate,
    update_phase,
)
from .penalties import penalty, penalty_blocks
from .prefetch import LEFT, expect
from .rows import backward, forward, gather, losses
from .statistics import kept_deviations
from .threads import barrier
from .workspace import buffer, instruction, pack, padded, share

FLOAT32 = SOURCE_DTYPES.index("float32")  # float64 follows


@device
def add_weighted(zero, scratch, sums, slot, values, weights, rows):
    """A batch's weighted sum into a slot of the sums; the scratch double holds it meanwhile."""
    set_double(scratch, 0, 0.0)
    weighted_sum(zero, scratch, values, 1, weights, 1, rows)
    set_double(sums, slot, double_at(sums, slot) + double_at(scratch, 0))


@device
def add_sums(zero, call, rows):
    """The batch's losses and metrics, in row order, into the sums. One thread."""
    sums, size = integer_at(call, c.SUMS), itemsize(zero)
    scratch = call + c.TOTAL * 8
    values, all_weights = integer_at(call, c.ROW_VALUES), integer_at(call, c.ROW_WEIGHTS)
    weights = all_weights if integer_at(call, c.W) != 0 else 0
    set_double(scratch, 0, 0.0)
    weighted_sum(zero, scratch, values, 1, weights, 1, rows)
    set_double(sums, t.SUM_LOSS, double_at(sums, t.SUM_LOSS) + (double_at(scratch, 0) + rows * penalty(zero, call)))
    set_double(sums, t.SUM_COUNT, double_at(sums, t.SUM_COUNT) + rows)
    loss = integer_at(call, c.LOSS)
    outputs, targets = integer_at(loss, t.L_OUTPUTS), integer_at(loss, t.L_TARGETS)
    for number in range(integer_at(call, c.METRIC_COUNT)):
        metric = integer_at(call, c.METRICS) + number * t.M_WIDTH * 8
        slot = integer_at(metric, t.M_SLOT)
        values += integer_at(call, c.CAPACITY) * size
        weighted = integer_at(metric, t.M_WEIGHTED) == 1
        own = weights if weighted else 0
        if integer_at(metric, t.M_CODE) == t.R2_SCORE:
            prediction = buffer(zero, call, integer_at(loss, t.L_PREDICTION), outputs, 0)
            target = buffer(zero, call, integer_at(loss, t.L_TARGET), targets, 0)
            total = sums + slot * 8
            r2_sums(zero, total, prediction, padded(outputs), target, padded(targets), own, 1, rows, outputs)
        else:
            add_weighted(zero, scratch, sums, slot, values, own, rows)
            if weighted:
                last = slot + integer_at(metric, t.M_SLOTS) - 1
                add_weighted(zero, scratch, sums, last, all_weights, 0, rows)


@device
def prepare(zero, call, member, team, training):
    """What holds for a whole call: a member's columns of the inverse deviations of statistics that no step changes. No
    samples are expected yet; gives where their table is."""
    expected = pack(zero, call, member) + expected_samples(itemsize(zero)) * itemsize(zero)
    set_integer(expected, LEFT, 0)
    if integer_at(call, c.STANDARDIZED) == 1:
        for number in range(integer_at(call, c.INSTRUCTION_COUNT)):
            at = instruction(call, number)
            kind = integer_at(at, t.I_KIND)
            if kind == t.STANDARDIZE or (kind == t.BATCH_NORM and not training):
                kept_deviations(zero, call, at, member, team)
        barrier(integer_at(call, c.SYNC), team)
    return expected


@device
def steps(zero, call, member, team, training, updating):
    """Steps FIRST..LAST - 1 of the epoch: training with or without the update, or scoring."""
    sync = integer_at(call, c.SYNC)
    n, batch = integer_at(call, c.ROWS), integer_at(call, c.BATCH)
    expected = prepare(zero, call, member, team, training)
    stop, taken = integer_at(call, c.STOP) == 1, 0
    at_once = updating and not clips_norms(call)
    s = 0
    for step in range(integer_at(call, c.FIRST), integer_at(call, c.LAST)):
        start = step * batch
        batch_rows = min(batch, n - start)
        first, last = share(batch_rows, ROW_BLOCK, member, team)
        if training or taken == 0:
            penalty_blocks(zero, call, member, team)
        if updating:
            s = begin_step(zero, call, member, step_rate(call, taken, member))
        expect(call, expected, start + batch_rows if step + 1 < integer_at(call, c.LAST) else n, member, team)
        gather(zero, call, first, last, start, True)
        forward(zero, call, 0, first, last, member, team, batch_rows, training, True)
        losses(zero, call, first, last)
        if training:
            backward(zero, call, first, last, member, team, batch_rows)
        barrier(sync, team)
        if member == 0:
            add_sums(zero, call, batch_rows)
        if training:
            parameter_phase(zero, call, member, team, batch_rows, s if at_once else 0)
        if updating and not at_once:
            barrier(sync, team)
            update_phase(zero, call, member, team, s)
        if updating and member == 0:
            finish_step(call, s)
        barrier(sync, team)
        taken += 1
        if stop and not math.isfinite(double_at(integer_at(call, c.SUMS), t.SUM_LOSS)):
            break
    if member == 0:
        set_integer(call, c.TAKEN, taken)


@device
def update(zero, call, member, team):
    """One optimizer step from the gradient vector."""
    s = begin_step(zero, call, member, double_at(integer_at(call, c.SCALARS), t.LEARNING_RATE))
    update_phase(zero, call, member, team, s)
    barrier(integer_at(call, c.SYNC), team)
    if member == 0:
        finish_step(call, s)


@device
def reads_in_place(zero, call):
    """Whether a first DENSE can read X where it lies."""
    size = itemsize(zero)
    return (
        integer_at(call, c.INSTRUCTION_COUNT) > 0
        and integer_at(instruction(call, 0), t.I_KIND) == t.DENSE
        and integer_at(call, c.X_CODE) == FLOAT32 + size // 8
        and integer_at(call, c.X_ELEMENT) == size
        and integer_at(call, c.X_ROW) % size == 0
    )


@device
def predicts_together(zero, call, rows, team):
    """Whether a team shares a large W for all rows of a call, which are few: they are one batch then."""
    shared = False
    for number in range(integer_at(call, c.INSTRUCTION_COUNT)):
        shared = shared or shares_columns(zero, instruction(call, number), rows, team, False)
    return shared and rows <= min(integer_at(call, c.FORWARD_ROWS), integer_at(call, c.CAPACITY))


@device
def predict(zero, call, member, team):
    """Predictions of all rows: each member takes its share, in blocks in its own rows of the workspace, or at once
    where the team shares W."""
    n, size = integer_at(call, c.ROWS), itemsize(zero)
    unit, width = integer_at(call, c.OUTPUT_UNIT), integer_at(call, c.OUTPUTS)
    first, last = share(n, ROW_BLOCK, member, team)
    together = predicts_together(zero, call, n, team)
    block = min(integer_at(call, c.FORWARD_ROWS), integer_at(call, c.CAPACITY) // team)
    base, crew, blocks = member * block, 1, (last - first + block - 1) // block
    if together:  # without rows a member has columns
        block, base, crew, blocks = last - first, first, team, 1
    x, x_row, out = integer_at(call, c.X), integer_at(call, c.X_ROW), integer_at(call, c.OUT)
    in_place = reads_in_place(zero, call) and not together
    prepare(zero, call, member, team, False)
    for piece in range(blocks):
        start = first + piece * block
        rows, number = min(block, last - start), 0
        if in_place:
            number = 1 + dense(zero, call, 0, base, x + start * x_row, x_row // size, rows, FAR, member)
        else:
            gather(zero, call, base, base + rows, start - base, False)
        forward(zero, call, number, base, base + rows, member, crew, n, False, False)
        for row in range(rows):
            copy(zero, out + (start + row) * width * size, buffer(zero, call, unit, width, base + row), width)
