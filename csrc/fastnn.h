/* fastnn.h: the whole C interface of fastnn, dense neural networks with the same bits on every backend.
 *
 * Sizes: b batch, i fan-in, o fan-out, c classes, p parameters, m n k of a GEMM. `ld...` is the stride between rows in
 * elements; the elements of a row are contiguous. Every function gives a status, never prints, never ends the process and
 * allocates nothing. `threads` is how many it may use; the bits do not depend on it. Functions may run side by side on different data.
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
    const void *array[7]; /* outputs, inputs */
    int64_t ld[7]; /* elements between rows; 0: one row serves all */
    int64_t m, n, k; /* rows, columns, depth */
    double scalar[6];
    int64_t seed, step, layer;
    void *scratch; /* of a product: reals (threads, FNN_SCRATCH_F32 or FNN_SCRATCH_F64) */
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

/* indices (threads) = the first flat index of each thread's rows of x (b, i) that is NaN or whose magnitude exceeds
 * `largest`, or -1; the stride between rows is in bytes. */
int fnn_find_nonfinite_f32(int64_t *indices, const void *x_bi, int64_t row_bytes, int64_t b, int64_t i, double largest,
        int32_t threads);
int fnn_find_nonfinite_f64(int64_t *indices, const void *x_bi, int64_t row_bytes, int64_t b, int64_t i, double largest,
        int32_t threads);

/* Runs an operation, a row of fastnn/core/operations.py: its arrays stand in the order of the row, after an optimizer's
 * theta the gradient, with the elements between their rows; `code` says which of its family, `m` and `n` are the rows and
 * the columns of the result, `k` the depth of a product, of an embedding the length of its vectors, of random numbers the
 * first row. Vectors and flat arrays are one row of n. */
int fnn_operate_f32(fnn_call *call, int32_t threads);
int fnn_operate_f64(fnn_call *call, int32_t threads);

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
