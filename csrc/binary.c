/* The functions of fastnn/core/binary.py, copies of columns, sums over a row, and rows of a table. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "binary.c"
#include "levels.h"

#else

#include "lanes.h"

#if FNN_F64
#include "binary_f64.h"
#else
#include "binary_f32.h"
#endif

INLINE void FN(map_binary)(V (*formula)(V, V), real *C, const real *A, const real *B, int64_t n)
{
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        STORE(C + i, formula(LOAD(A + i), LOAD(B + i)));
    }
    if (i < n) {
        STORE_FIRST(C + i, formula(LOAD_FIRST(A + i, n - i), LOAD_FIRST(B + i, n - i)), n - i);
    }
}

INLINE void FN(map_gradient)(V (*formula)(V, V, V), real *dX, const real *dC, const real *A, const real *B, int64_t n)
{
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        STORE(dX + i, formula(LOAD(dC + i), LOAD(A + i), LOAD(B + i)));
    }
    if (i < n) {
        const int64_t left = n - i;
        STORE_FIRST(dX + i, formula(LOAD_FIRST(dC + i, left), LOAD_FIRST(A + i, left), LOAD_FIRST(B + i, left)), left);
    }
}

KERNEL void FN(binary)(int code, real *C, const real *A, const real *B, int64_t n)
{
    switch (code) {
#define FNN_ITEM(name) case FNN_BINARY_##name: FN(map_binary)(FN(name##_binary), C, A, B, n); break;
#include "binary.h"
#undef FNN_ITEM
    default:
        break;
    }
}

KERNEL void FN(binary_backward)(int code, real *dX, const real *dC, const real *A, const real *B, int64_t n)
{
    switch (code) {
#define FNN_ITEM(name) case FNN_BINARY_GRADIENT_##name: FN(map_gradient)(FN(name##_slope), dX, dC, A, B, n); break;
#include "binary_gradients.h"
#undef FNN_ITEM
    default:
        break;
    }
}

KERNEL void FN(fill)(real *A, int64_t n, real value)
{
    for (int64_t i = 0; i < n; i += W) {
        STORE_FIRST(A + i, SPLAT(value), n - i);
    }
}

KERNEL void FN(sum_rows)(real *s, int64_t lds, const real *Z, int64_t ldz, int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        s[row * lds] = FN(row_sum)(Z + row * ldz, width);
    }
}

KERNEL void FN(repeat)(real *A, int64_t lda, const real *s, int64_t lds, int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        FN(fill)(A + row * lda, width, s[row * lds]);
    }
}

/* C = A, or A + B, of n elements: few, as rows of tables have. */
INLINE void FN(give_few)(const bool adds, real *C, const real *A, int64_t n)
{
    for (int64_t i = 0; i < n; i += W) {
        const V a = LOAD_FIRST(A + i, n - i);
        STORE_FIRST(C + i, adds ? LOAD_FIRST(C + i, n - i) + a : a, n - i);
    }
}

/* Rows of a table, one for each of a row's class numbers. */
KERNEL void FN(embedding_forward)(real *A, int64_t lda, const real *y, int64_t ldy, const real *table, int64_t ldt,
                                  int64_t rows, int64_t width, int64_t depth)
{
    const int64_t places = width / depth;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t place = 0; place < places; place++) {
            FN(give_few)(false, A + row * lda + place * depth, table + (int64_t)y[row * ldy + place] * ldt, depth);
        }
    }
}

/* Rows first ... last - 1 of the gradient of a table, which begin at `gradient`, += the parts of dA where they were
 * taken. */
KERNEL void FN(embedding_backward)(real *gradient, int64_t ldg, int64_t first, int64_t last, const real *y, int64_t ldy,
                                   const real *dA, int64_t lda, int64_t rows, int64_t width, int64_t depth)
{
    const int64_t places = width / depth;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t place = 0; place < places; place++) {
            const int64_t code = (int64_t)y[row * ldy + place];
            if (code >= first && code < last) {
                FN(give_few)(true, gradient + (code - first) * ldg, dA + row * lda + place * depth, depth);
            }
        }
    }
}

#endif
