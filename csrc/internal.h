/* What the families share: calls, teams of threads, and the helpers that know no dtype. Nothing here is public. */
#ifndef FNN_INTERNAL_H
#define FNN_INTERNAL_H

#if __SIZEOF_POINTER__ != 8 /* before any header, which a compiler for another machine may lack */
#error "fastnn needs a 64-bit machine: addresses and sizes are 64 bits wide"
#endif

#include <float.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "constants.h"
#include "fastnn.h"

#ifdef __FAST_MATH__
#error "fast-math changes results: the contract wants IEEE arithmetic"
#endif
#if FLT_EVAL_METHOD != 0
#error "every operation must round to its own type (on 32-bit x86: -msse2 -mfpmath=sse)"
#endif
#ifndef __SIZEOF_INT128__
#error "needs a compiler with 128-bit integers and vector extensions: gcc or clang for a 64-bit machine"
#endif

#if defined(__x86_64__)
#define FNN_X86 1
#else
#define FNN_X86 0
#endif

#if defined(_WIN32)
#define FNN_POSIX 0
#else
#define FNN_POSIX 1
#endif

#define FNN_CAT_(a, b, c) a##b##c
#define FNN_CAT(a, b, c) FNN_CAT_(a, b, c)
#if defined(__clang__)
#define FNN_UNROLL _Pragma("unroll")
#else
#define FNN_UNROLL _Pragma("GCC unroll 16")
#endif

/* Codes of crossentropies from logits start here; metrics without a loss of their name start there. */
#define FNN_LOGITS FNN_LOSS_softmax_crossentropy
#define FNN_ACCURACY FNN_METRIC_binary_accuracy

/* What a GEMM does beside C = A B. FNN_BIAS: C + `epilogue`, a row. FNN_SLOPE: C times the slope of ReLU, from its
 * output `epilogue`, which lies as C does. */
enum {
    FNN_ACCUMULATE = 1, FNN_BIAS = 2, FNN_RELU = 4, FNN_PACKED = 8, FNN_TRANSPOSED = 16, FNN_FAR = 32, FNN_SLOPE = 64
};

/* Where a team's threads meet; one a region, on the stack of the thread that starts it. */
typedef struct fnn_sync {
    _Alignas(64) atomic_int_fast64_t count;
    atomic_int_fast64_t pieces; /* that have been taken since the last barrier */
    _Alignas(64) atomic_int_fast64_t generation;
    _Alignas(64) atomic_int_fast64_t arrived;
    _Alignas(64) atomic_int_fast64_t team;
} fnn_sync;

/* What every thread of a team runs: its number, and how many there are. */
typedef void fnn_worker(void *context, fnn_sync *sync, int64_t member, int64_t team);

/* What a team can run on one instruction set and dtype. */
typedef struct fnn_workers {
    fnn_worker *operate; /* an fnn_call */
    fnn_worker *work; /* an fnn_run */
    fnn_worker *scan; /* an fnn_scan */
} fnn_workers;

/* What random numbers are keyed by, beside their place. */
typedef struct fnn_draw {
    int64_t seed, step, layer;
} fnn_draw;

/* The same for an instruction of a program in this step. */
static inline fnn_draw fnn_draw_of(const fnn_program *program, const int64_t *op)
{
    const int64_t *counters = program->counters;
    return (fnn_draw){counters[FNN_COUNTER_SEED], counters[FNN_COUNTER_STEP], op[FNN_COLUMN_LAYER]};
}

/* philox.c: 64 random words. */
typedef void fnn_philox(uint32_t *words, int64_t block, int64_t seed, int purpose, int64_t step, int64_t layer);

/* Those of the instruction set in use. */
const fnn_workers *fnn_workers_f32(void);
const fnn_workers *fnn_workers_f64(void);
fnn_philox *fnn_philox_in_use(void);

void fnn_launch(fnn_worker *worker, void *context, int32_t threads);
void fnn_launch_shares(fnn_worker *worker, void *context, int32_t shares);
void fnn_pool_region(void (*member)(void *), void *context, int32_t threads);
void fnn_relax(int64_t spins);
void fnn_barrier(fnn_sync *sync, int64_t team);
int64_t fnn_next_piece(fnn_sync *sync); /* of what a team shares between two barriers: whoever is free takes one */
double fnn_fma_exact(double a, double b, double c);
int fnn_slots(int32_t code); /* how many slots an optimizer has */
int fnn_vectors(int32_t code); /* how many vectors a layer of fastnn/core/rowwise.py has */

enum { FNN_MODE_STEPS, FNN_MODE_GRADIENT, FNN_MODE_SCORE, FNN_MODE_UPDATE, FNN_MODE_FORWARD };

/* One program running. */
typedef struct fnn_run {
    int32_t mode;
    const fnn_program *program;
    const fnn_data *data;
    int64_t first, last;
    double *sums;
    int64_t *taken; /* or NULL */
    const double *rates; /* or NULL */
    bool stop;
    void *const *outs;
} fnn_run;

/* A thread of a team that runs a program. */
typedef struct fnn_member {
    const fnn_run *run;
    const fnn_program *program;
    const fnn_data *data;
    fnn_sync *sync;
    int64_t index, team;
    void *scratch; /* its own */
    double share; /* what the penalties of this step are multiplied by */
    int64_t *laps; /* its own, or NULL */
} fnn_member;

/* A clock of the processor, which counts at one rate. */
static inline int64_t fnn_cycles(void)
{
#if FNN_X86
    return (int64_t)__builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    int64_t now;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
    return now;
#else
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
}

/* A member's laps, whose clock starts; NULL where nobody counts. */
static inline int64_t *fnn_start_laps(const fnn_program *program, int64_t member)
{
    if (program->laps == NULL) {
        return NULL;
    }
    int64_t *laps = program->laps + member * FNN_PHASE_WIDTH;
    laps[FNN_PHASE_SINCE] = fnn_cycles();
    return laps;
}

/* What passed since the last lap belongs to a phase. */
static inline void fnn_lap(const fnn_member *m, int phase)
{
    if (__builtin_expect(m->laps != NULL, 0)) {
        const int64_t now = fnn_cycles();
        m->laps[phase] += now - m->laps[FNN_PHASE_SINCE];
        m->laps[FNN_PHASE_SINCE] = now;
    }
}

/* A batch on its way through the instructions. */
typedef struct fnn_batch {
    int64_t rows; /* of all members */
    int64_t first, last; /* those of this member */
    int64_t team; /* members that meet */
    bool training, with_loss;
    int64_t start; /* where row 0 of the workspace lies in the data */
} fnn_batch;

/* find_nonfinite: each member leaves the first flat index of its rows whose magnitude is not <= largest, or -1. */
typedef struct fnn_scan {
    const char *x;
    int64_t row_bytes, rows, columns;
    double largest;
    int64_t *indices;
} fnn_scan;

/* prefetch.c: the samples that a thread gathers in the next step, which the tiles of this one ask for. */
typedef struct fnn_expected {
    const int64_t *order; /* from the sample that is asked for next */
    int64_t left, burst; /* samples: all of them, and for a tile */
    const char *x, *y;
    int64_t x_row, y_row, x_bytes; /* between rows, and of a row of X */
} fnn_expected;

/* What a member expects of the step that begins at batch_start; asks the second cache for the next samples. */
void fnn_expect(fnn_expected *expected, const fnn_member *m, int64_t batch_start);
void fnn_ask(fnn_expected *expected);

/* The scalars of one optimizer step, float64. */
typedef struct fnn_step {
    double rate, decay; /* of theta, negative */
    double products[FNN_MOST_PRODUCTS]; /* after the step */
    double h[FNN_MOST_SCALARS];
} fnn_step;

fnn_step fnn_begin_step(const fnn_program *program, double rate);
void fnn_finish_step(const fnn_program *program, const fnn_step *s);
double fnn_norm_factor(const fnn_program *program, int64_t index); /* what clipping multiplies a gradient by */
bool fnn_clips_norms(const fnn_program *program); /* whether the optimizer needs the whole gradient first */

/* Whether rows so many bytes apart share few sets of a cache. */
static inline bool fnn_aliases(int64_t bytes)
{
    return bytes % FNN_ALIAS_BYTES == 0;
}

static inline int64_t fnn_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Columns of B, of elements of `size` bytes, whose chunks the buffer of a thread holds beside each other: 512, or fewer
 * and a multiple of 128, or 0. */
static inline int64_t fnn_packed_columns(int64_t chunks, int64_t size)
{
    return fnn_least(FNN_PACKED_CHUNKS * FNN_BLOCK_BYTES / size / chunks / FNN_PACKED_STEP * FNN_PACKED_STEP,
                     FNN_MOST_PACKED);
}

static inline int64_t fnn_greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t fnn_padded(int64_t width)
{
    const int64_t whole = (width + FNN_ROW_PAD - 1) / FNN_ROW_PAD * FNN_ROW_PAD;
    return whole % FNN_ROW_ALIAS == 0 && whole > 0 ? whole + FNN_ROW_PAD : whole;
}

/* [*first, *last) of a member's part of n, in whole units. */
static inline void fnn_share(int64_t n, int64_t unit, int64_t member, int64_t team, int64_t *first, int64_t *last)
{
    const int64_t units = (n + unit - 1) / unit;
    *first = fnn_least(units * member / team * unit, n);
    *last = fnn_least(units * (member + 1) / team * unit, n);
}

#endif
