/* GEMM: how a product is cut into blocks; sums over the batch.
 *
 * C_mn (+)= A_mk B_kn, every accumulator from +0 by fma in ascending k, chunks of FNN_K_CHUNK added in order.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "gemm.c"
#include "levels.h"

#else

#include "columns.h"
#include "exchange.h"
#include "gemm_tile.h"

/* The most columns, or rows, of C for which its other side is taken a vector at a time. */
#undef DOTS
#define DOTS 4

/* The least bytes of a chunk of B that repay its packing. */
#undef PACK_BYTES
#define PACK_BYTES 16384

/* Adds a vector of rows at one k, times `count` numbers. */
INLINE void FN(add_dots)(const int count, V *sum, V rows, const real *q, int64_t q_vector)
{
    FNN_UNROLL
    for (int j = 0; j < count; j++) {
        sum[j] = FMA(SPLAT(q[j * q_vector]), rows, sum[j]);
    }
}

/* out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: W rows at a time, exchanged in
 * registers. `count` is a constant after inlining. */
INLINE void FN(dots)(const int count, real *out, int64_t out_row, int64_t out_vector, const real *R, int64_t ldr,
                     const real *Q, int64_t q_vector, int64_t q_k, int64_t rows, int64_t k, const real *bias, int flags)
{
    for (int64_t row = 0; row < rows; row += W) {
        V total[DOTS];
        int64_t start = 0;
        do {
            const int64_t end = fnn_least(start + FNN_K_CHUNK, k);
            V sum[DOTS];
            FNN_UNROLL
            for (int j = 0; j < count; j++) {
                sum[j] = SPLAT((real)0);
            }
            for (int64_t step = start; step < end; step += W) {
                V block[W];
                const int64_t depth = fnn_least(W, end - step);
                FN(load_exchanged)(block, R + row * ldr + step, ldr, rows - row, end - step);
                const real *q = Q + step * q_k;
                if (depth == W) { /* the block stays in registers */
                    FNN_UNROLL
                    for (int i = 0; i < W; i++) {
                        FN(add_dots)(count, sum, block[i], q + i * q_k, q_vector);
                    }
                } else {
                    for (int i = 0; i < depth; i++) {
                        FN(add_dots)(count, sum, block[i], q + i * q_k, q_vector);
                    }
                }
            }
            FNN_UNROLL
            for (int j = 0; j < count; j++) {
                total[j] = start == 0 ? sum[j] : total[j] + sum[j];
            }
            start = end;
        } while (start < k);
        const int64_t height = fnn_least(W, rows - row);
        FNN_UNROLL
        for (int j = 0; j < count; j++) {
            V value = total[j];
            if (flags & FNN_BIAS) {
                value = value + SPLAT(bias[j]);
            }
            if (flags & FNN_RELU) {
                value = SELECT(LT(value, SPLAT((real)0)), SPLAT((real)0), value);
            }
            real *o = out + row * out_row + j * out_vector;
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

KERNEL static void FN(few_dots)(real *out, int64_t out_row, int64_t out_vector, const real *R, int64_t ldr,
                                const real *Q, int64_t q_vector, int64_t q_k, int64_t rows, int64_t count, int64_t k,
                                const real *bias, int flags)
{
    switch (count) {
    case 1:
        FN(dots)(1, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags);
        break;
    case 2:
        FN(dots)(2, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags);
        break;
    case 3:
        FN(dots)(3, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags);
        break;
    default:
        FN(dots)(4, out, out_row, out_vector, R, ldr, Q, q_vector, q_k, rows, k, bias, flags);
        break;
    }
}

/* At most THIN_ROWS rows of C: tiles of THIN_VECTORS vectors, over B as it is given. */
KERNEL static void FN(thin)(const FN(product) *p, int64_t m)
{
    int64_t column = 0;
    for (; column + THIN_VECTORS * W <= p->n; column += THIN_VECTORS * W) {
        switch (m) {
        case 1:
            FN(tile)(1, THIN_VECTORS, true, true, p, column, p->B + column);
            break;
#if THIN_ROWS > 2
        case 2:
            FN(tile)(2, THIN_VECTORS, true, true, p, column, p->B + column);
            break;
        case 3:
            FN(tile)(3, THIN_VECTORS, true, true, p, column, p->B + column);
            break;
        case 4:
            FN(tile)(4, THIN_VECTORS, true, true, p, column, p->B + column);
            break;
        case 5:
            FN(tile)(5, THIN_VECTORS, true, true, p, column, p->B + column);
            break;
#endif
        default:
            FN(tile)(THIN_ROWS, THIN_VECTORS, true, true, p, column, p->B + column);
            break;
        }
    }
    if (column < p->n) {
        FN(product) rest = *p;
        rest.C += column;
        rest.B += column;
        rest.bias = p->bias != NULL ? p->bias + column : NULL;
        rest.n -= column;
        FN(gemm_rows)(&rest, m, NULL);
    }
}

/* C^T = B^T A for few columns of C, with A contiguous along m: vectors along m. */
KERNEL static void FN(few_columns)(real *C, int64_t ldc, const real *A, int64_t a_k, const real *B, int64_t ldb,
                                   int64_t m, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i += THIN_VECTORS * W) {
        real block[THIN_ROWS * THIN_VECTORS * W];
        const int64_t width = fnn_least(THIN_VECTORS * W, m - i);
        FN(product) p = {.C = block, .ldc = THIN_VECTORS * W, .a_row = 1, .a_k = ldb, .ldb = a_k,
                           .panel = 2 * W, .n = width};
        int64_t start = 0;
        do {
            p.A = B + start * ldb;
            p.B = A + start * a_k + i;
            p.k = fnn_least(k - start, FNN_K_CHUNK);
            p.flags = start > 0 ? FNN_ACCUMULATE : 0;
            FN(thin)(&p, n);
            start += FNN_K_CHUNK;
        } while (start < k);
        for (int64_t row = 0; row < width; row++) {
            for (int64_t j = 0; j < n; j++) {
                C[(i + row) * ldc + j] = block[j * THIN_VECTORS * W + row];
            }
        }
    }
}

/* Whether packing B costs less than reading it where it is. */
bool FN(packs_columns)(int64_t ldb, int64_t m, int64_t n, int64_t depth)
{
    const bool alias = ldb * (int64_t)sizeof(real) % FNN_ALIAS_BYTES == 0;
    return n > W && m >= (alias ? 48 : 160) && depth * n * (int64_t)sizeof(real) >= PACK_BYTES;
}

/* The product of FNN_BLOCK_COLUMNS at a time, chunk by chunk. */
KERNEL static void FN(blocks)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                              int64_t ldb, int64_t m, int64_t n, int64_t k, const real *bias, int flags, real *pack)
{
    const bool transposed = (flags & FNN_TRANSPOSED) != 0;
    const int64_t deepest = fnn_least(k, FNN_K_CHUNK);
    const bool thin = m <= THIN_ROWS && n > 2 * W && !transposed;
    const bool packs = transposed || FN(packs_columns)(ldb, m, n, deepest);
    int64_t block = packs ? FNN_BLOCK_COLUMNS : n;
    if (!packs && !thin && deepest * n * (int64_t)sizeof(real) > FNN_SECOND_CACHE) {
        block = 2 * W;
    }
    for (int64_t j = 0; j < n; j += block) {
        const int64_t width = fnn_least(block, n - j);
        int64_t start = 0;
        do {
            const int64_t depth = fnn_least(k - start, FNN_K_CHUNK);
            FN(product) p = {
                .C = C + j, .A = A + start * a_k, .B = packs ? pack : B + start * ldb + j,
                .bias = (flags & FNN_BIAS) ? bias + j : NULL, .ldc = ldc, .a_row = a_row, .a_k = a_k,
                .ldb = packs ? 2 * W : ldb, .panel = packs ? 2 * W * depth : 2 * W, .n = width, .k = depth,
                .flags = (start + depth >= k ? flags : flags & FNN_FAR) | (start > 0 ? FNN_ACCUMULATE : 0) |
                         (packs ? FNN_PACKED : 0),
            };
            if (transposed) {
                FN(pack_transposed)(pack, B + j * ldb + start, ldb, width, depth);
            } else if (packs) {
                FN(pack_panels)(pack, B + start * ldb + j, ldb, width, depth);
            }
            if (thin) {
                FN(thin)(&p, m);
            } else {
                FN(gemm_chunk)(&p, m, pack);
            }
            start += FNN_K_CHUNK;
        } while (start < k);
    }
}

KERNEL void FN(gemm)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B, int64_t ldb,
                     int64_t m, int64_t n, int64_t k, const real *bias, int flags, real *pack)
{
    const bool transposed = (flags & FNN_TRANSPOSED) != 0;
    if (m <= 0 || n <= 0) {
        return;
    }
    if (n <= DOTS && a_k == 1 && m >= W) {
        FN(few_dots)(C, ldc, 1, A, a_row, B, transposed ? ldb : 1, transposed ? 1 : ldb, m, n, k, bias, flags);
    } else if (transposed && m <= DOTS && n >= W && !(flags & FNN_BIAS)) {
        FN(few_dots)(C, 1, ldc, B, ldb, A, a_row, a_k, n, m, k, NULL, flags);
    } else if (n <= THIN_ROWS && a_row == 1 && m >= W && !(flags & (FNN_TRANSPOSED | FNN_BIAS | FNN_RELU))) {
        FN(few_columns)(C, ldc, A, a_k, B, ldb, m, n, k);
    } else {
        FN(blocks)(C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack);
    }
}

/* db_o = the sum over the batch of dZ_bo. */
KERNEL void FN(bias_backward)(real *db, const real *dZ, int64_t ld, int64_t rows, int64_t columns)
{
    FN(sum_columns)(SUM, db, dZ, ld, NULL, 0, rows, columns);
}

#endif
