/* Normalization by the batch, by rows and by kept statistics, and what limits gradients. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "normalization.c"
#include "levels.h"

#else

#include "columns.h"
#include "lanes.h"

/* --- vectors: over n contiguous elements ------------------------------------------------------------------------- */

KERNEL void FN(affine)(real *A, const real *Z, int64_t n, real scale, real offset)
{
    const V s = SPLAT(scale), o = SPLAT(offset);
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(A + i, FN(affine_element)(LOAD_FIRST(Z + i, n - i), s, o), n - i);
    }
}

KERNEL void FN(moving_average)(real *m, const real *x, int64_t n, real rate)
{
    const V r = SPLAT(rate);
    for (int64_t i = 0; i < n; i += W) {
        const int64_t left = n - i;
        STORE_FIRST(m + i, FN(moving_average_element)(LOAD_FIRST(m + i, left), LOAD_FIRST(x + i, left), r), left);
    }
}

INLINE void FN(map_deviation)(V (*formula)(V, V), real *inv, const real *var, int64_t n, real epsilon)
{
    const V e = SPLAT(epsilon);
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(inv + i, formula(LOAD_FIRST(var + i, n - i), e), n - i);
    }
}

KERNEL void FN(inverse_deviation)(int code, real *inv, const real *var, int64_t n, real epsilon)
{
    if (code == FNN_DEVIATION_CODE_inverse_deviation) {
        FN(map_deviation)(FN(inverse_deviation_element), inv, var, n, epsilon);
    } else {
        FN(map_deviation)(FN(inverse_deviation_floor_element), inv, var, n, epsilon);
    }
}

KERNEL void FN(clip_value)(real *g, int64_t n, real limit)
{
    const V low = SPLAT(-limit), high = SPLAT(limit);
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(g + i, FN(clip)(LOAD_FIRST(g + i, n - i), low, high), n - i);
    }
}

KERNEL void FN(gradient_scale)(real *g, int64_t n, real factor)
{
    const V f = SPLAT(factor);
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(g + i, LOAD_FIRST(g + i, n - i) * f, n - i);
    }
}

/* --- columns: sums over the batch -------------------------------------------------------------------------------- */

KERNEL void FN(scale_backward)(real *dg, const real *dA, int64_t lda, const real *N, int64_t ldn, int64_t rows,
                               int64_t columns)
{
    FN(sum_columns)(SUM_PRODUCTS, dg, dA, lda, N, ldn, rows, columns);
}

KERNEL void FN(batch_moments)(real *mean, real *var, const real *Z, int64_t ld, int64_t rows, int64_t columns,
                              real inverse_b)
{
    FN(sum_columns)(SUM, mean, Z, ld, NULL, 0, rows, columns);
    FN(gradient_scale)(mean, columns, inverse_b);
    FN(sum_columns)(SUM_SQUARES, var, Z, ld, mean, 0, rows, columns);
    FN(gradient_scale)(var, columns, inverse_b);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

KERNEL void FN(standardize_forward)(real *A, int64_t lda, const real *Z, int64_t ldz, const real *mean, const real *inv,
                                    const real *gamma, const real *beta, int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V z = LOAD_FIRST(Z + row * ldz + c, left);
            const V n = FN(standardized)(z, LOAD_FIRST(mean + c, left), LOAD_FIRST(inv + c, left));
            STORE_FIRST(A + row * lda + c, FMA(n, LOAD_FIRST(gamma + c, left), LOAD_FIRST(beta + c, left)), left);
        }
    }
}

KERNEL void FN(standardize_backward)(real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *inv,
                                     const real *gamma, int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V d = LOAD_FIRST(dA + row * lda + c, left);
            const V slope = FN(standardize_slope)(d, LOAD_FIRST(inv + c, left), LOAD_FIRST(gamma + c, left));
            STORE_FIRST(dZ + row * ldz + c, slope, left);
        }
    }
}

KERNEL void FN(batch_norm_forward)(real *A, int64_t lda, real *N, int64_t ldn, const real *Z, int64_t ldz,
                                   const FN(normal) *normal, int64_t rows, int64_t width)
{
    const real *mean = normal->mean, *inv = normal->inv, *gamma = normal->gamma, *beta = normal->beta;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V z = LOAD_FIRST(Z + row * ldz + c, left);
            const V n = FN(standardized)(z, LOAD_FIRST(mean + c, left), LOAD_FIRST(inv + c, left));
            STORE_FIRST(N + row * ldn + c, n, left);
            STORE_FIRST(A + row * lda + c, FMA(n, LOAD_FIRST(gamma + c, left), LOAD_FIRST(beta + c, left)), left);
        }
    }
}

KERNEL void FN(batch_norm_backward)(real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *N, int64_t ldn,
                                    const FN(normal) *normal, int64_t rows, int64_t width)
{
    const real *inv = normal->inv, *gamma = normal->gamma, *db = normal->db, *dg = normal->dg;
    const V b = SPLAT(normal->inverse);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V d = LOAD_FIRST(dA + row * lda + c, left), n = LOAD_FIRST(N + row * ldn + c, left);
            const V slope = FN(batch_norm_slope)(d, n, LOAD_FIRST(inv + c, left), LOAD_FIRST(gamma + c, left),
                                                 LOAD_FIRST(db + c, left), LOAD_FIRST(dg + c, left), b);
            STORE_FIRST(dZ + row * ldz + c, slope, left);
        }
    }
}

/* N holds Z - mean until the deviation is known. */
KERNEL void FN(layer_norm_forward)(real *A, int64_t lda, real *N, int64_t ldn, real *inv, int64_t ld_inv, const real *Z,
                                   int64_t ldz, const FN(normal) *normal, int64_t rows, int64_t width)
{
    const real *gamma = normal->gamma, *beta = normal->beta;
    const V share = SPLAT(normal->inverse), epsilon = SPLAT(normal->epsilon);
    for (int64_t row = 0; row < rows; row++) {
        real *n = N + row * ldn;
        const V minus_sum = -SPLAT(FN(row_sum)(Z + row * ldz, width));
        V lanes[PARTS];
        FN(begin)(lanes, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V lane = LANE(lanes, c), d = FMA(minus_sum, share, LOAD_FIRST(Z + row * ldz + c, left));
            STORE_FIRST(n + c, d, left);
            LANE(lanes, c) = SELECT(FN(first)(left), FMA(d, d, lane), lane);
        }
        const V squares = SPLAT(FN(fold_sum)(lanes));
        const V inverse = SPLAT((real)1) / SQRT(FMA(squares, share, epsilon));
        inv[row * ld_inv] = inverse[0];
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V normal = LOAD_FIRST(n + c, left) * inverse;
            STORE_FIRST(n + c, normal, left);
            STORE_FIRST(A + row * lda + c, FMA(normal, LOAD_FIRST(gamma + c, left), LOAD_FIRST(beta + c, left)), left);
        }
    }
}

KERNEL void FN(layer_norm_backward)(real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *N, int64_t ldn,
                                    const real *inv, int64_t ld_inv, const real *gamma, int64_t rows, int64_t width,
                                    real inverse_o)
{
    for (int64_t row = 0; row < rows; row++) {
        const real *d_row = dA + row * lda, *n_row = N + row * ldn;
        V sum_g[PARTS], sum_gn[PARTS];
        FN(begin)(sum_g, (real)0);
        FN(begin)(sum_gn, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V d = LOAD_FIRST(d_row + c, left), n = LOAD_FIRST(n_row + c, left);
            const V g = LOAD_FIRST(gamma + c, left), lane_g = LANE(sum_g, c), lane_gn = LANE(sum_gn, c);
            LANE(sum_g, c) = SELECT(FN(first)(left), FMA(d, g, lane_g), lane_g);
            LANE(sum_gn, c) = SELECT(FN(first)(left), FMA(d * g, n, lane_gn), lane_gn);
        }
        const V m1 = SPLAT(FN(fold_sum)(sum_g) * inverse_o), m2 = SPLAT(FN(fold_sum)(sum_gn) * inverse_o);
        const V inverse = SPLAT(inv[row * ld_inv]);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V d = LOAD_FIRST(d_row + c, left), n = LOAD_FIRST(n_row + c, left);
            const V slope = FN(layer_norm_slope)(d, n, inverse, LOAD_FIRST(gamma + c, left), m1, m2);
            STORE_FIRST(dZ + row * ldz + c, slope, left);
        }
    }
}

#endif
