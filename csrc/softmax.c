/* What needs a whole row: softmax, the losses, the accuracies.
 *
 * A row's sum has 16 lanes: element c goes to lane c mod 16, in ascending c; then lanes fold at distances 8, 4, 2, 1.
 * PARTS vectors hold the lanes.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "softmax.c"
#include "levels.h"

#else

/* A row's lanes, all `start`. */
INLINE void FN(begin)(V *lanes, real start)
{
    for (int64_t part = 0; part < PARTS; part++) {
        lanes[part] = SPLAT(start);
    }
}

/* The lane that the block at column c belongs to. */
#undef LANE
#define LANE(lanes, c) ((lanes)[(c) / W % PARTS])

#if FNN_LEVEL == FNN_PORTABLE
INLINE real FN(fold_sum)(const V *lanes)
{
    real lane[FNN_LANES];
    memcpy(lane, lanes, sizeof lane);
    FNN_UNROLL
    for (int half = FNN_LANES / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int i = 0; i < half; i++) {
            lane[i] = lane[i] + lane[i + half];
        }
    }
    return lane[0];
}

INLINE real FN(fold_max)(const V *lanes)
{
    real lane[FNN_LANES];
    memcpy(lane, lanes, sizeof lane);
    FNN_UNROLL
    for (int half = FNN_LANES / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int i = 0; i < half; i++) {
            lane[i] = lane[i + half] > lane[i] ? lane[i + half] : lane[i];
        }
    }
    return lane[0];
}
#else
/* In registers: lane i with lane i + h for h = 8, 4, 2, 1. `max` keeps the left one unless the right one exceeds it, as
 * the instruction does with its operands in this order. */
INLINE real FN(fold)(const bool max, const V *lanes)
{
#if FNN_F64
#if FNN_LEVEL == FNN_AVX512
    const __m512d eight = max ? _mm512_max_pd(lanes[1], lanes[0]) : _mm512_add_pd(lanes[0], lanes[1]);
    const __m256d low = _mm512_castpd512_pd256(eight), high = _mm512_extractf64x4_pd(eight, 1);
#else
    const __m256d low = max ? _mm256_max_pd(lanes[2], lanes[0]) : _mm256_add_pd(lanes[0], lanes[2]);
    const __m256d high = max ? _mm256_max_pd(lanes[3], lanes[1]) : _mm256_add_pd(lanes[1], lanes[3]);
#endif
    const __m256d four = max ? _mm256_max_pd(high, low) : _mm256_add_pd(low, high);
    const __m128d a = _mm256_castpd256_pd128(four), b = _mm256_extractf128_pd(four, 1);
    const __m128d two = max ? _mm_max_pd(b, a) : _mm_add_pd(a, b), other = _mm_unpackhi_pd(two, two);
    return _mm_cvtsd_f64(max ? _mm_max_sd(other, two) : _mm_add_sd(two, other));
#else
#if FNN_LEVEL == FNN_AVX512
    const __m256 low = _mm512_castps512_ps256(lanes[0]), high = _mm512_extractf32x8_ps(lanes[0], 1);
#else
    const __m256 low = lanes[0], high = lanes[1];
#endif
    const __m256 eight = max ? _mm256_max_ps(high, low) : _mm256_add_ps(low, high);
    const __m128 a = _mm256_castps256_ps128(eight), b = _mm256_extractf128_ps(eight, 1);
    const __m128 four = max ? _mm_max_ps(b, a) : _mm_add_ps(a, b), upper = _mm_movehl_ps(four, four);
    const __m128 two = max ? _mm_max_ps(upper, four) : _mm_add_ps(four, upper), other = _mm_movehdup_ps(two);
    return _mm_cvtss_f32(max ? _mm_max_ss(other, two) : _mm_add_ss(two, other));
#endif
}

INLINE real FN(fold_sum)(const V *lanes)
{
    return FN(fold)(false, lanes);
}

INLINE real FN(fold_max)(const V *lanes)
{
    return FN(fold)(true, lanes);
}
#endif

/* The row's maximum; NaN never exceeds, so a row without a number gives -inf. */
INLINE real FN(row_max)(const real *row, int64_t width)
{
    V lanes[PARTS];
    FN(begin)(lanes, (real)-__builtin_inf());
    for (int64_t c = 0; c < width; c += W) {
        const V x = LOAD_FIRST(row + c, width - c), lane = LANE(lanes, c);
        LANE(lanes, c) = SELECT(M_AND(FN(first)(width - c), GT(x, lane)), x, lane);
    }
    return FN(fold_max)(lanes);
}

/* Column numbers of a block as reals. */
INLINE V FN(columns)(int64_t c)
{
    static const real numbers[FNN_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return LOAD(numbers) + SPLAT((real)c);
}

/* The target of a block: a class's indicator, or y' = y keep + add. */
INLINE V FN(target)(const bool sparse, const real *Y, int64_t c, int64_t left, V keep, V add)
{
    if (sparse) {
        return SELECT(EQ(FN(columns)(c), SPLAT(Y[0])), SPLAT((real)1), SPLAT((real)0));
    }
    return FMA(LOAD_FIRST(Y + c, left), keep, add);
}

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

/* --- crossentropy from logits ------------------------------------------------------------------------------------ */

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

/* --- losses of predictions --------------------------------------------------------------------------------------- */

/* 1 / C, rounded once from float64. */
INLINE real FN(share)(int64_t width)
{
    return (real)(1.0 / (double)width);
}

INLINE void FN(rows_forward)(V (*accumulate)(V, V, V, V), const bool mean, real *l, int64_t ldl, const real *A,
                             int64_t lda, const real *Y, int64_t ldy, int64_t rows, int64_t width, real p, real keep,
                             real add)
{
    const V parameter = SPLAT(p), k = SPLAT(keep), d = SPLAT(add);
    for (int64_t row = 0; row < rows; row++) {
        const real *a = A + row * lda, *y = Y + row * ldy;
        V lanes[PARTS];
        FN(begin)(lanes, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V lane = LANE(lanes, c), target = FMA(LOAD_FIRST(y + c, left), k, d);
            const V after = accumulate(lane, LOAD_FIRST(a + c, left), target, parameter);
            LANE(lanes, c) = SELECT(FN(first)(left), after, lane);
        }
        const real total = FN(fold_sum)(lanes);
        l[row * ldl] = mean ? total * FN(share)(width) : total;
    }
}

INLINE void FN(rows_backward)(V (*slope)(V, V, V), real *dA, int64_t ldd, const real *A, int64_t lda, const real *Y,
                              int64_t ldy, const real *s, int64_t lds, int64_t rows, int64_t width, real p, real keep,
                              real add)
{
    const V parameter = SPLAT(p), k = SPLAT(keep), d = SPLAT(add);
    for (int64_t row = 0; row < rows; row++) {
        const V scale = SPLAT(s[row * lds]);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V target = FMA(LOAD_FIRST(Y + row * ldy + c, left), k, d);
            const V a = LOAD_FIRST(A + row * lda + c, left);
            STORE_FIRST(dA + row * ldd + c, slope(a, target, parameter) * scale, left);
        }
    }
}

/* 1 / the sum of a row. */
INLINE real FN(inverse_sum)(const real *a, int64_t width)
{
    V lanes[PARTS];
    FN(begin)(lanes, (real)0);
    for (int64_t c = 0; c < width; c += W) {
        const V lane = LANE(lanes, c);
        LANE(lanes, c) = SELECT(FN(first)(width - c), lane + LOAD_FIRST(a + c, width - c), lane);
    }
    return (real)1 / FN(fold_sum)(lanes);
}

/* Crossentropy of probabilities, which are renormalised and clipped. */
INLINE void FN(probability_forward)(const bool sparse, real *l, int64_t ldl, const real *A, int64_t lda, const real *Y,
                                    int64_t ldy, int64_t rows, int64_t width, real keep, real add)
{
    const V k = SPLAT(keep), d = SPLAT(add);
    for (int64_t row = 0; row < rows; row++) {
        const real *a = A + row * lda;
        const V inverse = SPLAT(FN(inverse_sum)(a, width));
        V lanes[PARTS];
        FN(begin)(lanes, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V lane = LANE(lanes, c), y = FN(target)(sparse, Y + row * ldy, c, left, k, d);
            const V clipped = FN(clip_probability)(LOAD_FIRST(a + c, left) * inverse);
            LANE(lanes, c) = SELECT(FN(first)(left), FMA(-y, FN(log)(clipped), lane), lane);
        }
        l[row * ldl] = FN(fold_sum)(lanes);
    }
}

INLINE void FN(probability_backward)(const bool sparse, real *dA, int64_t ldd, const real *A, int64_t lda,
                                     const real *Y, int64_t ldy, const real *s, int64_t lds, int64_t rows,
                                     int64_t width, real keep, real add)
{
    const V k = SPLAT(keep), d = SPLAT(add);
    for (int64_t row = 0; row < rows; row++) {
        const real *a = A + row * lda;
        const V inverse = SPLAT(FN(inverse_sum)(a, width)), scale = SPLAT(s[row * lds]);
        V lanes[PARTS], t = inverse;
        FN(begin)(lanes, (real)0);
        /* First the sum of g q, then what needs it. */
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t c = 0; c < width; c += W) {
                const int64_t left = width - c;
                const V lane = LANE(lanes, c), y = FN(target)(sparse, Y + row * ldy, c, left, k, d);
                const V q = LOAD_FIRST(a + c, left) * inverse, clipped = FN(clip_probability)(q);
                const V g = SELECT(NE(q, clipped), SPLAT((real)0), -y / clipped);
                if (pass == 0) {
                    LANE(lanes, c) = SELECT(FN(first)(left), FMA(g, q, lane), lane);
                } else {
                    STORE_FIRST(dA + row * ldd + c, ((g - t) * inverse) * scale, left);
                }
            }
            if (pass == 0) {
                t = SPLAT(FN(fold_sum)(lanes));
            }
        }
    }
}

KERNEL void FN(loss_forward)(int code, real *l, int64_t ldl, const real *A, int64_t lda, const real *Y, int64_t ldy,
                             int64_t rows, int64_t width, real p, real keep, real add)
{
    switch (code) {
#define FNN_ITEM(name, mean) \
    case FNN_LOSS_##name: \
        FN(rows_forward)(FN(name##_accumulate), mean, l, ldl, A, lda, Y, ldy, rows, width, p, keep, add); \
        break;
#include "losses.h"
#undef FNN_ITEM
    case FNN_LOSS_categorical_crossentropy:
        FN(probability_forward)(false, l, ldl, A, lda, Y, ldy, rows, width, keep, add);
        break;
    case FNN_LOSS_sparse_categorical_crossentropy:
        FN(probability_forward)(true, l, ldl, A, lda, Y, ldy, rows, width, keep, add);
        break;
    default:
        break;
    }
}

KERNEL void FN(loss_backward)(int code, real *dA, int64_t ldd, const real *A, int64_t lda, const real *Y, int64_t ldy,
                              const real *s, int64_t lds, int64_t rows, int64_t width, real p, real keep, real add)
{
    switch (code) {
#define FNN_ITEM(name, mean) \
    case FNN_LOSS_##name: \
        FN(rows_backward)(FN(name##_slope), dA, ldd, A, lda, Y, ldy, s, lds, rows, width, p, keep, add); \
        break;
#include "losses.h"
#undef FNN_ITEM
    case FNN_LOSS_categorical_crossentropy:
        FN(probability_backward)(false, dA, ldd, A, lda, Y, ldy, s, lds, rows, width, keep, add);
        break;
    case FNN_LOSS_sparse_categorical_crossentropy:
        FN(probability_backward)(true, dA, ldd, A, lda, Y, ldy, s, lds, rows, width, keep, add);
        break;
    default:
        break;
    }
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

/* The first column that equals the row's maximum; C where none does. */
INLINE real FN(argmax)(const real *row, int64_t width)
{
    const real max = FN(row_max)(row, width);
    for (int64_t c = 0; c < width; c++) {
        if (row[c] == max) {
            return (real)c;
        }
    }
    return (real)width;
}

KERNEL void FN(accuracy)(int code, real *r, int64_t ldr, const real *A, int64_t lda, const real *Y, int64_t ldy,
                         int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        const real *a = A + row * lda, *y = Y + row * ldy;
        if (code == FNN_METRIC_binary_accuracy) {
            const V half = SPLAT((real)0.5), one = SPLAT((real)1), zero = SPLAT((real)0);
            V lanes[PARTS];
            FN(begin)(lanes, (real)0);
            for (int64_t c = 0; c < width; c += W) {
                const int64_t left = width - c;
                const V lane = LANE(lanes, c), guess = SELECT(GT(LOAD_FIRST(a + c, left), half), one, zero);
                const V right = SELECT(EQ(guess, LOAD_FIRST(y + c, left)), one, zero);
                LANE(lanes, c) = SELECT(FN(first)(left), lane + right, lane);
            }
            r[row * ldr] = FN(fold_sum)(lanes) * FN(share)(width);
        } else {
            const real label = code == FNN_METRIC_categorical_accuracy ? FN(argmax)(y, width) : y[0];
            r[row * ldr] = FN(argmax)(a, width) == label ? (real)1 : (real)0;
        }
    }
}

/* sums (3 C + 1): sum y, sum y^2, sum (y - a)^2 by output in row order, then the row count. */
KERNEL void FN(r2_sums)(double *sums, const real *A, int64_t lda, const real *Y, int64_t ldy, int64_t rows,
                        int64_t width)
{
    double *sum_y = sums, *sum_yy = sums + width, *sum_dd = sums + 2 * width;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < width; c++) {
            const double a = (double)A[row * lda + c], y = (double)Y[row * ldy + c], d = y - a;
            sum_y[c] = sum_y[c] + y;
            sum_yy[c] = FMA_WIDE(y, y, sum_yy[c]);
            sum_dd[c] = FMA_WIDE(d, d, sum_dd[c]);
        }
    }
    sums[3 * width] = sums[3 * width] + (double)rows;
}

#endif
