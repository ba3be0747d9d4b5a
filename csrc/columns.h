/* Sums over the batch, column by column, by the rule of the GEMM: chunks of FNN_K_CHUNK rows, each from +0, added in
 * order. Included anew for each instruction set and dtype.
 */

/* What is added up. */
#undef SUM
#undef SUM_PRODUCTS
#undef SUM_SQUARES
#define SUM 0 /* x */
#define SUM_PRODUCTS 1 /* x y */
#define SUM_SQUARES 2 /* (x - y)^2, y a row */

/* Columns of a register each at once, so that one sum need not wait for another. */
#undef SUM_VECTORS
#define SUM_VECTORS 4

INLINE void FN(sum_vectors)(const int what, const int vectors, real *out, const real *X, int64_t ldx, const real *Y,
                            int64_t ldy, int64_t rows, int64_t left)
{
    V total[SUM_VECTORS], chunk[SUM_VECTORS];
    int64_t start = 0;
    do {
        const int64_t end = fnn_least(start + FNN_K_CHUNK, rows);
        FNN_UNROLL
        for (int i = 0; i < vectors; i++) {
            chunk[i] = SPLAT((real)0);
        }
        for (int64_t row = start; row < end; row++) {
            FNN_UNROLL
            for (int i = 0; i < vectors; i++) {
                const V x = LOAD_FIRST(X + row * ldx + i * W, left - i * W);
                if (what == SUM) {
                    chunk[i] = chunk[i] + x;
                } else {
                    const V y = LOAD_FIRST(Y + row * ldy + i * W, left - i * W), d = x - y;
                    chunk[i] = what == SUM_PRODUCTS ? FMA(x, y, chunk[i]) : FMA(d, d, chunk[i]);
                }
            }
        }
        FNN_UNROLL
        for (int i = 0; i < vectors; i++) {
            total[i] = start == 0 ? chunk[i] : total[i] + chunk[i];
        }
        start = end;
    } while (start < rows);
    FNN_UNROLL
    for (int i = 0; i < vectors; i++) {
        STORE_FIRST(out + i * W, total[i], left - i * W);
    }
}

/* out (columns) = the sums of X (rows, columns) with Y, whose stride may be 0. */
INLINE void FN(sum_columns)(const int what, real *out, const real *X, int64_t ldx, const real *Y, int64_t ldy,
                            int64_t rows, int64_t columns)
{
    int64_t c = 0;
    for (; c + SUM_VECTORS * W <= columns; c += SUM_VECTORS * W) {
        FN(sum_vectors)(what, SUM_VECTORS, out + c, X + c, ldx, Y != NULL ? Y + c : NULL, ldy, rows, columns - c);
    }
    for (; c < columns; c += W) {
        FN(sum_vectors)(what, 1, out + c, X + c, ldx, Y != NULL ? Y + c : NULL, ldy, rows, columns - c);
    }
}
