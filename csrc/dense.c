/* A DENSE in the row phase: its product, with the relu behind it, and the gradient of its source, with the slope of the
 * relu before it.
 *
 * A thread does them for its rows of the batch. Where W is large beside the batch, each thread should read a part of it
 * rather than all of it: then a team shares them by the columns of W, or by its rows in the backward pass.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "dense.c"
#include "levels.h"

#else

KERNEL bool FN(shares_columns)(const int64_t *at, int64_t rows, bool training)
{
    const int64_t inputs = at[FNN_I_INPUTS], outputs = at[FNN_I_OUTPUTS], elements = inputs * outputs;
    return at[FNN_I_KIND] == FNN_KIND_DENSE && rows > 0 && FNN_MOVE_COST * rows * (inputs + outputs) <= elements &&
           elements * (int64_t)sizeof(real) >
               (training && rows >= FNN_SHARED_ROWS ? FNN_SHARED_BYTES : FNN_SHARED_LARGE_BYTES);
}

/* Whether a DENSE is followed by a relu in place, which its product does, too. */
INLINE bool FN(has_relu)(const fnn_program *program, int64_t number)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH, *next = at + FNN_I_WIDTH;
    return number + 1 < program->instruction_count && next[FNN_I_KIND] == FNN_KIND_ACTIVATION &&
           next[FNN_I_CODE] == FNN_ACTIVATION_relu && next[FNN_I_DST] == at[FNN_I_DST];
}

/* Columns of a DENSE of rows that lie at src, and of its relu or not, into rows of the workspace from `first`. */
INLINE void FN(forward_columns)(const fnn_program *program, int64_t number, int64_t first, const real *src,
                                int64_t ld_src, int64_t rows, int64_t column, int64_t columns, bool relu, int flags,
                                real *pack)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH;
    const int64_t outputs = at[FNN_I_OUTPUTS], bias = at[FNN_I_BIAS];
    const real *theta = program->theta;
    flags |= (bias >= 0 ? FNN_BIAS : 0) | (relu ? FNN_RELU : 0);
    FN(gemm)(FN(buffer)(program, at[FNN_I_DST], outputs, first) + column, fnn_padded(outputs), src, ld_src, 1,
             theta + at[FNN_I_KERNEL] + column, outputs, rows, columns, at[FNN_I_INPUTS],
             bias >= 0 ? theta + bias + column : NULL, flags, pack);
}

KERNEL int64_t FN(dense)(const fnn_program *program, int64_t number, int64_t first, const real *src, int64_t ld_src,
                         int64_t rows, int flags, real *pack)
{
    const bool relu = FN(has_relu)(program, number);
    const int64_t outputs = program->instructions[number * FNN_I_WIDTH + FNN_I_OUTPUTS];
    FN(forward_columns)(program, number, first, src, ld_src, rows, 0, outputs, relu, flags, pack);
    return number + (relu ? 2 : 1);
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
INLINE void FN(backward_columns)(const fnn_program *program, int64_t number, int64_t first, int64_t rows,
                                 int64_t column, int64_t columns, bool slope, real *pack)
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

KERNEL int64_t FN(dense_backward)(const fnn_program *program, int64_t number, int64_t first, int64_t rows, real *pack)
{
    const bool slope = FN(has_slope)(program, number, rows);
    const int64_t inputs = program->instructions[number * FNN_I_WIDTH + FNN_I_INPUTS];
    FN(backward_columns)(program, number, first, rows, 0, inputs, slope, pack);
    return number - (slope ? 2 : 1);
}

/* The width of the next piece of so many columns that are left: half of a member's part of them, so that the pieces get
 * smaller and all threads end together. */
INLINE int64_t FN(piece_columns)(int64_t left, int64_t team)
{
    const int64_t part = (left / (2 * team) + FNN_LEAST_PIECE - 1) / FNN_LEAST_PIECE * FNN_LEAST_PIECE;
    const int64_t width = fnn_least(fnn_greatest(part, FNN_LEAST_PIECE), FNN_MOST_PIECE);
    return left - width < FNN_LEAST_PIECE ? left : width;
}

KERNEL int64_t FN(dense_together)(const fnn_program *program, fnn_sync *sync, int64_t number, int64_t batch_rows,
                                  bool backward, int64_t member, int64_t team)
{
    const int64_t *at = program->instructions + number * FNN_I_WIDTH, inputs = at[FNN_I_INPUTS];
    const int64_t columns = backward ? inputs : at[FNN_I_OUTPUTS];
    const bool fused = backward ? FN(has_slope)(program, number, batch_rows) : FN(has_relu)(program, number);
    const real *src = FN(buffer)(program, at[FNN_I_SRC], inputs, 0);
    real *pack = FN(pack)(program, member);
    fnn_barrier(sync, team);
    int64_t width, piece = 0, next = fnn_next_piece(sync);
    for (int64_t column = 0; column < columns; column += width) {
        width = FN(piece_columns)(columns - column, team);
        if (piece++ != next) {
            continue;
        }
        if (backward) {
            FN(backward_columns)(program, number, 0, batch_rows, column, width, fused, pack);
        } else {
            FN(forward_columns)(program, number, 0, src, fnn_padded(inputs), batch_rows, column, width, fused, 0, pack);
        }
        next = fnn_next_piece(sync);
    }
    fnn_barrier(sync, team);
    return number + (fused ? 2 : 1) * (backward ? -1 : 1);
}

#endif
