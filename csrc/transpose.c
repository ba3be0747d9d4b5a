/* Copies with rows and columns exchanged: W^T for small matrices, the panels of gemm_blocks.c for large ones. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "transpose.c"
#include "levels.h"

#else

/* W vectors as rows become W columns: rounds that exchange halves, quarters ... between rows. */
INLINE void FN(exchange)(V *block)
{
#if FNN_LEVEL == FNN_AVX512
    FNN_UNROLL
    for (int half = (int)W / 2; half > 0; half /= 2) {
        VI low = {0}, high = {0};
        FNN_UNROLL
        for (int lane = 0; lane < W; lane++) {
            low[lane] = (lane & half) != 0 ? (int)W + lane - half : lane;
            high[lane] = (lane & half) != 0 ? (int)W + lane : lane + half;
        }
        FNN_UNROLL
        for (int i = 0; i < W; i++) {
            if ((i & half) == 0) {
                const V a = block[i], b = block[i + half];
                block[i] = (V)MM(permutex2var)(a, (__m512i)low, b);
                block[i + half] = (V)MM(permutex2var)(a, (__m512i)high, b);
            }
        }
    }
#else
    real rows[W][W];
    memcpy(rows, block, sizeof rows);
    for (int i = 0; i < W; i++) {
        for (int lane = 0; lane < W; lane++) {
            block[i][lane] = rows[lane][i];
        }
    }
#endif
}

/* A block of W x W of src, of which `rows` x `columns` are there, exchanged. */
INLINE void FN(load_exchanged)(V *block, const real *src, int64_t lds, int64_t rows, int64_t columns)
{
    if (rows >= W && columns >= W) {
        FNN_UNROLL
        for (int i = 0; i < W; i++) {
            block[i] = LOAD(src + i * lds);
        }
    } else {
        for (int i = 0; i < W; i++) {
            block[i] = i < rows ? LOAD_FIRST(src + i * lds, columns) : SPLAT((real)0);
        }
    }
    FN(exchange)(block);
}

KERNEL void FN(transpose)(real *dst, int64_t ldd, const real *src, int64_t lds, int64_t rows, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += W) {
        const int64_t height = fnn_least(W, columns - c);
        for (int64_t r = 0; r < rows; r += W) {
            V block[W];
            FN(load_exchanged)(block, src + r * lds + c, lds, rows - r, columns - c);
            for (int64_t i = 0; i < height; i++) {
                STORE_FIRST(dst + (c + i) * ldd + r, block[i], rows - r);
            }
        }
    }
}

KERNEL void FN(pack_transposed)(real *panels, const real *B, int64_t ldb, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < (n + 2 * W - 1) / (2 * W) * (2 * W); row += W) {
        real *panel = panels + row / (2 * W) * (2 * W) * k + row % (2 * W);
        for (int64_t step = 0; step < k; step += W) {
            const int64_t depth = fnn_least(W, k - step);
            V block[W];
            FN(load_exchanged)(block, B + row * ldb + step, ldb, n - row, k - step);
            for (int64_t i = 0; i < depth; i++) {
                STORE(panel + (step + i) * 2 * W, block[i]);
            }
        }
    }
}

#endif
