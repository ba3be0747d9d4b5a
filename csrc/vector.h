/* The vectors of one instruction set (FNN_LEVEL) and dtype (FNN_F64), and the algebra of arithmetic.py over them.
 *
 * Included anew for each pair: V a vector of W reals, VI and VU its integers, M a condition. FN(name) is the name that
 * the pair's functions have, KERNEL and INLINE begin their definitions.
 */
#undef real
#undef W
#undef PARTS
#undef BYTES
#undef SUFFIX
#undef TARGET
#undef MM
#undef V
#undef VI
#undef VU
#undef M
#undef INT
#undef UINT
#undef SIGN_BIT
#undef REAL_F
#undef LT
#undef LE
#undef GT
#undef GE
#undef EQ
#undef NE
#undef NO_BITS
#undef M_AND
#undef M_OR
#undef M_NOT
#undef SELECT
#undef MIN
#undef MAX
#undef SPLAT
#undef FMA
#undef SQRT
#undef FMA_WIDE

#if FNN_X86 && !defined(FNN_IMMINTRIN)
#define FNN_IMMINTRIN
#include <immintrin.h>
#endif

#if FNN_F64
#define real double
#define INT int64_t
#define UINT uint64_t
#define SIGN_BIT 0x8000000000000000ULL
#define REAL_F(name, suffix) FNN_CAT(name, _f64_, suffix)
#else
#define real float
#define INT int32_t
#define UINT uint32_t
#define SIGN_BIT 0x80000000U
#define REAL_F(name, suffix) FNN_CAT(name, _f32_, suffix)
#endif

#if FNN_LEVEL == FNN_AVX512
#define BYTES 64
#define SUFFIX avx512
/* Every processor with AVX-512 can ask for a line that it will write. */
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prfchw")))
#elif FNN_LEVEL == FNN_AVX2
#define BYTES 32
#define SUFFIX avx2
#define TARGET __attribute__((target("avx2,fma")))
#else
#define BYTES 16
#define SUFFIX portable
#define TARGET
#endif

#undef FN
#define FN(name) REAL_F(fnn_##name, SUFFIX)
#undef INLINE
#define INLINE static inline __attribute__((always_inline, unused)) TARGET
#undef KERNEL
#define KERNEL __attribute__((noinline)) TARGET

#define W (BYTES / (int64_t)sizeof(real))
#define FNN_BLOCK_COLUMNS (FNN_BLOCK_BYTES / (int64_t)sizeof(real))
/* A thread's buffer: blocks of B, rows of A, an fnn_expected, the gradient of a block of a W. */
#define FNN_PACKED_ROWS (FNN_PACKED_CHUNKS * FNN_K_CHUNK * FNN_BLOCK_COLUMNS)
#define FNN_EXPECTED (FNN_PACKED_ROWS + FNN_K_CHUNK * FNN_BLOCK_ROWS)
#define FNN_PACK_SIZE (FNN_EXPECTED + 64 / (int64_t)sizeof(real))
#undef FNN_SCRATCH
#if FNN_F64
#define FNN_SCRATCH FNN_SCRATCH_F64
#else
#define FNN_SCRATCH FNN_SCRATCH_F32
#endif
_Static_assert(FNN_SCRATCH >= FNN_PACK_SIZE + FNN_BLOCK_ROWS * FNN_BLOCK_COLUMNS && FNN_SCRATCH >= FNN_PACK_SIZE +
               FNN_GRADIENT_BLOCK && FNN_SCRATCH * (int64_t)sizeof(real) % 64 == 0 && sizeof(fnn_expected) <= 64,
               "a thread's scratch holds all of its parts");
#define PARTS (FNN_LANES / W)

typedef real FN(V) __attribute__((vector_size(BYTES)));
typedef INT FN(VI) __attribute__((vector_size(BYTES)));
typedef UINT FN(VU) __attribute__((vector_size(BYTES)));
#define V FN(V)
#define VI FN(VI)
#define VU FN(VU)

#if FNN_LEVEL == FNN_AVX512 && FNN_F64
#define MM(name) FNN_CAT(_mm512_, name, _pd)
#define M_MM(name) FNN_CAT(_mm512_, name, _pd_mask)
#elif FNN_LEVEL == FNN_AVX512
#define MM(name) FNN_CAT(_mm512_, name, _ps)
#define M_MM(name) FNN_CAT(_mm512_, name, _ps_mask)
#elif FNN_LEVEL == FNN_AVX2 && FNN_F64
#define MM(name) FNN_CAT(_mm256_, name, _pd)
#elif FNN_LEVEL == FNN_AVX2
#define MM(name) FNN_CAT(_mm256_, name, _ps)
#endif

/* --- conditions ------------------------------------------------------------------------------------------------- */

#if FNN_LEVEL == FNN_AVX512
#if FNN_F64
#define M __mmask8
#define COMPARE(a, b, how) _mm512_cmp_pd_mask(a, b, how)
#else
#define M __mmask16
#define COMPARE(a, b, how) _mm512_cmp_ps_mask(a, b, how)
#endif
INLINE M FN(lt)(V a, V b)
{
    return COMPARE(a, b, _CMP_LT_OQ);
}
INLINE M FN(le)(V a, V b)
{
    return COMPARE(a, b, _CMP_LE_OQ);
}
INLINE M FN(eq)(V a, V b)
{
    return COMPARE(a, b, _CMP_EQ_OQ);
}
INLINE M FN(ne)(V a, V b)
{
    return COMPARE(a, b, _CMP_NEQ_UQ);
}
/* Whether none of these bits is set. */
INLINE M FN(no_bits)(VU a, UINT bits)
{
#if FNN_F64
    return _mm512_testn_epi64_mask((__m512i)a, _mm512_set1_epi64((INT)bits));
#else
    return _mm512_testn_epi32_mask((__m512i)a, _mm512_set1_epi32((INT)bits));
#endif
}
#undef COMPARE
#define LT(a, b) FN(lt)(a, b)
#define LE(a, b) FN(le)(a, b)
#define GT(a, b) FN(lt)(b, a)
#define GE(a, b) FN(le)(b, a)
#define EQ(a, b) FN(eq)(a, b)
#define NE(a, b) FN(ne)(a, b)
#define NO_BITS(a, bits) FN(no_bits)(a, bits)
#define M_AND(a, b) ((M)((a) & (b)))
#define M_OR(a, b) ((M)((a) | (b)))
#define M_NOT(a) ((M) ~(a))
#define SELECT(m, a, b) ((V)MM(mask_blend)(m, b, a))
#undef M_MM

/* The first n lanes. */
INLINE M FN(first)(int64_t n)
{
    return (M)(n >= W ? -1 : (int)((1U << n) - 1U));
}
/* Lane i: bit i. */
INLINE M FN(of_bits)(uint64_t bits)
{
    return (M)bits;
}
INLINE bool FN(any)(M m)
{
    return m != 0;
}
#else
#define M FN(VI)
#define LT(a, b) ((M)((a) < (b)))
#define LE(a, b) ((M)((a) <= (b)))
#define GT(a, b) ((M)((a) > (b)))
#define GE(a, b) ((M)((a) >= (b)))
#define EQ(a, b) ((M)((a) == (b)))
#define NE(a, b) ((M)((a) != (b)))
#define NO_BITS(a, bits) ((M)(((a) & (bits)) == 0))
#define M_AND(a, b) ((a) & (b))
#define M_OR(a, b) ((a) | (b))
#define M_NOT(a) (~(a))
#if FNN_LEVEL == FNN_AVX2
#define SELECT(m, a, b) ((V)MM(blendv)(b, a, (V)(m)))
#else
INLINE V FN(select)(M m, V a, V b)
{
    return (V)(((VI)a & m) | ((VI)b & ~m));
}
#define SELECT(m, a, b) FN(select)(m, a, b)
#endif

INLINE M FN(first)(int64_t n)
{
    static const INT lanes[FNN_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const INT count = (INT)(n < W ? n : W);
    VI lane;
    memcpy(&lane, lanes, sizeof lane);
    return (M)(lane < count);
}
INLINE M FN(of_bits)(uint64_t bits)
{
    static const UINT bit[] = {1, 2, 4, 8, 16, 32, 64, 128};
    VU lane;
    memcpy(&lane, bit, sizeof lane);
    return (M)((lane & (UINT)bits) != 0);
}
INLINE bool FN(any)(M m)
{
    INT any = 0;
    for (int64_t i = 0; i < W; i++) {
        any |= m[i];
    }
    return any != 0;
}
#endif

/* --- arithmetic ------------------------------------------------------------------------------------------------- */

#if FNN_LEVEL == FNN_PORTABLE
INLINE V FN(splat)(real x)
{
    V v = {0};
    for (int64_t i = 0; i < W; i++) {
        v[i] = x;
    }
    return v;
}
#define SPLAT(x) FN(splat)(x)

#undef FMA_KIND
#if defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
#define FMA_KIND INLINE
INLINE real FN(fma1)(real a, real b, real c)
{
    return FNN_F64 ? (real)__builtin_fma(a, b, c) : (real)__builtin_fmaf((float)a, (float)b, (float)c);
}
#define FMA_WIDE(a, b, c) __builtin_fma(a, b, c)
#else
/* Emulated, an fma is a function: inlined wherever one stands, they took a third of the library's compile time. */
#define FMA_KIND static __attribute__((noinline, unused))
#define FMA_WIDE(a, b, c) fnn_fma_exact(a, b, c)
#if FNN_F64
INLINE real FN(fma1)(real a, real b, real c)
{
    return fnn_fma_exact(a, b, c);
}
#else
/* The double product is exact; their double sum, rounded to odd, rounds to float32 as the exact sum does (Boldo,
 * Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on Computers 57(4), 2008). */
INLINE real FN(fma1)(real a, real b, real c)
{
    const double product = (double)a * (double)b, addend = (double)c;
    double sum = product + addend;
    const double part = sum - product;
    const double error = (product - (sum - part)) + (addend - part);
    int64_t bits, error_bits;
    memcpy(&bits, &sum, sizeof bits);
    memcpy(&error_bits, &error, sizeof error_bits);
    if ((error > 0.0 || error < 0.0) && (bits & 1) == 0) {
        bits += (bits ^ error_bits) < 0 ? -1 : 1;
        memcpy(&sum, &bits, sizeof sum);
    }
    return (real)sum;
}
#endif
#endif
FMA_KIND V FN(fma)(V a, V b, V c)
{
    V v = {0};
    for (int64_t i = 0; i < W; i++) {
        v[i] = FN(fma1)(a[i], b[i], c[i]);
    }
    return v;
}
#define FMA(a, b, c) FN(fma)(a, b, c)
INLINE V FN(sqrt)(V a)
{
    V v = {0};
    for (int64_t i = 0; i < W; i++) {
        v[i] = (real)__builtin_sqrt((double)a[i]); /* of a float32, rounded twice, is right: 53 >= 2 * 24 + 2 */
    }
    return v;
}
#define SQRT(a) FN(sqrt)(a)
#else
#define SPLAT(x) ((V)MM(set1)(x))
#define FMA(a, b, c) ((V)MM(fmadd)(a, b, c))
#define SQRT(a) ((V)MM(sqrt)(a))
#define FMA_WIDE(a, b, c) __builtin_fma(a, b, c)
#endif

/* a < b ? a : b and a > b ? a : b, to the last zero and NaN: the instructions with their operands in this order. */
#if FNN_LEVEL == FNN_PORTABLE
#define MIN(a, b) SELECT(LT(a, b), a, b)
#define MAX(a, b) SELECT(GT(a, b), a, b)
#else
#define MIN(a, b) ((V)MM(min)(a, b))
#define MAX(a, b) ((V)MM(max)(a, b))
#endif

#undef ABS
#undef COPYSIGN
#define ABS(a) FN(abs)(a)
#define COPYSIGN(magnitude, sign) FN(copysign)(magnitude, sign)
INLINE V FN(abs)(V a)
{
    return (V)((VU)a & ~(UINT)SIGN_BIT);
}
INLINE V FN(copysign)(V magnitude, V sign)
{
    return (V)(((VU)magnitude & ~(UINT)SIGN_BIT) | ((VU)sign & (UINT)SIGN_BIT));
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

#undef LOAD
#undef STORE
#undef LOAD_FIRST
#undef STORE_FIRST
#define LOAD(p) FN(load)(p)
#define STORE(p, v) FN(store)(p, v)
#define LOAD_FIRST(p, n) FN(load_first)(p, n)
#define STORE_FIRST(p, v, n) FN(store_first)(p, v, n)
INLINE V FN(load)(const real *p)
{
    V v = {0};
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void FN(store)(real *p, V v)
{
    memcpy(p, &v, sizeof v);
}
/* The first n lanes of memory, +0 in the others; n may exceed W. */
INLINE V FN(load_first)(const real *p, int64_t n)
{
#if FNN_LEVEL == FNN_AVX512
    return (V)MM(maskz_loadu)(FN(first)(n), p);
#elif FNN_LEVEL == FNN_AVX2
    return (V)MM(maskload)(p, (__m256i)FN(first)(n));
#else
    V v = SPLAT((real)0);
    if (n >= W) {
        return LOAD(p);
    }
    for (int64_t i = 0; i < n; i++) {
        v[i] = p[i];
    }
    return v;
#endif
}
INLINE void FN(store_first)(real *p, V v, int64_t n)
{
#if FNN_LEVEL == FNN_AVX512
    MM(mask_storeu)(p, FN(first)(n), v);
#elif FNN_LEVEL == FNN_AVX2
    MM(maskstore)(p, (__m256i)FN(first)(n), v);
#else
    if (n >= W) {
        STORE(p, v);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        p[i] = v[i];
    }
#endif
}

#if FNN_F64
#include "formulas_f64.h"
#else
#include "formulas_f32.h"
#endif
#include "kernels.h"
