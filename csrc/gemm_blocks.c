/* GEMM by register tiles: rows of C in tiles of nearly equal heights, over columns of B that are packed into panels or
 * lie as they were given.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "gemm_blocks.c"
#include "levels.h"

#else

#include "gemm_tile.h"

/* copy: `tiles` tiles of `rows` rows of A, whose columns are contiguous, in the order in which a tile reads them. */
KERNEL static void FN(pack_rows)(real *copy, const real *A, int64_t a_k, int64_t rows, int64_t tiles, int64_t k)
{
    for (int64_t step = 0; step < k; step++) {
        const real *a = A + step * a_k;
        real *to = copy + step * rows;
        for (int64_t tile = 0; tile < tiles; tile++) {
            FNN_UNROLL
            for (int64_t i = 0; i < NARROW_ROWS; i += W) {
                const int64_t left = rows > i ? rows - i : 0;
                STORE_FIRST(to + i, LOAD_FIRST(a + i, left), left);
            }
            a += rows;
            to += rows * k;
        }
    }
}

KERNEL void FN(pack_panels)(real *panels, const real *B, int64_t ldb, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < k; row++) {
        const real *b = B + row * ldb;
        int64_t j = 0;
        for (; j + 2 * W <= n; j += 2 * W) {
            __builtin_prefetch(b + FNN_PACK_PREFETCH_ROWS * ldb + j, 0, 2);
            __builtin_prefetch(b + FNN_PACK_PREFETCH_ROWS * ldb + j + W, 0, 2);
            STORE(panels + j * k + row * 2 * W, LOAD(b + j));
            STORE(panels + j * k + row * 2 * W + W, LOAD(b + j + W));
        }
        if (j < n) {
            STORE(panels + j * k + row * 2 * W, LOAD_FIRST(b + j, n - j));
            STORE(panels + j * k + row * 2 * W + W, LOAD_FIRST(b + j + W, n - j > W ? n - j - W : 0));
        }
    }
}

/* The highest tile over two vectors of columns: beside each of its rows, spread over the steps, it asks the second
 * cache for a row of what is wanted next: part of A's next rows if they are `far`, else parameters of its columns, where
 * A is an X^T. `far` is a constant after inlining. */
INLINE void FN(asking_tile)(const bool far, const FN(product) *p, int64_t column, const real *B)
{
    const int64_t bytes = far ? FNN_FAR_BYTES : 2 * BYTES;
    const char *wanted = p->prefetch + column / (2 * W) * bytes;
    const int64_t part = fnn_greatest(p->k / TILE_ROWS, 1), slot_0 = p->slot_0, slot_1 = p->slot_1;
    const int64_t a_row = far ? p->a_row : 1, a_k = far ? 1 : p->a_k, row = p->prefetch_row;
    int64_t left = p->k;
    TILE t;
    FN(begin)(TILE_ROWS, 2, &t, p, B);
    for (int i = 1; left > 0; i++) {
        const int64_t steps = i < TILE_ROWS ? fnn_least(part, left) : left;
        FNN_UNROLL
        for (int j = 0; j < bytes; j += 64) {
            __builtin_prefetch(wanted + j, 0, 2);
            if (!far) {
                __builtin_prefetch(wanted + slot_0 + j, 0, 2);
                __builtin_prefetch(wanted + slot_1 + j, 0, 2);
            }
        }
        wanted += row;
        FN(add)(TILE_ROWS, 2, true, false, false, &t, a_row, a_k, 2 * W, 2 * W, steps);
        left -= steps;
    }
    FN(finish)(TILE_ROWS, 2, &t, p, column);
}

/* Functions of their own, or pointers leave the registers. */
KERNEL static void FN(prefetching_tile)(const FN(product) *p, int64_t column, const real *B)
{
    FN(asking_tile)(false, p, column, B);
}

KERNEL static void FN(far_tile)(const FN(product) *p, int64_t column, const real *B)
{
    FN(asking_tile)(true, p, column, B);
}

/* A tile's rows over all columns, where something is wanted next. */
INLINE void FN(prefetching_tiles)(FN(product) p)
{
    const bool far = (p.flags & FNN_FAR) != 0;
    const int64_t asking = far ? fnn_least(p.n, FNN_K_CHUNK * (int64_t)sizeof(real) / FNN_FAR_BYTES * 2 * W) : p.n;
    int64_t column = 0;
    for (; column + 2 * W <= asking; column += 2 * W, p.B += p.panel) {
        (far ? FN(far_tile) : FN(prefetching_tile))(&p, column, p.B);
    }
    if (column < p.n) {
        p.C += column;
        p.n -= column;
        p.epilogue = p.epilogue != NULL ? p.epilogue + column : NULL;
        FN(tiles)(TILE_ROWS, &p);
    }
}

/* Whether tiles should have rows of A beside each other: those of X^T dZ where many panels read them, or where the steps
 * of a tile lie far apart; those of X and dZ where they share few sets of the first cache. */
INLINE bool FN(packs_rows)(const FN(product) *p, int64_t m)
{
    const int64_t size = sizeof(real);
    if (p->a_k == 1) {
        return fnn_aliases(p->a_row * size) && m > FNN_COPIED_ROWS && (p->n > 4 * W || p->n <= W);
    }
    const bool often = m * p->k * size > FNN_L1_BYTES || fnn_aliases(p->a_k * size);
    return (p->n > 8 * W && often) || (p->n > 2 * W && p->a_k * p->k * size > FNN_L2_BYTES);
}

KERNEL void FN(gemm_rows)(const FN(product) *product, int64_t m, real *scratch)
{
    FN(product) p = *product;
    real *rows = scratch != NULL && FN(packs_rows)(&p, m) ? scratch + FNN_PACKED_ROWS : NULL;
    fnn_expected *expected = scratch != NULL ? FN(expected)(scratch) : NULL;
    const int64_t a_row = p.a_row, a_k = p.a_k, k = p.k;
    const bool copies = rows != NULL && a_k == 1, packs = rows != NULL && !copies;
    const int64_t most = p.n <= W ? NARROW_ROWS : TILE_ROWS, tiles = (m + most - 1) / most;
    const int64_t low = m / fnn_greatest(tiles, 1), tall = m - tiles * low; /* tiles of a row more */
    const int64_t group = packs ? FNN_BLOCK_ROWS / most : tiles;
    const bool far = (p.flags & (FNN_FAR | FNN_PACKED)) == (FNN_FAR | FNN_PACKED);
    const real *A = p.A;
    if (far) { /* the tiles that ask are the highest, which come first */
        p.prefetch = (const char *)(A + TILE_ROWS * a_row);
        p.prefetch_row = a_row * (int64_t)sizeof(real);
    }
    for (int64_t first = 0; first < tiles; first += group) {
        const int64_t last = fnn_least(first + group, tiles), split = fnn_greatest(first, fnn_least(tall, last));
        if (packs) {
            const int64_t high = (split - first) * (low + 1);
            FN(pack_rows)(rows, A, a_k, low + 1, split - first, k);
            FN(pack_rows)(rows + high * k, A + high, a_k, low, last - split, k);
            p.A = rows;
            p.a_row = 1;
        }
        for (int64_t tile = first; tile < last; tile++) {
            const int64_t height = low + (tile < split);
            if (expected != NULL && expected->left > 0) {
                fnn_ask(expected);
            }
            if (packs) {
                p.a_k = height;
            } else if (copies) {
                for (int64_t i = 0; i < height; i++) {
                    memcpy(rows + i * (FNN_K_CHUNK + FNN_LANES), A + i * a_row, (size_t)k * sizeof(real));
                }
                p.A = rows;
                p.a_row = FNN_K_CHUNK + FNN_LANES;
            } else {
                p.A = A;
            }
            if (p.prefetch != NULL && height == TILE_ROWS) {
                FN(prefetching_tiles)(p);
            } else {
                FN(tiles_of)(height, &p);
            }
            if (p.prefetch != NULL) {
                p.prefetch += height * p.prefetch_row;
            }
            p.C += height * p.ldc;
            if (p.flags & FNN_SLOPE) {
                p.epilogue += height * p.ldc;
            }
            A += height * a_row;
            if (packs) {
                p.A += height * k;
            }
        }
    }
}

#endif
