/* A DROPOUT in the row phase: elements by the random numbers of philox.c; masks are kept for the backward pass. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "dropout.c"
#include "levels.h"

#else

/* Where the masks of a row are, 64 elements a word, and how many words apart; or NULL, where no derivative reads them. */
INLINE uint64_t *FN(masks_of)(const fnn_program *program, const int64_t *op, int64_t row, int64_t *ldm)
{
    const int64_t reals = (int64_t)(sizeof(uint64_t) / sizeof(real)), unit = op[FNN_COLUMN_SAVED];
    const int64_t width = (op[FNN_COLUMN_OUTPUTS] + 63) / 64 * reals;
    *ldm = fnn_padded(width) / reals;
    return unit < 0 ? NULL : (uint64_t *)(void *)FN(buffer)(program, unit, width, row);
}

/* A member's rows: out of training a copy. Masks are left where a derivative reads them. */
KERNEL void FN(dropout_forward)(const fnn_member *m, const fnn_batch *batch, const int64_t *op)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, width = op[FNN_COLUMN_OUTPUTS], ld = fnn_padded(width);
    real *dst = FN(buffer)(program, op[FNN_COLUMN_DST], width, first);
    const real *src = FN(buffer)(program, op[FNN_COLUMN_SRC], width, first);
    if (!batch->training) {
        memcpy(dst, src, (size_t)((batch->last - first) * ld) * sizeof(real));
        return;
    }
    int64_t ldm;
    uint64_t *masks = FN(masks_of)(program, op, first, &ldm);
    const fnn_draw draw = fnn_draw_of(program, op);
    FN(dropout_rows)(dst, ld, src, ld, masks, ldm, first, batch->last, width,
                     program->constants[op[FNN_COLUMN_CONSTANT]], &draw);
}

/* The gradient of a member's rows, by the masks that `dropout_forward` left. */
KERNEL void FN(dropout_backward)(const fnn_member *m, const fnn_batch *batch, const int64_t *op)
{
    const fnn_program *program = m->program;
    const int64_t first = batch->first, width = op[FNN_COLUMN_OUTPUTS], ld = fnn_padded(width);
    int64_t ldm;
    const uint64_t *masks = FN(masks_of)(program, op, first, &ldm);
    FN(dropout_again)(FN(buffer)(program, op[FNN_COLUMN_GRAD_SRC], width, first), ld,
                      FN(buffer)(program, op[FNN_COLUMN_GRAD_DST], width, first), ld, masks, ldm, batch->last - first,
                      width, program->constants[op[FNN_COLUMN_CONSTANT]]);
}

#endif
