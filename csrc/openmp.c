/* Threads by OpenMP, a library of its own: where its runtime is missing, fastnn.h's functions run on one thread. */
#include <stdint.h>

#include "openmp.h"

void fnn_openmp_region(void (*member)(void *), void *context, int32_t threads)
{
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
    member(context);
#else
    (void)threads;
    member(context);
#endif
}
