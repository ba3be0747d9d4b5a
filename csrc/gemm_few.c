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

/* Bias, ReLU and where `height` dot products belong. */
INLINE void FN(put_dots)(V value, real *out, int64_t out_row, real bias, int flags, int64_t height)
{
    if (flags & FNN_BIAS) {
        value = value + SPLAT(bias);
    }
    if (flags & FNN_RELU) {
        value = SELECT(LT(value, SPLAT((real)0)), SPLAT((real)0), value);
    }
    if (out_row == 1) {
        STORE_FIRST(out, value, height);
    } else {
        for (int64_t i = 0; i < fnn_least(W, height); i++) {
            out[i * out_row] = value[i];
        }
    }
}

/* out (rows, count) = R (rows, k), contiguous along k, times `count` vectors of k: blocks of W rows, exchanged in
 * registers. `count` is a constant after inlining. */
INLINE void FN(dots)(const int count, FN(dot_products) d)
{
    const int64_t k = d.k;
    for (int64_t row = 0; row < d.rows; row += W) {
        const real *R = d.R + row * d.ldr;
        const int64_t left = d.rows - row;
        V total[FNN_DOT_VECTORS];
        int64_t start = 0;
        do {
            const int64_t end = fnn_least(start + FNN_K_CHUNK, k);
            V sum[FNN_DOT_VECTORS], block[W];
            FNN_UNROLL
            for (int j = 0; j < count; j++) {
                sum[j] = SPLAT((real)0);
            }
            int64_t step = start;
            for (; step + W <= end && left >= W; step += W) {
                const real *q = d.Q + step * d.q_k;
                FN(load_whole)(block, R + step, d.ldr);
                FNN_UNROLL
                for (int i = 0; i < W; i++) {
                    FN(add_dots)(count, sum, block[i], q, d.q_vector);
                    q += d.q_k;
                    __asm__("" : "+r"(q)); /* one pointer, not W */
                }
            }
            for (; step < end; step += W) {
                FN(load_rest)(block, R + step, d.ldr, left, end - step);
                for (int64_t i = 0; i < fnn_least(W, end - step); i++) {
                    FN(add_dots)(count, sum, block[i], d.Q + (step + i) * d.q_k, d.q_vector);
                }
            }
            FNN_UNROLL
            for (int j = 0; j < count; j++) {
                total[j] = start == 0 ? sum[j] : total[j] + sum[j];
            }
            start = end;
        } while (start < k);
        FNN_UNROLL
        for (int j = 0; j < count; j++) {
            const real bias = (d.flags & FNN_BIAS) ? d.epilogue[j] : (real)0;
            FN(put_dots)(total[j], d.out + row * d.out_row + j * d.out_vector, d.out_row, bias, d.flags, left);
        }
    }
}

/* Sums of chunks of `steps` products, at least HALF from the beginning of a row: sum (chunks, blocks) of as many blocks
 * of HALF rows of R, one behind another, and chunks of theirs. A sum waits for its last product as long as four take to
 * be exchanged, so that there are FNN_DOT_CHAINS of them where that can be. */
INLINE void FN(chains)(const int blocks, const int chunks, H *sum, const real *R, int64_t ldr, const real *Q, int64_t q_k,
                       int64_t steps)
{
    const int64_t whole = steps / HALF * HALF;
    H block[HALF];
    FNN_UNROLL
    for (int chain = 0; chain < blocks * chunks; chain++) {
        sum[chain] = (H){0};
    }
    for (int64_t step = 0; step < whole; step += HALF) {
        FNN_UNROLL
        for (int chain = 0; chain < blocks * chunks; chain++) {
            const int64_t place = chain / blocks * FNN_K_CHUNK + step;
            const real *q = Q + place * q_k;
            FN(load_half)(block, R + chain % blocks * HALF * ldr + place, ldr);
            FNN_UNROLL
            for (int i = 0; i < HALF; i++) {
                sum[chain] = FN(add_product)(*q, block[i], sum[chain]);
                q += q_k;
                __asm__("" : "+r"(q)); /* one pointer, not HALF */
            }
        }
    }
    if (whole < steps) { /* the last HALF steps, of which some were there */
        const int64_t place = steps - HALF;
        FNN_UNROLL
        for (int chain = 0; chain < blocks; chain++) {
            FN(load_half)(block, R + chain * HALF * ldr + place, ldr);
            FNN_UNROLL
            for (int i = 0; i < HALF; i++) {
                if (place + i >= whole) {
                    sum[chain] = FN(add_product)(Q[(place + i) * q_k], block[i], sum[chain]);
                }
            }
        }
    }
}

/* Rows first ... end - 1 of out (rows) = R (rows, k) times one vector of k >= HALF: `blocks` blocks of HALF rows at once,
 * the last ones from the end, so that all are whole; of two chunks at once if they are `paired`. */
INLINE void FN(single_dots)(const int blocks, const bool paired, FN(dot_products) d, int64_t first, int64_t end)
{
    const real bias = (d.flags & FNN_BIAS) ? *d.epilogue : (real)0;
    const int64_t k = d.k;
    for (int64_t next = first; next < end; next += blocks * HALF) {
        const int64_t row = fnn_least(next, end - blocks * HALF);
        _Alignas(64) real done[FNN_DOT_CHAINS * HALF];
        H total[FNN_DOT_CHAINS], sum[FNN_DOT_CHAINS];
        for (int64_t start = 0; start < k;) {
            const real *R = d.R + row * d.ldr + start, *q = d.Q + start * d.q_k;
            const bool two = paired && k - start >= 2 * FNN_K_CHUNK;
            const int64_t steps = fnn_least(FNN_K_CHUNK, k - start);
            if (two) {
                FN(chains)(blocks, 2, sum, R, d.ldr, q, d.q_k, FNN_K_CHUNK);
            } else {
                FN(chains)(blocks, 1, sum, R, d.ldr, q, d.q_k, steps);
            }
            FNN_UNROLL
            for (int block = 0; block < blocks; block++) {
                total[block] = start == 0 ? sum[block] : total[block] + sum[block];
                if (two) {
                    total[block] = total[block] + sum[blocks + block];
                }
            }
            start += two ? 2 * FNN_K_CHUNK : steps;
        }
        memcpy(done, total, (size_t)blocks * sizeof(H));
        for (int64_t i = 0; i < blocks * HALF; i += W) {
            FN(put_dots)(LOAD(done + i), d.out + (row + i) * d.out_row, d.out_row, bias, d.flags, W);
        }
    }
}

KERNEL void FN(few_dots)(const FN(dot_products) *products)
{
    const FN(dot_products) d = *products;
    const int64_t rows = d.rows, k = d.k;
    /* Rows come sooner from memory if few are read at once; those that share sets of the first cache push each other out. */
    const bool far = rows * k * (int64_t)sizeof(real) > 2 * FNN_L2_BYTES;
    const bool paired = !far && k >= 2 * FNN_K_CHUNK && fnn_aliases(2 * d.ldr * (int64_t)sizeof(real));
    const int most = FNN_DOT_CHAINS, few = FNN_DOT_CHAINS / 2;
    int64_t done = 0;
    switch (d.count) {
    case 1:
        if (rows >= most * HALF && k >= HALF && !paired && !(far && most * HALF > FNN_LANES)) {
            done = rows / (most * HALF) * (most * HALF);
            FN(single_dots)(most, false, d, 0, done);
        }
        if (rows < few * HALF || k < HALF) {
            FN(dots)(1, d);
        } else if (done < rows) {
            FN(single_dots)(few, paired, d, fnn_least(done, rows - few * HALF), rows);
        }
        break;
    case 2:
        FN(dots)(2, d);
        break;
    case 3:
        FN(dots)(3, d);
        break;
    default:
        FN(dots)(4, d);
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
