/* Includes FNN_FILE once for every instruction set and dtype. */
#define FNN_AVX512 3
#define FNN_AVX2 2
#define FNN_PORTABLE 1

#if FNN_X86
#define FNN_LEVEL FNN_AVX512
#define FNN_F64 0
#include "vector.h"
#include FNN_FILE
#undef FNN_F64
#define FNN_F64 1
#include "vector.h"
#include FNN_FILE
#undef FNN_F64
#undef FNN_LEVEL

#define FNN_LEVEL FNN_AVX2
#define FNN_F64 0
#include "vector.h"
#include FNN_FILE
#undef FNN_F64
#define FNN_F64 1
#include "vector.h"
#include FNN_FILE
#undef FNN_F64
#undef FNN_LEVEL
#endif

#define FNN_LEVEL FNN_PORTABLE
#define FNN_F64 0
#include "vector.h"
#include FNN_FILE
#undef FNN_F64
#define FNN_F64 1
#include "vector.h"
#include FNN_FILE
#undef FNN_F64
#undef FNN_LEVEL
