/* The register tile of the GEMM: rows x vectors accumulators, fed by broadcasts of A and vectors of B. Included once
 * for a dtype and an instruction set. */

/* Rows of the tiles: panels of two vectors, panels of one. */
#undef WIDE_ROWS
#undef WIDE_REST
#undef NARROW_ROWS
#undef BLOCK_ROWS
#if FNN_LEVEL == FNN_AVX512
#define WIDE_ROWS 8
#define WIDE_REST 4
#define NARROW_ROWS 16
#define BLOCK_ROWS 14
#elif FNN_LEVEL == FNN_AVX2
#define WIDE_ROWS 6
#define WIDE_REST 2
#define NARROW_ROWS 8
#define BLOCK_ROWS 6
#else
#define WIDE_ROWS 4
#define WIDE_REST 2
#define NARROW_ROWS 8
#define BLOCK_ROWS 4
#endif

/* `rows` x `vectors` accumulators; `full` if every column is there to be read: constants after inlining. */
INLINE void FN(tile)(const int rows, const int vectors, const bool full, real *C, int64_t ldc, const real *A,
                     int64_t a_row, int64_t a_k, const real *B, int64_t ldb, int64_t n, int64_t k, const real *bias,
                     int flags)
{
    V sum[NARROW_ROWS][2];
    /* Every fourth row has a pointer: the others are reached by offsets that fit in registers. */
    const real *start[(NARROW_ROWS + 3) / 4];
    FNN_UNROLL
    for (int i = 0; i < rows; i++) {
        FNN_UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = SPLAT((real)0);
        }
    }
    FNN_UNROLL
    for (int i = 0; i < rows; i += 4) {
        start[i / 4] = A + i * a_row;
    }
    for (int64_t step = 0; step < k; step++) {
        V b[2];
        FNN_UNROLL
        for (int j = 0; j < vectors; j++) {
            b[j] = full ? LOAD(B + j * W) : LOAD_FIRST(B + j * W, n > j * W ? n - j * W : 0);
        }
        B += ldb;
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            const V a = SPLAT(start[i / 4][i % 4 * a_row]);
            FNN_UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] = FMA(a, b[j], sum[i][j]);
            }
        }
        FNN_UNROLL
        for (int i = 0; i < rows; i += 4) {
            start[i / 4] += a_k;
        }
    }
    FNN_UNROLL
    for (int j = 0; j < vectors; j++) {
        const int64_t left = n > j * W ? n - j * W : 0;
        const V b = (flags & FNN_BIAS) ? LOAD_FIRST(bias + j * W, left) : SPLAT((real)0);
        FNN_UNROLL
        for (int i = 0; i < rows; i++) {
            real *c = C + i * ldc + j * W;
            V value = sum[i][j];
            if (flags & FNN_ACCUMULATE) {
                value = LOAD_FIRST(c, left) + value;
            }
            if (flags & FNN_BIAS) {
                value = value + b;
            }
            if (flags & FNN_RELU) {
                value = SELECT(LT(value, SPLAT((real)0)), SPLAT((real)0), value);
            }
            STORE_FIRST(c, value, left);
        }
    }
}
