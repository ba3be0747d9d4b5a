/* GEMM where C has few rows or few columns: dot products, tiles of four vectors, a row of sums in the first cache. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "gemm_few.c"
#include "levels.h"

#else

#include "exchange.h"
#include "gemm_tile.h"

/* Columns of a row of sums. */
#undef SUM_COLUMNS
#define SUM_COLUMNS (FNN_SUM_ROW_BYTES / (int64_t)sizeof(real))

/* Adds a vector of rows at one k, times `count` numbers. */
INLINE void FN(add_dots)(const int count, V *sum, V rows, const real *q, int64_t q_vector)
{
    FNN_UNROLL
    for (int j = 0; j < count; j++) {
        sum[j] = FMA(SPLAT(q[j * q_vector]), rows, sum[j]);
    }
}

/* out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: `groups` blocks of W rows at once,
 * exchanged in registers. Blocks are whole if there are several. `count` and `groups` are constants after inlining. */
INLINE void FN(dots)(const int count, const int groups, real *out, int64_t out_row, int64_t out_vector, const real *R,
                     int64_t ldr, const real *Q, int64_t q_vector, int64_t q_k, int64_t rows, int64_t k,
                     const real *epilogue, int flags)
{
    for (int64_t row = 0; row < rows; row += groups * W) {
        V total[FNN_DOT_BLOCKS][FNN_DOT_VECTORS];
        int64_t start = 0;
        do {
            const int64_t end = fnn_least(start + FNN_K_CHUNK, k);
            V sum[FNN_DOT_BLOCKS][FNN_DOT_VECTORS];
            FNN_UNROLL
            for (int group = 0; group < groups; group++) {
                FNN_UNROLL
                for (int j = 0; j < count; j++) {
                    sum[group][j] = SPLAT((real)0);
                }
            }
            int64_t step = start;
            for (; step + W <= end && (groups > 1 || rows - row >= W); step += W) {
                FNN_UNROLL
                for (int group = 0; group < groups; group++) {
                    const real *q = Q + step * q_k;
                    V block[W];
                    FN(load_whole)(block, R + (row + group * W) * ldr + step, ldr);
                    FNN_UNROLL
                    for (int i = 0; i < W; i++) {
                        FN(add_dots)(count, sum[group], block[i], q, q_vector);
                        q += q_k;
                        __asm__("" : "+r"(q)); /* one pointer, not W */
                    }
                }
            }
            for (; step < end; step += W) {
                FNN_UNROLL
                for (int group = 0; group < groups; group++) {
                    V block[W];
                    FN(load_rest)(block, R + (row + group * W) * ldr + step, ldr, rows - row, end - step);
                    for (int64_t i = 0; i < fnn_least(W, end - step); i++) {
                        FN(add_dots)(count, sum[group], block[i], Q + (step + i) * q_k, q_vector);
                    }
                }
            }
            FNN_UNROLL
            for (int group = 0; group < groups; group++) {
                FNN_UNROLL
                for (int j = 0; j < count; j++) {
                    total[group][j] = start == 0 ? sum[group][j] : total[group][j] + sum[group][j];
                }
            }
            start = end;
        } while (start < k);
        FNN_UNROLL
        for (int group = 0; group < groups; group++) {
            const int64_t height = fnn_least(W, rows - row - group * W);
            FNN_UNROLL
            for (int j = 0; j < count; j++) {
                V value = total[group][j];
                if (flags & FNN_BIAS) {
                    value = value + SPLAT(epilogue[j]);
                }
                if (flags & FNN_RELU) {
                    value = SELECT(LT(value, SPLAT((real)0)), SPLAT((real)0), value);
                }
                real *o = out + (row + group * W) * out_row + j * out_vector;
                if (out_row == 1) {
                    STORE_FIRST(o, value, height);
                } else {
                    for (int64_t i = 0; i < height; i++) {
                        o[i * out_row] = value[i];
                    }
                }
            }
        }
    }
}

KERNEL void FN(few_dots)(real *out, int64_t out_row, int64_t out_vector, const real *R, int64_t ldr,
                                const real *Q, int64_t q_vector, int64_t q_k, int64_t rows, int64_t count, int64_t k,
                                const real *epilogue, int flags)
{
    const int64_t whole = rows / (FNN_DOT_BLOCKS * W) * (FNN_DOT_BLOCKS * W);
    switch (count) {
    case 1:
        FN(dots)(1, FNN_DOT_BLOCKS, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, whole, k, epilogue, flags);
        FN(dots)(1, 1, out + whole * out_row, out_row, out_vector, R + whole * ldr, ldr, Q, q_vector, q_k, rows - whole,
                 k, epilogue, flags);
        break;
    case 2:
        FN(dots)(2, 1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, epilogue, flags);
        break;
    case 3:
        FN(dots)(3, 1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, epilogue, flags);
        break;
    default:
        FN(dots)(4, 1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, epilogue, flags);
        break;
    }
}

/* Few rows of C: tiles of FNN_WIDE_VECTORS vectors, over B as it is given. */
KERNEL void FN(few_rows)(const FN(product) *product, int64_t m)
{
    FN(product) p = *product;
    const int64_t tiles = (m + WIDE_ROWS - 1) / WIDE_ROWS, low = m / tiles, tall = m - tiles * low;
    int64_t column = 0;
    for (; column + FNN_WIDE_VECTORS * W <= p.n; column += FNN_WIDE_VECTORS * W) {
        p.A = product->A;
        p.C = product->C;
        p.epilogue = product->epilogue;
        for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t height = low + (tile < tall);
            switch (height) {
            case 1:
                FN(tile)(1, FNN_WIDE_VECTORS, true, true, false, &p, column, p.B + column);
                break;
#if WIDE_ROWS > 2
            case 2:
                FN(tile)(2, FNN_WIDE_VECTORS, true, true, false, &p, column, p.B + column);
                break;
            case 3:
                FN(tile)(3, FNN_WIDE_VECTORS, true, true, false, &p, column, p.B + column);
                break;
            case 4:
                FN(tile)(4, FNN_WIDE_VECTORS, true, true, false, &p, column, p.B + column);
                break;
            case 5:
                FN(tile)(5, FNN_WIDE_VECTORS, true, true, false, &p, column, p.B + column);
                break;
#endif
            default:
                FN(tile)(WIDE_ROWS, FNN_WIDE_VECTORS, true, true, false, &p, column, p.B + column);
                break;
            }
            p.A += height * p.a_row;
            p.C += height * p.ldc;
            if (p.flags & FNN_SLOPE) {
                p.epilogue += height * p.ldc;
            }
        }
    }
    if (column < p.n) {
        FN(product) rest = *product;
        rest.C += column;
        rest.B += column;
        rest.epilogue = rest.epilogue != NULL ? rest.epilogue + column : NULL;
        rest.n -= column;
        FN(gemm_rows)(&rest, m, NULL);
    }
}

/* sum (+)= `steps` rows of B, each times a number: a constant after inlining. */
INLINE void FN(add_rows)(const int steps, bool first, real *sum, const real *q, int64_t q_k, const real *B, int64_t ldb,
                         int64_t n)
{
    V a[FNN_SUM_ROW_STEPS];
    FNN_UNROLL
    for (int i = 0; i < steps; i++) {
        a[i] = SPLAT(q[i * q_k]);
    }
    int64_t j = 0;
    for (; j + W <= n; j += W) {
        V s = first ? SPLAT((real)0) : LOAD(sum + j);
        FNN_UNROLL
        for (int i = 0; i < steps; i++) {
            s = FMA(a[i], LOAD(B + i * ldb + j), s);
        }
        STORE(sum + j, s);
    }
    if (j < n) {
        V s = first ? SPLAT((real)0) : LOAD_FIRST(sum + j, n - j);
        FNN_UNROLL
        for (int i = 0; i < steps; i++) {
            s = FMA(a[i], LOAD_FIRST(B + i * ldb + j, n - j), s);
        }
        STORE_FIRST(sum + j, s, n - j);
    }
}

/* One row of C, or one column as a row: B is read row by row, as memory likes it, and the sums stay in the first cache. */
KERNEL void FN(gemv)(real *C, int64_t c_n, const real *q, int64_t q_k, const real *B, int64_t ldb, int64_t n, int64_t k,
                     const real *epilogue, int flags)
{
    _Alignas(64) real total[SUM_COLUMNS], sum[SUM_COLUMNS];
    for (int64_t j = 0; j < n; j += SUM_COLUMNS) {
        const int64_t width = fnn_least(SUM_COLUMNS, n - j);
        int64_t start = 0;
        do {
            const int64_t end = fnn_least(start + FNN_K_CHUNK, k);
            real *to = start == 0 ? total : sum;
            int64_t step = start;
            for (; step + FNN_SUM_ROW_STEPS <= end; step += FNN_SUM_ROW_STEPS) {
                FN(add_rows)(FNN_SUM_ROW_STEPS, step == start, to, q + step * q_k, q_k, B + step * ldb + j, ldb, width);
            }
            for (; step < end; step++) {
                FN(add_rows)(1, step == start, to, q + step * q_k, q_k, B + step * ldb + j, ldb, width);
            }
            for (int64_t i = 0; start > 0 && i < width; i += W) {
                const int64_t left = width - i;
                STORE_FIRST(total + i, LOAD_FIRST(total + i, left) + LOAD_FIRST(sum + i, left), left);
            }
            start = end;
        } while (start < k);
        for (int64_t i = 0; i < width; i += W) {
            V value = LOAD_FIRST(total + i, width - i);
            if (flags & FNN_BIAS) {
                value = value + LOAD_FIRST(epilogue + j + i, width - i);
            }
            if (flags & FNN_RELU) {
                value = SELECT(LT(value, SPLAT((real)0)), SPLAT((real)0), value);
            }
            if (c_n == 1) {
                STORE_FIRST(C + j + i, value, width - i);
            } else {
                for (int64_t lane = 0; lane < fnn_least(W, width - i); lane++) {
                    C[(j + i + lane) * c_n] = value[lane];
                }
            }
        }
    }
}

/* C_mn = A_m B_n: the gradient of a W by a single row, without a tile to begin and to end for one step. */
KERNEL void FN(outer)(real *C, int64_t ldc, const real *A, int64_t a_row, const real *B, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++) {
        FN(add_rows)(1, true, C + i * ldc, A + i * a_row, 0, B, 0, n);
    }
}

/* C^T = B^T A for few columns of C, with A contiguous along m: vectors along m. */
KERNEL void FN(few_columns)(real *C, int64_t ldc, const real *A, int64_t a_k, const real *B, int64_t ldb,
                                   int64_t m, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i += FNN_WIDE_VECTORS * W) {
        real block[WIDE_ROWS * FNN_WIDE_VECTORS * W];
        const int64_t width = fnn_least(FNN_WIDE_VECTORS * W, m - i);
        FN(product) p = {.C = block, .ldc = FNN_WIDE_VECTORS * W, .a_row = 1, .a_k = ldb, .ldb = a_k,
                           .panel = 2 * W, .n = width};
        int64_t start = 0;
        do {
            p.A = B + start * ldb;
            p.B = A + start * a_k + i;
            p.k = fnn_least(k - start, FNN_K_CHUNK);
            p.flags = start > 0 ? FNN_ACCUMULATE : 0;
            FN(few_rows)(&p, n);
            start += FNN_K_CHUNK;
        } while (start < k);
        for (int64_t row = 0; row < width; row++) {
            for (int64_t j = 0; j < n; j++) {
                C[(i + row) * ldc + j] = block[j * FNN_WIDE_VECTORS * W + row];
            }
        }
    }
}

#endif
