/* Square blocks of vectors with rows and columns exchanged. Included anew for each instruction set and dtype. */

/* W vectors as rows become W columns: rounds that exchange halves, quarters ... between rows. */
INLINE void FN(exchange)(V *block)
{
#if FNN_LEVEL == FNN_AVX512
    FNN_UNROLL
    for (int half = (int)W / 2; half > 0; half /= 2) {
        VI low = {0}, high = {0};
        FNN_UNROLL
        for (int lane = 0; lane < W; lane++) {
            low[lane] = (lane & half) != 0 ? (int)W + lane - half : lane;
            high[lane] = (lane & half) != 0 ? (int)W + lane : lane + half;
        }
        FNN_UNROLL
        for (int i = 0; i < W; i++) {
            if ((i & half) == 0) {
                const V a = block[i], b = block[i + half];
                block[i] = (V)MM(permutex2var)(a, (__m512i)low, b);
                block[i + half] = (V)MM(permutex2var)(a, (__m512i)high, b);
            }
        }
    }
#elif FNN_LEVEL == FNN_AVX2
    FNN_UNROLL
    for (int half = (int)W / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int i = 0; i < W; i++) {
            if ((i & half) == 0) {
                const V a = block[i], b = block[i + half];
                if (half == (int)W / 2) {
                    block[i] = (V)MM(permute2f128)(a, b, 0x20);
                    block[i + half] = (V)MM(permute2f128)(a, b, 0x31);
                } else if (half * (int)sizeof(real) == 8) {
                    block[i] = (V)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
                    block[i + half] = (V)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
                } else {
                    block[i] = (V)_mm256_blend_ps((__m256)a, _mm256_moveldup_ps((__m256)b), 0xAA);
                    block[i + half] = (V)_mm256_blend_ps(_mm256_movehdup_ps((__m256)a), (__m256)b, 0xAA);
                }
            }
        }
    }
#else
    real rows[W][W];
    memcpy(rows, block, sizeof rows);
    for (int i = 0; i < W; i++) {
        for (int lane = 0; lane < W; lane++) {
            block[i][lane] = rows[lane][i];
        }
    }
#endif
}

/* Elements in a lane of 128 bits, and lanes in a vector. What is read from memory goes into any lane without a shuffle,
 * so that a block is exchanged within lanes only: half the shuffles. */
#undef LANE_ITEMS
#undef LANE_COUNT
#undef PAIRS
#undef MM_PAIRS
#if FNN_LEVEL == FNN_AVX512
#define PAIRS __m512d
#define MM_PAIRS(name) FNN_CAT(_mm512_, name, _pd)
#else
#define PAIRS __m256d
#define MM_PAIRS(name) FNN_CAT(_mm256_, name, _pd)
#endif
#define LANE_ITEMS (16 / (int64_t)sizeof(real))
#define LANE_COUNT (W / LANE_ITEMS)

/* A vector whose lanes are at at[0] + offset, at[1] + offset ... */
INLINE V FN(load_lanes)(const real *const *pointers, int64_t offset)
{
#if FNN_LEVEL == FNN_AVX512
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps((const float *)(pointers[0] + offset)));
    v = _mm512_mask_broadcast_f32x4(v, 0x00F0, _mm_loadu_ps((const float *)(pointers[1] + offset)));
    v = _mm512_mask_broadcast_f32x4(v, 0x0F00, _mm_loadu_ps((const float *)(pointers[2] + offset)));
    v = _mm512_mask_broadcast_f32x4(v, 0xF000, _mm_loadu_ps((const float *)(pointers[3] + offset)));
    return (V)v;
#elif FNN_LEVEL == FNN_AVX2
    const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float *)(pointers[0] + offset)));
    return (V)_mm256_insertf128_ps(v, _mm_loadu_ps((const float *)(pointers[1] + offset)), 1);
#else
    return LOAD(pointers[0] + offset);
#endif
}

/* LANE_ITEMS vectors as rows become columns in each lane. */
INLINE void FN(exchange_lanes)(V *part)
{
#if FNN_LEVEL == FNN_PORTABLE
    FN(exchange)(part);
#elif FNN_F64
    const V a = part[0], b = part[1];
    part[0] = (V)MM(unpacklo)(a, b);
    part[1] = (V)MM(unpackhi)(a, b);
#else
    const V a = (V)MM(unpacklo)(part[0], part[1]), b = (V)MM(unpacklo)(part[2], part[3]);
    const V c = (V)MM(unpackhi)(part[0], part[1]), d = (V)MM(unpackhi)(part[2], part[3]);
    part[0] = (V)MM_PAIRS(unpacklo)((PAIRS)a, (PAIRS)b);
    part[1] = (V)MM_PAIRS(unpackhi)((PAIRS)a, (PAIRS)b);
    part[2] = (V)MM_PAIRS(unpacklo)((PAIRS)c, (PAIRS)d);
    part[3] = (V)MM_PAIRS(unpackhi)((PAIRS)c, (PAIRS)d);
#endif
}

/* A whole block of W x W of src, exchanged. */
INLINE void FN(load_whole)(V *block, const real *src, int64_t lds)
{
    const real *pointers[LANE_COUNT]; /* the compiler would keep a pointer a row, most of them on the stack */
    FNN_UNROLL
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        pointers[lane] = src + lane * LANE_ITEMS * lds;
        __asm__("" : "+r"(pointers[lane]));
    }
    /* All of a line at once: rows may share a set of the first cache. */
    FNN_UNROLL
    for (int i = 0; i < LANE_ITEMS; i++) {
        FNN_UNROLL
        for (int part = 0; part < W; part += LANE_ITEMS) {
            block[part + i] = FN(load_lanes)(pointers, i * lds + part);
        }
    }
    FNN_UNROLL
    for (int part = 0; part < W; part += LANE_ITEMS) {
        FN(exchange_lanes)(block + part);
    }
}

/* A block of W x W of src, of which `rows` x `columns` are there, exchanged. */
INLINE void FN(load_rest)(V *block, const real *src, int64_t lds, int64_t rows, int64_t columns)
{
    for (int i = 0; i < W; i++) {
        block[i] = i < rows ? LOAD_FIRST(src + i * lds, columns) : SPLAT((real)0);
    }
    FN(exchange)(block);
}

/* The same, sooner where all are there. */
INLINE void FN(load_exchanged)(V *block, const real *src, int64_t lds, int64_t rows, int64_t columns)
{
    if (rows >= W && columns >= W) {
        FN(load_whole)(block, src, lds);
    } else {
        FN(load_rest)(block, src, lds, rows, columns);
    }
}

/* Vectors of 256 bits, of which a processor exchanges two or three at once and of 512 only one; narrower ones where there
 * are none. */
#undef H
#undef H_BYTES
#undef HALF
#undef H_MM
#define H FN(H)
#define H_BYTES (BYTES < 32 ? BYTES : 32)
#define HALF (H_BYTES / (int64_t)sizeof(real))
typedef real H __attribute__((vector_size(H_BYTES)));

#if FNN_LEVEL == FNN_PORTABLE
INLINE H FN(add_product)(real a, H b, H c)
{
    return FMA(SPLAT(a), b, c);
}

INLINE void FN(load_half)(H *block, const real *src, int64_t lds)
{
    FN(load_whole)(block, src, lds);
}
#else
#if FNN_F64
#define H_MM(name) FNN_CAT(_mm256_, name, _pd)
#else
#define H_MM(name) FNN_CAT(_mm256_, name, _ps)
#endif
/* a b + c */
INLINE H FN(add_product)(real a, H b, H c)
{
    return (H)H_MM(fmadd)(H_MM(set1)(a), b, c);
}

/* A whole block of HALF x HALF of src, exchanged, as load_whole does: rounds of even and odd elements. */
INLINE void FN(load_half)(H *block, const real *src, int64_t lds)
{
    const real *pointers[HALF / 2]; /* of two rows each: with fewer the compiler makes others, and keeps them elsewhere */
    FNN_UNROLL
    for (int pair = 0; pair < HALF / 2; pair++) {
        pointers[pair] = src + 2 * pair * lds;
        __asm__("" : "+r"(pointers[pair]));
    }
    FNN_UNROLL
    for (int i = 0; i < LANE_ITEMS; i++) {
        const real *low = pointers[i / 2], *high = pointers[(i + LANE_ITEMS) / 2];
        FNN_UNROLL
        for (int part = 0; part < HALF; part += LANE_ITEMS) {
            const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float *)(low + i % 2 * lds + part)));
            block[part + i] = (H)_mm256_insertf128_ps(v, _mm_loadu_ps((const float *)(high + i % 2 * lds + part)), 1);
        }
    }
    FNN_UNROLL
    for (int part = 0; part < HALF; part += LANE_ITEMS) {
        H *b = block + part;
#if FNN_F64
        const H a = b[0];
        b[0] = (H)H_MM(shuffle)(a, b[1], 0x0);
        b[1] = (H)H_MM(shuffle)(a, b[1], 0xF);
#else
        const H even = (H)H_MM(shuffle)(b[0], b[1], 0x88), odd = (H)H_MM(shuffle)(b[0], b[1], 0xDD);
        const H other_even = (H)H_MM(shuffle)(b[2], b[3], 0x88), other_odd = (H)H_MM(shuffle)(b[2], b[3], 0xDD);
        b[0] = (H)H_MM(shuffle)(even, other_even, 0x88);
        b[1] = (H)H_MM(shuffle)(odd, other_odd, 0x88);
        b[2] = (H)H_MM(shuffle)(even, other_even, 0xDD);
        b[3] = (H)H_MM(shuffle)(odd, other_odd, 0xDD);
#endif
    }
}
#endif
