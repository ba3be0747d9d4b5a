/* The programs: any plan's steps, updates and predictions. Every thread of a team runs them.
 *
 * A step has two phases with a barrier after each: rows.c's, in which a thread takes rows of the batch from the gather
 * to the gradients of all activations, and parameters.c's, in which it takes a part of the parameters.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "network.c"
#include "levels.h"

#else

/* What holds for a whole call: no samples to expect yet, and inverse deviations of statistics that no step changes. */
INLINE void FN(prepare)(const fnn_program *program, bool training, fnn_sync *sync, int64_t member, int64_t team)
{
    bool any = false;
    FN(expected)(FN(pack)(program, member))->left = 0;
    for (int64_t number = 0; number < program->instruction_count; number++) {
        const int64_t *at = program->instructions + number * FNN_I_WIDTH, kind = at[FNN_I_KIND];
        if (kind == FNN_KIND_STANDARDIZE || (kind == FNN_KIND_BATCH_NORM && !training)) {
            int64_t first, last;
            fnn_share(at[FNN_I_OUTPUTS], FNN_ROW_BLOCK, member, team, &first, &last);
            const real *variance = (const real *)program->statistics + at[FNN_I_VARIANCE] + first;
            FN(inverse_deviation)((int)at[FNN_I_CODE], FN(of_batch)(program, at, FNN_BATCH_INVERSE) + first, variance,
                                  last - first, (real)program->constants[at[FNN_I_CONSTANT]]);
            any = true;
        }
    }
    if (any) {
        fnn_barrier(sync, team);
    }
}

/* The forward pass of a member's rows from instruction `number`; the whole team meets for a batch's statistics and for
 * large W. */
INLINE void FN(forward_pass)(const fnn_program *program, fnn_sync *sync, int64_t number, int64_t first, int64_t last,
                             bool training, bool with_loss, int64_t batch_rows, int64_t member, int64_t team)
{
    const int64_t shared = team > 1 ? batch_rows : 0;
    real *pack = FN(pack)(program, member);
    number = FN(forward)(program, number, first, last, training, with_loss, shared, pack);
    while (number < program->instruction_count) {
        number = FN(forward_together)(program, sync, number, first, last, batch_rows, member, team);
        number = FN(forward)(program, number, first, last, training, with_loss, shared, pack);
    }
}

/* The row phase of a step for a member's rows. */
INLINE void FN(row_phase)(const fnn_run *run, fnn_sync *sync, int64_t member, int64_t team, int64_t start,
                          int64_t batch_rows)
{
    const fnn_program *program = run->program;
    const bool training = run->mode != FNN_MODE_SCORE;
    const int64_t shared = team > 1 ? batch_rows : 0;
    real *pack = FN(pack)(program, member);
    int64_t first, last;
    fnn_share(batch_rows, FNN_ROW_BLOCK, member, team, &first, &last);
    FN(gather)(program, run->data, first, last, start, true);
    FN(forward_pass)(program, sync, 0, first, last, training, true, batch_rows, member, team);
    FN(losses)(program, first, last);
    if (!training) {
        return;
    }
    FN(loss_gradient)(program, first, last, batch_rows);
    int64_t at = FN(backward)(program, program->instruction_count - 1, first, last, shared, pack);
    while (at >= 0) {
        at = FN(backward_together)(program, sync, at, first, last, batch_rows, member, team);
        at = FN(backward)(program, at, first, last, shared, pack);
    }
}

/* The batch's losses and metrics, in row order, into the sums. One thread. */
INLINE void FN(add_sums)(const fnn_program *program, const fnn_data *data, int64_t rows, double *sums)
{
    const int64_t *loss = program->loss;
    const real *values = program->row_values, *given = data->w != NULL ? program->row_weights : NULL;
    sums[FNN_SUM_LOSS] += FN(weighted_sum)(0.0, values, 1, given, 1, rows) + (double)rows * FN(penalty)(program);
    sums[FNN_SUM_COUNT] += (double)rows;
    const int64_t outputs = loss[FNN_LOS_OUTPUTS], targets = loss[FNN_LOS_TARGETS];
    for (int64_t number = 0; number < program->metric_count; number++) {
        const int64_t *metric = program->metrics + number * FNN_MET_WIDTH;
        const real *weights = metric[FNN_MET_WEIGHTED] ? given : NULL;
        double *slot = sums + metric[FNN_MET_SLOT];
        values += program->capacity;
        if (metric[FNN_MET_CODE] == FNN_METRIC_r2_score) {
            FN(r2_sums)(slot, FN(buffer)(program, loss[FNN_LOS_PREDICTION], outputs, 0), fnn_padded(outputs),
                        FN(buffer)(program, loss[FNN_LOS_TARGET], targets, 0), fnn_padded(targets), weights, 1, rows,
                        outputs);
            continue;
        }
        slot[0] += FN(weighted_sum)(0.0, values, 1, weights, 1, rows);
        if (metric[FNN_MET_WEIGHTED]) {
            slot[1] += FN(weighted_sum)(0.0, program->row_weights, 1, NULL, 1, rows);
        }
    }
}

/* Steps first ... last - 1 of the epoch: training with or without the update, or scoring. Gives how many were taken. */
KERNEL static int64_t FN(steps)(const fnn_run *run, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_program *program = run->program;
    const fnn_data *data = run->data;
    const bool training = run->mode != FNN_MODE_SCORE, updating = run->mode == FNN_MODE_STEPS;
    const bool gradient_first = updating && fnn_clips_norms(program);
    fnn_expected *expected = FN(expected)(FN(pack)(program, member));
    FN(prepare)(program, training, sync, member, team);
    for (int64_t step = run->first; step < run->last; step++) {
        const int64_t start = step * data->batch, batch_rows = fnn_least(data->batch, data->rows - start);
        if (training || step == run->first) {
            FN(penalty_blocks)(program, member, team);
        }
        fnn_step s;
        if (updating) {
            s = fnn_step_scalars(program, run->rates != NULL ? run->rates[step - run->first]
                                                             : program->scalars[FNN_SCALAR_LEARNING_RATE]);
        }
        fnn_expect(expected, program, data, step + 1 < run->last ? start + batch_rows : data->rows, member, team);
        FN(row_phase)(run, sync, member, team, start, batch_rows);
        fnn_barrier(sync, team);
        if (member == 0) {
            FN(add_sums)(program, data, batch_rows, run->sums);
        }
        if (training) {
            FN(parameter_phase)(program, sync, member, team, batch_rows, updating && !gradient_first ? &s : NULL);
        }
        if (gradient_first) {
            fnn_barrier(sync, team);
            FN(update)(program, sync, member, team, &s);
        }
        if (updating && member == 0) {
            fnn_finish_step(program, &s);
        }
        fnn_barrier(sync, team);
        /* Every member reads the same sum: the next one is added behind the next barrier. */
        if (run->stop && !__builtin_isfinite(run->sums[FNN_SUM_LOSS])) {
            return step + 1 - run->first;
        }
    }
    return run->last > run->first ? run->last - run->first : 0;
}

/* Whether a first DENSE can read x where it lies. */
INLINE bool FN(reads_in_place)(const fnn_program *program, const fnn_data *data)
{
    return program->instruction_count > 0 && program->instructions[FNN_I_KIND] == FNN_KIND_DENSE &&
           data->x_code == (FNN_F64 ? FNN_FLOAT64 : FNN_FLOAT32) && data->x_element == (int64_t)sizeof(real) &&
           ((uintptr_t)data->x | (uintptr_t)data->x_row) % sizeof(real) == 0;
}

/* Whether a team shares a large W for all rows of a call, which are few: they are one batch then. */
INLINE bool FN(predicts_together)(const fnn_program *program, int64_t rows, int64_t team)
{
    bool any = false;
    for (int64_t number = 0; number < program->instruction_count; number++) {
        any = any || FN(shares_columns)(program->instructions + number * FNN_I_WIDTH, rows, false);
    }
    return any && team > 1 && rows <= fnn_least(program->forward_rows, program->capacity);
}

/* Predictions of all rows: each member takes its share, in blocks in its own rows of the workspace, or at once where the
 * team shares W. */
KERNEL static void FN(predict)(const fnn_run *run, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_program *program = run->program;
    const fnn_data *data = run->data;
    const bool together = FN(predicts_together)(program, data->rows, team);
    const bool in_place = !together && FN(reads_in_place)(program, data);
    const int64_t width = program->outputs, crew = together ? team : 1;
    real *out = (real *)run->out, *pack = FN(pack)(program, member);
    int64_t first, last;
    FN(prepare)(program, false, sync, member, team);
    fnn_share(data->rows, FNN_ROW_BLOCK, member, team, &first, &last);
    const int64_t block = together ? last - first : fnn_least(program->forward_rows, program->capacity / team);
    const int64_t base = together ? first : member * block;
    const int64_t blocks = together ? 1 : (last - first + block - 1) / block; /* without rows a member has columns */
    for (int64_t number = 0; number < blocks; number++) {
        const int64_t start = first + number * block, rows = fnn_least(block, last - start);
        int64_t next = 0;
        if (in_place) {
            next = FN(dense)(program, 0, base, (const real *)((const char *)data->x + start * data->x_row),
                             data->x_row / (int64_t)sizeof(real), rows, FNN_FAR, pack);
        } else {
            FN(gather)(program, data, base, base + rows, start - base, false);
        }
        FN(forward_pass)(program, sync, next, base, base + rows, false, false, data->rows, member, crew);
        for (int64_t row = 0; row < rows; row++) {
            memcpy(out + (start + row) * width, FN(buffer)(program, program->output_unit, width, base + row),
                   (size_t)width * sizeof(real));
        }
    }
}

KERNEL void FN(run)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_run *run = context;
    const fnn_program *program = run->program;
    if (run->mode == FNN_MODE_UPDATE) {
        const fnn_step s = fnn_step_scalars(program, program->scalars[FNN_SCALAR_LEARNING_RATE]);
        FN(update)(program, sync, member, team, &s);
        fnn_barrier(sync, team);
        if (member == 0) {
            fnn_finish_step(program, &s);
        }
    } else if (run->mode == FNN_MODE_FORWARD) {
        FN(predict)(run, sync, member, team);
    } else {
        const int64_t taken = FN(steps)(run, sync, member, team);
        if (member == 0 && run->taken != NULL) {
            *run->taken = taken;
        }
    }
}

#endif
