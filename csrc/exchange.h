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

/* A block of W x W of src, of which `rows` x `columns` are there, exchanged. */
INLINE void FN(load_exchanged)(V *block, const real *src, int64_t lds, int64_t rows, int64_t columns)
{
    if (rows >= W && columns >= W) {
        FNN_UNROLL
        for (int i = 0; i < W; i++) {
            block[i] = LOAD(src + i * lds);
        }
    } else {
        for (int i = 0; i < W; i++) {
            block[i] = i < rows ? LOAD_FIRST(src + i * lds, columns) : SPLAT((real)0);
        }
    }
    FN(exchange)(block);
}
