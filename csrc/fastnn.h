/* fastnn.h: the whole C interface of fastnn, dense neural networks with the same bits on every backend.
 *
 * Sizes: b batch, i fan-in, o fan-out, c classes, p parameters, m n k of a GEMM. `ld...` is the stride between rows in
 * elements; the elements of a row are contiguous. Arguments are outputs, inputs, sizes, scalars. Every function gives a
 * status, never prints, never ends the process and allocates nothing. `threads` is how many it may use; the bits do not
 * depend on it. Functions may run side by side on different data.
 *
 * Codes and the columns of the plan's tables are those of fastnn/core/plan.py; csrc/generate.py writes them to constants.h.
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* declarations: what stands between these two lines is what the Python binding reads */

/* What every function gives. */
#define FNN_OK 0
#define FNN_NULL 1 /* a pointer is NULL that is needed */
#define FNN_BAD_SIZE 2 /* a size is negative, or more than the buffers hold */
#define FNN_BAD_CODE 3 /* no such instruction, activation, loss, metric, optimizer, clip or dtype */
#define FNN_BAD_LEVEL 4 /* no such instruction set, or not on this processor */

/* Dtypes of an fnn_array. */
#define FNN_BOOL 0
#define FNN_UINT8 1
#define FNN_INT8 2
#define FNN_UINT16 3
#define FNN_INT16 4
#define FNN_UINT32 5
#define FNN_INT32 6
#define FNN_UINT64 7
#define FNN_INT64 8
#define FNN_FLOAT16 9
#define FNN_FLOAT32 10
#define FNN_FLOAT64 11

#define FNN_SCRATCH_F32 358928 /* reals of a thread's scratch, which begins at a multiple of 8 bytes */
#define FNN_SCRATCH_F64 196104

/* An operation of the table on arrays. */
typedef struct fnn_call {
    int32_t family; /* FNN_FAMILY_*, or -1: no operation */
    int32_t code;
    const void *array[7]; /* outputs, inputs, a GEMM's scratch */
    int64_t ld[7]; /* elements between rows; 0: one row serves all */
    int64_t m, n, k; /* rows, columns, depth */
    double scalar[6];
    int64_t seed, step, layer;
    void *scratch; /* of each thread, or NULL */
    int32_t flat; /* whether rows lie one behind another, so that their elements may be taken for one row */
    int32_t per_batch; /* whether the first scalar is 1 / the rows of the batch */
} fnn_call;

/* A plan and its state. Reals are of the dtype of the function that is called. */
typedef struct fnn_program {
    const int64_t *instructions; /* (instruction_count, FNN_COLUMN_WIDTH) */
    int64_t instruction_count;
    const fnn_call *calls; /* (instruction_count, FNN_SLOT_WIDTH): what fastnn/core/instructions.py says, by rows of the
                            * workspace; a DENSE, a DROPOUT and a RANDOM need none */
    const fnn_call *gradients; /* (parameter_count): what sums over the batch for a vector; its result goes elsewhere */
    const int64_t *parameters; /* (parameter_count, FNN_PARAMETER_WIDTH) */
    int64_t parameter_count;
    const int64_t *metrics; /* (metric_count, FNN_METRIC_ENTRY_WIDTH) */
    int64_t metric_count;
    const fnn_call *losses; /* (2 loss_count + metric_count): the gradient of each loss and its values, those of each
                             * metric */
    const int64_t *loss; /* (loss_count, FNN_LOSS_ENTRY_WIDTH), or NULL: a model that only predicts */
    int64_t loss_count;
    const int64_t *inputs, *outputs; /* (input_count, FNN_INPUT_ENTRY_WIDTH), (output_count, the same) */
    int64_t input_count, output_count;
    const int64_t *optimizer; /* (FNN_OPTIMIZER_ENTRY_WIDTH), or NULL: never updated */
    const double *constants;
    int64_t reads_in_place; /* 1: the first instruction alone reads the one input, and is a DENSE */
    int64_t forward_rows; /* in inference, of a thread's block or of a team's batch, at most */
    int64_t fixed_elements; /* of the workspace, beside its rows */
    void *theta, *gradient; /* reals (p) */
    void *slots[3]; /* reals (p), or NULL where the optimizer has none */
    double *scalars; /* (FNN_SCALAR_WIDTH) */
    int64_t *counters; /* (FNN_COUNTER_WIDTH) */
    void *workspace; /* reals (fixed_elements + capacity * row elements) */
    double *norms; /* (parameter_count), or NULL where gradients are not clipped by norms */
    int64_t capacity; /* rows of a batch that the workspace and the vectors below hold */
    void *row_values; /* reals (loss_count + metric_count, capacity) */
    void *row_scales; /* reals (loss_count, capacity) */
    void *row_weights; /* reals (loss_count, capacity): ones, unless data has weights */
    void *addend; /* reals (p), or NULL where no parameter has several uses */
    void *scratch; /* reals (scratch_threads, FNN_SCRATCH_F32 or FNN_SCRATCH_F64) */
    int64_t scratch_threads;
    int64_t *laps; /* (scratch_threads, FNN_PHASE_WIDTH): clock cycles by phase are added to each thread's row; or NULL */
} fnn_program;

/* An array of rows, of any real dtype; strides are in bytes. */
typedef struct fnn_array {
    const void *data;
    int64_t row, element;
    int32_t code;
} fnn_array;

/* What is trained or predicted on. */
typedef struct fnn_data {
    const fnn_array *arrays; /* the inputs; to train, the targets of each loss, then its weights: reals (rows), or NULL,
                              * which are ones */
    const int64_t *order; /* (rows): the epoch's order, each below the number of rows; NULL: 0, 1, 2 ... */
    int64_t rows, batch;
    const double *shares; /* (steps): what the penalties of each step are multiplied by; NULL: 1 */
} fnn_data;

/* "avx512", "avx2" or "portable": the instruction set in use. At first the best that the processor has, or the one that
 * the environment's FASTNN_CPU names. */
const char *fnn_level(void);

/* Uses another instruction set; NULL: the best. Not while other functions run. */
int fnn_set_level(const char *name);

/* Runs `member(context)` on `threads` threads and returns when all have ended; fewer that come change only the time. */
typedef void (*fnn_region)(void (*member)(void *), void *context, int32_t threads);

/* How threads are started; NULL: never more than one. At first the library's own, where there are POSIX threads. */
int fnn_set_region(fnn_region region);

/* order (n) = the permutation of an epoch. */
int fnn_shuffle(int64_t *order, int64_t n, int64_t seed, int64_t epoch);

/* found (threads) = the first flat index of each thread's rows of x (b, i) that is NaN or whose magnitude exceeds
 * `largest`, or -1; the stride between rows is in bytes. */
int fnn_find_nonfinite_f32(int64_t *found, const void *x_bi, int64_t row_bytes, int64_t b, int64_t i, double largest,
        int32_t threads);
int fnn_find_nonfinite_f64(int64_t *found, const void *x_bi, int64_t row_bytes, int64_t b, int64_t i, double largest,
        int32_t threads);

/* --- operations: the rows of fastnn/core/operations.py --- */

/* C (m, n) = A (m, k) B (k, n), chunks of 256 along k. scratch of the four (threads, FNN_SCRATCH_F32 or
 * FNN_SCRATCH_F64). */
int fnn_gemm_nn_f32(float *C_mn, int64_t ldc, const float *A_mk, int64_t lda, const float *B_kn, int64_t ldb,
        int64_t m, int64_t n, int64_t k, float *scratch, int32_t threads);
int fnn_gemm_nn_f64(double *C_mn, int64_t ldc, const double *A_mk, int64_t lda, const double *B_kn, int64_t ldb,
        int64_t m, int64_t n, int64_t k, double *scratch, int32_t threads);

/* C (m, n) = A^T B, A (k, m), B (k, n). */
int fnn_gemm_tn_f32(float *C_mn, int64_t ldc, const float *A_km, int64_t lda, const float *B_kn, int64_t ldb,
        int64_t m, int64_t n, int64_t k, float *scratch, int32_t threads);
int fnn_gemm_tn_f64(double *C_mn, int64_t ldc, const double *A_km, int64_t lda, const double *B_kn, int64_t ldb,
        int64_t m, int64_t n, int64_t k, double *scratch, int32_t threads);

/* C (m, n) = A B^T, A (m, k), B (n, k). */
int fnn_gemm_nt_f32(float *C_mn, int64_t ldc, const float *A_mk, int64_t lda, const float *B_nk, int64_t ldb,
        int64_t m, int64_t n, int64_t k, float *scratch, int32_t threads);
int fnn_gemm_nt_f64(double *C_mn, int64_t ldc, const double *A_mk, int64_t lda, const double *B_nk, int64_t ldb,
        int64_t m, int64_t n, int64_t k, double *scratch, int32_t threads);

/* Z (b, o) = X (b, i) W (i, o) + b (o). */
int fnn_dense_forward_f32(float *Z_bo, int64_t ldz, const float *X_bi, int64_t ldx, const float *W_io, int64_t ldw,
        const float *b_o, int64_t b, int64_t o, int64_t i,
        float *scratch, int32_t threads);
int fnn_dense_forward_f64(double *Z_bo, int64_t ldz, const double *X_bi, int64_t ldx, const double *W_io, int64_t ldw,
        const double *b_o, int64_t b, int64_t o, int64_t i,
        double *scratch, int32_t threads);

/* db (o) = the sum of dZ (b, o) over b. */
int fnn_bias_backward_f32(float *db_o, const float *dZ_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads);
int fnn_bias_backward_f64(double *db_o, const double *dZ_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads);

/* A (b, o) = f(Z (b, o)); code: FNN_ACTIVATION_*, p: its parameter. */
int fnn_activation_forward_f32(float *A_bo, int64_t lda, const float *Z_bo, int64_t ldz, int64_t b, int64_t o,
        int32_t code, double p, int32_t threads);
int fnn_activation_forward_f64(double *A_bo, int64_t lda, const double *Z_bo, int64_t ldz, int64_t b, int64_t o,
        int32_t code, double p, int32_t threads);

/* dZ (b, o) = dA (b, o) f' from the saved S (b, o): A or Z, as the activation's row says. */
int fnn_activation_backward_f32(float *dZ_bo, int64_t ldz, const float *dA_bo, int64_t lda, const float *S_bo,
        int64_t lds, int64_t b, int64_t o, int32_t code, double p, int32_t threads);
int fnn_activation_backward_f64(double *dZ_bo, int64_t ldz, const double *dA_bo, int64_t lda, const double *S_bo,
        int64_t lds, int64_t b, int64_t o, int32_t code, double p, int32_t threads);

/* P (b, c) = e^(Z - max) / sum by rows, Z (b, c). */
int fnn_softmax_forward_f32(float *P_bc, int64_t ldp, const float *Z_bc, int64_t ldz, int64_t b, int64_t c,
        int32_t threads);
int fnn_softmax_forward_f64(double *P_bc, int64_t ldp, const double *Z_bc, int64_t ldz, int64_t b, int64_t c,
        int32_t threads);

/* dZ (b, c) = P (dP - sum(dP P)) by rows, dP (b, c), P (b, c). */
int fnn_softmax_backward_f32(float *dZ_bc, int64_t ldz, const float *dP_bc, int64_t ld_dp, const float *P_bc,
        int64_t ldp, int64_t b, int64_t c, int32_t threads);
int fnn_softmax_backward_f64(double *dZ_bc, int64_t ldz, const double *dP_bc, int64_t ld_dp, const double *P_bc,
        int64_t ldp, int64_t b, int64_t c, int32_t threads);

/* l (b) of A (b, c) against Y (b, c), or y (b, 1) where code is sparse; y' = y keep + add. */
int fnn_loss_forward_f32(float *l_b, int64_t ldl, const float *A_bc, int64_t lda, const float *Y_bc, int64_t ldy,
        int64_t b, int64_t c, int32_t code, double p, double keep, double add, int32_t threads);
int fnn_loss_forward_f64(double *l_b, int64_t ldl, const double *A_bc, int64_t lda, const double *Y_bc, int64_t ldy,
        int64_t b, int64_t c, int32_t code, double p, double keep, double add, int32_t threads);

/* dA (b, c) = its gradient by A, times s (b). */
int fnn_loss_backward_f32(float *dA_bc, int64_t ldd, const float *A_bc, int64_t lda, const float *Y_bc, int64_t ldy,
        const float *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double p, double keep, double add,
        int32_t threads);
int fnn_loss_backward_f64(double *dA_bc, int64_t ldd, const double *A_bc, int64_t lda, const double *Y_bc,
        int64_t ldy, const double *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double p, double keep,
        double add, int32_t threads);

/* l (b) and P (b, c) = softmax(Z) from logits Z (b, c) against Y (b, c) or y (b, 1); P is not Z. */
int fnn_crossentropy_forward_f32(float *l_b, int64_t ldl, float *P_bc, int64_t ldp, const float *Z_bc, int64_t ldz,
        const float *Y_bc, int64_t ldy, int64_t b, int64_t c, int32_t code, double keep, double add, int32_t threads);
int fnn_crossentropy_forward_f64(double *l_b, int64_t ldl, double *P_bc, int64_t ldp, const double *Z_bc, int64_t ldz,
        const double *Y_bc, int64_t ldy, int64_t b, int64_t c, int32_t code, double keep, double add,
        int32_t threads);

/* dZ (b, c) = (P sum(Y) - Y) s, P (b, c), s (b). */
int fnn_crossentropy_backward_f32(float *dZ_bc, int64_t ldz, const float *P_bc, int64_t ldp, const float *Y_bc,
        int64_t ldy, const float *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double keep, double add,
        int32_t threads);
int fnn_crossentropy_backward_f64(double *dZ_bc, int64_t ldz, const double *P_bc, int64_t ldp, const double *Y_bc,
        int64_t ldy, const double *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double keep, double add,
        int32_t threads);

/* r (b) of A (b, c) against Y (b, c) or y (b, 1); code: FNN_METRIC_*_accuracy. */
int fnn_metric_f32(float *r_b, int64_t ldr, const float *A_bc, int64_t lda, const float *Y_bc, int64_t ldy, int64_t b,
        int64_t c, int32_t code, int32_t threads);
int fnn_metric_f64(double *r_b, int64_t ldr, const double *A_bc, int64_t lda, const double *Y_bc, int64_t ldy,
        int64_t b, int64_t c, int32_t code, int32_t threads);

/* total (3 c + 1) += sum w y, sum w y^2, sum w (y - a)^2 by output, then sum w; A (b, c), Y (b, c), w (b). */
int fnn_r2_sums_f32(double *total, const float *A_bc, int64_t lda, const float *Y_bc, int64_t ldy, const float *w_b,
        int64_t ldw, int64_t b, int64_t c, int32_t threads);
int fnn_r2_sums_f64(double *total, const double *A_bc, int64_t lda, const double *Y_bc, int64_t ldy, const double
        *w_b, int64_t ldw, int64_t b, int64_t c, int32_t threads);

/* total (1) += w l in row order, l (b), w (b). */
int fnn_weighted_sum_f32(double *total, const float *l_b, int64_t ldl, const float *w_b, int64_t ldw, int64_t b,
        int32_t threads);
int fnn_weighted_sum_f64(double *total, const double *l_b, int64_t ldl, const double *w_b, int64_t ldw, int64_t b,
        int32_t threads);

/* s (b) = w (b) factor. */
int fnn_row_scale_f32(float *s_b, int64_t lds, const float *w_b, int64_t ldw, int64_t b, double factor,
        int32_t threads);
int fnn_row_scale_f64(double *s_b, int64_t lds, const double *w_b, int64_t ldw, int64_t b, double factor,
        int32_t threads);

/* total (1) += sum |w|, w (p). */
int fnn_sum_abs_f32(double *total, const float *w_p, int64_t p, int32_t threads);
int fnn_sum_abs_f64(double *total, const double *w_p, int64_t p, int32_t threads);

/* total (1) += sum w^2, w (p). */
int fnn_sum_squares_f32(double *total, const float *w_p, int64_t p, int32_t threads);
int fnn_sum_squares_f64(double *total, const double *w_p, int64_t p, int32_t threads);

/* g (p) += two_l2 w + l1 sign(w), w (p). */
int fnn_penalty_backward_f32(float *g_p, const float *w_p, int64_t p, double l1, double two_l2, int32_t threads);
int fnn_penalty_backward_f64(double *g_p, const double *w_p, int64_t p, double l1, double two_l2, int32_t threads);

/* theta (p) += factor theta. */
int fnn_decay_step_f32(float *theta_p, int64_t p, double factor, int32_t threads);
int fnn_decay_step_f64(double *theta_p, int64_t p, double factor, int32_t threads);

/* theta (p) and slots m (p), v (p), u (p) (or NULL) by gradient g (p); code: FNN_OPTIMIZER_*, h: its scalars, six of
 * them or room for as many. */
int fnn_optimizer_step_f32(float *theta_p, float *m_p, float *v_p, float *u_p, const float *g_p, int64_t p,
        int32_t code, const double *h, int32_t threads);
int fnn_optimizer_step_f64(double *theta_p, double *m_p, double *v_p, double *u_p, const double *g_p, int64_t p,
        int32_t code, const double *h, int32_t threads);

/* A (b, o) = keep ? Z / (1 - rate) : 0, Z (b, o). */
int fnn_dropout_f32(float *A_bo, int64_t lda, const float *Z_bo, int64_t ldz, int64_t b, int64_t o, double rate,
        int64_t seed, int64_t step, int64_t layer, int32_t threads);
int fnn_dropout_f64(double *A_bo, int64_t lda, const double *Z_bo, int64_t ldz, int64_t b, int64_t o, double rate,
        int64_t seed, int64_t step, int64_t layer, int32_t threads);

/* A (b, o) = random numbers from -1 to 1: those of rows `row` ... of a layer in a step. */
int fnn_uniform_f32(float *A_bo, int64_t lda, int64_t b, int64_t o, int64_t seed, int64_t step, int64_t layer, int64_t
        row, int32_t threads);
int fnn_uniform_f64(double *A_bo, int64_t lda, int64_t b, int64_t o, int64_t seed, int64_t step, int64_t layer, int64_t
        row, int32_t threads);

/* A (b, o) = scale Z + offset, Z (b, o); its own backward with offset 0. */
int fnn_affine_f32(float *A_bo, int64_t lda, const float *Z_bo, int64_t ldz, int64_t b, int64_t o, double scale,
        double offset, int32_t threads);
int fnn_affine_f64(double *A_bo, int64_t lda, const double *Z_bo, int64_t ldz, int64_t b, int64_t o, double scale,
        double offset, int32_t threads);

/* mean (o), var (o) of Z (b, o) over b, in two passes; inverse_b = 1 / b. */
int fnn_batch_moments_f32(float *mean_o, float *var_o, const float *Z_bo, int64_t ldz, int64_t b, int64_t o, double
        inverse_b, int32_t threads);
int fnn_batch_moments_f64(double *mean_o, double *var_o, const double *Z_bo, int64_t ldz, int64_t b, int64_t o, double
        inverse_b, int32_t threads);

/* m (o) += rate (x - m), x (o). */
int fnn_moving_average_f32(float *m_o, const float *x_o, int64_t o, double rate, int32_t threads);
int fnn_moving_average_f64(double *m_o, const double *x_o, int64_t o, double rate, int32_t threads);

/* inv (o) = 1 / deviation of var (o); code: FNN_DEVIATION_CODE_*, how epsilon enters. */
int fnn_inverse_deviation_f32(float *inv_o, const float *var_o, int64_t o, int32_t code, double epsilon, int32_t
        threads);
int fnn_inverse_deviation_f64(double *inv_o, const double *var_o, int64_t o, int32_t code, double epsilon, int32_t
        threads);

/* A (b, o) = (Z - mean) inv gamma + beta, Z (b, o), the others (o). */
int fnn_standardize_forward_f32(float *A_bo, int64_t lda, const float *Z_bo, int64_t ldz, const float *mean_o, const
        float *inv_o, const float *gamma_o, const float *beta_o, int64_t b, int64_t o, int32_t threads);
int fnn_standardize_forward_f64(double *A_bo, int64_t lda, const double *Z_bo, int64_t ldz, const double *mean_o,
        const double *inv_o, const double *gamma_o, const double *beta_o, int64_t b, int64_t o, int32_t threads);

/* dZ (b, o) = dA inv gamma, dA (b, o), the others (o). */
int fnn_standardize_backward_f32(float *dZ_bo, int64_t ldz, const float *dA_bo, int64_t lda, const float *inv_o, const
        float *gamma_o, int64_t b, int64_t o, int32_t threads);
int fnn_standardize_backward_f64(double *dZ_bo, int64_t ldz, const double *dA_bo, int64_t lda, const double *inv_o,
        const double *gamma_o, int64_t b, int64_t o, int32_t threads);

/* N (b, o) = (Z - mean) inv and A (b, o) = N gamma + beta, Z (b, o), the others (o); N is not Z. */
int fnn_batch_norm_forward_f32(float *A_bo, int64_t lda, float *N_bo, int64_t ldn, const float *Z_bo, int64_t ldz,
        const float *mean_o, const float *inv_o, const float *gamma_o, const float *beta_o, int64_t b, int64_t o,
        int32_t threads);
int fnn_batch_norm_forward_f64(double *A_bo, int64_t lda, double *N_bo, int64_t ldn, const double *Z_bo, int64_t ldz,
        const double *mean_o, const double *inv_o, const double *gamma_o, const double *beta_o, int64_t b, int64_t o,
        int32_t threads);

/* dg (o) = the sum of dA N over b, dA (b, o), N (b, o). */
int fnn_scale_backward_f32(float *dg_o, const float *dA_bo, int64_t lda, const float *N_bo, int64_t ldn, int64_t b,
        int64_t o, int32_t threads);
int fnn_scale_backward_f64(double *dg_o, const double *dA_bo, int64_t lda, const double *N_bo, int64_t ldn, int64_t b,
        int64_t o, int32_t threads);

/* dZ (b, o) = inv gamma (dA - db / b - N dg / b), dA (b, o), N (b, o), the others (o); inverse_b = 1 / b. */
int fnn_batch_norm_backward_f32(float *dZ_bo, int64_t ldz, const float *dA_bo, int64_t lda, const float *N_bo, int64_t
        ldn, const float *inv_o, const float *gamma_o, const float *db_o, const float *dg_o, int64_t b, int64_t o,
        double inverse_b, int32_t threads);
int fnn_batch_norm_backward_f64(double *dZ_bo, int64_t ldz, const double *dA_bo, int64_t lda, const double *N_bo,
        int64_t ldn, const double *inv_o, const double *gamma_o, const double *db_o, const double *dg_o, int64_t b,
        int64_t o, double inverse_b, int32_t threads);

/* N (b, o) = (Z - mean) inv by rows, A (b, o) = N gamma + beta, inv (b); Z (b, o), gamma (o), beta (o); N is not Z. */
int fnn_layer_norm_forward_f32(float *A_bo, int64_t lda, float *N_bo, int64_t ldn, float *inv_b, int64_t ldi, const
        float *Z_bo, int64_t ldz, const float *gamma_o, const float *beta_o, int64_t b, int64_t o, double epsilon,
        double inverse_o, int32_t threads);
int fnn_layer_norm_forward_f64(double *A_bo, int64_t lda, double *N_bo, int64_t ldn, double *inv_b, int64_t ldi, const
        double *Z_bo, int64_t ldz, const double *gamma_o, const double *beta_o, int64_t b, int64_t o, double epsilon,
        double inverse_o, int32_t threads);

/* dZ (b, o) = inv (g - mean of g - N mean of g N) by rows, g = dA gamma; dA (b, o), N (b, o), inv (b), gamma (o). */
int fnn_layer_norm_backward_f32(float *dZ_bo, int64_t ldz, const float *dA_bo, int64_t lda, const float *N_bo, int64_t
        ldn, const float *inv_b, int64_t ldi, const float *gamma_o, int64_t b, int64_t o, double inverse_o, int32_t
        threads);
int fnn_layer_norm_backward_f64(double *dZ_bo, int64_t ldz, const double *dA_bo, int64_t lda, const double *N_bo,
        int64_t ldn, const double *inv_b, int64_t ldi, const double *gamma_o, int64_t b, int64_t o, double inverse_o,
        int32_t threads);

/* A (b, o) by rows of Z (b, o); code: FNN_ROW_WISE_*, v and w: its vectors (o) or NULL, h: its constants, two of them or
 * room for as many. */
int fnn_row_wise_forward_f32(float *A_bo, int64_t lda, const float *Z_bo, int64_t ldz, const float *v_o,
        const float *w_o, int64_t b, int64_t o, int32_t code, const double *h, int32_t threads);
int fnn_row_wise_forward_f64(double *A_bo, int64_t lda, const double *Z_bo, int64_t ldz, const double *v_o,
        const double *w_o, int64_t b, int64_t o, int32_t code, const double *h, int32_t threads);

/* dZ (b, o) by rows of dA (b, o) and the saved S (b, o): A or Z, as the layer's row says. */
int fnn_row_wise_backward_f32(float *dZ_bo, int64_t ldz, const float *dA_bo, int64_t lda, const float *S_bo,
        int64_t lds, const float *v_o, const float *w_o, int64_t b, int64_t o, int32_t code, const double *h, int32_t threads);
int fnn_row_wise_backward_f64(double *dZ_bo, int64_t ldz, const double *dA_bo, int64_t lda, const double *S_bo,
        int64_t lds, const double *v_o, const double *w_o, int64_t b, int64_t o, int32_t code, const double *h, int32_t threads);

/* dv (o) = the sum over b of a vector's slopes, dA (b, o), S (b, o); code: FNN_VECTOR_*. */
int fnn_vector_backward_f32(float *dv_o, const float *dA_bo, int64_t lda, const float *S_bo, int64_t lds, int64_t b,
        int64_t o, int32_t code, int32_t threads);
int fnn_vector_backward_f64(double *dv_o, const double *dA_bo, int64_t lda, const double *S_bo, int64_t lds, int64_t b,
        int64_t o, int32_t code, int32_t threads);

/* C (b, o) = f(A (b, o), B (b, o)); code: FNN_BINARY_*. */
int fnn_binary_f32(float *C_bo, int64_t ldc, const float *A_bo, int64_t lda, const float *B_bo, int64_t ldb, int64_t b,
        int64_t o, int32_t code, int32_t threads);
int fnn_binary_f64(double *C_bo, int64_t ldc, const double *A_bo, int64_t lda, const double *B_bo, int64_t ldb,
        int64_t b, int64_t o, int32_t code, int32_t threads);

/* dX (b, o) = the gradient of A or of B from dC (b, o); code: FNN_BINARY_GRADIENT_*. */
int fnn_binary_backward_f32(float *dX_bo, int64_t ldx, const float *dC_bo, int64_t ldc, const float *A_bo, int64_t lda,
        const float *B_bo, int64_t ldb, int64_t b, int64_t o, int32_t code, int32_t threads);
int fnn_binary_backward_f64(double *dX_bo, int64_t ldx, const double *dC_bo, int64_t ldc, const double *A_bo,
        int64_t lda, const double *B_bo, int64_t ldb, int64_t b, int64_t o, int32_t code, int32_t threads);

/* A (b, o) = Z (b, o). */
int fnn_copy_f32(float *A_bo, int64_t lda, const float *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads);
int fnn_copy_f64(double *A_bo, int64_t lda, const double *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads);

/* A (b, o) = value. */
int fnn_fill_f32(float *A_bo, int64_t lda, int64_t b, int64_t o, double value, int32_t threads);
int fnn_fill_f64(double *A_bo, int64_t lda, int64_t b, int64_t o, double value, int32_t threads);

/* s (b) = the sum of each row of Z (b, o). */
int fnn_row_sum_f32(float *s_b, int64_t lds, const float *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads);
int fnn_row_sum_f64(double *s_b, int64_t lds, const double *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads);

/* A (b, o) = s (b) in every column. */
int fnn_repeat_f32(float *A_bo, int64_t lda, const float *s_b, int64_t lds, int64_t b, int64_t o, int32_t threads);
int fnn_repeat_f64(double *A_bo, int64_t lda, const double *s_b, int64_t lds, int64_t b, int64_t o, int32_t threads);

/* A (b, e) = the rows of W (v, d) that the class numbers y (b, e / d) name, beside each other; each is below v. */
int fnn_embedding_forward_f32(float *A_be, int64_t lda, const float *y_bn, int64_t ldy, const float *W_vd, int64_t ldw,
        int64_t b, int64_t e, int64_t d, int32_t threads);
int fnn_embedding_forward_f64(double *A_be, int64_t lda, const double *y_bn, int64_t ldy, const double *W_vd,
        int64_t ldw, int64_t b, int64_t e, int64_t d, int32_t threads);

/* dW (v, d) += the parts of dA (b, e) where its rows were taken, by row, then by position in the row. */
int fnn_embedding_backward_f32(float *dW_vd, int64_t ldw, const float *y_bn, int64_t ldy, const float *dA_be,
        int64_t lda, int64_t b, int64_t e, int64_t d, int32_t threads);
int fnn_embedding_backward_f64(double *dW_vd, int64_t ldw, const double *y_bn, int64_t ldy, const double *dA_be,
        int64_t lda, int64_t b, int64_t e, int64_t d, int32_t threads);

/* g (p) within -limit and limit. */
int fnn_clip_value_f32(float *g_p, int64_t p, double limit, int32_t threads);
int fnn_clip_value_f64(double *g_p, int64_t p, double limit, int32_t threads);

/* g (p) *= factor. */
int fnn_gradient_scale_f32(float *g_p, int64_t p, double factor, int32_t threads);
int fnn_gradient_scale_f64(double *g_p, int64_t p, double factor, int32_t threads);

/* --- programs: a plan's steps; every thread of the team needs its part of program->scratch --- */

/* trains on steps first ... last - 1 of the epoch; sums (plan's sums) += losses and metrics; taken (1), or NULL, = how
 * many steps were taken. rates (last - first), or NULL: the learning rate of each step; the last one stays in
 * program->scalars. stop: whether to end after the first step that makes the sum of losses NaN or infinite. */
int fnn_run_steps_f32(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
        int64_t *taken, const double *rates, int32_t stop, int32_t threads);
int fnn_run_steps_f64(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
        int64_t *taken, const double *rates, int32_t stop, int32_t threads);

/* leaves the gradient of the first batch's mean loss, not clipped, in program->gradient; sums += its loss and metrics.
 * Moving averages move, as in every step. */
int fnn_gradient_f32(const fnn_program *program, const fnn_data *data, double *sums, int32_t threads);
int fnn_gradient_f64(const fnn_program *program, const fnn_data *data, double *sums, int32_t threads);

/* one optimizer step from program->gradient, which is clipped first. */
int fnn_update_f32(const fnn_program *program, int32_t threads);
int fnn_update_f64(const fnn_program *program, int32_t threads);

/* sums += losses and metrics of steps first ... last - 1, in inference mode. */
int fnn_score_f32(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
        int32_t threads);
int fnn_score_f64(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
        int32_t threads);

/* outs (output_count), each (rows, its columns), = predictions of the inputs, of which random numbers take the first for
 * row `first`; needs capacity FNN_ROW_BLOCK * threads. */
int fnn_forward_f32(const fnn_program *program, const fnn_data *data, void *const *outs, int64_t first, int32_t threads);
int fnn_forward_f64(const fnn_program *program, const fnn_data *data, void *const *outs, int64_t first, int32_t threads);

/* end of declarations */

#ifdef __cplusplus
}
#endif

#endif
