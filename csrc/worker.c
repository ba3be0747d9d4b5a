/* Operations of the table, as every thread of a team runs them on its share of a call. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "worker.c"
#include "levels.h"

#else

/* Row `row` of array `number`. */
INLINE real *FN(at)(const fnn_call *call, int number, int64_t row)
{
    return call->array[number] == NULL ? NULL : (real *)call->array[number] + row * call->ld[number];
}

/* The GEMM rows: a member takes rows of C. */
INLINE void FN(operate_gemm)(const fnn_call *call, fnn_sync *sync, int64_t member, int64_t team)
{
    const int64_t m = call->m, n = call->n, k = call->k, lda = call->ld[1];
    const real *B = (const real *)call->array[2], *bias = NULL;
    int64_t ldb = call->ld[2], a_row = lda, a_k = 1, first, last;
    int flags = 0;
    if (call->family == FNN_FAMILY_GEMM_TN) {
        a_row = 1;
        a_k = lda;
    } else if (call->family == FNN_FAMILY_DENSE_FORWARD) {
        bias = (const real *)call->array[3];
        flags = FNN_BIAS;
    } else if (call->family == FNN_FAMILY_GEMM_NT) {
        real *scratch = (real *)call->scratch;
        const int64_t ld = fnn_padded(n);
        fnn_share(n, FNN_ROW_BLOCK, member, team, &first, &last);
        if (last > first) {
            FN(transpose)(scratch + first, ld, B + first * ldb, ldb, last - first, k);
        }
        fnn_barrier(sync, team);
        B = scratch;
        ldb = ld;
    }
    fnn_share(m, FNN_ROW_BLOCK, member, team, &first, &last);
    if (last > first) {
        FN(gemm)(FN(at)(call, 0, first), call->ld[0], (const real *)call->array[1] + first * a_row, a_row, a_k, B, ldb,
                 last - first, n, k, bias, flags);
    }
}

/* Sums, whose order is fixed: one thread. */
INLINE void FN(operate_sums)(const fnn_call *call)
{
    double *total = (double *)call->array[0];
    const real *a = FN(at)(call, 1, 0), *b = FN(at)(call, 2, 0);
    switch (call->family) {
    case FNN_FAMILY_BIAS_BACKWARD:
        FN(bias_backward)((real *)call->array[0], a, call->ld[1], call->m, call->n);
        break;
    case FNN_FAMILY_R2_SUMS:
        FN(r2_sums)(total, a, call->ld[1], b, call->ld[2], call->m, call->n);
        break;
    case FNN_FAMILY_WEIGHTED_SUM:
        *total = FN(weighted_sum)(*total, a, call->ld[1], b, call->ld[2], call->m);
        break;
    case FNN_FAMILY_SUM_ABS:
        *total += FN(sum_abs)(a, call->n);
        break;
    default:
        *total += FN(sum_squares)(a, call->n);
        break;
    }
}

/* Operations on rows, or on one row of p elements: each row apart, since a stride may lie between them. */
INLINE void FN(operate_row)(const fnn_call *call, int64_t row)
{
    const int64_t n = call->n;
    const double *s = call->scalar;
    real *a = FN(at)(call, 0, row), *b = FN(at)(call, 1, row), *c = FN(at)(call, 2, row);
    switch (call->family) {
    case FNN_FAMILY_ACTIVATION_FORWARD:
        FN(activation_forward)(call->code, a, b, n, (real)s[0]);
        break;
    case FNN_FAMILY_ACTIVATION_BACKWARD:
        FN(activation_backward)(call->code, a, b, c, n, (real)s[0]);
        break;
    case FNN_FAMILY_PENALTY_BACKWARD:
        FN(penalty_backward)(a, b, n, (real)s[0], (real)s[1]);
        break;
    case FNN_FAMILY_ROW_SCALE:
        FN(row_scale)(a, b, n, (real)s[0]);
        break;
    case FNN_FAMILY_DECAY_STEP:
        FN(decay_step)(a, n, (real)s[0]);
        break;
    default: {
        const real h[4] = {(real)s[0], (real)s[1], (real)s[2], (real)s[3]};
        FN(optimizer_step)(call->code, a, b, c, FN(at)(call, 3, row), n, h);
        break;
    }
    }
}

/* Operations on rows that need the whole row. */
INLINE void FN(operate_losses)(const fnn_call *call, int64_t first, int64_t rows)
{
    const int64_t *ld = call->ld, n = call->n;
    const double *s = call->scalar;
    const bool sparse = call->code != FNN_LOGITS;
    real *a = FN(at)(call, 0, first), *b = FN(at)(call, 1, first), *c = FN(at)(call, 2, first);
    const real *d = FN(at)(call, 3, first);
    switch (call->family) {
    case FNN_FAMILY_SOFTMAX_FORWARD:
        FN(softmax_forward)(a, ld[0], b, ld[1], rows, n);
        break;
    case FNN_FAMILY_SOFTMAX_BACKWARD:
        FN(softmax_backward)(a, ld[0], b, ld[1], c, ld[2], rows, n);
        break;
    case FNN_FAMILY_LOSS_FORWARD:
        FN(loss_forward)(call->code, a, ld[0], b, ld[1], c, ld[2], rows, n, (real)s[0], (real)s[1], (real)s[2]);
        break;
    case FNN_FAMILY_LOSS_BACKWARD:
        FN(loss_backward)(call->code, a, ld[0], b, ld[1], c, ld[2], d, ld[3], rows, n, (real)s[0], (real)s[1],
                          (real)s[2]);
        break;
    case FNN_FAMILY_CROSSENTROPY_FORWARD:
        FN(crossentropy_forward)(sparse, a, ld[0], b, ld[1], c, ld[2], d, ld[3], rows, n, (real)s[0], (real)s[1]);
        break;
    case FNN_FAMILY_CROSSENTROPY_BACKWARD:
        FN(crossentropy_backward)(sparse, a, ld[0], b, ld[1], c, ld[2], d, ld[3], rows, n, (real)s[0], (real)s[1]);
        break;
    default:
        FN(accuracy)(call->code, a, ld[0], b, ld[1], c, ld[2], rows, n);
        break;
    }
}

KERNEL void FN(operate)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_call *call = context;
    int64_t first, last;
    switch (call->family) {
    case FNN_FAMILY_GEMM_NN:
    case FNN_FAMILY_GEMM_TN:
    case FNN_FAMILY_GEMM_NT:
    case FNN_FAMILY_DENSE_FORWARD:
        FN(operate_gemm)(call, sync, member, team);
        return;
    case FNN_FAMILY_BIAS_BACKWARD:
    case FNN_FAMILY_R2_SUMS:
    case FNN_FAMILY_WEIGHTED_SUM:
    case FNN_FAMILY_SUM_ABS:
    case FNN_FAMILY_SUM_SQUARES:
        if (member == 0) {
            FN(operate_sums)(call);
        }
        return;
    default:
        break;
    }
    fnn_share(call->m, 1, member, team, &first, &last);
    if (last <= first) {
        return;
    }
    if (call->family == FNN_FAMILY_DROPOUT) {
        FN(dropout_rows)(FN(at)(call, 0, first), call->ld[0], FN(at)(call, 1, first), call->ld[1], first, last, call->n,
                         call->scalar[0], call->seed, call->step, call->layer);
    } else if (call->family >= FNN_FAMILY_SOFTMAX_FORWARD && call->family <= FNN_FAMILY_METRIC) {
        FN(operate_losses)(call, first, last - first);
    } else {
        for (int64_t row = first; row < last; row++) {
            FN(operate_row)(call, row);
        }
    }
}

KERNEL void FN(scan)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_scan *scan = context;
    int64_t first, last;
    (void)sync;
    fnn_share(scan->rows, 1, member, team, &first, &last);
    scan->found[member] = -1;
    if (scan->row_bytes == scan->columns * (int64_t)sizeof(real)) {
        const int64_t at = FN(find_nonfinite)(scan->x + first * scan->row_bytes, (last - first) * scan->columns);
        scan->found[member] = at < 0 ? -1 : first * scan->columns + at;
        return;
    }
    for (int64_t row = first; row < last; row++) {
        const int64_t at = FN(find_nonfinite)(scan->x + row * scan->row_bytes, scan->columns);
        if (at >= 0) {
            scan->found[member] = row * scan->columns + at;
            return;
        }
    }
}

#endif
