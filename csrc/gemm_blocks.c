/* GEMM of large matrices. A block of B, FNN_K_CHUNK rows of FNN_BLOCK_BYTES, is copied into panels of two vectors that
 * lie in the order in which tiles read them: it stays in the second cache while all rows of A pass over it, and no row
 * stride can crowd it into a few sets. The bits are those of gemm.c, whose chunks these are.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "gemm_blocks.c"
#include "levels.h"

#else

#include "gemm_tile.h"

/* A tile over a packed panel. Its part of C may be far away: it is asked for before the sums that it is added to. */
INLINE void FN(tile_packed)(const int rows, real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k,
                            const real *panel, int64_t n, int64_t k, const real *bias, int flags)
{
    FNN_UNROLL
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(C + i * ldc, 1);
        __builtin_prefetch(C + i * ldc + W, 1);
    }
    FN(tile)(rows, 2, true, C, ldc, A, a_row, a_k, panel, 2 * W, n, k, bias, flags);
}

/* Tiles of `rows` rows from row *i on, over all panels; moves *i. */
INLINE void FN(tiles)(const int rows, int64_t *i, int64_t end, real *C, int64_t ldc, const real *A, int64_t a_row,
                      int64_t a_k, real *copy, const real *panels, int64_t n, int64_t k, const real *bias, int flags)
{
    for (; *i + rows <= end; *i += rows) {
        const real *a = A + *i * a_row;
        int64_t row = a_row, step = a_k;
        if (copy != NULL) {
            a = copy + *i * k;
            row = 1;
            step = rows;
        }
        for (int64_t j = 0; j < n; j += 2 * W) {
            FN(tile_packed)(rows, C + *i * ldc + j, ldc, a, row, step, panels + j * k, n - j, k,
                            (flags & FNN_BIAS) ? bias + j : bias, flags);
        }
    }
}

/* copy: rows first ... last - 1 of A, whose columns are contiguous, as tiles of `rows` rows read them. */
INLINE void FN(pack_tiles)(const int rows, int64_t first, int64_t last, real *copy, const real *A, int64_t a_k,
                           int64_t k)
{
    for (int64_t step = 0; step < k; step++) {
        const real *a = A + step * a_k;
        for (int64_t i = first; i + rows <= last; i += rows) {
            memcpy(copy + i * k + step * rows, a + i, (size_t)rows * sizeof(real));
        }
    }
}

/* How many rows tiles of BLOCK_ROWS take of m, such that those of WIDE_REST leave no more than they must. */
INLINE int64_t FN(tall_rows)(int64_t m)
{
    const int64_t tiles = m / BLOCK_ROWS, rest = m % BLOCK_ROWS % WIDE_REST;
    return (tiles - (tiles > 0 && BLOCK_ROWS % WIDE_REST != 0 && rest >= BLOCK_ROWS % WIDE_REST)) * BLOCK_ROWS;
}

/* The rows that tiles of `rows` can take of m - start, after start. */
INLINE int64_t FN(end_of)(int64_t start, int64_t m, int64_t rows)
{
    return start + (m - start) / rows * rows;
}

KERNEL void FN(pack_panels)(real *panels, const real *B, int64_t ldb, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < k; row++) {
        const real *b = B + row * ldb;
        int64_t j = 0;
        for (; j + 2 * W <= n; j += 2 * W) {
            STORE(panels + j * k + row * 2 * W, LOAD(b + j));
            STORE(panels + j * k + row * 2 * W + W, LOAD(b + j + W));
        }
        if (j < n) {
            STORE(panels + j * k + row * 2 * W, LOAD_FIRST(b + j, n - j));
            STORE(panels + j * k + row * 2 * W + W, LOAD_FIRST(b + j + W, n - j > W ? n - j - W : 0));
        }
    }
}

KERNEL void FN(gemm_packed)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *panels,
                            int64_t m, int64_t n, int64_t k, const real *bias, int flags, real *rows)
{
    for (int64_t start = 0; start < m; start += FNN_BLOCK_ROWS) {
        const int64_t height = fnn_least(FNN_BLOCK_ROWS, m - start), tall = FN(tall_rows)(height);
        const int64_t wide = FN(end_of)(tall, height, WIDE_ROWS), rest = FN(end_of)(wide, height, WIDE_REST);
        real *C_at = C + start * ldc, *copy = NULL;
        const real *A_at = A + start * a_row;
        int64_t i = 0;
        if (a_k != 1) {
            copy = rows;
            FN(pack_tiles)(BLOCK_ROWS, 0, tall, copy, A_at, a_k, k);
            FN(pack_tiles)(WIDE_ROWS, tall, wide, copy, A_at, a_k, k);
            FN(pack_tiles)(WIDE_REST, wide, rest, copy, A_at, a_k, k);
            FN(pack_tiles)(1, rest, height, copy, A_at, a_k, k);
        }
        FN(tiles)(BLOCK_ROWS, &i, tall, C_at, ldc, A_at, a_row, a_k, copy, panels, n, k, bias, flags);
        FN(tiles)(WIDE_ROWS, &i, wide, C_at, ldc, A_at, a_row, a_k, copy, panels, n, k, bias, flags);
        FN(tiles)(WIDE_REST, &i, rest, C_at, ldc, A_at, a_row, a_k, copy, panels, n, k, bias, flags);
        FN(tiles)(1, &i, height, C_at, ldc, A_at, a_row, a_k, copy, panels, n, k, bias, flags);
    }
}

KERNEL void FN(gemm_blocks)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B, int64_t ldb,
                            int64_t m, int64_t n, int64_t k, const real *bias, int flags, real *pack)
{
    real *rows = pack + FNN_PACKED_ROWS;
    for (int64_t j = 0; j < n; j += FNN_BLOCK_COLUMNS) {
        const int64_t width = fnn_least(FNN_BLOCK_COLUMNS, n - j);
        for (int64_t start = 0; start < k; start += FNN_K_CHUNK) {
            const int64_t depth = fnn_least(k - start, FNN_K_CHUNK);
            const int step_flags = (start + depth >= k ? flags : 0) | (start > 0 ? FNN_ACCUMULATE : 0);
            if (flags & FNN_TRANSPOSED) {
                FN(pack_transposed)(pack, B + j * ldb + start, ldb, width, depth);
            } else {
                FN(pack_panels)(pack, B + start * ldb + j, ldb, width, depth);
            }
            FN(gemm_packed)(C + j, ldc, A + start * a_k, a_row, a_k, pack, m, width, depth,
                            (flags & FNN_BIAS) ? bias + j : bias, step_flags, rows);
        }
    }
}

#endif
