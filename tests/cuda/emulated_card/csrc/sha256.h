/* SHA-256 (FIPS 180-4). */
#pragma once
#include <stddef.h>
#include <stdio.h>

#include "card.h"

static inline u32 sha_turn(u32 x, int n) { return x >> n | x << (32 - n); }

/* The first 32 bits of the fractions of the roots of the primes, made as the standard defines them. */
static inline u32 sha_fraction(u32 prime, int cube) {
    __float128 low = 0, high = 20;
    for (int k = 0; k < 110; k++) {
        __float128 middle = (low + high) / 2;
        if ((cube ? middle * middle * middle : middle * middle) <= prime) low = middle;
        else high = middle;
    }
    low -= (int)low;
    return (u32)(low * 4294967296.0Q);
}

static inline void sha256_text(const void *data, size_t n, char text[65]) {
    static u32 k[64], start[8];
    if (!k[0])
        for (u32 count = 0, p = 2; count < 64; p++) {
            int prime = 1;
            for (u32 d = 2; d * d <= p; d++) prime &= p % d != 0;
            if (!prime) continue;
            if (count < 8) start[count] = sha_fraction(p, 0);
            k[count++] = sha_fraction(p, 1);
        }
    u32 h[8];
    memcpy(h, start, sizeof h);
    size_t blocks = (n + 8) / 64 + 1;
    for (size_t block = 0; block < blocks; block++) {
        u32 w[64];
        for (u32 t = 0; t < 64; t++) {
            if (t < 16) {
                w[t] = 0;
                for (int q = 0; q < 4; q++) {
                    size_t at = 64 * block + 4 * t + q;
                    u8 byte = at < n ? ((const u8 *)data)[at] : at == n ? 0x80 : 0;
                    if (block == blocks - 1 && t >= 14) byte = (u64)n * 8 >> (8 * (7 - (4 * (t - 14) + q)));
                    w[t] = w[t] << 8 | byte;
                }
            } else {
                u32 a = w[t - 15], c = w[t - 2];
                w[t] = w[t - 16] + w[t - 7] + (sha_turn(a, 7) ^ sha_turn(a, 18) ^ a >> 3) + (sha_turn(c, 17) ^ sha_turn(c, 19) ^ c >> 10);
            }
        }
        u32 v[8];
        memcpy(v, h, sizeof v);
        for (u32 t = 0; t < 64; t++) {
            u32 e = v[4], a = v[0];
            u32 one = v[7] + (sha_turn(e, 6) ^ sha_turn(e, 11) ^ sha_turn(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + k[t] + w[t];
            u32 two = (sha_turn(a, 2) ^ sha_turn(a, 13) ^ sha_turn(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
            for (int q = 7; q; q--) v[q] = v[q - 1];
            v[4] += one;
            v[0] = one + two;
        }
        for (int q = 0; q < 8; q++) h[q] += v[q];
    }
    for (int q = 0; q < 8; q++) sprintf(text + 8 * q, "%08x", h[q]);
}
