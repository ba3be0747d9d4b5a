/* GEMM by register tiles over chunks of k and panels of columns; sums over the batch.
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

/* Rows of A, and row stride of B, from which a packed panel of B repays its copy. */
#define PACK_ROWS 48
#define PACK_STRIDE 256

KERNEL static void FN(tile_wide)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                                 int64_t ldb, int64_t n, int64_t k, const real *bias, int flags)
{
    if ((flags & FNN_PACKED) || n >= 2 * W) {
        FN(tile)(WIDE_ROWS, 2, true, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
    } else {
        FN(tile)(WIDE_ROWS, 2, false, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
    }
}

KERNEL static void FN(tile_rest)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                                 int64_t ldb, int64_t n, int64_t k, const real *bias, int flags)
{
    FN(tile)(WIDE_REST, 2, false, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
}

KERNEL static void FN(tile_row)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                                int64_t ldb, int64_t n, int64_t k, const real *bias, int flags)
{
    FN(tile)(1, 2, false, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
}

KERNEL static void FN(tile_narrow)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                                   int64_t ldb, int64_t n, int64_t k, const real *bias, int flags)
{
    if (n >= W) {
        FN(tile)(NARROW_ROWS, 1, true, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
    } else {
        FN(tile)(NARROW_ROWS, 1, false, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
    }
}

KERNEL static void FN(tile_narrow_rest)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k,
                                        const real *B, int64_t ldb, int64_t n, int64_t k, const real *bias, int flags)
{
    FN(tile)(4, 1, false, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
}

KERNEL static void FN(tile_narrow_row)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                                       int64_t ldb, int64_t n, int64_t k, const real *bias, int flags)
{
    FN(tile)(1, 1, false, C, ldc, A, a_row, a_k, B, ldb, n, k, bias, flags);
}

/* A panel of more than W and at most 2 W columns. */
INLINE void FN(panel_wide)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B, int64_t ldb,
                           int64_t m, int64_t n, int64_t k, const real *bias, int flags)
{
    int64_t i = 0;
    for (; i + WIDE_ROWS <= m; i += WIDE_ROWS) {
        FN(tile_wide)(C + i * ldc, ldc, A + i * a_row, a_row, a_k, B, ldb, n, k, bias, flags);
    }
    for (; i + WIDE_REST <= m; i += WIDE_REST) {
        FN(tile_rest)(C + i * ldc, ldc, A + i * a_row, a_row, a_k, B, ldb, n, k, bias, flags);
    }
    for (; i < m; i++) {
        FN(tile_row)(C + i * ldc, ldc, A + i * a_row, a_row, a_k, B, ldb, n, k, bias, flags);
    }
}

/* The same, from a contiguous copy of the panel whose rows are padded to whole vectors: unpacked, it lies in few sets
 * of the first cache when the row stride is near a power of two. */
KERNEL static void FN(panel_packed)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                                    int64_t ldb, int64_t m, int64_t n, int64_t k, const real *bias, int flags)
{
    _Alignas(64) real copy[FNN_K_CHUNK * 2 * W];
    for (int64_t row = 0; row < k; row++) {
        STORE(copy + row * 2 * W, LOAD(B + row * ldb));
        STORE(copy + row * 2 * W + W, LOAD_FIRST(B + row * ldb + W, n - W));
    }
    FN(panel_wide)(C, ldc, A, a_row, a_k, copy, 2 * W, m, n, k, bias, flags | FNN_PACKED);
}

INLINE void FN(panel_narrow)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B,
                             int64_t ldb, int64_t m, int64_t n, int64_t k, const real *bias, int flags)
{
    int64_t i = 0;
    for (; i + NARROW_ROWS <= m; i += NARROW_ROWS) {
        FN(tile_narrow)(C + i * ldc, ldc, A + i * a_row, a_row, a_k, B, ldb, n, k, bias, flags);
    }
    for (; i + 4 <= m; i += 4) {
        FN(tile_narrow_rest)(C + i * ldc, ldc, A + i * a_row, a_row, a_k, B, ldb, n, k, bias, flags);
    }
    for (; i < m; i++) {
        FN(tile_narrow_row)(C + i * ldc, ldc, A + i * a_row, a_row, a_k, B, ldb, n, k, bias, flags);
    }
}

KERNEL void FN(gemm)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B, int64_t ldb,
                     int64_t m, int64_t n, int64_t k, const real *bias, int flags, real *pack)
{
    if (pack != NULL && FN(gemm_is_large)(m, n, k)) {
        FN(gemm_blocks)(C, ldc, A, a_row, a_k, B, ldb, m, n, k, bias, flags, pack);
        return;
    }
    for (int64_t j = 0; j < n; j += 2 * W) {
        const int64_t width = fnn_least(n - j, 2 * W);
        const real *bias_at = (flags & FNN_BIAS) ? bias + j : bias;
        int64_t start = 0;
        do {
            const int64_t depth = fnn_least(k - start, FNN_K_CHUNK);
            const int step_flags = (start + depth >= k ? flags : 0) | (start > 0 ? FNN_ACCUMULATE : 0);
            const real *a_at = A + start * a_k, *b_at = B + start * ldb + j;
            if (width > W && m >= PACK_ROWS && ldb >= PACK_STRIDE) {
                FN(panel_packed)(C + j, ldc, a_at, a_row, a_k, b_at, ldb, m, width, depth, bias_at, step_flags);
            } else if (width > W) {
                FN(panel_wide)(C + j, ldc, a_at, a_row, a_k, b_at, ldb, m, width, depth, bias_at, step_flags);
            } else {
                FN(panel_narrow)(C + j, ldc, a_at, a_row, a_k, b_at, ldb, m, width, depth, bias_at, step_flags);
            }
            start += FNN_K_CHUNK;
        } while (start < k);
    }
}

/* db_o = the sum over the batch of dZ_bo. */
KERNEL void FN(bias_backward)(real *db, const real *dZ, int64_t ld, int64_t rows, int64_t columns)
{
    FN(sum_columns)(SUM, db, dZ, ld, NULL, 0, rows, columns);
}

#endif
