/* A region for fnn_set_region. */
#ifndef FASTNN_OPENMP_H
#define FASTNN_OPENMP_H

#include <stdint.h>

void fnn_openmp_region(void (*member)(void *), void *context, int32_t threads);

#endif
