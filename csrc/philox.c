/* Philox4x32-10 as fastnn/core/random.py lays it out: dropout, noise, and the shuffle of an epoch.
 *
 * A dropout mask is a function of (seed, step, layer, element). In a step the forward pass leaves it for the backward
 * pass, a bit an element: ten rounds of products cost more than a bit's way through the cache.
 */
#ifndef FNN_LEVEL

#include "internal.h"

/* Elements of a group: 16 counters of four words. */
#define GROUP 64

int fnn_shuffle(int64_t *order, int64_t n, int64_t seed, int64_t epoch)
{
    if (n < 0) {
        return FNN_BAD_SIZE;
    }
    if (order == NULL) {
        return FNN_NULL;
    }
    fnn_philox *const philox = fnn_philox_in_use();
    const int64_t draws = GROUP / 2;
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int64_t group = (n + draws - 1) / draws - 1; group >= 0; group--) {
        uint32_t words[GROUP];
        philox(words, group * FNN_LANES, seed, FNN_PURPOSE_SHUFFLE, epoch, 0);
        for (int64_t draw = draws - 1; draw >= 0; draw--) {
            const int64_t i = group * draws + draw;
            if (i <= 0 || i >= n) {
                continue;
            }
            const uint64_t bits = (uint64_t)words[2 * draw] << 32 | words[2 * draw + 1];
            const int64_t j = (int64_t)(uint64_t)((unsigned __int128)bits * ((uint64_t)i + 1) >> 64);
            const int64_t swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
    }
    return FNN_OK;
}

#define FNN_FILE "philox.c"
#include "levels.h"

#else

#define PHILOX FNN_CAT(fnn_philox, _, SUFFIX)
#if !FNN_F64 /* integers: one for both dtypes */

/* 64-bit lanes, each with a word in its low half and anything in the high one: a product of low halves is one
 * instruction, and its two words need not be parted. */
typedef uint64_t FN(Words) __attribute__((vector_size(BYTES)));
#define WORDS FN(Words)
#define PARTS_OF_LANES (FNN_LANES * (int64_t)sizeof(uint64_t) / BYTES)

INLINE WORDS FN(products)(WORDS a, uint64_t b)
{
    const WORDS other = (WORDS){0} + b;
#if FNN_LEVEL == FNN_AVX512
    return (WORDS)_mm512_mul_epu32((__m512i)a, (__m512i)other);
#elif FNN_LEVEL == FNN_AVX2
    return (WORDS)_mm256_mul_epu32((__m256i)a, (__m256i)other);
#elif FNN_X86
    return (WORDS)_mm_mul_epu32((__m128i)a, (__m128i)other);
#else
    return (a & 0xFFFFFFFFU) * other;
#endif
}

/* The words of blocks `block` ... `block` + 15: word w of block b is element 16 w + b. */
KERNEL void PHILOX(uint32_t *words, int64_t block, int64_t seed, int purpose, int64_t step, int64_t layer)
{
    const uint64_t b = (uint64_t)block, t = (uint64_t)step, l = (uint64_t)layer;
    const uint64_t second = (l & 0xFFFFU) | (b >> 32 & 0xFFFFU) << 16;
    const uint64_t fourth = ((uint64_t)purpose & 0xFFU) | (t >> 32 & 0xFFFFFFU) << 8;
    WORDS c[PARTS_OF_LANES][4];
    FNN_UNROLL
    for (int64_t part = 0; part < PARTS_OF_LANES; part++) {
        WORDS lane = {0};
        for (uint64_t i = 0; i < sizeof lane / sizeof lane[0]; i++) {
            lane[i] = (b & 0xFFFFFFFFU) + (uint64_t)part * (sizeof lane / sizeof lane[0]) + i;
        }
        c[part][0] = lane;
        c[part][1] = (WORDS){0} + second;
        c[part][2] = (WORDS){0} + t;
        c[part][3] = (WORDS){0} + fourth;
    }
    uint32_t key_0 = (uint32_t)(uint64_t)seed, key_1 = (uint32_t)((uint64_t)seed >> 32);
    for (int round = 0; round < FNN_ROUNDS; round++) {
        FNN_UNROLL
        for (int64_t part = 0; part < PARTS_OF_LANES; part++) {
            WORDS *const of = c[part];
            const WORDS p0 = FN(products)(of[0], FNN_MULTIPLIERS_0), p1 = FN(products)(of[2], FNN_MULTIPLIERS_1);
            of[0] = p1 >> 32 ^ of[1] ^ key_0;
            of[1] = p1;
            of[2] = p0 >> 32 ^ of[3] ^ key_1;
            of[3] = p0;
        }
        key_0 += FNN_WEYL_0;
        key_1 += FNN_WEYL_1;
    }
    FNN_UNROLL
    for (int64_t part = 0; part < PARTS_OF_LANES; part++) {
        for (int64_t word = 0; word < 4; word++) {
            for (int64_t i = 0; i < FNN_LANES / PARTS_OF_LANES; i++) {
                words[word * FNN_LANES + part * (FNN_LANES / PARTS_OF_LANES) + i] = (uint32_t)c[part][word][i];
            }
        }
    }
}

#undef WORDS
#undef PARTS_OF_LANES
#endif

/* Bit i: whether element i of a group is kept, which it is iff its 32 bits are at least the threshold. */
INLINE uint64_t FN(keep_mask)(const uint32_t *words, uint32_t threshold)
{
    uint64_t keep = 0;
#if FNN_LEVEL == FNN_AVX512
    const __m512i limit = _mm512_set1_epi32((int32_t)threshold);
    for (int word = 0; word < 4; word++) {
        const __m512i of = _mm512_loadu_si512(words + word * FNN_LANES);
        keep |= (uint64_t)_mm512_cmpge_epu32_mask(of, limit) << word * FNN_LANES;
    }
#elif FNN_LEVEL == FNN_AVX2
    const __m256i limit = _mm256_set1_epi32((int32_t)threshold);
    for (int half = 0; half < GROUP / 8; half++) {
        const __m256i of = _mm256_loadu_si256((const __m256i *)(words + half * 8));
        const __m256i at_least = _mm256_cmpeq_epi32(_mm256_max_epu32(of, limit), of);
        keep |= (uint64_t)(uint32_t)_mm256_movemask_ps((__m256)at_least) << half * 8;
    }
#else
    for (int i = 0; i < GROUP; i++) {
        keep |= (uint64_t)(words[i] >= threshold) << i;
    }
#endif
    return keep;
}

/* At most a group of elements: kept and scaled, or +0. */
INLINE void FN(dropout_group)(real *dst, const real *src, int64_t n, uint64_t keep, V scale)
{
    for (int64_t i = 0; i < n; i += W) {
        const V x = LOAD_FIRST(src + i, n - i) * scale;
        STORE_FIRST(dst + i, SELECT(FN(of_bits)(keep >> i), x, SPLAT((real)0)), n - i);
    }
}

/* Rows first ... last - 1; addresses are those of row `first`. The masks of rows go to `masks`, unless it is NULL. */
KERNEL void FN(dropout_rows)(real *dst, int64_t ldd, const real *src, int64_t lds, uint64_t *masks, int64_t ldm,
                             int64_t first, int64_t last, int64_t width, double rate, const fnn_draw *draw)
{
    const double limit = rate * 4294967296.0 + 0.5;
    const uint32_t threshold = limit >= 4294967295.0 ? 4294967295U : (uint32_t)limit;
    const V scale = SPLAT((real)(1.0 / (1.0 - rate)));
    const int64_t stride = (width + GROUP - 1) / GROUP * GROUP;
    for (int64_t row = first; row < last; row++) {
        const int64_t offset = row - first;
        for (int64_t column = 0; column < width; column += GROUP) {
            uint32_t words[GROUP];
            PHILOX(words, (row * stride + column) / 4, draw->seed, FNN_PURPOSE_DROPOUT, draw->step, draw->layer);
            const uint64_t keep = FN(keep_mask)(words, threshold);
            if (masks != NULL) {
                masks[offset * ldm + column / GROUP] = keep;
            }
            FN(dropout_group)(dst + offset * ldd + column, src + offset * lds + column,
                              fnn_least(GROUP, width - column), keep, scale);
        }
    }
}

/* Rows first ... last - 1 of odd multiples of 2^-23 from -1 to 1, exact in either dtype; the address is that of row
 * `first`. */
KERNEL void FN(uniform_rows)(real *dst, int64_t ldd, int64_t first, int64_t last, int64_t width, const fnn_draw *draw)
{
    const int64_t stride = (width + GROUP - 1) / GROUP * GROUP;
    for (int64_t row = first; row < last; row++) {
        real *const to = dst + (row - first) * ldd;
        for (int64_t column = 0; column < width; column += GROUP) {
            uint32_t words[GROUP];
            PHILOX(words, (row * stride + column) / 4, draw->seed, FNN_PURPOSE_NOISE, draw->step, draw->layer);
            for (int64_t i = 0; i < fnn_least(GROUP, width - column); i++) {
                to[column + i] = ((real)2 * (real)(int32_t)(words[i] >> 9) - (real)8388607) * (real)(1.0 / 8388608.0);
            }
        }
    }
}

/* The same again, by the masks that dropout_rows left. */
KERNEL void FN(dropout_again)(real *dst, int64_t ldd, const real *src, int64_t lds, const uint64_t *masks, int64_t ldm,
                              int64_t rows, int64_t width, double rate)
{
    const V scale = SPLAT((real)(1.0 / (1.0 - rate)));
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < width; column += GROUP) {
            FN(dropout_group)(dst + row * ldd + column, src + row * lds + column, fnn_least(GROUP, width - column),
                              masks[row * ldm + column / GROUP], scale);
        }
    }
}

#undef PHILOX

#endif
