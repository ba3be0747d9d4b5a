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

/* A member's rows of an array to rows of the workspace `apart` elements apart, of which the first is at `to`,
 * converted. */
INLINE void FN(gather_array)(const fnn_member *m, const fnn_array *array, real *to, int64_t apart, int64_t width,
                             int64_t first, int64_t last, int64_t batch_start)
{
    const int64_t *order = m->data->order;
    const fnn_array from = *array; /* a row that is written may be anything to the compiler */
    if (width == 1) {
        FN(gather_column)(from.code, to, apart, from.data, from.row, order, batch_start + first, batch_start + last);
        return;
    }
    for (int64_t row = batch_start + first; row < batch_start + last; row++) {
        const int64_t source = order != NULL ? order[row] : row;
        FN(gather_row)(from.code, to, (const char *)from.data + source * from.row, width, from.element);
        to += apart;
    }
}

/* A member's weights of a loss. */
INLINE void FN(gather_weights)(const fnn_member *m, int64_t loss, int64_t first, int64_t last, int64_t batch_start)
{
    const int64_t *order = m->data->order;
    const real *given = FN(weights)(m, loss)->data;
    real *weights = (real *)m->program->row_weights + loss * m->program->capacity;
    for (int64_t row = first; given != NULL && row < last; row++) {
        weights[row] = given[order != NULL ? order[batch_start + row] : batch_start + row];
    }
}

/* A member's rows of the batch into the workspace, converted. */
KERNEL void FN(gather)(const fnn_member *m, int64_t first, int64_t last, int64_t batch_start, bool with_targets)
{
    const fnn_program *program = m->program;
    for (int64_t index = 0; index < program->input_count; index++) {
        const int64_t *op = FN(input)(program, index), whole = op[FNN_INPUT_ENTRY_WHOLE];
        real *to = FN(buffer)(program, op[FNN_INPUT_ENTRY_UNIT], whole, first) + op[FNN_INPUT_ENTRY_OFFSET];
        FN(gather_array)(m, m->data->arrays + index, to, fnn_padded(whole), op[FNN_INPUT_ENTRY_COLUMNS], first, last,
                         batch_start);
    }
    for (int64_t index = 0; with_targets && index < program->loss_count; index++) {
        const int64_t *op = FN(loss)(program, index), width = op[FNN_LOSS_ENTRY_TARGETS];
        real *to = FN(buffer)(program, op[FNN_LOSS_ENTRY_TARGET], width, first);
        FN(gather_array)(m, FN(targets)(m, index), to, fnn_padded(width), width, first, last, batch_start);
        FN(gather_weights)(m, index, first, last, batch_start);
    }
}

/* An instruction's operations on all rows of the batch, of which each member takes columns. */
INLINE void FN(columns_together)(const fnn_member *m, const fnn_batch *batch, const fnn_call *calls, int slot, int end)
{
    fnn_barrier(m->sync, batch->team);
    for (; slot < end; slot++) {
        if (calls[slot].family >= 0) {
            FN(operate_columns)(&calls[slot], batch->rows, m->index, batch->team);
        }
    }
    fnn_barrier(m->sync, batch->team);
}

/* A member's rows of a RANDOM. */
INLINE void FN(random_forward)(const fnn_member *m, const fnn_batch *batch, const int64_t *op)
{
    const int64_t width = op[FNN_COLUMN_OUTPUTS];
    const fnn_draw draw = fnn_draw_of(m->program, op);
    FN(uniform_rows)(FN(buffer)(m->program, op[FNN_COLUMN_DST], width, batch->first), fnn_padded(width),
                     batch->start + batch->first, batch->start + batch->last, width, &draw);
}

/* The instructions in order from `index`, for a member's rows. */
KERNEL void FN(forward)(const fnn_member *m, const fnn_batch *batch, int64_t index)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, rows = batch->last - first;
    while (index < program->instruction_count) {
        const int64_t *op = FN(instruction)(program, index), inputs = op[FNN_COLUMN_INPUTS];
        const fnn_call *calls = FN(calls)(program, index);
        if (FN(shares_columns)(op, batch->rows, batch->team, batch->training)) {
            index += FN(dense_together)(m, batch, index, false);
            continue;
        }
        if (op[FNN_COLUMN_KIND] == FNN_KIND_DENSE) {
            const real *src = FN(buffer)(program, op[FNN_COLUMN_SRC], inputs, first);
            index += FN(dense_forward)(m, index, first, src, fnn_padded(inputs), rows, 0);
            continue;
        }
        index++;
        if (op[FNN_COLUMN_KIND] == FNN_KIND_DROPOUT) {
            FN(dropout_forward)(m, batch, op);
            continue;
        }
        if (op[FNN_COLUMN_KIND] == FNN_KIND_RANDOM) {
            FN(random_forward)(m, batch, op);
            continue;
        }
        if (batch->training && calls[FNN_SLOT_FORWARD_COLUMNS].family >= 0) {
            FN(columns_together)(m, batch, calls, FNN_SLOT_FORWARD_COLUMNS, FNN_SLOT_INFERENCE_COLUMNS);
        }
        const fnn_call *call = &calls[batch->training ? FNN_SLOT_FORWARD : FNN_SLOT_INFERENCE];
        if (call->family >= 0 && !(batch->with_loss && op[FNN_COLUMN_FUSED] == FNN_FUSED_BOTH)) {
            FN(operate_rows)(call, first, rows, batch->rows);
        }
    }
}

/* Values of the losses and of the metrics for a member's rows. */
KERNEL void FN(losses)(const fnn_member *m, const fnn_batch *batch)
{
    const int64_t pairs = 2 * m->program->loss_count;
    for (int64_t index = 1; index < pairs + m->program->metric_count; index += index < pairs - 1 ? 2 : 1) {
        const fnn_call *call = &m->program->losses[index];
        if (call->family >= 0) {
            FN(operate_losses)(call, batch->first, batch->last - batch->first);
        }
    }
}

/* The gradients of the mean losses by what they read, for a member's rows. */
KERNEL void FN(loss_gradients)(const fnn_member *m, const fnn_batch *batch)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, rows = batch->last - first;
    for (int64_t index = 0; index < program->loss_count; index++) {
        const int64_t *loss = FN(loss)(program, index), place = index * program->capacity + first;
        double share = 1.0 / (double)batch->rows;
        if (loss[FNN_LOSS_ENTRY_MEAN]) {
            share = share / (double)loss[FNN_LOSS_ENTRY_OUTPUTS];
        }
        share *= program->constants[loss[FNN_LOSS_ENTRY_WEIGHT]];
        FN(row_scale)((real *)program->row_scales + place, (real *)program->row_weights + place, rows, (real)share);
        FN(operate_losses)(&program->losses[2 * index], first, rows);
    }
}

/* The gradients of all activations for a member's rows. */
KERNEL void FN(backward)(const fnn_member *m, const fnn_batch *batch)
{
    const int64_t first = batch->first, rows = batch->last - first;
    int64_t index = m->program->instruction_count - 1;
    while (index >= 0) {
        const int64_t *op = FN(instruction)(m->program, index);
        const fnn_call *calls = FN(calls)(m->program, index);
        if (op[FNN_COLUMN_GRAD_DST] >= 0 && calls[FNN_SLOT_BACKWARD_COLUMNS].family >= 0) {
            FN(columns_together)(m, batch, calls, FNN_SLOT_BACKWARD_COLUMNS, FNN_SLOT_WIDTH);
        }
        if (op[FNN_COLUMN_GRAD_SRC] < 0 && op[FNN_COLUMN_GRAD_SECOND] < 0) {
            index--;
        } else if (FN(shares_columns)(op, batch->rows, batch->team, true)) {
            index -= FN(dense_together)(m, batch, index, true);
        } else if (op[FNN_COLUMN_KIND] == FNN_KIND_DENSE) {
            index -= FN(dense_backward)(m, index, first, rows);
        } else if (op[FNN_COLUMN_KIND] == FNN_KIND_DROPOUT) {
            FN(dropout_backward)(m, batch, op);
            index--;
        } else {
            FN(operate_rows)(&calls[FNN_SLOT_BACKWARD], first, rows, batch->rows);
            if (calls[FNN_SLOT_BACKWARD + 1].family >= 0) {
                FN(operate_rows)(&calls[FNN_SLOT_BACKWARD + 1], first, rows, batch->rows);
            }
            index--;
        }
    }
}

#endif
