"""Arithmetic on the bits of numbers, exact and then rounded once: what the instructions are held to."""

import math
from collections.abc import Callable
from fractions import Fraction

Rule = Callable[..., int]
"""Of the bits of three operands: the bits of the result, of which too high ones are cut off."""


def signed(x: int, width: int = 32) -> int:
    return x - (1 << width) if x >> (width - 1) else x


# Floating point in exact arithmetic: bits to fractions, and back with rounding to nearest, ties to even.

FORMATS = {"f32": (32, 23, 127, 0x7FFFFFFF), "f64": (64, 52, 1023, 0xFFF8 << 48)}


def parts(bits: int, t: str) -> tuple[int, int, int]:
    width, mantissa, _, _ = FORMATS[t]
    return bits >> (width - 1), bits >> mantissa & ((1 << (width - 1 - mantissa)) - 1), bits & ((1 << mantissa) - 1)


def is_nan(bits: int, t: str) -> bool:
    _, exponent, fraction = parts(bits, t)
    return exponent == (1 << (FORMATS[t][0] - 1 - FORMATS[t][1])) - 1 and fraction != 0


def is_inf(bits: int, t: str) -> bool:
    _, exponent, fraction = parts(bits, t)
    return exponent == (1 << (FORMATS[t][0] - 1 - FORMATS[t][1])) - 1 and fraction == 0


def exact(bits: int, t: str) -> Fraction:
    sign, exponent, fraction = parts(bits, t)
    _, mantissa, bias, _ = FORMATS[t]
    value = Fraction(fraction + ((1 << mantissa) if exponent else 0)) * Fraction(2) ** (
        max(exponent, 1) - bias - mantissa
    )
    return -value if sign else value


def rounded(value: Fraction, t: str, zero_sign: int = 0) -> int:
    width, mantissa, bias, _ = FORMATS[t]
    sign = int(value < 0) if value else zero_sign
    value = abs(value)
    if not value:
        return sign << (width - 1)
    exponent = max(math.floor(math.log2(value.numerator) - math.log2(value.denominator)), 1 - bias)
    while value >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while exponent > 1 - bias and value < Fraction(2) ** exponent:
        exponent -= 1
    scaled = value / Fraction(2) ** (exponent - mantissa)
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    rest2 = 2 * rest
    whole += rest2 > scaled.denominator or (rest2 == scaled.denominator and whole & 1)
    made = ((exponent + bias - 1) << mantissa) + whole
    infinity = ((1 << (width - 1 - mantissa)) - 1) << mantissa
    return sign << (width - 1) | min(made, infinity)


def fma(t: str) -> Rule:
    width, mantissa, _, nan = FORMATS[t]
    infinity = ((1 << (width - 1 - mantissa)) - 1) << mantissa

    def rule(x: int, y: int, z: int) -> int:
        if any(is_nan(v, t) for v in (x, y, z)):
            return nan
        sign = (x ^ y) >> (width - 1)
        if is_inf(x, t) or is_inf(y, t):
            other = y if is_inf(x, t) else x
            if not is_inf(other, t) and not exact(other, t):
                return nan
            if is_inf(z, t) and z >> (width - 1) != sign:
                return nan
            return sign << (width - 1) | infinity
        if is_inf(z, t):
            return z
        product = exact(x, t) * exact(y, t)
        total = product + exact(z, t)
        zero = sign if product == 0 and exact(z, t) == 0 and sign == z >> (width - 1) else 0
        return rounded(total, t, zero)

    return rule


def divided(t: str) -> Rule:
    width, mantissa, _, nan = FORMATS[t]
    infinity = ((1 << (width - 1 - mantissa)) - 1) << mantissa

    def rule(x: int, y: int, z: int) -> int:
        sign = (x ^ y) >> (width - 1)
        if is_nan(x, t) or is_nan(y, t) or (is_inf(x, t) and is_inf(y, t)):
            return nan
        if is_inf(x, t):
            return sign << (width - 1) | infinity
        if is_inf(y, t):
            return sign << (width - 1)
        if not exact(y, t):
            return nan if not exact(x, t) else sign << (width - 1) | infinity
        return rounded(exact(x, t) / exact(y, t), t, sign)

    return rule


def root(t: str) -> Rule:
    width, _, _, nan = FORMATS[t]

    def rule(x: int, y: int, z: int) -> int:
        if is_nan(x, t) or (x >> (width - 1) and exact(x, t)):
            return nan
        if is_inf(x, t) or not exact(x, t):
            return x
        value = exact(x, t) * Fraction(4) ** 2000  # far more digits than are kept, and a bit for what is left of it
        whole = math.isqrt(value.numerator // value.denominator)
        more = whole * whole * value.denominator != value.numerator
        return rounded((Fraction(whole) + (Fraction(1, 2) if more else 0)) / Fraction(2) ** 2000, t)

    return rule


def chosen(t: str, greater: bool) -> Rule:
    def rule(x: int, y: int, z: int) -> int:
        if is_nan(x, t) or is_nan(y, t):
            return FORMATS[t][3] if is_nan(x, t) and is_nan(y, t) else y if is_nan(x, t) else x
        return (max if greater else min)(x, y, key=lambda v: order_key(v, t))

    return rule


def order_key(bits: int, t: str) -> int:
    width = FORMATS[t][0]
    return -(bits & ((1 << (width - 1)) - 1)) - 1 if bits >> (width - 1) else bits


def comparing(t: str, test: Callable[[Fraction, Fraction], bool], unordered: bool) -> Rule:
    big = Fraction(2) ** 2000

    def value(bits: int) -> Fraction:
        return exact(bits, t) if not is_inf(bits, t) else -big if bits >> (FORMATS[t][0] - 1) else big

    def rule(x: int, y: int, z: int) -> int:
        if is_nan(x, t) or is_nan(y, t):
            return int(unordered)
        return int(test(value(x), value(y)))

    return rule


def to_integer(t: str, target: str, way: Callable[[Fraction], int]) -> Rule:
    bits = int(target[1:])
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if target[0] == "s" else (0, (1 << bits) - 1)

    def rule(x: int, y: int, z: int) -> int:
        if is_nan(x, t):
            return 1 << (bits - 1) if t == "f64" or bits == 64 else 0
        if is_inf(x, t):
            return (low if x >> (FORMATS[t][0] - 1) else high) & ((1 << bits) - 1)
        return min(max(way(exact(x, t)), low), high) & ((1 << bits) - 1)

    return rule
