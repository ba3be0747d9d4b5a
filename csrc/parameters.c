/* The parameter phase of a step: the gradients of some rows of every W, which stay in cache, and the optimizer. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "parameters.c"
#include "levels.h"

#else

/* The gradient of a vector's elements first ... first + n - 1. */
INLINE void FN(vector_gradient)(const fnn_program *program, int64_t index, real *gradient, int64_t first, int64_t n,
                                int64_t batch_rows)
{
    const int64_t made = FN(parameter)(program, index)[FNN_PARAMETER_MADE];
    if (made >= 0) { /* by the row phase */
        memcpy(gradient, (const real *)program->workspace + made + first, (size_t)n * sizeof(real));
    } else {
        FN(sum_batch)(&program->gradients[index], gradient, first, n, batch_rows);
    }
}

/* What follows the gradient of a block of a parameter: its penalty's share, the optimizer. */
INLINE void FN(finish_block)(const fnn_member *m, const int64_t *row, int64_t first, int64_t rows, int64_t column,
                             int64_t columns, real *gradient, int64_t ld, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t all = row[FNN_PARAMETER_COLUMNS];
    const int64_t runs = columns == all ? 1 : rows, length = columns == all ? rows * columns : columns;
    const int64_t ahead = columns == all ? FNN_STEP_PREFETCH_BYTES : all * (int64_t)sizeof(real);
    fnn_lap(m, FNN_PHASE_BACKWARD);
    for (int64_t run = 0; run < runs; run++) {
        const int64_t place = row[FNN_PARAMETER_OFFSET] + (first + run) * all + column;
        real *g = gradient + run * ld;
        if (row[FNN_PARAMETER_PENALTY] >= 0) {
            const double *l = program->constants + row[FNN_PARAMETER_PENALTY];
            FN(penalty_backward)(g, (const real *)program->theta + place, length, (real)(m->share * l[0]),
                                 (real)(m->share * (2.0 * l[1])));
        }
        if (s != NULL) {
            FN(update_range)(program, place, length, ahead, g, 1.0, FN(decay_of)(row, s), s);
        }
    }
    fnn_lap(m, s != NULL ? FNN_PHASE_UPDATE : FNN_PHASE_BACKWARD);
}

/* The bytes from theta to a slot, or 0 where there is none. */
INLINE int64_t FN(from_theta)(const fnn_program *program, const void *slot)
{
    return slot != NULL ? (int64_t)((intptr_t)slot - (intptr_t)program->theta) : 0;
}

/* The columns of a W of which the buffer holds all rows of dZ packed, or 0. */
INLINE int64_t FN(block_columns)(int64_t batch_rows)
{
    return fnn_packed_columns((batch_rows + FNN_K_CHUNK - 1) / FNN_K_CHUNK, sizeof(real));
}

/* All rows of some columns of dZ in panels, a chunk behind the other. */
INLINE void FN(pack_rows)(const fnn_member *m, const real *dZ, int64_t ldz, int64_t column, int64_t columns,
                          int64_t block, int64_t batch_rows)
{
    for (int64_t k = 0; k < batch_rows; k += FNN_K_CHUNK) {
        FN(pack_panels)((real *)m->scratch + k * block, dZ + k * ldz + column, ldz, columns,
                        fnn_least(FNN_K_CHUNK, batch_rows - k));
    }
}

/* The gradient of some rows of a block of columns whose dZ is packed; the first chunk asks for the parameters that the
 * optimizer wants, from an address that is not NULL. */
INLINE void FN(packed_gradient)(const fnn_member *m, real *gradient, int64_t ld, const real *X, int64_t ldx,
                                int64_t block, int64_t rows, int64_t columns, int64_t batch_rows, const real *prefetch,
                                int64_t prefetch_row)
{
    const fnn_program *program = m->program;
    const int64_t slot_0 = FN(from_theta)(program, program->slots[0]);
    const int64_t slot_1 = FN(from_theta)(program, program->slots[1]);
    for (int64_t k = 0; k < batch_rows; k += FNN_K_CHUNK) {
        const int64_t depth = fnn_least(FNN_K_CHUNK, batch_rows - k);
        FN(gemm_rows)(&(FN(product)){
            .C = gradient, .A = X + k * ldx, .B = (real *)m->scratch + k * block, .ldc = ld, .a_row = 1, .a_k = ldx,
            .ldb = 2 * W, .panel = 2 * W * depth, .n = columns, .k = depth,
            .flags = FNN_PACKED | (k > 0 ? FNN_ACCUMULATE : 0), .prefetch = (const char *)(k > 0 ? NULL : prefetch),
            .prefetch_row = prefetch_row, .slot_0 = slot_0, .slot_1 = slot_1,
        }, rows, m->scratch);
    }
}

/* The gradient of rows first ... last - 1 of columns from ... to - 1 of a W: X^T dZ, a block at a time, and what follows
 * it; without a step it is left in a vector. A large one has dZ packed, once if the buffer holds all of a block of
 * columns. */
INLINE void FN(kernel_phase)(const fnn_member *m, const int64_t *row, int64_t first, int64_t last, int64_t from,
                             int64_t to, int64_t batch_rows, real *vector, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t *op = FN(instruction)(program, row[FNN_PARAMETER_INSTRUCTION]);
    const int64_t width = row[FNN_PARAMETER_COLUMNS], inputs = op[FNN_COLUMN_INPUTS];
    const int64_t whole = op[FNN_COLUMN_GRAD_WHOLE], ldx = fnn_padded(inputs), ldz = fnn_padded(whole);
    const real *X = FN(buffer)(program, op[FNN_COLUMN_SRC], inputs, 0);
    const real *dZ = FN(buffer)(program, op[FNN_COLUMN_GRAD_DST], whole, 0) + op[FNN_COLUMN_GRAD_OFFSET];
    const bool packs = FN(packs_columns)(ldz, last - first, width, batch_rows);
    const int64_t packed = packs ? FN(block_columns)(batch_rows) : 0, block = packed > 0 ? packed : FNN_BLOCK_COLUMNS;
    for (int64_t column = from; column < to; column += block) {
        const int64_t columns = fnn_least(block, to - column);
        int64_t height = packs ? FNN_BLOCK_ROWS : FNN_GRADIENT_BLOCK / columns / FNN_ROW_BLOCK * FNN_ROW_BLOCK;
        if (packed > 0) {
            height = FNN_GRADIENT_ROWS;
            FN(pack_rows)(m, dZ, ldz, column, columns, block, batch_rows);
        }
        for (int64_t start = first; start < last; start += height) {
            const int64_t rows = fnn_least(height, last - start);
            const int64_t place = row[FNN_PARAMETER_OFFSET] + start * width + column;
            real *gradient = s != NULL ? (real *)m->scratch + FNN_PACK_SIZE : vector + place;
            const int64_t ld = s != NULL ? columns : width;
            if (packed > 0) {
                const real *prefetch = s != NULL ? (const real *)program->theta + place : NULL;
                FN(packed_gradient)(m, gradient, ld, X + start, ldx, block, rows, columns, batch_rows, prefetch,
                                    width * (int64_t)sizeof(real));
            } else {
                FN(gemm)(&(FN(product)){
                    .C = gradient, .ldc = ld, .A = X + start, .a_row = 1, .a_k = ldx, .B = dZ + column, .ldb = ldz,
                    .n = columns, .k = batch_rows,
                }, rows, m->scratch);
            }
            FN(finish_block)(m, row, start, rows, column, columns, gradient, ld, s);
        }
    }
}

/* Elements of all trainable parameters: the length of the line that a team shares. */
INLINE int64_t FN(trainable_size)(const fnn_program *program)
{
    int64_t total = 0;
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = FN(parameter)(program, index);
        total += row[FNN_PARAMETER_TRAINABLE] ? row[FNN_PARAMETER_ROWS] * row[FNN_PARAMETER_COLUMNS] : 0;
    }
    return total;
}

/* Which of n units of a parameter begins at a place behind its first element, in whole blocks. */
INLINE int64_t FN(cut)(int64_t place, int64_t n, int64_t unit)
{
    const int64_t units = (place / unit + FNN_ROW_BLOCK / 2) / FNN_ROW_BLOCK * FNN_ROW_BLOCK;
    return place <= 0 ? 0 : place >= n * unit ? n : fnn_least(units, n);
}

/* Whether a parameter is shared by rows: a W, or an embedding's table. */
INLINE bool FN(is_matrix)(const int64_t *row)
{
    return row[FNN_PARAMETER_ROLE] == FNN_ROLE_KERNEL || row[FNN_PARAMETER_ROLE] == FNN_ROLE_TABLE;
}

/* A member's part of a parameter, rows first ... last - 1 of a W or elements of a vector; returns how many elements one
 * is. The trainable parameters lie behind each other, `before` elements before this one, and the line is cut into equal
 * parts: a member has few parameters whole rather than some rows of all, so that less of what other cores wrote has to
 * come to it. */
INLINE int64_t FN(part_of)(const fnn_member *m, const int64_t *row, int64_t before, int64_t total, int64_t *first,
                           int64_t *last)
{
    const bool matrix = FN(is_matrix)(row);
    const int64_t n = row[matrix ? FNN_PARAMETER_ROWS : FNN_PARAMETER_COLUMNS];
    const int64_t unit = matrix ? row[FNN_PARAMETER_COLUMNS] : 1;
    *first = FN(cut)(total * m->index / m->team - before, n, unit);
    *last = FN(cut)(total * (m->index + 1) / m->team - before, n, unit);
    return unit;
}

/* The gradient of a vector's elements first ... last - 1, and what follows it; without a step it is left in a vector of
 * all parameters. */
INLINE void FN(vector_phase)(const fnn_member *m, int64_t index, int64_t first, int64_t last, int64_t batch_rows,
                             real *vector, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t *row = FN(parameter)(program, index);
    for (int64_t start = first; start < last; start += FNN_GRADIENT_BLOCK) {
        const int64_t n = fnn_least(FNN_GRADIENT_BLOCK, last - start);
        real *gradient = s != NULL ? m->scratch : vector + row[FNN_PARAMETER_OFFSET] + start;
        FN(vector_gradient)(program, index, gradient, start, n, batch_rows);
        FN(finish_block)(m, row, 0, 1, start, n, gradient, n, s);
    }
}

/* The gradient of rows first ... last - 1 of an embedding's table in a vector, and what follows it. */
INLINE void FN(table_phase)(const fnn_member *m, const int64_t *row, int64_t first, int64_t last, int64_t batch_rows,
                            real *vector, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t *op = FN(instruction)(program, row[FNN_PARAMETER_INSTRUCTION]);
    const int64_t depth = row[FNN_PARAMETER_COLUMNS], inputs = op[FNN_COLUMN_INPUTS], width = op[FNN_COLUMN_OUTPUTS];
    const int64_t whole = op[FNN_COLUMN_GRAD_WHOLE];
    const real *dA = FN(buffer)(program, op[FNN_COLUMN_GRAD_DST], whole, 0) + op[FNN_COLUMN_GRAD_OFFSET];
    real *gradient = vector + row[FNN_PARAMETER_OFFSET] + first * depth;
    FN(fill)(gradient, (last - first) * depth, (real)0);
    FN(embedding_backward)(gradient, depth, first, last, FN(buffer)(program, op[FNN_COLUMN_SRC], inputs, 0),
                           fnn_padded(inputs), dA, fnn_padded(whole), batch_rows, width, depth);
    FN(finish_block)(m, row, first, last - first, 0, depth, gradient, depth, s);
}

/* The gradients of all uses of rows first ... last - 1 of columns from ... to - 1 of a W, or of elements of a vector,
 * added in order in the gradient vector, and what follows. */
KERNEL static void FN(uses_phase)(const fnn_member *m, const int64_t *row, int64_t first, int64_t last, int64_t from,
                                  int64_t to, int64_t batch_rows, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const bool matrix = FN(is_matrix)(row);
    const int64_t width = row[FNN_PARAMETER_COLUMNS], begin = matrix ? from : first, columns = matrix ? to - from : last - first;
    const int64_t top = matrix ? first : 0, rows = matrix ? last - first : 1;
    real *sum = (real *)program->gradient + row[FNN_PARAMETER_OFFSET] + top * width + begin;
    const real *other = (real *)program->addend + row[FNN_PARAMETER_OFFSET] + top * width + begin;
    for (int64_t use = row[FNN_PARAMETER_NEXT]; use >= 0; use = FN(parameter)(program, use)[FNN_PARAMETER_NEXT]) {
        const bool next = use != row[FNN_PARAMETER_NEXT];
        real *vector = next ? program->addend : program->gradient;
        if (row[FNN_PARAMETER_ROLE] == FNN_ROLE_TABLE) {
            FN(table_phase)(m, FN(parameter)(program, use), first, last, batch_rows, vector, NULL);
        } else if (matrix) {
            FN(kernel_phase)(m, FN(parameter)(program, use), first, last, from, to, batch_rows, vector, NULL);
        } else {
            FN(vector_phase)(m, use, first, last, batch_rows, vector, NULL);
        }
        for (int64_t run = 0; next && run < rows; run++) {
            FN(binary)(FNN_BINARY_add, sum + run * width, sum + run * width, other + run * width, columns);
        }
    }
    FN(finish_block)(m, row, top, rows, begin, columns, sum, width, s);
}

/* A part of a parameter's gradient, and what follows it: rows first ... last - 1 of columns from ... to - 1 of a W, or
 * elements first ... last - 1 of a vector. */
INLINE void FN(part_phase)(const fnn_member *m, int64_t index, int64_t first, int64_t last, int64_t from, int64_t to,
                           int64_t batch_rows, const fnn_step *s)
{
    const int64_t *row = FN(parameter)(m->program, index);
    if (row[FNN_PARAMETER_NEXT] >= 0) {
        FN(uses_phase)(m, row, first, last, from, to, batch_rows, s);
    } else if (row[FNN_PARAMETER_ROLE] == FNN_ROLE_KERNEL) {
        FN(kernel_phase)(m, row, first, last, from, to, batch_rows, m->program->gradient, s);
    } else if (row[FNN_PARAMETER_ROLE] == FNN_ROLE_TABLE) {
        FN(table_phase)(m, row, first, last, batch_rows, m->program->gradient, s);
    } else {
        FN(vector_phase)(m, index, first, last, batch_rows, m->program->gradient, s);
    }
}

/* Rows of the next piece of a W's columns, where so many elements of the line are left: half of a member's part of
 * them, so that the pieces get smaller and all threads end together; equal ones for all rows of the columns. */
INLINE int64_t FN(piece_rows)(int64_t rows, int64_t columns, int64_t left, int64_t team)
{
    const int64_t most = fnn_greatest(left / (2 * team * columns), FNN_BLOCK_ROWS), pieces = (rows + most - 1) / most;
    return ((rows + pieces - 1) / pieces + FNN_GRADIENT_ROWS - 1) / FNN_GRADIENT_ROWS * FNN_GRADIENT_ROWS;
}

/* The parameter phase where threads take pieces of the line in turn, each of which packs its own columns of dZ. */
KERNEL static void FN(phase_by_pieces)(const fnn_member *m, int64_t left, int64_t batch_rows, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t packed = FN(block_columns)(batch_rows), width = packed > 0 ? packed : FNN_BLOCK_COLUMNS;
    int64_t piece = 0, next = fnn_next_piece(m->sync);
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = FN(parameter)(program, index);
        const int64_t rows = row[FNN_PARAMETER_ROWS], all = row[FNN_PARAMETER_COLUMNS];
        if (!row[FNN_PARAMETER_TRAINABLE]) {
            continue;
        }
        if (row[FNN_PARAMETER_ROLE] != FNN_ROLE_KERNEL) {
            if (piece++ == next) {
                FN(part_phase)(m, index, 0, FN(is_matrix)(row) ? rows : all, 0, all, batch_rows, s);
                next = fnn_next_piece(m->sync);
            }
            left -= rows * all;
            continue;
        }
        for (int64_t column = 0; column < all; column += width) {
            const int64_t columns = fnn_least(width, all - column);
            const int64_t height = FN(piece_rows)(rows, columns, left, m->team);
            for (int64_t start = 0; start < rows; start += height) {
                if (piece++ == next) {
                    FN(part_phase)(m, index, start, fnn_least(start + height, rows), column, column + columns,
                                   batch_rows, s);
                    next = fnn_next_piece(m->sync);
                }
            }
            left -= rows * columns;
        }
    }
}

/* A member's share of every gradient; with a step the optimizer follows at once, else it is left in the vector. */
KERNEL void FN(parameter_phase)(const fnn_member *m, int64_t batch_rows, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t total = FN(trainable_size)(program);
    int64_t before = 0, first, last;
    if (m->team > 1 && total >= FNN_PIECES_FROM) {
        FN(phase_by_pieces)(m, total, batch_rows, s);
        return;
    }
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = FN(parameter)(program, index);
        if (!row[FNN_PARAMETER_TRAINABLE]) {
            continue;
        }
        FN(part_of)(m, row, before, total, &first, &last);
        before += row[FNN_PARAMETER_ROWS] * row[FNN_PARAMETER_COLUMNS];
        if (first < last) {
            FN(part_phase)(m, index, first, last, 0, row[FNN_PARAMETER_COLUMNS], batch_rows, s);
        }
    }
}

/* The optimizer from the gradient vector, which is clipped first. */
KERNEL void FN(update_phase)(const fnn_member *m, const fnn_step *s)
{
    const fnn_program *program = m->program;
    const int64_t total = FN(trainable_size)(program);
    int64_t before = 0, first, last;
    if (fnn_clips_norms(program)) {
        FN(add_squares)(m);
        fnn_barrier(m->sync, m->team);
    }
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = FN(parameter)(program, index);
        if (!row[FNN_PARAMETER_TRAINABLE]) {
            continue;
        }
        const double factor = fnn_clips_norms(program) ? fnn_norm_factor(program, index) : 1.0;
        const int64_t unit = FN(part_of)(m, row, before, total, &first, &last);
        const int64_t place = row[FNN_PARAMETER_OFFSET] + first * unit;
        before += row[FNN_PARAMETER_ROWS] * row[FNN_PARAMETER_COLUMNS];
        FN(update_range)(program, place, (last - first) * unit, FNN_STEP_PREFETCH_BYTES,
                         (real *)program->gradient + place, factor, FN(decay_of)(row, s), s);
    }
}

#endif
