/* a * b + c rounded once, for processors that have no such instruction: in integers, so that no library is trusted. */
#include "internal.h"

#define FRACTION 0xFFFFFFFFFFFFFULL
#define TOP 125 /* where the leading bit of an aligned number stands; one bit is left for the carry */

typedef unsigned __int128 wide;

static inline int leading_bit(wide x)
{
    const uint64_t high = (uint64_t)(x >> 64);
    return high != 0 ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)x);
}

static inline uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* |x| = significand * 2^exponent, x finite and not 0. */
static inline uint64_t unpack(uint64_t bits, int *exponent)
{
    const int field = (int)(bits >> 52 & 0x7FF);
    *exponent = (field == 0 ? 1 : field) - 1075;
    return (bits & FRACTION) | (field == 0 ? 0 : FRACTION + 1);
}

static inline bool finite(double x)
{
    return (bits_of(x) >> 52 & 0x7FF) != 0x7FF;
}

/* (-1)^negative x 2^exponent, x not 0, its lowest bit standing for all below it. */
static double rounded(bool negative, wide x, int exponent)
{
    const int top = leading_bit(x), value = exponent + top;
    const int unit = value < -1022 ? -1074 : value - 52; /* exponent of the last place */
    const int shift = unit - exponent;
    uint64_t result;
    if (shift <= 0) {
        result = (uint64_t)(x << -shift);
    } else if (shift > 127) {
        result = 0;
    } else {
        const wide rest = x & (((wide)1 << shift) - 1), half = (wide)1 << (shift - 1);
        result = (uint64_t)(x >> shift);
        result += rest > half || (rest == half && (result & 1));
    }
    /* A carry out of the significand is the next exponent. */
    if (value >= -1022) {
        result = value > 1023 ? 0x7FFULL << 52 : result + ((uint64_t)(value + 1022) << 52);
    }
    if (result > 0x7FFULL << 52) {
        result = 0x7FFULL << 52;
    }
    result |= (uint64_t)negative << 63;
    double made;
    memcpy(&made, &result, sizeof made);
    return made;
}

double fnn_fma_exact(double a, double b, double c)
{
    if (!finite(a) || !finite(b) || a == 0.0 || b == 0.0) {
        const double product = a * b; /* nothing is rounded */
        return product + c;
    }
    if (!finite(c)) {
        return c;
    }
    if (c == 0.0) {
        return a * b; /* not 0 before rounding: c's sign does not matter */
    }
    int a_exponent, b_exponent, x_exponent, y_exponent;
    wide x = (wide)unpack(bits_of(a), &a_exponent) * unpack(bits_of(b), &b_exponent);
    wide y = unpack(bits_of(c), &y_exponent);
    x_exponent = a_exponent + b_exponent;
    bool x_negative = (bits_of(a) ^ bits_of(b)) >> 63, y_negative = bits_of(c) >> 63;
    int shift = TOP - leading_bit(x);
    x <<= shift;
    x_exponent -= shift;
    shift = TOP - leading_bit(y);
    y <<= shift;
    y_exponent -= shift;
    if (x_exponent < y_exponent || (x_exponent == y_exponent && x < y)) {
        const wide w = x;
        x = y;
        y = w;
        const int e = x_exponent;
        x_exponent = y_exponent;
        y_exponent = e;
        const bool s = x_negative;
        x_negative = y_negative;
        y_negative = s;
    }
    /* y in x's units; what falls off the end stays as its lowest bit, which is enough to round by. */
    shift = x_exponent - y_exponent;
    if (shift > 127) {
        y = 1;
    } else if (shift > 0) {
        y = y >> shift | ((y & (((wide)1 << shift) - 1)) != 0);
    }
    if (x_negative != y_negative) {
        if (x == y) {
            return 0.0;
        }
        return rounded(x_negative, x - y, x_exponent);
    }
    return rounded(x_negative, x + y, x_exponent);
}
