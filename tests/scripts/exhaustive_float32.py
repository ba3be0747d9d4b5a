"""The error of each float32 function of `arithmetic.py` and `functions.py` over all 2^32 arguments, against float64.

The oracle is NumPy's float64 function (math.erfc for the normal distribution), whose own error is some 2^-29 of a
float32's last place. An error is in units in the last place of the rounded exact result, or of FLOORS. A result of +0
where the exact one is below the least normal number is the contract's, and counts as right.

    python tests/scripts/exhaustive_float32.py                      all functions: 3 to 8 minutes each on one core
    python tests/scripts/exhaustive_float32.py --stride 257 exp log   every 257th argument of two: seconds

Exit code 1 if a bound is broken. Printed over all arguments:

    exp              1.0313 ulp at 26.730072021484375, 0 wrong ends, 297 s
    exp_nonpositive  1.0217 ulp at -5.839454174041748, 0 wrong ends, 147 s
    log              0.8276 ulp at 0.7046762108802795, 0 wrong ends, 457 s
    expm1            1.5215 ulp at 0.3911038041114807, 0 wrong ends, 373 s
    sigmoid          2.4019 ulp at -4.157293796539307, 0 wrong ends, 316 s
    tanh             2.5656 ulp at 0.06202325597405434, 0 wrong ends, 305 s
    sqrt             0.7478 ulp at 1.1863338148333793e-38, 0 wrong ends, 366 s, over the normal numbers

and over every 17th:

    log1p_unit       1.4289 ulp at 0.574780285358429, 0 wrong ends, 24 s
    normal_cdf       1.2402 ulp at 0.6373350620269775, 0 wrong ends, 146 s
    gelu_slope       1.6374 ulp at -2.0318806171417236, 0 wrong ends, 169 s
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn.core import arithmetic, functions
from fastnn.core.algebra import NumpyAlgebra

Array = np.ndarray[Any, Any]

BOUNDS = {
    "exp": 2.0,
    "exp_nonpositive": 2.0,
    "log": 2.0,
    "expm1": 4.0,
    "log1p_unit": 4.0,
    "tanh": 4.0,
    "sigmoid": 4.0,
    "normal_cdf": 4.0,
    "gelu_slope": 4.0,
    "sqrt": 1.0,
    **dict.fromkeys(("sin", "cos", "tan", "arctan", "log1p", "sinh", "cosh", "erf"), 4.0),
    "erfinv": 5.0,
    "floor": 0.0,
    "nearest": 0.0,
}
# Results whose error counts as that of a greater one: of a distribution's tails the absolute error matters.
FLOORS = {"normal_cdf": 0.5, "gelu_slope": 0.5}
PIECE = 2**15  # stays in the cache


class Worst(NamedTuple):
    """The largest error, its argument, and how many infinities, NaN or zeros are wrong."""

    error: float
    argument: float
    wrong: int


def sigmoid(x: Array) -> Array:
    """In float64, without cancellation at either end."""
    z = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, z, 1.0) / (1.0 + z))


def normal_cdf(x: Array) -> Array:
    """By math.erfc between where it is a half, and where it is 0 or 1."""
    size = np.abs(x)
    y = np.where(size < 1.0, 0.5, np.where(np.isnan(x), x, np.where(x > 0.0, 1.0, 0.0)))
    inside = (size > 2.0**-40) & (size < 40.0)
    y[inside] = [0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x[inside].tolist()]
    return np.asarray(y)


def erf(x: Array) -> Array:
    """By math.erf."""
    return np.array([math.erf(v) for v in x.tolist()])


def gelu_slope(x: Array) -> Array:
    """The derivative of x normal_cdf(x); 0 and 1 at the infinities."""
    bell = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return normal_cdf(x) + np.where(bell > 0.0, x, 0.0) * bell


def erfinv(x: Array) -> Array:
    """The same formula in float64, of which `test_arithmetic.py` has the errors."""
    return np.asarray(NumpyAlgebra("float64").apply(functions.erfinv, x))


ORACLES: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "exp_nonpositive": np.exp,
    "log": np.log,
    "expm1": np.expm1,
    "log1p_unit": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "normal_cdf": normal_cdf,
    "gelu_slope": gelu_slope,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arctan": np.arctan,
    "log1p": np.log1p,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "erf": erf,
    "erfinv": erfinv,
    "floor": np.floor,
    "nearest": np.rint,
}


def worst(name: str, x: Array) -> Worst:
    """The worst of a function over float32 arguments."""
    if name == "exp_nonpositive":
        x = x[~(x > 0)]
    elif name == "log1p_unit":
        x = x[~((x < 0) | (x > 1))]
    elif name == "sqrt":
        x = x[~(x < arithmetic.LEAST_NORMAL["float32"])]
    got = NumpyAlgebra("float32").apply((vars(functions) | vars(arithmetic))[name], x)
    with np.errstate(all="ignore"):
        exact = ORACLES[name](x.astype(np.float64))
        nearest = exact.astype(np.float32)
        size = np.maximum(np.abs(nearest), np.float32(FLOORS.get(name, 0.0)))
        unit = np.spacing(size).astype(np.float64)
        ordinary = np.isfinite(got) & np.isfinite(nearest)
        flushed = (np.abs(nearest) < arithmetic.LEAST_NORMAL["float32"]) & (got == 0.0)
        errors = np.where(ordinary & ~flushed, np.abs(got.astype(np.float64) - exact) / unit, 0.0)
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    # Where the exact result is a zero, its sign counts too; a flushed one is +0, but for what comes from below 0.
    signs = (got == 0.0) & (np.signbit(got) != (np.signbit(exact) & (exact == 0.0))) & (name not in FLOORS)
    wrong = int(np.count_nonzero((~ordinary & ~same) | signs))
    i = int(np.argmax(errors)) if errors.size else -1
    return Worst(float(errors[i]), float(x[i]), wrong) if i >= 0 else Worst(0.0, math.nan, wrong)


def arguments(first: int, last: int, stride: int) -> Array:
    """The float32 whose bit patterns are first, first + stride, ... below last."""
    return np.arange(first, last, stride, dtype=np.int64).astype(np.uint32).view(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the float32 functions of the contract.")
    parser.add_argument("names", nargs="*", default=list(BOUNDS), help="functions (default: all)")
    parser.add_argument("--stride", type=int, default=1, help="take every n-th bit pattern")
    options = parser.parse_args()
    failed = False
    for name in options.names:
        began = time.perf_counter()
        span = PIECE * options.stride
        found = [worst(name, arguments(i, min(i + span, 2**32), options.stride)) for i in range(0, 2**32, span)]
        top = max(found)
        wrong = sum(w.wrong for w in found)
        seconds = time.perf_counter() - began
        broken = top.error > BOUNDS[name] or wrong > 0
        failed |= broken
        print(
            f"    {name:16} {top.error:.4f} ulp at {top.argument!r}, {wrong} wrong ends, {seconds:.0f} s"
            + (" BROKEN" if broken else ""),
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
