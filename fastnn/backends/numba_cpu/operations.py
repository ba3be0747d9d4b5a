"""Operations of the table, as every thread of a team runs them on its share of a call, which is a record of
`call.CallEntry`: the call block of one operation, or an instruction's of a program."""

from __future__ import annotations

import numpy as np

from ...core.arithmetic import K_CHUNK
from ..tuning import COLUMN_ROWS, COLUMN_ROWS_NT, PIECE_BYTES, ROW_BLOCK, STEP_PREFETCH_BYTES
from .binary import binary, binary_backward, embedding_backward, embedding_forward, fill, repeat, sum_rows
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
from .philox import dropout_rows, uniform_rows
from .prefetch import LEFT
from .rowwise import row_wise_backward, row_wise_forward, vector_backward
from .softmax import softmax_backward, softmax_forward
from .table import CallEntry, Entry, Family
from .threads import COUNT, atomic_add
from .update import scratch_size
from .workspace import address, scalar, share, stride

MOST = 2**62  # beyond any row


@device
def row_of(dtype, call, index, row):
    """Row `row` of array `index`."""
    return address(call, index) + row * stride(call, index) * itemsize(dtype)


@device
def first_scalar(dtype, call, batch_rows):
    """The first scalar: in a program it may be 1 / the rows of the batch."""
    if integer_at(call, CallEntry.PER_BATCH) == 1:
        return real(dtype, 1.0 / batch_rows)
    return scalar(dtype, call, 0)


@device
def by_columns(family, m, n, team):
    """Whether members take columns of C, and each packs or reads its own part of B: else rows. Columns cost a line of
    memory that two threads write in every row of C, unless it begins with a line, so a C that is not wide goes by rows
    where those of a member repay all of B."""
    enough = COLUMN_ROWS_NT if family == Family.GEMM_NT else COLUMN_ROWS
    return n >= m and (n > 2 * m or m < team * enough)


@device
def shares_chunks(dtype, family, m, n, k, team):
    """Whether a member takes chunks of k: where C is too small for the team, or is one row, or column, whose pieces are
    short."""
    size, chunks, most = itemsize(dtype), (k + K_CHUNK - 1) // K_CHUNK, max(m, n)
    unit = 2 * ROW_BLOCK if by_columns(family, m, n, team) else ROW_BLOCK
    single = (m == 1 and family != Family.GEMM_NT) or (n == 1 and family == Family.GEMM_TN)
    few = (team - 1) * unit >= most or (single and most * size < team * PIECE_BYTES)
    room = scratch_size(size) - pack_size(size)
    return (
        team > 1
        and chunks > 1
        and few
        and family != Family.DENSE_FORWARD
        and m * n * ((chunks + team - 1) // team) <= room
    )


@device
def add_chunk(dtype, first, C, ldc, sums, m, n):
    """C = sums, or C + sums, by rows."""
    for row in range(m):
        c, p = C + row * ldc * itemsize(dtype), sums + row * n * itemsize(dtype)
        if first:
            copy(dtype, c, p, n)
        else:
            add(dtype, c, c, p, n)


@device
def operate_chunks(dtype, call, sync, a_row, a_k, b_k, flags, scratch, member, team):
    """A GEMM by chunks of k, whose sums wait in the scratch; the member that finishes last adds them in order."""
    m, n, k = integer_at(call, CallEntry.ROWS), integer_at(call, CallEntry.COLUMNS), integer_at(call, CallEntry.DEPTH)
    size, chunks, whole = itemsize(dtype), (k + K_CHUNK - 1) // K_CHUNK, integer_at(call, CallEntry.SCRATCH)
    C, ldc, A, B, ldb = address(call, 0), stride(call, 0), address(call, 1), address(call, 2), stride(call, 2)
    first, last = share(chunks, 1, member, team)
    for chunk in range(first, last):
        start = chunk * K_CHUNK
        gemm(
            dtype,
            C=scratch + (pack_size(size) + (chunk - first) * m * n) * size,
            ldc=n,
            A=A + start * a_k * size,
            a_row=a_row,
            a_k=a_k,
            B=B + start * b_k * size,
            ldb=ldb,
            m=m,
            n=n,
            k=min(K_CHUNK, k - start),
            epilogue=0,
            flags=flags,
            scratch=scratch,
        )
    if atomic_add(sync, COUNT, 1) == team - 1:
        for other in range(team):
            sums = whole + (other * scratch_size(size) + pack_size(size)) * size
            first, last = share(chunks, 1, other, team)
            for chunk in range(first, last):
                add_chunk(dtype, chunk == 0, C, ldc, sums, m, n)
                sums += m * n * size


@device
def operate_gemm(dtype, call, sync, family, member, team):
    """The GEMM rows: m, n, k are the sizes; a member takes chunks of k, columns or rows of C."""
    size = itemsize(dtype)
    m, n, k = integer_at(call, CallEntry.ROWS), integer_at(call, CallEntry.COLUMNS), integer_at(call, CallEntry.DEPTH)
    C, A, B = address(call, 0), address(call, 1), address(call, 2)
    ldc, lda, ldb = stride(call, 0), stride(call, 1), stride(call, 2)
    a_row, a_k, b_column, bias, flags = lda, 1, 1, 0, 0
    if family == Family.GEMM_TN:
        a_row, a_k = 1, lda
    elif family == Family.DENSE_FORWARD:
        bias, flags = address(call, 3), BIAS
    elif family == Family.GEMM_NT:
        b_column, flags = ldb, TRANSPOSED
    scratch = integer_at(call, CallEntry.SCRATCH) + member * scratch_size(size) * size
    set_integer(scratch + expected_samples(size) * size, LEFT, 0)
    if shares_chunks(dtype, family, m, n, k, team):
        b_k = 1 if family == Family.GEMM_NT else ldb
        operate_chunks(dtype, call, sync, a_row, a_k, b_k, flags, scratch, member, team)
        return
    if by_columns(family, m, n, team):
        first, last = share(n, 2 * ROW_BLOCK, member, team)
        C, B, bias, n = C + first * size, B + first * b_column * size, bias + first * size, last - first
    else:
        first, last = share(m, ROW_BLOCK, member, team)
        C, A, m = C + first * ldc * size, A + first * a_row * size, last - first
    if last > first:
        gemm(
            dtype,
            C=C,
            ldc=ldc,
            A=A,
            a_row=a_row,
            a_k=a_k,
            B=B,
            ldb=ldb,
            m=m,
            n=n,
            k=k,
            epilogue=bias,
            flags=flags,
            scratch=scratch,
        )


@device
def operate_totals(dtype, call, family):
    """Totals, whose order is fixed: one thread."""
    b, n = integer_at(call, CallEntry.ROWS), integer_at(call, CallEntry.COLUMNS)
    total, first, second = address(call, 0), address(call, 1), address(call, 2)
    l1, l2, l3 = stride(call, 1), stride(call, 2), stride(call, 3)
    if family == Family.R2_SUMS:
        r2_sums(dtype, total, first, l1, second, l2, address(call, 3), l3, b, n)
    elif family == Family.EMBEDDING_BACKWARD:
        k, ldt = integer_at(call, CallEntry.DEPTH), stride(call, 0)
        embedding_backward(dtype, total, ldt, 0, MOST, first, l1, second, l2, b, n // k if k > 0 else 0, k)
    elif family == Family.WEIGHTED_SUM:
        weighted_sum(dtype, total, first, l1, second, l2, b)
    elif family == Family.SUM_ABS:
        set_double(total, 0, double_at(total, 0) + sum_abs(dtype, first, n))
    else:
        set_double(total, 0, double_at(total, 0) + sum_squares(dtype, first, n))


@device
def sum_batch(dtype, call, sums, first, n, rows):
    """Columns first..first + n - 1 of sums over the rows of a batch."""
    family, size = integer_at(call, CallEntry.FAMILY), itemsize(dtype)
    b, c, l1, l2 = address(call, 1) + first * size, address(call, 2) + first * size, stride(call, 1), stride(call, 2)
    if family == Family.BIAS_BACKWARD:
        bias_backward(dtype, sums, b, l1, rows, n)
    elif family == Family.SCALE_BACKWARD:
        scale_backward(dtype, sums, b, l1, c, l2, rows, n)
    else:
        vector_backward(dtype, integer_at(call, CallEntry.CODE), sums, b, l1, c, l2, rows, n)


@device
def operate_columns(dtype, call, rows, member, team):
    """Statistics of a batch of so many rows, and what follows from them: a member takes columns."""
    family, size = integer_at(call, CallEntry.FAMILY), itemsize(dtype)
    first, last = share(integer_at(call, CallEntry.COLUMNS), ROW_BLOCK, member, team)
    n, s = last - first, first_scalar(dtype, call, rows)
    if n <= 0:
        return
    a, b = address(call, 0) + first * size, address(call, 1) + first * size
    if family == Family.BATCH_MOMENTS:
        batch_moments(dtype, a, b, address(call, 2) + first * size, stride(call, 2), rows, n, s)
    elif family == Family.INVERSE_DEVIATION:
        inverse_deviation(dtype, integer_at(call, CallEntry.CODE), a, b, n, s)
    elif family == Family.MOVING_AVERAGE:
        moving_average(dtype, a, a, b, n, s)
    else:
        sum_batch(dtype, call, a, first, n, rows)


@device
def operate_elements(dtype, call, family, row, n):
    """Elements of a row: each row apart, since a stride may lie between them."""
    code, s0, s1 = integer_at(call, CallEntry.CODE), scalar(dtype, call, 0), scalar(dtype, call, 1)
    a, b, c = row_of(dtype, call, 0, row), row_of(dtype, call, 1, row), row_of(dtype, call, 2, row)
    if family == Family.ACTIVATION_FORWARD:
        activation_forward(dtype, code, a, b, n, s0)
    elif family == Family.ACTIVATION_BACKWARD:
        activation_backward(dtype, code, a, b, c, n, s0)
    elif family == Family.BINARY:
        binary(dtype, code, a, b, c, n)
    elif family == Family.BINARY_BACKWARD:
        binary_backward(dtype, code, a, b, c, row_of(dtype, call, 3, row), n)
    elif family == Family.COPY:
        copy(dtype, a, b, n)
    elif family == Family.FILL:
        fill(dtype, a, n, s0)
    elif family == Family.PENALTY_BACKWARD:
        penalty_backward(dtype, a, a, b, n, s0, s1)
    elif family == Family.AFFINE:
        affine(dtype, a, b, n, s0, s1)
    elif family == Family.ROW_SCALE:
        scale(dtype, a, b, n, s0)
    elif family == Family.GRADIENT_SCALE:
        scale(dtype, a, a, n, s0)
    elif family == Family.CLIP_VALUE:
        clip_value(dtype, a, a, n, s0)
    elif family == Family.DECAY_STEP:
        decay_step(dtype, a, a, n, s0)
    elif family == Family.OPTIMIZER_STEP:
        gradient = address(call, 1 + integer_at(call, CallEntry.DEPTH))  # behind the slots
        d, scalars = row_of(dtype, call, 3, row), call + 8 * CallEntry.SCALARS
        optimizer_step(dtype, code, a, b, c, d, gradient, n, STEP_PREFETCH_BYTES, scalars)


@device
def operate_losses(dtype, call, first, rows):
    """Losses and metrics of rows."""
    family, code = integer_at(call, CallEntry.FAMILY), integer_at(call, CallEntry.CODE)
    n = integer_at(call, CallEntry.COLUMNS)
    a, b, c, d = (
        row_of(dtype, call, 0, first),
        row_of(dtype, call, 1, first),
        row_of(dtype, call, 2, first),
        row_of(dtype, call, 3, first),
    )
    la, lb, lc, ld = stride(call, 0), stride(call, 1), stride(call, 2), stride(call, 3)
    p, keep, shift = scalar(dtype, call, 0), scalar(dtype, call, 1), scalar(dtype, call, 2)
    if family == Family.LOSS_FORWARD:
        loss_forward(dtype, code, a, la, b, lb, c, lc, rows, n, p, keep, shift)
    elif family == Family.LOSS_BACKWARD:
        loss_backward(dtype, code, a, la, b, lb, c, lc, d, ld, rows, n, p, keep, shift)
    elif family == Family.CROSSENTROPY_FORWARD:
        crossentropy_forward(dtype, code, a, la, b, lb, c, lc, d, ld, rows, n, p, keep, shift)
    elif family == Family.CROSSENTROPY_BACKWARD:
        crossentropy_backward(dtype, code, a, la, b, lb, c, lc, d, ld, rows, n, p, keep, shift)
    else:
        accuracy(dtype, code, a, la, b, lb, c, lc, rows, n)


@device
def operate_normalization(dtype, call, family, first, rows, batch_rows):
    """Whole rows, with vectors that serve each of them."""
    n, s0, s1 = integer_at(call, CallEntry.COLUMNS), first_scalar(dtype, call, batch_rows), scalar(dtype, call, 1)
    a, b, c, d = (
        row_of(dtype, call, 0, first),
        row_of(dtype, call, 1, first),
        row_of(dtype, call, 2, first),
        row_of(dtype, call, 3, first),
    )
    la, lb, lc, ld = stride(call, 0), stride(call, 1), stride(call, 2), stride(call, 3)
    v4, v5, v6 = address(call, 4), address(call, 5), address(call, 6)
    if family == Family.STANDARDIZE_FORWARD:
        standardize_forward(dtype, a, la, b, lb, c, lc, d, ld, v4, 0, v5, 0, rows, n)
    elif family == Family.STANDARDIZE_BACKWARD:
        standardize_backward(dtype, a, la, b, lb, c, lc, d, ld, rows, n)
    elif family == Family.BATCH_NORM_FORWARD:
        batch_norm_forward(dtype, a, la, b, lb, c, lc, d, ld, v4, 0, v5, 0, v6, 0, rows, n)
    elif family == Family.BATCH_NORM_BACKWARD:
        batch_norm_backward(dtype, a, la, b, lb, c, lc, d, ld, v4, 0, v5, 0, v6, 0, rows, n, s0)
    elif family == Family.LAYER_NORM_FORWARD:
        layer_norm_forward(dtype, a, la, b, lb, c, lc, d, ld, v4, 0, v5, 0, rows, n, s0, s1)
    else:
        layer_norm_backward(dtype, a, la, b, lb, c, lc, d, ld, v4, 0, rows, n, s0)


@device
def operate_rows(dtype, call, first, rows, batch_rows):
    """Rows first..first + rows - 1 of an instruction, in a batch of so many: whole rows, or elements, which may be
    those of all rows at once."""
    family, n = integer_at(call, CallEntry.FAMILY), integer_at(call, CallEntry.COLUMNS)
    a, b, c = row_of(dtype, call, 0, first), row_of(dtype, call, 1, first), row_of(dtype, call, 2, first)
    la, lb, lc, code = stride(call, 0), stride(call, 1), stride(call, 2), integer_at(call, CallEntry.CODE)
    v2, v3, v4 = address(call, 2), address(call, 3), address(call, 4)
    if integer_at(call, CallEntry.FLAT) == 1:
        operate_elements(dtype, call, family, first, rows * la)
    elif family == Family.SOFTMAX_FORWARD:
        softmax_forward(dtype, a, la, b, lb, rows, n)
    elif family == Family.SOFTMAX_BACKWARD:
        softmax_backward(dtype, a, la, b, lb, c, lc, rows, n)
    elif Family.STANDARDIZE_FORWARD <= family <= Family.LAYER_NORM_BACKWARD:
        operate_normalization(dtype, call, family, first, rows, batch_rows)
    elif family == Family.ROW_WISE_FORWARD:
        row_wise_forward(dtype, code, a, la, b, lb, v2, v3, rows, n, call + 8 * CallEntry.SCALARS)
    elif family == Family.ROW_WISE_BACKWARD:
        row_wise_backward(dtype, code, a, la, b, lb, c, lc, v3, v4, rows, n, call + 8 * CallEntry.SCALARS)
    elif family == Family.EMBEDDING_FORWARD:
        k = integer_at(call, CallEntry.DEPTH)
        ldt = lc if lc > 0 else k
        embedding_forward(dtype, a, la, b, lb, v2, ldt, rows, n // k if k > 0 else 0, k)
    elif family == Family.ROW_SUM:
        sum_rows(dtype, a, la, b, lb, rows, n)
    elif family == Family.REPEAT:
        repeat(dtype, a, la, b, lb, rows, n)
    elif family == Family.DROPOUT:
        place = CallEntry.SCALARS
        key = integer_at(call, place + 1), integer_at(call, place + 2), integer_at(call, place + 3)
        dropout_rows(dtype, a, la, b, lb, 0, 0, first, first + rows, n, double_at(call, place), key)
    elif family == Family.UNIFORM:
        place = CallEntry.SCALARS
        key = integer_at(call, place), integer_at(call, place + 1), integer_at(call, place + 2)
        start = integer_at(call, place + 3) + first
        uniform_rows(dtype, a, la, start, start + rows, n, key)
    else:
        for row in range(first, first + rows):
            operate_elements(dtype, call, family, row, n)


@device
def operate(dtype, call, member, team):
    """The call of an operation."""
    family, sync = integer_at(call, CallEntry.FAMILY), integer_at(call, Entry.SYNC)
    m = integer_at(call, CallEntry.ROWS)
    first, last = share(m, 1, member, team)
    if family <= Family.DENSE_FORWARD:
        operate_gemm(dtype, call, sync, family, member, team)
    elif family in (
        Family.BIAS_BACKWARD,
        Family.SCALE_BACKWARD,
        Family.VECTOR_BACKWARD,
        Family.BATCH_MOMENTS,
        Family.INVERSE_DEVIATION,
        Family.MOVING_AVERAGE,
    ):
        operate_columns(dtype, call, m, member, team)
    elif family in (
        Family.R2_SUMS,
        Family.WEIGHTED_SUM,
        Family.SUM_ABS,
        Family.SUM_SQUARES,
        Family.EMBEDDING_BACKWARD,
    ):
        if member == 0:
            operate_totals(dtype, call, family)
    elif last <= first:
        return
    elif Family.LOSS_FORWARD <= family <= Family.METRIC:
        operate_losses(dtype, call, first, last - first)
    else:
        operate_rows(dtype, call, first, last - first, m)


def operate_float32(call, member, team):
    operate(np.float32(0.0), call, member, team)


def operate_float64(call, member, team):
    operate(np.float64(0.0), call, member, team)
