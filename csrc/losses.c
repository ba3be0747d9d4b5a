/* Losses of predictions, and the metrics that are no losses, over whole rows. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "losses.c"
#include "levels.h"

#else

#include "lanes.h"

/* 1 / C, rounded once from float64. */
INLINE real FN(share)(int64_t width)
{
    return (real)(1.0 / (double)width);
}

typedef V FN(step)(int index, V lane, V a, V y, V p, const V *sums);

/* The first `count` sums of a loss over a row; `largest` has a bit for each of which the largest is kept. */
INLINE void FN(loss_sums)(FN(step) *step, const int count, const int largest, V *sums, const FN(loss_rows) *read, int64_t row)
{
    const real *a = read->A + row * read->lda, *y = read->Y + row * read->ldy;
    const V p = SPLAT(read->p), keep = SPLAT(read->keep), add = SPLAT(read->add);
    const int64_t width = read->width;
    FNN_UNROLL
    for (int index = 0; index < count; index++) {
        const bool max = largest >> index & 1;
        V lanes[PARTS];
        FN(begin)(lanes, max ? (real)-__builtin_inf() : (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V lane = LANE(lanes, c), target = FMA(LOAD_FIRST(y + c, left), keep, add);
            const V after = step(index, lane, LOAD_FIRST(a + c, left), target, p, sums);
            LANE(lanes, c) = SELECT(FN(first)(left), after, lane);
        }
        sums[index] = SPLAT(max ? FN(fold_max)(lanes) : FN(fold_sum)(lanes));
    }
}

/* v: an element of each of W rows, of which so many are there; the others are 0. */
KERNEL static void FN(load_apart)(V *v, const real *p, int64_t apart, int64_t rows)
{
    real elements[W] = {0};
    if (apart == 1) {
        *v = LOAD_FIRST(p, rows);
        return;
    }
    if (rows < W) {
        for (int64_t i = 0; i < rows; i++) {
            elements[i] = p[i * apart];
        }
        *v = LOAD(elements);
        return;
    }
    FNN_UNROLL
    for (int64_t i = 0; i < W; i++) {
        (*v)[i] = p[i * apart];
    }
}

KERNEL static void FN(store_apart)(real *p, int64_t apart, const V *v, int64_t rows)
{
    real elements[W];
    if (apart == 1) {
        STORE_FIRST(p, *v, rows);
        return;
    }
    STORE(elements, *v);
    for (int64_t i = 0; i < fnn_least(W, rows); i++) {
        p[i * apart] = elements[i];
    }
}

/* The same sums of W rows of one element, which need not be folded; gives the elements and the targets. */
INLINE void FN(single_sums)(FN(step) *step, const int count, const int largest, V *sums, const FN(loss_rows) *read,
                            int64_t row, V *a, V *target)
{
    const int64_t left = read->rows - row;
    FN(load_apart)(a, read->A + row * read->lda, read->lda, left);
    FN(load_apart)(target, read->Y + row * read->ldy, read->ldy, left);
    *target = FMA(*target, SPLAT(read->keep), SPLAT(read->add));
    FNN_UNROLL
    for (int number = 0; number < count; number++) {
        const bool max = largest >> number & 1;
        const V lane = SPLAT(max ? (real)-__builtin_inf() : (real)0);
        const V after = step(number, lane, *a, *target, SPLAT(read->p), sums);
        sums[number] = max ? after : after + SPLAT((real)0); /* as the other lanes would, of a sum that is -0 */
    }
}

INLINE void FN(rows_forward)(FN(step) *step, const int count, const int largest, V (*value)(const V *),
                             const bool mean, const FN(loss_rows) *read)
{
    for (int64_t row = 0; read->width == 1 && row < read->rows; row += W) {
        V sums[FNN_MOST_SUMS], a, target;
        FN(single_sums)(step, count, largest, sums, read, row, &a, &target);
        a = value(sums);
        FN(store_apart)(read->l + row * read->ldl, read->ldl, &a, read->rows - row);
    }
    for (int64_t row = 0; read->width != 1 && row < read->rows; row++) {
        V sums[FNN_MOST_SUMS];
        FN(loss_sums)(step, count, largest, sums, read, row);
        const real total = value(sums)[0];
        read->l[row * read->ldl] = mean ? total * FN(share)(read->width) : total;
    }
}

INLINE void FN(rows_backward)(FN(step) *step, const int count, const int largest, V (*slope)(V, V, V, const V *),
                              const FN(loss_rows) *read)
{
    const V parameter = SPLAT(read->p), k = SPLAT(read->keep), d = SPLAT(read->add);
    const int64_t width = read->width;
    for (int64_t row = 0; width == 1 && row < read->rows; row += W) {
        const int64_t left = read->rows - row;
        V sums[FNN_MOST_SUMS], a, target, scale;
        FN(single_sums)(step, count, largest, sums, read, row, &a, &target);
        FN(load_apart)(&scale, read->s + row * read->lds, read->lds, left);
        a = slope(a, target, parameter, sums) * scale;
        FN(store_apart)(read->dA + row * read->ldd, read->ldd, &a, left);
    }
    for (int64_t row = 0; width != 1 && row < read->rows; row++) {
        const V scale = SPLAT(read->s[row * read->lds]);
        const real *const A = read->A + row * read->lda, *const Y = read->Y + row * read->ldy;
        real *const dA = read->dA + row * read->ldd;
        V sums[FNN_MOST_SUMS];
        FN(loss_sums)(step, count, largest, sums, read, row);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V target = FMA(LOAD_FIRST(Y + c, left), k, d);
            const V a = LOAD_FIRST(A + c, left);
            STORE_FIRST(dA + c, slope(a, target, parameter, sums) * scale, left);
        }
    }
}

/* Functions of their own: in one large function the compiler would share registers among all losses. */
#define FNN_ITEM(name, mean) \
    KERNEL static void FN(name##_rows_forward)(const FN(loss_rows) *read) \
    { \
        FN(rows_forward)(FN(name##_sum), FNN_SUMS_##name, FNN_LARGEST_##name, FN(name##_value), mean, read); \
    } \
    KERNEL static void FN(name##_rows_backward)(const FN(loss_rows) *read) \
    { \
        FN(rows_backward)(FN(name##_sum), FNN_SLOPE_SUMS_##name, FNN_LARGEST_##name, FN(name##_slope), read); \
    }
#include "losses.h"
#undef FNN_ITEM

/* Crossentropy of probabilities, which are renormalised and clipped. */
INLINE void FN(probability_forward)(const bool sparse, const FN(loss_rows) *read)
{
    const V k = SPLAT(read->keep), d = SPLAT(read->add);
    const int64_t width = read->width;
    for (int64_t row = 0; row < read->rows; row++) {
        const real *a = read->A + row * read->lda, *targets = read->Y + row * read->ldy;
        const V inverse = SPLAT((real)1 / FN(row_sum)(a, width));
        V lanes[PARTS];
        FN(begin)(lanes, (real)0);
        for (int64_t c = 0; c < width; c += W) {
            const int64_t left = width - c;
            const V lane = LANE(lanes, c), y = FN(target)(sparse, targets, c, left, k, d);
            const V clipped = FN(clip_probability)(LOAD_FIRST(a + c, left) * inverse);
            LANE(lanes, c) = SELECT(FN(first)(left), FMA(-y, FN(log)(clipped), lane), lane);
        }
        read->l[row * read->ldl] = FN(fold_sum)(lanes);
    }
}

INLINE void FN(probability_backward)(const bool sparse, const FN(loss_rows) *read)
{
    const V k = SPLAT(read->keep), d = SPLAT(read->add);
    const int64_t width = read->width;
    for (int64_t row = 0; row < read->rows; row++) {
        const real *a = read->A + row * read->lda, *targets = read->Y + row * read->ldy;
        real *const dA = read->dA + row * read->ldd;
        const V inverse = SPLAT((real)1 / FN(row_sum)(a, width)), scale = SPLAT(read->s[row * read->lds]);
        V lanes[PARTS], t = inverse;
        FN(begin)(lanes, (real)0);
        /* First the sum of g q, then what needs it. */
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t c = 0; c < width; c += W) {
                const int64_t left = width - c;
                const V lane = LANE(lanes, c), y = FN(target)(sparse, targets, c, left, k, d);
                const V q = LOAD_FIRST(a + c, left) * inverse, clipped = FN(clip_probability)(q);
                const V g = SELECT(NE(q, clipped), SPLAT((real)0), -y / clipped);
                if (pass == 0) {
                    LANE(lanes, c) = SELECT(FN(first)(left), FMA(g, q, lane), lane);
                } else {
                    STORE_FIRST(dA + c, ((g - t) * inverse) * scale, left);
                }
            }
            if (pass == 0) {
                t = SPLAT(FN(fold_sum)(lanes));
            }
        }
    }
}

KERNEL void FN(loss_forward)(int code, const FN(loss_rows) *read)
{
    switch (code) {
#define FNN_ITEM(name, mean) \
    case FNN_LOSS_##name: FN(name##_rows_forward)(read); break;
#include "losses.h"
#undef FNN_ITEM
    case FNN_LOSS_categorical_crossentropy:
        FN(probability_forward)(false, read);
        break;
    case FNN_LOSS_sparse_categorical_crossentropy:
        FN(probability_forward)(true, read);
        break;
    default:
        break;
    }
}

KERNEL void FN(loss_backward)(int code, const FN(loss_rows) *read)
{
    switch (code) {
#define FNN_ITEM(name, mean) \
    case FNN_LOSS_##name: FN(name##_rows_backward)(read); break;
#include "losses.h"
#undef FNN_ITEM
    case FNN_LOSS_categorical_crossentropy:
        FN(probability_backward)(false, read);
        break;
    case FNN_LOSS_sparse_categorical_crossentropy:
        FN(probability_backward)(true, read);
        break;
    default:
        break;
    }
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

/* The first column that equals the row's maximum; C where none does. */
INLINE real FN(argmax)(const real *row, int64_t width)
{
    const real max = FN(row_max)(row, width);
    for (int64_t c = 0; c < width; c++) {
        if (row[c] == max) {
            return (real)c;
        }
    }
    return (real)width;
}

KERNEL void FN(accuracy)(int code, real *r, int64_t ldr, const real *A, int64_t lda, const real *Y, int64_t ldy,
                         int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++) {
        const real *a = A + row * lda, *y = Y + row * ldy;
        if (code == FNN_METRIC_binary_accuracy) {
            const V half = SPLAT((real)0.5), one = SPLAT((real)1), zero = SPLAT((real)0);
            V lanes[PARTS];
            FN(begin)(lanes, (real)0);
            for (int64_t c = 0; c < width; c += W) {
                const int64_t left = width - c;
                const V lane = LANE(lanes, c), guess = SELECT(GT(LOAD_FIRST(a + c, left), half), one, zero);
                const V right = SELECT(EQ(guess, LOAD_FIRST(y + c, left)), one, zero);
                LANE(lanes, c) = SELECT(FN(first)(left), lane + right, lane);
            }
            r[row * ldr] = FN(fold_sum)(lanes) * FN(share)(width);
        } else {
            const real label = code == FNN_METRIC_categorical_accuracy ? FN(argmax)(y, width) : y[0];
            r[row * ldr] = FN(argmax)(a, width) == label ? (real)1 : (real)0;
        }
    }
}

/* sums (3 C + 1): sum w y, sum w y^2, sum w (y - a)^2 by output in row order, then sum w; without weights they are
 * ones. */
KERNEL void FN(r2_sums)(double *sums, const real *A, int64_t lda, const real *Y, int64_t ldy, const real *w,
                        int64_t ldw, int64_t rows, int64_t width)
{
    double *sum_y = sums, *sum_yy = sums + width, *sum_dd = sums + 2 * width;
    for (int64_t row = 0; row < rows; row++) {
        const double weight = w != NULL ? (double)w[row * ldw] : 1.0;
        for (int64_t c = 0; c < width; c++) {
            const double a = (double)A[row * lda + c], y = (double)Y[row * ldy + c], d = y - a;
            sum_y[c] = FMA_WIDE(weight, y, sum_y[c]);
            sum_yy[c] = FMA_WIDE(weight * y, y, sum_yy[c]);
            sum_dd[c] = FMA_WIDE(weight * d, d, sum_dd[c]);
        }
        sums[3 * width] = sums[3 * width] + weight;
    }
}

#endif
