/* Element by element: activations, penalties, row scales, the gather with its conversions, sums over parameters. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "elementwise.c"
#include "levels.h"

#else

INLINE void FN(map_forward)(V (*formula)(V, V), real *A, const real *Z, int64_t n, real p)
{
    const V parameter = SPLAT(p);
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        STORE(A + i, formula(LOAD(Z + i), parameter));
    }
    if (i < n) {
        STORE_FIRST(A + i, formula(LOAD_FIRST(Z + i, n - i), parameter), n - i);
    }
}

INLINE void FN(map_backward)(V (*formula)(V, V, V), real *dZ, const real *dA, const real *S, int64_t n, real p)
{
    const V parameter = SPLAT(p);
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        STORE(dZ + i, formula(LOAD(dA + i), LOAD(S + i), parameter));
    }
    if (i < n) {
        STORE_FIRST(dZ + i, formula(LOAD_FIRST(dA + i, n - i), LOAD_FIRST(S + i, n - i), parameter), n - i);
    }
}

KERNEL void FN(activation_forward)(int code, real *A, const real *Z, int64_t n, real p)
{
    switch (code) {
#define FNN_ITEM(name) case FNN_ACTIVATION_##name: FN(map_forward)(FN(name##_forward), A, Z, n, p); break;
#include "activations.h"
#undef FNN_ITEM
    default:
        break;
    }
}

KERNEL void FN(activation_backward)(int code, real *dZ, const real *dA, const real *S, int64_t n, real p)
{
    switch (code) {
#define FNN_ITEM(name) case FNN_ACTIVATION_##name: FN(map_backward)(FN(name##_backward), dZ, dA, S, n, p); break;
#include "activations.h"
#undef FNN_ITEM
    default:
        break;
    }
}

KERNEL void FN(row_scale)(real *s, const real *w, int64_t n, real factor)
{
    const V f = SPLAT(factor);
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(s + i, LOAD_FIRST(w + i, n - i) * f, n - i);
    }
}

KERNEL void FN(penalty_backward)(real *g, const real *w, int64_t n, real l1, real two_l2)
{
    const V a = SPLAT(l1), b = SPLAT(two_l2);
    for (int64_t i = 0; i < n; i += W) {
        const int64_t left = n - i;
        STORE_FIRST(g + i, FN(penalty_slope)(LOAD_FIRST(g + i, left), LOAD_FIRST(w + i, left), a, b), left);
    }
}

KERNEL void FN(decay_step)(real *theta, int64_t n, real factor)
{
    const V f = SPLAT(factor);
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(theta + i, FN(decay)(LOAD_FIRST(theta + i, n - i), f), n - i);
    }
}

/* --- gather: rows of any real dtype into rows of the model's; sources may be unaligned --------------------------- */

/* A float16 by integers, exactly: C11 has no such type. */
INLINE real FN(half)(uint16_t half)
{
    const uint32_t size = half & 0x7FFFU, moved_bits = size << 13;
    float moved, result;
    memcpy(&moved, &moved_bits, sizeof moved);
    const float finite = moved * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &finite, sizeof bits);
    bits = (size >= 0x7C00U ? moved_bits | 0x7F800000U : bits) | (half & 0x8000U) << 16;
    memcpy(&result, &bits, sizeof result);
    return (real)result;
}

#define FNN_ITEM(code, type, to_real) \
    INLINE real FN(from_##code)(const char *p) \
    { \
        type x; \
        memcpy(&x, p, sizeof x); \
        return to_real(x); \
    }
#include "sources.h"
#undef FNN_ITEM

/* A stride that the compiler knows is a loop that it makes vectors of. */
INLINE void FN(convert)(real (*from)(const char *), int64_t size, real *dst, const char *src, int64_t n,
                        int64_t stride)
{
    if (stride == size) {
        for (int64_t i = 0; i < n; i++) {
            dst[i] = from(src + i * size);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            dst[i] = from(src + i * stride);
        }
    }
}

KERNEL void FN(gather_row)(int code, real *dst, const char *src, int64_t n, int64_t stride)
{
    if (stride == (int64_t)sizeof(real) && code == (FNN_F64 ? FNN_FLOAT64 : FNN_FLOAT32)) {
        memcpy(dst, src, (size_t)n * sizeof(real));
        return;
    }
    switch (code) {
#define FNN_ITEM(code, type, to_real) \
    case FNN_##code: \
        FN(convert)(FN(from_##code), (int64_t)sizeof(type), dst, src, n, stride); \
        break;
#include "sources.h"
#undef FNN_ITEM
    default:
        break;
    }
}

/* The first elements of rows first ... last - 1 of an array, or of those of the order, `apart` elements apart. */
INLINE void FN(convert_column)(real (*from)(const char *), real *dst, int64_t apart, const char *src, int64_t row_bytes,
                               const int64_t *order, int64_t first, int64_t last)
{
    for (int64_t row = first; row < last; row++, dst += apart) {
        *dst = from(src + (order != NULL ? order[row] : row) * row_bytes);
    }
}

KERNEL void FN(gather_column)(int code, real *dst, int64_t apart, const char *src, int64_t row_bytes,
                              const int64_t *order, int64_t first, int64_t last)
{
    switch (code) {
#define FNN_ITEM(code, type, to_real) \
    case FNN_##code: \
        FN(convert_column)(FN(from_##code), dst, apart, src, row_bytes, order, first, last); \
        break;
#include "sources.h"
#undef FNN_ITEM
    default:
        break;
    }
}

/* The index of the first element that is not within +-largest, or -1: whole blocks first, then the guilty one by
 * elements. */
KERNEL int64_t FN(find_nonfinite)(const char *x, int64_t n, real largest)
{
    const int64_t size = (int64_t)sizeof(real);
    const V limit = SPLAT(largest);
    int64_t i = 0;
    for (; i + 8 * W <= n; i += 8 * W) {
        M good = FN(first)(W);
        FNN_UNROLL
        for (int64_t part = 0; part < 8; part++) {
            V v = {0};
            memcpy(&v, x + (i + part * W) * size, sizeof v);
            good = M_AND(good, LE(ABS(v), limit));
        }
        if (FN(any)(M_NOT(good))) {
            break;
        }
    }
    for (; i < n; i++) {
        real v;
        memcpy(&v, x + i * size, sizeof v);
        if (!(v <= largest && v >= -largest)) {
            return i;
        }
    }
    return -1;
}

/* --- sums in float64 --------------------------------------------------------------------------------------------- */

INLINE double FN(block_sum)(const bool squares, const real *w, int64_t n)
{
    double total = 0.0;
    for (int64_t start = 0; start < n; start += FNN_BLOCK) {
        const int64_t end = fnn_least(start + FNN_BLOCK, n);
        double lane[FNN_LANES] = {0.0};
        int64_t i = start;
        for (; i + FNN_LANES <= end; i += FNN_LANES) {
            for (int64_t l = 0; l < FNN_LANES; l++) {
                const double x = (double)w[i + l];
                lane[l] = squares ? FMA_WIDE(x, x, lane[l]) : lane[l] + __builtin_fabs(x);
            }
        }
        for (int64_t l = 0; i + l < end; l++) {
            const double x = (double)w[i + l];
            lane[l] = squares ? FMA_WIDE(x, x, lane[l]) : lane[l] + __builtin_fabs(x);
        }
        for (int64_t half = FNN_LANES / 2; half > 0; half /= 2) {
            for (int64_t l = 0; l < half; l++) {
                lane[l] = lane[l] + lane[l + half];
            }
        }
        total = total + lane[0];
    }
    return total;
}

KERNEL double FN(sum_abs)(const real *w, int64_t n)
{
    return FN(block_sum)(false, w, n);
}

KERNEL double FN(sum_squares)(const real *w, int64_t n)
{
    return FN(block_sum)(true, w, n);
}

/* fma(w, l, total) in row order; without weights they are ones. */
KERNEL double FN(weighted_sum)(double total, const real *l, int64_t ld, const real *w, int64_t ld_w, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        const double value = (double)l[row * ld];
        total = w == NULL ? total + value : FMA_WIDE((double)w[row * ld_w], value, total);
    }
    return total;
}

#endif
