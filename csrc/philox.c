/* Philox4x32-10 as fastnn/random.py lays it out: dropout, and the shuffle of an epoch. Integers only.
 *
 * A dropout mask is a function of (seed, step, layer, element); it is made again in the backward pass, never stored.
 */
#ifndef FNN_LEVEL

#include "internal.h"

/* Elements of a group: 16 counters of four words. */
#define GROUP 64

/* The words of blocks `block` ... `block` + 15: word w of block b is element 16 w + b. */
static inline __attribute__((always_inline)) void fnn_words(uint32_t *words, int64_t block, int64_t seed, int purpose,
                                                            int64_t step, int64_t layer)
{
    const uint64_t b = (uint64_t)block, s = (uint64_t)seed, t = (uint64_t)step, l = (uint64_t)layer;
    uint32_t *c0 = words, *c1 = words + 16, *c2 = words + 32, *c3 = words + 48;
    for (uint32_t i = 0; i < 16; i++) {
        c0[i] = (uint32_t)b + i;
        c1[i] = (uint32_t)((l & 0xFFFFU) | (b >> 32 & 0xFFFFU) << 16);
        c2[i] = (uint32_t)t;
        c3[i] = (uint32_t)(((uint64_t)purpose & 0xFFU) | (t >> 32 & 0xFFFFFFU) << 8);
    }
    uint32_t key_0 = (uint32_t)s, key_1 = (uint32_t)(s >> 32);
    for (int round = 0; round < FNN_ROUNDS; round++) {
        for (int i = 0; i < 16; i++) {
            const uint64_t p0 = (uint64_t)c0[i] * FNN_MULTIPLIERS_0, p1 = (uint64_t)c2[i] * FNN_MULTIPLIERS_1;
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ key_0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ key_1;
            c3[i] = (uint32_t)p0;
        }
        key_0 += FNN_WEYL_0;
        key_1 += FNN_WEYL_1;
    }
}

int fnn_shuffle(int64_t *order, int64_t n, int64_t seed, int64_t epoch)
{
    if (n < 0) {
        return FNN_BAD_SIZE;
    }
    if (order == NULL) {
        return FNN_NULL;
    }
    const int64_t draws = GROUP / 2;
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int64_t group = (n + draws - 1) / draws - 1; group >= 0; group--) {
        uint32_t words[GROUP];
        fnn_words(words, group * FNN_LANES, seed, FNN_PURPOSE_SHUFFLE, epoch, 0);
        for (int64_t at = draws - 1; at >= 0; at--) {
            const int64_t i = group * draws + at;
            if (i <= 0 || i >= n) {
                continue;
            }
            const uint64_t bits = (uint64_t)words[2 * at] << 32 | words[2 * at + 1];
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

/* Rows first ... last - 1; addresses are those of row `first`. Kept iff the 32 bits are at least the threshold. */
KERNEL void FN(dropout_rows)(real *dst, int64_t ldd, const real *src, int64_t lds, int64_t first, int64_t last,
                             int64_t width, double rate, int64_t seed, int64_t step, int64_t layer)
{
    const double limit = rate * 4294967296.0 + 0.5;
    const uint32_t threshold = limit >= 4294967295.0 ? 4294967295U : (uint32_t)limit;
    const real scale = (real)(1.0 / (1.0 - rate));
    const int64_t stride = (width + GROUP - 1) / GROUP * GROUP;
    for (int64_t row = first; row < last; row++) {
        real *to = dst + (row - first) * ldd;
        const real *from = src + (row - first) * lds;
        for (int64_t column = 0; column < width; column += GROUP) {
            uint32_t words[GROUP];
            fnn_words(words, (row * stride + column) / 4, seed, FNN_PURPOSE_DROPOUT, step, layer);
            const int64_t count = fnn_least(GROUP, width - column);
            for (int64_t i = 0; i < count; i++) {
                const real x = from[column + i] * scale;
                to[column + i] = words[i] >= threshold ? x : (real)0;
            }
        }
    }
}

#endif
