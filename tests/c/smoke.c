/* Trains a network of 2-8-2 on XOR through fastnn.h alone: no Python. Prints the last loss's hexadecimal digits.
 *
 * Arguments: how many threads (default 1). With FNN_PTHREADS threads are POSIX ones, which ThreadSanitizer understands.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "constants.h"
#include "fastnn.h"

#ifdef FNN_PTHREADS
#include <pthread.h>

typedef struct start {
    void (*member)(void *);
    void *context;
} start;

static void *run_member(void *argument)
{
    const start *s = argument;
    s->member(s->context);
    return NULL;
}

static void region(void (*member)(void *), void *context, int32_t threads)
{
    pthread_t others[16];
    start s = {member, context};
    int made = 0;
    for (int i = 1; i < threads && i < 16; i++) {
        made += pthread_create(&others[made], NULL, run_member, &s) == 0;
    }
    member(context);
    for (int i = 0; i < made; i++) {
        pthread_join(others[i], NULL);
    }
}
#endif

enum { IN = 2, HIDDEN = 8, OUT = 2, ROWS = 64, BATCH = 64, PAD = 16, MOST_THREADS = 16 };
/* Where the parameters lie, and units (sums of padded widths) of the workspace's buffers. */
enum { W1 = 0, B1 = 16, W2 = 32, B2 = 48, THETA = 64 };
enum { X = 0, A1 = 16, Z2 = 32, P2 = 48, TARGET = 64, D2 = 80, D1 = 96, UNITS = 112 };
enum { FIXED = OUT * PAD };

static const int64_t instructions[][FNN_I_WIDTH] = {
    /* kind, code, src, dst, inputs, outputs, kernel, bias, constant, layer, d src, d dst, saved, transposed, fused */
    {FNN_KIND_DENSE, -1, X, A1, IN, HIDDEN, W1, B1, -1, 0, -1, D1, A1, -1, 0},
    {FNN_KIND_ACTIVATION, FNN_ACTIVATION_tanh, A1, A1, HIDDEN, HIDDEN, -1, -1, -1, 0, D1, D1, A1, -1, 0},
    {FNN_KIND_DENSE, -1, A1, Z2, HIDDEN, OUT, W2, B2, -1, 1, D1, D2, Z2, 0, 0},
    {FNN_KIND_SOFTMAX, -1, Z2, P2, OUT, OUT, -1, -1, -1, 1, -1, -1, P2, -1, 1},
};
static const int64_t parameters[][FNN_PAR_WIDTH] = {
    {W1, IN, HIDDEN, 1, 0, -1, 0, 0},
    {B1, 1, HIDDEN, 1, 0, -1, 0, 1},
    {W2, HIDDEN, OUT, 1, 0, -1, 2, 0},
    {B2, 1, OUT, 1, 0, -1, 2, 1},
};
static const int64_t metrics[][FNN_MET_WIDTH] = {{FNN_METRIC_sparse_categorical_accuracy, 2, 1, 0}};
static const int64_t loss[FNN_LOS_WIDTH] = {FNN_LOSS_sparse_softmax_crossentropy, Z2, P2, P2, D2, OUT, TARGET, 1, 0};
static const int64_t optimizer[FNN_OPT_WIDTH] = {FNN_OPTIMIZER_adam, 2, 3, 0};
static const double constants[] = {0.0, 1.0, 0.0, 0.9, 0.999, 1e-7, 0.0};

static float theta[THETA], gradient[THETA], slot_0[THETA], slot_1[THETA], workspace[FIXED + BATCH * UNITS];
static float values[2 * BATCH], scales[BATCH], weights[BATCH];
static double scalars[FNN_SCALAR_WIDTH] = {0.05, 1.0, 1.0};
static int64_t counters[FNN_COUNTER_WIDTH] = {0, 0, 7};

int main(int argc, char **argv)
{
    const int32_t threads = argc > 1 ? atoi(argv[1]) : 1;
    static float x[ROWS][IN];
    static uint8_t y[ROWS];
    static int64_t order[ROWS];
    const int64_t size = FNN_GRADIENT_BLOCK;
    float *scratch = calloc((size_t)(size * MOST_THREADS), sizeof *scratch);
    if (scratch == NULL || threads < 1 || threads > MOST_THREADS) {
        return 2;
    }
#ifdef FNN_PTHREADS
    fnn_set_region(region);
#endif
    for (int row = 0; row < ROWS; row++) {
        const int a = row & 1, b = row >> 1 & 1;
        x[row][0] = (float)(2 * a - 1);
        x[row][1] = (float)(2 * b - 1);
        y[row] = (uint8_t)(a ^ b);
        weights[row] = 1.0F;
    }
    for (int i = 0; i < 16; i++) {
        theta[W1 + i] = (float)(i * 37 % 17 - 8) / 8.0F;
        theta[W2 + i] = (float)(i * 11 % 13 - 6) / 8.0F;
    }
    const fnn_program program = {
        .instructions = instructions[0], .instruction_count = 4, .parameters = parameters[0], .parameter_count = 4,
        .metrics = metrics[0], .metric_count = 1, .loss = loss, .optimizer = optimizer, .constants = constants,
        .features = IN, .outputs = OUT, .output_unit = P2, .fixed_elements = FIXED, .theta = theta,
        .gradient = gradient, .slot_0 = slot_0, .slot_1 = slot_1, .scalars = scalars, .counters = counters,
        .workspace = workspace, .capacity = BATCH, .row_values = values, .row_scales = scales, .row_weights = weights,
        .scratch = scratch, .scratch_size = size, .scratch_threads = MOST_THREADS,
    };
    const fnn_data data = {
        .x = x, .x_code = FNN_FLOAT32, .x_row = sizeof x[0], .x_element = sizeof(float),
        .y = y, .y_code = FNN_UINT8, .y_row = 1, .y_element = 1, .order = order, .rows = ROWS, .batch = BATCH,
    };
    double sums[3] = {0.0, 0.0, 0.0};
    for (int64_t epoch = 0; epoch < 200; epoch++) {
        sums[0] = sums[1] = sums[2] = 0.0;
        counters[FNN_COUNTER_EPOCH] = epoch;
        if (fnn_shuffle(order, ROWS, counters[FNN_COUNTER_SEED], epoch) != FNN_OK ||
            fnn_run_steps_f32(&program, &data, 0, 1, sums, threads) != FNN_OK) {
            return 3;
        }
    }
    float out[BATCH][OUT];
    const int predicted = fnn_forward_f32(&program, &data, out[0], 1);
    if (predicted != FNN_OK || (out[1][1] > 0.5F) != (y[1] == 1)) {
        return 4;
    }
    if (fnn_run_steps_f32(NULL, &data, 0, 1, sums, 1) != FNN_NULL || fnn_set_level("none") != FNN_BAD_LEVEL) {
        return 5;
    }
    printf("%s loss %a accuracy %g\n", fnn_level(), sums[0] / sums[1], sums[2] / sums[1]);
    free(scratch);
    return sums[2] == sums[1] ? 0 : 1;
}
