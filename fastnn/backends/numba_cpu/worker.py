"""The entry of a compiled team: an operation of the table, or a program of `network.py`, as the call block says."""

from __future__ import annotations

import numpy as np

from ...operations import Family
from . import call as c
from . import table as t
from .elementwise import (
    activation_backward,
    activation_forward,
    decay_step,
    find_nonfinite,
    penalty_backward,
    row_scale,
    sum_abs,
    sum_squares,
    weighted_sum,
)
from .gemm import bias_backward, gemm, transpose
from .gemm_tile import BIAS
from .jit import device
from .memory import double_at, integer_at, itemsize, real, set_double, set_integer
from .network import ROW_BLOCK, predict, steps, update
from .optimizers import optimizer_step
from .philox import shuffle
from .rows import dropout_rows, padded, share
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

GEMM_NN, GEMM_TN, GEMM_NT, DENSE_FORWARD, BIAS_BACKWARD, ACTIVATION_FORWARD, ACTIVATION_BACKWARD = (
    int(f) for f in list(Family)[:7]
)
SOFTMAX_FORWARD, SOFTMAX_BACKWARD, LOSS_FORWARD, LOSS_BACKWARD = (int(f) for f in list(Family)[7:11])
CROSSENTROPY_FORWARD, CROSSENTROPY_BACKWARD, METRIC, R2_SUMS, WEIGHTED_SUM, ROW_SCALE = (
    int(f) for f in list(Family)[11:17]
)
SUM_ABS, SUM_SQUARES, PENALTY_BACKWARD, DECAY_STEP, OPTIMIZER_STEP, DROPOUT = (int(f) for f in list(Family)[17:23])


@device
def address(call, number):
    return integer_at(call, c.OP_ARRAYS + 2 * number)


@device
def stride(call, number):
    return integer_at(call, c.OP_ARRAYS + 2 * number + 1)


@device
def scalar(zero, call, number):
    return real(zero, double_at(call, c.OP_SCALARS + number))


@device
def operate_gemm(zero, call, family, member, team):
    """The GEMM rows: m, n, k are the sizes; a member takes rows of C."""
    size = itemsize(zero)
    m, n, k = integer_at(call, c.OP_SIZES), integer_at(call, c.OP_SIZES + 1), integer_at(call, c.OP_SIZES + 2)
    C, A, B = address(call, 0), address(call, 1), address(call, 2)
    ldc, lda, ldb = stride(call, 0), stride(call, 1), stride(call, 2)
    a_row, a_k, bias, flags = lda, 1, 0, 0
    if family == GEMM_TN:
        a_row, a_k = 1, lda
    elif family == DENSE_FORWARD:
        bias, flags = address(call, 3), BIAS
    elif family == GEMM_NT:
        scratch, ld = integer_at(call, c.OP_SCRATCH), padded(n)
        first, last = share(n, ROW_BLOCK, member, team)
        if last > first:
            transpose(zero, scratch + first * size, ld, B + first * ldb * size, ldb, last - first, k)
        barrier(integer_at(call, c.SYNC), team)
        B, ldb = scratch, ld
    first, last = share(m, ROW_BLOCK, member, team)
    if last > first:
        gemm(
            zero,
            C + first * ldc * size,
            ldc,
            A + first * a_row * size,
            a_row,
            a_k,
            B,
            ldb,
            last - first,
            n,
            k,
            bias,
            flags,
        )


@device
def operate_rows(zero, call, family, member, team):
    """Operations on rows (b, o) or on (p,): one row of p elements. Every row apart, since a stride may lie between
    them."""
    size, code = itemsize(zero), integer_at(call, c.OP_CODE)
    n = integer_at(call, c.OP_SIZES + 1)
    first, last = share(integer_at(call, c.OP_SIZES), 1, member, team)
    s0 = scalar(zero, call, 0)
    for row in range(first, last):
        a = address(call, 0) + row * stride(call, 0) * size
        b = address(call, 1) + row * stride(call, 1) * size
        d = address(call, 2) + row * stride(call, 2) * size
        if family == ACTIVATION_FORWARD:
            activation_forward(zero, code, a, b, n, s0)
        elif family == ACTIVATION_BACKWARD:
            activation_backward(zero, code, a, b, d, n, s0)
        elif family == PENALTY_BACKWARD:
            penalty_backward(zero, a, a, b, n, s0, scalar(zero, call, 1))
        elif family == ROW_SCALE:
            row_scale(zero, a, b, n, s0)
        elif family == DECAY_STEP:
            decay_step(zero, a, a, n, s0)
        elif family == OPTIMIZER_STEP:
            slots = integer_at(call, c.OP_SIZES + 2)
            gradient = address(call, 1 + slots)
            optimizer_step(
                zero,
                code,
                a,
                b,
                d,
                gradient,
                n,
                s0,
                scalar(zero, call, 1),
                scalar(zero, call, 2),
                scalar(zero, call, 3),
            )
    if family == DROPOUT and last > first:
        rate = double_at(call, c.OP_SCALARS)
        seed, step, layer = (
            integer_at(call, c.OP_SCALARS + 1),
            integer_at(call, c.OP_SCALARS + 2),
            integer_at(call, c.OP_SCALARS + 3),
        )
        a = address(call, 0) + first * stride(call, 0) * size
        b = address(call, 1) + first * stride(call, 1) * size
        dropout_rows(zero, a, stride(call, 0), b, stride(call, 1), first, last, n, rate, seed, step, layer)


@device
def operate_losses(zero, call, family, member, team):
    """Operations on rows (b, c) that need the whole row."""
    size, code = itemsize(zero), integer_at(call, c.OP_CODE)
    first, last = share(integer_at(call, c.OP_SIZES), 1, member, team)
    rows, n = last - first, integer_at(call, c.OP_SIZES + 1)
    l0, l1, l2, l3 = stride(call, 0), stride(call, 1), stride(call, 2), stride(call, 3)
    a0, a1 = address(call, 0) + first * l0 * size, address(call, 1) + first * l1 * size
    a2, a3 = address(call, 2) + first * l2 * size, address(call, 3) + first * l3 * size
    p, keep, add = scalar(zero, call, 0), scalar(zero, call, 1), scalar(zero, call, 2)
    if family == SOFTMAX_FORWARD:
        softmax_forward(zero, a0, l0, a1, l1, rows, n)
    elif family == SOFTMAX_BACKWARD:
        softmax_backward(zero, a0, l0, a1, l1, a2, l2, rows, n)
    elif family == LOSS_FORWARD:
        loss_forward(zero, code, a0, l0, a1, l1, a2, l2, rows, n, p, keep, add)
    elif family == LOSS_BACKWARD:
        loss_backward(zero, code, a0, l0, a1, l1, a2, l2, a3, l3, rows, n, p, keep, add)
    elif family == CROSSENTROPY_FORWARD:
        crossentropy_forward(zero, code, a0, l0, a1, l1, a2, l2, a3, l3, rows, n, p, keep, add)
    elif family == CROSSENTROPY_BACKWARD:
        crossentropy_backward(zero, code, a0, l0, a1, l1, a2, l2, a3, l3, rows, n, p, keep, add)
    else:
        accuracy(zero, code, a0, l0, a1, l1, a2, l2, rows, n)


@device
def operate_sums(zero, call, family):
    """Sums, whose order is fixed: one thread."""
    b, n = integer_at(call, c.OP_SIZES), integer_at(call, c.OP_SIZES + 1)
    total = address(call, 0)
    if family == BIAS_BACKWARD:
        bias_backward(zero, total, address(call, 1), stride(call, 1), b, n)
    elif family == R2_SUMS:
        r2_sums(zero, total, address(call, 1), stride(call, 1), address(call, 2), stride(call, 2), b, n)
    elif family == WEIGHTED_SUM:
        weighted_sum(zero, total, address(call, 1), stride(call, 1), address(call, 2), stride(call, 2), b)
    elif family == SUM_ABS:
        set_double(total, 0, double_at(total, 0) + sum_abs(zero, address(call, 1), n))
    else:
        set_double(total, 0, double_at(total, 0) + sum_squares(zero, address(call, 1), n))


@device
def operate(zero, call, member, team):
    family = integer_at(call, c.OP_FAMILY)
    if family <= DENSE_FORWARD:
        operate_gemm(zero, call, family, member, team)
    elif family in (BIAS_BACKWARD, R2_SUMS, WEIGHTED_SUM, SUM_ABS, SUM_SQUARES):
        if member == 0:
            operate_sums(zero, call, family)
    elif SOFTMAX_FORWARD <= family <= METRIC:
        operate_losses(zero, call, family, member, team)
    else:
        operate_rows(zero, call, family, member, team)


@device
def scan(zero, call, member, team):
    """FIND_NONFINITE: each member leaves in FOUND[member] the first bad flat index of its rows, or -1."""
    columns, row_bytes = integer_at(call, c.SCAN_COLUMNS), integer_at(call, c.SCAN_ROW)
    itemsize = integer_at(call, c.SCAN_ITEMSIZE)
    first, last = share(integer_at(call, c.SCAN_ROWS), 1, member, team)
    base, found, row = integer_at(call, c.SCAN), -1, first
    # Rows that lie one behind another are one long row.
    height = last - first if row_bytes == columns * itemsize else 1
    while row < last and found < 0:
        at = find_nonfinite(zero, itemsize // 8, base + row * row_bytes, height * columns)
        if at >= 0:
            found = row * columns + at
        row += height
    set_integer(integer_at(call, c.FOUND), member, found)


@device
def work(zero, call, member, team):
    """What MODE says."""
    mode = integer_at(call, c.MODE)
    if mode == c.OPERATION:
        operate(zero, call, member, team)
    elif mode == c.RUN_STEPS or mode == c.GRADIENT or mode == c.SCORE:
        steps(zero, call, member, team, mode != c.SCORE, mode == c.RUN_STEPS)
    elif mode == c.UPDATE:
        update(zero, call, member, team)
    elif mode == c.FORWARD:
        predict(zero, call, member, team)
    elif mode == c.SHUFFLE:
        if member == 0:
            counters = integer_at(call, c.COUNTERS)
            seed, epoch = integer_at(counters, t.SEED), integer_at(counters, t.EPOCH)
            shuffle(zero, integer_at(call, c.ORDER), integer_at(call, c.ROWS), seed, epoch)
    elif mode == c.FIND_NONFINITE:
        scan(zero, call, member, team)


def work_float32(call, member, team):
    work(np.float32(0.0), call, member, team)


def work_float64(call, member, team):
    work(np.float64(0.0), call, member, team)
