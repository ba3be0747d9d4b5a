/* An optimizer step: its scalars, what limits gradients, and the parameters of a range. */
#ifndef FNN_LEVEL

#include "internal.h"
#include "prepare.h"

_Static_assert(sizeof((fnn_program *)NULL)->slots / sizeof(void *) == FNN_MOST_SLOTS &&
               FNN_SCALAR_PRODUCTS + FNN_MOST_PRODUCTS == FNN_SCALAR_WIDTH, "there is room for every optimizer");

fnn_step fnn_begin_step(const fnn_program *program, double rate)
{
    const double *constants = program->constants + program->optimizer[FNN_OPTIMIZER_ENTRY_CONSTANT];
    const bool decays = program->optimizer[FNN_OPTIMIZER_ENTRY_HAS_DECAY];
    fnn_step s = {.rate = rate, .decay = decays ? -(rate * constants[0]) : 0.0};
    memcpy(s.products, program->scalars + FNN_SCALAR_PRODUCTS, sizeof s.products);
    switch (program->optimizer[FNN_OPTIMIZER_ENTRY_CODE]) {
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
    const int64_t clip = program->optimizer[FNN_OPTIMIZER_ENTRY_CLIP];
    return clip == FNN_CLIP_NORM || clip == FNN_CLIP_GLOBAL_NORM;
}

/* The greatest element, or norm, of a gradient. */
static double fnn_clip_limit(const fnn_program *program)
{
    return program->constants[program->optimizer[FNN_OPTIMIZER_ENTRY_CLIP_CONSTANT]];
}

double fnn_norm_factor(const fnn_program *program, int64_t index)
{
    const bool global = program->optimizer[FNN_OPTIMIZER_ENTRY_CLIP] == FNN_CLIP_GLOBAL_NORM;
    const int64_t first = global ? 0 : index, count = global ? program->parameter_count : 1;
    double squares = 0.0;
    for (int64_t other = first; other < first + count; other++) {
        squares += program->norms[other];
    }
    const double norm = __builtin_sqrt(squares), limit = fnn_clip_limit(program);
    return norm > limit ? limit / norm : 1.0;
}

#define FNN_FILE "update.c"
#include "levels.h"

#else

/* What the parameters of a row decay by in a step. */
KERNEL double FN(decay_of)(const int64_t *row, const fnn_step *s)
{
    return row[FNN_PARAMETER_DECAY] ? s->decay : 0.0;
}

/* The sum of squares of each parameter's gradient, from the gradient vector. Members take matrices in turn, and vectors,
 * since every second parameter is small. */
KERNEL void FN(add_squares)(const fnn_member *m)
{
    const fnn_program *program = m->program;
    int64_t matrices = 0, vectors = 0;
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = FN(parameter)(program, index);
        const int64_t turn = row[FNN_PARAMETER_ROLE] == FNN_ROLE_KERNEL ? matrices++ : vectors++;
        if (turn % m->team == m->index) {
            const int64_t n = row[FNN_PARAMETER_TRAINABLE] ? row[FNN_PARAMETER_ROWS] * row[FNN_PARAMETER_COLUMNS] : 0;
            program->norms[index] = FN(sum_squares)((real *)program->gradient + row[FNN_PARAMETER_OFFSET], n);
        }
    }
}

/* Clipping and the optimizer on n parameters from `offset`, with their gradient; those that come next lie `ahead` bytes
 * further. */
KERNEL void FN(update_range)(const fnn_program *program, int64_t offset, int64_t n, int64_t ahead, real *gradient,
                             double factor, double decay, const fnn_step *s)
{
    if (program->optimizer[FNN_OPTIMIZER_ENTRY_CLIP] == FNN_CLIP_VALUE) {
        FN(clip_value)(gradient, n, (real)fnn_clip_limit(program));
    }
    if (factor != 1.0) {
        FN(gradient_scale)(gradient, n, (real)factor);
    }
    if (decay != 0.0) {
        FN(decay_step)((real *)program->theta + offset, n, (real)decay);
    }
    FN(optimizer_step)((int)program->optimizer[FNN_OPTIMIZER_ENTRY_CODE], program->theta, program->slots, offset,
                       gradient, n, s->h, ahead);
}

#endif
