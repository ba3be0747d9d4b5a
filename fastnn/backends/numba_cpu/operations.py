"""The entry of a team that runs one operation of the table, as the call block says."""

from __future__ import annotations

import numpy as np

from ...core.arithmetic import K_CHUNK
from ...core.operations import Family
from ..tuning import COLUMN_ROWS, COLUMN_ROWS_NT, PIECE_BYTES, ROW_BLOCK, STEP_PREFETCH_BYTES
from . import call as c
from .elementwise import (
    activation_backward,
    activation_forward,
    add,
    affine,
    clip_value,
    copy,
    decay_step,
    penalty_backward,
    scale,
    sum_abs,
    sum_squares,
    weighted_sum,
)
from .gemm import bias_backward, gemm
from .gemm_blocks import expected_samples, pack_size
from .gemm_tile import BIAS, TRANSPOSED
from .jit import device
from .losses import accuracy, crossentropy_backward, crossentropy_forward, loss_backward, loss_forward, r2_sums
from .memory import double_at, integer_at, itemsize, real, set_double, set_integer
from .normalization import (
    batch_moments,
    batch_norm_backward,
    batch_norm_forward,
    inverse_deviation,
    layer_norm_backward,
    layer_norm_forward,
    moving_average,
    scale_backward,
    standardize_backward,
    standardize_forward,
)
from .optimizers import optimizer_step
from .parameters import scratch_size
from .prefetch import LEFT
from .rows import dropout_rows
from .softmax import softmax_backward, softmax_forward
from .threads import COUNT, atomic_add
from .workspace import share

GEMM_NN, GEMM_TN, GEMM_NT, DENSE_FORWARD, BIAS_BACKWARD, ACTIVATION_FORWARD, ACTIVATION_BACKWARD = (
    int(f) for f in list(Family)[:7]
)
SOFTMAX_FORWARD, SOFTMAX_BACKWARD, LOSS_FORWARD, LOSS_BACKWARD = (int(f) for f in list(Family)[7:11])
CROSSENTROPY_FORWARD, CROSSENTROPY_BACKWARD, METRIC, R2_SUMS, WEIGHTED_SUM, ROW_SCALE = (
    int(f) for f in list(Family)[11:17]
)
SUM_ABS, SUM_SQUARES, PENALTY_BACKWARD, DECAY_STEP, OPTIMIZER_STEP, DROPOUT, AFFINE = (
    int(f) for f in list(Family)[17:24]
)
BATCH_MOMENTS, MOVING_AVERAGE, INVERSE_DEVIATION, STANDARDIZE_FORWARD, STANDARDIZE_BACKWARD, BATCH_NORM_FORWARD = (
    int(f) for f in list(Family)[24:30]
)
SCALE_BACKWARD, BATCH_NORM_BACKWARD, LAYER_NORM_FORWARD, LAYER_NORM_BACKWARD, CLIP_VALUE, GRADIENT_SCALE = (
    int(f) for f in list(Family)[30:]
)


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
def by_columns(family, m, n, team):
    """Whether members take columns of C, and each packs or reads its own part of B: else rows. Columns cost a line of
    memory that two threads write in every row of C, unless it begins with a line, so a C that is not wide goes by rows
    where those of a member repay all of B."""
    enough = COLUMN_ROWS_NT if family == GEMM_NT else COLUMN_ROWS
    return n >= m and (n > 2 * m or m < team * enough)


@device
def shares_chunks(zero, family, m, n, k, team):
    """Whether a member takes chunks of k: where C is too small for the team, or is one row, or column, whose pieces are
    short."""
    size, chunks, most = itemsize(zero), (k + K_CHUNK - 1) // K_CHUNK, max(m, n)
    unit = 2 * ROW_BLOCK if by_columns(family, m, n, team) else ROW_BLOCK
    lone = (m == 1 and family != GEMM_NT) or (n == 1 and family == GEMM_TN)
    few = (team - 1) * unit >= most or (lone and most * size < team * PIECE_BYTES)
    room = scratch_size(size) - pack_size(size)
    return team > 1 and chunks > 1 and few and family != DENSE_FORWARD and m * n * ((chunks + team - 1) // team) <= room


@device
def operate_chunks(zero, call, m, n, k, a_row, a_k, b_k, flags, pack, member, team):
    """A GEMM by chunks of k, whose sums wait in the scratch; the member that finishes last adds them in order."""
    size, chunks, whole = itemsize(zero), (k + K_CHUNK - 1) // K_CHUNK, integer_at(call, c.OP_PACK)
    C, ldc, A, B, ldb = address(call, 0), stride(call, 0), address(call, 1), address(call, 2), stride(call, 2)
    first, last = share(chunks, 1, member, team)
    for chunk in range(first, last):
        start = chunk * K_CHUNK
        sums = pack + (pack_size(size) + (chunk - first) * m * n) * size
        a, b = A + start * a_k * size, B + start * b_k * size
        gemm(zero, sums, n, a, a_row, a_k, b, ldb, m, n, min(K_CHUNK, k - start), 0, flags, pack)
    if atomic_add(integer_at(call, c.SYNC), COUNT, 1) == team - 1:
        for other in range(team):
            sums = whole + (other * scratch_size(size) + pack_size(size)) * size
            first, last = share(chunks, 1, other, team)
            for chunk in range(first, last):
                for row in range(m):
                    at = C + row * ldc * size
                    if chunk == 0:
                        copy(zero, at, sums, n)
                    else:
                        add(zero, at, at, sums, n)
                    sums += n * size


@device
def operate_gemm(zero, call, family, member, team):
    """The GEMM rows: m, n, k are the sizes; a member takes chunks of k, columns or rows of C."""
    size = itemsize(zero)
    m, n, k = integer_at(call, c.OP_SIZES), integer_at(call, c.OP_SIZES + 1), integer_at(call, c.OP_SIZES + 2)
    C, A, B = address(call, 0), address(call, 1), address(call, 2)
    ldc, lda, ldb = stride(call, 0), stride(call, 1), stride(call, 2)
    a_row, a_k, b_column, bias, flags = lda, 1, 1, 0, 0
    if family == GEMM_TN:
        a_row, a_k = 1, lda
    elif family == DENSE_FORWARD:
        bias, flags = address(call, 3), BIAS
    elif family == GEMM_NT:
        b_column, flags = ldb, TRANSPOSED
    pack = integer_at(call, c.OP_PACK) + member * scratch_size(size) * size
    set_integer(pack + expected_samples(size) * size, LEFT, 0)
    if shares_chunks(zero, family, m, n, k, team):
        operate_chunks(zero, call, m, n, k, a_row, a_k, 1 if family == GEMM_NT else ldb, flags, pack, member, team)
        return
    if by_columns(family, m, n, team):
        first, last = share(n, 2 * ROW_BLOCK, member, team)
        C, B, bias, n = C + first * size, B + first * b_column * size, bias + first * size, last - first
    else:
        first, last = share(m, ROW_BLOCK, member, team)
        C, A, m = C + first * ldc * size, A + first * a_row * size, last - first
    if last > first:
        gemm(zero, C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack)


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
        elif family == AFFINE:
            affine(zero, a, b, n, s0, scalar(zero, call, 1))
        elif family == ROW_SCALE:
            scale(zero, a, b, n, s0)
        elif family == GRADIENT_SCALE:
            scale(zero, a, a, n, s0)
        elif family == CLIP_VALUE:
            clip_value(zero, a, a, n, s0)
        elif family == MOVING_AVERAGE:
            moving_average(zero, a, a, b, n, s0)
        elif family == INVERSE_DEVIATION:
            inverse_deviation(zero, code, a, b, n, s0)
        elif family == DECAY_STEP:
            decay_step(zero, a, a, n, s0)
        elif family == OPTIMIZER_STEP:
            gradient = address(call, 1 + integer_at(call, c.OP_SIZES + 2))  # behind the slots
            u, scalars = address(call, 3), call + 8 * c.OP_SCALARS
            optimizer_step(zero, code, a, b, d, u, gradient, n, STEP_PREFETCH_BYTES, scalars)
    if family == DROPOUT and last > first:
        rate = double_at(call, c.OP_SCALARS)
        seed, step, layer = (
            integer_at(call, c.OP_SCALARS + 1),
            integer_at(call, c.OP_SCALARS + 2),
            integer_at(call, c.OP_SCALARS + 3),
        )
        a = address(call, 0) + first * stride(call, 0) * size
        b = address(call, 1) + first * stride(call, 1) * size
        dropout_rows(zero, a, stride(call, 0), b, stride(call, 1), 0, 0, first, last, n, rate, seed, step, layer)


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
def operate_normalization(zero, call, family, member, team):
    """Operations on rows (b, o) with vectors (o,) that serve every row."""
    size, n = itemsize(zero), integer_at(call, c.OP_SIZES + 1)
    first, last = share(integer_at(call, c.OP_SIZES), 1, member, team)
    rows = last - first
    l0, l1, l2, l3 = stride(call, 0), stride(call, 1), stride(call, 2), stride(call, 3)
    l4, l5, l6 = stride(call, 4), stride(call, 5), stride(call, 6)
    a0, a1 = address(call, 0) + first * l0 * size, address(call, 1) + first * l1 * size
    a2, a3 = address(call, 2) + first * l2 * size, address(call, 3) + first * l3 * size
    a4, a5 = address(call, 4) + first * l4 * size, address(call, 5) + first * l5 * size
    a6 = address(call, 6) + first * l6 * size
    s0, s1 = scalar(zero, call, 0), scalar(zero, call, 1)
    if family == STANDARDIZE_FORWARD:
        standardize_forward(zero, a0, l0, a1, l1, a2, l2, a3, l3, a4, l4, a5, l5, rows, n)
    elif family == STANDARDIZE_BACKWARD:
        standardize_backward(zero, a0, l0, a1, l1, a2, l2, a3, l3, rows, n)
    elif family == BATCH_NORM_FORWARD:
        batch_norm_forward(zero, a0, l0, a1, l1, a2, l2, a3, l3, a4, l4, a5, l5, a6, l6, rows, n)
    elif family == BATCH_NORM_BACKWARD:
        batch_norm_backward(zero, a0, l0, a1, l1, a2, l2, a3, l3, a4, l4, a5, l5, a6, l6, rows, n, s0)
    elif family == LAYER_NORM_FORWARD:
        layer_norm_forward(zero, a0, l0, a1, l1, a2, l2, a3, l3, a4, l4, a5, l5, rows, n, s0, s1)
    else:
        layer_norm_backward(zero, a0, l0, a1, l1, a2, l2, a3, l3, a4, l4, rows, n, s0)


@device
def operate_sums(zero, call, family):
    """Sums, whose order is fixed: one thread."""
    b, n = integer_at(call, c.OP_SIZES), integer_at(call, c.OP_SIZES + 1)
    total, first, second = address(call, 0), address(call, 1), address(call, 2)
    l1, l2, l3 = stride(call, 1), stride(call, 2), stride(call, 3)
    if family == BIAS_BACKWARD:
        bias_backward(zero, total, first, l1, b, n)
    elif family == SCALE_BACKWARD:
        scale_backward(zero, total, first, l1, second, l2, b, n)
    elif family == BATCH_MOMENTS:
        batch_moments(zero, total, first, second, l2, b, n, scalar(zero, call, 0))
    elif family == R2_SUMS:
        r2_sums(zero, total, first, l1, second, l2, address(call, 3), l3, b, n)
    elif family == WEIGHTED_SUM:
        weighted_sum(zero, total, first, l1, second, l2, b)
    elif family == SUM_ABS:
        set_double(total, 0, double_at(total, 0) + sum_abs(zero, first, n))
    else:
        set_double(total, 0, double_at(total, 0) + sum_squares(zero, first, n))


@device
def operate(zero, call, member, team):
    family = integer_at(call, c.OP_FAMILY)
    if family <= DENSE_FORWARD:
        operate_gemm(zero, call, family, member, team)
    elif family in (BIAS_BACKWARD, R2_SUMS, WEIGHTED_SUM, SUM_ABS, SUM_SQUARES, BATCH_MOMENTS, SCALE_BACKWARD):
        if member == 0:
            operate_sums(zero, call, family)
    elif SOFTMAX_FORWARD <= family <= METRIC:
        operate_losses(zero, call, family, member, team)
    elif STANDARDIZE_FORWARD <= family <= LAYER_NORM_BACKWARD:
        operate_normalization(zero, call, family, member, team)
    else:
        operate_rows(zero, call, family, member, team)


def operate_float32(call, member, team):
    operate(np.float32(0.0), call, member, team)


def operate_float64(call, member, team):
    operate(np.float64(0.0), call, member, team)
