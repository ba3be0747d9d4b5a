/* A DROPOUT in the row phase: elements by the random numbers of philox.c, whose masks are kept for the backward pass. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "dropout.c"
#include "levels.h"

#else

/* The words of 64 bits that a row's masks take, of which one is 64 elements; and where those of a row lie. */
INLINE int64_t FN(mask_stride)(const int64_t *at)
{
    const int64_t reals = (int64_t)(sizeof(uint64_t) / sizeof(real));
    return fnn_padded((at[FNN_COLUMN_OUTPUTS] + 63) / 64 * reals) / reals;
}

INLINE uint64_t *FN(masks)(const fnn_program *program, const int64_t *at, int64_t row)
{
    const int64_t width = (at[FNN_COLUMN_OUTPUTS] + 63) / 64 * (int64_t)(sizeof(uint64_t) / sizeof(real));
    return (uint64_t *)(void *)FN(buffer)(program, at[FNN_COLUMN_SAVED], width, row);
}

/* A member's rows: out of training a copy. Masks are left where a derivative reads them. */
KERNEL void FN(dropout_forward)(const fnn_member *m, const fnn_batch *batch, const int64_t *at)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, width = at[FNN_COLUMN_OUTPUTS], ld = fnn_padded(width);
    real *dst = FN(buffer)(program, at[FNN_COLUMN_DST], width, first);
    const real *src = FN(buffer)(program, at[FNN_COLUMN_SRC], width, first);
    if (!batch->training) {
        memcpy(dst, src, (size_t)((batch->last - first) * ld) * sizeof(real));
        return;
    }
    uint64_t *masks = at[FNN_COLUMN_SAVED] >= 0 ? FN(masks)(program, at, first) : NULL;
    FN(dropout_rows)(dst, ld, src, ld, masks, FN(mask_stride)(at), first, batch->last, width,
                     program->constants[at[FNN_COLUMN_CONSTANT]], program->counters[FNN_COUNTER_SEED],
                     program->counters[FNN_COUNTER_STEP], at[FNN_COLUMN_LAYER]);
}

/* The gradient of a member's rows, by the masks that `dropout_forward` left. */
KERNEL void FN(dropout_backward)(const fnn_member *m, const fnn_batch *batch, const int64_t *at)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, width = at[FNN_COLUMN_OUTPUTS], ld = fnn_padded(width);
    FN(dropout_again)(FN(buffer)(program, at[FNN_COLUMN_GRAD_SRC], width, first), ld,
                      FN(buffer)(program, at[FNN_COLUMN_GRAD_DST], width, first), ld, FN(masks)(program, at, first),
                      FN(mask_stride)(at), batch->last - first, width, program->constants[at[FNN_COLUMN_CONSTANT]]);
}

#endif
