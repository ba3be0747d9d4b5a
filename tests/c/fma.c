/* Compares fnn_fma_exact with the processor's instruction on hard arguments; the exit status says how that went. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

double fnn_fma_exact(double a, double b, double c);

static uint64_t state = 88172645463325252ULL;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double real(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t pattern(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? 0x7FF8000000000000ULL : bits;
}

/* Few significant bits, or all; exponents near each other, or at the ends of the range. */
static double hard(void)
{
    const uint64_t kind = next() & 7, sign = next() << 63, fraction = next() >> 12;
    uint64_t exponent = next() % 2048;
    switch (kind) {
    case 0:
        return real(sign | exponent << 52 | fraction);
    case 1:
        exponent = next() % 64;
        break;
    case 2:
        exponent = 2047 - next() % 4;
        break;
    case 3:
        return real(sign | (fraction & (next() & 0xFF)));
    case 4:
        return real(sign | (1023 - 512 + next() % 3) << 52 | (fraction & ~0ULL << next() % 52));
    default:
        exponent = 1023 - 60 + next() % 120;
        break;
    }
    return real(sign | exponent << 52 | (next() & 1 ? fraction & ~0ULL << next() % 52 : fraction));
}

__attribute__((target("fma"))) int main(void)
{
    if (!__builtin_cpu_supports("fma")) {
        return 77;
    }
    for (long n = 0; n < 5000000; n++) {
        const double a = hard(), b = hard();
        double c = hard();
        if (next() & 1) { /* near the product, where digits cancel */
            c = real(pattern(-(a * b)) + next() % 5 - 2);
        }
        const double right = __builtin_fma(a, b, c), got = fnn_fma_exact(a, b, c);
        if (pattern(right) != pattern(got)) {
            printf("fma(%a, %a, %a) is %a, not %a\n", a, b, c, right, got);
            return 1;
        }
    }
    return 0;
}
