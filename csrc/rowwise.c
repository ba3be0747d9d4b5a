/* The layers of fastnn/core/rowwise.py: sums over each row, then a formula for each element. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "rowwise.c"
#include "levels.h"

#else

#include "lanes.h"

/* What a formula may read beside its element. */
#undef ROW
#define ROW FN(row_values)
typedef struct ROW {
    V maximum, sum[FNN_MOST_ROW_SUMS], vector[FNN_MOST_VECTORS], constant[FNN_MOST_CONSTANTS];
} ROW;

#if FNN_F64
#include "rowwise_f64.h"
#else
#include "rowwise_f32.h"
#endif

/* A layer's constants; its vectors are loaded column by column. */
INLINE void FN(begin_row)(ROW *row, const double *h)
{
    FNN_UNROLL
    for (int i = 0; i < FNN_MOST_CONSTANTS; i++) {
        row->constant[i] = SPLAT((real)h[i]);
    }
}

INLINE void FN(load_vectors)(const int vectors, ROW *row, const real *v, const real *w, int64_t c, int64_t left)
{
    if (vectors > 0) {
        row->vector[0] = LOAD_FIRST(v + c, left);
    }
    if (vectors > 1) {
        row->vector[1] = LOAD_FIRST(w + c, left);
    }
}

/* `terms` adds an element to the lanes of all sums; forward there is no d. */
INLINE void FN(row_sums)(const int sums, const int vectors, void (*terms)(V *, V, V, const ROW *), ROW *row,
                         const real *d, const real *x, const real *v, const real *w, int64_t width)
{
    V lanes[FNN_MOST_ROW_SUMS][PARTS];
    for (int i = 0; i < sums; i++) {
        FN(begin)(lanes[i], (real)0);
    }
    for (int64_t c = 0; c < width && sums > 0; c += W) {
        const int64_t left = width - c;
        V before[FNN_MOST_ROW_SUMS], after[FNN_MOST_ROW_SUMS];
        FN(load_vectors)(vectors, row, v, w, c, left);
        for (int i = 0; i < sums; i++) {
            before[i] = after[i] = LANE(lanes[i], c);
        }
        terms(after, LOAD_FIRST(d + c, left), LOAD_FIRST(x + c, left), row);
        for (int i = 0; i < sums; i++) {
            LANE(lanes[i], c) = SELECT(FN(first)(left), after[i], before[i]);
        }
    }
    for (int i = 0; i < sums; i++) {
        row->sum[i] = SPLAT(FN(fold_sum)(lanes[i]));
    }
}

INLINE void FN(map_rows)(const bool maximum, const int sums, const int vectors,
                         void (*terms)(V *, V, V, const ROW *), V (*formula)(V, V, const ROW *), real *out,
                         int64_t ldo, const real *d, int64_t ldd, const real *x, int64_t ldx, const real *v,
                         const real *w, int64_t rows, int64_t width, const double *h)
{
    ROW row;
    FN(begin_row)(&row, h);
    for (int64_t number = 0; number < rows; number++) {
        const real *d_row = d + number * ldd, *x_row = x + number * ldx;
        if (maximum) {
            row.maximum = SPLAT(FN(row_max)(x_row, width));
        }
        FN(row_sums)(sums, vectors, terms, &row, d_row, x_row, v, w, width);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            FN(load_vectors)(vectors, &row, v, w, c, left);
            STORE_FIRST(out + number * ldo + c, formula(LOAD_FIRST(d_row + c, left), LOAD_FIRST(x_row + c, left), &row),
                        left);
        }
    }
}

KERNEL void FN(row_wise_forward)(int code, real *A, int64_t lda, const real *Z, int64_t ldz, const real *v,
                                 const real *w, int64_t rows, int64_t width, const double *h)
{
    switch (code) {
#define FNN_ITEM(name, maximum, forward_sums, backward_sums, vectors) \
    case FNN_ROW_WISE_##name: \
        FN(map_rows)(maximum, forward_sums, vectors, FN(name##_forward_terms), FN(name##_forward), A, lda, Z, ldz, Z, \
                     ldz, v, w, rows, width, h); \
        break;
#include "rowwise.h"
#undef FNN_ITEM
    default:
        break;
    }
}

KERNEL void FN(row_wise_backward)(int code, real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *S,
                                  int64_t lds, const real *v, const real *w, int64_t rows, int64_t width,
                                  const double *h)
{
    switch (code) {
#define FNN_ITEM(name, maximum, forward_sums, backward_sums, vectors) \
    case FNN_ROW_WISE_##name: \
        FN(map_rows)(false, backward_sums, vectors, FN(name##_backward_terms), FN(name##_backward), dZ, ldz, dA, lda, \
                     S, lds, v, w, rows, width, h); \
        break;
#include "rowwise.h"
#undef FNN_ITEM
    default:
        break;
    }
}

/* Sums over the batch by the chunk rule of gemm.c. */
INLINE void FN(sum_slopes)(V (*slope)(V, V, V), real *dv, const real *dA, int64_t lda, const real *S, int64_t lds,
                           int64_t rows, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += W) {
        const int64_t left = columns - c;
        V total = SPLAT((real)0);
        for (int64_t start = 0; start < rows; start += FNN_K_CHUNK) {
            V chunk = SPLAT((real)0);
            for (int64_t row = start; row < fnn_least(start + FNN_K_CHUNK, rows); row++) {
                chunk = slope(chunk, LOAD_FIRST(dA + row * lda + c, left), LOAD_FIRST(S + row * lds + c, left));
            }
            total = start > 0 ? total + chunk : chunk;
        }
        STORE_FIRST(dv + c, total, left);
    }
}

KERNEL void FN(vector_backward)(int code, real *dv, const real *dA, int64_t lda, const real *S, int64_t lds,
                                int64_t rows, int64_t columns)
{
    switch (code) {
#define FNN_ITEM(name) \
    case FNN_VECTOR_##name: FN(sum_slopes)(FN(name##_slope), dv, dA, lda, S, lds, rows, columns); break;
#include "vectors.h"
#undef FNN_ITEM
    default:
        break;
    }
}

#endif
