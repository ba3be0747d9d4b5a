/* The row phase of a step: gather, forward pass, losses and gradients of some rows of a batch.
 *
 * A thread takes its rows through as many instructions as it can. `forward` and `backward` stop where the team has to
 * meet: for the statistics of a batch, in which rows enter each other, and for a W so large that each thread should read
 * a part of it rather than all of it. `forward_together` and `backward_together` are what it does there.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "rows.c"
#include "levels.h"

#else

/* The least bytes of a W whose products a team shares by columns, and of one for the fewest rows: a few elements of each
 * row of a W come slower than whole rows do. */
#undef SHARED_BYTES
#undef SHARED_LARGE
#undef SHARED_ROWS
#define SHARED_BYTES FNN_SECOND_CACHE
#define SHARED_LARGE (4 * FNN_SECOND_CACHE)
#define SHARED_ROWS 4
/* Elements of a batch whose way between cores takes as long as reading so many of a W. */
#undef WAY
#define WAY 2
/* Columns of a piece of a product that a thread takes. */
#undef PIECE_LEAST
#undef PIECE_MOST
#define PIECE_LEAST 64
#define PIECE_MOST 512

/* Whether a team shares the products of a DENSE and so many rows by the columns, or rows, of its W: it costs less that
 * each thread reads all rows of the batch and a part of W than the other way round. */
INLINE bool FN(shares_columns)(const int64_t *at, int64_t rows)
{
    const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS], elements = inputs * outputs;
    return at[FNN_I_KIND] == FNN_KIND_DENSE && rows > 0 && WAY * rows * (inputs + outputs) <= elements &&
           elements * (int64_t)sizeof(real) > (rows < SHARED_ROWS ? SHARED_LARGE : SHARED_BYTES);
}

/* The width of the next piece of so many columns that are left: half of a member's part of them, so that the pieces get
 * smaller and all threads end together. */
INLINE int64_t FN(piece_columns)(int64_t left, int64_t team)
{
    const int64_t part = (left / (2 * team) + PIECE_LEAST - 1) / PIECE_LEAST * PIECE_LEAST;
    const int64_t width = fnn_least(fnn_greatest(part, PIECE_LEAST), PIECE_MOST);
    return left - width < PIECE_LEAST ? left : width;
}

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

/* Whether a DENSE is followed by a relu in place, which its product does, too. */
INLINE bool FN(has_relu)(const fnn_program *program, int64_t number)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH, *next = at + FNN_I_WIDTH;
    return number + 1 < program->instruction_count && next[FNN_I_KIND] == FNN_KIND_ACTIVATION &&
           next[FNN_I_CODE] == FNN_ACTIVATION_relu && next[FNN_I_DST] == at[FNN_I_DST];
}

/* Columns of a DENSE of rows that lie at src, and of its relu, into rows of the workspace from `first`. Gives the number
 * of the next instruction. */
KERNEL int64_t FN(dense)(const fnn_program *program, int64_t number, int64_t first, const real *src, int64_t ld_src,
                         int64_t rows, int64_t column, int64_t columns, int flags, real *pack)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH;
    const int64_t outputs = at[FNN_I_OUTPUTS], bias = at[FNN_I_BIAS];
    const bool relu = FN(has_relu)(program, number);
    const real *theta = program->theta;
    flags |= (bias >= 0 ? FNN_BIAS : 0) | (relu ? FNN_RELU : 0);
    FN(gemm)(FN(buffer)(program, at[FNN_I_DST], outputs, first) + column, fnn_padded(outputs), src, ld_src, 1,
             theta + at[FNN_I_KERNEL] + column, outputs, rows, columns, at[FNN_I_INPUTS],
             bias >= 0 ? theta + bias + column : NULL, flags, pack);
    return number + (relu ? 2 : 1);
}

/* The instructions from `number` for rows first ... last - 1, up to one for which the team has to meet; `shared`: the rows
 * of the batch if there is a team, else 0. Gives where: their count at the end. */
KERNEL int64_t FN(forward)(const fnn_program *program, int64_t number, int64_t first, int64_t last, bool training,
                           bool with_loss, int64_t shared, real *pack)
{
    const int64_t rows = last - first;
    for (; number < program->instruction_count; number++) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH;
        if ((at[FNN_I_KIND] == FNN_KIND_BATCH_NORM && training) || FN(shares_columns)(at, shared)) {
            return number;
        }
        const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS];
        const int64_t ld_src = fnn_padded(inputs), ld_dst = fnn_padded(outputs);
        const real *src = FN(buffer)(program, at[FNN_I_SRC], inputs, first);
        real *dst = FN(buffer)(program, at[FNN_I_DST], outputs, first);
        switch (at[FNN_I_KIND]) {
        case FNN_KIND_DENSE:
            number = FN(dense)(program, number, first, src, ld_src, rows, 0, outputs, 0, pack) - 1;
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
    const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS];
    fnn_barrier(sync, team);
    if (at[FNN_I_KIND] == FNN_KIND_BATCH_NORM) {
        FN(batch_statistics)(program, at, batch_rows, member, team);
        fnn_barrier(sync, team);
        FN(normalize)(program, at, FN(buffer)(program, at[FNN_I_DST], outputs, first),
                      FN(buffer)(program, at[FNN_I_SRC], inputs, first), first, last - first, true);
        return number + 1;
    }
    const real *src = FN(buffer)(program, at[FNN_I_SRC], inputs, 0);
    int64_t width, piece = 0, next = fnn_next_piece(sync);
    for (int64_t column = 0; column < outputs; column += width) {
        width = FN(piece_columns)(outputs - column, team);
        if (piece++ == next) {
            FN(dense)(program, number, 0, src, fnn_padded(inputs), batch_rows, column, width, 0,
                      FN(pack)(program, member));
            next = fnn_next_piece(sync);
        }
    }
    fnn_barrier(sync, team);
    return number + (FN(has_relu)(program, number) ? 2 : 1);
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

/* Whether the gradient of a DENSE's source for so many rows makes that of a relu before it in place, too. */
INLINE bool FN(has_slope)(const fnn_program *program, int64_t number, int64_t rows)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH, *before = at - FNN_I_WIDTH;
    return number > 0 && before[FNN_I_KIND] == FNN_KIND_ACTIVATION && before[FNN_I_CODE] == FNN_ACTIVATION_relu &&
           before[FNN_I_GRAD_SRC] == at[FNN_I_GRAD_SRC] &&
           FN(takes_slope)(rows, at[FNN_I_INPUTS], at[FNN_I_OUTPUTS]);
}

/* Columns of the gradient of a DENSE's source, with the slope of the relu before it or not, for `rows` rows of the
 * workspace from `first`. */
INLINE void FN(dense_backward)(const fnn_program *program, int64_t number, int64_t first, int64_t rows,
                                  int64_t column, int64_t columns, const bool slope, real *pack)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH;
    const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS], ld = fnn_padded(inputs);
    const real *kernel = (const real *)program->theta + at[FNN_I_KERNEL], *output = NULL;
    if (slope) {
        output = FN(buffer)(program, (at - FNN_I_WIDTH)[FNN_I_SAVED], inputs, first) + column;
    }
    FN(gemm)(FN(buffer)(program, at[FNN_I_GRAD_SRC], inputs, first) + column, ld,
             FN(buffer)(program, at[FNN_I_GRAD_DST], outputs, first), fnn_padded(outputs), 1, kernel + column * outputs,
             outputs, rows, columns, outputs, output, FNN_TRANSPOSED | (slope ? FNN_SLOPE : 0), pack);
}

/* The gradients of all activations for rows first ... last - 1, from instruction `number` down to one for which the team
 * has to meet; `shared`: the rows of the batch if there is a team, else 0. Gives where: -1 at the end. */
KERNEL int64_t FN(backward)(const fnn_program *program, int64_t number, int64_t first, int64_t last, int64_t shared,
                            real *pack)
{
    const int64_t rows = last - first;
    const real *theta = program->theta;
    bool slope;
    for (; number >= 0; number--) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH;
        if (at[FNN_I_KIND] == FNN_KIND_BATCH_NORM && at[FNN_I_GRAD_DST] >= 0) {
            return number;
        }
        if (at[FNN_I_GRAD_SRC] < 0) {
            continue;
        }
        if (FN(shares_columns)(at, shared)) {
            return number;
        }
        const int64_t width_in = at[FNN_I_INPUTS], width_out = at[FNN_I_OUTPUTS];
        const int64_t ld_src = fnn_padded(width_in), ld_dst = fnn_padded(width_out);
        const real *d_dst = FN(buffer)(program, at[FNN_I_GRAD_DST], width_out, first);
        const real *saved = FN(buffer)(program, at[FNN_I_SAVED], width_out, first);
        real *d_src = FN(buffer)(program, at[FNN_I_GRAD_SRC], width_in, first);
        switch (at[FNN_I_KIND]) {
        case FNN_KIND_DENSE:
            slope = FN(has_slope)(program, number, rows);
            FN(dense_backward)(program, number, first, rows, 0, width_in, slope, pack);
            number -= slope ? 1 : 0;
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
    const int64_t inputs = at[FNN_I_INPUTS], ld = fnn_padded(inputs);
    fnn_barrier(sync, team);
    if (at[FNN_I_KIND] == FNN_KIND_BATCH_NORM) {
        FN(batch_gradients)(program, at, batch_rows, member, team);
        fnn_barrier(sync, team);
        if (at[FNN_I_GRAD_SRC] >= 0) {
            FN(batch_norm_backward)(FN(buffer)(program, at[FNN_I_GRAD_SRC], inputs, first), ld,
                                    FN(buffer)(program, at[FNN_I_GRAD_DST], inputs, first), ld,
                                    FN(buffer)(program, at[FNN_I_SAVED], inputs, first), ld,
                                    FN(of_batch)(program, at, FNN_BATCH_INVERSE),
                                    (const real *)program->theta + at[FNN_I_KERNEL],
                                    FN(of_batch)(program, at, FNN_BATCH_BETA_GRADIENT),
                                    FN(of_batch)(program, at, FNN_BATCH_GAMMA_GRADIENT), last - first, inputs,
                                    (real)(1.0 / (double)batch_rows));
        }
        return number - 1;
    }
    const bool slope = FN(has_slope)(program, number, batch_rows);
    int64_t width, piece = 0, next = fnn_next_piece(sync);
    for (int64_t column = 0; column < inputs; column += width) {
        width = FN(piece_columns)(inputs - column, team);
        if (piece++ == next) {
            FN(dense_backward)(program, number, 0, batch_rows, column, width, slope, FN(pack)(program, member));
            next = fnn_next_piece(sync);
        }
    }
    fnn_barrier(sync, team);
    return number - (slope ? 2 : 1);
}

#endif
