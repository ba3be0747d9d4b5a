/* The row phase of a step: gather, forward pass, losses and gradients of some rows of a batch.
 *
 * A thread takes its rows through as many instructions as it can. `forward` and `backward` stop where the team has to
 * meet: for the statistics of a batch, in which rows enter each other, and for a W whose columns it shares (dense.c).
 * `forward_together` and `backward_together` are what it does there.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "rows.c"
#include "levels.h"

#else

/* An instruction's constant `number`, or 0. */
INLINE real FN(constant)(const fnn_program *program, const int64_t *at, int64_t number)
{
    return at[FNN_I_CONSTANT] >= 0 ? (real)program->constants[at[FNN_I_CONSTANT] + number] : (real)0;
}

/* Rows first ... last - 1 of the batch into the workspace, converted. */
KERNEL void FN(gather)(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last,
                       int64_t batch_start, bool with_targets)
{
    const int64_t *loss = program->loss;
    for (int64_t row = first; row < last; row++) {
        const int64_t source = data->order != NULL ? data->order[batch_start + row] : batch_start + row;
        FN(gather_row)(data->x_code, FN(buffer)(program, 0, program->features, row),
                       (const char *)data->x + source * data->x_row, program->features, data->x_element);
        if (with_targets) {
            const int64_t targets = loss[FNN_LOS_TARGETS];
            FN(gather_row)(data->y_code, FN(buffer)(program, loss[FNN_LOS_TARGET], targets, row),
                           (const char *)data->y + source * data->y_row, targets, data->y_element);
            if (data->w != NULL) {
                ((real *)program->row_weights)[row] = ((const real *)data->w)[source];
            }
        }
    }
}

/* A dropout, whose masks are kept for the backward pass if there is one. */
INLINE void FN(dropout)(const fnn_program *program, const int64_t *at, real *dst, const real *src, int64_t first,
                        int64_t last)
{
    const int64_t width = at[FNN_I_OUTPUTS], ld = fnn_padded(width);
    uint64_t *masks = at[FNN_I_SAVED] >= 0 ? FN(masks)(program, at, first) : NULL;
    FN(dropout_rows)(dst, ld, src, ld, masks, FN(mask_stride)(at), first, last, width,
                     program->constants[at[FNN_I_CONSTANT]], program->counters[FNN_COUNTER_SEED],
                     program->counters[FNN_COUNTER_STEP], at[FNN_I_LAYER]);
}

/* A normalization by columns or rows, for rows first ... last - 1. */
INLINE void FN(normalize)(const fnn_program *program, const int64_t *at, real *dst, const real *src, int64_t first,
                          int64_t rows, const bool training)
{
    const int64_t width = at[FNN_I_OUTPUTS], ld = fnn_padded(width), kind = at[FNN_I_KIND];
    const real *theta = program->theta, *gamma = theta + at[FNN_I_KERNEL], *beta = theta + at[FNN_I_BIAS];
    if (kind == FNN_KIND_LAYER_NORM) {
        FN(layer_norm_forward)(dst, ld, FN(buffer)(program, at[FNN_I_SAVED], width, first), ld,
                               FN(buffer)(program, at[FNN_I_INVERSE], 1, first), fnn_padded(1), src, ld, gamma, beta,
                               rows, width, FN(constant)(program, at, 0), (real)(1.0 / (double)width));
        return;
    }
    const real *inv = FN(of_batch)(program, at, FNN_BATCH_INVERSE);
    if (kind == FNN_KIND_BATCH_NORM && training) {
        FN(batch_norm_forward)(dst, ld, FN(buffer)(program, at[FNN_I_SAVED], width, first), ld, src, ld,
                               FN(of_batch)(program, at, FNN_BATCH_MEAN), inv, gamma, beta, rows, width);
    } else {
        const real *mean = (const real *)program->statistics + at[FNN_I_MEAN];
        FN(standardize_forward)(dst, ld, src, ld, mean, inv, gamma, beta, rows, width);
    }
}

/* The instructions from `number` for rows first ... last - 1, up to one for which the team has to meet; `shared`: the rows
 * of the batch if there is a team, else 0. Gives where: their count at the end. */
KERNEL int64_t FN(forward)(const fnn_program *program, int64_t number, int64_t first, int64_t last, bool training,
                           bool with_loss, int64_t shared, real *pack)
{
    const int64_t rows = last - first;
    for (; number < program->instruction_count; number++) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH;
        if ((at[FNN_I_KIND] == FNN_KIND_BATCH_NORM && training) || FN(shares_columns)(at, shared, training)) {
            return number;
        }
        const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS];
        const int64_t ld_src = fnn_padded(inputs), ld_dst = fnn_padded(outputs);
        const real *src = FN(buffer)(program, at[FNN_I_SRC], inputs, first);
        real *dst = FN(buffer)(program, at[FNN_I_DST], outputs, first);
        switch (at[FNN_I_KIND]) {
        case FNN_KIND_DENSE:
            number = FN(dense)(program, number, first, src, ld_src, rows, 0, pack) - 1;
            break;
        case FNN_KIND_ACTIVATION:
            FN(activation_forward)((int)at[FNN_I_CODE], dst, src, rows * ld_dst, FN(constant)(program, at, 0));
            break;
        case FNN_KIND_SOFTMAX:
            if (!(with_loss && at[FNN_I_FUSED])) {
                FN(softmax_forward)(dst, ld_dst, src, ld_src, rows, outputs);
            }
            break;
        case FNN_KIND_DROPOUT:
            if (training) {
                FN(dropout)(program, at, dst, src, first, last);
            } else {
                memcpy(dst, src, (size_t)(rows * ld_dst) * sizeof(real));
            }
            break;
        case FNN_KIND_AFFINE:
            FN(affine)(dst, src, rows * ld_dst, FN(constant)(program, at, 0), FN(constant)(program, at, 1));
            break;
        default:
            FN(normalize)(program, at, dst, src, first, rows, training);
            break;
        }
    }
    return number;
}

/* A member's columns of the statistics of a batch, and of their moving averages. */
INLINE void FN(batch_statistics)(const fnn_program *program, const int64_t *at, int64_t batch_rows, int64_t member,
                                 int64_t team)
{
    const int64_t width = at[FNN_I_OUTPUTS];
    int64_t first, last;
    fnn_share(width, FNN_ROW_BLOCK, member, team, &first, &last);
    const int64_t n = last - first;
    real *mean = FN(of_batch)(program, at, FNN_BATCH_MEAN) + first;
    real *variance = FN(of_batch)(program, at, FNN_BATCH_VARIANCE) + first;
    real *kept = (real *)program->statistics + first;
    const real rate = FN(constant)(program, at, 1);
    FN(batch_moments)(mean, variance, FN(buffer)(program, at[FNN_I_SRC], width, 0) + first, fnn_padded(width),
                      batch_rows, n, (real)(1.0 / (double)batch_rows));
    FN(inverse_deviation)((int)at[FNN_I_CODE], FN(of_batch)(program, at, FNN_BATCH_INVERSE) + first, variance, n,
                          FN(constant)(program, at, 0));
    FN(moving_average)(kept + at[FNN_I_MEAN], mean, n, rate);
    FN(moving_average)(kept + at[FNN_I_VARIANCE], variance, n, rate);
}

/* The instruction at which `forward` has stopped. Gives the number of the next one. */
KERNEL int64_t FN(forward_together)(const fnn_program *program, fnn_sync *sync, int64_t number, int64_t first,
                                    int64_t last, int64_t batch_rows, int64_t member, int64_t team)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH;
    const int64_t width = at[FNN_I_OUTPUTS];
    if (at[FNN_I_KIND] == FNN_KIND_DENSE) {
        return FN(dense_together)(program, sync, number, batch_rows, false, member, team);
    }
    fnn_barrier(sync, team);
    FN(batch_statistics)(program, at, batch_rows, member, team);
    fnn_barrier(sync, team);
    FN(normalize)(program, at, FN(buffer)(program, at[FNN_I_DST], width, first),
                  FN(buffer)(program, at[FNN_I_SRC], width, first), first, last - first, true);
    return number + 1;
}

/* Values of the loss and of the metrics for rows first ... last - 1. */
KERNEL void FN(losses)(const fnn_program *program, int64_t first, int64_t last)
{
    const int64_t rows = last - first, *loss = program->loss;
    const int64_t outputs = loss[FNN_LOS_OUTPUTS], targets = loss[FNN_LOS_TARGETS], code = loss[FNN_LOS_CODE];
    const int64_t ld = fnn_padded(outputs), ld_target = fnn_padded(targets);
    const real *inputs = FN(buffer)(program, loss[FNN_LOS_INPUT], outputs, first);
    const real *target = FN(buffer)(program, loss[FNN_LOS_TARGET], targets, first);
    const double *spec = program->constants + loss[FNN_LOS_CONSTANT];
    real *values = (real *)program->row_values + first;
    if (code >= FNN_LOGITS) {
        real *probability = FN(buffer)(program, loss[FNN_LOS_PROBABILITY], outputs, first);
        FN(crossentropy_forward)(code != FNN_LOGITS, values, 1, probability, ld, inputs, ld, target, ld_target, rows,
                                 outputs, (real)spec[1], (real)spec[2]);
    } else {
        FN(loss_forward)((int)code, values, 1, inputs, ld, target, ld_target, rows, outputs, (real)spec[0],
                         (real)spec[1], (real)spec[2]);
    }
    const real *prediction = FN(buffer)(program, loss[FNN_LOS_PREDICTION], outputs, first);
    for (int64_t number = 0; number < program->metric_count; number++) {
        const int64_t *metric = program->metrics + number * FNN_MET_WIDTH;
        const int64_t kind = metric[FNN_MET_CODE];
        values += program->capacity;
        if (kind == FNN_METRIC_r2_score) {
            continue;
        }
        if (kind >= FNN_ACCURACY) {
            FN(accuracy)((int)kind, values, 1, prediction, ld, target, ld_target, rows, outputs);
            continue;
        }
        spec = program->constants + metric[FNN_MET_CONSTANT];
        FN(loss_forward)((int)kind, values, 1, prediction, ld, target, ld_target, rows, outputs, (real)spec[0],
                         (real)spec[1], (real)spec[2]);
    }
}

/* The gradient of the mean loss by what the loss reads, for rows first ... last - 1. */
KERNEL void FN(loss_gradient)(const fnn_program *program, int64_t first, int64_t last, int64_t batch_rows)
{
    const int64_t rows = last - first, *loss = program->loss;
    const int64_t outputs = loss[FNN_LOS_OUTPUTS], targets = loss[FNN_LOS_TARGETS], code = loss[FNN_LOS_CODE];
    const int64_t ld = fnn_padded(outputs), ld_target = fnn_padded(targets);
    const real *target = FN(buffer)(program, loss[FNN_LOS_TARGET], targets, first);
    const double *spec = program->constants + loss[FNN_LOS_CONSTANT];
    real *gradient = FN(buffer)(program, loss[FNN_LOS_GRADIENT], outputs, first);
    real *scales = (real *)program->row_scales + first;
    /* Every loss but the crossentropies of classes and the divergence is a mean over the outputs. */
    double factor = 1.0 / (double)batch_rows;
    switch (code) {
#define FNN_ITEM(name, mean) case FNN_LOSS_##name: factor = mean ? factor / (double)outputs : factor; break;
#include "losses.h"
#undef FNN_ITEM
    default:
        break;
    }
    FN(row_scale)(scales, (real *)program->row_weights + first, rows, (real)factor);
    if (code >= FNN_LOGITS) {
        const real *probability = FN(buffer)(program, loss[FNN_LOS_PROBABILITY], outputs, first);
        FN(crossentropy_backward)(code != FNN_LOGITS, gradient, ld, probability, ld, target, ld_target, scales, 1,
                                  rows, outputs, (real)spec[1], (real)spec[2]);
    } else {
        const real *inputs = FN(buffer)(program, loss[FNN_LOS_INPUT], outputs, first);
        FN(loss_backward)((int)code, gradient, ld, inputs, ld, target, ld_target, scales, 1, rows, outputs,
                          (real)spec[0], (real)spec[1], (real)spec[2]);
    }
}

/* A member's columns of the sums of dA and dA N over the batch. */
INLINE void FN(batch_gradients)(const fnn_program *program, const int64_t *at, int64_t batch_rows, int64_t member,
                                int64_t team)
{
    const int64_t width = at[FNN_I_OUTPUTS], ld = fnn_padded(width);
    int64_t first, last;
    fnn_share(width, FNN_ROW_BLOCK, member, team, &first, &last);
    const real *dA = FN(buffer)(program, at[FNN_I_GRAD_DST], width, 0) + first;
    const real *N = FN(buffer)(program, at[FNN_I_SAVED], width, 0) + first;
    FN(bias_backward)(FN(of_batch)(program, at, FNN_BATCH_BETA_GRADIENT) + first, dA, ld, batch_rows, last - first);
    FN(scale_backward)(FN(of_batch)(program, at, FNN_BATCH_GAMMA_GRADIENT) + first, dA, ld, N, ld, batch_rows,
                       last - first);
}

/* The gradients of all activations for rows first ... last - 1, from instruction `number` down to one for which the team
 * has to meet; `shared`: the rows of the batch if there is a team, else 0. Gives where: -1 at the end. */
KERNEL int64_t FN(backward)(const fnn_program *program, int64_t number, int64_t first, int64_t last, int64_t shared,
                            real *pack)
{
    const int64_t rows = last - first;
    const real *theta = program->theta;
    for (; number >= 0; number--) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH;
        if (at[FNN_I_KIND] == FNN_KIND_BATCH_NORM && at[FNN_I_GRAD_DST] >= 0) {
            return number;
        }
        if (at[FNN_I_GRAD_SRC] < 0) {
            continue;
        }
        if (FN(shares_columns)(at, shared, true)) {
            return number;
        }
        const int64_t width_in = at[FNN_I_INPUTS], width_out = at[FNN_I_OUTPUTS];
        const int64_t ld_src = fnn_padded(width_in), ld_dst = fnn_padded(width_out);
        const real *d_dst = FN(buffer)(program, at[FNN_I_GRAD_DST], width_out, first);
        const real *saved = FN(buffer)(program, at[FNN_I_SAVED], width_out, first);
        real *d_src = FN(buffer)(program, at[FNN_I_GRAD_SRC], width_in, first);
        switch (at[FNN_I_KIND]) {
        case FNN_KIND_DENSE:
            number = FN(dense_backward)(program, number, first, rows, pack) + 1;
            break;
        case FNN_KIND_ACTIVATION:
            FN(activation_backward)((int)at[FNN_I_CODE], d_src, d_dst, saved, rows * ld_dst,
                                    FN(constant)(program, at, 0));
            break;
        case FNN_KIND_SOFTMAX:
            FN(softmax_backward)(d_src, ld_src, d_dst, ld_dst, saved, ld_dst, rows, width_out);
            break;
        case FNN_KIND_DROPOUT:
            FN(dropout_again)(d_src, ld_src, d_dst, ld_dst, FN(masks)(program, at, first), FN(mask_stride)(at),
                              rows, width_out, program->constants[at[FNN_I_CONSTANT]]);
            break;
        case FNN_KIND_AFFINE:
            FN(affine)(d_src, d_dst, rows * ld_dst, FN(constant)(program, at, 0), (real)0);
            break;
        case FNN_KIND_STANDARDIZE:
            FN(standardize_backward)(d_src, ld_src, d_dst, ld_dst, FN(of_batch)(program, at, FNN_BATCH_INVERSE),
                                     theta + at[FNN_I_KERNEL], rows, width_out);
            break;
        default:
            FN(layer_norm_backward)(d_src, ld_src, d_dst, ld_dst, saved, ld_dst,
                                    FN(buffer)(program, at[FNN_I_INVERSE], 1, first), fnn_padded(1),
                                    theta + at[FNN_I_KERNEL], rows, width_out, (real)(1.0 / (double)width_out));
            break;
        }
    }
    return -1;
}

/* The instruction at which `backward` has stopped. Gives the number of the next one. */
KERNEL int64_t FN(backward_together)(const fnn_program *program, fnn_sync *sync, int64_t number, int64_t first,
                                     int64_t last, int64_t batch_rows, int64_t member, int64_t team)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH;
    const int64_t width = at[FNN_I_OUTPUTS], ld = fnn_padded(width);
    if (at[FNN_I_KIND] == FNN_KIND_DENSE) {
        return FN(dense_together)(program, sync, number, batch_rows, true, member, team);
    }
    fnn_barrier(sync, team);
    FN(batch_gradients)(program, at, batch_rows, member, team);
    fnn_barrier(sync, team);
    if (at[FNN_I_GRAD_SRC] >= 0) {
        FN(batch_norm_backward)(FN(buffer)(program, at[FNN_I_GRAD_SRC], width, first), ld,
                                FN(buffer)(program, at[FNN_I_GRAD_DST], width, first), ld,
                                FN(buffer)(program, at[FNN_I_SAVED], width, first), ld,
                                FN(of_batch)(program, at, FNN_BATCH_INVERSE),
                                (const real *)program->theta + at[FNN_I_KERNEL],
                                FN(of_batch)(program, at, FNN_BATCH_BETA_GRADIENT),
                                FN(of_batch)(program, at, FNN_BATCH_GAMMA_GRADIENT), last - first, width,
                                (real)(1.0 / (double)batch_rows));
    }
    return number - 1;
}

#endif
