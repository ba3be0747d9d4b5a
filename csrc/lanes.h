/* Sums over a row: 16 lanes, PARTS vectors of them. Element c goes to lane c mod 16, in ascending c; then lanes fold at
 * distances 8, 4, 2, 1. Included anew for each instruction set and dtype.
 */

/* A row's lanes, all `start`. */
INLINE void FN(begin)(V *lanes, real start)
{
    for (int64_t part = 0; part < PARTS; part++) {
        lanes[part] = SPLAT(start);
    }
}

/* The lane that the block at column c belongs to. */
#undef LANE
#define LANE(lanes, c) ((lanes)[(c) / W % PARTS])

#if FNN_LEVEL == FNN_PORTABLE
INLINE real FN(fold_sum)(const V *lanes)
{
    real lane[FNN_LANES];
    memcpy(lane, lanes, sizeof lane);
    FNN_UNROLL
    for (int half = FNN_LANES / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int i = 0; i < half; i++) {
            lane[i] = lane[i] + lane[i + half];
        }
    }
    return lane[0];
}

INLINE real FN(fold_max)(const V *lanes)
{
    real lane[FNN_LANES];
    memcpy(lane, lanes, sizeof lane);
    FNN_UNROLL
    for (int half = FNN_LANES / 2; half > 0; half /= 2) {
        FNN_UNROLL
        for (int i = 0; i < half; i++) {
            lane[i] = lane[i + half] > lane[i] ? lane[i + half] : lane[i];
        }
    }
    return lane[0];
}
#else
/* In registers: lane i with lane i + h for h = 8, 4, 2, 1. `max` keeps the left one unless the right one exceeds it, as
 * the instruction does with its operands in this order. */
INLINE real FN(fold)(const bool max, const V *lanes)
{
#if FNN_F64
#if FNN_LEVEL == FNN_AVX512
    const __m512d eight = max ? _mm512_max_pd(lanes[1], lanes[0]) : _mm512_add_pd(lanes[0], lanes[1]);
    const __m256d low = _mm512_castpd512_pd256(eight), high = _mm512_extractf64x4_pd(eight, 1);
#else
    const __m256d low = max ? _mm256_max_pd(lanes[2], lanes[0]) : _mm256_add_pd(lanes[0], lanes[2]);
    const __m256d high = max ? _mm256_max_pd(lanes[3], lanes[1]) : _mm256_add_pd(lanes[1], lanes[3]);
#endif
    const __m256d four = max ? _mm256_max_pd(high, low) : _mm256_add_pd(low, high);
    const __m128d a = _mm256_castpd256_pd128(four), b = _mm256_extractf128_pd(four, 1);
    const __m128d two = max ? _mm_max_pd(b, a) : _mm_add_pd(a, b), other = _mm_unpackhi_pd(two, two);
    return _mm_cvtsd_f64(max ? _mm_max_sd(other, two) : _mm_add_sd(two, other));
#else
#if FNN_LEVEL == FNN_AVX512
    const __m256 low = _mm512_castps512_ps256(lanes[0]), high = _mm512_extractf32x8_ps(lanes[0], 1);
#else
    const __m256 low = lanes[0], high = lanes[1];
#endif
    const __m256 eight = max ? _mm256_max_ps(high, low) : _mm256_add_ps(low, high);
    const __m128 a = _mm256_castps256_ps128(eight), b = _mm256_extractf128_ps(eight, 1);
    const __m128 four = max ? _mm_max_ps(b, a) : _mm_add_ps(a, b), upper = _mm_movehl_ps(four, four);
    const __m128 two = max ? _mm_max_ps(upper, four) : _mm_add_ps(four, upper), other = _mm_movehdup_ps(two);
    return _mm_cvtss_f32(max ? _mm_max_ss(other, two) : _mm_add_ss(two, other));
#endif
}

INLINE real FN(fold_sum)(const V *lanes)
{
    return FN(fold)(false, lanes);
}

INLINE real FN(fold_max)(const V *lanes)
{
    return FN(fold)(true, lanes);
}
#endif

/* The row's maximum; NaN never exceeds, so a row without a number gives -inf. */
INLINE real FN(row_max)(const real *row, int64_t width)
{
    V lanes[PARTS];
    FN(begin)(lanes, (real)-__builtin_inf());
    for (int64_t c = 0; c < width; c += W) {
        const V x = LOAD_FIRST(row + c, width - c), lane = LANE(lanes, c);
        LANE(lanes, c) = SELECT(M_AND(FN(first)(width - c), GT(x, lane)), x, lane);
    }
    return FN(fold_max)(lanes);
}

INLINE real FN(row_sum)(const real *row, int64_t width)
{
    V lanes[PARTS];
    FN(begin)(lanes, (real)0);
    for (int64_t c = 0; c < width; c += W) {
        const V lane = LANE(lanes, c);
        LANE(lanes, c) = SELECT(FN(first)(width - c), lane + LOAD_FIRST(row + c, width - c), lane);
    }
    return FN(fold_sum)(lanes);
}

/* Column numbers of a block as reals. */
INLINE V FN(columns)(int64_t c)
{
    static const real numbers[FNN_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return LOAD(numbers) + SPLAT((real)c);
}

/* The target of a block: a class's indicator, or y' = y keep + add. */
INLINE V FN(target)(const bool sparse, const real *Y, int64_t c, int64_t left, V keep, V add)
{
    if (sparse) {
        return SELECT(EQ(FN(columns)(c), SPLAT(Y[0])), SPLAT((real)1), SPLAT((real)0));
    }
    return FMA(LOAD_FIRST(Y + c, left), keep, add);
}
