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

/* Whether a team shares a DENSE of a batch of so many rows by the columns of its W. */
KERNEL bool FN(shares_columns)(const int64_t *op, int64_t rows, int64_t team, bool training)
{
    const int64_t inputs = op[FNN_COLUMN_INPUTS], outputs = op[FNN_COLUMN_OUTPUTS], elements = inputs * outputs;
    return team > 1 && op[FNN_COLUMN_KIND] == FNN_KIND_DENSE && rows > 0 &&
           FNN_MOVE_COST * rows * (inputs + outputs) <= elements &&
           elements * (int64_t)sizeof(real) >
               (training && rows >= FNN_SHARED_ROWS ? FNN_SHARED_BYTES : FNN_SHARED_LARGE_BYTES);
}

INLINE bool FN(is_relu)(const int64_t *op)
{
    return op[FNN_COLUMN_KIND] == FNN_KIND_ACTIVATION && op[FNN_COLUMN_CODE] == FNN_ACTIVATION_relu;
}

/* Whether a DENSE is followed by a relu in place, which its product does, too. */
INLINE bool FN(has_relu)(const fnn_program *program, int64_t index)
{
    const int64_t *op = FN(instruction)(program, index), *next = op + FNN_COLUMN_WIDTH;
    return index + 1 < program->instruction_count && FN(is_relu)(next) &&
           next[FNN_COLUMN_DST] == op[FNN_COLUMN_DST] && next[FNN_COLUMN_OFFSET] == op[FNN_COLUMN_OFFSET];
}

/* Columns of a DENSE of rows that lie at src, and of its relu or not, into rows of the workspace from `first`. */
INLINE void FN(forward_columns)(const fnn_member *m, int64_t index, int64_t first, const real *src, int64_t ld_src,
                                int64_t rows, int64_t column, int64_t columns, bool relu, int flags)
{
    const int64_t *op = FN(instruction)(m->program, index);
    const int64_t outputs = op[FNN_COLUMN_OUTPUTS], bias = op[FNN_COLUMN_BIAS], whole = op[FNN_COLUMN_WHOLE];
    const real *theta = m->program->theta;
    real *dst = FN(buffer)(m->program, op[FNN_COLUMN_DST], whole, first) + op[FNN_COLUMN_OFFSET] + column;
    flags |= (bias >= 0 ? FNN_BIAS : 0) | (relu ? FNN_RELU : 0);
    FN(gemm)(&(FN(product)){
        .C = dst, .ldc = fnn_padded(whole), .A = src, .a_row = ld_src, .a_k = 1,
        .B = theta + op[FNN_COLUMN_KERNEL] + column, .ldb = outputs, .n = columns, .k = op[FNN_COLUMN_INPUTS],
        .epilogue = bias >= 0 ? theta + bias + column : NULL, .flags = flags,
    }, rows, m->scratch);
}

/* A DENSE, and the relu behind it, of rows that lie at src, into rows of the workspace from `first`. Returns how many
 * instructions that is. */
KERNEL int64_t FN(dense_forward)(const fnn_member *m, int64_t index, int64_t first, const real *src, int64_t ld_src,
                                 int64_t rows, int flags)
{
    const int64_t outputs = FN(instruction)(m->program, index)[FNN_COLUMN_OUTPUTS];
    const bool relu = FN(has_relu)(m->program, index);
    FN(forward_columns)(m, index, first, src, ld_src, rows, 0, outputs, relu, flags);
    return relu ? 2 : 1;
}

/* Whether the gradient of a DENSE's source for so many rows makes that of a relu before it in place, too. */
INLINE bool FN(has_slope)(const fnn_program *program, int64_t index, int64_t rows)
{
    const int64_t *op = FN(instruction)(program, index), *before = op - FNN_COLUMN_WIDTH;
    return index > 0 && FN(is_relu)(before) && before[FNN_COLUMN_GRAD_SRC] == op[FNN_COLUMN_GRAD_SRC] &&
           before[FNN_COLUMN_GRAD_OFFSET] == op[FNN_COLUMN_GRAD_FIRST] &&
           before[FNN_COLUMN_INPUTS] == op[FNN_COLUMN_GRAD_COLUMNS] &&
           FN(takes_slope)(rows, op[FNN_COLUMN_GRAD_COLUMNS], op[FNN_COLUMN_OUTPUTS]);
}

/* Columns of the gradient of a DENSE's source, of those that are wanted, with the slope of the relu before it or not,
 * for `rows` rows of the workspace from `first`. */
INLINE void FN(backward_columns)(const fnn_member *m, int64_t index, int64_t first, int64_t rows, int64_t column,
                                 int64_t columns, bool slope)
{
    const int64_t *op = FN(instruction)(m->program, index);
    const int64_t inputs = op[FNN_COLUMN_INPUTS], outputs = op[FNN_COLUMN_OUTPUTS], whole = op[FNN_COLUMN_GRAD_WHOLE];
    const real *dZ = FN(buffer)(m->program, op[FNN_COLUMN_GRAD_DST], whole, first) + op[FNN_COLUMN_GRAD_OFFSET];
    const real *kernel = (const real *)m->program->theta + op[FNN_COLUMN_KERNEL], *output = NULL;
    if (slope) {
        output = FN(buffer)(m->program, (op - FNN_COLUMN_WIDTH)[FNN_COLUMN_SAVED], inputs, first) + column;
    }
    FN(gemm)(&(FN(product)){
        .C = FN(buffer)(m->program, op[FNN_COLUMN_GRAD_SRC], inputs, first) + column, .ldc = fnn_padded(inputs),
        .A = dZ, .a_row = fnn_padded(whole), .a_k = 1, .B = kernel + column * outputs, .ldb = outputs, .n = columns,
        .k = outputs, .epilogue = output, .flags = FNN_TRANSPOSED | (slope ? FNN_SLOPE : 0),
    }, rows, m->scratch);
}

/* The gradient of a DENSE's source, and of the relu before it, for `rows` rows of the workspace from `first`. Returns
 * how many instructions that is. */
KERNEL int64_t FN(dense_backward)(const fnn_member *m, int64_t index, int64_t first, int64_t rows)
{
    const int64_t *op = FN(instruction)(m->program, index);
    const bool slope = FN(has_slope)(m->program, index, rows);
    FN(backward_columns)(m, index, first, rows, op[FNN_COLUMN_GRAD_FIRST], op[FNN_COLUMN_GRAD_COLUMNS], slope);
    return slope ? 2 : 1;
}

/* The width of the next piece of so many columns that are left: half of a member's part of them, so that the pieces get
 * smaller and all threads end together. */
INLINE int64_t FN(piece_columns)(int64_t left, int64_t team)
{
    const int64_t part = (left / (2 * team) + FNN_LEAST_PIECE - 1) / FNN_LEAST_PIECE * FNN_LEAST_PIECE;
    const int64_t width = fnn_least(fnn_greatest(part, FNN_LEAST_PIECE), FNN_MOST_PIECE);
    return left - width < FNN_LEAST_PIECE ? left : width;
}

/* `dense_forward` or `dense_backward` of a whole batch, of which each member takes columns, once all members have their
 * rows of what it reads. Returns what they return. */
KERNEL int64_t FN(dense_together)(const fnn_member *m, const fnn_batch *batch, int64_t index, bool backward)
{
    const int64_t *op = FN(instruction)(m->program, index), inputs = op[FNN_COLUMN_INPUTS];
    const int64_t columns = backward ? op[FNN_COLUMN_GRAD_COLUMNS] : op[FNN_COLUMN_OUTPUTS];
    const int64_t begin = backward ? op[FNN_COLUMN_GRAD_FIRST] : 0;
    const bool fused = backward ? FN(has_slope)(m->program, index, batch->rows) : FN(has_relu)(m->program, index);
    const real *src = FN(buffer)(m->program, op[FNN_COLUMN_SRC], inputs, 0);
    fnn_barrier(m->sync, batch->team);
    int64_t width, piece = 0, next = fnn_next_piece(m->sync);
    for (int64_t column = 0; column < columns; column += width) {
        width = FN(piece_columns)(columns - column, batch->team);
        if (piece++ != next) {
            continue;
        }
        if (backward) {
            FN(backward_columns)(m, index, 0, batch->rows, begin + column, width, fused);
        } else {
            FN(forward_columns)(m, index, 0, src, fnn_padded(inputs), batch->rows, column, width, fused, 0);
        }
        next = fnn_next_piece(m->sync);
    }
    fnn_barrier(m->sync, batch->team);
    return fused ? 2 : 1;
}

#endif
