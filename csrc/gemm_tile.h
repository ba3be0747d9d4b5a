/* The register tile of the GEMM: rows x vectors accumulators, fed by broadcasts of A and vectors of B. Included once
 * for a dtype and an instruction set. */

/* Most rows of a tile of two vectors, of one vector, and of FNN_WIDE_VECTORS; from how many rows of A on B is packed if
 * its columns come slowly. */
#undef TILE_ROWS
#undef NARROW_ROWS
#undef WIDE_ROWS
#undef SLOW_ROWS
#define TILE_ROWS FNN_CAT(FNN_TILE_ROWS, _, BYTES)
#define NARROW_ROWS FNN_CAT(FNN_NARROW_ROWS, _, BYTES)
#define WIDE_ROWS FNN_CAT(FNN_WIDE_ROWS, _, BYTES)
#define SLOW_ROWS FNN_CAT(FNN_SLOW_ROWS, _, BYTES)

/* A tile's sums, and where its next step reads. Every fourth row of A has a pointer: the others are reached by offsets
 * that fit in registers. */
#undef TILE
#define TILE FN(tile_state)
typedef struct TILE {
    V sum[NARROW_ROWS][FNN_WIDE_VECTORS];
    const real *A[(NARROW_ROWS + 3) / 4], *B;
} TILE;

INLINE void FN(begin)(const int rows, const int vectors, TILE *t, const FN(product) *p, const real *B)
{
    FNN_UNROLL
    for (int i = 0; i < rows; i++) {
        FNN_UNROLL
        for (int j = 0; j < vectors; j++) {
            t->sum[i][j] = SPLAT((real)0);
        }
    }
    FNN_UNROLL
    for (int i = 0; i < rows; i += 4) {
        t->A[i / 4] = p->A + i * p->a_row;
    }
    t->B = B;
}

/* `rows` x `vectors` accumulators; `full` if every column is there to be read, `ahead` to ask for rows of B before their
 * turn, `next` for the next tile's rows of A, as if they lay one behind another: constants after inlining. n columns are
 * left. */
INLINE void FN(add)(const int rows, const int vectors, const bool full, const bool ahead, const bool next, TILE *t,
                    int64_t a_row, int64_t a_k, int64_t ldb, int64_t n, int64_t steps)
{
    const real *wanted = t->A[0] + rows * a_row;
    for (int64_t step = 0; step < steps; step++) {
        V b[FNN_WIDE_VECTORS];
        if (next) {
            FNN_UNROLL
            for (int i = 0; i < rows; i += 64 / (int)sizeof(real)) {
                __builtin_prefetch(wanted + i);
            }
            wanted += rows;
        }
        FNN_UNROLL
        for (int j = 0; j < vectors; j++) {
            b[j] = full ? LOAD(t->B + j * W) : LOAD_FIRST(t->B + j * W, n - j * W);
        }
        if (ahead) {
            FNN_UNROLL
            for (int j = 0; j < vectors; j++) {
                __builtin_prefetch(t->B + FNN_TILE_PREFETCH_ROWS * ldb + j * W);
            }
        }
        t->B += ldb;
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            const V a = SPLAT(t->A[i / 4][i % 4 * a_row]);
            FNN_UNROLL
            for (int j = 0; j < vectors; j++) {
                t->sum[i][j] = FMA(a, b[j], t->sum[i][j]);
            }
        }
        FNN_UNROLL
        for (int i = 0; i < rows; i += 4) {
            t->A[i / 4] += a_k;
        }
    }
}

/* What follows the sums: C, bias, ReLU or its slope. */
INLINE void FN(finish)(const int rows, const int vectors, TILE *t, const FN(product) *p, int64_t column)
{
    const int64_t n = p->n - column;
    real *C = p->C + column;
    if (p->flags & FNN_ACCUMULATE) {
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            FNN_UNROLL
            for (int j = 0; j < vectors; j++) {
                t->sum[i][j] = LOAD_FIRST(C + i * p->ldc + j * W, n - j * W) + t->sum[i][j];
            }
        }
    }
    if (p->flags & FNN_BIAS) {
        FNN_UNROLL
        for (int j = 0; j < vectors; j++) {
            const V b = LOAD_FIRST(p->epilogue + column + j * W, n - j * W);
            FNN_UNROLL
            for (int i = 0; i < rows; i++) {
                t->sum[i][j] = t->sum[i][j] + b;
            }
        }
    }
    if (p->flags & FNN_RELU) {
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            FNN_UNROLL
            for (int j = 0; j < vectors; j++) {
                t->sum[i][j] = SELECT(LT(t->sum[i][j], SPLAT((real)0)), SPLAT((real)0), t->sum[i][j]);
            }
        }
    }
    if (p->flags & FNN_SLOPE) {
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            FNN_UNROLL
            for (int j = 0; j < vectors; j++) {
                const V a = LOAD_FIRST(p->epilogue + i * p->ldc + column + j * W, n - j * W);
                t->sum[i][j] = FN(relu_backward)(t->sum[i][j], a, a);
            }
        }
    }
    FNN_UNROLL
    for (int i = 0; i < rows; i++) {
        FNN_UNROLL
        for (int j = 0; j < vectors; j++) {
            STORE_FIRST(C + i * p->ldc + j * W, t->sum[i][j], n - j * W);
        }
    }
}

INLINE void FN(tile)(const int rows, const int vectors, const bool full, const bool ahead, const bool next,
                     const FN(product) *p, int64_t column, const real *B)
{
    TILE t;
    FN(begin)(rows, vectors, &t, p, B);
    FN(add)(rows, vectors, full, ahead, next, &t, p->a_row, p->a_k, p->ldb, p->n - column, p->k);
    FN(finish)(rows, vectors, &t, p, column);
}

/* A tile's rows over all columns. C may be far away: it is asked for before the sums that it is added to. */
INLINE void FN(tiles)(const int rows, const FN(product) *p)
{
    const bool packed = (p->flags & FNN_PACKED) != 0;
    const real *B = p->B;
    for (int64_t column = 0; column < p->n; column += 2 * W, B += p->panel) {
        const int64_t left = p->n - column;
        if (packed) {
            FNN_UNROLL
            for (int i = 0; i < rows; i++) {
                __builtin_prefetch(p->C + i * p->ldc + column, 1);
                __builtin_prefetch(p->C + i * p->ldc + column + W, 1);
            }
        }
        if (rows > TILE_ROWS && p->a_k == 1) { /* narrow, and of a high A */
            FN(tile)(rows, 1, false, false, true, p, column, B);
        } else if (rows > TILE_ROWS || left <= W) {
            FN(tile)(rows, 1, false, false, false, p, column, B);
        } else if (packed) {
            FN(tile)(rows, 2, true, false, false, p, column, B);
        } else if (left >= 2 * W) {
            FN(tile)(rows, 2, true, true, false, p, column, B);
        } else {
            FN(tile)(rows, 2, false, false, false, p, column, B);
        }
    }
}

/* A tile for each height that there may be. */
INLINE void FN(tiles_of)(int64_t rows, const FN(product) *p)
{
#define FNN_HEIGHT(n) case n: FN(tiles)(n, p); break;
    switch (rows) {
        FNN_HEIGHT(1) FNN_HEIGHT(2) FNN_HEIGHT(3)
#if NARROW_ROWS > 4
        FNN_HEIGHT(4) FNN_HEIGHT(5) FNN_HEIGHT(6) FNN_HEIGHT(7)
#endif
#if NARROW_ROWS > 8
        FNN_HEIGHT(8) FNN_HEIGHT(9) FNN_HEIGHT(10) FNN_HEIGHT(11) FNN_HEIGHT(12) FNN_HEIGHT(13) FNN_HEIGHT(14)
        FNN_HEIGHT(15)
#endif
    default:
        FN(tiles)(NARROW_ROWS, p);
        break;
    }
#undef FNN_HEIGHT
}
