"""The worker: one compiled program that runs any plan. Every thread of a team runs it; `call` is the block of
`call.py`.

A step has two phases with a barrier after each. In the row phase a thread takes its rows of the batch from the gather
through the forward pass and the loss to the gradients of all activations. In the parameter phase it takes its rows of
every W: their gradient, which stays in cache, the optimizer, and the transposed copy that the next step's row phase
reads.
"""

from __future__ import annotations

import math

import numpy as np

from ...formulas import LOSS_NAMES, METRIC_NAMES, OPTIMIZERS, ROW_METRICS
from ...plan import Counter, I, Kind, Los, Met, Opt, Par, Scalar
from . import call as c
from .elementwise import (
    activation_backward,
    activation_forward,
    copy,
    decay_step,
    gather_row,
    penalty_backward,
    row_scale,
    sum_abs,
    sum_squares,
    weighted_sum,
)
from .gemm import bias_backward, gemm, transpose
from .gemm_tile import BIAS, RELU
from .jit import device
from .memory import double_at, integer_at, itemsize, real, set_double, set_integer
from .optimizers import optimizer_step
from .philox import dropout_row
from .softmax import (
    accuracy,
    crossentropy_backward,
    crossentropy_forward,
    loss_backward,
    loss_forward,
    r2_sums,
    softmax_backward,
    softmax_forward,
)
from .threads import barrier

# Numba reads plain integers from globals; these are the columns of plan.py.
DENSE, ACTIVATION, SOFTMAX, DROPOUT = (int(kind) for kind in Kind)
I_KIND, I_CODE, I_SRC, I_DST, I_INPUTS, I_OUTPUTS, I_KERNEL, I_BIAS, I_CONSTANT, I_LAYER = (
    int(i) for i in list(I)[:10]
)
I_GRAD_SRC, I_GRAD_DST, I_SAVED, I_TRANSPOSED, I_FUSED, I_WIDTH = (int(i) for i in list(I)[10:])
P_OFFSET, P_ROWS, P_COLUMNS, P_TRAINABLE, P_DECAY, P_PENALTY, P_INSTRUCTION, P_IS_BIAS, P_WIDTH = (int(i) for i in Par)
M_CODE, M_SLOT, M_SLOTS, M_CONSTANT, M_WIDTH = (int(i) for i in Met)
L_CODE, L_INPUT, L_PREDICTION, L_PROBABILITY, L_GRADIENT, L_OUTPUTS, L_TARGET, L_TARGETS, L_CONSTANT = (
    int(i) for i in list(Los)[:9]
)
O_CODE, O_SLOTS, O_CONSTANT, O_HAS_DECAY = (int(i) for i in list(Opt)[:4])
LEARNING_RATE, BETA_1_POWER, BETA_2_POWER = (int(i) for i in list(Scalar)[:3])
STEP, EPOCH, SEED = (int(i) for i in list(Counter)[:3])
SUM_LOSS, SUM_COUNT = 0, 1
LOGITS = LOSS_NAMES.index("softmax_crossentropy")  # this code and the next are crossentropies from logits
ACCURACY = METRIC_NAMES.index(ROW_METRICS[0])
R2_SCORE = METRIC_NAMES.index("r2_score")
RELU_CODE = 0
ADAM, RMSPROP, SGD = (list(OPTIMIZERS).index(name) for name in ("adam", "rmsprop", "sgd"))
ROW_BLOCK = 16  # rows that a thread takes at least
FORWARD_ROWS = 64  # rows of a thread's block in inference
GRADIENT_ROWS = 64  # rows of a W at least, so that a packed panel of dZ repays its copy
GRADIENT_BLOCK = 32768  # elements of a gradient that stay in cache between dW and the optimizer


@device
def padded(width):
    return (width + 15) & -16


@device
def share(n, unit, member, team):
    """[first, last) of a member's part of n, in whole units."""
    units = (n + unit - 1) // unit
    first, last = units * member // team * unit, units * (member + 1) // team * unit
    return min(first, n), min(last, n)


@device
def buffer(zero, call, unit, width, row):
    """The address of a row of a workspace buffer."""
    at = integer_at(call, c.FIXED) + unit * integer_at(call, c.CAPACITY) + row * padded(width)
    return integer_at(call, c.WORKSPACE) + at * itemsize(zero)


@device
def constant(call, index):
    return double_at(integer_at(call, c.CONSTANTS), index)


@device
def dropout_scalars(rate):
    """(threshold, scale): an element is kept iff its 32 bits are at least the threshold."""
    threshold = np.floor(rate * 4294967296.0 + 0.5)
    return int(min(threshold, 4294967295.0)), 1.0 / (1.0 - rate)


@device
def dropout_rows(zero, dst, ldd, src, lds, first, last, width, rate, seed, step, layer):
    """Rows first..last - 1 of a dropout; addresses are those of row `first`."""
    threshold, scale = dropout_scalars(rate)
    stride = (width + 63) & -64
    for row in range(first, last):
        at = row - first
        dropout_row(
            zero,
            dst + at * ldd * itemsize(zero),
            src + at * lds * itemsize(zero),
            width,
            row * stride,
            seed,
            step,
            layer,
            threshold,
            real(zero, scale),
        )


@device
def gather(zero, call, first, last, batch_start, with_targets):
    """Rows first..last - 1 of the batch into the workspace, converted."""
    order = integer_at(call, c.ORDER)
    features = integer_at(call, c.FEATURES)
    loss = integer_at(call, c.LOSS)
    for row in range(first, last):
        source = batch_start + row
        if order != 0:
            source = integer_at(order, source)
        x = integer_at(call, c.X) + source * integer_at(call, c.X_ROW)
        gather_row(
            zero,
            integer_at(call, c.X_CODE),
            buffer(zero, call, 0, features, row),
            x,
            features,
            integer_at(call, c.X_ELEMENT),
        )
        if with_targets:
            targets = integer_at(loss, L_TARGETS)
            y = integer_at(call, c.Y) + source * integer_at(call, c.Y_ROW)
            at = buffer(zero, call, integer_at(loss, L_TARGET), targets, row)
            gather_row(zero, integer_at(call, c.Y_CODE), at, y, targets, integer_at(call, c.Y_ELEMENT))
            if integer_at(call, c.W) != 0:
                weights = integer_at(call, c.ROW_WEIGHTS)
                copy(zero, weights + row * itemsize(zero), integer_at(call, c.W) + source * itemsize(zero), 1)


@device
def forward(zero, call, first, last, training, with_loss):
    """The instructions in order, for rows first..last - 1."""
    rows = last - first
    theta = integer_at(call, c.THETA)
    count = integer_at(call, c.INSTRUCTION_COUNT)
    number = 0
    while number < count:
        at = integer_at(call, c.INSTRUCTIONS) + number * I_WIDTH * 8
        kind = integer_at(at, I_KIND)
        inputs, outputs = integer_at(at, I_INPUTS), integer_at(at, I_OUTPUTS)
        src = buffer(zero, call, integer_at(at, I_SRC), inputs, first)
        dst = buffer(zero, call, integer_at(at, I_DST), outputs, first)
        ld_src, ld_dst = padded(inputs), padded(outputs)
        p = zero
        if integer_at(at, I_CONSTANT) >= 0:
            p = real(zero, constant(call, integer_at(at, I_CONSTANT)))
        number += 1
        if kind == DENSE:
            flags, bias = 0, integer_at(at, I_BIAS)
            if bias >= 0:
                flags = BIAS
            following = at + I_WIDTH * 8
            if (
                number < count
                and integer_at(following, I_KIND) == ACTIVATION
                and integer_at(following, I_CODE) == RELU_CODE
                and integer_at(following, I_DST) == integer_at(at, I_DST)
            ):
                flags |= RELU
                number += 1
            W = theta + integer_at(at, I_KERNEL) * itemsize(zero)
            gemm(
                zero,
                dst,
                ld_dst,
                src,
                ld_src,
                1,
                W,
                outputs,
                rows,
                outputs,
                inputs,
                theta + bias * itemsize(zero),
                flags,
            )
        elif kind == ACTIVATION:
            activation_forward(zero, integer_at(at, I_CODE), dst, src, rows * ld_dst, p)
        elif kind == SOFTMAX:
            if not (with_loss and integer_at(at, I_FUSED) == 1):
                softmax_forward(zero, dst, ld_dst, src, ld_src, rows, outputs)
        elif training:
            counters = integer_at(call, c.COUNTERS)
            rate = constant(call, integer_at(at, I_CONSTANT))
            seed, step = integer_at(counters, SEED), integer_at(counters, STEP)
            dropout_rows(
                zero, dst, ld_dst, src, ld_src, first, last, outputs, rate, seed, step, integer_at(at, I_LAYER)
            )
        else:
            copy(zero, dst, src, rows * ld_dst)


@device
def losses(zero, call, first, last, batch_rows):
    """Values of the loss and of the metrics for rows first..last - 1."""
    rows, size = last - first, itemsize(zero)
    loss = integer_at(call, c.LOSS)
    code, outputs, targets = integer_at(loss, L_CODE), integer_at(loss, L_OUTPUTS), integer_at(loss, L_TARGETS)
    inputs = buffer(zero, call, integer_at(loss, L_INPUT), outputs, first)
    target = buffer(zero, call, integer_at(loss, L_TARGET), targets, first)
    ld, ld_target = padded(outputs), padded(targets)
    at = integer_at(loss, L_CONSTANT)
    parameter, keep, add = (
        real(zero, constant(call, at)),
        real(zero, constant(call, at + 1)),
        real(zero, constant(call, at + 2)),
    )
    values = integer_at(call, c.ROW_VALUES) + first * size
    capacity = integer_at(call, c.CAPACITY)
    if code >= LOGITS:
        probability = buffer(zero, call, integer_at(loss, L_PROBABILITY), outputs, first)
        crossentropy_forward(
            zero,
            code - LOGITS,
            values,
            1,
            probability,
            ld,
            inputs,
            ld,
            target,
            ld_target,
            rows,
            outputs,
            parameter,
            keep,
            add,
        )
    else:
        loss_forward(zero, code, values, 1, inputs, ld, target, ld_target, rows, outputs, parameter, keep, add)
    prediction = buffer(zero, call, integer_at(loss, L_PREDICTION), outputs, first)
    for number in range(integer_at(call, c.METRIC_COUNT)):
        metric = integer_at(call, c.METRICS) + number * M_WIDTH * 8
        code = integer_at(metric, M_CODE)
        values += capacity * size
        if code == R2_SCORE:
            continue
        if code >= ACCURACY:
            accuracy(zero, code - ACCURACY, values, 1, prediction, ld, target, ld_target, rows, outputs)
            continue
        at = integer_at(metric, M_CONSTANT)
        parameter = real(zero, constant(call, at))
        keep, add = real(zero, constant(call, at + 1)), real(zero, constant(call, at + 2))
        loss_forward(zero, code, values, 1, prediction, ld, target, ld_target, rows, outputs, parameter, keep, add)


@device
def backward(zero, call, first, last, batch_rows):
    """Gradients of the loss and of every activation for rows first..last - 1."""
    rows, size = last - first, itemsize(zero)
    loss = integer_at(call, c.LOSS)
    code, outputs, targets = integer_at(loss, L_CODE), integer_at(loss, L_OUTPUTS), integer_at(loss, L_TARGETS)
    inputs = buffer(zero, call, integer_at(loss, L_INPUT), outputs, first)
    target = buffer(zero, call, integer_at(loss, L_TARGET), targets, first)
    gradient = buffer(zero, call, integer_at(loss, L_GRADIENT), outputs, first)
    ld, ld_target = padded(outputs), padded(targets)
    at = integer_at(loss, L_CONSTANT)
    parameter, keep, add = (
        real(zero, constant(call, at)),
        real(zero, constant(call, at + 1)),
        real(zero, constant(call, at + 2)),
    )
    scales = integer_at(call, c.ROW_SCALES) + first * size
    factor = 1.0 / batch_rows
    if integer_at(call, c.MEAN) == 1:
        factor = factor / outputs
    weights = integer_at(call, c.ROW_WEIGHTS) + first * size  # ones where there are no weights
    row_scale(zero, scales, weights, rows, real(zero, factor))
    if code >= LOGITS:
        probability = buffer(zero, call, integer_at(loss, L_PROBABILITY), outputs, first)
        crossentropy_backward(
            zero,
            code - LOGITS,
            gradient,
            ld,
            probability,
            ld,
            target,
            ld_target,
            scales,
            1,
            rows,
            outputs,
            parameter,
            keep,
            add,
        )
    else:
        loss_backward(
            zero, code, gradient, ld, inputs, ld, target, ld_target, scales, 1, rows, outputs, parameter, keep, add
        )
    for number in range(integer_at(call, c.INSTRUCTION_COUNT) - 1, -1, -1):
        at = integer_at(call, c.INSTRUCTIONS) + number * I_WIDTH * 8
        if integer_at(at, I_GRAD_SRC) < 0:
            continue
        inputs_, outputs_ = integer_at(at, I_INPUTS), integer_at(at, I_OUTPUTS)
        d_dst = buffer(zero, call, integer_at(at, I_GRAD_DST), outputs_, first)
        d_src = buffer(zero, call, integer_at(at, I_GRAD_SRC), inputs_, first)
        ld_src, ld_dst = padded(inputs_), padded(outputs_)
        saved = buffer(zero, call, integer_at(at, I_SAVED), outputs_, first)
        kind = integer_at(at, I_KIND)
        if kind == DENSE:
            transposed = integer_at(call, c.WORKSPACE) + integer_at(at, I_TRANSPOSED) * size
            gemm(zero, d_src, ld_src, d_dst, ld_dst, 1, transposed, ld_src, rows, inputs_, outputs_, 0, 0)
        elif kind == ACTIVATION:
            p = zero
            if integer_at(at, I_CONSTANT) >= 0:
                p = real(zero, constant(call, integer_at(at, I_CONSTANT)))
            activation_backward(zero, integer_at(at, I_CODE), d_src, d_dst, saved, rows * ld_dst, p)
        elif kind == SOFTMAX:
            softmax_backward(zero, d_src, ld_src, d_dst, ld_dst, saved, ld_dst, rows, outputs_)
        else:
            counters = integer_at(call, c.COUNTERS)
            rate = constant(call, integer_at(at, I_CONSTANT))
            seed, step = integer_at(counters, SEED), integer_at(counters, STEP)
            dropout_rows(
                zero, d_src, ld_src, d_dst, ld_dst, first, last, outputs_, rate, seed, step, integer_at(at, I_LAYER)
            )


@device
def penalty(zero, call):
    """l1 sum |w| + l2 sum w^2 over the regularised parameters."""
    total = 0.0
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = integer_at(call, c.PARAMETERS) + number * P_WIDTH * 8
        at = integer_at(row, P_PENALTY)
        if at >= 0:
            w = integer_at(call, c.THETA) + integer_at(row, P_OFFSET) * itemsize(zero)
            n = integer_at(row, P_ROWS) * integer_at(row, P_COLUMNS)
            total += constant(call, at) * sum_abs(zero, w, n)
            total += constant(call, at + 1) * sum_squares(zero, w, n)
    return total


@device
def add_sums(zero, call, rows, penalty_value):
    """The batch's losses and metrics, in row order, into the sums. One thread."""
    sums, size = integer_at(call, c.SUMS), itemsize(zero)
    scratch = call + c.OUT * 8  # a double of its own in the call block
    values = integer_at(call, c.ROW_VALUES)
    weights = integer_at(call, c.ROW_WEIGHTS) if integer_at(call, c.W) != 0 else 0
    set_double(scratch, 0, 0.0)
    weighted_sum(zero, scratch, values, 1, weights, 1, rows)
    set_double(sums, SUM_LOSS, double_at(sums, SUM_LOSS) + (double_at(scratch, 0) + rows * penalty_value))
    set_double(sums, SUM_COUNT, double_at(sums, SUM_COUNT) + rows)
    loss = integer_at(call, c.LOSS)
    outputs, targets = integer_at(loss, L_OUTPUTS), integer_at(loss, L_TARGETS)
    for number in range(integer_at(call, c.METRIC_COUNT)):
        metric = integer_at(call, c.METRICS) + number * M_WIDTH * 8
        slot = integer_at(metric, M_SLOT)
        values += integer_at(call, c.CAPACITY) * size
        if integer_at(metric, M_CODE) == R2_SCORE:
            prediction = buffer(zero, call, integer_at(loss, L_PREDICTION), outputs, 0)
            target = buffer(zero, call, integer_at(loss, L_TARGET), targets, 0)
            r2_sums(zero, sums + slot * 8, prediction, padded(outputs), target, padded(targets), rows, outputs)
        else:
            set_double(scratch, 0, 0.0)
            weighted_sum(zero, scratch, values, 1, 0, 1, rows)
            set_double(sums, slot, double_at(sums, slot) + double_at(scratch, 0))


@device
def transpose_rows(zero, call, instruction, first, last):
    """Copies rows first..last - 1 of a W into the columns of its transposed."""
    at = integer_at(instruction, I_TRANSPOSED)
    if at >= 0 and last > first:
        inputs, outputs = integer_at(instruction, I_INPUTS), integer_at(instruction, I_OUTPUTS)
        W = integer_at(call, c.THETA) + (integer_at(instruction, I_KERNEL) + first * outputs) * itemsize(zero)
        dst = integer_at(call, c.WORKSPACE) + (at + first) * itemsize(zero)
        transpose(zero, dst, padded(inputs), W, outputs, last - first, outputs)


@device
def transpose_all(zero, call, member, team):
    for number in range(integer_at(call, c.INSTRUCTION_COUNT)):
        at = integer_at(call, c.INSTRUCTIONS) + number * I_WIDTH * 8
        if integer_at(at, I_KIND) == DENSE:
            first, last = share(integer_at(at, I_INPUTS), ROW_BLOCK, member, team)
            transpose_rows(zero, call, at, first, last)


@device
def step_scalars(call):
    """(beta powers after this step, the four scalars of its optimizer), float64."""
    scalars, at = integer_at(call, c.SCALARS), integer_at(integer_at(call, c.OPTIMIZER), O_CONSTANT)
    code = integer_at(integer_at(call, c.OPTIMIZER), O_CODE)
    rate = double_at(scalars, LEARNING_RATE)
    power_1, power_2 = double_at(scalars, BETA_1_POWER), double_at(scalars, BETA_2_POWER)
    if code == ADAM:
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
    if code == SGD:
        return power_1, power_2, rate, 0.0, 0.0, 0.0
    second = constant(call, at)
    if code == RMSPROP:
        return power_1, power_2, rate, 1.0 - second, constant(call, at + 1), 0.0
    return power_1, power_2, rate, second, 0.0, 0.0


@device
def decay_factor(call):
    """-(learning rate * weight decay); the weight decay follows the optimizer's other constants."""
    optimizer = integer_at(call, c.OPTIMIZER)
    if integer_at(optimizer, O_HAS_DECAY) == 0:
        return 0.0
    code, at = integer_at(optimizer, O_CODE), integer_at(optimizer, O_CONSTANT)
    count = 1
    if code == SGD:
        count = 0
    elif code == RMSPROP:
        count = 2
    elif code == ADAM:
        count = 3
    return -(double_at(integer_at(call, c.SCALARS), LEARNING_RATE) * constant(call, at + count))


@device
def update_range(zero, call, offset, n, gradient, decay, h0, h1, h2, h3):
    """The optimizer on n parameters from `offset`, with their gradient at an address."""
    theta = integer_at(call, c.THETA) + offset * itemsize(zero)
    if decay != 0.0:
        decay_step(zero, theta, theta, n, real(zero, decay))
    s0, s1 = integer_at(call, c.SLOT_0) + offset * itemsize(zero), integer_at(call, c.SLOT_1) + offset * itemsize(zero)
    code = integer_at(integer_at(call, c.OPTIMIZER), O_CODE)
    optimizer_step(
        zero, code, theta, s0, s1, gradient, n, real(zero, h0), real(zero, h1), real(zero, h2), real(zero, h3)
    )


@device
def parameter_phase(zero, call, member, team, batch_rows, updating, decay, h0, h1, h2, h3):
    """A member's share of every gradient; with `updating` the optimizer follows at once, else it is left in the
    gradient vector."""
    size = itemsize(zero)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = integer_at(call, c.PARAMETERS) + number * P_WIDTH * 8
        if integer_at(row, P_TRAINABLE) == 0:
            continue
        instruction = integer_at(call, c.INSTRUCTIONS) + integer_at(row, P_INSTRUCTION) * I_WIDTH * 8
        offset, columns = integer_at(row, P_OFFSET), integer_at(row, P_COLUMNS)
        dZ = buffer(zero, call, integer_at(instruction, I_GRAD_DST), columns, 0)
        at = integer_at(row, P_PENALTY)
        here = decay if integer_at(row, P_DECAY) == 1 else 0.0
        is_bias = integer_at(row, P_IS_BIAS) == 1
        height = 1 if is_bias else max(GRADIENT_ROWS, GRADIENT_BLOCK // columns // ROW_BLOCK * ROW_BLOCK)
        first, last = share(integer_at(row, P_ROWS), 1 if is_bias else ROW_BLOCK, member, team)
        inputs = integer_at(instruction, I_INPUTS)
        X = buffer(zero, call, integer_at(instruction, I_SRC), inputs, 0)
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
            losses(zero, call, first, last, batch_rows)
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
    set_double(scalars, BETA_1_POWER, power_1)
    set_double(scalars, BETA_2_POWER, power_2)
    set_integer(counters, STEP, integer_at(counters, STEP) + 1)


@device
def update(zero, call, member, team):
    """The optimizer from the gradient vector."""
    power_1, power_2, h0, h1, h2, h3 = step_scalars(call)
    decay = decay_factor(call)
    for number in range(integer_at(call, c.PARAMETER_COUNT)):
        row = integer_at(call, c.PARAMETERS) + number * P_WIDTH * 8
        if integer_at(row, P_TRAINABLE) == 1:
            n = integer_at(row, P_ROWS) * integer_at(row, P_COLUMNS)
            first, last = share(n, ROW_BLOCK, member, team)
            place = integer_at(row, P_OFFSET) + first
            gradient = integer_at(call, c.GRADIENT_VECTOR) + place * itemsize(zero)
            here = decay if integer_at(row, P_DECAY) == 1 else 0.0
            update_range(zero, call, place, last - first, gradient, here, h0, h1, h2, h3)
    barrier(integer_at(call, c.SYNC), team)
    if member == 0:
        finish_step(call, power_1, power_2)


@device
def predict(zero, call, member, team):
    """Predictions of all rows: each member takes its share in blocks, in its own rows of the workspace."""
    n, size = integer_at(call, c.ROWS), itemsize(zero)
    last_instruction = integer_at(call, c.LOSS)  # (unit, width) of the predictions stand here in a forward call
    unit, width = integer_at(last_instruction, 0), integer_at(last_instruction, 1)
    first, last = share(n, ROW_BLOCK, member, team)
    base = member * FORWARD_ROWS
    out = integer_at(call, c.OUT)
    for start in range(first, last, FORWARD_ROWS):
        rows = min(FORWARD_ROWS, last - start)
        gather(zero, call, base, base + rows, start - base, False)
        forward(zero, call, base, base + rows, False, False)
        for row in range(rows):
            copy(zero, out + (start + row) * width * size, buffer(zero, call, unit, width, base + row), width)
