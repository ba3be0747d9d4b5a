/* The public operations: checks of a call, then a team of threads. */
#include "internal.h"

int fnn_slots(int32_t code)
{
    switch (code) {
#define FNN_ITEM(name, slots, scalars) case FNN_OPTIMIZER_##name: return slots;
#include "optimizers.h"
#undef FNN_ITEM
    default:
        return 0;
    }
}

int fnn_vectors(int32_t code)
{
    switch (code) {
#define FNN_ITEM(name, maximum, forward_sums, backward_sums, vectors) case FNN_ROW_WISE_##name: return vectors;
#include "rowwise.h"
#undef FNN_ITEM
    default:
        return 0;
    }
}

/* How many arrays an operation of a family has, beside slots and vectors; and the codes that there are, [first, end). */
typedef struct fnn_family {
    int arrays;
    int32_t first, end; /* both 0 where a family has no codes */
} fnn_family;

static const fnn_family FAMILIES[FNN_FAMILY_COUNT] = {
    [FNN_FAMILY_GEMM_NN] = {.arrays = 3},
    [FNN_FAMILY_GEMM_TN] = {.arrays = 3},
    [FNN_FAMILY_GEMM_NT] = {.arrays = 3},
    [FNN_FAMILY_DENSE_FORWARD] = {.arrays = 4},
    [FNN_FAMILY_BIAS_BACKWARD] = {.arrays = 2},
    [FNN_FAMILY_ACTIVATION_FORWARD] = {2, 0, FNN_ACTIVATION_COUNT},
    [FNN_FAMILY_ACTIVATION_BACKWARD] = {3, 0, FNN_ACTIVATION_COUNT},
    [FNN_FAMILY_SOFTMAX_FORWARD] = {.arrays = 2},
    [FNN_FAMILY_SOFTMAX_BACKWARD] = {.arrays = 3},
    [FNN_FAMILY_LOSS_FORWARD] = {3, 0, FNN_LOGITS},
    [FNN_FAMILY_LOSS_BACKWARD] = {4, 0, FNN_LOGITS},
    [FNN_FAMILY_CROSSENTROPY_FORWARD] = {4, FNN_LOGITS, FNN_LOSS_COUNT},
    [FNN_FAMILY_CROSSENTROPY_BACKWARD] = {4, FNN_LOGITS, FNN_LOSS_COUNT},
    [FNN_FAMILY_METRIC] = {3, FNN_ACCURACY, FNN_METRIC_r2_score},
    [FNN_FAMILY_R2_SUMS] = {.arrays = 4},
    [FNN_FAMILY_WEIGHTED_SUM] = {.arrays = 3},
    [FNN_FAMILY_ROW_SCALE] = {.arrays = 2},
    [FNN_FAMILY_SUM_ABS] = {.arrays = 2},
    [FNN_FAMILY_SUM_SQUARES] = {.arrays = 2},
    [FNN_FAMILY_PENALTY_BACKWARD] = {.arrays = 2},
    [FNN_FAMILY_DECAY_STEP] = {.arrays = 1},
    [FNN_FAMILY_OPTIMIZER_STEP] = {2, 0, FNN_OPTIMIZER_COUNT},
    [FNN_FAMILY_DROPOUT] = {.arrays = 2},
    [FNN_FAMILY_AFFINE] = {.arrays = 2},
    [FNN_FAMILY_BATCH_MOMENTS] = {.arrays = 3},
    [FNN_FAMILY_MOVING_AVERAGE] = {.arrays = 2},
    [FNN_FAMILY_INVERSE_DEVIATION] = {2, 0, FNN_DEVIATION_CODE_inverse_deviation_floor + 1},
    [FNN_FAMILY_STANDARDIZE_FORWARD] = {.arrays = 6},
    [FNN_FAMILY_STANDARDIZE_BACKWARD] = {.arrays = 4},
    [FNN_FAMILY_BATCH_NORM_FORWARD] = {.arrays = 7},
    [FNN_FAMILY_SCALE_BACKWARD] = {.arrays = 3},
    [FNN_FAMILY_BATCH_NORM_BACKWARD] = {.arrays = 7},
    [FNN_FAMILY_LAYER_NORM_FORWARD] = {.arrays = 6},
    [FNN_FAMILY_LAYER_NORM_BACKWARD] = {.arrays = 5},
    [FNN_FAMILY_CLIP_VALUE] = {.arrays = 1},
    [FNN_FAMILY_GRADIENT_SCALE] = {.arrays = 1},
    [FNN_FAMILY_ROW_WISE_FORWARD] = {2, 0, FNN_ROW_WISE_COUNT},
    [FNN_FAMILY_ROW_WISE_BACKWARD] = {3, 0, FNN_ROW_WISE_COUNT},
    [FNN_FAMILY_VECTOR_BACKWARD] = {3, 0, FNN_VECTOR_COUNT},
    [FNN_FAMILY_BINARY] = {3, 0, FNN_BINARY_COUNT},
    [FNN_FAMILY_BINARY_BACKWARD] = {4, 0, FNN_BINARY_GRADIENT_COUNT},
    [FNN_FAMILY_COPY] = {.arrays = 2},
    [FNN_FAMILY_FILL] = {.arrays = 1},
    [FNN_FAMILY_ROW_SUM] = {.arrays = 2},
    [FNN_FAMILY_REPEAT] = {.arrays = 2},
    [FNN_FAMILY_EMBEDDING_FORWARD] = {.arrays = 3},
    [FNN_FAMILY_EMBEDDING_BACKWARD] = {.arrays = 3},
    [FNN_FAMILY_UNIFORM] = {.arrays = 1},
};

/* Whether a call can be run: FNN_OK, or what is wrong with it. */
static int fnn_checked(const fnn_call *call)
{
    if (call == NULL) {
        return FNN_NULL;
    }
    if (call->family < 0 || call->family >= FNN_FAMILY_COUNT) {
        return FNN_BAD_CODE;
    }
    const fnn_family *family = &FAMILIES[call->family];
    int needed = family->arrays;
    bool packs = false, takes_rows = false;
    switch (call->family) {
    case FNN_FAMILY_GEMM_NN:
    case FNN_FAMILY_GEMM_TN:
    case FNN_FAMILY_GEMM_NT:
    case FNN_FAMILY_DENSE_FORWARD:
        packs = true;
        break;
    case FNN_FAMILY_EMBEDDING_FORWARD:
    case FNN_FAMILY_EMBEDDING_BACKWARD:
        takes_rows = true;
        break;
    case FNN_FAMILY_OPTIMIZER_STEP:
        needed += fnn_slots(call->code);
        break;
    case FNN_FAMILY_ROW_WISE_FORWARD:
    case FNN_FAMILY_ROW_WISE_BACKWARD:
        needed += fnn_vectors(call->code);
        break;
    default:
        break;
    }
    if (family->end > 0 && (call->code < family->first || call->code >= family->end)) {
        return FNN_BAD_CODE;
    }
    if (call->m < 0 || call->n < 0 || call->k < 0 || (takes_rows && call->k < 1 && call->n > 0)) {
        return FNN_BAD_SIZE;
    }
    for (int index = 0; index < needed; index++) {
        if (call->array[index] == NULL) {
            return FNN_NULL;
        }
    }
    return packs && call->scratch == NULL ? FNN_NULL : FNN_OK;
}

static int fnn_operate(const fnn_workers *workers, fnn_call *call, int32_t threads)
{
    const int status = fnn_checked(call);
    if (status == FNN_OK) {
        fnn_launch_shares(workers->operate, call, threads);
    }
    return status;
}

int fnn_operate_f32(fnn_call *call, int32_t threads)
{
    return fnn_operate(fnn_workers_f32(), call, threads);
}

int fnn_operate_f64(fnn_call *call, int32_t threads)
{
    return fnn_operate(fnn_workers_f64(), call, threads);
}
