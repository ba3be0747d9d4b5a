/* Operations of the table, as every thread of a team runs them on its share of a call. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "operations.c"
#include "levels.h"

#else

/* Row `row` of array `index`. */
INLINE real *FN(row_of)(const fnn_call *call, int index, int64_t row)
{
    return call->array[index] == NULL ? NULL : (real *)call->array[index] + row * call->ld[index];
}

/* The first scalar: in a program it may be 1 / the rows of the batch. */
INLINE real FN(first_scalar)(const fnn_call *call, int64_t batch_rows)
{
    return (real)(call->per_batch ? 1.0 / (double)batch_rows : call->scalar[0]);
}

/* Whether members take columns of C, and each packs or reads its own part of B: else rows. Columns cost a line of memory
 * that two threads write in every row of C, unless it begins with a line, so a C that is not wide goes by rows where
 * those of a member repay all of B. */
INLINE bool FN(by_columns)(const fnn_call *call, int64_t team)
{
    const int64_t enough = call->family == FNN_FAMILY_GEMM_NT ? FNN_COLUMN_ROWS_NT : FNN_COLUMN_ROWS;
    return call->n >= call->m && (call->n > 2 * call->m || call->m < team * enough);
}

/* Whether a member takes chunks of k: where C is too small for the team, or is one row, or column, whose pieces are
 * short. */
INLINE bool FN(shares_chunks)(const fnn_call *call, int64_t team)
{
    const int64_t m = call->m, n = call->n, chunks = (call->k + FNN_K_CHUNK - 1) / FNN_K_CHUNK;
    const int64_t unit = FN(by_columns)(call, team) ? 2 * FNN_ROW_BLOCK : FNN_ROW_BLOCK, most = fnn_greatest(m, n);
    const bool row = m == 1 && call->family != FNN_FAMILY_GEMM_NT, column = n == 1 && call->family == FNN_FAMILY_GEMM_TN;
    const bool few = (team - 1) * unit >= most || ((row || column) && most * (int64_t)sizeof(real) < team * FNN_PIECE_BYTES);
    return team > 1 && chunks > 1 && few && call->family != FNN_FAMILY_DENSE_FORWARD &&
           m * n * ((chunks + team - 1) / team) <= FNN_SCRATCH - FNN_PACK_SIZE;
}

/* C = P, or C + P, by rows. */
INLINE void FN(add_chunk)(const bool first, real *C, int64_t ldc, const real *P, int64_t m, int64_t n)
{
    for (int64_t row = 0; row < m; row++) {
        for (int64_t j = 0; j < n; j += W) {
            const V p = LOAD_FIRST(P + row * n + j, n - j);
            real *c = C + row * ldc + j;
            STORE_FIRST(c, first ? p : LOAD_FIRST(c, n - j) + p, n - j);
        }
    }
}

/* A GEMM by chunks of k, whose sums wait in the scratch; the member that finishes last adds them in order. */
INLINE void FN(operate_chunks)(const fnn_call *call, fnn_sync *sync, int64_t a_row, int64_t a_k, real *scratch,
                               int64_t member, int64_t team)
{
    const int64_t m = call->m, n = call->n, k = call->k, chunks = (k + FNN_K_CHUNK - 1) / FNN_K_CHUNK;
    const int64_t ldb = call->ld[2];
    const bool transposed = call->family == FNN_FAMILY_GEMM_NT;
    int64_t first, last;
    fnn_share(chunks, 1, member, team, &first, &last);
    for (int64_t chunk = first; chunk < last; chunk++) {
        const int64_t start = chunk * FNN_K_CHUNK;
        FN(gemm)(&(FN(product)){
            .C = scratch + FNN_PACK_SIZE + (chunk - first) * m * n, .ldc = n,
            .A = (const real *)call->array[1] + start * a_k, .a_row = a_row, .a_k = a_k,
            .B = (const real *)call->array[2] + start * (transposed ? 1 : ldb), .ldb = ldb, .n = n,
            .k = fnn_least(FNN_K_CHUNK, k - start), .flags = transposed ? FNN_TRANSPOSED : 0,
        }, m, scratch);
    }
    if (atomic_fetch_add_explicit(&sync->count, 1, memory_order_acq_rel) < team - 1) {
        return;
    }
    for (int64_t other = 0; other < team; other++) {
        const real *sums = (const real *)call->scratch + other * FNN_SCRATCH + FNN_PACK_SIZE;
        fnn_share(chunks, 1, other, team, &first, &last);
        for (int64_t chunk = first; chunk < last; chunk++) {
            FN(add_chunk)(chunk == 0, (real *)call->array[0], call->ld[0], sums + (chunk - first) * m * n, m, n);
        }
    }
}

/* The GEMM rows: a member takes chunks of k, columns or rows of C. */
INLINE void FN(operate_gemm)(const fnn_call *call, fnn_sync *sync, int64_t member, int64_t team)
{
    const int64_t m = call->m, n = call->n, lda = call->ld[1], ldb = call->ld[2];
    const bool transposed = call->family == FNN_FAMILY_GEMM_NT, columns = FN(by_columns)(call, team);
    const bool bias = call->family == FNN_FAMILY_DENSE_FORWARD, transposed_a = call->family == FNN_FAMILY_GEMM_TN;
    const int64_t a_row = transposed_a ? 1 : lda, a_k = transposed_a ? lda : 1;
    real *scratch = (real *)call->scratch + member * FNN_SCRATCH;
    int64_t first, last;
    FN(expected)(scratch)->left = 0;
    if (FN(shares_chunks)(call, team)) {
        FN(operate_chunks)(call, sync, a_row, a_k, scratch, member, team);
        return;
    }
    fnn_share(columns ? n : m, columns ? 2 * FNN_ROW_BLOCK : FNN_ROW_BLOCK, member, team, &first, &last);
    if (last <= first) {
        return;
    }
    const int64_t row = columns ? 0 : first, column = columns ? first : 0;
    FN(gemm)(&(FN(product)){
        .C = FN(row_of)(call, 0, row) + column, .ldc = call->ld[0], .A = (const real *)call->array[1] + row * a_row,
        .a_row = a_row, .a_k = a_k, .B = (const real *)call->array[2] + column * (transposed ? ldb : 1), .ldb = ldb,
        .n = columns ? last - first : n, .k = call->k,
        .epilogue = bias ? (const real *)call->array[3] + column : NULL,
        .flags = (bias ? FNN_BIAS : 0) | (transposed ? FNN_TRANSPOSED : 0),
    }, columns ? m : last - first, scratch);
}

/* Totals, whose order is fixed: one thread. */
INLINE void FN(operate_totals)(const fnn_call *call)
{
    double *total = (double *)call->array[0];
    const int64_t *ld = call->ld;
    const real *a = FN(row_of)(call, 1, 0), *b = FN(row_of)(call, 2, 0), *c = FN(row_of)(call, 3, 0);
    switch (call->family) {
    case FNN_FAMILY_R2_SUMS:
        FN(r2_sums)(total, a, ld[1], b, ld[2], c, ld[3], call->m, call->n);
        break;
    case FNN_FAMILY_EMBEDDING_BACKWARD:
        FN(embedding_backward)(FN(row_of)(call, 0, 0), ld[0], 0, INT64_MAX, a, ld[1], b, ld[2], call->m, call->n,
                               call->k);
        break;
    case FNN_FAMILY_WEIGHTED_SUM:
        *total = FN(weighted_sum)(*total, a, ld[1], b, ld[2], call->m);
        break;
    case FNN_FAMILY_SUM_ABS:
        *total += FN(sum_abs)(a, call->n);
        break;
    default:
        *total += FN(sum_squares)(a, call->n);
        break;
    }
}

/* Columns first ... first + n - 1 of sums over the rows of a batch. */
KERNEL void FN(sum_batch)(const fnn_call *call, real *sums, int64_t first, int64_t n, int64_t rows)
{
    const int64_t *ld = call->ld;
    const real *b = FN(row_of)(call, 1, 0) + first, *c = FN(row_of)(call, 2, 0) + first;
    switch (call->family) {
    case FNN_FAMILY_BIAS_BACKWARD:
        FN(bias_backward)(sums, b, ld[1], rows, n);
        break;
    case FNN_FAMILY_SCALE_BACKWARD:
        FN(scale_backward)(sums, b, ld[1], c, ld[2], rows, n);
        break;
    default:
        FN(vector_backward)(call->code, sums, b, ld[1], c, ld[2], rows, n);
        break;
    }
}

/* Statistics of a batch of so many rows, and what follows from them: a member takes columns. */
KERNEL void FN(operate_columns)(const fnn_call *call, int64_t rows, int64_t member, int64_t team)
{
    int64_t first, last;
    fnn_share(call->n, FNN_ROW_BLOCK, member, team, &first, &last);
    if (last <= first) {
        return;
    }
    const int64_t n = last - first;
    const real s = FN(first_scalar)(call, rows);
    real *a = FN(row_of)(call, 0, 0) + first, *b = FN(row_of)(call, 1, 0) + first;
    switch (call->family) {
    case FNN_FAMILY_BATCH_MOMENTS:
        FN(batch_moments)(a, b, FN(row_of)(call, 2, 0) + first, call->ld[2], rows, n, s);
        break;
    case FNN_FAMILY_INVERSE_DEVIATION:
        FN(inverse_deviation)(call->code, a, b, n, s);
        break;
    case FNN_FAMILY_MOVING_AVERAGE:
        FN(moving_average)(a, b, n, s);
        break;
    default:
        FN(sum_batch)(call, a, first, n, rows);
        break;
    }
}

/* Elements of a row: each row apart, since a stride may lie between them. */
INLINE void FN(operate_elements)(const fnn_call *call, int64_t row, int64_t n)
{
    const real s[2] = {(real)call->scalar[0], (real)call->scalar[1]};
    real *a = FN(row_of)(call, 0, row), *b = FN(row_of)(call, 1, row), *c = FN(row_of)(call, 2, row);
    switch (call->family) {
    case FNN_FAMILY_BINARY:
        FN(binary)(call->code, a, b, c, n);
        break;
    case FNN_FAMILY_BINARY_BACKWARD:
        FN(binary_backward)(call->code, a, b, c, FN(row_of)(call, 3, row), n);
        break;
    case FNN_FAMILY_COPY:
        memcpy(a, b, (size_t)n * sizeof(real));
        break;
    case FNN_FAMILY_FILL:
        FN(fill)(a, n, s[0]);
        break;
    case FNN_FAMILY_ACTIVATION_FORWARD:
        FN(activation_forward)(call->code, a, b, n, s[0]);
        break;
    case FNN_FAMILY_ACTIVATION_BACKWARD:
        FN(activation_backward)(call->code, a, b, c, n, s[0]);
        break;
    case FNN_FAMILY_PENALTY_BACKWARD:
        FN(penalty_backward)(a, b, n, s[0], s[1]);
        break;
    case FNN_FAMILY_AFFINE:
        FN(affine)(a, b, n, s[0], s[1]);
        break;
    case FNN_FAMILY_ROW_SCALE:
        FN(row_scale)(a, b, n, s[0]);
        break;
    case FNN_FAMILY_GRADIENT_SCALE:
        FN(gradient_scale)(a, n, s[0]);
        break;
    case FNN_FAMILY_CLIP_VALUE:
        FN(clip_value)(a, n, s[0]);
        break;
    case FNN_FAMILY_DECAY_STEP:
        FN(decay_step)(a, n, s[0]);
        break;
    case FNN_FAMILY_OPTIMIZER_STEP: {
        void *const slots[] = {c, FN(row_of)(call, 3, row), FN(row_of)(call, 4, row)};
        FN(optimizer_step)(call->code, a, slots, 0, b, n, call->scalar, FNN_STEP_PREFETCH_BYTES);
        break;
    }
    default:
        break;
    }
}

/* Losses and metrics of rows. */
KERNEL void FN(operate_losses)(const fnn_call *call, int64_t first, int64_t rows)
{
    const int64_t *ld = call->ld, n = call->n;
    const bool sparse = call->code != FNN_LOGITS;
    real *a = FN(row_of)(call, 0, first), *b = FN(row_of)(call, 1, first), *c = FN(row_of)(call, 2, first);
    const real *d = FN(row_of)(call, 3, first);
    FN(loss_rows) read = {
        .l = a, .dA = a, .ldl = ld[0], .ldd = ld[0], .rows = rows, .width = n,
        .p = (real)call->scalar[0], .keep = (real)call->scalar[1], .add = (real)call->scalar[2],
    };
    switch (call->family) {
    case FNN_FAMILY_LOSS_FORWARD:
        read.A = b, read.lda = ld[1], read.Y = c, read.ldy = ld[2];
        FN(loss_forward)(call->code, &read);
        break;
    case FNN_FAMILY_LOSS_BACKWARD:
        read.A = b, read.lda = ld[1], read.Y = c, read.ldy = ld[2], read.s = d, read.lds = ld[3];
        FN(loss_backward)(call->code, &read);
        break;
    case FNN_FAMILY_CROSSENTROPY_FORWARD:
        read.P = b, read.ldp = ld[1], read.A = c, read.lda = ld[2], read.Y = d, read.ldy = ld[3];
        FN(crossentropy_forward)(sparse, &read);
        break;
    case FNN_FAMILY_CROSSENTROPY_BACKWARD:
        read.P = b, read.ldp = ld[1], read.Y = c, read.ldy = ld[2], read.s = d, read.lds = ld[3];
        FN(crossentropy_backward)(sparse, &read);
        break;
    default:
        FN(accuracy)(call->code, a, ld[0], b, ld[1], c, ld[2], rows, n);
        break;
    }
}

/* Whole rows, with vectors that serve each of them. */
INLINE void FN(operate_normalization)(const fnn_call *call, int64_t first, int64_t rows, int64_t batch_rows)
{
    const int64_t *ld = call->ld, n = call->n;
    const real s = FN(first_scalar)(call, batch_rows);
    real *a = FN(row_of)(call, 0, first), *b = FN(row_of)(call, 1, first), *c = FN(row_of)(call, 2, first);
    const real *d = FN(row_of)(call, 3, first), *v4 = call->array[4], *v5 = call->array[5], *v6 = call->array[6];
    switch (call->family) {
    case FNN_FAMILY_STANDARDIZE_FORWARD:
        FN(standardize_forward)(a, ld[0], b, ld[1], c, d, v4, v5, rows, n);
        break;
    case FNN_FAMILY_STANDARDIZE_BACKWARD:
        FN(standardize_backward)(a, ld[0], b, ld[1], c, d, rows, n);
        break;
    case FNN_FAMILY_BATCH_NORM_FORWARD: {
        const FN(normal) normal = {.mean = d, .inv = v4, .gamma = v5, .beta = v6};
        FN(batch_norm_forward)(a, ld[0], b, ld[1], c, ld[2], &normal, rows, n);
        break;
    }
    case FNN_FAMILY_BATCH_NORM_BACKWARD: {
        const FN(normal) normal = {.inv = d, .gamma = v4, .db = v5, .dg = v6, .inverse = s};
        FN(batch_norm_backward)(a, ld[0], b, ld[1], c, ld[2], &normal, rows, n);
        break;
    }
    case FNN_FAMILY_LAYER_NORM_FORWARD: {
        const FN(normal) normal = {.gamma = v4, .beta = v5, .epsilon = s, .inverse = (real)call->scalar[1]};
        FN(layer_norm_forward)(a, ld[0], b, ld[1], c, ld[2], d, ld[3], &normal, rows, n);
        break;
    }
    default:
        FN(layer_norm_backward)(a, ld[0], b, ld[1], c, ld[2], d, ld[3], v4, rows, n, s);
        break;
    }
}

/* Rows first ... first + rows - 1 of an instruction, in a batch of so many: whole rows, with vectors that serve each of
 * them, or elements, which may be those of all rows at once. */
KERNEL void FN(operate_rows)(const fnn_call *call, int64_t first, int64_t rows, int64_t batch_rows)
{
    const int64_t *ld = call->ld, n = call->n;
    real *a = FN(row_of)(call, 0, first), *b = FN(row_of)(call, 1, first), *c = FN(row_of)(call, 2, first);
    const real *v2 = call->array[2], *v3 = call->array[3], *v4 = call->array[4];
    const fnn_draw draw = {call->seed, call->step, call->layer};
    switch (call->family) {
    case FNN_FAMILY_SOFTMAX_FORWARD:
        FN(softmax_forward)(a, ld[0], b, ld[1], rows, n);
        break;
    case FNN_FAMILY_SOFTMAX_BACKWARD:
        FN(softmax_backward)(a, ld[0], b, ld[1], c, ld[2], rows, n);
        break;
    case FNN_FAMILY_STANDARDIZE_FORWARD:
    case FNN_FAMILY_STANDARDIZE_BACKWARD:
    case FNN_FAMILY_BATCH_NORM_FORWARD:
    case FNN_FAMILY_BATCH_NORM_BACKWARD:
    case FNN_FAMILY_LAYER_NORM_FORWARD:
    case FNN_FAMILY_LAYER_NORM_BACKWARD:
        FN(operate_normalization)(call, first, rows, batch_rows);
        break;
    case FNN_FAMILY_ROW_WISE_FORWARD:
        FN(row_wise_forward)(call->code, a, ld[0], b, ld[1], v2, v3, rows, n, call->scalar);
        break;
    case FNN_FAMILY_ROW_WISE_BACKWARD:
        FN(row_wise_backward)(call->code, a, ld[0], b, ld[1], c, ld[2], v3, v4, rows, n, call->scalar);
        break;
    case FNN_FAMILY_EMBEDDING_FORWARD:
        FN(embedding_forward)(a, ld[0], b, ld[1], v2, ld[2] > 0 ? ld[2] : call->k, rows, n, call->k);
        break;
    case FNN_FAMILY_ROW_SUM:
        FN(sum_rows)(a, ld[0], b, ld[1], rows, n);
        break;
    case FNN_FAMILY_REPEAT:
        FN(repeat)(a, ld[0], b, ld[1], rows, n);
        break;
    case FNN_FAMILY_DROPOUT:
        FN(dropout_rows)(a, ld[0], b, ld[1], NULL, 0, first, first + rows, n, call->scalar[0], &draw);
        break;
    case FNN_FAMILY_UNIFORM:
        FN(uniform_rows)(a, ld[0], call->k + first, call->k + first + rows, n, &draw);
        break;
    default:
        if (call->flat) {
            FN(operate_elements)(call, first, rows * ld[0]);
        } else {
            for (int64_t row = first; row < first + rows; row++) {
                FN(operate_elements)(call, row, n);
            }
        }
        break;
    }
}

KERNEL void FN(operate)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_call *call = context;
    int64_t first, last;
    fnn_share(call->m, 1, member, team, &first, &last);
    switch (call->family) {
    case FNN_FAMILY_GEMM_NN:
    case FNN_FAMILY_GEMM_TN:
    case FNN_FAMILY_GEMM_NT:
    case FNN_FAMILY_DENSE_FORWARD:
        FN(operate_gemm)(call, sync, member, team);
        break;
    case FNN_FAMILY_BIAS_BACKWARD:
    case FNN_FAMILY_SCALE_BACKWARD:
    case FNN_FAMILY_VECTOR_BACKWARD:
    case FNN_FAMILY_BATCH_MOMENTS:
    case FNN_FAMILY_INVERSE_DEVIATION:
    case FNN_FAMILY_MOVING_AVERAGE:
        FN(operate_columns)(call, call->m, member, team);
        break;
    case FNN_FAMILY_R2_SUMS:
    case FNN_FAMILY_WEIGHTED_SUM:
    case FNN_FAMILY_SUM_ABS:
    case FNN_FAMILY_SUM_SQUARES:
    case FNN_FAMILY_EMBEDDING_BACKWARD:
        if (member == 0) {
            FN(operate_totals)(call);
        }
        break;
    case FNN_FAMILY_LOSS_FORWARD:
    case FNN_FAMILY_LOSS_BACKWARD:
    case FNN_FAMILY_CROSSENTROPY_FORWARD:
    case FNN_FAMILY_CROSSENTROPY_BACKWARD:
    case FNN_FAMILY_METRIC:
        if (last > first) {
            FN(operate_losses)(call, first, last - first);
        }
        break;
    default:
        if (last > first) {
            FN(operate_rows)(call, first, last - first, call->m);
        }
        break;
    }
}

#endif
