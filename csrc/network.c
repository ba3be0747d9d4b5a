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

/* What holds for a whole call: no samples are expected yet, and statistics that no step changes have their columns. */
INLINE void FN(prepare)(const fnn_member *m, bool training)
{
    const fnn_program *program = m->program;
    bool any = false;
    FN(expected)(m->scratch)->left = 0;
    for (int64_t index = 0; index < program->instruction_count; index++) {
        const fnn_call *calls = FN(calls)(program, index), *columns = &calls[FNN_SLOT_INFERENCE_COLUMNS];
        if (columns->family >= 0 && !(training && calls[FNN_SLOT_FORWARD_COLUMNS].family >= 0)) {
            FN(operate_columns)(columns, 1, m->index, m->team);
            any = true;
        }
    }
    if (any) {
        fnn_barrier(m->sync, m->team);
    }
    fnn_lap(m, FNN_PHASE_FORWARD);
}

/* The row phase of a step that begins at row `start`. */
INLINE void FN(row_phase)(const fnn_member *m, const fnn_batch *batch, int64_t start)
{
    FN(gather)(m, batch->first, batch->last, start, true);
    fnn_lap(m, FNN_PHASE_GATHER);
    FN(forward)(m, batch, 0);
    fnn_lap(m, FNN_PHASE_FORWARD);
    FN(losses)(m, batch);
    if (batch->training) {
        FN(loss_gradients)(m, batch);
    }
    fnn_lap(m, FNN_PHASE_LOSS);
    if (batch->training) {
        FN(backward)(m, batch);
        fnn_lap(m, FNN_PHASE_BACKWARD);
    }
}

/* Adds a batch's weighted sum to a slot of the sums. */
INLINE void FN(add_weighted)(const fnn_member *m, int64_t slot, const real *values, const real *weights, int64_t rows)
{
    m->run->sums[slot] += FN(weighted_sum)(0.0, values, 1, weights, 1, rows);
}

/* The batch's sums of one metric, whose rows have these values. */
INLINE void FN(add_metric)(const fnn_member *m, const int64_t *metric, const real *values, int64_t rows)
{
    const fnn_program *program = m->program;
    const int64_t index = metric[FNN_METRIC_ENTRY_LOSS], slot = metric[FNN_METRIC_ENTRY_SLOT];
    const int64_t *loss = FN(loss)(program, index), outputs = loss[FNN_LOSS_ENTRY_OUTPUTS];
    const int64_t targets = loss[FNN_LOSS_ENTRY_TARGETS];
    const bool weighted = metric[FNN_METRIC_ENTRY_WEIGHTED];
    const real *all_weights = (const real *)program->row_weights + index * program->capacity;
    const real *weights = weighted && FN(weights)(m, index)->data != NULL ? all_weights : NULL;
    if (metric[FNN_METRIC_ENTRY_CODE] == FNN_METRIC_r2_score) {
        const real *A = FN(buffer)(program, loss[FNN_LOSS_ENTRY_PREDICTION], outputs, 0);
        const real *Y = FN(buffer)(program, loss[FNN_LOSS_ENTRY_TARGET], targets, 0);
        FN(r2_sums)(m->run->sums + slot, A, fnn_padded(outputs), Y, fnn_padded(targets), weights, 1, rows, outputs);
        return;
    }
    FN(add_weighted)(m, slot, values, weights, rows);
    if (weighted) {
        FN(add_weighted)(m, slot + 1, all_weights, NULL, rows);
    }
}

/* The batch's losses and metrics, in row order, into the sums. One thread. */
INLINE void FN(add_sums)(const fnn_member *m, int64_t rows)
{
    const fnn_program *program = m->program;
    const real *values = program->row_values, *all_weights = program->row_weights;
    double *sums = m->run->sums, whole = 0.0;
    for (int64_t index = 0; index < program->loss_count; index++) {
        const int64_t *loss = FN(loss)(program, index), place = index * program->capacity;
        const real *weights = FN(weights)(m, index)->data != NULL ? all_weights + place : NULL;
        const double total = FN(weighted_sum)(0.0, values + place, 1, weights, 1, rows);
        if (loss[FNN_LOSS_ENTRY_SLOT] >= 0) {
            sums[loss[FNN_LOSS_ENTRY_SLOT]] += total;
        }
        whole = whole + program->constants[loss[FNN_LOSS_ENTRY_WEIGHT]] * total;
    }
    sums[FNN_SUM_LOSS] += whole + (double)rows * (m->share * FN(penalty)(program));
    sums[FNN_SUM_COUNT] += (double)rows;
    for (int64_t index = 0; index < program->metric_count; index++) {
        FN(add_metric)(m, program->metrics + index * FNN_METRIC_ENTRY_WIDTH,
                       values + (program->loss_count + index) * program->capacity, rows);
    }
}

/* The learning rate of a call's step: its own, where the call brings some. */
INLINE double FN(step_rate)(const fnn_member *m, int64_t taken)
{
    return m->run->rates != NULL ? m->run->rates[taken] : m->program->scalars[FNN_SCALAR_LEARNING_RATE];
}

/* Steps first ... last - 1 of the epoch: training with or without the update, or scoring. Returns how many were taken. */
KERNEL int64_t FN(steps)(const fnn_member *member, bool training, bool updating)
{
    fnn_member copy = *member, *m = &copy;
    const fnn_run *run = m->run;
    const fnn_program *program = m->program;
    const fnn_data *data = m->data;
    const bool at_once = updating && !fnn_clips_norms(program);
    FN(prepare)(m, training);
    for (int64_t step = run->first; step < run->last; step++) {
        const int64_t start = step * data->batch;
        fnn_batch batch = {.rows = fnn_least(data->batch, data->rows - start), .team = m->team, .training = training,
                           .with_loss = true, .start = start};
        fnn_share(batch.rows, FNN_ROW_BLOCK, m->index, m->team, &batch.first, &batch.last);
        if (training || step == run->first) {
            FN(penalty_blocks)(m);
            fnn_lap(m, FNN_PHASE_LOSS);
        }
        m->share = data->shares != NULL ? data->shares[step] : 1.0;
        fnn_step s;
        if (updating) {
            s = fnn_begin_step(program, FN(step_rate)(m, step - run->first));
            fnn_lap(m, FNN_PHASE_UPDATE);
        }
        fnn_expect(FN(expected)(m->scratch), m, step + 1 < run->last ? start + batch.rows : data->rows);
        FN(row_phase)(m, &batch, start);
        fnn_barrier(m->sync, m->team);
        fnn_lap(m, FNN_PHASE_WAIT);
        if (m->index == 0) {
            FN(add_sums)(m, batch.rows);
            fnn_lap(m, FNN_PHASE_LOSS);
        }
        if (training) {
            FN(parameter_phase)(m, batch.rows, at_once ? &s : NULL);
            fnn_lap(m, FNN_PHASE_BACKWARD);
        }
        if (updating && !at_once) {
            fnn_barrier(m->sync, m->team);
            FN(update_phase)(m, &s);
        }
        if (updating && m->index == 0) {
            fnn_finish_step(program, &s);
        }
        if (updating) {
            fnn_lap(m, FNN_PHASE_UPDATE);
        }
        fnn_barrier(m->sync, m->team);
        fnn_lap(m, FNN_PHASE_WAIT);
        /* Every member reads the same sum: the next one is added behind the next barrier. */
        if (run->stop && !__builtin_isfinite(run->sums[FNN_SUM_LOSS])) {
            return step + 1 - run->first;
        }
    }
    return run->last > run->first ? run->last - run->first : 0;
}

/* One optimizer step from the gradient vector. */
KERNEL void FN(update)(const fnn_member *m)
{
    const fnn_step s = fnn_begin_step(m->program, m->program->scalars[FNN_SCALAR_LEARNING_RATE]);
    FN(update_phase)(m, &s);
    fnn_lap(m, FNN_PHASE_UPDATE);
    fnn_barrier(m->sync, m->team);
    fnn_lap(m, FNN_PHASE_WAIT);
    if (m->index == 0) {
        fnn_finish_step(m->program, &s);
    }
    fnn_lap(m, FNN_PHASE_UPDATE);
}

/* Whether a first DENSE can read the input where it lies. */
INLINE bool FN(reads_in_place)(const fnn_program *program, const fnn_data *data)
{
    const fnn_array *x = data->arrays;
    return program->reads_in_place && x->code == (FNN_F64 ? FNN_FLOAT64 : FNN_FLOAT32) &&
           x->element == (int64_t)sizeof(real) && ((uintptr_t)x->data | (uintptr_t)x->row) % sizeof(real) == 0;
}

/* Rows of the workspace into every output's array, from its row `start`. */
INLINE void FN(give)(const fnn_member *m, int64_t start, int64_t base, int64_t rows)
{
    const fnn_program *program = m->program;
    for (int64_t index = 0; index < program->output_count; index++) {
        const int64_t *output = FN(output)(program, index), width = output[FNN_INPUT_ENTRY_COLUMNS];
        for (int64_t row = 0; row < rows; row++) {
            memcpy((real *)m->run->outs[index] + (start + row) * width,
                   FN(buffer)(program, output[FNN_INPUT_ENTRY_UNIT], width, base + row), (size_t)width * sizeof(real));
        }
    }
}

/* Whether a team shares a large W for all rows of a call, which are few: they are one batch then. */
INLINE bool FN(predicts_together)(const fnn_program *program, int64_t rows, int64_t team)
{
    bool shared = false;
    for (int64_t index = 0; index < program->instruction_count; index++) {
        shared = shared || FN(shares_columns)(FN(instruction)(program, index), rows, team, false);
    }
    return shared && rows <= fnn_least(program->forward_rows, program->capacity);
}

/* Predictions of all rows: each member takes its share, in blocks in its own rows of the workspace, or at once where the
 * team shares W. */
KERNEL void FN(predict)(const fnn_member *m)
{
    const fnn_program *program = m->program;
    const fnn_data *data = m->data;
    const bool together = FN(predicts_together)(program, data->rows, m->team);
    const bool in_place = !together && FN(reads_in_place)(program, data);
    int64_t first, last;
    fnn_share(data->rows, FNN_ROW_BLOCK, m->index, m->team, &first, &last);
    const int64_t block = together ? last - first : fnn_least(program->forward_rows, program->capacity / m->team);
    const int64_t base = together ? first : m->index * block;
    const int64_t blocks = together ? 1 : (last - first + block - 1) / block; /* without rows a member has columns */
    FN(prepare)(m, false);
    for (int64_t index = 0; index < blocks; index++) {
        const int64_t start = first + index * block, rows = fnn_least(block, last - start);
        const fnn_batch batch = {
            .rows = data->rows, .first = base, .last = base + rows, .team = together ? m->team : 1,
            .start = m->run->first + start - base,
        };
        int64_t done = 0;
        if (in_place) {
            const fnn_array *x = data->arrays;
            done = FN(dense_forward)(m, 0, base, (const real *)((const char *)x->data + start * x->row),
                                     x->row / (int64_t)sizeof(real), rows, FNN_FAR);
        } else {
            FN(gather)(m, base, base + rows, start - base, false);
            fnn_lap(m, FNN_PHASE_GATHER);
        }
        FN(forward)(m, &batch, done);
        FN(give)(m, start, base, rows);
        fnn_lap(m, FNN_PHASE_FORWARD);
    }
}

#endif
