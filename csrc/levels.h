/* Includes FNN_FILE once for every instruction set and dtype. Where its words come from: FNN_LEVEL and FNN_F64 are set
 * here; vector.h makes of them `real`, its vector V of W reals, LOAD ... STORE_FIRST, the algebra FMA, SELECT ..., and
 * FN(name), which is fnn_name_f32_avx2 and so on; KERNEL and INLINE, which carry the instruction set; then it includes
 * the generated formulas and kernels.h, what the families call of each other. At the second inclusion FNN_LEVEL is
 * defined, so that the file's text follows instead of this header.
 */
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
