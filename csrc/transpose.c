/* Copies with rows and columns exchanged: C of a product that is computed transposed, and the panels of gemm_blocks.c. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "transpose.c"
#include "levels.h"

#else

#include "exchange.h"

KERNEL void FN(transpose)(real *dst, int64_t ldd, const real *src, int64_t lds, int64_t rows, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += W) {
        const int64_t height = fnn_least(W, columns - c);
        for (int64_t r = 0; r < rows; r += W) {
            V block[W];
            FN(load_exchanged)(block, src + r * lds + c, lds, rows - r, columns - c);
            if (height == W && rows - r >= W) { /* the block stays in registers */
                FNN_UNROLL
                for (int i = 0; i < W; i++) {
                    STORE(dst + (c + i) * ldd + r, block[i]);
                }
            } else {
                for (int64_t i = 0; i < height; i++) {
                    STORE_FIRST(dst + (c + i) * ldd + r, block[i], rows - r);
                }
            }
        }
    }
}

KERNEL void FN(pack_transposed)(real *panels, const real *B, int64_t ldb, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < n; row += W) {
        real *panel = panels + row / (2 * W) * (2 * W) * k + row % (2 * W);
        for (int64_t step = 0; step < k; step += W) {
            const int64_t depth = fnn_least(W, k - step);
            V block[W];
            FN(load_exchanged)(block, B + row * ldb + step, ldb, n - row, k - step);
            if (depth == W) {
                FNN_UNROLL
                for (int i = 0; i < W; i++) {
                    STORE(panel + (step + i) * 2 * W, block[i]);
                }
            } else {
                for (int64_t i = 0; i < depth; i++) {
                    STORE(panel + (step + i) * 2 * W, block[i]);
                }
            }
        }
    }
}

#endif
