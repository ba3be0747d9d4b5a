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
#include "gemm_tile.h"

/* Whether a matrix of such sides does not fit the second cache. */
INLINE bool FN(outgrows)(int64_t rows, int64_t columns)
{
    return rows * columns * (int64_t)sizeof(real) > FNN_L2_BYTES;
}

/* Whether columns of B come slowly: its rows share few sets of a cache, or it outgrows the second cache. */
INLINE bool FN(comes_slowly)(int64_t ldb, int64_t n, int64_t k)
{
    return fnn_aliases(ldb * (int64_t)sizeof(real)) || FN(outgrows)(k, n);
}

/* Whether packing B costs less than reading it where it is. */
KERNEL bool FN(packs_columns)(int64_t ldb, int64_t m, int64_t n, int64_t k)
{
    const int64_t row = n * (int64_t)sizeof(real);
    const int64_t least = row * k > FNN_LARGE_BYTES ? FNN_LARGE_ROWS
                          : FN(comes_slowly)(ldb, n, k) ? SLOW_ROWS : FNN_PACK_FROM;
    return n > W && m >= least && row * fnn_least(k, FNN_K_CHUNK) >= FNN_PACK_BYTES;
}

/* The product of a block of columns at a time, chunk by chunk. */
KERNEL static void FN(blocks)(const FN(product) *product, int64_t m, real *scratch)
{
    const int64_t a_k = product->a_k, ldb = product->ldb, n = product->n, k = product->k;
    int flags = product->flags;
    const bool transposed = (flags & FNN_TRANSPOSED) != 0, slow = FN(comes_slowly)(ldb, n, k);
    const bool packs = transposed || FN(packs_columns)(ldb, m, n, k);
    const bool few = !packs && n > 2 * W && m <= (slow && WIDE_ROWS > 2 ? SLOW_ROWS : WIDE_ROWS);
    int64_t block = packs ? fnn_packed_columns(1, sizeof(real)) : n;
    if (a_k == 1 && FN(outgrows)(m, k)) {
        flags |= FNN_FAR;
    }
    if (!packs && !few && FN(outgrows)(fnn_least(k, FNN_K_CHUNK), n)) {
        block = 2 * W;
    }
    for (int64_t j = 0; j < n; j += block) {
        const int64_t width = fnn_least(block, n - j);
        int64_t start = 0;
        do {
            const int64_t depth = fnn_least(k - start, FNN_K_CHUNK);
            const real *B = product->B + start * ldb + j;
            FN(product) p = {
                .C = product->C + j, .A = product->A + start * a_k, .B = packs ? scratch : B,
                .epilogue = (flags & (FNN_BIAS | FNN_SLOPE)) ? product->epilogue + j : NULL, .ldc = product->ldc,
                .a_row = product->a_row, .a_k = a_k, .ldb = packs ? 2 * W : ldb, .n = width, .k = depth,
                .flags = (start + depth >= k ? flags : flags & FNN_FAR) | (start > 0 ? FNN_ACCUMULATE : 0) |
                         (packs ? FNN_PACKED : 0),
                .panel = packs ? 2 * W * depth : 2 * W,
            };
            if (transposed) {
                FN(pack_transposed)(scratch, product->B + j * ldb + start, ldb, width, depth);
            } else if (packs) {
                FN(pack_panels)(scratch, B, ldb, width, depth);
            }
            if (few) {
                FN(few_rows)(&p, m);
            } else {
                FN(gemm_rows)(&p, m, scratch);
            }
            start += FNN_K_CHUNK;
        } while (start < k);
    }
}

/* Columns of the panels that hold n columns. */
INLINE int64_t FN(panel_columns)(int64_t n)
{
    return (n + 2 * W - 1) / (2 * W) * (2 * W);
}

/* Whether C = A B^T is computed transposed: exchanging A and C, and columns that fill no vector, cost half of what
 * exchanging B does, and the buffer holds A. */
INLINE bool FN(repays_transposing)(int64_t m, int64_t n, int64_t k)
{
    const int64_t empty = (m + W - 1) / W * W - m;
    return m > W && 2 * FNN_TRANSPOSE_COST * m * (n + k) <= (FNN_TRANSPOSE_COST - empty) * n * k &&
           FN(panel_columns)(m) * (k + FNN_TRANSPOSED_ROWS) <= FNN_PACKED_ROWS;
}

/* C = A B^T for few rows of A: B, as it is given, times A^T, and C exchanged from its transposed. */
KERNEL static void FN(transposed_product)(real *C, int64_t ldc, const real *A, int64_t a_row, const real *B, int64_t ldb,
                                          int64_t m, int64_t n, int64_t k, real *scratch)
{
    const int64_t width = FN(panel_columns)(m);
    const int far = FN(outgrows)(n, k) ? FNN_FAR : 0;
    real *block = scratch + width * k;
    for (int64_t start = 0; start < k; start += FNN_K_CHUNK) {
        FN(pack_transposed)(scratch + width * start, A + start, a_row, m, fnn_least(k - start, FNN_K_CHUNK));
    }
    for (int64_t row = 0; row < n; row += FNN_TRANSPOSED_ROWS) {
        const int64_t rows = fnn_least(FNN_TRANSPOSED_ROWS, n - row);
        for (int64_t start = 0; start < k; start += FNN_K_CHUNK) {
            const int64_t depth = fnn_least(k - start, FNN_K_CHUNK);
            FN(gemm_rows)(&(FN(product)){
                .C = block, .A = B + row * ldb + start, .B = scratch + width * start, .ldc = width, .a_row = ldb,
                .a_k = 1, .ldb = 2 * W, .panel = 2 * W * depth, .n = m, .k = depth,
                .flags = FNN_PACKED | far | (start > 0 ? FNN_ACCUMULATE : 0),
            }, rows, scratch);
        }
        FN(transpose)(C + row, ldc, block, width, rows, m);
    }
}

KERNEL bool FN(takes_slope)(int64_t m, int64_t n, int64_t k)
{
    return m > FNN_DOT_VECTORS && n > FNN_DOT_VECTORS && !FN(repays_transposing)(m, n, k);
}

KERNEL void FN(gemm)(const FN(product) *product, int64_t m, real *scratch)
{
    const FN(product) p = *product;
    const int64_t n = p.n, k = p.k;
    const bool transposed = (p.flags & FNN_TRANSPOSED) != 0;
    const bool plain = !(p.flags & (FNN_TRANSPOSED | FNN_BIAS | FNN_RELU));
    if (m <= 0 || n <= 0) {
        return;
    }
    if (n <= FNN_DOT_VECTORS && p.a_k == 1 && m >= W) {
        FN(few_dots)(&(FN(dot_products)){
            .out = p.C, .out_row = p.ldc, .out_vector = 1, .R = p.A, .ldr = p.a_row, .Q = p.B,
            .q_vector = transposed ? p.ldb : 1, .q_k = transposed ? 1 : p.ldb, .rows = m, .count = n, .k = k,
            .epilogue = p.epilogue, .flags = p.flags,
        });
    } else if (transposed && m <= FNN_DOT_VECTORS && n >= W && !(p.flags & FNN_BIAS)) {
        FN(few_dots)(&(FN(dot_products)){
            .out = p.C, .out_row = 1, .out_vector = p.ldc, .R = p.B, .ldr = p.ldb, .Q = p.A, .q_vector = p.a_row,
            .q_k = p.a_k, .rows = n, .count = m, .k = k, .flags = p.flags,
        });
    } else if (m == 1 && n >= W && k > 0 && !transposed) {
        FN(gemv)(p.C, 1, p.A, p.a_k, p.B, p.ldb, n, k, p.epilogue, p.flags);
    } else if (n == 1 && p.a_row == 1 && m >= W && k > 0 && plain) {
        FN(gemv)(p.C, p.ldc, p.B, p.ldb, p.A, p.a_k, m, k, NULL, 0);
    } else if (n <= WIDE_ROWS && p.a_row == 1 && m >= W && plain) {
        FN(few_columns)(p.C, p.ldc, p.A, p.a_k, p.B, p.ldb, m, n, k);
    } else if (k == 1 && n > W && p.flags == 0) {
        FN(outer)(p.C, p.ldc, p.A, p.a_row, p.B, m, n);
    } else if (transposed && p.a_k == 1 && FN(repays_transposing)(m, n, k) && !(p.flags & (FNN_BIAS | FNN_RELU))) {
        FN(transposed_product)(p.C, p.ldc, p.A, p.a_row, p.B, p.ldb, m, n, k, scratch);
    } else {
        FN(blocks)(product, m, scratch);
    }
}

/* db_o = the sum over the batch of dZ_bo. */
KERNEL void FN(bias_backward)(real *db, const real *dZ, int64_t ld, int64_t rows, int64_t columns)
{
    FN(sum_columns)(SUM, db, dZ, ld, NULL, 0, rows, columns);
}

#endif
