/* The row phase of a step: gather, forward pass, losses and gradients of some rows of a batch.
 *
 * A thread takes its rows through as many instructions as it can. The team meets for the statistics of a batch, in which
 * rows enter each other, and for a W whose columns it shares (dense.c): every member comes here, with rows or without.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "rows.c"
#include "levels.h"

#else

/* A member's rows of the batch into the workspace, converted. */
KERNEL void FN(gather)(const fnn_member *m, int64_t first, int64_t last, int64_t batch_start, bool with_targets)
{
    const fnn_program *program = m->program;
    const fnn_data *data = m->data;
    const int64_t *loss = program->loss;
    for (int64_t row = first; row < last; row++) {
        const int64_t source = data->order != NULL ? data->order[batch_start + row] : batch_start + row;
        FN(gather_row)(data->x_code, FN(buffer)(program, 0, program->features, row),
                       (const char *)data->x + source * data->x_row, program->features, data->x_element);
        if (with_targets) {
            const int64_t targets = loss[FNN_LOSS_ENTRY_TARGETS];
            FN(gather_row)(data->y_code, FN(buffer)(program, loss[FNN_LOSS_ENTRY_TARGET], targets, row),
                           (const char *)data->y + source * data->y_row, targets, data->y_element);
            if (data->w != NULL) {
                ((real *)program->row_weights)[row] = ((const real *)data->w)[source];
            }
        }
    }
}

/* An instruction's operations on all rows of the batch, of which each member takes columns. */
INLINE void FN(columns_together)(const fnn_member *m, const fnn_batch *batch, const fnn_call *calls, int slot, int end)
{
    fnn_barrier(m->sync, batch->team);
    for (; slot < end; slot++) {
        if (calls[slot].family >= 0) {
            FN(operate_columns)(&calls[slot], batch->rows, m->number, batch->team);
        }
    }
    fnn_barrier(m->sync, batch->team);
}

/* The instructions in order from `number`, for a member's rows. */
KERNEL void FN(forward)(const fnn_member *m, const fnn_batch *batch, int64_t number)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, rows = batch->last - first;
    while (number < program->instruction_count) {
        const int64_t *at = FN(instruction)(program, number), inputs = at[FNN_COLUMN_INPUTS];
        const fnn_call *calls = FN(calls)(program, number);
        if (FN(shares_columns)(at, batch->rows, batch->team, batch->training)) {
            number += FN(dense_together)(m, batch, number, false);
            continue;
        }
        if (at[FNN_COLUMN_KIND] == FNN_KIND_DENSE) {
            const real *src = FN(buffer)(program, at[FNN_COLUMN_SRC], inputs, first);
            number += FN(dense_forward)(m, number, first, src, fnn_padded(inputs), rows, 0);
            continue;
        }
        number++;
        if (at[FNN_COLUMN_KIND] == FNN_KIND_DROPOUT) {
            FN(dropout_forward)(m, batch, at);
            continue;
        }
        if (batch->training && calls[FNN_SLOT_FORWARD_COLUMNS].family >= 0) {
            FN(columns_together)(m, batch, calls, FNN_SLOT_FORWARD_COLUMNS, FNN_SLOT_INFERENCE_COLUMNS);
        }
        if (!(batch->with_loss && at[FNN_COLUMN_FUSED] == FNN_FUSED_BOTH)) {
            FN(operate_rows)(&calls[batch->training ? FNN_SLOT_FORWARD : FNN_SLOT_INFERENCE], first, rows, batch->rows);
        }
    }
}

/* Values of the loss and of the metrics for a member's rows. */
KERNEL void FN(losses)(const fnn_member *m, const fnn_batch *batch)
{
    for (int64_t number = 1; number < 2 + m->program->metric_count; number++) {
        const fnn_call *call = &m->program->losses[number];
        if (call->family >= 0) {
            FN(operate_losses)(call, batch->first, batch->last - batch->first);
        }
    }
}

/* The gradient of the mean loss by what the loss reads, for a member's rows. */
KERNEL void FN(loss_gradient)(const fnn_member *m, const fnn_batch *batch)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, rows = batch->last - first, *loss = program->loss;
    double share = 1.0 / (double)batch->rows;
    if (loss[FNN_LOSS_ENTRY_MEAN]) {
        share = share / (double)loss[FNN_LOSS_ENTRY_OUTPUTS];
    }
    FN(row_scale)((real *)program->row_scales + first, (real *)program->row_weights + first, rows, (real)share);
    FN(operate_losses)(program->losses, first, rows);
}

/* The gradients of all activations for a member's rows. */
KERNEL void FN(backward)(const fnn_member *m, const fnn_batch *batch)
{
    const int64_t first = batch->first, rows = batch->last - first;
    int64_t number = m->program->instruction_count - 1;
    while (number >= 0) {
        const int64_t *at = FN(instruction)(m->program, number);
        const fnn_call *calls = FN(calls)(m->program, number);
        if (at[FNN_COLUMN_GRAD_DST] >= 0 && calls[FNN_SLOT_BACKWARD_COLUMNS].family >= 0) {
            FN(columns_together)(m, batch, calls, FNN_SLOT_BACKWARD_COLUMNS, FNN_SLOT_WIDTH);
        }
        if (at[FNN_COLUMN_GRAD_SRC] < 0) {
            number--;
        } else if (FN(shares_columns)(at, batch->rows, batch->team, true)) {
            number -= FN(dense_together)(m, batch, number, true);
        } else if (at[FNN_COLUMN_KIND] == FNN_KIND_DENSE) {
            number -= FN(dense_backward)(m, number, first, rows);
        } else if (at[FNN_COLUMN_KIND] == FNN_KIND_DROPOUT) {
            FN(dropout_backward)(m, batch, at);
            number--;
        } else {
            FN(operate_rows)(&calls[FNN_SLOT_BACKWARD], first, rows, batch->rows);
            number--;
        }
    }
}

#endif
