/* Trains a network of 2-32-2 with both kinds of normalization on XOR, once for each way to clip gradients, and shares a
 * product by chunks of its depth, through fastnn.h alone: no Python. Prints the hexadecimal digits of the last losses.
 *
 * Arguments: how many threads (default 1).
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constants.h"
#include "fastnn.h"

enum { IN = 2, HIDDEN = 32, OUT = 2, ROWS = 128, BATCH = 64, STEPS = ROWS / BATCH, MOST_THREADS = 16 };
enum { PREDICTING = 2, FORWARD_ROWS = 64, CAPACITY = PREDICTING * FORWARD_ROWS };
/* Where the parameters lie, and units (sums of padded widths) of the workspace's buffers: outputs of the layers, what
 * the normalizations save, gradients. */
enum { W1 = 0, B1 = 64, GAMMA1 = 96, BETA1 = 128, GAMMA2 = 160, BETA2 = 192, W2 = 224, B2 = 288, THETA = 304 };
enum { MEAN = 0, VARIANCE = 32, STATISTICS = 64 };
enum { X = 0, Z1 = 16, A1 = 48, A2 = 80, Z2 = 112, P2 = 128, TARGET = 144, N1 = 160, N2 = 192, INVERSE = 224 };
enum { D_Z2 = 240, D_A2 = 256, D_A1 = 288, D_Z1 = 320, UNITS = 352 };
/* The batch's statistics, before the rows. */
enum { BATCH_MEAN = 0, BATCH_VARIANCE = 32, DEVIATION = 64, D_BETA1 = 96, D_GAMMA1 = 128, FIXED = 160 };
/* Constants. */
enum { LOSS = 0, ADAM = 3, LIMIT = 7, BATCH_NORM = 8, LAYER_NORM = 10 };

static const int64_t instructions[][FNN_COLUMN_WIDTH] = {
    /* kind, code, src, dst, inputs, outputs, kernel, bias, constant, layer, d src, d dst, saved, fused, mean, variance,
     * statistics, inverse, second, d second, offset, table, whole, whole of d dst, offset of d dst, first and columns of
     * d src */
    {FNN_KIND_DENSE, -1, X, Z1, IN, HIDDEN, W1, B1, -1, 0, -1, D_Z1, Z1, 0, -1, -1, -1, -1, -1, -1, 0, 0,
     HIDDEN, HIDDEN, 0, 0, IN},
    {FNN_KIND_BATCH_NORM, FNN_DEVIATION_CODE_inverse_deviation, Z1, A1, HIDDEN, HIDDEN, GAMMA1, BETA1, BATCH_NORM, 1,
     D_Z1, D_A1, N1, 0, MEAN, VARIANCE, BATCH_MEAN, -1, -1, -1, 0, 0, HIDDEN, HIDDEN, 0, 0, HIDDEN},
    {FNN_KIND_ACTIVATION, FNN_ACTIVATION_tanh, A1, A1, HIDDEN, HIDDEN, -1, -1, -1, 2, D_A1, D_A1, A1, 0, -1, -1, -1,
     -1, -1, -1, 0, 0, HIDDEN, HIDDEN, 0, 0, HIDDEN},
    {FNN_KIND_LAYER_NORM, -1, A1, A2, HIDDEN, HIDDEN, GAMMA2, BETA2, LAYER_NORM, 3, D_A1, D_A2, N2, 0, -1, -1, -1,
     INVERSE, -1, -1, 0, 0, HIDDEN, HIDDEN, 0, 0, HIDDEN},
    {FNN_KIND_DENSE, -1, A2, Z2, HIDDEN, OUT, W2, B2, -1, 4, D_A2, D_Z2, Z2, 0, -1, -1, -1, -1, -1, -1, 0, 0,
     OUT, OUT, 0, 0, HIDDEN},
    {FNN_KIND_SOFTMAX, -1, Z2, P2, OUT, OUT, -1, -1, -1, 4, -1, -1, P2, FNN_FUSED_BOTH, -1, -1, -1, -1, -1, -1, 0, 0,
     OUT, OUT, 0, 0, OUT},
};
static const int64_t parameters[][FNN_PARAMETER_WIDTH] = {
    /* offset, rows, columns, trainable, decay, penalty, instruction, role, code, made, next */
    {W1, IN, HIDDEN, 1, 0, -1, 0, FNN_ROLE_KERNEL, -1, -1, -1},
    {B1, 1, HIDDEN, 1, 0, -1, 0, FNN_ROLE_BIAS, -1, -1, -1},
    {GAMMA1, 1, HIDDEN, 1, 0, -1, 1, FNN_ROLE_SCALE, -1, D_GAMMA1, -1},
    {BETA1, 1, HIDDEN, 1, 0, -1, 1, FNN_ROLE_BIAS, -1, D_BETA1, -1},
    {GAMMA2, 1, HIDDEN, 1, 0, -1, 3, FNN_ROLE_SCALE, -1, -1, -1},
    {BETA2, 1, HIDDEN, 1, 0, -1, 3, FNN_ROLE_BIAS, -1, -1, -1},
    {W2, HIDDEN, OUT, 1, 0, -1, 4, FNN_ROLE_KERNEL, -1, -1, -1},
    {B2, 1, OUT, 1, 0, -1, 4, FNN_ROLE_BIAS, -1, -1, -1},
};
static const int64_t metrics[][FNN_METRIC_ENTRY_WIDTH] = {{FNN_METRIC_sparse_categorical_accuracy, 2, 2, LOSS, 1}};
static const int64_t loss[FNN_LOSS_ENTRY_WIDTH] = {
    FNN_LOSS_sparse_softmax_crossentropy, Z2, P2, P2, D_Z2, OUT, TARGET, 1, LOSS, -1, 0, LOSS + 1, -1,
};
static const int64_t inputs[] = {X, IN, IN, 0}, outputs[] = {P2, OUT, OUT, 0};
static const double constants[] = {0.0, 1.0, 0.0, 0.0, 0.9, 0.999, 1e-7, 0.05, 1e-3, 0.1, 1e-3};

static float theta[THETA], gradient[THETA], slot_0[THETA], slot_1[THETA], statistics[STATISTICS];
static float workspace[FIXED + CAPACITY * UNITS], values[2 * CAPACITY], scales[CAPACITY], weights[CAPACITY];
static double scalars[FNN_SCALAR_WIDTH];
static int64_t counters[FNN_COUNTER_WIDTH];

static double norms[8];
static fnn_call calls[6][FNN_SLOT_WIDTH], gradients[8], losses[3];

/* An array of a call: a buffer of rows so far apart, or what lies elsewhere. */
typedef struct array {
    const float *at;
    int64_t apart;
} array;

static array rows(int unit)
{
    const bool narrow = unit == Z2 || unit == P2 || unit == D_Z2 || unit == TARGET || unit == INVERSE;
    return (array){workspace + FIXED + unit * CAPACITY, narrow ? 16 : HIDDEN};
}

static array of(const float *at)
{
    return (array){at, 0};
}

static void set(fnn_call *call, int32_t family, int64_t columns, int count, const array *arrays)
{
    *call = (fnn_call){.family = family, .n = columns};
    for (int i = 0; i < count; i++) {
        call->array[i] = arrays[i].at;
        call->ld[i] = arrays[i].apart;
    }
}

#define SET(call, family, columns, ...) \
    set(call, FNN_FAMILY_##family, columns, sizeof((array[]){__VA_ARGS__}) / sizeof(array), (array[]){__VA_ARGS__})

/* What the instructions between the two DENSE do, by the table of fastnn/core/instructions.py. */
static void make_calls(void)
{
    const array mean = of(workspace + BATCH_MEAN), variance = of(workspace + BATCH_VARIANCE);
    const array deviation = of(workspace + DEVIATION), d_beta = of(workspace + D_BETA1);
    const array d_gamma = of(workspace + D_GAMMA1), moving_mean = of(statistics + MEAN);
    const array moving_variance = of(statistics + VARIANCE), gamma = of(theta + GAMMA1), beta = of(theta + BETA1);
    for (int i = 0; i < 6 * FNN_SLOT_WIDTH; i++) {
        calls[i / FNN_SLOT_WIDTH][i % FNN_SLOT_WIDTH].family = -1;
    }
    fnn_call *batch = calls[1], *columns = batch + FNN_SLOT_FORWARD_COLUMNS;
    SET(batch + FNN_SLOT_FORWARD, BATCH_NORM_FORWARD, HIDDEN, rows(A1), rows(N1), rows(Z1), mean, deviation, gamma,
        beta);
    SET(batch + FNN_SLOT_INFERENCE, STANDARDIZE_FORWARD, HIDDEN, rows(A1), rows(Z1), moving_mean, deviation, gamma,
        beta);
    SET(batch + FNN_SLOT_BACKWARD, BATCH_NORM_BACKWARD, HIDDEN, rows(D_Z1), rows(D_A1), rows(N1), deviation, gamma,
        d_beta, d_gamma);
    SET(columns, BATCH_MOMENTS, HIDDEN, mean, variance, rows(Z1));
    SET(columns + 1, INVERSE_DEVIATION, HIDDEN, deviation, variance);
    SET(columns + 2, MOVING_AVERAGE, HIDDEN, moving_mean, mean);
    SET(columns + 3, MOVING_AVERAGE, HIDDEN, moving_variance, variance);
    SET(batch + FNN_SLOT_INFERENCE_COLUMNS, INVERSE_DEVIATION, HIDDEN, deviation, moving_variance);
    SET(batch + FNN_SLOT_BACKWARD_COLUMNS, BIAS_BACKWARD, HIDDEN, d_beta, rows(D_A1));
    SET(batch + FNN_SLOT_BACKWARD_COLUMNS + 1, SCALE_BACKWARD, HIDDEN, d_gamma, rows(D_A1), rows(N1));
    batch[FNN_SLOT_BACKWARD].per_batch = columns[0].per_batch = 1;
    columns[1].scalar[0] = batch[FNN_SLOT_INFERENCE_COLUMNS].scalar[0] = constants[BATCH_NORM];
    columns[2].scalar[0] = columns[3].scalar[0] = constants[BATCH_NORM + 1];

    SET(&calls[2][FNN_SLOT_FORWARD], ACTIVATION_FORWARD, HIDDEN, rows(A1), rows(A1));
    SET(&calls[2][FNN_SLOT_BACKWARD], ACTIVATION_BACKWARD, HIDDEN, rows(D_A1), rows(D_A1), rows(A1));
    calls[2][FNN_SLOT_FORWARD].code = calls[2][FNN_SLOT_BACKWARD].code = FNN_ACTIVATION_tanh;
    calls[2][FNN_SLOT_FORWARD].flat = calls[2][FNN_SLOT_BACKWARD].flat = 1;
    calls[2][FNN_SLOT_INFERENCE] = calls[2][FNN_SLOT_FORWARD];

    SET(&calls[3][FNN_SLOT_FORWARD], LAYER_NORM_FORWARD, HIDDEN, rows(A2), rows(N2), rows(INVERSE), rows(A1),
        of(theta + GAMMA2), of(theta + BETA2));
    SET(&calls[3][FNN_SLOT_BACKWARD], LAYER_NORM_BACKWARD, HIDDEN, rows(D_A1), rows(D_A2), rows(N2), rows(INVERSE),
        of(theta + GAMMA2));
    calls[3][FNN_SLOT_FORWARD].scalar[0] = constants[LAYER_NORM];
    calls[3][FNN_SLOT_FORWARD].scalar[1] = calls[3][FNN_SLOT_BACKWARD].scalar[0] = 1.0 / HIDDEN;
    calls[3][FNN_SLOT_INFERENCE] = calls[3][FNN_SLOT_FORWARD];

    SET(&calls[5][FNN_SLOT_FORWARD], SOFTMAX_FORWARD, OUT, rows(P2), rows(Z2));
    calls[5][FNN_SLOT_INFERENCE] = calls[5][FNN_SLOT_FORWARD];

    const array value = {values, 1}, right = {values + CAPACITY, 1}, scale = {scales, 1};
    SET(&losses[0], CROSSENTROPY_BACKWARD, OUT, rows(D_Z2), rows(P2), rows(TARGET), scale);
    SET(&losses[1], CROSSENTROPY_FORWARD, OUT, value, rows(P2), rows(Z2), rows(TARGET));
    SET(&losses[2], METRIC, OUT, right, rows(P2), rows(TARGET));
    losses[0].code = losses[1].code = FNN_LOSS_sparse_softmax_crossentropy;
    losses[0].scalar[1] = losses[1].scalar[1] = 1.0;
    losses[2].code = FNN_METRIC_sparse_categorical_accuracy;

    SET(&gradients[1], BIAS_BACKWARD, HIDDEN, of(NULL), rows(D_Z1));
    SET(&gradients[4], SCALE_BACKWARD, HIDDEN, of(NULL), rows(D_A2), rows(N2));
    SET(&gradients[5], BIAS_BACKWARD, HIDDEN, of(NULL), rows(D_A2));
    SET(&gradients[7], BIAS_BACKWARD, OUT, of(NULL), rows(D_Z2));
}

static void begin(void)
{
    for (int i = 0; i < THETA; i++) {
        theta[i] = i >= W2 || i < B1 ? (float)(i * 37 % 17 - 8) / 8.0F : 0.0F;
        gradient[i] = slot_0[i] = slot_1[i] = 0.0F;
    }
    for (int i = 0; i < HIDDEN; i++) {
        theta[GAMMA1 + i] = theta[GAMMA2 + i] = statistics[VARIANCE + i] = 1.0F;
        statistics[MEAN + i] = 0.0F;
    }
    for (int i = FNN_SCALAR_PRODUCTS; i < FNN_SCALAR_WIDTH; i++) {
        scalars[i] = 1.0;
    }
    counters[FNN_COUNTER_STEP] = 0;
    counters[FNN_COUNTER_SEED] = 7;
}

/* Whether a product too small and too deep for threads to share its rows has the bits that one thread gives it. */
static int shares_chunks(float *scratch, int32_t threads)
{
    enum { M = 3, N = 5, K = 1500 };
    static float A[M][K], B[K][N], alone[M][N], shared[M][N];
    for (int64_t k = 0; k < K; k++) {
        for (int64_t i = 0; i < M; i++) {
            A[i][k] = 0.1F * (float)(k % (i + 5));
        }
        for (int64_t j = 0; j < N; j++) {
            B[k][j] = 0.3F * (float)(k % (j + 3)) - 0.2F;
        }
    }
    fnn_call call = {FNN_FAMILY_GEMM_NN, 0, {alone[0], A[0], B[0]}, {N, K, N}, .m = M, .n = N, .k = K, .scratch = scratch};
    int same = fnn_operate_f32(&call, 1) == FNN_OK;
    call.array[0] = shared[0];
    for (int round = 0; same && round < 100; round++) {
        same = fnn_operate_f32(&call, threads) == FNN_OK && memcmp(alone, shared, sizeof alone) == 0;
    }
    return same;
}

int main(int argc, char **argv)
{
    const int32_t threads = argc > 1 ? atoi(argv[1]) : 1;
    static float x[ROWS][IN], w[ROWS];
    static uint8_t y[ROWS];
    static int64_t order[ROWS];
    const int64_t size = FNN_SCRATCH_F32;
    float *scratch = calloc((size_t)(size * MOST_THREADS), sizeof *scratch);
    if (scratch == NULL || threads < 1 || threads > MOST_THREADS) {
        return 2;
    }
    for (int row = 0; row < ROWS; row++) {
        const int a = row & 1, b = row >> 1 & 1;
        x[row][0] = (float)(2 * a - 1);
        x[row][1] = (float)(2 * b - 1);
        y[row] = (uint8_t)(a ^ b);
        w[row] = (float)(row % 3);
    }
    make_calls();
    printf("%s loss", fnn_level());
    for (int64_t clip = FNN_CLIP_NONE; clip <= FNN_CLIP_GLOBAL_NORM; clip++) {
        const int64_t optimizer[FNN_OPTIMIZER_ENTRY_WIDTH] = {FNN_OPTIMIZER_adam, 2, ADAM, 0, clip, LIMIT};
        const fnn_program program = {
            .instructions = instructions[0], .instruction_count = 6, .calls = calls[0], .gradients = gradients,
            .losses = losses,
            .parameters = parameters[0], .parameter_count = 8,
            .metrics = metrics[0], .metric_count = 1, .loss = loss, .loss_count = 1, .inputs = inputs, .input_count = 1,
            .outputs = outputs, .output_count = 1, .optimizer = optimizer, .constants = constants, .reads_in_place = 1,
            .forward_rows = FORWARD_ROWS,
            .fixed_elements = FIXED, .theta = theta,
            .gradient = gradient, .slots = {slot_0, slot_1}, .scalars = scalars, .norms = norms,
            .counters = counters, .workspace = workspace, .capacity = CAPACITY, .row_values = values,
            .row_scales = scales, .row_weights = weights, .scratch = scratch,
            .scratch_threads = MOST_THREADS,
        };
        const fnn_array arrays[] = {
            {.data = x, .code = FNN_FLOAT32, .row = sizeof x[0], .element = sizeof(float)},
            {.data = y, .code = FNN_UINT8, .row = 1, .element = 1},
            {.data = w, .code = FNN_FLOAT32, .row = sizeof(float), .element = sizeof(float)},
        };
        fnn_data data = {.arrays = arrays, .order = order, .rows = ROWS, .batch = BATCH};
        double sums[4];
        begin();
        for (int64_t epoch = 0; epoch < 100; epoch++) {
            const double rates[STEPS] = {0.02, 0.01};
            int64_t taken = 0;
            sums[0] = sums[1] = sums[2] = sums[3] = 0.0;
            counters[FNN_COUNTER_EPOCH] = epoch;
            if (fnn_shuffle(order, ROWS, counters[FNN_COUNTER_SEED], epoch) != FNN_OK ||
                fnn_run_steps_f32(&program, &data, 0, STEPS, sums, &taken, rates, 1, threads) != FNN_OK ||
                taken != STEPS) {
                return 3;
            }
        }
        printf(" %a", sums[0] / sums[1]);
        if (sums[2] != sums[3]) { /* every row that weighs is right */
            return 1;
        }
        /* A gradient and an update apart, then inference, by the moving averages. */
        float out[ROWS][OUT];
        if (fnn_gradient_f32(&program, &data, sums, threads) != FNN_OK || fnn_update_f32(&program, threads) != FNN_OK ||
            fnn_score_f32(&program, &data, 0, STEPS, sums, threads) != FNN_OK) {
            return 4;
        }
        data.order = NULL;
        const int32_t predicting = threads < PREDICTING ? threads : PREDICTING;
        if (fnn_forward_f32(&program, &data, (void *const[]){out}, 0, predicting) != FNN_OK ||
            (out[1][1] > 0.5F) != (y[1] == 1)) {
            return 5;
        }
    }
    double sums[4];
    if (fnn_run_steps_f32(NULL, NULL, 0, 1, sums, NULL, NULL, 0, 1) != FNN_NULL ||
        fnn_set_level("none") != FNN_BAD_LEVEL) {
        return 6;
    }
    if (!shares_chunks(scratch, threads)) {
        return 7;
    }
    printf("\n");
    free(scratch);
    return 0;
}
