/* The kernels of one instruction set and dtype, as the families call each other's; included by vector.h. Addresses are
 * of the pair's reals, strides in elements. */

/* A product C_mn = A_mk B_kn, and what follows it, by flags: FNN_BIAS, FNN_RELU, FNN_SLOPE, of `epilogue`. Strides in
 * elements. What is in the second half concerns gemm_blocks.c alone. */
typedef struct FN(product) {
    real *C;
    const real *A, *B, *epilogue;
    int64_t ldc, a_row, a_k, ldb, n, k;
    int flags;
    int64_t panel;
    const char *prefetch; /* or NULL */
    int64_t prefetch_row, slot_0, slot_1;
} FN(product);

/* gemm.c: with FNN_TRANSPOSED B is given as (n, k); with FNN_FAR A comes from memory, as one too large for the second
 * cache does. `scratch` has room for FNN_PACK_SIZE reals. */
void FN(gemm)(const FN(product) *product, int64_t m, real *scratch);
bool FN(takes_slope)(int64_t m, int64_t n, int64_t k); /* whether FNN_SLOPE may be among the flags, with FNN_TRANSPOSED */
bool FN(packs_columns)(int64_t ldb, int64_t m, int64_t n, int64_t k); /* whether packing B repays the copy */
void FN(bias_backward)(real *db, const real *dZ, int64_t ld, int64_t rows, int64_t columns);

/* The samples that a thread expects, in its buffer. */
INLINE fnn_expected *FN(expected)(real *scratch)
{
    return (fnn_expected *)(void *)(scratch + FNN_EXPECTED);
}

/* gemm_blocks.c: C (+)= A B over one chunk of k and a block of columns. Columns of B lie in panels of two vectors: rows of
 * a panel `ldb` apart, panels `panel`. A gradient names the parameters that the optimizer wants after it: where they
 * begin, the bytes of a row, and those from theta to a slot. With FNN_FAR the next rows of A are asked for.
 * `scratch` takes copies of A's rows where they repay it, and says which samples tiles ask for; it may be NULL. */
void FN(gemm_rows)(const FN(product) *product, int64_t m, real *scratch);
void FN(pack_panels)(real *panels, const real *B, int64_t ldb, int64_t n, int64_t k);

/* gemm_few.c: what gemm.c gives to it. Dot products: out (rows, count) = R (rows, k), contiguous along k, times `count`
 * vectors of k. Few rows: B as it is given. gemv: one row of C, C (n) = q B. Few columns: A is contiguous along m. */
typedef struct FN(dot_products) {
    real *out;
    const real *R, *Q, *epilogue;
    int64_t out_row, out_vector, ldr, q_vector, q_k, rows, count, k;
    int flags;
} FN(dot_products);
void FN(few_dots)(const FN(dot_products) *products);
void FN(few_rows)(const FN(product) *product, int64_t m);
void FN(gemv)(real *C, int64_t c_n, const real *q, int64_t q_k, const real *B, int64_t ldb, int64_t n, int64_t k,
              const real *epilogue, int flags);
void FN(outer)(real *C, int64_t ldc, const real *A, int64_t a_row, const real *B, int64_t m, int64_t n);
void FN(few_columns)(real *C, int64_t ldc, const real *A, int64_t a_k, const real *B, int64_t ldb, int64_t m, int64_t n,
                     int64_t k);

/* transpose.c: dst_cr = src_rc; and the panels of a B that is given as (n, k). */
void FN(transpose)(real *dst, int64_t ldd, const real *src, int64_t lds, int64_t rows, int64_t columns);
void FN(pack_transposed)(real *panels, const real *B, int64_t ldb, int64_t n, int64_t k);

/* elementwise.c: over n contiguous elements. */
void FN(activation_forward)(int code, real *A, const real *Z, int64_t n, real p);
void FN(activation_backward)(int code, real *dZ, const real *dA, const real *S, int64_t n, real p);
void FN(row_scale)(real *s, const real *w, int64_t n, real factor);
void FN(penalty_backward)(real *g, const real *w, int64_t n, real l1, real two_l2);
void FN(decay_step)(real *theta, int64_t n, real factor);
void FN(gather_row)(int code, real *dst, const char *src, int64_t n, int64_t stride);
void FN(gather_column)(int code, real *dst, int64_t apart, const char *src, int64_t row_bytes, const int64_t *order,
                       int64_t first, int64_t last);
int64_t FN(find_nonfinite)(const char *x, int64_t n, real largest);
double FN(sum_abs)(const real *w, int64_t n);
double FN(sum_squares)(const real *w, int64_t n);
double FN(weighted_sum)(double total, const real *l, int64_t ld, const real *w, int64_t ld_w, int64_t rows);

/* softmax.c, losses.c: over rows of C elements. Of a loss: its values l, or a gradient, dA or dZ, by the scales s; what it
 * reads, predictions A or logits Z, targets Y; and P, the softmax, which a forward pass leaves and a backward pass reads. */
typedef struct FN(loss_rows) {
    real *l, *dA, *P;
    const real *A, *Y, *s;
    int64_t ldl, ldd, ldp, lda, ldy, lds, rows, width;
    real p, keep, add;
} FN(loss_rows);
void FN(softmax_forward)(real *P, int64_t ldp, const real *Z, int64_t ldz, int64_t rows, int64_t width);
void FN(softmax_backward)(real *dZ, int64_t ldz, const real *dP, int64_t ld_dp, const real *P, int64_t ldp,
                          int64_t rows, int64_t width);
void FN(crossentropy_forward)(bool sparse, const FN(loss_rows) *read);
void FN(crossentropy_backward)(bool sparse, const FN(loss_rows) *read);
void FN(loss_forward)(int code, const FN(loss_rows) *read);
void FN(loss_backward)(int code, const FN(loss_rows) *read);
void FN(accuracy)(int code, real *r, int64_t ldr, const real *A, int64_t lda, const real *Y, int64_t ldy, int64_t rows,
                  int64_t width);
void FN(r2_sums)(double *sums, const real *A, int64_t lda, const real *Y, int64_t ldy, const real *w, int64_t ldw,
                 int64_t rows, int64_t width);

/* normalization.c: over n contiguous elements, over columns of a batch, over rows. Of a normalization: vectors over the
 * columns, and 1 / how many numbers a mean is of. */
typedef struct FN(normal) {
    const real *mean, *inv, *gamma, *beta, *db, *dg;
    real epsilon, inverse;
} FN(normal);
void FN(affine)(real *A, const real *Z, int64_t n, real scale, real offset);
void FN(moving_average)(real *m, const real *x, int64_t n, real rate);
void FN(inverse_deviation)(int code, real *inv, const real *var, int64_t n, real epsilon);
void FN(clip_value)(real *g, int64_t n, real limit);
void FN(gradient_scale)(real *g, int64_t n, real factor);
void FN(batch_moments)(real *mean, real *var, const real *Z, int64_t ld, int64_t rows, int64_t columns, real inverse_b);
void FN(scale_backward)(real *dg, const real *dA, int64_t lda, const real *N, int64_t ldn, int64_t rows,
                        int64_t columns);
void FN(standardize_forward)(real *A, int64_t lda, const real *Z, int64_t ldz, const real *mean, const real *inv,
                             const real *gamma, const real *beta, int64_t rows, int64_t width);
void FN(standardize_backward)(real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *inv, const real *gamma,
                              int64_t rows, int64_t width);
void FN(batch_norm_forward)(real *A, int64_t lda, real *N, int64_t ldn, const real *Z, int64_t ldz,
                            const FN(normal) *normal, int64_t rows, int64_t width);
void FN(batch_norm_backward)(real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *N, int64_t ldn,
                             const FN(normal) *normal, int64_t rows, int64_t width);
void FN(layer_norm_forward)(real *A, int64_t lda, real *N, int64_t ldn, real *inv, int64_t ld_inv, const real *Z,
                            int64_t ldz, const FN(normal) *normal, int64_t rows, int64_t width);
void FN(layer_norm_backward)(real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *N, int64_t ldn,
                             const real *inv, int64_t ld_inv, const real *gamma, int64_t rows, int64_t width,
                             real inverse_o);

/* rowwise.c: over rows, and a sum over the batch. */
void FN(row_wise_forward)(int code, real *A, int64_t lda, const real *Z, int64_t ldz, const real *v, const real *w,
                          int64_t rows, int64_t width, const double *h);
void FN(row_wise_backward)(int code, real *dZ, int64_t ldz, const real *dA, int64_t lda, const real *S, int64_t lds,
                           const real *v, const real *w, int64_t rows, int64_t width, const double *h);
void FN(vector_backward)(int code, real *dv, const real *dA, int64_t lda, const real *S, int64_t lds, int64_t rows,
                         int64_t columns);

/* binary.c: over n contiguous elements, over rows. */
void FN(binary)(int code, real *C, const real *A, const real *B, int64_t n);
void FN(binary_backward)(int code, real *dX, const real *dC, const real *A, const real *B, int64_t n);
void FN(fill)(real *A, int64_t n, real value);
void FN(sum_rows)(real *s, int64_t lds, const real *Z, int64_t ldz, int64_t rows, int64_t width);
void FN(embedding_forward)(real *A, int64_t lda, const real *y, int64_t ldy, const real *table, int64_t ldt,
                           int64_t rows, int64_t width, int64_t depth);
void FN(embedding_backward)(real *gradient, int64_t ldg, int64_t first, int64_t last, const real *y, int64_t ldy,
                            const real *dA, int64_t lda, int64_t rows, int64_t width, int64_t depth);
void FN(repeat)(real *A, int64_t lda, const real *s, int64_t lds, int64_t rows, int64_t width);

/* optimizers.c: one step with scalars h on n parameters, from element `first` of theta and the slots on, which asks for
 * what lies `ahead` bytes further. */
void FN(optimizer_step)(int code, real *theta, void *const *slots, int64_t first, const real *g, int64_t n,
                        const double *h, int64_t ahead);

/* philox.c */
void FN(dropout_rows)(real *dst, int64_t ldd, const real *src, int64_t lds, uint64_t *masks, int64_t ldm, int64_t first,
                      int64_t last, int64_t width, double rate, const fnn_draw *draw);
void FN(uniform_rows)(real *dst, int64_t ldd, int64_t first, int64_t last, int64_t width, const fnn_draw *draw);
void FN(dropout_again)(real *dst, int64_t ldd, const real *src, int64_t lds, const uint64_t *masks, int64_t ldm,
                       int64_t rows, int64_t width, double rate);

/* A row of a workspace buffer. */
INLINE real *FN(buffer)(const fnn_program *program, int64_t unit, int64_t width, int64_t row)
{
    return (real *)program->workspace + program->fixed_elements + unit * program->capacity + row * fnn_padded(width);
}

/* A row of the instruction table, of the parameter table, and an instruction's calls. */
INLINE const int64_t *FN(instruction)(const fnn_program *program, int64_t index)
{
    return program->instructions + index * FNN_COLUMN_WIDTH;
}
INLINE const int64_t *FN(parameter)(const fnn_program *program, int64_t index)
{
    return program->parameters + index * FNN_PARAMETER_WIDTH;
}
INLINE const fnn_call *FN(calls)(const fnn_program *program, int64_t index)
{
    return program->calls + index * FNN_SLOT_WIDTH;
}

/* A member's scratch: what gemm_blocks.c packs, then the gradient of a block of a W. */
INLINE real *FN(scratch)(const fnn_program *program, int64_t member)
{
    return (real *)program->scratch + member * FNN_SCRATCH;
}

/* A row of the table of losses, of inputs, of outputs. */
INLINE const int64_t *FN(loss)(const fnn_program *program, int64_t index)
{
    return program->loss + index * FNN_LOSS_ENTRY_WIDTH;
}
INLINE const int64_t *FN(input)(const fnn_program *program, int64_t index)
{
    return program->inputs + index * FNN_INPUT_ENTRY_WIDTH;
}
INLINE const int64_t *FN(output)(const fnn_program *program, int64_t index)
{
    return program->outputs + index * FNN_INPUT_ENTRY_WIDTH;
}

/* The targets of a loss and its weights. */
INLINE const fnn_array *FN(targets)(const fnn_member *m, int64_t loss)
{
    return m->data->arrays + m->program->input_count + loss;
}
INLINE const fnn_array *FN(weights)(const fnn_member *m, int64_t loss)
{
    return FN(targets)(m, m->program->loss_count + loss);
}

/* dense.c, dropout.c, rows.c: a member's part of a batch. */
bool FN(shares_columns)(const int64_t *op, int64_t rows, int64_t team, bool training);
int64_t FN(dense_forward)(const fnn_member *m, int64_t index, int64_t first, const real *src, int64_t ld_src,
                          int64_t rows, int flags);
int64_t FN(dense_backward)(const fnn_member *m, int64_t index, int64_t first, int64_t rows);
int64_t FN(dense_together)(const fnn_member *m, const fnn_batch *batch, int64_t index, bool backward);
void FN(dropout_forward)(const fnn_member *m, const fnn_batch *batch, const int64_t *op);
void FN(dropout_backward)(const fnn_member *m, const fnn_batch *batch, const int64_t *op);
void FN(gather)(const fnn_member *m, int64_t first, int64_t last, int64_t batch_start, bool with_targets);
void FN(forward)(const fnn_member *m, const fnn_batch *batch, int64_t index);
void FN(losses)(const fnn_member *m, const fnn_batch *batch);
void FN(loss_gradients)(const fnn_member *m, const fnn_batch *batch);
void FN(backward)(const fnn_member *m, const fnn_batch *batch);

/* operations.c: calls on some rows of a batch, on a member's columns of it, of losses, and what sums columns. */
void FN(operate_rows)(const fnn_call *call, int64_t first, int64_t rows, int64_t batch_rows);
void FN(operate_columns)(const fnn_call *call, int64_t rows, int64_t member, int64_t team);
void FN(operate_losses)(const fnn_call *call, int64_t first, int64_t rows);
void FN(sum_batch)(const fnn_call *call, real *sums, int64_t first, int64_t n, int64_t rows);

/* penalties.c: the penalties of all parameters, in blocks that the members share; then their sum. */
void FN(penalty_blocks)(const fnn_member *m);
double FN(penalty)(const fnn_program *program);

/* update.c: what a step does to parameters. */
double FN(decay_of)(const int64_t *row, const fnn_step *s);
void FN(add_squares)(const fnn_member *m);
void FN(update_range)(const fnn_program *program, int64_t offset, int64_t n, int64_t ahead, real *gradient,
                      double factor, double decay, const fnn_step *s);

/* parameters.c: a member's share of every parameter. */
void FN(parameter_phase)(const fnn_member *m, int64_t batch_rows, const fnn_step *s);
void FN(update_phase)(const fnn_member *m, const fnn_step *s);

/* network.c: a program; operations.c, worker.c: what a team's threads run. */
int64_t FN(steps)(const fnn_member *m, bool training, bool updating);
void FN(update)(const fnn_member *m);
void FN(predict)(const fnn_member *m);
void FN(work)(void *context, fnn_sync *sync, int64_t member, int64_t team);
void FN(operate)(void *context, fnn_sync *sync, int64_t member, int64_t team);
void FN(scan)(void *context, fnn_sync *sync, int64_t member, int64_t team);
