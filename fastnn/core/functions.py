"""More scalar formulas over the algebra of `arithmetic.py`: those of `fastnn.ops`, which no layer needs.

The same rules hold. sin, cos and tan are within their bounds for every finite argument: x is reduced by as many words
of 2 / pi as its exponent asks for (M. Payne, R. Hanek, "Radian reduction for trigonometric functions", SIGNUM
Newsletter 18(1), 1983), in products and sums whose errors are kept.
"""

from . import arithmetic as ar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .algebra import Algebra, Bits, Real

# --- sin, cos, tan --------------------------------------------------------------------------------------------------

TURN_WORD_BITS = {"float32": 24, "float64": 48}
TURN_WORDS = 5  # that an argument meets; those before them give whole turns, those behind them nothing
# Where an argument takes the words behind these many, from the most to the least.
TURN_SHIFTS = {"float32": (4, 2, 1), "float64": (16, 8, 4, 2, 1)}
# Below this an argument needs no reduction.
TURN_NONE = 0.75
# 2 / pi: whole numbers of so many bits, the first behind the point.
TURN_TABLE = {
    "float32": (
        10680707.0,
        7228996.0,
        1387004.0,
        2578385.0,
        16069853.0,
        12639074.0,
        9804092.0,
        4427841.0,
        16666979.0,
        11263675.0,
        12935607.0,
        2387514.0,
    ),
    "float64": (
        179192535600708.0,
        23270068279249.0,
        269607407508322.0,
        164485373595713.0,
        279625518014139.0,
        217023475117626.0,
        72902017812041.0,
        51582721954332.0,
        279404452032809.0,
        183888630658549.0,
        51381843323292.0,
        123311537225281.0,
        63298527134547.0,
        63722760724363.0,
        208877819469816.0,
        167125197363215.0,
        262985436846602.0,
        119981743701711.0,
        43752994852678.0,
        69709976300077.0,
        128813497838565.0,
        265511607155191.0,
        152087256787963.0,
        105214343208200.0,
        94571694849147.0,
        118386223725600.0,
        170373670611427.0,
        159847389993736.0,
        111710042002592.0,
        114626469550208.0,
        85156974102022.0,
        23462507948233.0,
        106525855091819.0,
        78907571398605.0,
        242889144304473.0,
        216013427055782.0,
    ),
}
# (sin r / r - 1) / r^2 and (cos r - 1 + r^2 / 2) / r^4 in powers of r^2 on |r| <= pi / 4, constant first.
SIN = {
    "float32": (
        -0.16666655242443085,
        0.008332191035151482,
        -0.00019518598855938762,
    ),
    "float64": (
        -0.1666666666666663,
        0.00833333333332196,
        -0.0001984126982950486,
        2.755731360004322e-06,
        -2.5050745165624864e-08,
        1.5896106131534069e-10,
    ),
}
COS = {
    "float32": (
        0.04166664555668831,
        -0.0013887312961742282,
        2.4432958525721915e-05,
    ),
    "float64": (
        0.041666666666666595,
        -0.0013888888888873448,
        2.480158728910544e-05,
        -2.755731425306134e-07,
        2.0875710774542552e-09,
        -1.1359041439039709e-11,
    ),
}
HALF_PI_HIGH = {
    "float32": 1.5707963705062866,
    "float64": 1.5707963267948966,
}
HALF_PI_LOW = {
    "float32": -4.371138828673793e-08,
    "float64": 6.123233995736766e-17,
}

# --- arctan ---------------------------------------------------------------------------------------------------------

# Between them an argument is reduced by pi / 4, above by pi / 2: tan(pi / 8), tan(3 pi / 8).
ARCTAN_MIDDLE, ARCTAN_TOP = 0.41421356237309503, 2.414213562373095
# (arctan t / t - 1) / t^2 in powers of t^2 up to tan(pi / 8)^2, constant first.
ARCTAN = {
    "float32": (
        -0.3333331346511841,
        0.1999838799238205,
        -0.1424219310283661,
        0.10585052520036697,
        -0.060580864548683167,
    ),
    "float64": (
        -0.3333333333332998,
        0.19999999999054313,
        -0.1428571419269792,
        0.1111110655733471,
        -0.09090780325962806,
        0.07690040628602435,
        -0.06640893149430653,
        0.056913998840651354,
        -0.04355937836293007,
        0.021222585208735042,
    ),
}
QUARTER_PI_HIGH = {
    "float32": 0.7853981852531433,
    "float64": 0.7853981633974483,
}
QUARTER_PI_LOW = {
    "float32": -2.1855694143368964e-08,
    "float64": 3.061616997868383e-17,
}

# --- erf, sinh ------------------------------------------------------------------------------------------------------

# erf(x) / x in powers of x^2 up to 1, constant first.
ERF = {
    "float32": (
        1.1283791065216064,
        -0.37612462043762207,
        0.11282283067703247,
        -0.026809347793459892,
        0.005114431958645582,
        -0.000742030271794647,
        6.0418969951570034e-05,
    ),
    "float64": (
        1.1283791670955126,
        -0.3761263890318359,
        0.11283791670949891,
        -0.026866170644361576,
        0.005223977619082404,
        -0.0008548326696712855,
        0.00012055321921394418,
        -1.4925395527793305e-05,
        1.6458061092520796e-06,
        -1.632141837063985e-07,
        1.4478071334641782e-08,
        -1.07118588418743e-09,
        4.899257955285117e-11,
    ),
}
SQRT_2 = 1.4142135623730951
# From here on e^-x is nothing beside e^x, and e^x does not overflow yet.
SINH_TOP = {"float32": 80.0, "float64": 700.0}


def _whole(o: "Algebra", x: "Real") -> "Real":
    """x of which whole multiples of 4 are taken away, of any size up to where x is one itself."""
    rounder = 4.0 * ar.ROUNDER[o.dtype]
    return x - ((x + rounder) - rounder)


def _two_sum(a: "Real", b: "Real") -> "tuple[Real, Real]":
    """a + b rounded, and the error of that."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _turns(o: "Algebra", x: "Real") -> "tuple[Bits, Real]":
    """|x| = (n + f) pi / 2 with |f| <= 1/2: an integer whose low bits hold n, and f pi / 2 with the sign that x has
    below TURN_NONE."""
    bits, mantissa = TURN_WORD_BITS[o.dtype], ar.MANTISSA_BITS[o.dtype]
    size = o.abs(x)
    scaled, words = size, [o.constant(word) for word in TURN_TABLE[o.dtype]]
    for shift in TURN_SHIFTS[o.dtype]:
        # The words that are left out give multiples of 4 then: x is one of 4 by 2 to the power of their bits.
        behind = scaled >= 2.0 ** (mantissa + 2 + bits * shift)
        scaled = o.select(behind, scaled * 2.0 ** (-bits * shift), scaled)
        words = [o.select(behind, far, near) for near, far in zip(words, words[shift:], strict=False)]
    parts, errors = [], []
    for number, word in enumerate(words[:TURN_WORDS]):
        word = word * 2.0 ** (-bits * (number + 1))
        parts.append(scaled * word)
        if number < TURN_WORDS - 1:  # that of the last is nothing beside the others
            errors.append(o.fma(scaled, word, -parts[-1]))
    first = o.select(parts[0] < 2.0 ** (mantissa + 2), _whole(o, parts[0]), parts[0] - parts[0])
    total, rest = _two_sum(first, _whole(o, errors[0]))
    lows = []
    for part in (_whole(o, parts[1]), errors[1], parts[2]):
        total, low = _two_sum(total, part)
        lows.append(low)
    shifted = o.select(size < TURN_NONE, 0.0, total) + ar.ROUNDER[o.dtype]
    total = total - (shifted - ar.ROUNDER[o.dtype])
    tail = errors[3] + parts[4]
    for low in (*lows, errors[2], parts[3]):
        rest, error = _two_sum(rest, low)
        tail = tail + error
    total, error = _two_sum(total, rest)
    high = HALF_PI_HIGH[o.dtype]
    angle = o.fma(total, high, o.fma(total, HALF_PI_LOW[o.dtype], (error + tail) * high))
    return o.to_bits(shifted), o.select(size < TURN_NONE, x, angle)


def _sin_cos(o: "Algebra", r: "Real") -> "tuple[Real, Real]":
    """The sine and the cosine of r, |r| <= pi / 4."""
    z = r * r
    sine = r * o.fma(z, ar.polynomial(o, SIN[o.dtype], z), 1.0)
    return sine, o.fma(z, o.fma(z, ar.polynomial(o, COS[o.dtype], z), -0.5), 1.0)


def _wave(o: "Algebra", quarters: "Bits", r: "Real") -> "Real":
    """The sine of r and so many quarters of a turn."""
    sine, cosine = _sin_cos(o, r)
    value = o.select((quarters & 1) == 0, sine, cosine)
    return o.select((quarters & 2) == 0, value, -value)


def sin(o: "Algebra", x: "Real") -> "Real":
    """The sine; NaN at the infinities."""
    quarters, r = _turns(o, x)
    value = _wave(o, quarters, r)
    return o.select(x <= -TURN_NONE, -value, value)


def cos(o: "Algebra", x: "Real") -> "Real":
    """The cosine; NaN at the infinities."""
    quarters, r = _turns(o, x)
    return _wave(o, quarters + 1, r)


def tan(o: "Algebra", x: "Real") -> "Real":
    """The tangent; NaN at the infinities."""
    quarters, r = _turns(o, x)
    sine, cosine = _sin_cos(o, r)
    even = (quarters & 1) == 0
    value = o.select(even, sine, -cosine) / o.select(even, cosine, sine)
    return o.select(x <= -TURN_NONE, -value, value)


def arctan(o: "Algebra", x: "Real") -> "Real":
    """The inverse tangent, from -pi / 2 to pi / 2."""
    size = o.abs(x)
    top, middle = size > ARCTAN_TOP, size > ARCTAN_MIDDLE
    above = o.select(top, o.constant(-1.0), o.select(middle, size - 1.0, size))
    t = above / o.select(top, size, o.select(middle, size + 1.0, 1.0))
    high = o.select(top, HALF_PI_HIGH[o.dtype], o.select(middle, QUARTER_PI_HIGH[o.dtype], o.constant(0.0)))
    low = o.select(top, HALF_PI_LOW[o.dtype], o.select(middle, QUARTER_PI_LOW[o.dtype], o.constant(0.0)))
    z = t * t
    return o.copysign(high + (t + o.fma(t * z, ar.polynomial(o, ARCTAN[o.dtype], z), low)), x)


def log1p(o: "Algebra", x: "Real") -> "Real":
    """log(1 + x); -inf at -1, NaN below."""
    u = 1.0 + x
    rest = x - (u - 1.0)
    y = ar.log(o, u) + o.select(o.abs(rest) > 0.0, rest / u, 0.0)
    return o.select(u == 1.0, x, y)


def sinh(o: "Algebra", x: "Real") -> "Real":
    """(e^x - e^-x) / 2: h + h / (2 h + 1) with h = (e^|x| - 1) / 2."""
    size = o.abs(x)
    h = ar.half_expm1(o, o.select(size > SINH_TOP[o.dtype], SINH_TOP[o.dtype], size))
    root = ar.exp(o, 0.5 * size)
    y = o.select(size > SINH_TOP[o.dtype], (0.5 * root) * root, h + h / ((h + h) + 1.0))
    return o.select(size < ar.TINY[o.dtype], x, o.copysign(y, x))


def cosh(o: "Algebra", x: "Real") -> "Real":
    """(e^x + e^-x) / 2: of the root of e^|x|, which does not overflow before it."""
    root = ar.exp(o, 0.5 * o.abs(x))
    half = 0.5 * root
    return o.fma(half, root, (0.5 / root) / root)


def erf(o: "Algebra", x: "Real") -> "Real":
    """The error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    size = o.abs(x)
    near = o.select(size < 1.0, x, 1.0)
    small = near * ar.polynomial(o, ERF[o.dtype], near * near)
    tail = ar.normal_cdf(o, -SQRT_2 * size)
    return o.select(size < 1.0, small, o.copysign(o.fma(-2.0, tail, 1.0), x))


def nearest(o: "Algebra", x: "Real") -> "Real":
    """The nearest whole number; of two the even one."""
    one = 2.0 ** ar.MANTISSA_BITS[o.dtype]  # numbers from here on are whole, and adding it rounds to whole ones
    size = o.abs(x)
    return o.select(size < one, o.copysign((size + one) - one, x), x)


def floor(o: "Algebra", x: "Real") -> "Real":
    """The largest whole number that is not above x."""
    whole = nearest(o, x)
    return o.select(whole > x, whole - 1.0, whole)


# --- the normal distribution ----------------------------------------------------------------------------------------

# AS241's rational functions: numerator and denominator, constant first.
CENTRE = (
    (
        3.3871328727963665,
        133.14166789178438,
        1971.5909503065513,
        13731.69376550946,
        45921.95393154987,
        67265.7709270087,
        33430.57558358813,
        2509.0809287301227,
    ),
    (
        1.0,
        42.31333070160091,
        687.1870074920579,
        5394.196021424751,
        21213.794301586597,
        39307.89580009271,
        28729.085735721943,
        5226.495278852854,
    ),
)
MIDDLE = (
    (
        1.4234371107496835,
        4.630337846156546,
        5.769497221460691,
        3.6478483247632045,
        1.2704582524523684,
        0.2417807251774506,
        0.022723844989269184,
        0.0007745450142783414,
    ),
    (
        1.0,
        2.053191626637759,
        1.6763848301838038,
        0.6897673349851,
        0.14810397642748008,
        0.015198666563616457,
        0.0005475938084995345,
        1.0507500716444169e-09,
    ),
)
TAIL = (
    (
        6.657904643501103,
        5.463784911164114,
        1.7848265399172913,
        0.29656057182850487,
        0.026532189526576124,
        0.0012426609473880784,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ),
    (
        1.0,
        0.599832206555888,
        0.1369298809227358,
        0.014875361290850615,
        0.0007868691311456133,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ),
)
SQRT_HALF = 0.7071067811865476


def normal_quantile(o: "Algebra", q: "Real") -> "Real":
    """The x below which a standard normal number lies with probability 1/2 + q, for |q| < 1/2.

    Source: M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics
    37(3), 1988.
    """
    size = o.abs(q)
    r = o.fma(-q, q, 0.180625)
    centre = size * (ar.polynomial(o, CENTRE[0], r) / ar.polynomial(o, CENTRE[1], r))
    depth = o.sqrt(-ar.log(o, 0.5 - size))
    r = depth - 1.6
    middle = ar.polynomial(o, MIDDLE[0], r) / ar.polynomial(o, MIDDLE[1], r)
    r = depth - 5.0
    tail = ar.polynomial(o, TAIL[0], r) / ar.polynomial(o, TAIL[1], r)
    return o.copysign(o.select(size <= 0.425, centre, o.select(depth <= 5.0, middle, tail)), q)


def erfinv(o: "Algebra", x: "Real") -> "Real":
    """The number of which x is the error function."""
    return o.select(o.abs(x) == 1.0, o.copysign(o.constant(ar.INFINITY), x), SQRT_HALF * normal_quantile(o, 0.5 * x))
