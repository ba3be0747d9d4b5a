/* The public operations: a call of each, checks, then a team of threads. */
#ifndef OP

#include "internal.h"

int fnn_slots(int32_t code)
{
    switch (code) {
#define FNN_ITEM(name, slots, scalars) case FNN_OPTIMIZER_##name: return slots;
#include "optimizers.h"
#undef FNN_ITEM
    default:
        return 0;
    }
}

int fnn_vectors(int32_t code)
{
    switch (code) {
#define FNN_ITEM(name, maximum, forward_sums, backward_sums, vectors) case FNN_ROW_WISE_##name: return vectors;
#include "rowwise.h"
#undef FNN_ITEM
    default:
        return 0;
    }
}

#define FNN_FILE "calls.c"
#include "dtypes.h"

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
    fnn_launch_shares(OP(workers)()->operate, call, threads);
    return FNN_OK;
}

/* The same for an operation whose code lies in [first, end). */
static int OP(coded_call)(fnn_call *call, int32_t first, int32_t end, int needed, int32_t threads)
{
    return call->code < first || call->code >= end ? FNN_BAD_CODE : OP(call)(call, needed, threads);
}

/* The same for a matrix product, whose scratch must be there too. */
static int OP(gemm)(fnn_call *call, int needed, int32_t threads)
{
    call->array[needed] = call->scratch;
    return OP(call)(call, needed + 1, threads);
}

int OP(gemm_nn)(real *C_mn, int64_t ldc, const real *A_mk, int64_t lda, const real *B_kn, int64_t ldb, int64_t m,
                int64_t n, int64_t k, real *scratch, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_GEMM_NN, .m = m, .n = n, .k = k,
        .array = {C_mn, A_mk, B_kn}, .ld = {ldc, lda, ldb}, .scratch = scratch,
    };
    return OP(gemm)(&call, 3, threads);
}

int OP(gemm_tn)(real *C_mn, int64_t ldc, const real *A_km, int64_t lda, const real *B_kn, int64_t ldb, int64_t m,
                int64_t n, int64_t k, real *scratch, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_GEMM_TN, .m = m, .n = n, .k = k,
        .array = {C_mn, A_km, B_kn}, .ld = {ldc, lda, ldb}, .scratch = scratch,
    };
    return OP(gemm)(&call, 3, threads);
}

int OP(gemm_nt)(real *C_mn, int64_t ldc, const real *A_mk, int64_t lda, const real *B_nk, int64_t ldb, int64_t m,
                int64_t n, int64_t k, real *scratch, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_GEMM_NT, .m = m, .n = n, .k = k,
        .array = {C_mn, A_mk, B_nk}, .ld = {ldc, lda, ldb}, .scratch = scratch,
    };
    return OP(gemm)(&call, 3, threads);
}

int OP(dense_forward)(real *Z_bo, int64_t ldz, const real *X_bi, int64_t ldx, const real *W_io, int64_t ldw,
                      const real *b_o, int64_t b, int64_t o, int64_t i, real *scratch, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_DENSE_FORWARD, .m = b, .n = o, .k = i,
        .array = {Z_bo, X_bi, W_io, b_o}, .ld = {ldz, ldx, ldw}, .scratch = scratch,
    };
    return OP(gemm)(&call, 4, threads);
}

int OP(bias_backward)(real *db_o, const real *dZ_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BIAS_BACKWARD, .m = b, .n = o, .array = {db_o, dZ_bo}, .ld = {0, ldz},
    };
    return OP(call)(&call, 2, threads);
}

int OP(activation_forward)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t code,
                           double p, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_ACTIVATION_FORWARD, .code = code, .m = b, .n = o,
        .array = {A_bo, Z_bo}, .ld = {lda, ldz}, .scalar = {p},
    };
    return OP(coded_call)(&call, 0, FNN_ACTIVATION_COUNT, 2, threads);
}

int OP(activation_backward)(real *dZ_bo, int64_t ldz, const real *dA_bo, int64_t lda, const real *S_bo, int64_t lds,
                            int64_t b, int64_t o, int32_t code, double p, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_ACTIVATION_BACKWARD, .code = code, .m = b, .n = o,
        .array = {dZ_bo, dA_bo, S_bo}, .ld = {ldz, lda, lds}, .scalar = {p},
    };
    return OP(coded_call)(&call, 0, FNN_ACTIVATION_COUNT, 3, threads);
}

int OP(softmax_forward)(real *P_bc, int64_t ldp, const real *Z_bc, int64_t ldz, int64_t b, int64_t c, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SOFTMAX_FORWARD, .m = b, .n = c, .array = {P_bc, Z_bc}, .ld = {ldp, ldz},
    };
    return OP(call)(&call, 2, threads);
}

int OP(softmax_backward)(real *dZ_bc, int64_t ldz, const real *dP_bc, int64_t ld_dp, const real *P_bc, int64_t ldp,
                         int64_t b, int64_t c, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SOFTMAX_BACKWARD, .m = b, .n = c,
        .array = {dZ_bc, dP_bc, P_bc}, .ld = {ldz, ld_dp, ldp},
    };
    return OP(call)(&call, 3, threads);
}

int OP(loss_forward)(real *l_b, int64_t ldl, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, int64_t b,
                     int64_t c, int32_t code, double p, double keep, double add, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_LOSS_FORWARD, .code = code, .m = b, .n = c,
        .array = {l_b, A_bc, Y_bc}, .ld = {ldl, lda, ldy}, .scalar = {p, keep, add},
    };
    return OP(coded_call)(&call, 0, FNN_LOGITS, 3, threads);
}

int OP(loss_backward)(real *dA_bc, int64_t ldd, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy,
                      const real *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double p, double keep,
                      double add, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_LOSS_BACKWARD, .code = code, .m = b, .n = c,
        .array = {dA_bc, A_bc, Y_bc, s_b}, .ld = {ldd, lda, ldy, lds}, .scalar = {p, keep, add},
    };
    return OP(coded_call)(&call, 0, FNN_LOGITS, 4, threads);
}

int OP(crossentropy_forward)(real *l_b, int64_t ldl, real *P_bc, int64_t ldp, const real *Z_bc, int64_t ldz,
                             const real *Y_bc, int64_t ldy, int64_t b, int64_t c, int32_t code, double keep, double add,
                             int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_CROSSENTROPY_FORWARD, .code = code, .m = b, .n = c,
        .array = {l_b, P_bc, Z_bc, Y_bc}, .ld = {ldl, ldp, ldz, ldy}, .scalar = {0.0, keep, add},
    };
    return OP(coded_call)(&call, FNN_LOGITS, FNN_LOSS_COUNT, 4, threads);
}

int OP(crossentropy_backward)(real *dZ_bc, int64_t ldz, const real *P_bc, int64_t ldp, const real *Y_bc, int64_t ldy,
                              const real *s_b, int64_t lds, int64_t b, int64_t c, int32_t code, double keep, double add,
                              int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_CROSSENTROPY_BACKWARD, .code = code, .m = b, .n = c,
        .array = {dZ_bc, P_bc, Y_bc, s_b}, .ld = {ldz, ldp, ldy, lds}, .scalar = {0.0, keep, add},
    };
    return OP(coded_call)(&call, FNN_LOGITS, FNN_LOSS_COUNT, 4, threads);
}

int OP(metric)(real *r_b, int64_t ldr, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, int64_t b,
               int64_t c, int32_t code, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_METRIC, .code = code, .m = b, .n = c,
        .array = {r_b, A_bc, Y_bc}, .ld = {ldr, lda, ldy},
    };
    return OP(coded_call)(&call, FNN_ACCURACY, FNN_METRIC_r2_score, 3, threads);
}

int OP(r2_sums)(double *total, const real *A_bc, int64_t lda, const real *Y_bc, int64_t ldy, const real *w_b,
                int64_t ldw, int64_t b, int64_t c, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_R2_SUMS, .m = b, .n = c, .array = {total, A_bc, Y_bc, w_b}, .ld = {0, lda, ldy, ldw},
    };
    return OP(call)(&call, 4, threads);
}

int OP(weighted_sum)(double *total, const real *l_b, int64_t ldl, const real *w_b, int64_t ldw, int64_t b,
                     int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_WEIGHTED_SUM, .m = b, .n = 1, .array = {total, l_b, w_b}, .ld = {0, ldl, ldw},
    };
    return OP(call)(&call, 3, threads);
}

int OP(row_scale)(real *s_b, int64_t lds, const real *w_b, int64_t ldw, int64_t b, double factor, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_ROW_SCALE, .m = b, .n = 1, .array = {s_b, w_b}, .ld = {lds, ldw}, .scalar = {factor},
    };
    return OP(call)(&call, 2, threads);
}

int OP(sum_abs)(double *total, const real *w_p, int64_t p, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_SUM_ABS, .m = 1, .n = p, .array = {total, w_p}};
    return OP(call)(&call, 2, threads);
}

int OP(sum_squares)(double *total, const real *w_p, int64_t p, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_SUM_SQUARES, .m = 1, .n = p, .array = {total, w_p}};
    return OP(call)(&call, 2, threads);
}

int OP(penalty_backward)(real *g_p, const real *w_p, int64_t p, double l1, double two_l2, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_PENALTY_BACKWARD, .m = 1, .n = p, .array = {g_p, w_p}, .scalar = {l1, two_l2},
    };
    return OP(call)(&call, 2, threads);
}

int OP(decay_step)(real *theta_p, int64_t p, double factor, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_DECAY_STEP, .m = 1, .n = p, .array = {theta_p}, .scalar = {factor}};
    return OP(call)(&call, 1, threads);
}

int OP(optimizer_step)(real *theta_p, real *m_p, real *v_p, real *u_p, const real *g_p, int64_t p, int32_t code,
                       const double *h, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_OPTIMIZER_STEP, .code = code, .m = 1, .n = p, .array = {theta_p, g_p, m_p, v_p, u_p},
    };
    if (h == NULL) {
        return FNN_NULL;
    }
    memcpy(call.scalar, h, sizeof call.scalar);
    return OP(coded_call)(&call, 0, FNN_OPTIMIZER_COUNT, 2 + fnn_slots(code), threads);
}

int OP(dropout)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, double rate,
                int64_t seed, int64_t step, int64_t layer, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_DROPOUT, .m = b, .n = o, .array = {A_bo, Z_bo}, .ld = {lda, ldz}, .scalar = {rate},
        .seed = seed, .step = step, .layer = layer,
    };
    return OP(call)(&call, 2, threads);
}

int OP(uniform)(real *A_bo, int64_t lda, int64_t b, int64_t o, int64_t seed, int64_t step, int64_t layer, int64_t row,
                int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_UNIFORM, .m = b, .n = o, .k = row, .array = {A_bo}, .ld = {lda},
        .seed = seed, .step = step, .layer = layer,
    };
    return OP(call)(&call, 1, threads);
}

int OP(affine)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, double scale,
               double offset, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_AFFINE, .m = b, .n = o, .array = {A_bo, Z_bo}, .ld = {lda, ldz}, .scalar = {scale, offset},
    };
    return OP(call)(&call, 2, threads);
}

int OP(batch_moments)(real *mean_o, real *var_o, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, double inverse_b,
                      int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BATCH_MOMENTS, .m = b, .n = o,
        .array = {mean_o, var_o, Z_bo}, .ld = {0, 0, ldz}, .scalar = {inverse_b},
    };
    return OP(call)(&call, 3, threads);
}

int OP(moving_average)(real *m_o, const real *x_o, int64_t o, double rate, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_MOVING_AVERAGE, .m = 1, .n = o, .array = {m_o, x_o}, .scalar = {rate}};
    return OP(call)(&call, 2, threads);
}

int OP(inverse_deviation)(real *inv_o, const real *var_o, int64_t o, int32_t code, double epsilon, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_INVERSE_DEVIATION, .code = code, .m = 1, .n = o,
        .array = {inv_o, var_o}, .scalar = {epsilon},
    };
    return OP(coded_call)(&call, 0, FNN_DEVIATION_CODE_inverse_deviation_floor + 1, 2, threads);
}

int OP(standardize_forward)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, const real *mean_o,
                            const real *inv_o, const real *gamma_o, const real *beta_o, int64_t b, int64_t o,
                            int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_STANDARDIZE_FORWARD, .m = b, .n = o,
        .array = {A_bo, Z_bo, mean_o, inv_o, gamma_o, beta_o}, .ld = {lda, ldz},
    };
    return OP(call)(&call, 6, threads);
}

int OP(standardize_backward)(real *dZ_bo, int64_t ldz, const real *dA_bo, int64_t lda, const real *inv_o,
                             const real *gamma_o, int64_t b, int64_t o, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_STANDARDIZE_BACKWARD, .m = b, .n = o,
        .array = {dZ_bo, dA_bo, inv_o, gamma_o}, .ld = {ldz, lda},
    };
    return OP(call)(&call, 4, threads);
}

int OP(batch_norm_forward)(real *A_bo, int64_t lda, real *N_bo, int64_t ldn, const real *Z_bo, int64_t ldz,
                           const real *mean_o, const real *inv_o, const real *gamma_o, const real *beta_o, int64_t b,
                           int64_t o, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BATCH_NORM_FORWARD, .m = b, .n = o,
        .array = {A_bo, N_bo, Z_bo, mean_o, inv_o, gamma_o, beta_o}, .ld = {lda, ldn, ldz},
    };
    return OP(call)(&call, 7, threads);
}

int OP(scale_backward)(real *dg_o, const real *dA_bo, int64_t lda, const real *N_bo, int64_t ldn, int64_t b, int64_t o,
                       int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_SCALE_BACKWARD, .m = b, .n = o, .array = {dg_o, dA_bo, N_bo}, .ld = {0, lda, ldn},
    };
    return OP(call)(&call, 3, threads);
}

int OP(batch_norm_backward)(real *dZ_bo, int64_t ldz, const real *dA_bo, int64_t lda, const real *N_bo, int64_t ldn,
                            const real *inv_o, const real *gamma_o, const real *db_o, const real *dg_o, int64_t b,
                            int64_t o, double inverse_b, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BATCH_NORM_BACKWARD, .m = b, .n = o,
        .array = {dZ_bo, dA_bo, N_bo, inv_o, gamma_o, db_o, dg_o}, .ld = {ldz, lda, ldn}, .scalar = {inverse_b},
    };
    return OP(call)(&call, 7, threads);
}

int OP(layer_norm_forward)(real *A_bo, int64_t lda, real *N_bo, int64_t ldn, real *inv_b, int64_t ldi,
                           const real *Z_bo, int64_t ldz, const real *gamma_o, const real *beta_o, int64_t b, int64_t o,
                           double epsilon, double inverse_o, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_LAYER_NORM_FORWARD, .m = b, .n = o, .array = {A_bo, N_bo, inv_b, Z_bo, gamma_o, beta_o},
        .ld = {lda, ldn, ldi, ldz}, .scalar = {epsilon, inverse_o},
    };
    return OP(call)(&call, 6, threads);
}

int OP(layer_norm_backward)(real *dZ_bo, int64_t ldz, const real *dA_bo, int64_t lda, const real *N_bo, int64_t ldn,
                            const real *inv_b, int64_t ldi, const real *gamma_o, int64_t b, int64_t o, double inverse_o,
                            int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_LAYER_NORM_BACKWARD, .m = b, .n = o,
        .array = {dZ_bo, dA_bo, N_bo, inv_b, gamma_o}, .ld = {ldz, lda, ldn, ldi}, .scalar = {inverse_o},
    };
    return OP(call)(&call, 5, threads);
}

int OP(row_wise_forward)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, const real *v_o, const real *w_o,
                         int64_t b, int64_t o, int32_t code, const double *h, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_ROW_WISE_FORWARD, .code = code, .m = b, .n = o,
        .array = {A_bo, Z_bo, v_o, w_o}, .ld = {lda, ldz},
    };
    if (h == NULL) {
        return FNN_NULL;
    }
    memcpy(call.scalar, h, FNN_MOST_CONSTANTS * sizeof *h);
    return OP(coded_call)(&call, 0, FNN_ROW_WISE_COUNT, 2 + fnn_vectors(code), threads);
}

int OP(row_wise_backward)(real *dZ_bo, int64_t ldz, const real *dA_bo, int64_t lda, const real *S_bo, int64_t lds,
                          const real *v_o, const real *w_o, int64_t b, int64_t o, int32_t code, const double *h,
                          int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_ROW_WISE_BACKWARD, .code = code, .m = b, .n = o,
        .array = {dZ_bo, dA_bo, S_bo, v_o, w_o}, .ld = {ldz, lda, lds},
    };
    if (h == NULL) {
        return FNN_NULL;
    }
    memcpy(call.scalar, h, FNN_MOST_CONSTANTS * sizeof *h);
    return OP(coded_call)(&call, 0, FNN_ROW_WISE_COUNT, 3 + fnn_vectors(code), threads);
}

int OP(vector_backward)(real *dv_o, const real *dA_bo, int64_t lda, const real *S_bo, int64_t lds, int64_t b,
                        int64_t o, int32_t code, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_VECTOR_BACKWARD, .code = code, .m = b, .n = o,
        .array = {dv_o, dA_bo, S_bo}, .ld = {0, lda, lds},
    };
    return OP(coded_call)(&call, 0, FNN_VECTOR_COUNT, 3, threads);
}

int OP(binary)(real *C_bo, int64_t ldc, const real *A_bo, int64_t lda, const real *B_bo, int64_t ldb, int64_t b,
               int64_t o, int32_t code, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BINARY, .code = code, .m = b, .n = o, .array = {C_bo, A_bo, B_bo}, .ld = {ldc, lda, ldb},
    };
    return OP(coded_call)(&call, 0, FNN_BINARY_COUNT, 3, threads);
}

int OP(binary_backward)(real *dX_bo, int64_t ldx, const real *dC_bo, int64_t ldc, const real *A_bo, int64_t lda,
                        const real *B_bo, int64_t ldb, int64_t b, int64_t o, int32_t code, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_BINARY_BACKWARD, .code = code, .m = b, .n = o,
        .array = {dX_bo, dC_bo, A_bo, B_bo}, .ld = {ldx, ldc, lda, ldb},
    };
    return OP(coded_call)(&call, 0, FNN_BINARY_GRADIENT_COUNT, 4, threads);
}

int OP(copy)(real *A_bo, int64_t lda, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_COPY, .m = b, .n = o, .array = {A_bo, Z_bo}, .ld = {lda, ldz}};
    return OP(call)(&call, 2, threads);
}

int OP(fill)(real *A_bo, int64_t lda, int64_t b, int64_t o, double value, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_FILL, .m = b, .n = o, .array = {A_bo}, .ld = {lda}, .scalar = {value}};
    return OP(call)(&call, 1, threads);
}

int OP(row_sum)(real *s_b, int64_t lds, const real *Z_bo, int64_t ldz, int64_t b, int64_t o, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_ROW_SUM, .m = b, .n = o, .array = {s_b, Z_bo}, .ld = {lds, ldz}};
    return OP(call)(&call, 2, threads);
}

int OP(repeat)(real *A_bo, int64_t lda, const real *s_b, int64_t lds, int64_t b, int64_t o, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_REPEAT, .m = b, .n = o, .array = {A_bo, s_b}, .ld = {lda, lds}};
    return OP(call)(&call, 2, threads);
}

int OP(embedding_forward)(real *A_be, int64_t lda, const real *y_bn, int64_t ldy, const real *W_vd, int64_t ldw,
                          int64_t b, int64_t e, int64_t d, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_EMBEDDING_FORWARD, .m = b, .n = e, .k = d,
        .array = {A_be, y_bn, W_vd}, .ld = {lda, ldy, ldw},
    };
    return d < 1 && e > 0 ? FNN_BAD_SIZE : OP(call)(&call, 3, threads);
}

int OP(embedding_backward)(real *dW_vd, int64_t ldw, const real *y_bn, int64_t ldy, const real *dA_be, int64_t lda,
                           int64_t b, int64_t e, int64_t d, int32_t threads)
{
    fnn_call call = {
        .family = FNN_FAMILY_EMBEDDING_BACKWARD, .m = b, .n = e, .k = d,
        .array = {dW_vd, y_bn, dA_be}, .ld = {ldw, ldy, lda},
    };
    return d < 1 && e > 0 ? FNN_BAD_SIZE : OP(call)(&call, 3, threads);
}

int OP(clip_value)(real *g_p, int64_t p, double limit, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_CLIP_VALUE, .m = 1, .n = p, .array = {g_p}, .scalar = {limit}};
    return OP(call)(&call, 1, threads);
}

int OP(gradient_scale)(real *g_p, int64_t p, double factor, int32_t threads)
{
    fnn_call call = {.family = FNN_FAMILY_GRADIENT_SCALE, .m = 1, .n = p, .array = {g_p}, .scalar = {factor}};
    return OP(call)(&call, 1, threads);
}

#endif
