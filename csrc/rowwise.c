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

/* Rows that are written and read, vectors that serve each of them, and a layer's constants; forward d is x. */
#undef MAP
#define MAP FN(row_map)
typedef struct MAP {
    real *out;
    const real *d, *x, *vector[FNN_MOST_VECTORS];
    int64_t ldo, ldd, ldx, rows, width;
    const double *h;
} MAP;

INLINE void FN(load_vectors)(const unsigned vectors, ROW *row, const MAP *map, int64_t c)
{
    for (unsigned i = 0; i < vectors; i++) {
        row->vector[i] = LOAD_FIRST(map->vector[i] + c, map->width - c);
    }
}

/* `terms` adds an element to the lanes of all sums. */
INLINE void FN(row_sums)(const unsigned sums, const unsigned vectors, void (*terms)(V *, V, V, const ROW *), ROW *row,
                         const MAP *map, int64_t index)
{
    const real *d = map->d + index * map->ldd, *x = map->x + index * map->ldx;
    V lanes[FNN_MOST_ROW_SUMS][PARTS];
    for (unsigned i = 0; i < sums; i++) {
        FN(begin)(lanes[i], (real)0);
    }
    for (int64_t c = 0; c < map->width && sums > 0; c += W) {
        const int64_t left = map->width - c;
        V before[FNN_MOST_ROW_SUMS], after[FNN_MOST_ROW_SUMS];
        FN(load_vectors)(vectors, row, map, c);
        for (unsigned i = 0; i < sums; i++) {
            before[i] = after[i] = LANE(lanes[i], c);
        }
        terms(after, LOAD_FIRST(d + c, left), LOAD_FIRST(x + c, left), row);
        for (unsigned i = 0; i < sums; i++) {
            LANE(lanes[i], c) = SELECT(FN(first)(left), after[i], before[i]);
        }
    }
    for (unsigned i = 0; i < sums; i++) {
        row->sum[i] = SPLAT(FN(fold_sum)(lanes[i]));
    }
}

INLINE void FN(map_rows)(const bool maximum, const unsigned sums, const unsigned vectors,
                         void (*terms)(V *, V, V, const ROW *), V (*formula)(V, V, const ROW *), const MAP *map)
{
    ROW row;
    FNN_UNROLL
    for (int i = 0; i < FNN_MOST_CONSTANTS; i++) {
        row.constant[i] = SPLAT((real)map->h[i]);
    }
    for (int64_t index = 0; index < map->rows; index++) {
        const real *d = map->d + index * map->ldd, *x = map->x + index * map->ldx;
        if (maximum) {
            row.maximum = SPLAT(FN(row_max)(x, map->width));
        }
        FN(row_sums)(sums, vectors, terms, &row, map, index);
        for (int64_t c = 0; c < map->width; c += W) {
            const int64_t left = map->width - c;
            FN(load_vectors)(vectors, &row, map, c);
            const V value = formula(LOAD_FIRST(d + c, left), LOAD_FIRST(x + c, left), &row);
            STORE_FIRST(map->out + index * map->ldo + c, value, left);
        }
    }
}

KERNEL void FN(row_wise_forward)(int code, real *A, int64_t lda, const real *Z, int64_t ldz, const real *v,
                                 const real *w, int64_t rows, int64_t width, const double *h)
{
    const MAP map = {A, Z, Z, {v, w}, lda, ldz, ldz, rows, width, h};
    switch (code) {
#define FNN_ITEM(name, maximum, forward_sums, backward_sums, vectors) \
    case FNN_ROW_WISE_##name: \
        FN(map_rows)(maximum, forward_sums, vectors, FN(name##_forward_terms), FN(name##_forward), &map); \
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
    const MAP map = {dZ, dA, S, {v, w}, ldz, lda, lds, rows, width, h};
    switch (code) {
#define FNN_ITEM(name, maximum, forward_sums, backward_sums, vectors) \
    case FNN_ROW_WISE_##name: \
        FN(map_rows)(false, backward_sums, vectors, FN(name##_backward_terms), FN(name##_backward), &map); \
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
