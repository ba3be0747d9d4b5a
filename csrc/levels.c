/* The choice of the instruction set, and the workers compiled for each. */
#include "internal.h"

#include <stdlib.h>

enum { PORTABLE, AVX2, AVX512, LEVELS };

static const char *const names[LEVELS] = {"portable", "avx2", "avx512"};
static int level = PORTABLE;

#define WORKERS(dtype, set) {fnn_operate_##dtype##_##set, fnn_work_##dtype##_##set, fnn_scan_##dtype##_##set}
fnn_worker fnn_operate_f32_portable, fnn_work_f32_portable, fnn_scan_f32_portable;
fnn_worker fnn_operate_f64_portable, fnn_work_f64_portable, fnn_scan_f64_portable;
fnn_philox fnn_philox_portable;
#if FNN_X86
fnn_worker fnn_operate_f32_avx2, fnn_work_f32_avx2, fnn_scan_f32_avx2;
fnn_worker fnn_operate_f64_avx2, fnn_work_f64_avx2, fnn_scan_f64_avx2;
fnn_worker fnn_operate_f32_avx512, fnn_work_f32_avx512, fnn_scan_f32_avx512;
fnn_worker fnn_operate_f64_avx512, fnn_work_f64_avx512, fnn_scan_f64_avx512;
fnn_philox fnn_philox_avx2, fnn_philox_avx512;
static const fnn_workers f32[LEVELS] = {WORKERS(f32, portable), WORKERS(f32, avx2), WORKERS(f32, avx512)};
static const fnn_workers f64[LEVELS] = {WORKERS(f64, portable), WORKERS(f64, avx2), WORKERS(f64, avx512)};
static fnn_philox *const philox[LEVELS] = {fnn_philox_portable, fnn_philox_avx2, fnn_philox_avx512};
#else
static const fnn_workers f32[LEVELS] = {WORKERS(f32, portable)};
static const fnn_workers f64[LEVELS] = {WORKERS(f64, portable)};
static fnn_philox *const philox[LEVELS] = {fnn_philox_portable};
#endif

const fnn_workers *fnn_workers_f32(void)
{
    return &f32[level];
}

const fnn_workers *fnn_workers_f64(void)
{
    return &f64[level];
}

fnn_philox *fnn_philox_in_use(void)
{
    return philox[level];
}

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
    for (int index = 0; index <= best; index++) {
        if (strcmp(name, names[index]) == 0) {
            level = index;
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
