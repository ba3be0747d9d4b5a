/* The parameter phase of a step: the gradients of some rows of every W, which stay in cache, and the optimizer.
 * Where gradients are clipped by their norms, all of them come first.
 */
#ifndef FNN_LEVEL

#include "internal.h"
#include "prepare.h"

_Static_assert(sizeof((fnn_program *)NULL)->slots / sizeof(void *) == FNN_MOST_SLOTS &&
               FNN_SCALAR_PRODUCTS + FNN_MOST_PRODUCTS == FNN_SCALAR_WIDTH, "there is room for every optimizer");

fnn_step fnn_step_scalars(const fnn_program *program, double rate)
{
    const double *constants = program->constants + program->optimizer[FNN_OPT_CONSTANT];
    fnn_step s = {.rate = rate, .decay = program->optimizer[FNN_OPT_HAS_DECAY] ? -(rate * constants[0]) : 0.0};
    memcpy(s.products, program->scalars + FNN_SCALAR_PRODUCTS, sizeof s.products);
    switch (program->optimizer[FNN_OPT_CODE]) {
#define FNN_ITEM(name, slots, scalars) \
    case FNN_OPTIMIZER_##name: fnn_##name##_prepare(rate, s.products, constants + 1, s.h); break;
#include "optimizers.h"
#undef FNN_ITEM
    default:
        break;
    }
    return s;
}

void fnn_finish_step(const fnn_program *program, const fnn_step *s)
{
    program->scalars[FNN_SCALAR_LEARNING_RATE] = s->rate;
    memcpy(program->scalars + FNN_SCALAR_PRODUCTS, s->products, sizeof s->products);
    program->counters[FNN_COUNTER_STEP] += 1;
}

bool fnn_clips_norms(const fnn_program *program)
{
    const int64_t clip = program->optimizer[FNN_OPT_CLIP];
    return clip == FNN_CLIP_NORM || clip == FNN_CLIP_GLOBAL_NORM;
}

/* The greatest element, or norm, of a gradient. */
static double fnn_clip_limit(const fnn_program *program)
{
    return program->constants[program->optimizer[FNN_OPT_CLIP_CONSTANT]];
}

/* What brings a gradient to the limit; 1 where it is within, or NaN. */
static double fnn_clip_factor(double squares, double limit)
{
    const double norm = __builtin_sqrt(squares);
    return norm > limit ? limit / norm : 1.0;
}

#define FNN_FILE "parameters.c"
#include "levels.h"

#else

/* The optimizer on n parameters from `offset`, with their gradient, which is clipped by value here; those that come
 * next lie `ahead` bytes further. */
INLINE void FN(update_range)(const fnn_program *program, int64_t offset, int64_t n, int64_t ahead, real *gradient,
                             double decay, const fnn_step *s)
{
    if (program->optimizer[FNN_OPT_CLIP] == FNN_CLIP_VALUE) {
        FN(clip_value)(gradient, n, (real)fnn_clip_limit(program));
    }
    if (decay != 0.0) {
        FN(decay_step)((real *)program->theta + offset, n, (real)decay);
    }
    FN(optimizer_step)((int)program->optimizer[FNN_OPT_CODE], program->theta, program->slots, offset, gradient, n, s->h,
                       ahead);
}

/* What a team shares: the trainable parameters behind each other, cut into equal parts. A member has few of them whole
 * rather than some rows of all, so that less of what other cores wrote has to come to its own. A line of so many elements
 * that no cache keeps them is shared by pieces. */
typedef struct FN(line) {
    int64_t member, team, total, before; /* elements of all, and of those that came before */
} FN(line);

INLINE FN(line) FN(line_of)(const fnn_program *program, int64_t member, int64_t team)
{
    FN(line) line = {member, team, 0, 0};
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        line.total += row[FNN_PAR_TRAINABLE] ? row[FNN_PAR_ROWS] * row[FNN_PAR_COLUMNS] : 0;
    }
    return line;
}

/* Where the line is cut before a member: which of n units of a parameter, in whole blocks. */
INLINE int64_t FN(cut)(const FN(line) *line, int64_t member, int64_t n, int64_t unit)
{
    const int64_t place = line->total * member / line->team - line->before;
    const int64_t units = (place / unit + FNN_ROW_BLOCK / 2) / FNN_ROW_BLOCK * FNN_ROW_BLOCK;
    return place <= 0 ? 0 : place >= n * unit ? n : fnn_least(units, n);
}

/* A member's part of the next parameter of the line: rows first ... last - 1 of a W, or elements of a vector. Gives the
 * size of one. */
INLINE int64_t FN(own)(const int64_t *row, FN(line) *line, int64_t *first, int64_t *last)
{
    const bool matrix = row[FNN_PAR_ROLE] == FNN_ROLE_KERNEL;
    const int64_t n = row[matrix ? FNN_PAR_ROWS : FNN_PAR_COLUMNS], unit = matrix ? row[FNN_PAR_COLUMNS] : 1;
    *first = FN(cut)(line, line->member, n, unit);
    *last = FN(cut)(line, line->member + 1, n, unit);
    line->before += n * unit;
    return unit;
}

/* The gradient of a vector's elements first ... first + n - 1. */
INLINE void FN(vector_gradient)(const fnn_program *program, const int64_t *at, bool scale, real *gradient,
                                int64_t first, int64_t n, int64_t batch_rows)
{
    const int64_t width = at[FNN_I_OUTPUTS], ld = fnn_padded(width);
    const real *dA = FN(buffer)(program, at[FNN_I_GRAD_DST], width, 0) + first;
    if (at[FNN_I_KIND] == FNN_KIND_BATCH_NORM) { /* the row phase needed it */
        const int vector = scale ? FNN_BATCH_GAMMA_GRADIENT : FNN_BATCH_BETA_GRADIENT;
        memcpy(gradient, FN(of_batch)(program, at, vector) + first, (size_t)n * sizeof(real));
    } else if (scale) {
        FN(scale_backward)(gradient, dA, ld, FN(buffer)(program, at[FNN_I_SAVED], width, 0) + first, ld, batch_rows, n);
    } else {
        FN(bias_backward)(gradient, dA, ld, batch_rows, n);
    }
}

/* What follows the gradient of a block of a parameter: its penalty's share, the optimizer. */
INLINE void FN(finish_block)(const fnn_program *program, const int64_t *row, int64_t first, int64_t rows,
                             int64_t column, int64_t columns, real *gradient, int64_t ld, const fnn_step *s)
{
    const int64_t all = row[FNN_PAR_COLUMNS];
    const int64_t runs = columns == all ? 1 : rows, length = columns == all ? rows * columns : columns;
    const int64_t ahead = columns == all ? FNN_STEP_PREFETCH_BYTES : all * (int64_t)sizeof(real);
    for (int64_t run = 0; run < runs; run++) {
        const int64_t place = row[FNN_PAR_OFFSET] + (first + run) * all + column;
        real *g = gradient + run * ld;
        if (row[FNN_PAR_PENALTY] >= 0) {
            const double *l = program->constants + row[FNN_PAR_PENALTY];
            FN(penalty_backward)(g, (const real *)program->theta + place, length, (real)l[0], (real)(2.0 * l[1]));
        }
        if (s != NULL) {
            FN(update_range)(program, place, length, ahead, g, row[FNN_PAR_DECAY] ? s->decay : 0.0, s);
        }
    }
}

/* The bytes from theta to a slot, or 0 where there is none. */
INLINE int64_t FN(from_theta)(const fnn_program *program, const void *slot)
{
    return slot != NULL ? (int64_t)((intptr_t)slot - (intptr_t)program->theta) : 0;
}

/* The columns of a W of which the buffer holds all rows of dZ packed, or 0. */
INLINE int64_t FN(held_columns)(int64_t batch_rows)
{
    return fnn_packed_columns((batch_rows + FNN_K_CHUNK - 1) / FNN_K_CHUNK, sizeof(real));
}

/* The gradient of rows first ... last - 1 of columns from ... to - 1 of a W: X^T dZ, a block at a time, and what follows
 * it. A large one has dZ packed, once if the buffer holds all of a block of columns. */
INLINE void FN(kernel_phase)(const fnn_program *program, const int64_t *row, int64_t first, int64_t last, int64_t from,
                             int64_t to, int64_t batch_rows, int64_t member, const fnn_step *s)
{
    const int64_t *instruction = program->instructions + row[FNN_PAR_INSTRUCTION] * FNN_I_WIDTH;
    const int64_t all = row[FNN_PAR_COLUMNS], inputs = instruction[FNN_I_INPUTS];
    const int64_t ldx = fnn_padded(inputs), ldz = fnn_padded(all);
    const real *X = FN(buffer)(program, instruction[FNN_I_SRC], inputs, 0);
    const real *dZ = FN(buffer)(program, instruction[FNN_I_GRAD_DST], all, 0);
    real *pack = FN(pack)(program, member), *scratch = pack + FNN_PACK_SIZE;
    const bool packs = FN(packs_columns)(ldz, last - first, all, batch_rows);
    const int64_t chunks = (batch_rows + FNN_K_CHUNK - 1) / FNN_K_CHUNK;
    const int64_t slot_0 = FN(from_theta)(program, program->slots[0]);
    const int64_t slot_1 = FN(from_theta)(program, program->slots[1]);
    const int64_t held = packs ? FN(held_columns)(batch_rows) : 0, width = held > 0 ? held : FNN_BLOCK_COLUMNS;
    const bool once = held > 0;
    for (int64_t column = from; column < to; column += width) {
        const int64_t columns = fnn_least(width, to - column);
        int64_t height = packs ? FNN_BLOCK_ROWS : FNN_GRADIENT_BLOCK / columns / FNN_ROW_BLOCK * FNN_ROW_BLOCK;
        if (once) {
            height = FNN_GRADIENT_ROWS;
            for (int64_t chunk = 0; chunk < chunks; chunk++) {
                FN(pack_panels)(pack + chunk * FNN_K_CHUNK * width, dZ + chunk * FNN_K_CHUNK * ldz + column, ldz,
                                columns, fnn_least(FNN_K_CHUNK, batch_rows - chunk * FNN_K_CHUNK));
            }
        }
        for (int64_t start = first; start < last; start += height) {
            const int64_t rows = fnn_least(height, last - start);
            const int64_t place = row[FNN_PAR_OFFSET] + start * all + column;
            real *gradient = s != NULL ? scratch : (real *)program->gradient + place;
            const int64_t ld = s != NULL ? columns : all;
            if (once) {
                for (int64_t chunk = 0; chunk < chunks; chunk++) {
                    const int64_t at = chunk * FNN_K_CHUNK, depth = fnn_least(FNN_K_CHUNK, batch_rows - at);
                    FN(gemm_rows)(&(FN(product)){
                        .C = gradient, .A = X + at * ldx + start, .B = pack + at * width, .ldc = ld, .a_row = 1,
                        .a_k = ldx, .ldb = 2 * W, .panel = 2 * W * depth, .n = columns, .k = depth,
                        .flags = FNN_PACKED | (chunk > 0 ? FNN_ACCUMULATE : 0),
                        .wanted = s != NULL && chunk == 0 ? (const char *)((const real *)program->theta + place) : NULL,
                        .wanted_row = all * (int64_t)sizeof(real), .slot_0 = slot_0, .slot_1 = slot_1,
                    }, rows, pack);
                }
            } else {
                FN(gemm)(gradient, ld, X + start, 1, ldx, dZ + column, ldz, rows, columns, batch_rows, NULL, 0, pack);
            }
            FN(finish_block)(program, row, start, rows, column, columns, gradient, ld, s);
        }
    }
}

/* The gradient of a vector's elements first ... last - 1, and what follows it. */
INLINE void FN(vector_phase)(const fnn_program *program, const int64_t *row, int64_t first, int64_t last,
                             int64_t batch_rows, int64_t member, const fnn_step *s)
{
    for (int64_t start = first; start < last; start += FNN_GRADIENT_BLOCK) {
        const int64_t n = fnn_least(FNN_GRADIENT_BLOCK, last - start);
        real *gradient = s != NULL ? FN(pack)(program, member)
                                   : (real *)program->gradient + row[FNN_PAR_OFFSET] + start;
        FN(vector_gradient)(program, program->instructions + row[FNN_PAR_INSTRUCTION] * FNN_I_WIDTH,
                            row[FNN_PAR_ROLE] == FNN_ROLE_SCALE, gradient, start, n, batch_rows);
        FN(finish_block)(program, row, 0, 1, start, n, gradient, n, s);
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
KERNEL static void FN(phase_by_pieces)(const fnn_program *program, fnn_sync *sync, int64_t left, int64_t member,
                                       int64_t team, int64_t batch_rows, const fnn_step *s)
{
    const int64_t held = FN(held_columns)(batch_rows), width = held > 0 ? held : FNN_BLOCK_COLUMNS;
    int64_t piece = 0, next = fnn_next_piece(sync);
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        const int64_t rows = row[FNN_PAR_ROWS], all = row[FNN_PAR_COLUMNS];
        if (!row[FNN_PAR_TRAINABLE]) {
            continue;
        }
        if (row[FNN_PAR_ROLE] != FNN_ROLE_KERNEL) {
            if (piece++ == next) {
                FN(vector_phase)(program, row, 0, all, batch_rows, member, s);
                next = fnn_next_piece(sync);
            }
            left -= all;
            continue;
        }
        for (int64_t column = 0; column < all; column += width) {
            const int64_t columns = fnn_least(width, all - column);
            const int64_t height = FN(piece_rows)(rows, columns, left, team);
            for (int64_t start = 0; start < rows; start += height) {
                if (piece++ == next) {
                    FN(kernel_phase)(program, row, start, fnn_least(start + height, rows), column, column + columns,
                                     batch_rows, member, s);
                    next = fnn_next_piece(sync);
                }
            }
            left -= rows * columns;
        }
    }
}

/* A member's share of every gradient; with a step the optimizer follows at once, else it is left in the vector. */
KERNEL void FN(parameter_phase)(const fnn_program *program, fnn_sync *sync, int64_t member, int64_t team,
                                int64_t batch_rows, const fnn_step *s)
{
    FN(line) line = FN(line_of)(program, member, team);
    if (team > 1 && line.total >= FNN_PIECES_FROM) {
        FN(phase_by_pieces)(program, sync, line.total, member, team, batch_rows, s);
        return;
    }
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        if (!row[FNN_PAR_TRAINABLE]) {
            continue;
        }
        int64_t first, last;
        FN(own)(row, &line, &first, &last);
        if (first == last) {
            continue;
        }
        if (row[FNN_PAR_ROLE] == FNN_ROLE_KERNEL) {
            FN(kernel_phase)(program, row, first, last, 0, row[FNN_PAR_COLUMNS], batch_rows, member, s);
        } else {
            FN(vector_phase)(program, row, first, last, batch_rows, member, s);
        }
    }
}

/* Scales gradients of too great a norm: each parameter's at once, one member a parameter; or, by the norm of all, not
 * yet: every member gets the factor for its share. */
INLINE double FN(clip_norms)(const fnn_program *program, fnn_sync *sync, int64_t member, int64_t team)
{
    if (!fnn_clips_norms(program)) {
        return 1.0;
    }
    const bool global = program->optimizer[FNN_OPT_CLIP] == FNN_CLIP_GLOBAL_NORM;
    const double limit = fnn_clip_limit(program);
    double total = 0.0;
    int64_t matrices = 0, vectors = 0; /* take turns apart: every second parameter is small */
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        if (!row[FNN_PAR_TRAINABLE]) {
            continue;
        }
        real *gradient = (real *)program->gradient + row[FNN_PAR_OFFSET];
        const int64_t n = row[FNN_PAR_ROWS] * row[FNN_PAR_COLUMNS];
        const int64_t turn = row[FNN_PAR_ROLE] == FNN_ROLE_KERNEL ? matrices++ : vectors++;
        if (global) {
            total += FN(sum_squares)(gradient, n);
        } else if (turn % team == member) {
            const double factor = fnn_clip_factor(FN(sum_squares)(gradient, n), limit);
            if (factor != 1.0) {
                FN(gradient_scale)(gradient, n, (real)factor);
            }
        }
    }
    fnn_barrier(sync, team);
    return global ? fnn_clip_factor(total, limit) : 1.0;
}

/* The optimizer from the gradient vector, which is clipped first. */
KERNEL void FN(update)(const fnn_program *program, fnn_sync *sync, int64_t member, int64_t team, const fnn_step *s)
{
    const double factor = FN(clip_norms)(program, sync, member, team);
    FN(line) line = FN(line_of)(program, member, team);
    for (int64_t number = 0; number < program->parameter_count; number++) {
        const int64_t *row = program->parameters + number * FNN_PAR_WIDTH;
        if (!row[FNN_PAR_TRAINABLE]) {
            continue;
        }
        int64_t first, last;
        const int64_t unit = FN(own)(row, &line, &first, &last), n = (last - first) * unit;
        const int64_t place = row[FNN_PAR_OFFSET] + first * unit;
        real *gradient = (real *)program->gradient + place;
        if (factor != 1.0) {
            FN(gradient_scale)(gradient, n, (real)factor);
        }
        FN(update_range)(program, place, n, FNN_STEP_PREFETCH_BYTES, gradient, row[FNN_PAR_DECAY] ? s->decay : 0.0, s);
    }
}

#endif
