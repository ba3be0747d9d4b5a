"""The row phase of a step: gather, forward, losses and backward for some rows of a batch.

A thread takes its rows through as many instructions as it can. The team meets for the statistics of a batch, in which
rows enter each other, and for a W whose columns it shares (`dense.py`).
"""

from __future__ import annotations

import numpy as np

from . import call as c
from . import table as t
from .dense import dense, dense_backward, dense_together, shares_columns
from .elementwise import activation_backward, activation_forward, affine, copy, gather_row, scale
from .jit import device
from .losses import accuracy, crossentropy_backward, crossentropy_forward, loss_backward, loss_forward
from .memory import integer_at, itemsize, real
from .philox import dropout_again, dropout_row
from .softmax import softmax_backward, softmax_forward
from .statistics import batch_gradients, batch_statistics, normalize, normalize_backward
from .workspace import buffer, constant, instruction, padded


@device
def dropout_scalars(rate):
    """(threshold, scale): an element is kept iff its 32 bits are at least the threshold."""
    threshold = np.floor(rate * 4294967296.0 + 0.5)
    return int(min(threshold, 4294967295.0)), 1.0 / (1.0 - rate)


@device
def dropout_rows(zero, dst, ldd, src, lds, masks, ldm, first, last, width, rate, seed, step, layer):
    """Rows first..last - 1 of a dropout; addresses are those of row `first`. The masks of rows go to `masks`, ldm bytes
    apart, unless it is 0."""
    threshold, scale = dropout_scalars(rate)
    stride = (width + 63) & -64
    for row in range(first, last):
        at = row - first
        dropout_row(
            zero,
            dst + at * ldd * itemsize(zero),
            src + at * lds * itemsize(zero),
            masks + at * ldm,
            width,
            row * stride,
            seed,
            step,
            layer,
            threshold,
            real(zero, scale),
        )


@device
def masks(zero, call, at, first):
    """Where a dropout's rows from `first` on leave their masks, 64 elements a word, and how many bytes apart; or zeros,
    where no derivative reads them."""
    unit, size = integer_at(at, t.I_SAVED), itemsize(zero)
    words = (integer_at(at, t.I_OUTPUTS) + 63) // 64 * 8 // size
    if unit < 0:
        return 0, 0
    return buffer(zero, call, unit, words, first), padded(words) * size


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
            targets = integer_at(loss, t.L_TARGETS)
            y = integer_at(call, c.Y) + source * integer_at(call, c.Y_ROW)
            at = buffer(zero, call, integer_at(loss, t.L_TARGET), targets, row)
            gather_row(zero, integer_at(call, c.Y_CODE), at, y, targets, integer_at(call, c.Y_ELEMENT))
            if integer_at(call, c.W) != 0:
                weights = integer_at(call, c.ROW_WEIGHTS)
                copy(zero, weights + row * itemsize(zero), integer_at(call, c.W) + source * itemsize(zero), 1)


@device
def forward(zero, call, number, first, last, member, team, batch_rows, training, with_loss):
    """The instructions in order from `number`, for rows first..last - 1. A BATCH_NORM in training and a W that is
    shared wait for the rows of the whole team, so every member comes here, with rows or without."""
    rows = last - first
    count = integer_at(call, c.INSTRUCTION_COUNT)
    while number < count:
        at = instruction(call, number)
        kind = integer_at(at, t.I_KIND)
        inputs, outputs = integer_at(at, t.I_INPUTS), integer_at(at, t.I_OUTPUTS)
        src = buffer(zero, call, integer_at(at, t.I_SRC), inputs, first)
        dst = buffer(zero, call, integer_at(at, t.I_DST), outputs, first)
        ld_src, ld_dst = padded(inputs), padded(outputs)
        p = zero
        if integer_at(at, t.I_CONSTANT) >= 0:
            p = real(zero, constant(call, integer_at(at, t.I_CONSTANT)))
        number += 1
        if kind == t.DENSE:
            if shares_columns(zero, at, batch_rows, team, training):
                number += dense_together(zero, call, number - 1, member, team, batch_rows, False)
            else:
                number += dense(zero, call, number - 1, first, src, ld_src, rows, 0, member)
        elif kind == t.ACTIVATION:
            activation_forward(zero, integer_at(at, t.I_CODE), dst, src, rows * ld_dst, p)
        elif kind == t.SOFTMAX:
            if not (with_loss and integer_at(at, t.I_FUSED) == 1):
                softmax_forward(zero, dst, ld_dst, src, ld_src, rows, outputs)
        elif kind == t.AFFINE:
            affine(zero, dst, src, rows * ld_dst, p, real(zero, constant(call, integer_at(at, t.I_CONSTANT) + 1)))
        elif kind != t.DROPOUT:
            if kind == t.BATCH_NORM and training:
                batch_statistics(zero, call, at, member, team, batch_rows)
            normalize(zero, call, at, first, rows, training)
        elif training:
            counters = integer_at(call, c.COUNTERS)
            rate = constant(call, integer_at(at, t.I_CONSTANT))
            seed, step = integer_at(counters, t.SEED), integer_at(counters, t.STEP)
            left, apart = masks(zero, call, at, first)
            dropout_rows(
                zero,
                dst,
                ld_dst,
                src,
                ld_src,
                left,
                apart,
                first,
                last,
                outputs,
                rate,
                seed,
                step,
                integer_at(at, t.I_LAYER),
            )
        else:
            copy(zero, dst, src, rows * ld_dst)


@device
def loss_scalars(zero, call, at):
    """(parameter, keep, add) of a loss, from index `at` of the constants."""
    return real(zero, constant(call, at)), real(zero, constant(call, at + 1)), real(zero, constant(call, at + 2))


@device
def losses(zero, call, first, last):
    """Values of the loss and of the metrics for rows first..last - 1."""
    rows, size = last - first, itemsize(zero)
    loss = integer_at(call, c.LOSS)
    code, outputs, targets = integer_at(loss, t.L_CODE), integer_at(loss, t.L_OUTPUTS), integer_at(loss, t.L_TARGETS)
    inputs = buffer(zero, call, integer_at(loss, t.L_INPUT), outputs, first)
    target = buffer(zero, call, integer_at(loss, t.L_TARGET), targets, first)
    ld, ld_target = padded(outputs), padded(targets)
    parameter, keep, add = loss_scalars(zero, call, integer_at(loss, t.L_CONSTANT))
    values = integer_at(call, c.ROW_VALUES) + first * size
    capacity = integer_at(call, c.CAPACITY)
    if code >= t.LOGITS:
        probability = buffer(zero, call, integer_at(loss, t.L_PROBABILITY), outputs, first)
        crossentropy_forward(
            zero,
            code - t.LOGITS,
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
    prediction = buffer(zero, call, integer_at(loss, t.L_PREDICTION), outputs, first)
    for number in range(integer_at(call, c.METRIC_COUNT)):
        metric = integer_at(call, c.METRICS) + number * t.M_WIDTH * 8
        code = integer_at(metric, t.M_CODE)
        values += capacity * size
        if code == t.R2_SCORE:
            continue
        if code >= t.ACCURACY:
            accuracy(zero, code - t.ACCURACY, values, 1, prediction, ld, target, ld_target, rows, outputs)
            continue
        parameter, keep, add = loss_scalars(zero, call, integer_at(metric, t.M_CONSTANT))
        loss_forward(zero, code, values, 1, prediction, ld, target, ld_target, rows, outputs, parameter, keep, add)


@device
def backward(zero, call, first, last, member, team, batch_rows):
    """Gradients of the loss and of every activation for rows first..last - 1. The team meets as in `forward`."""
    rows, size = last - first, itemsize(zero)
    loss = integer_at(call, c.LOSS)
    code, outputs, targets = integer_at(loss, t.L_CODE), integer_at(loss, t.L_OUTPUTS), integer_at(loss, t.L_TARGETS)
    inputs = buffer(zero, call, integer_at(loss, t.L_INPUT), outputs, first)
    target = buffer(zero, call, integer_at(loss, t.L_TARGET), targets, first)
    gradient = buffer(zero, call, integer_at(loss, t.L_GRADIENT), outputs, first)
    ld, ld_target = padded(outputs), padded(targets)
    parameter, keep, add = loss_scalars(zero, call, integer_at(loss, t.L_CONSTANT))
    scales = integer_at(call, c.ROW_SCALES) + first * size
    factor = 1.0 / batch_rows
    if integer_at(call, c.MEAN) == 1:
        factor = factor / outputs
    weights = integer_at(call, c.ROW_WEIGHTS) + first * size  # ones where there are no weights
    scale(zero, scales, weights, rows, real(zero, factor))
    if code >= t.LOGITS:
        probability = buffer(zero, call, integer_at(loss, t.L_PROBABILITY), outputs, first)
        crossentropy_backward(
            zero,
            code - t.LOGITS,
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
    number = integer_at(call, c.INSTRUCTION_COUNT)
    while number > 0:
        number -= 1
        at = instruction(call, number)
        kind = integer_at(at, t.I_KIND)
        if kind == t.BATCH_NORM:
            batch_gradients(zero, call, at, member, team, batch_rows)
        if integer_at(at, t.I_GRAD_SRC) < 0:
            continue
        inputs_, outputs_ = integer_at(at, t.I_INPUTS), integer_at(at, t.I_OUTPUTS)
        d_dst = buffer(zero, call, integer_at(at, t.I_GRAD_DST), outputs_, first)
        d_src = buffer(zero, call, integer_at(at, t.I_GRAD_SRC), inputs_, first)
        ld_src, ld_dst = padded(inputs_), padded(outputs_)
        saved = buffer(zero, call, integer_at(at, t.I_SAVED), outputs_, first)
        if kind == t.DENSE:
            if shares_columns(zero, at, batch_rows, team, True):
                number -= dense_together(zero, call, number, member, team, batch_rows, True)
            else:
                number -= dense_backward(zero, call, number, first, rows, member)
        elif kind == t.ACTIVATION:
            p = zero
            if integer_at(at, t.I_CONSTANT) >= 0:
                p = real(zero, constant(call, integer_at(at, t.I_CONSTANT)))
            activation_backward(zero, integer_at(at, t.I_CODE), d_src, d_dst, saved, rows * ld_dst, p)
        elif kind == t.SOFTMAX:
            softmax_backward(zero, d_src, ld_src, d_dst, ld_dst, saved, ld_dst, rows, outputs_)
        elif kind == t.AFFINE:
            factor_ = real(zero, constant(call, integer_at(at, t.I_CONSTANT)))
            affine(zero, d_src, d_dst, rows * ld_dst, factor_, zero)
        elif kind != t.DROPOUT:
            normalize_backward(zero, call, at, first, rows, batch_rows)
        else:
            _, factor = dropout_scalars(constant(call, integer_at(at, t.I_CONSTANT)))
            left, apart = masks(zero, call, at, first)
            for row in range(rows):
                down = row * ld_dst * size
                dropout_again(zero, d_src + down, d_dst + down, left + row * apart, outputs_, real(zero, factor))
