/* The penalties of a step: l1 sum |w| + l2 sum w^2 of every regularised parameter. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "penalties.c"
#include "levels.h"

#else

/* The totals of the blocks that penalties are summed in. */
INLINE double *FN(block_totals)(const fnn_program *program)
{
    return (double *)(void *)((real *)program->workspace + program->loss[FNN_LOSS_ENTRY_BLOCK_TOTALS]);
}

/* A member's blocks of sum |w| and sum w^2 over the regularised parameters. A factor of 0 is skipped, not multiplied: w
 * may be infinite. */
KERNEL void FN(penalty_blocks)(const fnn_member *m)
{
    const fnn_program *program = m->program;
    double *totals = FN(block_totals)(program);
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = program->parameters + index * FNN_PARAMETER_WIDTH;
        if (row[FNN_PARAMETER_PENALTY] < 0) {
            continue;
        }
        const real *w = (const real *)program->theta + row[FNN_PARAMETER_OFFSET];
        const int64_t n = row[FNN_PARAMETER_ROWS] * row[FNN_PARAMETER_COLUMNS];
        int64_t first, last;
        fnn_share(n, FNN_BLOCK, m->index, m->team, &first, &last);
        for (int power = 1; power <= 2; power++) {
            if (program->constants[row[FNN_PARAMETER_PENALTY] + power - 1] != 0.0) {
                for (int64_t start = first; start < last; start += FNN_BLOCK) {
                    const int64_t size = fnn_least(FNN_BLOCK, last - start);
                    totals[start / FNN_BLOCK] = (power == 1 ? FN(sum_abs) : FN(sum_squares))(w + start, size);
                }
                totals += (n + FNN_BLOCK - 1) / FNN_BLOCK;
            }
        }
    }
}

/* l1 sum |w| + l2 sum w^2 of the blocks that all members have summed. */
KERNEL double FN(penalty)(const fnn_program *program)
{
    const double *totals = FN(block_totals)(program);
    double penalty = 0.0;
    for (int64_t index = 0; index < program->parameter_count; index++) {
        const int64_t *row = program->parameters + index * FNN_PARAMETER_WIDTH;
        const int64_t blocks = (row[FNN_PARAMETER_ROWS] * row[FNN_PARAMETER_COLUMNS] + FNN_BLOCK - 1) / FNN_BLOCK;
        for (int power = 1; row[FNN_PARAMETER_PENALTY] >= 0 && power <= 2; power++) {
            const double factor = program->constants[row[FNN_PARAMETER_PENALTY] + power - 1];
            if (factor != 0.0) {
                double sum = 0.0;
                for (int64_t block = 0; block < blocks; block++) {
                    sum += *totals++;
                }
                penalty += factor * sum;
            }
        }
    }
    return penalty;
}

#endif
