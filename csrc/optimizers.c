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

INLINE void FN(step)(void (*formula)(V *, V *, V *, V, const V *), const int slots, real *theta, real *s0, real *s1,
                     const real *g, int64_t n, const real *scalars, int64_t ahead)
{
    V h[4];
    for (int i = 0; i < 4; i++) {
        h[i] = SPLAT(scalars[i]);
    }
    V t, m = SPLAT((real)0), v = m;
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        FN(ask)(theta + i, ahead);
        t = LOAD(theta + i);
        if (slots > 0) {
            FN(ask)(s0 + i, ahead);
            m = LOAD(s0 + i);
        }
        if (slots > 1) {
            FN(ask)(s1 + i, ahead);
            v = LOAD(s1 + i);
        }
        formula(&t, &m, &v, LOAD(g + i), h);
        STORE(theta + i, t);
        if (slots > 0) {
            STORE(s0 + i, m);
        }
        if (slots > 1) {
            STORE(s1 + i, v);
        }
    }
    if (i < n) {
        const int64_t left = n - i;
        t = LOAD_FIRST(theta + i, left);
        if (slots > 0) {
            m = LOAD_FIRST(s0 + i, left);
        }
        if (slots > 1) {
            v = LOAD_FIRST(s1 + i, left);
        }
        formula(&t, &m, &v, LOAD_FIRST(g + i, left), h);
        STORE_FIRST(theta + i, t, left);
        if (slots > 0) {
            STORE_FIRST(s0 + i, m, left);
        }
        if (slots > 1) {
            STORE_FIRST(s1 + i, v, left);
        }
    }
}

KERNEL void FN(optimizer_step)(int code, real *theta, real *s0, real *s1, const real *g, int64_t n, const real *h,
                               int64_t ahead)
{
    switch (code) {
#define FNN_ITEM(name, slots) \
    case FNN_OPTIMIZER_##name: FN(step)(FN(name##_step), slots, theta, s0, s1, g, n, h, ahead); break;
#include "optimizers.h"
#undef FNN_ITEM
    default:
        break;
    }
}

#endif
