/* What PTX's arithmetic gives, to the last bit. Included by card.h. A single-precision result that is no number is the
   card's one NaN; a double-precision one is made the one that an invalid operation gives. */
static inline f32 as_f32(u32 x) { f32 y; memcpy(&y, &x, 4); return y; }
static inline f64 as_f64(u64 x) { f64 y; memcpy(&y, &x, 8); return y; }
static inline u32 bits_f32(f32 x) { u32 y; memcpy(&y, &x, 4); return x != x ? 0x7fffffffu : y; }
static inline u64 bits_f64(f64 x) { u64 y; memcpy(&y, &x, 8); return x != x ? 0xfff8000000000000ull : y; }

#define FLOATS(F, B, W, MANTISSA, FMA, SQRT, ABS, RINT, TRUNC, FLOOR, CEIL, LEAST_NORMAL)                                     \
    static inline F fused_##F(F a, F x, F y) { return FMA(a, x, y); }                                                    \
    static inline F root_##F(F a) { return SQRT(a); }                                                                    \
    static inline F absolute_##F(F a) { return ABS(a); }                                                                 \
    static inline F rint_##F(F a) { return RINT(a); }                                                                    \
    static inline F trunc_##F(F a) { return TRUNC(a); }                                                                  \
    static inline F floor_##F(F a) { return FLOOR(a); }                                                                  \
    static inline F ceil_##F(F a) { return CEIL(a); }                                                                    \
    static inline F min_##F(F a, F c) { return a != a ? c : c != c ? a : a == c ? (signbit(a) ? a : c) : a < c ? a : c; } \
    static inline F max_##F(F a, F c) { return a != a ? c : c != c ? a : a == c ? (signbit(a) ? c : a) : a > c ? a : c; } \
    static inline F nan_min_##F(F a, F c) { return a != a ? a : c != c ? c : min_##F(a, c); }                            \
    static inline F nan_max_##F(F a, F c) { return a != a ? a : c != c ? c : max_##F(a, c); }                            \
    static inline F saturated_##F(F a) { return a > 0 ? a < 1 ? a : 1 : 0; }                                             \
    static inline b is_finite_##F(F a) { return a - a == 0; }                                                            \
    static inline b is_infinite_##F(F a) { return a == a && a - a != 0; }                                                \
    static inline b is_number_##F(F a) { return a == a; }                                                                \
    static inline b is_notanumber_##F(F a) { return a != a; }                                                            \
    static inline b is_normal_##F(F a) { return a - a == 0 && ABS(a) >= LEAST_NORMAL; }                                  \
    static inline b is_subnormal_##F(F a) { return a != 0 && ABS(a) < LEAST_NORMAL; }
FLOATS(f32, u32, 32, 23, __builtin_fmaf, sqrtf, fabsf, rintf, truncf, floorf, ceilf, 0x1p-126f)
FLOATS(f64, u64, 64, 52, __builtin_fma, sqrt, fabs, rint, trunc, floor, ceil, 0x1p-1022)

/* Out of range: the nearest integer. No number: zero from f32 to at most 32 bits, the highest bit alone otherwise. */
#define TO_INTEGER(I, F, LOW, HIGH, LEAST, MOST, NOT_A_NUMBER) \
    static inline I I##_of_##F(F x) { return x != x ? (I)(NOT_A_NUMBER) : x <= LOW ? (I)(LEAST) : x >= HIGH ? (I)(MOST) : (I)x; }
#define TO_INTEGERS(F, NAN32)                                                     \
    TO_INTEGER(s8, F, -128.0, 127.0, INT8_MIN, INT8_MAX, (NAN32) ? 1u << 7 : 0)          \
    TO_INTEGER(s16, F, -32768.0, 32767.0, INT16_MIN, INT16_MAX, (NAN32) ? 1u << 15 : 0)  \
    TO_INTEGER(s32, F, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX, (NAN32) ? 1u << 31 : 0)    \
    TO_INTEGER(s64, F, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX, 1ull << 63)                \
    TO_INTEGER(u8, F, 0, 255.0, 0, UINT8_MAX, (NAN32) ? 1u << 7 : 0)                     \
    TO_INTEGER(u16, F, 0, 65535.0, 0, UINT16_MAX, (NAN32) ? 1u << 15 : 0)                \
    TO_INTEGER(u32, F, 0, 0x1p32, 0, UINT32_MAX, (NAN32) ? 1u << 31 : 0)                 \
    TO_INTEGER(u64, F, 0, 0x1p64, 0, UINT64_MAX, 1ull << 63)
TO_INTEGERS(f32, 0)
TO_INTEGERS(f64, 1)

#define SATURATED(I, LEAST, MOST)                                          \
    static inline I I##_saturated(u64 x, int is_signed) {                  \
        if (is_signed) return (s64)x < (s64)(LEAST) ? (I)(LEAST) : (s64)x > 0 && x > (u64)(MOST) ? (I)(MOST) : (I)x; \
        return x > (u64)(MOST) ? (I)(MOST) : (I)x;                         \
    }
SATURATED(s8, INT8_MIN, INT8_MAX)
SATURATED(s16, INT16_MIN, INT16_MAX)
SATURATED(s32, INT32_MIN, INT32_MAX)
SATURATED(s64, INT64_MIN, INT64_MAX)
SATURATED(u8, 0, UINT8_MAX)
SATURATED(u16, 0, UINT16_MAX)
SATURATED(u32, 0, UINT32_MAX)
SATURATED(u64, 0, UINT64_MAX)

/* Division by zero: all bits set, as the hardware leaves them; the remainder is the dividend. */
#define INTEGERS(U, S, W, WIDE_U, WIDE_S, CLZ, POPC)                                                              \
    static inline U divide_##U(U a, U c) { return c ? a / c : (U)-1; }                                                 \
    static inline U remainder_##U(U a, U c) { return c ? a % c : a; }                                                  \
    static inline U divide_##S(S a, S c) { return c == 0 ? (U)-1 : c == -1 ? -(U)a : (U)(a / c); }                     \
    static inline U remainder_##S(S a, S c) { return c == 0 ? (U)a : c == -1 ? 0 : (U)(a % c); }                       \
    static inline U high_##U(U a, U c) { return (U)((WIDE_U)a * c >> W); }                                             \
    static inline U high_##S(S a, S c) { return (U)((WIDE_S)a * c >> W); }                                             \
    static inline u32 popc_##U(U a) { return POPC(a); }                                                                \
    static inline u32 clz_##U(U a) { return a ? (u32)CLZ(a) : W; }                                                       \
    static inline u32 bfind_##U(U a) { return a ? (u32)(W - 1 - CLZ(a)) : ~0u; }                                           \
    static inline u32 bfind_##S(S a) { return bfind_##U(a < 0 ? ~(U)a : (U)a); }                                       \
    static inline U brev_##U(U a) { U r = 0; for (int k = 0; k < W; k++) r |= (a >> k & 1) << (W - 1 - k); return r; } \
    static inline U extract_##U(U a, u32 at, u32 n) {                                                                  \
        at &= 255, n &= 255;                                                                                           \
        U x = at >= W ? 0 : a >> at;                                                                                   \
        return n >= W ? x : x & (((U)1 << n) - 1);                                                                     \
    }                                                                                                                  \
    static inline U extract_##S(S a, u32 at, u32 n) {                                                                  \
        at &= 255, n &= 255;                                                                                           \
        if (!n) return 0;                                                                                              \
        u32 top = at + n - 1 < W - 1 ? at + n - 1 : W - 1;                                                             \
        U sign = (U)a >> top & 1 ? (U)-1 : 0, x = at >= W ? sign : (U)(a >> at);                                       \
        return n >= W ? x : (x & (((U)1 << n) - 1)) | (sign & ~(((U)1 << n) - 1));                                     \
    }                                                                                                                  \
    static inline U insert_##U(U a, U c, u32 at, u32 n) {                                                              \
        at &= 255, n &= 255;                                                                                           \
        if (at >= W || !n) return c;                                                                                   \
        U mask = (n >= W ? (U)-1 : ((U)1 << n) - 1) << at;                                                             \
        return (c & ~mask) | (a << at & mask);                                                                         \
    }
INTEGERS(u32, s32, 32, u64, s64, __builtin_clz, __builtin_popcount)
INTEGERS(u64, s64, 64, unsigned __int128, __int128, __builtin_clzll, __builtin_popcountll)
static inline u16 divide_u16(u16 a, u16 c) { return c ? a / c : 0xffff; }
static inline u16 remainder_u16(u16 a, u16 c) { return c ? a % c : a; }
static inline u16 divide_s16(s16 a, s16 c) { return c ? a / c : 0xffff; }
static inline u16 remainder_s16(s16 a, s16 c) { return c ? a % c : a; }
static inline u16 high_u16(u16 a, u16 c) { return (u32)a * c >> 16; }
static inline u16 high_s16(s16 a, s16 c) { return (s32)a * c >> 16; }

static inline u32 permute(u32 a, u32 c, u32 how) {
    u64 both = (u64)c << 32 | a;
    u32 r = 0;
    for (int k = 0; k < 4; k++) {
        u32 pick = how >> 4 * k & 15, byte = both >> 8 * (pick & 7) & 255;
        r |= (pick & 8 ? byte & 128 ? 255 : 0 : byte) << 8 * k;
    }
    return r;
}
