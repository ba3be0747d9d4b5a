/* Softmax over whole rows, and crossentropy from logits. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "softmax.c"
#include "levels.h"

#else

#include "lanes.h"

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
    for (int64_t row = 0; row < rows; row++) {
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

KERNEL void FN(crossentropy_forward)(bool sparse, real *l, int64_t ldl, real *P, int64_t ldp, const real *Z,
                                     int64_t ldz, const real *Y, int64_t ldy, int64_t rows, int64_t width, real keep,
                                     real add)
{
    const V k = SPLAT(keep), a = SPLAT(add);
    for (int64_t row = 0; row < rows; row++) {
        if (sparse) {
            FN(crossentropy_row)(true, l + row * ldl, P + row * ldp, Z + row * ldz, Y + row * ldy, width, k, a);
        } else {
            FN(crossentropy_row)(false, l + row * ldl, P + row * ldp, Z + row * ldz, Y + row * ldy, width, k, a);
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

KERNEL void FN(crossentropy_backward)(bool sparse, real *dZ, int64_t ldz, const real *P, int64_t ldp, const real *Y,
                                      int64_t ldy, const real *s, int64_t lds, int64_t rows, int64_t width, real keep,
                                      real add)
{
    const V k = SPLAT(keep), a = SPLAT(add);
    for (int64_t row = 0; row < rows; row++) {
        if (sparse) {
            FN(crossentropy_slope)(true, dZ + row * ldz, P + row * ldp, Y + row * ldy, s[row * lds], width, k, a);
        } else {
            FN(crossentropy_slope)(false, dZ + row * ldz, P + row * ldp, Y + row * ldy, s[row * lds], width, k, a);
        }
    }
}

#endif
