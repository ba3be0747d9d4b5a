/* The programs: any plan's steps, updates and predictions. Every thread of a team runs them.
 *
 * A step has two phases with a barrier after each. In the row phase a thread takes its rows of the batch from the
 * gather through the forward pass and the loss to the gradients of all activations. In the parameter phase it takes its
 * rows of every W: their gradient, which stays in cache, the optimizer, and the transposed copy that the next step's
 * row phase reads.
 */
#ifndef FNN_LEVEL

#include "internal.h"

/* The scalars of one optimizer step, float64. */
typedef struct fnn_step {
    double power_1, power_2; /* of the betas, after the step */
    double h[4];
    double decay;
} fnn_step;

static fnn_step fnn_step_scalars(const fnn_program *program)
{
    const double *constants = program->constants + program->optimizer[FNN_OPT_CONSTANT];
    const double rate = program->scalars[FNN_SCALAR_LEARNING_RATE];
    fnn_step s = {
        .power_1 = program->scalars[FNN_SCALAR_BETA_1_POWER],
        .power_2 = program->scalars[FNN_SCALAR_BETA_2_POWER],
        .h = {rate, 0.0, 0.0, 0.0},
    };
    int count = 1; /* of the optimizer's own constants: its weight decay follows them */
    switch (program->optimizer[FNN_OPT_CODE]) {
    case FNN_OPTIMIZER_sgd:
        count = 0;
        break;
    case FNN_OPTIMIZER_rmsprop:
        count = 2;
        s.h[1] = 1.0 - constants[0];
        s.h[2] = constants[1];
        break;
    case FNN_OPTIMIZER_adam:
        count = 3;
        s.power_1 *= constants[0];
        s.power_2 *= constants[1];
        s.h[0] = rate * __builtin_sqrt(1.0 - s.power_2) / (1.0 - s.power_1);
        s.h[1] = 1.0 - constants[0];
        s.h[2] = 1.0 - constants[1];
        s.h[3] = constants[2];
        break;
    default:
        s.h[1] = constants[0];
        break;
    }
    s.decay = program->optimizer[FNN_OPT_HAS_DECAY] ? -(rate * constants[count]) : 0.0;
    return s;
}

static void fnn_finish_step(const fnn_program *program, const fnn_step *s)
{
    program->scalars[FNN_SCALAR_BETA_1_POWER] = s->power_1;
    program->scalars[FNN_SCALAR_BETA_2_POWER] = s->power_2;
    program->counters[FNN_COUNTER_STEP] += 1;
}

#define FNN_FILE "network.c"
#include "levels.h"

#else

/* A row of a workspace buffer. */
INLINE real *FN(buffer)(const fnn_program *program, int64_t unit, int64_t width, int64_t row)
{
    return (real *)program->workspace + program->fixed_elements + unit * program->capacity + row * fnn_padded(width);
}

/* An instruction's constant, or 0. */
INLINE real FN(constant)(const fnn_program *program, const int64_t *instruction)
{
    const int64_t at = instruction[FNN_I_CONSTANT];
    return at >= 0 ? (real)program->constants[at] : (real)0;
}

/* Rows first ... last - 1 of the batch into the workspace, converted. */
INLINE void FN(gather)(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last,
                       int64_t batch_start, const bool with_targets)
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

INLINE void FN(dropout)(const fnn_program *program, const int64_t *at, real *dst, int64_t ldd, const real *src,
                        int64_t lds, int64_t first, int64_t last)
{
    FN(dropout_rows)(dst, ldd, src, lds, first, last, at[FNN_I_OUTPUTS], program->constants[at[FNN_I_CONSTANT]],
                     program->counters[FNN_COUNTER_SEED], program->counters[FNN_COUNTER_STEP], at[FNN_I_LAYER]);
}

/* The instructions in order, for rows first ... last - 1. */
KERNEL static void FN(network_forward)(const fnn_program *program, int64_t first, int64_t last, bool training,
                                       bool with_loss)
{
    const int64_t rows = last - first, count = program->instruction_count;
    const real *theta = program->theta;
    for (int64_t number = 0; number < count; number++) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH;
        const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS];
        const int64_t ld_src = fnn_padded(inputs), ld_dst = fnn_padded(outputs);
        const real *src = FN(buffer)(program, at[FNN_I_SRC], inputs, first);
        real *dst = FN(buffer)(program, at[FNN_I_DST], outputs, first);
        if (at[FNN_I_KIND] == FNN_KIND_DENSE) {
            const int64_t bias = at[FNN_I_BIAS];
            const int64_t *next = at + FNN_I_WIDTH;
            int flags = bias >= 0 ? FNN_BIAS : 0;
            if (number + 1 < count && next[FNN_I_KIND] == FNN_KIND_ACTIVATION &&
                next[FNN_I_CODE] == FNN_ACTIVATION_relu && next[FNN_I_DST] == at[FNN_I_DST]) {
                flags |= FNN_RELU;
                number++;
            }
            FN(gemm)(dst, ld_dst, src, ld_src, 1, theta + at[FNN_I_KERNEL], outputs, rows, outputs, inputs,
                     bias >= 0 ? theta + bias : NULL, flags);
        } else if (at[FNN_I_KIND] == FNN_KIND_ACTIVATION) {
            FN(activation_forward)((int)at[FNN_I_CODE], dst, src, rows * ld_dst, FN(constant)(program, at));
        } else if (at[FNN_I_KIND] == FNN_KIND_SOFTMAX) {
            if (!(with_loss && at[FNN_I_FUSED])) {
                FN(softmax_forward)(dst, ld_dst, src, ld_src, rows, outputs);
            }
        } else if (training) {
            FN(dropout)(program, at, dst, ld_dst, src, ld_src, first, last);
        } else {
            memcpy(dst, src, (size_t)(rows * ld_dst) * sizeof(real));
        }
    }
}

/* Values of the loss and of the metrics for rows first ... last - 1. */
KERNEL static void FN(losses)(const fnn_program *program, int64_t first, int64_t last)
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

/* Gradients of the loss and of every activation for rows first ... last - 1. */
KERNEL static void FN(network_backward)(const fnn_program *program, int64_t first, int64_t last, int64_t batch_rows)
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
    for (int64_t number = program->instruction_count - 1; number >= 0; number--) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH;
        if (at[FNN_I_GRAD_SRC] < 0) {
            continue;
        }
        const int64_t width_in = at[FNN_I_INPUTS], width_out = at[FNN_I_OUTPUTS];
        const int64_t ld_src = fnn_padded(width_in), ld_dst = fnn_padded(width_out);
        const real *d_dst = FN(buffer)(program, at[FNN_I_GRAD_DST], width_out, first);
        const real *saved = FN(buffer)(program, at[FNN_I_SAVED], width_out, first);
        real *d_src = FN(buffer)(program, at[FNN_I_GRAD_SRC], width_in, first);
        switch (at[FNN_I_KIND]) {
        case FNN_KIND_DENSE:
            FN(gemm)(d_src, ld_src, d_dst, ld_dst, 1, (const real *)program->workspace + at[FNN_I_TRANSPOSED], ld_src,
                     rows, width_in, width_out, NULL, 0);
            break;
        case FNN_KIND_ACTIVATION:
            FN(activation_backward)((int)at[FNN_I_CODE], d_src, d_dst, saved, rows * ld_dst,
                                    FN(constant)(program, at));
            break;
        case FNN_KIND_SOFTMAX:
            FN(softmax_backward)(d_src, ld_src, d_dst, ld_dst, saved, ld_dst, rows, width_out);
            break;
        default:
            FN(dropout)(program, at, d_src, ld_src, d_dst, ld_dst, first, last);
            break;
        }
    }
}

/* l1 sum |w| + l2 sum w^2 over the regularised parameters. */
INLINE double FN(penalty)(const fnn_program *program)
{
    double total = 0.0;
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        if (row[FNN_PAR_PENALTY] >= 0) {
            const double *l = program->constants + row[FNN_PAR_PENALTY];
            const real *w = (const real *)program->theta + row[FNN_PAR_OFFSET];
            const int64_t n = row[FNN_PAR_ROWS] * row[FNN_PAR_COLUMNS];
            total += l[0] * FN(sum_abs)(w, n);
            total += l[1] * FN(sum_squares)(w, n);
        }
    }
    return total;
}

/* The batch's losses and metrics, in row order, into the sums. One thread. */
INLINE void FN(add_sums)(const fnn_program *program, const fnn_data *data, int64_t rows, double penalty, double *sums)
{
    const int64_t *loss = program->loss;
    const real *values = program->row_values, *weights = data->w != NULL ? program->row_weights : NULL;
    sums[FNN_SUM_LOSS] += FN(weighted_sum)(0.0, values, 1, weights, 1, rows) + (double)rows * penalty;
    sums[FNN_SUM_COUNT] += (double)rows;
    const int64_t outputs = loss[FNN_LOS_OUTPUTS], targets = loss[FNN_LOS_TARGETS];
    for (int64_t number = 0; number < program->metric_count; number++) {
        const int64_t *metric = program->metrics + number * FNN_MET_WIDTH;
        double *slot = sums + metric[FNN_MET_SLOT];
        values += program->capacity;
        if (metric[FNN_MET_CODE] == FNN_METRIC_r2_score) {
            FN(r2_sums)(slot, FN(buffer)(program, loss[FNN_LOS_PREDICTION], outputs, 0), fnn_padded(outputs),
                        FN(buffer)(program, loss[FNN_LOS_TARGET], targets, 0), fnn_padded(targets), rows, outputs);
        } else {
            slot[0] += FN(weighted_sum)(0.0, values, 1, NULL, 1, rows);
        }
    }
}

/* Rows first ... last - 1 of a W into the columns of its transposed. */
INLINE void FN(transpose_rows)(const fnn_program *program, const int64_t *at, int64_t first, int64_t last)
{
    if (at[FNN_I_TRANSPOSED] >= 0 && last > first) {
        const int64_t outputs = at[FNN_I_OUTPUTS];
        FN(transpose)((real *)program->workspace + at[FNN_I_TRANSPOSED] + first, fnn_padded(at[FNN_I_INPUTS]),
                      (const real *)program->theta + at[FNN_I_KERNEL] + first * outputs, outputs, last - first,
                      outputs);
    }
}

/* The optimizer on n parameters from `offset`, with their gradient. */
INLINE void FN(update_range)(const fnn_program *program, int64_t offset, int64_t n, const real *gradient, double decay,
                             const fnn_step *s)
{
    real *theta = (real *)program->theta + offset;
    const real h[4] = {(real)s->h[0], (real)s->h[1], (real)s->h[2], (real)s->h[3]};
    if (decay != 0.0) {
        FN(decay_step)(theta, n, (real)decay);
    }
    FN(optimizer_step)((int)program->optimizer[FNN_OPT_CODE], theta,
                       program->slot_0 != NULL ? (real *)program->slot_0 + offset : NULL,
                       program->slot_1 != NULL ? (real *)program->slot_1 + offset : NULL, gradient, n, h);
}

/* A member's share of every gradient; with a step the optimizer follows at once, else it is left in the vector. */
INLINE void FN(parameter_phase)(const fnn_program *program, int64_t member, int64_t team, int64_t batch_rows,
                                const fnn_step *s)
{
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        if (!row[FNN_PAR_TRAINABLE]) {
            continue;
        }
        const int64_t *instruction = program->instructions + row[FNN_PAR_INSTRUCTION] * FNN_I_WIDTH;
        const int64_t columns = row[FNN_PAR_COLUMNS], inputs = instruction[FNN_I_INPUTS];
        const bool is_bias = row[FNN_PAR_ROLE] != 0;
        const real *dZ = FN(buffer)(program, instruction[FNN_I_GRAD_DST], columns, 0);
        const real *X = FN(buffer)(program, instruction[FNN_I_SRC], inputs, 0);
        const int64_t block = FNN_GRADIENT_BLOCK / columns / FNN_ROW_BLOCK * FNN_ROW_BLOCK;
        const int64_t height = is_bias ? 1 : block > FNN_GRADIENT_ROWS ? block : FNN_GRADIENT_ROWS;
        int64_t first, last;
        fnn_share(row[FNN_PAR_ROWS], is_bias ? 1 : FNN_ROW_BLOCK, member, team, &first, &last);
        for (int64_t start = first; start < last; start += height) {
            const int64_t rows = fnn_least(height, last - start), n = rows * columns;
            const int64_t place = row[FNN_PAR_OFFSET] + start * columns;
            real *gradient = s != NULL ? (real *)program->scratch + member * program->scratch_size
                                       : (real *)program->gradient + place;
            if (is_bias) {
                FN(bias_backward)(gradient, dZ, fnn_padded(columns), batch_rows, columns);
            } else {
                FN(gemm)(gradient, columns, X + start, 1, fnn_padded(inputs), dZ, fnn_padded(columns), rows, columns,
                         batch_rows, NULL, 0);
            }
            if (row[FNN_PAR_PENALTY] >= 0) {
                const double *l = program->constants + row[FNN_PAR_PENALTY];
                FN(penalty_backward)(gradient, (const real *)program->theta + place, n, (real)l[0],
                                     (real)(2.0 * l[1]));
            }
            if (s != NULL) {
                FN(update_range)(program, place, n, gradient, row[FNN_PAR_DECAY] ? s->decay : 0.0, s);
                if (!is_bias) {
                    FN(transpose_rows)(program, instruction, start, start + rows);
                }
            }
        }
    }
}

/* Steps first ... last - 1 of the epoch: training with or without the update, or scoring. */
KERNEL static void FN(steps)(const fnn_run *run, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_program *program = run->program;
    const fnn_data *data = run->data;
    const bool training = run->mode != FNN_MODE_SCORE, updating = run->mode == FNN_MODE_STEPS;
    int64_t first, last;
    if (training) {
        for (int64_t number = 0; number < program->instruction_count; number++) {
            const int64_t *at = program->instructions + number * FNN_I_WIDTH;
            if (at[FNN_I_KIND] == FNN_KIND_DENSE) {
                fnn_share(at[FNN_I_INPUTS], FNN_ROW_BLOCK, member, team, &first, &last);
                FN(transpose_rows)(program, at, first, last);
            }
        }
        fnn_barrier(sync, team);
    }
    for (int64_t step = run->first; step < run->last; step++) {
        const int64_t start = step * data->batch, batch_rows = fnn_least(data->batch, data->rows - start);
        const double penalty = member == 0 ? FN(penalty)(program) : 0.0;
        fnn_step s;
        if (updating) {
            s = fnn_step_scalars(program);
        }
        fnn_share(batch_rows, FNN_ROW_BLOCK, member, team, &first, &last);
        if (last > first) {
            FN(gather)(program, data, first, last, start, true);
            FN(network_forward)(program, first, last, training, true);
            FN(losses)(program, first, last);
            if (training) {
                FN(network_backward)(program, first, last, batch_rows);
            }
        }
        fnn_barrier(sync, team);
        if (member == 0) {
            FN(add_sums)(program, data, batch_rows, penalty, run->sums);
        }
        if (training) {
            FN(parameter_phase)(program, member, team, batch_rows, updating ? &s : NULL);
        }
        if (updating && member == 0) {
            fnn_finish_step(program, &s);
        }
        fnn_barrier(sync, team);
    }
}

/* The optimizer from the gradient vector. */
KERNEL static void FN(update)(const fnn_program *program, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_step s = fnn_step_scalars(program);
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        if (row[FNN_PAR_TRAINABLE]) {
            int64_t first, last;
            fnn_share(row[FNN_PAR_ROWS] * row[FNN_PAR_COLUMNS], FNN_ROW_BLOCK, member, team, &first, &last);
            const int64_t place = row[FNN_PAR_OFFSET] + first;
            FN(update_range)(program, place, last - first, (const real *)program->gradient + place,
                             row[FNN_PAR_DECAY] ? s.decay : 0.0, &s);
        }
    }
    fnn_barrier(sync, team);
    if (member == 0) {
        fnn_finish_step(program, &s);
    }
}

/* Predictions of all rows: each member takes its share in blocks, in its own rows of the workspace. */
KERNEL static void FN(predict)(const fnn_run *run, int64_t member, int64_t team)
{
    const fnn_program *program = run->program;
    const int64_t width = program->outputs, base = member * FNN_FORWARD_ROWS;
    real *out = (real *)run->out;
    int64_t first, last;
    fnn_share(run->data->rows, FNN_ROW_BLOCK, member, team, &first, &last);
    for (int64_t start = first; start < last; start += FNN_FORWARD_ROWS) {
        const int64_t rows = fnn_least(FNN_FORWARD_ROWS, last - start);
        FN(gather)(program, run->data, base, base + rows, start - base, false);
        FN(network_forward)(program, base, base + rows, false, false);
        for (int64_t row = 0; row < rows; row++) {
            memcpy(out + (start + row) * width, FN(buffer)(program, program->output_unit, width, base + row),
                   (size_t)width * sizeof(real));
        }
    }
}

KERNEL void FN(run)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_run *run = context;
    if (run->mode == FNN_MODE_UPDATE) {
        FN(update)(run->program, sync, member, team);
    } else if (run->mode == FNN_MODE_FORWARD) {
        FN(predict)(run, member, team);
    } else {
        FN(steps)(run, sync, member, team);
    }
}

#endif
