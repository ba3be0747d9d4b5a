"""The constants and scalar formulas of the arithmetic contract; imports nothing.

A formula is a function of an algebra `o` and values of its dtype. Run on `NumpyAlgebra` it computes; traced with vector
values it becomes a kernel. The algebra has: `dtype`; values with `+ - * /`, unary `-`, ordered comparisons and an
unordered `!=`; conditions with `& | ~`; `constant, fma, sqrt, abs, copysign, select`; `to_bits`, `from_bits`, between
which integers have `+ - & | << >>` and wrap, and `(i & mask) == 0`. A literal is rounded once to the dtype. Nothing
else exists: no libm, no maximum, no conversion between float and integer.

Every product that is added is an fma. Both sides of a select are computed, so every formula is straight-line code. NaN
gives a NaN. The tables come from `tests/scripts/fit_polynomials.py` (`--check` compares them);
`tests/scripts/exhaustive_float32.py` measures the errors over all float32 arguments, and `tests/test_arithmetic.py`
holds them to their bounds.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .algebra import Algebra, Bits, Real

K_CHUNK = 256  # products that one accumulator of a GEMM takes, in ascending k, before it is added to the sum
LANES = 16  # partial sums of a row, then folded at distances 8, 4, 2, 1
BLOCK = 4096  # elements of a block in a sum over all parameters; block totals are added in order

# A decaying optimizer slot below this becomes +0; left alone it would stay denormal for ever, which is slow.
FLUSH_BELOW = {"float32": 2.0**-95, "float64": 2.0**-895}
# Bits of the exponent that are all 0 in such a number, and only there.
FLUSH_BITS = {"float32": 0x7 << 28, "float64": 0xF << 59}

INFINITY = float("inf")
NAN = float("nan")

# --- layout of the formats ------------------------------------------------------------------------------------------

MANTISSA_BITS = {"float32": 23, "float64": 52}
BIAS = {"float32": 127, "float64": 1023}
MANTISSA_MASK = {"float32": 2**23 - 1, "float64": 2**52 - 1}
LEAST_NORMAL = {"float32": 2.0**-126, "float64": 2.0**-1022}
LARGEST = {"float32": (2.0 - 2.0**-23) * 2.0**127, "float64": (2.0 - 2.0**-52) * 2.0**1023}
# Adding this rounds to an integer, which then stands in the low bits; small integers may be added to it exactly.
ROUNDER = {"float32": 1.5 * 2.0**23, "float64": 1.5 * 2.0**52}
ROUNDER_BITS = {
    "float32": 1262485504,
    "float64": 4843621399236968448,
}

# --- exp, expm1 -----------------------------------------------------------------------------------------------------

LOG2_E = {
    "float32": 1.4426950216293335,
    "float64": 1.4426950408889634,
}
LN2_HIGH = {
    "float32": 0.6931471824645996,
    "float64": 0.6931471805599453,
}
LN2_LOW = {
    "float32": -1.9046542121259336e-09,
    "float64": 2.3190468138462996e-17,
}
# The least argument whose exp is a normal number: -126 ln 2, -1022 ln 2, rounded up.
EXP_BOTTOM = {
    "float32": -87.33654022216797,
    "float64": -708.3964185322641,
}
# Any argument from here up overflows, and still reduces to a scale that can be made.
EXP_TOP = {"float32": 89.0, "float64": 710.0}
# Below this expm1 is -1 to the last bit.
EXPM1_BOTTOM = {"float32": -20.0, "float64": -40.0}
# Where expm1(x) and x round to the same value, or nearly: the error is below half a unit in the last place.
TINY = {"float32": 2.0**-25, "float64": 2.0**-54}
# Above this, tanh is 1 to the last bit.
TANH_TOP = {"float32": 10.0, "float64": 22.0}
# (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2, constant first.
EXP = {
    "float32": (
        0.4999999701976776,
        0.16666541993618011,
        0.041667528450489044,
        0.008366692811250687,
        0.00138621567748487,
    ),
    "float64": (
        0.5000000000000006,
        0.166666666666666,
        0.04166666666657362,
        0.008333333333383519,
        0.0013888888932399315,
        0.00019841269731676298,
        2.480150439420565e-05,
        2.755739643193934e-06,
        2.762635760774076e-07,
        2.5057264000887157e-08,
    ),
}

# --- log, log1p_unit ------------------------------------------------------------------------------------------------

SQRT_HALF_BITS = {
    "float32": 1060439283,
    "float64": 4604544271217802189,
}
# log((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2, on |s| <= (sqrt 2 - 1) / (sqrt 2 + 1), constant first.
LOG = {
    "float32": (
        0.6666666269302368,
        0.40000849962234497,
        0.28510144352912903,
        0.2402908056974411,
    ),
    "float64": (
        0.6666666666666737,
        0.3999999999939863,
        0.28571428745551214,
        0.22222198273544116,
        0.1818357906686337,
        0.1531368752092411,
        0.14799487338447104,
    ),
}
# A denormal argument is scaled by 2 to this power first.
LOG_SCALE = {"float32": 25, "float64": 54}

# log1p(x) / x from 0 to 1 in powers of x - 1/2, constant first.
LOG1P = {
    "float32": (
        0.8109301924705505,
        -0.28852707147598267,
        0.1326104998588562,
        -0.06768966466188431,
        0.03661368414759636,
        -0.020542645826935768,
        0.011693277396261692,
        -0.006895542144775391,
        0.005043910816311836,
        -0.00298709305934608,
    ),
    "float64": (
        0.8109302162163288,
        -0.2885270990993239,
        0.13260975375420211,
        -0.06768864331096505,
        0.036611854523182094,
        -0.020548811919081696,
        0.01183379211018376,
        -0.006945394975980343,
        0.004136179082569997,
        -0.0024918411803596025,
        0.0015153836556083353,
        -0.0009288575551460796,
        0.0005730562824454988,
        -0.00035481979441492103,
        0.00022113224433550896,
        -0.00014210230835083978,
        8.951903417022319e-05,
        -4.4824268189796884e-05,
        2.7952027808534836e-05,
        -3.836562023664898e-05,
        2.4683225237993178e-05,
    ),
}

# --- sqrt -----------------------------------------------------------------------------------------------------------

# This less half of x's bits are those of a guess y of 1 / sqrt(x), with x y^2 from 1.5 to 1.6875.
SQRT_GUESS = {
    "float32": 1600126976,
    "float64": 6911899528106868736,
}
# 1 / sqrt(r) for such an r, constant first.
SQRT = {
    "float32": (
        1.4864014387130737,
        -0.622346043586731,
        0.11715593189001083,
    ),
    "float64": (
        2.14606965986383,
        -2.247401349347893,
        1.6939449835237297,
        -0.7597279510309891,
        0.18544708726623194,
        -0.019040831294777037,
    ),
}

# --- the normal distribution ----------------------------------------------------------------------------------------

# log of the probability that a standard normal number is above x >= 0, constant first. It falls beyond the fit, too; at
# the end its exponential is 0.
NORMAL_END = 12.0
NORMAL = {
    "float32": (
        -0.6931471824645996,
        -0.7978853583335876,
        -0.31829842925071716,
        -0.03638918325304985,
        0.004898584447801113,
        -9.704887634143233e-05,
        -0.00012813102512154728,
        2.7098130885860883e-05,
        -1.9487742974888533e-06,
    ),
    "float64": (
        -0.6931471805599453,
        -0.7978845608028672,
        -0.3183098861837546,
        -0.036335602357700794,
        0.004782111751085146,
        3.698075959926582e-05,
        -0.00021202588582082933,
        5.216055485905784e-05,
        -1.6182532558682856e-06,
        -2.8486361831596596e-06,
        9.267924586606082e-07,
        -7.310168937541648e-08,
        -4.610275123247203e-08,
        2.0422173087333565e-08,
        -3.2468181384223723e-09,
        -4.966595548346521e-10,
        4.64924205317342e-10,
        -1.5724623013328277e-10,
        3.561165649076549e-11,
        -5.975019550288393e-12,
        7.609066831225667e-13,
        -7.312283617359505e-14,
        5.157236268325508e-15,
        -2.5236743096153823e-16,
        7.6612335422362e-18,
        -1.0868927017440359e-19,
    ),
}
# What 1 - gelu'(x) is for x >= 0, over e^(-x^2 / 2); beyond the top that is 0 to the last bit.
GELU_SLOPE = {
    "float32": (
        0.5,
        -0.7978841662406921,
        0.24999143183231354,
        -0.13291604816913605,
        0.06225505471229553,
        -0.026051010936498642,
        0.00963599979877472,
        -0.0030365323182195425,
        0.0007702740258537233,
        -0.0001468101399950683,
        1.931223778228741e-05,
        -1.5403919633172336e-06,
        5.558883842127216e-08,
    ),
    "float64": (
        0.5,
        -0.7978845608028631,
        0.24999999999985012,
        -0.13298076013030521,
        0.06249999995778836,
        -0.026596151718183816,
        0.010416665160609068,
        -0.003799445068937058,
        0.001302069911441199,
        -0.0004221347215777344,
        0.00013016752849374138,
        -3.8327896916563204e-05,
        1.0800174261454736e-05,
        -2.9105311761762133e-06,
        7.465240021895788e-07,
        -1.8042243456424238e-07,
        4.0472913358433966e-08,
        -8.270582245064546e-09,
        1.5083517200046095e-09,
        -2.4041441250799606e-10,
        3.2788491330707874e-11,
        -3.742506796206839e-12,
        3.486885546491777e-13,
        -2.571171663373803e-14,
        1.4383495027567564e-15,
        -5.71929067969799e-17,
        1.4368554741838954e-18,
        -1.7112902813944453e-20,
    ),
}
NORMAL_TOP = {"float32": 6.0, "float64": 9.0}


def polynomial(o: "Algebra", coefficients: "tuple[float, ...]", x: "Real") -> "Real":
    """The polynomial with these coefficients, constant first, by Horner's rule in fmas.

    A long one is two, of the even and of the odd powers: chains of half the length, which a processor runs at once.
    """
    if len(coefficients) > 12:
        square = x * x
        return o.fma(polynomial(o, coefficients[1::2], square), x, polynomial(o, coefficients[::2], square))
    *rest, last = coefficients
    value = o.constant(last)
    for coefficient in reversed(rest):
        value = o.fma(value, x, coefficient)
    return value


def _reduce(o: "Algebra", x: "Real", offset: int) -> "tuple[Bits, Real]":
    """x = n ln 2 + r with |r| <= ln(2) / 2: an integer whose low bits hold n + offset, and e^r - 1."""
    rounder = ROUNDER[o.dtype] + offset
    shifted = o.fma(x, LOG2_E[o.dtype], rounder)
    n = shifted - rounder
    r = o.fma(n, -LN2_HIGH[o.dtype], x)
    r = o.fma(n, -LN2_LOW[o.dtype], r)
    return o.to_bits(shifted), o.fma(polynomial(o, EXP[o.dtype], r), r * r, r)


def exp_nonpositive(o: "Algebra", x: "Real") -> "Real":
    """e^x for x <= 0: the same bits as `exp` for three quarters of the work. Softmax, sigmoid and gelu need no more."""
    shifted, q = _reduce(o, x, BIAS[o.dtype])
    scale = o.from_bits(shifted << MANTISSA_BITS[o.dtype])
    return o.select(x < EXP_BOTTOM[o.dtype], 0.0, o.fma(scale, q, scale))


def exp(o: "Algebra", x: "Real") -> "Real":
    """e^x; +0 where that is below the least normal number."""
    clamped = o.select(x > EXP_TOP[o.dtype], EXP_TOP[o.dtype], x)
    shifted, q = _reduce(o, clamped, 0)
    # 2^n in two factors, because 2^128 is needed where e^r is below 1.
    n = shifted - ROUNDER_BITS[o.dtype]
    half = n >> 1
    first = o.from_bits((half + BIAS[o.dtype]) << MANTISSA_BITS[o.dtype])
    second = o.from_bits((n - half + BIAS[o.dtype]) << MANTISSA_BITS[o.dtype])
    return o.select(x < EXP_BOTTOM[o.dtype], 0.0, o.fma(first, q, first) * second)


def half_expm1(o: "Algebra", x: "Real") -> "Real":
    """(e^x - 1) / 2 for x between the bottom of expm1 and the top of exp; the half keeps 2^n finite at the top."""
    shifted, q = _reduce(o, x, BIAS[o.dtype] - 1)
    scale = o.from_bits(shifted << MANTISSA_BITS[o.dtype])
    return o.fma(scale, q, scale - 0.5)


def expm1(o: "Algebra", x: "Real") -> "Real":
    """e^x - 1."""
    clamped = o.select(x < EXPM1_BOTTOM[o.dtype], EXPM1_BOTTOM[o.dtype], x)
    clamped = o.select(clamped > EXP_TOP[o.dtype], EXP_TOP[o.dtype], clamped)
    half = half_expm1(o, clamped)
    return o.select(o.abs(x) < TINY[o.dtype], x, half + half)


def tanh(o: "Algebra", x: "Real") -> "Real":
    """The hyperbolic tangent, h / (h + 1) with h = (e^(2 |x|) - 1) / 2."""
    size = o.abs(x)
    size = o.select(size > TANH_TOP[o.dtype], TANH_TOP[o.dtype], size)
    half = half_expm1(o, size + size)
    return o.copysign(half / (half + 1.0), x)


def sigmoid(o: "Algebra", x: "Real") -> "Real":
    """1 / (1 + e^-x); +0 where that is below the least normal number."""
    z = exp_nonpositive(o, -o.abs(x))
    return o.select(x < 0.0, z, 1.0) / (1.0 + z)


def log(o: "Algebra", x: "Real") -> "Real":
    """The natural logarithm; -inf at both zeros, NaN below."""
    scale, rounder = LOG_SCALE[o.dtype], ROUNDER[o.dtype]
    denormal = x < LEAST_NORMAL[o.dtype]
    shift = o.to_bits(o.select(denormal, x * 2.0**scale, x)) - SQRT_HALF_BITS[o.dtype]
    k = o.from_bits((shift >> MANTISSA_BITS[o.dtype]) + ROUNDER_BITS[o.dtype])
    k = k - o.select(denormal, rounder + scale, o.constant(rounder))
    f = o.from_bits((shift & MANTISSA_MASK[o.dtype]) + SQRT_HALF_BITS[o.dtype]) - 1.0
    s = f / (2.0 + f)
    z = s * s
    half = (0.5 * f) * f
    rest = o.fma(z, polynomial(o, LOG[o.dtype], z), half)
    rest = half - o.fma(s, rest, k * LN2_LOW[o.dtype])
    y = o.fma(k, LN2_HIGH[o.dtype], f - rest)
    y = o.select(x < INFINITY, y, x)
    return o.select(x > 0.0, y, o.select(x == 0.0, -INFINITY, o.constant(NAN)))


def log1p_unit(o: "Algebra", x: "Real", term: "Real | float" = 0.0) -> "Real":
    """term + log(1 + x) for x from 0 to 1: without the division of `log`. Softplus needs no more."""
    return o.fma(x, polynomial(o, LOG1P[o.dtype], x - 0.5), term)


def sqrt(o: "Algebra", x: "Real") -> "Real":
    """The square root of x >= 0, for where a division follows: the divider makes both, one after the other.

    Below the least normal number the guess is poor, and the result between 0 and the root; below 0 it has no meaning.
    """
    guess = o.from_bits(SQRT_GUESS[o.dtype] - (o.to_bits(x) >> 1))
    near = o.select(x < LARGEST[o.dtype], x, LARGEST[o.dtype]) * guess
    factor = polynomial(o, SQRT[o.dtype], near * guess)
    root = near * factor
    return o.fma(o.fma(-root, root, x), (0.5 * guess) * factor, root)


def normal_cdf(o: "Algebra", x: "Real") -> "Real":
    """The probability that a standard normal number is below x, within a few eps of 1."""
    size = o.abs(x)
    size = o.select(size > NORMAL_END, NORMAL_END, size)
    tail = exp_nonpositive(o, polynomial(o, NORMAL[o.dtype], size))
    return o.select(x < 0.0, tail, 1.0 - tail)


def gelu_slope(o: "Algebra", x: "Real") -> "Real":
    """The derivative of x normal_cdf(x), within a few eps of 1: one exponential instead of two."""
    size = o.abs(x)
    size = o.select(size > NORMAL_TOP[o.dtype], NORMAL_TOP[o.dtype], size)
    bell, rest = exp_nonpositive(o, (x * -0.5) * x), polynomial(o, GELU_SLOPE[o.dtype], size)
    return o.select(x < 0.0, bell * rest, o.fma(-bell, rest, 1.0))


def clip(o: "Algebra", x: "Real", low: "Real | float", high: "Real | float") -> "Real":
    """x within low and high; NaN stays."""
    x = o.select(low > x, low, x)
    return o.select(x > high, high, x)


def power_abs(o: "Algebra", d: "Real", p: "Real | float") -> "Real":
    """|d|^p: products for a Python number p of 1, 2, 3 or 4, else e^(p log|d|).

    The error of the second grows with the result's distance from 1: about |p log|d|| units in the last place. p is a
    Python number, fixed when the formula is traced, or a value, which always takes the second way; a p of 0 must be a
    Python number.
    """
    size = o.abs(d)
    if type(p) in (int, float):  # not a subclass: a NumPy float64 is a value, as it is to every other algebra
        if p == 0:
            return o.select(d != d, d, 1.0)
        if p == 1:
            return size
        if p in (2, 4):
            square = d * d
            return square if p == 2 else square * square
        if p == 3:
            return (d * d) * size
    return exp(o, p * log(o, size))


def flush(o: "Algebra", s: "Real") -> "Real":
    """A decaying slot: +0 in place of what is below 2^-95 (float32) or 2^-895 (float64)."""
    return o.select((o.to_bits(s) & FLUSH_BITS[o.dtype]) == 0, 0.0, s)


def flush_square(o: "Algebra", s: "Real") -> "Real":
    """The same for a mean of squares, which is never negative."""
    return o.select(s < FLUSH_BELOW[o.dtype], 0.0, s)
