/* The public programs and the scan of data: checks, then a team of threads. */
#ifndef OP

#include "internal.h"

static bool known_dtype(int32_t code)
{
    return code >= FNN_BOOL && code <= FNN_FLOAT64;
}

/* What an update must have. */
static int check_update(const fnn_program *p)
{
    if (p->optimizer == NULL || p->scalars == NULL || p->counters == NULL) {
        return FNN_NULL;
    }
    const int64_t code = p->optimizer[FNN_OPTIMIZER_ENTRY_CODE], clip = p->optimizer[FNN_OPTIMIZER_ENTRY_CLIP];
    if (code < 0 || code >= FNN_OPTIMIZER_COUNT || clip < FNN_CLIP_NONE || clip > FNN_CLIP_GLOBAL_NORM) {
        return FNN_BAD_CODE;
    }
    for (int slot = 0; slot < fnn_slots((int32_t)code); slot++) {
        if (p->slots[slot] == NULL) {
            return FNN_NULL;
        }
    }
    return FNN_OK;
}

/* What a call of an instruction must have. */
static int check_call(const fnn_call *call)
{
    const int32_t code = call->code, family = call->family;
    const bool activation = family == FNN_FAMILY_ACTIVATION_FORWARD || family == FNN_FAMILY_ACTIVATION_BACKWARD;
    const bool row_wise = family == FNN_FAMILY_ROW_WISE_FORWARD || family == FNN_FAMILY_ROW_WISE_BACKWARD;
    const bool binary = family == FNN_FAMILY_BINARY || family == FNN_FAMILY_BINARY_BACKWARD;
    const int32_t binaries = family == FNN_FAMILY_BINARY ? FNN_BINARY_COUNT : FNN_BINARY_GRADIENT_COUNT;
    const bool loss = family == FNN_FAMILY_LOSS_FORWARD || family == FNN_FAMILY_LOSS_BACKWARD;
    if (family >= FNN_FAMILY_COUNT || (loss && (code < 0 || code >= FNN_LOGITS)) || (activation && (code < 0 || code >= FNN_ACTIVATION_COUNT)) ||
        (row_wise && (code < 0 || code >= FNN_ROW_WISE_COUNT)) || (binary && (code < 0 || code >= binaries))) {
        return FNN_BAD_CODE;
    }
    return call->array[0] == NULL || (call->array[1] == NULL && family != FNN_FAMILY_FILL) ? FNN_NULL : call->n < 0 ? FNN_BAD_SIZE : FNN_OK;
}

/* What running the instructions must have. */
static int check_instructions(const fnn_program *p)
{
    if (p->calls == NULL || p->gradients == NULL) {
        return FNN_NULL;
    }
    for (int64_t index = 0; index < p->instruction_count; index++) {
        const int64_t kind = p->instructions[index * FNN_COLUMN_WIDTH + FNN_COLUMN_KIND];
        const fnn_call *calls = p->calls + index * FNN_SLOT_WIDTH;
        if (kind < FNN_KIND_DENSE || kind > FNN_KIND_RANDOM) {
            return FNN_BAD_CODE;
        }
        if (kind == FNN_KIND_RANDOM && p->counters == NULL) {
            return FNN_NULL;
        }
        for (int slot = 0; slot < FNN_SLOT_WIDTH; slot++) {
            const int status = calls[slot].family < 0 ? FNN_OK : check_call(&calls[slot]);
            if (status != FNN_OK) {
                return status;
            }
        }
    }
    return FNN_OK;
}

/* What reading the inputs must have. */
static int check_inputs(const fnn_program *p, const fnn_data *d)
{
    if (d == NULL || d->arrays == NULL || p->inputs == NULL || p->workspace == NULL) {
        return FNN_NULL;
    }
    for (int64_t index = 0; index < p->input_count; index++) {
        if (d->arrays[index].data == NULL || !known_dtype(d->arrays[index].code)) {
            return d->arrays[index].data == NULL ? FNN_NULL : FNN_BAD_CODE;
        }
    }
    return d->rows < 0 || p->input_count < 1 ? FNN_BAD_SIZE : FNN_OK;
}

/* What one loss must have. */
static int check_loss(const fnn_program *p, const fnn_data *d, int64_t index)
{
    const int64_t code = p->loss[index * FNN_LOSS_ENTRY_WIDTH + FNN_LOSS_ENTRY_CODE];
    const fnn_array *y = d->arrays + p->input_count + index;
    return y->data == NULL ? FNN_NULL : !known_dtype(y->code) || code < 0 || code >= FNN_LOSS_COUNT ? FNN_BAD_CODE : FNN_OK;
}

/* What steps first ... last - 1 must have, beside the inputs. */
static int check_steps(const fnn_run *run)
{
    const fnn_program *p = run->program;
    const fnn_data *d = run->data;
    if (p->loss == NULL || p->losses == NULL || p->row_values == NULL || p->row_scales == NULL || p->row_weights == NULL ||
        p->counters == NULL || run->sums == NULL) {
        return FNN_NULL;
    }
    for (int64_t index = 0; index < p->loss_count; index++) {
        const int status = check_loss(p, d, index);
        if (status != FNN_OK) {
            return status;
        }
    }
    for (int64_t index = 0; index < 2 * p->loss_count + p->metric_count; index++) {
        const int status = p->losses[index].family < 0 ? FNN_OK : check_call(&p->losses[index]);
        if (status != FNN_OK) {
            return status;
        }
    }
    if (d->batch < 1 || fnn_least(d->batch, d->rows) > p->capacity || run->first < 0 ||
        (run->last > run->first && (run->last - 1) * d->batch >= d->rows)) {
        return FNN_BAD_SIZE;
    }
    return FNN_OK;
}

/* Whether a parameter has several uses, whose gradients need a vector each. */
static bool has_uses(const fnn_program *p)
{
    for (int64_t index = 0; index < p->parameter_count; index++) {
        if (p->parameters[index * FNN_PARAMETER_WIDTH + FNN_PARAMETER_NEXT] >= 0) {
            return true;
        }
    }
    return false;
}

/* The predictions that a call wants. */
static int check_outs(const fnn_run *run, int32_t threads)
{
    const fnn_program *p = run->program;
    if (run->outs == NULL || p->outputs == NULL) {
        return FNN_NULL;
    }
    for (int64_t index = 0; index < p->output_count; index++) {
        if (run->outs[index] == NULL) {
            return FNN_NULL;
        }
    }
    return p->forward_rows >= 1 && p->capacity >= (int64_t)FNN_ROW_BLOCK * threads ? FNN_OK : FNN_BAD_SIZE;
}

/* What a program must have before it may touch memory. */
static int check_program(const fnn_run *run, int32_t threads)
{
    const fnn_program *p = run->program;
    if (p == NULL || p->parameters == NULL || p->theta == NULL || p->constants == NULL || p->instructions == NULL) {
        return FNN_NULL;
    }
    const bool updates = run->mode == FNN_MODE_STEPS || run->mode == FNN_MODE_UPDATE;
    int status = updates ? check_update(p) : FNN_OK;
    if (status != FNN_OK) {
        return status;
    }
    if (run->mode != FNN_MODE_UPDATE && (p->scratch == NULL || p->scratch_threads < threads)) {
        return p->scratch == NULL ? FNN_NULL : FNN_BAD_SIZE;
    }
    const bool uses = (run->mode == FNN_MODE_STEPS || run->mode == FNN_MODE_GRADIENT) && has_uses(p);
    const bool whole = run->mode != FNN_MODE_STEPS ? updates || run->mode == FNN_MODE_GRADIENT : fnn_clips_norms(p);
    if (((uses || whole) && p->gradient == NULL) || (uses && p->addend == NULL)) {
        return FNN_NULL;
    }
    if (updates && fnn_clips_norms(p) && p->norms == NULL) {
        return FNN_NULL;
    }
    if (run->mode == FNN_MODE_UPDATE) {
        return FNN_OK;
    }
    status = check_inputs(p, run->data);
    status = status != FNN_OK ? status : check_instructions(p);
    if (status != FNN_OK) {
        return status;
    }
    return run->mode == FNN_MODE_FORWARD ? check_outs(run, threads) : check_steps(run);
}

#define FNN_FILE "programs.c"
#include "dtypes.h"

#else

static int OP(program)(fnn_run *run, int32_t threads)
{
    const int32_t team = threads > 1 ? threads : 1;
    const int status = check_program(run, team);
    if (status == FNN_OK) {
        fnn_launch(OP(workers)()->work, run, team);
    }
    return status;
}

int OP(run_steps)(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
                  int64_t *taken, const double *rates, int32_t stop, int32_t threads)
{
    fnn_run run = {
        .mode = FNN_MODE_STEPS, .program = program, .data = data, .first = first, .last = last, .sums = sums,
        .taken = taken, .rates = rates, .stop = stop != 0,
    };
    return OP(program)(&run, threads);
}

int OP(gradient)(const fnn_program *program, const fnn_data *data, double *sums, int32_t threads)
{
    fnn_run run = {.mode = FNN_MODE_GRADIENT, .program = program, .data = data, .first = 0, .last = 1, .sums = sums};
    return OP(program)(&run, threads);
}

int OP(update)(const fnn_program *program, int32_t threads)
{
    fnn_run run = {.mode = FNN_MODE_UPDATE, .program = program};
    return OP(program)(&run, threads);
}

int OP(score)(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
              int32_t threads)
{
    fnn_run run = {
        .mode = FNN_MODE_SCORE, .program = program, .data = data, .first = first, .last = last, .sums = sums,
    };
    return OP(program)(&run, threads);
}

int OP(forward)(const fnn_program *program, const fnn_data *data, void *const *outs, int64_t first, int32_t threads)
{
    fnn_run run = {.mode = FNN_MODE_FORWARD, .program = program, .data = data, .first = first, .outs = outs};
    return OP(program)(&run, threads);
}

int OP(find_nonfinite)(int64_t *indices, const void *x_bi, int64_t row_bytes, int64_t b, int64_t i, double largest,
                       int32_t threads)
{
    if (indices == NULL || x_bi == NULL) {
        return FNN_NULL;
    }
    if (b < 0 || i < 0 || threads < 1) {
        return FNN_BAD_SIZE;
    }
    for (int32_t member = 0; member < threads; member++) {
        indices[member] = -1;
    }
    fnn_scan scan = {
        .x = x_bi, .row_bytes = row_bytes, .rows = b, .columns = i, .largest = largest, .indices = indices,
    };
    fnn_launch_shares(OP(workers)()->scan, &scan, threads);
    return FNN_OK;
}

#endif
