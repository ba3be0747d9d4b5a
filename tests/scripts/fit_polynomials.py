"""Make the constants and polynomial tables of ``fastnn/core/arithmetic.py`` and ``functions.py`` (needs mpmath; 6 s).

Every polynomial is a weighted least-squares fit on Chebyshev nodes in 60 digits, which is within a small factor of
minimax. The coefficients are rounded to the dtype one by one, constant first, and the rest refitted after each
rounding.

    python tests/scripts/fit_polynomials.py            print the tables, with each fit's largest weighted error
    python tests/scripts/fit_polynomials.py --check    compare with those files; exit code 1 if they differ
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp, mpf

mp.dps = 60
LN2 = mp.log(2)
BITS = {"float32": (23, 127, "f", "i"), "float64": (52, 1023, "d", "q")}
# Degrees are the least whose fit error stays below a quarter of a unit in the last place of the result (of LOG1P beside
# the rounding of its constant).
EXP_DEGREE = {"float32": 4, "float64": 9}
LOG_DEGREE = {"float32": 3, "float64": 6}
# Of the square root's first estimate, whose error e a Newton step makes 1.5 e^2.
SQRT_DEGREE = {"float32": 2, "float64": 5}
LOG1P_DEGREE = {"float32": 9, "float64": 20}
NORMAL_DEGREE = {"float32": 8, "float64": 25}
GELU_SLOPE_DEGREE = {"float32": 12, "float64": 27}
NORMAL_TOP = {"float32": 6.0, "float64": 9.0}
SIN_DEGREE = {"float32": 2, "float64": 5}
COS_DEGREE = {"float32": 2, "float64": 5}
ARCTAN_DEGREE = {"float32": 4, "float64": 9}
ERF_DEGREE = {"float32": 6, "float64": 12}
# Words of 2 / pi: their bits, and how many any argument of the dtype can meet.
TURN_WORDS = {"float32": (24, 12), "float64": (48, 36)}


def rounded(value: Any, dtype: str) -> float:
    """The value of the dtype nearest to an mpmath number."""
    with mp.workprec(BITS[dtype][0] + 1):
        return float(+mpf(value))


def bits(value: float, dtype: str) -> int:
    """The bit pattern of a value, as a signed integer."""
    return int(struct.unpack("<" + BITS[dtype][3], struct.pack("<" + BITS[dtype][2], value))[0])


def above(value: Any, dtype: str) -> float:
    """The least value of the dtype that is not below a negative number."""
    near = rounded(value, dtype)
    if mpf(near) >= value:
        return near
    _, _, real, integer = BITS[dtype]
    return float(struct.unpack("<" + real, struct.pack("<" + integer, bits(near, dtype) - 1))[0])


def fit(
    function: Callable[[Any], Any],
    weight: Callable[[Any], Any],
    low: float,
    high: float,
    degree: int,
    dtype: str,
) -> tuple[tuple[float, ...], float]:
    """Coefficients, constant first, and the largest weighted error on a fine grid."""

    def chebyshev(count: int) -> list[Any]:
        middle, half = (mpf(low) + mpf(high)) / 2, (mpf(high) - mpf(low)) / 2
        return [middle + half * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]

    nodes = chebyshev(4 * degree + 8)
    squares = [weight(x) ** 2 for x in nodes]
    moments = [mp.fsum(w * x**power for w, x in zip(squares, nodes, strict=True)) for power in range(2 * degree + 1)]
    targets = [w * function(x) for w, x in zip(squares, nodes, strict=True)]
    # The normal equations, highest power first: those of fewer coefficients have the beginning of the same factor.
    powers = range(degree, -1, -1)
    right = [mp.fsum(t * x**power for t, x in zip(targets, nodes, strict=True)) for power in powers]
    factor = mp.cholesky(mpmath.matrix([[moments[i + j] for j in powers] for i in powers])).tolist()
    done: list[float] = []
    for power in range(degree + 1):
        solved: list[Any] = []
        for row, value in zip(factor, right, strict=False):
            solved.append((value - mp.fdot(zip(row, solved, strict=False))) / row[len(solved)])
        done.append(rounded(solved[-1] / factor[len(solved) - 1][len(solved) - 1], dtype))
        right = [value - done[power] * moments[p + power] for value, p in zip(right[:-1], powers, strict=False)]
    error = max(abs(weight(x) * (function(x) - mp.fsum(c * x**n for n, c in enumerate(done)))) for x in chebyshev(199))
    return tuple(done), float(error)


def exp_rest(r: Any) -> Any:
    return (mp.expm1(r) - r) / r**2


def log_rest(z: Any) -> Any:
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def log1p_slope(u: Any) -> Any:
    """Of x = u + 1/2: in powers of u there is no cancellation."""
    x = u + mpf(1) / 2
    return mp.log1p(x) / x


def normal_tail(x: Any) -> Any:
    return mp.erfc(x / mp.sqrt(2)) / 2


def log_normal_tail(x: Any) -> Any:
    return mp.log(normal_tail(x))


def normal_bell(x: Any) -> Any:
    return mp.exp(-x * x / 2)


def gelu_slope_rest(x: Any) -> Any:
    """What 1 - gelu'(x) is, over e^(-x^2 / 2)."""
    return normal_tail(x) / normal_bell(x) - x / mp.sqrt(2 * mp.pi)


def sin_rest(z: Any) -> Any:
    r = mp.sqrt(z)
    return (mp.sin(r) / r - 1) / z


def cos_rest(z: Any) -> Any:
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def arctan_rest(z: Any) -> Any:
    t = mp.sqrt(z)
    return (mp.atan(t) / t - 1) / z


def erf_slope(z: Any) -> Any:
    x = mp.sqrt(z)
    return mp.erf(x) / x


def turn_words(bits: int, count: int) -> tuple[float, ...]:
    """The binary digits of 2 / pi, so many in each whole number."""
    with mp.workprec(bits * count + 64):
        digits = int(mp.floor(mp.ldexp(2 / mp.pi, bits * count)))
    return tuple(float(digits >> bits * (count - 1 - n) & (1 << bits) - 1) for n in range(count))


def inverse_root(r: Any) -> Any:
    return 1 / mp.sqrt(r)


def tables() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
    """All tables by name and dtype, and the errors of the fits."""
    made: dict[str, dict[str, Any]] = {}
    errors: dict[str, dict[str, float]] = {}

    def put(name: str, dtype: str, value: Any, error: float | None = None) -> None:
        made.setdefault(name, {})[dtype] = value
        if error is not None:
            errors.setdefault(name, {})[dtype] = error

    for dtype, (mantissa, bias, _, _) in BITS.items():
        high = rounded(LN2, dtype)
        put("LN2_HIGH", dtype, high)
        put("LN2_LOW", dtype, rounded(LN2 - mpf(high), dtype))
        put("LOG2_E", dtype, rounded(1 / LN2, dtype))
        put("EXP_BOTTOM", dtype, above(LN2 * (1 - bias), dtype))
        put("SQRT_HALF_BITS", dtype, bits(rounded(mp.sqrt(mpf(1) / 2), dtype), dtype))
        put("ROUNDER_BITS", dtype, bits(1.5 * 2.0**mantissa, dtype))
        # A hair beyond ln(2)/2 and (sqrt(2) - 1)/(sqrt(2) + 1): the reductions round.
        reach = float(LN2 / 2) * 1.001
        put("EXP", dtype, *fit(exp_rest, lambda r: r**2 / mp.expm1(r), -reach, reach, EXP_DEGREE[dtype], dtype))
        reach = float((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * 1.001
        put("LOG", dtype, *fit(log_rest, lambda z: z / 2, 0.0, reach, LOG_DEGREE[dtype], dtype))
        # The guess is linear between powers of 2; 1.25 at 1 keeps the ratio of the greatest to the least x y^2 least.
        put("SQRT_GUESS", dtype, bits(1.25, dtype) + (bits(1.0, dtype) >> 1))
        put("SQRT", dtype, *fit(inverse_root, mp.sqrt, 1.5, 1.6875, SQRT_DEGREE[dtype], dtype))
        put("LOG1P", dtype, *fit(log1p_slope, lambda u: 1 / log1p_slope(u), -0.5, 0.5, LOG1P_DEGREE[dtype], dtype))
        top = NORMAL_TOP[dtype]
        put("NORMAL_TOP", dtype, top)
        put("NORMAL", dtype, *fit(log_normal_tail, normal_tail, 0.0, top, NORMAL_DEGREE[dtype], dtype))
        put("GELU_SLOPE", dtype, *fit(gelu_slope_rest, normal_bell, 0.0, top, GELU_SLOPE_DEGREE[dtype], dtype))
        put("TURN_TABLE", dtype, turn_words(*TURN_WORDS[dtype]))
        for name, value in (("HALF_PI", mp.pi / 2), ("QUARTER_PI", mp.pi / 4)):
            high = rounded(value, dtype)
            put(f"{name}_HIGH", dtype, high)
            put(f"{name}_LOW", dtype, rounded(value - mpf(high), dtype))
        reach = float(mp.pi / 4) ** 2 * 1.001
        put("SIN", dtype, *fit(sin_rest, lambda z: z, 1e-9, reach, SIN_DEGREE[dtype], dtype))
        put("COS", dtype, *fit(cos_rest, lambda z: z**2, 1e-9, reach, COS_DEGREE[dtype], dtype))
        reach = float(mp.tan(mp.pi / 8)) ** 2 * 1.001
        put("ARCTAN", dtype, *fit(arctan_rest, lambda z: z, 1e-9, reach, ARCTAN_DEGREE[dtype], dtype))
        put("ERF", dtype, *fit(erf_slope, lambda z: 1, 1e-12, 1.0, ERF_DEGREE[dtype], dtype))
    return made, errors


def main() -> int:
    made, errors = tables()
    if sys.argv[1:] == ["--check"]:
        from fastnn.core import arithmetic, functions

        written = vars(functions) | vars(arithmetic)
        wrong = [name for name, table in made.items() if written[name] != table]
        print("different: " + ", ".join(wrong) if wrong else f"{len(made)} tables agree")
        return 1 if wrong else 0
    for name, table in made.items():
        for dtype, error in errors.get(name, {}).items():
            print(f"# {name} {dtype}: weighted error 2^{float(mp.log(error, 2)):.1f}")
        print(f"{name} = {table!r}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
