/* Softmax over whole rows, and crossentropy from logits. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "softmax.c"
#include "levels.h"

#else

#include "exchange.h"
#include "lanes.h"

/* --- rows of at most 16 columns: W of them at a time, a column's elements in a vector, lanes folded as vectors ------ */

/* Fewer rows are sooner done one by one. */
#undef LEAST_ROWS
#define LEAST_ROWS (W / 2)

INLINE void FN(load_columns)(V *columns, const real *src, int64_t ld, int64_t rows, int64_t width)
{
    for (int64_t c = 0; c < width; c += W) {
        if (rows >= W) {
            FNN_UNROLL
            for (int64_t row = 0; row < W; row++) {
                columns[c + row] = LOAD_FIRST(src + row * ld + c, width - c);
            }
        } else {
            for (int64_t row = 0; row < W; row++) {
                columns[c + row] = row < rows ? LOAD_FIRST(src + row * ld + c, width - c) : SPLAT((real)0);
            }
        }
        FN(exchange)(columns + c);
    }
}

/* Spoils the columns. */
INLINE void FN(store_columns)(real *dst, int64_t ld, V *columns, int64_t rows, int64_t width)
{
    for (int64_t c = 0; c < width; c += W) {
        FN(exchange)(columns + c);
        for (int64_t row = 0; row < fnn_least(W, rows); row++) {
            STORE_FIRST(dst + row * ld + c, columns[c + row], width - c);
        }
    }
}

/* Lanes past the width would change nothing but the sign of a sum that is -0. */
INLINE V FN(fold_columns)(const bool max, V *lanes, int64_t width)
{
    for (int64_t half = FNN_LANES / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i + half < width; i++) {
            lanes[i] = max ? MAX(lanes[i + half], lanes[i]) : lanes[i] + lanes[i + half];
        }
        width = fnn_least(width, half);
    }
    return lanes[0];
}

/* Leaves z - max in Z and e^(z - max) in P, and gives their sum. */
INLINE V FN(exponential_columns)(V *P, V *Z, int64_t width)
{
    V lanes[FNN_LANES];
    for (int64_t c = 0; c < width; c++) {
        lanes[c] = MAX(Z[c], SPLAT((real)-__builtin_inf()));
    }
    const V max = FN(fold_columns)(true, lanes, width);
    for (int64_t c = 0; c < width; c++) {
        Z[c] = Z[c] - max;
        P[c] = lanes[c] = FN(exp_nonpositive)(Z[c]);
    }
    return FN(fold_columns)(false, lanes, width);
}

INLINE void FN(store_scaled)(real *P, int64_t ldp, V *columns, V total, int64_t rows, int64_t width)
{
    const V inverse = SPLAT((real)1) / total;
    for (int64_t c = 0; c < width; c++) {
        columns[c] = columns[c] * inverse;
    }
    FN(store_columns)(P, ldp, columns, rows, width);
}

INLINE void FN(softmax_columns)(real *P, int64_t ldp, const real *Z, int64_t ldz, int64_t rows, int64_t width)
{
    V z[FNN_LANES], e[FNN_LANES];
    FN(load_columns)(z, Z, ldz, rows, width);
    const V total = FN(exponential_columns)(e, z, width);
    FN(store_scaled)(P, ldp, e, total, rows, width);
}

INLINE void FN(crossentropy_columns)(const bool sparse, const FN(loss_rows) *read, int64_t first)
{
    const int64_t rows = read->rows - first, width = read->width, ldy = read->ldy;
    const real *Y = read->Y + first * ldy;
    real *l = read->l + first * read->ldl;
    V z[FNN_LANES], e[FNN_LANES], loss = SPLAT((real)0);
    real values[W] = {0};
    FN(load_columns)(z, read->A + first * read->lda, read->lda, rows, width);
    const V total = FN(exponential_columns)(e, z, width), log_total = FN(log)(total);
    if (sparse) {
        for (int64_t row = 0; row < fnn_least(W, rows); row++) {
            values[row] = Y[row * ldy];
        }
        const V label = LOAD(values);
        for (int64_t c = 0; c < width; c++) {
            loss = SELECT(EQ(label, SPLAT((real)c)), log_total - z[c], loss);
        }
    } else {
        const V keep = SPLAT(read->keep), add = SPLAT(read->add);
        V y[FNN_LANES];
        FN(load_columns)(y, Y, ldy, rows, width);
        for (int64_t c = 0; c < width; c++) {
            y[c] = FMA(FMA(y[c], keep, add), log_total - z[c], SPLAT((real)0));
        }
        loss = FN(fold_columns)(false, y, width);
    }
    loss = sparse || width < FNN_LANES ? SPLAT((real)0) + loss : loss;
    STORE(values, loss);
    for (int64_t row = 0; row < fnn_least(W, rows); row++) {
        l[row * read->ldl] = values[row];
    }
    FN(store_scaled)(read->P + first * read->ldp, read->ldp, e, total, rows, width);
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */

/* Leaves e^(z - max) in P and gives their sum. */
INLINE real FN(exponentials)(real *P, const real *Z, int64_t width, real *max)
{
    V lanes[PARTS];
    *max = FN(row_max)(Z, width);
    const V m = SPLAT(*max);
    FN(begin)(lanes, (real)0);
    for (int64_t c = 0; c < width; c += W) {
        const int64_t left = width - c;
        const V e = FN(exp_nonpositive)(LOAD_FIRST(Z + c, left) - m), lane = LANE(lanes, c);
        STORE_FIRST(P + c, e, left);
        LANE(lanes, c) = SELECT(FN(first)(left), lane + e, lane);
    }
    return FN(fold_sum)(lanes);
}

/* P *= 1 / total. */
INLINE void FN(scale)(real *P, int64_t width, real total)
{
    const V inverse = SPLAT((real)1 / total);
    for (int64_t c = 0; c < width; c += W) {
        STORE_FIRST(P + c, LOAD_FIRST(P + c, width - c) * inverse, width - c);
    }
}

KERNEL void FN(softmax_forward)(real *P, int64_t ldp, const real *Z, int64_t ldz, int64_t rows, int64_t width)
{
    int64_t row = 0;
    for (; width <= FNN_LANES && row + LEAST_ROWS <= rows; row += W) {
        FN(softmax_columns)(P + row * ldp, ldp, Z + row * ldz, ldz, rows - row, width);
    }
    for (; row < rows; row++) {
        real max;
        const real total = FN(exponentials)(P + row * ldp, Z + row * ldz, width, &max);
        FN(scale)(P + row * ldp, width, total);
    }
}

KERNEL void FN(softmax_backward)(real *dZ, int64_t ldz, const real *dP, int64_t ld_dp, const real *P, int64_t ldp,
                                 int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        const real *d = dP + row * ld_dp, *p = P + row * ldp;
        V lanes[PARTS];
        FN(begin)(lanes, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V lane = LANE(lanes, c);
            LANE(lanes, c) = SELECT(FN(first)(left), FMA(LOAD_FIRST(d + c, left), LOAD_FIRST(p + c, left), lane), lane);
        }
        const V t = SPLAT(FN(fold_sum)(lanes));
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            STORE_FIRST(dZ + row * ldz + c, LOAD_FIRST(p + c, left) * (LOAD_FIRST(d + c, left) - t), left);
        }
    }
}

INLINE void FN(crossentropy_row)(const bool sparse, real *l, real *P, const real *Z, const real *Y, int64_t width,
                                 V keep, V add)
{
    V lanes[PARTS];
    real max;
    const real total = FN(exponentials)(P, Z, width, &max);
    const V m = SPLAT(max), log_total = FN(log)(SPLAT(total));
    FN(begin)(lanes, (real)0);
    for (int64_t c = 0; c < width; c += W) {
        const int64_t left = width - c;
        const V lane = LANE(lanes, c), surprise = log_total - (LOAD_FIRST(Z + c, left) - m);
        const V y = FN(target)(sparse, Y, c, left, keep, add);
        V after;
        if (sparse) {
            after = lane + SELECT(NE(y, SPLAT((real)0)), surprise, SPLAT((real)0));
        } else {
            after = FMA(y, surprise, lane);
        }
        LANE(lanes, c) = SELECT(FN(first)(left), after, lane);
    }
    *l = FN(fold_sum)(lanes);
    FN(scale)(P, width, total);
}

KERNEL void FN(crossentropy_forward)(bool sparse, const FN(loss_rows) *read)
{
    const V keep = SPLAT(read->keep), add = SPLAT(read->add);
    const int64_t width = read->width;
    int64_t row = 0;
    for (; width <= FNN_LANES && row + LEAST_ROWS <= read->rows; row += W) {
        if (sparse) {
            FN(crossentropy_columns)(true, read, row);
        } else {
            FN(crossentropy_columns)(false, read, row);
        }
    }
    for (; row < read->rows; row++) {
        real *l = read->l + row * read->ldl, *p = read->P + row * read->ldp;
        const real *z = read->A + row * read->lda, *y = read->Y + row * read->ldy;
        if (sparse) {
            FN(crossentropy_row)(true, l, p, z, y, width, keep, add);
        } else {
            FN(crossentropy_row)(false, l, p, z, y, width, keep, add);
        }
    }
}

INLINE void FN(crossentropy_slope)(const bool sparse, real *dZ, const real *P, const real *Y, real scale,
                                   int64_t width, V keep, V add)
{
    const V s = SPLAT(scale);
    V t = s;
    if (!sparse) {
        V lanes[PARTS];
        FN(begin)(lanes, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const V lane = LANE(lanes, c), y = FN(target)(false, Y, c, width - c, keep, add);
            LANE(lanes, c) = SELECT(FN(first)(width - c), lane + y, lane);
        }
        t = SPLAT(FN(fold_sum)(lanes));
    }
    for (int64_t c = 0; c < width; c += W) {
        const int64_t left = width - c;
        const V y = FN(target)(sparse, Y, c, left, keep, add), p = LOAD_FIRST(P + c, left);
        STORE_FIRST(dZ + c, (sparse ? p - y : FMA(p, t, -y)) * s, left);
    }
}

KERNEL void FN(crossentropy_backward)(bool sparse, const FN(loss_rows) *read)
{
    const V keep = SPLAT(read->keep), add = SPLAT(read->add);
    for (int64_t row = 0; row < read->rows; row++) {
        real *dZ = read->dA + row * read->ldd;
        const real *p = read->P + row * read->ldp, *y = read->Y + row * read->ldy, scale = read->s[row * read->lds];
        if (sparse) {
            FN(crossentropy_slope)(true, dZ, p, y, scale, read->width, keep, add);
        } else {
            FN(crossentropy_slope)(false, dZ, p, y, scale, read->width, keep, add);
        }
    }
}

#endif
