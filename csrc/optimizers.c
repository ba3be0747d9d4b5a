/* Optimizers: one loop over a range of theta, its slots and its gradient. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "optimizers.c"
#include "levels.h"

#else

/* Asks for a line that will be written later: a step is too long a chain for the processor to come to it in time, and
 * other cores may have the line, too. */
INLINE void FN(ask)(const real *p, int64_t ahead)
{
    __builtin_prefetch((const char *)p + ahead, 1);
}

INLINE void FN(step)(void (*formula)(V *, V *, V, const V *), const int slots, const int scalars, real *theta,
                     void *const *slot, int64_t first, const real *g, int64_t n, const double *values, int64_t ahead)
{
    V h[FNN_MOST_SCALARS], s[FNN_MOST_SLOTS], t;
    real *places[FNN_MOST_SLOTS];
    for (int j = 0; j < scalars; j++) {
        h[j] = SPLAT((real)values[j]);
    }
    for (int j = 0; j < slots; j++) {
        places[j] = (real *)slot[j] + first;
    }
    theta += first;
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        FN(ask)(theta + i, ahead);
        t = LOAD(theta + i);
        FNN_UNROLL
        for (int j = 0; j < slots; j++) {
            FN(ask)(places[j] + i, ahead);
            s[j] = LOAD(places[j] + i);
        }
        formula(&t, s, LOAD(g + i), h);
        STORE(theta + i, t);
        FNN_UNROLL
        for (int j = 0; j < slots; j++) {
            STORE(places[j] + i, s[j]);
        }
    }
    if (i < n) {
        const int64_t left = n - i;
        t = LOAD_FIRST(theta + i, left);
        FNN_UNROLL
        for (int j = 0; j < slots; j++) {
            s[j] = LOAD_FIRST(places[j] + i, left);
        }
        formula(&t, s, LOAD_FIRST(g + i, left), h);
        STORE_FIRST(theta + i, t, left);
        FNN_UNROLL
        for (int j = 0; j < slots; j++) {
            STORE_FIRST(places[j] + i, s[j], left);
        }
    }
}

KERNEL void FN(optimizer_step)(int code, real *theta, void *const *slots, int64_t first, const real *g, int64_t n,
                               const double *h, int64_t ahead)
{
    switch (code) {
#define FNN_ITEM(name, slots_of, scalars)                                                           \
    case FNN_OPTIMIZER_##name:                                                                      \
        FN(step)(FN(name##_step), slots_of, scalars, theta, slots, first, g, n, h, ahead);          \
        break;
#include "optimizers.h"
#undef FNN_ITEM
    default:
        break;
    }
}

#endif
