/* The kernels of one instruction set and dtype, as the families call each other's; included by vector.h. Addresses are
 * of the pair's reals, strides in elements. */

/* gemm.c: C_mn = A_mk B_kn, then flags: FNN_BIAS, FNN_RELU. */
void FN(gemm)(real *C, int64_t ldc, const real *A, int64_t a_row, int64_t a_k, const real *B, int64_t ldb, int64_t m,
              int64_t n, int64_t k, const real *bias, int flags);
void FN(transpose)(real *dst, int64_t ldd, const real *src, int64_t lds, int64_t rows, int64_t columns);
void FN(bias_backward)(real *db, const real *dZ, int64_t ld, int64_t rows, int64_t columns);

/* elementwise.c: over n contiguous elements. */
void FN(activation_forward)(int code, real *A, const real *Z, int64_t n, real p);
void FN(activation_backward)(int code, real *dZ, const real *dA, const real *S, int64_t n, real p);
void FN(row_scale)(real *s, const real *w, int64_t n, real factor);
void FN(penalty_backward)(real *g, const real *w, int64_t n, real l1, real two_l2);
void FN(decay_step)(real *theta, int64_t n, real factor);
void FN(gather_row)(int code, real *dst, const char *src, int64_t n, int64_t stride);
int64_t FN(find_nonfinite)(const char *x, int64_t n);
double FN(sum_abs)(const real *w, int64_t n);
double FN(sum_squares)(const real *w, int64_t n);
double FN(weighted_sum)(double total, const real *l, int64_t ld, const real *w, int64_t ld_w, int64_t rows);

/* softmax.c: over rows of C elements. */
void FN(softmax_forward)(real *P, int64_t ldp, const real *Z, int64_t ldz, int64_t rows, int64_t width);
void FN(softmax_backward)(real *dZ, int64_t ldz, const real *dP, int64_t ld_dp, const real *P, int64_t ldp,
                          int64_t rows, int64_t width);
void FN(crossentropy_forward)(bool sparse, real *l, int64_t ldl, real *P, int64_t ldp, const real *Z, int64_t ldz,
                              const real *Y, int64_t ldy, int64_t rows, int64_t width, real keep, real add);
void FN(crossentropy_backward)(bool sparse, real *dZ, int64_t ldz, const real *P, int64_t ldp, const real *Y,
                               int64_t ldy, const real *s, int64_t lds, int64_t rows, int64_t width, real keep,
                               real add);
void FN(loss_forward)(int code, real *l, int64_t ldl, const real *A, int64_t lda, const real *Y, int64_t ldy,
                      int64_t rows, int64_t width, real p, real keep, real add);
void FN(loss_backward)(int code, real *dA, int64_t ldd, const real *A, int64_t lda, const real *Y, int64_t ldy,
                       const real *s, int64_t lds, int64_t rows, int64_t width, real p, real keep, real add);
void FN(accuracy)(int code, real *r, int64_t ldr, const real *A, int64_t lda, const real *Y, int64_t ldy, int64_t rows,
                  int64_t width);
void FN(r2_sums)(double *sums, const real *A, int64_t lda, const real *Y, int64_t ldy, int64_t rows, int64_t width);

/* optimizers.c: one step on n parameters. */
void FN(optimizer_step)(int code, real *theta, real *s0, real *s1, const real *g, int64_t n, const real *h);

/* philox.c */
void FN(dropout_rows)(real *dst, int64_t ldd, const real *src, int64_t lds, int64_t first, int64_t last, int64_t width,
                      double rate, int64_t seed, int64_t step, int64_t layer);

/* network.c, worker.c: what a team's threads run. */
void FN(run)(void *context, fnn_sync *sync, int64_t member, int64_t team);
void FN(operate)(void *context, fnn_sync *sync, int64_t member, int64_t team);
void FN(scan)(void *context, fnn_sync *sync, int64_t member, int64_t team);
