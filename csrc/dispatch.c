/* The public functions: checks, and the choice of the instruction set. */
#ifndef OP

#include <stdlib.h>

#include "internal.h"

enum { PORTABLE, AVX2, AVX512, LEVELS };

static const char *const names[LEVELS] = {"portable", "avx2", "avx512"};
static int level = PORTABLE;

static int best_level(void)
{
#if FNN_X86
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
        return AVX512;
    }
    return avx2 ? AVX2 : PORTABLE;
#else
    return PORTABLE;
#endif
}

const char *fnn_level(void)
{
    return names[level];
}

int fnn_set_level(const char *name)
{
    const int best = best_level();
    if (name == NULL) {
        level = best;
        return FNN_OK;
    }
    for (int number = 0; number <= best; number++) {
        if (strcmp(name, names[number]) == 0) {
            level = number;
            return FNN_OK;
        }
    }
    return FNN_BAD_LEVEL;
}

__attribute__((constructor)) static void first_level(void)
{
    if (fnn_set_level(getenv("FASTNN_CPU")) != FNN_OK) {
        fnn_set_level(NULL);
    }
}

/* How many slots an optimizer has. */
static int fnn_slots(int32_t code)
{
    switch (code) {
#define FNN_ITEM(name, slots) case FNN_OPTIMIZER_##name: return slots;
#include "optimizers.h"
#undef FNN_ITEM
    default:
        return 0;
    }
}

static bool known_dtype(int32_t code)
{
    return code >= FNN_BOOL && code <= FNN_FLOAT64;
}

/* What a program must have before it may touch memory. */
static int check_program(const fnn_run *run, int32_t threads)
{
    const fnn_program *p = run->program;
    const fnn_data *d = run->data;
    if (p == NULL || p->parameters == NULL || p->theta == NULL || p->constants == NULL || p->instructions == NULL) {
        return FNN_NULL;
    }
    const bool updates = run->mode == FNN_MODE_STEPS || run->mode == FNN_MODE_UPDATE;
    if (updates) {
        if (p->optimizer == NULL || p->scalars == NULL || p->counters == NULL) {
            return FNN_NULL;
        }
        const int64_t code = p->optimizer[FNN_OPT_CODE];
        if (code < 0 || code >= FNN_OPTIMIZER_COUNT) {
            return FNN_BAD_CODE;
        }
        const int slots = fnn_slots((int32_t)code);
        if ((slots > 0 && p->slot_0 == NULL) || (slots > 1 && p->slot_1 == NULL)) {
            return FNN_NULL;
        }
    }
    if (run->mode == FNN_MODE_STEPS && (p->scratch == NULL || p->scratch_threads < threads)) {
        return p->scratch == NULL ? FNN_NULL : FNN_BAD_SIZE;
    }
    if ((run->mode == FNN_MODE_UPDATE || run->mode == FNN_MODE_GRADIENT) && p->gradient == NULL) {
        return FNN_NULL;
    }
    if (run->mode == FNN_MODE_UPDATE) {
        return FNN_OK;
    }
    if (d == NULL || d->x == NULL || p->workspace == NULL) {
        return FNN_NULL;
    }
    if (!known_dtype(d->x_code)) {
        return FNN_BAD_CODE;
    }
    if (d->rows < 0) {
        return FNN_BAD_SIZE;
    }
    if (run->mode == FNN_MODE_FORWARD) {
        return run->out == NULL ? FNN_NULL : p->capacity < (int64_t)FNN_FORWARD_ROWS * threads ? FNN_BAD_SIZE : FNN_OK;
    }
    if (p->loss == NULL || p->row_values == NULL || p->row_scales == NULL || p->row_weights == NULL ||
        p->counters == NULL || d->y == NULL || run->sums == NULL) {
        return FNN_NULL;
    }
    if (!known_dtype(d->y_code) || p->loss[FNN_LOS_CODE] < 0 || p->loss[FNN_LOS_CODE] >= FNN_LOSS_COUNT) {
        return FNN_BAD_CODE;
    }
    if (d->batch < 1 || fnn_least(d->batch, d->rows) > p->capacity || run->first < 0 ||
        (run->last > run->first && (run->last - 1) * d->batch >= d->rows)) {
        return FNN_BAD_SIZE;
    }
    return FNN_OK;
}

#if FNN_X86
#define WORKERS(name, dtype) \
    {fnn_##name##_##dtype##_portable, fnn_##name##_##dtype##_avx2, fnn_##name##_##dtype##_avx512}
fnn_worker fnn_operate_f32_avx2, fnn_operate_f32_avx512, fnn_operate_f64_avx2, fnn_operate_f64_avx512;
fnn_worker fnn_run_f32_avx2, fnn_run_f32_avx512, fnn_run_f64_avx2, fnn_run_f64_avx512;
fnn_worker fnn_scan_f32_avx2, fnn_scan_f32_avx512, fnn_scan_f64_avx2, fnn_scan_f64_avx512;
#else
#define WORKERS(name, dtype) {fnn_##name##_##dtype##_portable}
#endif
fnn_worker fnn_operate_f32_portable, fnn_operate_f64_portable;
fnn_worker fnn_run_f32_portable, fnn_run_f64_portable;
fnn_worker fnn_scan_f32_portable, fnn_scan_f64_portable;

static fnn_worker *const operate_f32[LEVELS] = WORKERS(operate, f32);
static fnn_worker *const operate_f64[LEVELS] = WORKERS(operate, f64);
static fnn_worker *const run_f32[LEVELS] = WORKERS(run, f32);
static fnn_worker *const run_f64[LEVELS] = WORKERS(run, f64);
static fnn_worker *const scan_f32[LEVELS] = WORKERS(scan, f32);
static fnn_worker *const scan_f64[LEVELS] = WORKERS(scan, f64);

#define real float
#define OP(name) FNN_CAT(fnn_, name, _f32)
#define LOCAL(name) FNN_CAT(name, _f32, )
#include "dispatch.c"
#undef real
#undef OP
#undef LOCAL

#define real double
#define OP(name) FNN_CAT(fnn_, name, _f64)
#define LOCAL(name) FNN_CAT(name, _f64, )
#include "dispatch.c"

#else

/* Runs an operation whose first `needed` arrays must be there. */
static int OP(call)(fnn_call *call, int needed, int32_t threads)
{
    if (call->m < 0 || call->n < 0 || call->k < 0) {
        return FNN_BAD_SIZE;
    }
    for (int number = 0; number < needed; number++) {
        if (call->array[number] == NULL) {
            return FNN_NULL;
        }
    }
    fnn_launch(LOCAL(operate)[level], call, threads);
    return FNN_OK;
}

static int OP(program)(fnn_run *run, int32_t threads)
{
    const int32_t team = threads > 1 ? threads : 1;
    const int status = check_program(run, team);
    if (status == FNN_OK) {
        fnn_launch(LOCAL(run)[level], run, team);
    }
    return status;
}

int OP(find_nonfinite)(int64_t *found, const void *x_bi, int64_t row_bytes, int64_t b, int64_t i, int32_t threads)
{
    if (found == NULL || x_bi == NULL) {
        return FNN_NULL;
    }
    if (b < 0 || i < 0 || threads < 1) {
        return FNN_BAD_SIZE;
    }
    for (int32_t member = 0; member < threads; member++) {
        found[member] = -1;
    }
    fnn_scan scan = {.x = x_bi, .row_bytes = row_bytes, .rows = b, .columns = i, .found = found};
    fnn_launch(LOCAL(scan)[level], &scan, threads);
    return FNN_OK;
}

int OP(gemm_nn)(real *C_mn, int64_t ldc, const real *A_mk, int64_t lda, const real *B_kn, int64_t ldb, int64_t m,
        int64_t n, int64_t k, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_GEMM_NN, .m = m, .n = n, .k = k, .array = {(char *)C_mn, (char *)A_mk, (char
        *)B_kn}, .ld = {ldc, lda, ldb},
    };
    return OP(call)(&call, 3, threads);
}

int OP(gemm_tn)(real *C_mn, int64_t ldc, const real *A_km, int64_t lda, const real *B_kn, int64_t ldb, int64_t m,
        int64_t n, int64_t k, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_GEMM_TN, .m = m, .n = n, .k = k, .array = {(char *)C_mn, (char *)A_km, (char
        *)B_kn}, .ld = {ldc, lda, ldb},
    };
    return OP(call)(&call, 3, threads);
}

int OP(gemm_nt)(real *C_mn, int64_t ldc, const real *A_mk, int64_t lda, const real *B_nk, int64_t ldb, int64_t m,
        int64_t n, int64_t k, real *scratch, int32_t threads)
{
    if (scratch == NULL) {
        return FNN_NULL;
    }
    fnn_call call = {
        .family = FNN_FAMILY_GEMM_NT, .m = m, .n = n, .k = k, .array = {(char *)C_mn, (char *)A_mk, (char
        *)B_nk}, .ld = {ldc, lda, ldb}, .scratch = (char *)scratch,
    };
    return OP(call)(&call, 3, threads);
}

int OP(dense_forward)(real *Z_bo, int64_t ldz, const real *X_bi, int64_t ldx, const real *W_io, int64_t ldw, const
        real *b_o, int64_t b, int64_t o, int64_t i, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_DENSE_FORWARD, .m = b, .n = o, .k = i, .array = {(char *)Z_bo, (char *)X_bi,
        (char *)W_io, (char *)b_o}, .ld = {ldz, ldx, ldw, 0},
    };
    return OP(call)(&call, 4, threads);
}

int OP(bias_backward)(real *db_o, const real *dZ_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BIAS_BACKWARD, .m = b, .n = o, .k = 0, .array = {(char *)db_o, (char *)dZ_bo},
        .ld = {0, ldz},
    };
    return OP(call)(&call, 2, threads);
}

int OP(activation_forward)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t code,
        double p, int32_t threads)
{
    if (code < 0 || code > FNN_ACTIVATION_COUNT - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_ACTIVATION_FORWARD, .m = b, .n = o, .k = 0, .array = {(char *)A_bo, (char
        *)Z_bo}, .ld = {lda, ldz}, .scalar = {p}, .code = code,
    };
    return OP(call)(&call, 2, threads);
}

int OP(activation_backward)(real *dZ_bo, int64_t ldz, const real *dA_bo, int64_t lda, const real *S_bo, int64_t lds,
        int64_t b, int64_t o, int32_t code, double p, int32_t threads)
{
    if (code < 0 || code > FNN_ACTIVATION_COUNT - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_ACTIVATION_BACKWARD, .m = b, .n = o, .k = 0, .array = {(char *)dZ_bo, (char
        *)dA_bo, (char *)S_bo}, .ld = {ldz, lda, lds}, .scalar = {p}, .code = code,
    };
    return OP(call)(&call, 3, threads);
}

int OP(softmax_forward)(real *P_bc, int64_t ldp, const real *Z_bc, int64_t ldz, int64_t b, int64_t c, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SOFTMAX_FORWARD, .m = b, .n = c, .k = 0, .array = {(char *)P_bc, (char *)Z_bc},
        .ld = {ldp, ldz},
    };
    return OP(call)(&call, 2, threads);
}

int OP(softmax_backward)(real *dZ_bc, int64_t ldz, const real *dP_bc, int64_t ld_dp, const real *P_bc, int64_t ldp,
        int64_t b, int64_t c, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SOFTMAX_BACKWARD, .m = b, .n = c, .k = 0, .array = {(char *)dZ_bc, (char
        *)dP_bc, (char *)P_bc}, .ld = {ldz, ld_dp, ldp},
    };
    return OP(call)(&call, 3, threads);
}

int OP(loss_forward)(real *l_b, int64_t ldl, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, int64_t b,
        int64_t c, int32_t code, double p, double keep, double add, int32_t threads)
{
    if (code < 0 || code > FNN_LOGITS - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_LOSS_FORWARD, .m = b, .n = c, .k = 0, .array = {(char *)l_b, (char *)A_bc,
        (char *)Y_bc}, .ld = {ldl, lda, ldy}, .scalar = {p, keep, add}, .code = code,
    };
    return OP(call)(&call, 3, threads);
}

int OP(loss_backward)(real *dA_bc, int64_t ldd, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, const
        real *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double p, double keep, double add,
        int32_t threads)
{
    if (code < 0 || code > FNN_LOGITS - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_LOSS_BACKWARD, .m = b, .n = c, .k = 0, .array = {(char *)dA_bc, (char *)A_bc,
        (char *)Y_bc, (char *)s_b}, .ld = {ldd, lda, ldy, lds}, .scalar = {p, keep, add}, .code = code,
    };
    return OP(call)(&call, 4, threads);
}

int OP(crossentropy_forward)(real *l_b, int64_t ldl, real *P_bc, int64_t ldp, const real *Z_bc, int64_t ldz, const
        real *Y_bc, int64_t ldy, int64_t b, int64_t c, int32_t code, double keep, double add, int32_t threads)
{
    if (code < FNN_LOGITS || code > FNN_LOSS_COUNT - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_CROSSENTROPY_FORWARD, .m = b, .n = c, .k = 0, .array = {(char *)l_b, (char
        *)P_bc, (char *)Z_bc, (char *)Y_bc}, .ld = {ldl, ldp, ldz, ldy}, .scalar = {keep, add}, .code =
        code,
    };
    return OP(call)(&call, 4, threads);
}

int OP(crossentropy_backward)(real *dZ_bc, int64_t ldz, const real *P_bc, int64_t ldp, const real *Y_bc, int64_t ldy,
        const real *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double keep, double add, int32_t threads)
{
    if (code < FNN_LOGITS || code > FNN_LOSS_COUNT - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_CROSSENTROPY_BACKWARD, .m = b, .n = c, .k = 0, .array = {(char *)dZ_bc, (char
        *)P_bc, (char *)Y_bc, (char *)s_b}, .ld = {ldz, ldp, ldy, lds}, .scalar = {keep, add}, .code = code,
    };
    return OP(call)(&call, 4, threads);
}

int OP(metric)(real *r_b, int64_t ldr, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, int64_t b,
        int64_t c, int32_t code, int32_t threads)
{
    if (code < FNN_ACCURACY || code > FNN_METRIC_r2_score - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_METRIC, .m = b, .n = c, .k = 0, .array = {(char *)r_b, (char *)A_bc, (char
        *)Y_bc}, .ld = {ldr, lda, ldy}, .code = code,
    };
    return OP(call)(&call, 3, threads);
}

int OP(r2_sums)(double *total, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, int64_t b, int64_t c,
        int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_R2_SUMS, .m = b, .n = c, .k = 0, .array = {(char *)total, (char *)A_bc, (char
        *)Y_bc}, .ld = {0, lda, ldy},
    };
    return OP(call)(&call, 3, threads);
}

int OP(weighted_sum)(double *total, const real *l_b, int64_t ldl, const real *w_b, int64_t ldw, int64_t b,
        int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_WEIGHTED_SUM, .m = b, .n = 1, .k = 0, .array = {(char *)total, (char *)l_b,
        (char *)w_b}, .ld = {0, ldl, ldw},
    };
    return OP(call)(&call, 3, threads);
}

int OP(row_scale)(real *s_b, int64_t lds, const real *w_b, int64_t ldw, int64_t b, double factor, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_ROW_SCALE, .m = b, .n = 1, .k = 0, .array = {(char *)s_b, (char *)w_b}, .ld =
        {lds, ldw}, .scalar = {factor},
    };
    return OP(call)(&call, 2, threads);
}

int OP(sum_abs)(double *total, const real *w_p, int64_t p, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SUM_ABS, .m = 1, .n = p, .k = 0, .array = {(char *)total, (char *)w_p},
    };
    return OP(call)(&call, 2, threads);
}

int OP(sum_squares)(double *total, const real *w_p, int64_t p, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SUM_SQUARES, .m = 1, .n = p, .k = 0, .array = {(char *)total, (char *)w_p},
    };
    return OP(call)(&call, 2, threads);
}

int OP(penalty_backward)(real *g_p, const real *w_p, int64_t p, double l1, double two_l2, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_PENALTY_BACKWARD, .m = 1, .n = p, .k = 0, .array = {(char *)g_p, (char *)w_p},
        .scalar = {l1, two_l2},
    };
    return OP(call)(&call, 2, threads);
}

int OP(decay_step)(real *theta_p, int64_t p, double factor, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_DECAY_STEP, .m = 1, .n = p, .k = 0, .array = {(char *)theta_p}, .scalar =
        {factor},
    };
    return OP(call)(&call, 1, threads);
}

int OP(optimizer_step)(real *theta_p, real *m_p, real *v_p, const real *g_p, int64_t p, int32_t code, double h0,
        double h1, double h2, double h3, int32_t threads)
{
    if (code < 0 || code > FNN_OPTIMIZER_COUNT - 1) {
        return FNN_BAD_CODE;
    }
    fnn_call call = {
        .family = FNN_FAMILY_OPTIMIZER_STEP, .m = 1, .n = p, .k = 0, .array = {(char *)theta_p, (char *)m_p,
        (char *)v_p, (char *)g_p}, .scalar = {h0, h1, h2, h3}, .code = code,
    };
    /* v and m may be NULL where the optimizer has no such slot. */
    if (g_p == NULL || (m_p == NULL && fnn_slots(code) > 0) || (v_p == NULL && fnn_slots(code) > 1)) {
        return FNN_NULL;
    }
    return OP(call)(&call, 1, threads);
}

int OP(dropout)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, double rate,
        int64_t seed, int64_t step, int64_t layer, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_DROPOUT, .m = b, .n = o, .k = 0, .array = {(char *)A_bo, (char *)Z_bo}, .ld =
        {lda, ldz}, .scalar = {rate}, .seed = seed, .step = step, .layer = layer,
    };
    return OP(call)(&call, 2, threads);
}

int OP(run_steps)(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
        int32_t threads)
{
    fnn_run run = {
        .mode = FNN_MODE_STEPS, .program = program, .data = data, .first = first, .last = last, .sums = sums,
    };
    return OP(program)(&run, threads);
}

int OP(gradient)(const fnn_program *program, const fnn_data *data, double *sums, int32_t threads)
{
    fnn_run run = {.mode = FNN_MODE_GRADIENT, .program = program, .data = data, .first = 0, .last = 1, .sums = sums};
    return OP(program)(&run, threads);
}

int OP(update)(const fnn_program *program, int32_t threads)
{
    fnn_run run = {.mode = FNN_MODE_UPDATE, .program = program};
    return OP(program)(&run, threads);
}

int OP(score)(const fnn_program *program, const fnn_data *data, int64_t first, int64_t last, double *sums,
        int32_t threads)
{
    fnn_run run = {
        .mode = FNN_MODE_SCORE, .program = program, .data = data, .first = first, .last = last, .sums = sums,
    };
    return OP(program)(&run, threads);
}

int OP(forward)(const fnn_program *program, const fnn_data *data, real *out, int32_t threads)
{
    fnn_run run = {.mode = FNN_MODE_FORWARD, .program = program, .data = data, .out = (char *)out};
    return OP(program)(&run, threads);
}

#endif
