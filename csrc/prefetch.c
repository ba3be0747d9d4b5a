/* Samples of the first input from memory before a step gathers them. An epoch's order is random, and rows of few lines are too short for
 * the processor to foresee: without this a small network waits for them a fifth of its time.
 */
#include "internal.h"

void fnn_expect(fnn_expected *expected, const fnn_member *m, int64_t batch_start)
{
    const fnn_data *data = m->data;
    const fnn_array *x = data->arrays, *y = x + m->program->input_count;
    const int64_t bytes = m->program->inputs[FNN_INPUT_ENTRY_COLUMNS] * x->element;
    int64_t first, last;
    fnn_share(fnn_least(data->batch, data->rows - batch_start), FNN_ROW_BLOCK, m->index, m->team, &first, &last);
    expected->left = 0;
    if (data->order != NULL && bytes > 0 && bytes <= FNN_SAMPLE_BYTES && (last - first) * bytes <= FNN_L2_BYTES) {
        *expected = (fnn_expected){
            .order = data->order + batch_start + first, .left = last - first,
            .burst = fnn_greatest(FNN_SAMPLE_LINES / (bytes / 64 + 2), 1), .x = x->data, .y = y->data,
            .x_row = x->row, .y_row = y->row, .x_bytes = bytes,
        };
    }
}

void fnn_ask(fnn_expected *expected)
{
    const int64_t count = fnn_least(expected->burst, expected->left);
    for (int64_t i = 0; i < count; i++) {
        const char *x = expected->x + expected->order[i] * expected->x_row;
        for (int64_t byte = 0; byte < expected->x_bytes; byte += 64) {
            __builtin_prefetch(x + byte, 0, 2);
        }
        __builtin_prefetch(x + expected->x_bytes - 1, 0, 2); /* rows begin anywhere in a line */
        __builtin_prefetch(expected->y + expected->order[i] * expected->y_row, 0, 2);
    }
    expected->order += count;
    expected->left -= count;
}
