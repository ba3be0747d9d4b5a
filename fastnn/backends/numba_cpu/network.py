"""The worker: one compiled program that runs any plan. Every thread of a team runs it; `call` is the block of
`call.py`.

A step has two phases with a barrier after each. In the row phase a thread takes its rows of the batch from the gather
through the forward pass and the loss to the gradients of all activations. In the parameter phase it takes its rows of
every W: their gradient, which stays in cache, the optimizer, and the transposed copy that the next step's row phase
reads.
"""

from __future__ import annotations

import math

from . import call as c
from . import table as t
from .elementwise import copy, decay_step, penalty_backward, sum_abs, sum_squares, weighted_sum
from .gemm import bias_backward, gemm, transpose
from .jit import device
from .memory import double_at, integer_at, itemsize, real, set_double, set_integer
from .optimizers import optimizer_step
from .rows import backward, buffer, constant, forward, gather, losses, padded, share
from .softmax import r2_sums
from .threads import barrier

ROW_BLOCK = 16  # rows that a thread takes at least
FORWARD_ROWS = 64  # rows of a thread's block in inference
GRADIENT_ROWS = 64  # rows of a W at least, so that a packed panel of dZ repays its copy
GRADIENT_BLOCK = 32768  # elements of a gradient that stay in cache between dW and the optimizer


@device
def penalty(zero, call):
    """l1 sum |w| + l2 sum w^2 over the regularised parameters."""
    total = 0.0
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = integer_at(call, c.PARAMETERS) + number * t.P_WIDTH * 8
        at = integer_at(row, t.P_PENALTY)
        if at >= 0:
            w = integer_at(call, c.THETA) + integer_at(row, t.P_OFFSET) * itemsize(zero)
            n = integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS)
            if constant(call, at) != 0.0:
                total += constant(call, at) * sum_abs(zero, w, n)
            if constant(call, at + 1) != 0.0:
                total += constant(call, at + 1) * sum_squares(zero, w, n)
    return total


@device
def add_sums(zero, call, rows, penalty_value):
    """The batch's losses and metrics, in row order, into the sums. One thread."""
    sums, size = integer_at(call, c.SUMS), itemsize(zero)
    scratch = call + c.TOTAL * 8
    values = integer_at(call, c.ROW_VALUES)
    weights = integer_at(call, c.ROW_WEIGHTS) if integer_at(call, c.W) != 0 else 0
    set_double(scratch, 0, 0.0)
    weighted_sum(zero, scratch, values, 1, weights, 1, rows)
    set_double(sums, t.SUM_LOSS, double_at(sums, t.SUM_LOSS) + (double_at(scratch, 0) + rows * penalty_value))
    set_double(sums, t.SUM_COUNT, double_at(sums, t.SUM_COUNT) + rows)
    loss = integer_at(call, c.LOSS)
    outputs, targets = integer_at(loss, t.L_OUTPUTS), integer_at(loss, t.L_TARGETS)
    for number in range(integer_at(call, c.METRIC_COUNT)):
        metric = integer_at(call, c.METRICS) + number * t.M_WIDTH * 8
        slot = integer_at(metric, t.M_SLOT)
        values += integer_at(call, c.CAPACITY) * size
        if integer_at(metric, t.M_CODE) == t.R2_SCORE:
            prediction = buffer(zero, call, integer_at(loss, t.L_PREDICTION), outputs, 0)
            target = buffer(zero, call, integer_at(loss, t.L_TARGET), targets, 0)
            r2_sums(zero, sums + slot * 8, prediction, padded(outputs), target, padded(targets), rows, outputs)
        else:
            set_double(scratch, 0, 0.0)
            weighted_sum(zero, scratch, values, 1, 0, 1, rows)
            set_double(sums, slot, double_at(sums, slot) + double_at(scratch, 0))


@device
def transpose_rows(zero, call, instruction, first, last):
    """Copies rows first..last - 1 of a W into the columns of its transposed."""
    at = integer_at(instruction, t.I_TRANSPOSED)
    if at >= 0 and last > first:
        inputs, outputs = integer_at(instruction, t.I_INPUTS), integer_at(instruction, t.I_OUTPUTS)
        W = integer_at(call, c.THETA) + (integer_at(instruction, t.I_KERNEL) + first * outputs) * itemsize(zero)
        dst = integer_at(call, c.WORKSPACE) + (at + first) * itemsize(zero)
        transpose(zero, dst, padded(inputs), W, outputs, last - first, outputs)


@device
def transpose_all(zero, call, member, team):
    for number in range(integer_at(call, c.INSTRUCTION_COUNT)):
        at = integer_at(call, c.INSTRUCTIONS) + number * t.I_WIDTH * 8
        if integer_at(at, t.I_KIND) == t.DENSE:
            first, last = share(integer_at(at, t.I_INPUTS), ROW_BLOCK, member, team)
            transpose_rows(zero, call, at, first, last)


@device
def step_scalars(call):
    """(beta powers after this step, the four scalars of its optimizer), float64."""
    scalars, at = integer_at(call, c.SCALARS), integer_at(integer_at(call, c.OPTIMIZER), t.O_CONSTANT)
    code = integer_at(integer_at(call, c.OPTIMIZER), t.O_CODE)
    rate = double_at(scalars, t.LEARNING_RATE)
    power_1, power_2 = double_at(scalars, t.BETA_1_POWER), double_at(scalars, t.BETA_2_POWER)
    if code == t.ADAM:
        power_1 *= constant(call, at)
        power_2 *= constant(call, at + 1)
        adam_rate = rate * math.sqrt(1.0 - power_2) / (1.0 - power_1)
        return (
            power_1,
            power_2,
            adam_rate,
            1.0 - constant(call, at),
            1.0 - constant(call, at + 1),
            constant(call, at + 2),
        )
    if code == t.SGD:
        return power_1, power_2, rate, 0.0, 0.0, 0.0
    second = constant(call, at)
    if code == t.RMSPROP:
        return power_1, power_2, rate, 1.0 - second, constant(call, at + 1), 0.0
    return power_1, power_2, rate, second, 0.0, 0.0


@device
def decay_factor(call):
    """-(learning rate * weight decay); the weight decay follows the optimizer's other constants."""
    optimizer = integer_at(call, c.OPTIMIZER)
    if integer_at(optimizer, t.O_HAS_DECAY) == 0:
        return 0.0
    code, at = integer_at(optimizer, t.O_CODE), integer_at(optimizer, t.O_CONSTANT)
    count = 1
    if code == t.SGD:
        count = 0
    elif code == t.RMSPROP:
        count = 2
    elif code == t.ADAM:
        count = 3
    return -(double_at(integer_at(call, c.SCALARS), t.LEARNING_RATE) * constant(call, at + count))


@device
def update_range(zero, call, offset, n, gradient, decay, h0, h1, h2, h3):
    """The optimizer on n parameters from `offset`, with their gradient at an address."""
    theta = integer_at(call, c.THETA) + offset * itemsize(zero)
    if decay != 0.0:
        decay_step(zero, theta, theta, n, real(zero, decay))
    s0, s1 = integer_at(call, c.SLOT_0) + offset * itemsize(zero), integer_at(call, c.SLOT_1) + offset * itemsize(zero)
    code = integer_at(integer_at(call, c.OPTIMIZER), t.O_CODE)
    optimizer_step(
        zero, code, theta, s0, s1, gradient, n, real(zero, h0), real(zero, h1), real(zero, h2), real(zero, h3)
    )


@device
def parameter_phase(zero, call, member, team, batch_rows, updating, decay, h0, h1, h2, h3):
    """A member's share of every gradient; with `updating` the optimizer follows at once, else it is left in the
    gradient vector."""
    size = itemsize(zero)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = integer_at(call, c.PARAMETERS) + number * t.P_WIDTH * 8
        if integer_at(row, t.P_TRAINABLE) == 0:
            continue
        instruction = integer_at(call, c.INSTRUCTIONS) + integer_at(row, t.P_INSTRUCTION) * t.I_WIDTH * 8
        offset, columns = integer_at(row, t.P_OFFSET), integer_at(row, t.P_COLUMNS)
        dZ = buffer(zero, call, integer_at(instruction, t.I_GRAD_DST), columns, 0)
        at = integer_at(row, t.P_PENALTY)
        here = decay if integer_at(row, t.P_DECAY) == 1 else 0.0
        is_bias = integer_at(row, t.P_ROLE) == 1
        height = 1 if is_bias else max(GRADIENT_ROWS, GRADIENT_BLOCK // columns // ROW_BLOCK * ROW_BLOCK)
        first, last = share(integer_at(row, t.P_ROWS), 1 if is_bias else ROW_BLOCK, member, team)
        inputs = integer_at(instruction, t.I_INPUTS)
        X = buffer(zero, call, integer_at(instruction, t.I_SRC), inputs, 0)
        for start in range(first, last, height):
            rows = min(height, last - start)
            n = rows * columns
            place = offset + start * columns
            gradient = integer_at(call, c.GRADIENT_VECTOR) + place * size
            if updating:
                gradient = integer_at(call, c.SCRATCH) + member * integer_at(call, c.SCRATCH_SIZE) * size
            if is_bias:
                bias_backward(zero, gradient, dZ, padded(columns), batch_rows, columns)
            else:
                gemm(
                    zero,
                    gradient,
                    columns,
                    X + start * size,
                    1,
                    padded(inputs),
                    dZ,
                    padded(columns),
                    rows,
                    columns,
                    batch_rows,
                    0,
                    0,
                )
            if at >= 0:
                theta = integer_at(call, c.THETA) + place * size
                l1, two_l2 = real(zero, constant(call, at)), real(zero, 2.0 * constant(call, at + 1))
                penalty_backward(zero, gradient, gradient, theta, n, l1, two_l2)
            if updating:
                update_range(zero, call, place, n, gradient, here, h0, h1, h2, h3)
                if not is_bias:
                    transpose_rows(zero, call, instruction, start, start + rows)


@device
def steps(zero, call, member, team, training, updating):
    """Steps FIRST..LAST - 1 of the epoch: training with or without the update, or scoring."""
    sync = integer_at(call, c.SYNC)
    if training:
        transpose_all(zero, call, member, team)
        barrier(sync, team)
    n, batch = integer_at(call, c.ROWS), integer_at(call, c.BATCH)
    power_1, power_2, h0, h1, h2, h3, decay = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for step in range(integer_at(call, c.FIRST), integer_at(call, c.LAST)):
        start = step * batch
        batch_rows = min(batch, n - start)
        first, last = share(batch_rows, ROW_BLOCK, member, team)
        penalty_value = penalty(zero, call) if member == 0 else 0.0
        if updating:
            power_1, power_2, h0, h1, h2, h3 = step_scalars(call)
            decay = decay_factor(call)
        if last > first:
            gather(zero, call, first, last, start, True)
            forward(zero, call, first, last, training, True)
            losses(zero, call, first, last)
            if training:
                backward(zero, call, first, last, batch_rows)
        barrier(sync, team)
        if member == 0:
            add_sums(zero, call, batch_rows, penalty_value)
        if training:
            parameter_phase(zero, call, member, team, batch_rows, updating, decay, h0, h1, h2, h3)
        if updating and member == 0:
            finish_step(call, power_1, power_2)
        barrier(sync, team)


@device
def finish_step(call, power_1, power_2):
    scalars, counters = integer_at(call, c.SCALARS), integer_at(call, c.COUNTERS)
    set_double(scalars, t.BETA_1_POWER, power_1)
    set_double(scalars, t.BETA_2_POWER, power_2)
    set_integer(counters, t.STEP, integer_at(counters, t.STEP) + 1)


@device
def update(zero, call, member, team):
    """The optimizer from the gradient vector."""
    power_1, power_2, h0, h1, h2, h3 = step_scalars(call)
    decay = decay_factor(call)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = integer_at(call, c.PARAMETERS) + number * t.P_WIDTH * 8
        if integer_at(row, t.P_TRAINABLE) == 1:
            n = integer_at(row, t.P_ROWS) * integer_at(row, t.P_COLUMNS)
            first, last = share(n, ROW_BLOCK, member, team)
            place = integer_at(row, t.P_OFFSET) + first
            gradient = integer_at(call, c.GRADIENT_VECTOR) + place * itemsize(zero)
            here = decay if integer_at(row, t.P_DECAY) == 1 else 0.0
            update_range(zero, call, place, last - first, gradient, here, h0, h1, h2, h3)
    barrier(integer_at(call, c.SYNC), team)
    if member == 0:
        finish_step(call, power_1, power_2)


@device
def predict(zero, call, member, team):
    """Predictions of all rows: each member takes its share in blocks, in its own rows of the workspace."""
    n, size = integer_at(call, c.ROWS), itemsize(zero)
    unit, width = integer_at(call, c.OUTPUT_UNIT), integer_at(call, c.OUTPUTS)
    first, last = share(n, ROW_BLOCK, member, team)
    base = member * FORWARD_ROWS
    out = integer_at(call, c.OUT)
    for start in range(first, last, FORWARD_ROWS):
        rows = min(FORWARD_ROWS, last - start)
        gather(zero, call, base, base + rows, start - base, False)
        forward(zero, call, base, base + rows, False, False)
        for row in range(rows):
            copy(zero, out + (start + row) * width * size, buffer(zero, call, unit, width, base + row), width)
