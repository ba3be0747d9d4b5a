"""The scalar formulas: accuracy against better oracles, ends, thresholds, and what the file may contain."""

from __future__ import annotations

import ast
import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest

from fastnn.core import arithmetic, functions
from fastnn.core.algebra import NumpyAlgebra

SCRIPTS = Path(__file__).parent / "scripts"
DTYPES = ("float32", "float64")
INTEGERS: dict[str, Any] = {"float32": np.int32, "float64": np.int64}
INF, NAN = math.inf, math.nan
Array = np.ndarray[Any, Any]


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXHAUSTIVE = load_script("exhaustive_float32")
BOUNDS: dict[str, float] = EXHAUSTIVE.BOUNDS
FLOORS: dict[str, float] = EXHAUSTIVE.FLOORS
ORACLES: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "exp_nonpositive": mpmath.exp,
    "log": mpmath.log,
    "expm1": mpmath.expm1,
    "log1p_unit": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "normal_cdf": mpmath.ncdf,
    "gelu_slope": lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x),
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arctan": mpmath.atan,
    "log1p": mpmath.log1p,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "erf": mpmath.erf,
    "erfinv": mpmath.erfinv,
    "floor": mpmath.floor,
    "nearest": mpmath.nint,
}


def run(name: str, x: Any, dtype: str, *more: Any) -> Array:
    """A formula on values of the dtype; NumPy's warnings are errors in this test run."""
    o = NumpyAlgebra(dtype)
    formula = (vars(functions) | vars(arithmetic))[name]
    return np.asarray(o.apply(lambda o, v: formula(o, v, *more), x))


def same_bits(a: Any, b: Any, dtype: str) -> Array:
    """Whether bit patterns are equal, any NaN with any NaN."""
    a, b = np.asarray(a, dtype=dtype), np.asarray(b, dtype=dtype)
    return np.asarray((a.view(INTEGERS[dtype]) == b.view(INTEGERS[dtype])) | (np.isnan(a) & np.isnan(b)))


def neighbourhood(values: list[float], dtype: str) -> Array:
    """Values of the dtype, both signs, with two neighbours on each side."""
    x = np.array([*values, *(-v for v in values)], dtype=dtype)
    found = [x]
    for direction in (-INF, INF):
        step = x
        for _ in range(2):
            step = np.nextafter(step, np.asarray(direction, dtype=dtype))
            found.append(step)
    return np.unique(np.concatenate(found))


def edges(dtype: str) -> Array:
    """Every place where a formula changes its way, and the format's own ends."""
    limits = np.finfo(dtype)
    ln2 = math.log(2.0)
    largest = float(np.log(np.float64(limits.max)))
    return neighbourhood(
        [
            *(
                0.0,
                float(limits.smallest_subnormal),
                float(limits.tiny),
                float(limits.eps),
                1.0,
                2.0,
                float(limits.max) / 4,
            ),
            *(arithmetic.TINY[dtype], arithmetic.EXP_TOP[dtype], largest, -arithmetic.EXP_BOTTOM[dtype]),
            *(-arithmetic.EXPM1_BOTTOM[dtype], arithmetic.TANH_TOP[dtype], arithmetic.TANH_TOP[dtype] / 2),
            *(
                arithmetic.NORMAL_TOP[dtype],
                arithmetic.NORMAL_END,
                math.sqrt(0.5),
                math.sqrt(2.0),
                math.sqrt(2.0) - 1.0,
            ),
            *(ln2 * k / 2 for k in (1, 3, 5, 41, 101)),
        ],
        dtype,
    )


def samples(dtype: str) -> Array:
    """Edges, and numbers near 0, near 1, over the range of exp, and of any bit pattern."""
    rng = np.random.default_rng(5)
    n = 400
    info = np.iinfo(INTEGERS[dtype])
    patterns = rng.integers(info.min, info.max, n, dtype=INTEGERS[dtype]).view(dtype)
    reach = arithmetic.EXP_TOP[dtype]
    drawn = [rng.uniform(-r, r, n).astype(dtype) for r in (0.1, 1.0, 8.0, reach)]
    near_1 = rng.uniform(0.6, 1.5, n).astype(dtype)
    x = np.concatenate([edges(dtype), patterns, *drawn, near_1])
    finite: Array = x[np.isfinite(x)]
    return finite


def ulp_errors(name: str, x: Array, got: Array, dtype: str) -> list[float]:
    """Errors in units in the last place of the exact result; 0 where the contract's +0 stands for a denormal."""
    least = arithmetic.LEAST_NORMAL[dtype]
    top = float(np.finfo(dtype).max)
    smallest = 2.0 ** (1 - arithmetic.BIAS[dtype] - arithmetic.MANTISSA_BITS[dtype])
    errors = []
    # 2 pi to as many bits as the largest argument has, and more
    with mpmath.workprec(1300 if name in ("sin", "cos", "tan") and dtype == "float64" else 300):
        for value, result in zip(x.tolist(), got.tolist(), strict=True):
            exact = ORACLES[name](mpmath.mpf(value))
            size = max(abs(exact), FLOORS.get(name, 0.0))
            if size < least and result == 0.0:
                errors.append(0.0)
            elif math.isinf(result):
                errors.append(0.0 if size > top else INF)
            else:
                exponent = int(mpmath.frexp(size)[1]) - 1 if size else -arithmetic.BIAS[dtype]
                unit = max(mpmath.ldexp(1, exponent - arithmetic.MANTISSA_BITS[dtype]), smallest)
                errors.append(float(abs(mpmath.mpf(result) - exact) / unit))
    return errors


# The arguments nearest to a multiple of pi / 2 beside their size, and many near one: what reduction must not lose.
_MANY = np.random.default_rng(8).integers(1, 2**40, 300) * (math.pi / 2)
QUARTER_TURNS = {
    "float32": [16367173.0 * 2.0**72, -16367173.0 * 2.0**72, *_MANY],
    "float64": [6381956970095103.0 * 2.0**797, -6381956970095103.0 * 2.0**797, *_MANY],
}


# Largest errors in ulp. float32: exhaustive_float32.py measured and states them.
# float64, random arguments: exp 1.01, log 0.83, expm1 1.97, log1p_unit 1.65, tanh 2.63, sigmoid 2.34, normal_cdf 1.27,
# gelu_slope 1.72, sqrt 0.75.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_error_against_mpmath(name: str, dtype: str) -> None:
    x = samples(dtype)
    if name in ("log", "log1p"):
        x = x[x > -(name == "log1p")]
    elif name in ("sinh", "cosh"):
        x = x[np.abs(x) < 1e4]  # beyond that mpmath takes long
    elif name in ("sin", "cos", "tan"):
        x = np.concatenate([x, QUARTER_TURNS[dtype]]).astype(dtype)
    elif name == "erfinv":
        x = np.tanh(x[::4]).astype(dtype)  # mpmath takes long
        x = x[np.abs(x) < 1]
    elif name == "log1p_unit":
        x = x[(x >= 0) & (x <= 1)]
    elif name in FLOORS:
        x = x[np.abs(x) < 40]  # beyond that they are 0 and 1, and mpmath overflows
    elif name == "exp_nonpositive":
        x = x[x <= 0]
    elif name == "sqrt":
        x = np.abs(x)
        x = x[x >= arithmetic.LEAST_NORMAL[dtype]]
    errors = ulp_errors(name, x, run(name, x, dtype), dtype)
    i = int(np.argmax(errors))
    assert errors[i] <= BOUNDS[name], f"{name}({float(x[i]).hex()}): {errors[i]} ulp"


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_over_the_whole_range(name: str) -> None:
    """Every 65,521st bit pattern (a prime), ends and NaN included."""
    found = EXHAUSTIVE.worst(name, EXHAUSTIVE.arguments(0, 2**32, 65521))
    assert found.error <= BOUNDS[name], found
    assert found.wrong == 0, found


SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN), (1e4, INF), (-1e4, 0.0)],
    "exp_nonpositive": [(0.0, 1.0), (-0.0, 1.0), (-INF, 0.0), (NAN, NAN), (-1e4, 0.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-INF, NAN), (-1.0, NAN), (NAN, NAN)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (NAN, NAN), (1e4, INF), (-1e4, -1.0)],
    "log1p_unit": [(0.0, 0.0), (NAN, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (1e4, 1.0), (-1e4, -1.0)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (NAN, NAN), (1e4, 1.0), (-1e4, 0.0)],
    "normal_cdf": [(INF, 1.0), (-INF, 0.0), (NAN, NAN), (1e4, 1.0), (-1e4, 0.0)],
    "gelu_slope": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, -0.0), (NAN, NAN), (1e4, 1.0), (-1e4, -0.0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "arctan": [(0.0, 0.0), (-0.0, -0.0), (INF, math.pi / 2), (-INF, -math.pi / 2), (NAN, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (1e4, INF), (-1e4, -INF), (NAN, NAN)],
    "cosh": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF), (1e4, INF), (NAN, NAN)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e4, 1.0), (NAN, NAN)],
    "erfinv": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (INF, NAN), (NAN, NAN)],
    "floor": [(-0.0, -0.0), (-0.5, -1.0), (2.0, 2.0), (INF, INF), (-INF, -INF), (1e30, 1e30), (NAN, NAN)],
    "nearest": [(-0.0, -0.0), (0.5, 0.0), (1.5, 2.0), (-2.5, -2.0), (INF, INF), (-INF, -INF), (NAN, NAN)],
    "sqrt": [(0.0, 0.0), (INF, INF), (NAN, NAN), (1.0, 1.0), (4.0, 2.0), (9.0, 3.0), (2.0**-90, 2.0**-45)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name: str, dtype: str) -> None:
    x, expected = (np.array(v, dtype=dtype) for v in zip(*SPECIAL[name], (-NAN, NAN), strict=True))
    got = run(name, x, dtype)
    assert same_bits(got, expected, dtype).all(), list(zip(x, got, expected, strict=True))
    for value, result in zip(x, expected, strict=True):
        scalar = run(name, value, dtype)
        assert scalar.shape == ()
        assert scalar.dtype == dtype
        assert bool(same_bits(scalar, result, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_every_nan_gives_nan(name: str, dtype: str) -> None:
    """All payloads: adding to a NaN's bits can make a number of it."""
    quiet = INTEGERS[dtype](1) << (arithmetic.MANTISSA_BITS[dtype] - 1)
    infinity = np.asarray(INF, dtype=dtype).view(INTEGERS[dtype])
    payloads = np.random.default_rng(6).integers(1, arithmetic.MANTISSA_MASK[dtype], 2000, dtype=INTEGERS[dtype])
    bits = np.concatenate([infinity | payloads, infinity | quiet | payloads, [infinity | quiet, infinity | 1]])
    bits = np.concatenate([bits, bits | np.iinfo(INTEGERS[dtype]).min])
    assert np.isnan(run(name, bits.view(dtype), dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_what_is_below_the_least_normal_is_zero(dtype: str) -> None:
    bottom = np.asarray(arithmetic.EXP_BOTTOM[dtype], dtype=dtype)
    assert mpmath.exp(mpmath.mpf(float(bottom))) >= arithmetic.LEAST_NORMAL[dtype]
    below = np.nextafter(bottom, np.asarray(-INF, dtype=dtype))
    assert mpmath.exp(mpmath.mpf(float(below))) < arithmetic.LEAST_NORMAL[dtype]
    for name in ("exp", "exp_nonpositive"):
        assert float(run(name, bottom, dtype)) >= arithmetic.LEAST_NORMAL[dtype]
        assert bool(same_bits(run(name, below, dtype), 0.0, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_nonpositive_has_the_bits_of_exp(dtype: str) -> None:
    x = -np.abs(np.concatenate([samples(dtype), np.linspace(0, 110, 5001).astype(dtype), [INF, NAN]]).astype(dtype))
    assert same_bits(run("exp_nonpositive", x, dtype), run("exp", x, dtype), dtype).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["expm1", "log1p_unit", "tanh"])
def test_denormals_pass_unchanged(name: str, dtype: str) -> None:
    x = np.arange(-1000, 1000, dtype=np.int64) * np.finfo(dtype).smallest_subnormal
    assert same_bits(run(name, x, dtype), x, dtype).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_odd(dtype: str) -> None:
    x = samples(dtype)
    assert same_bits(run("tanh", -x, dtype), -run("tanh", x, dtype), dtype).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_halves_of_the_normal_distribution_add_to_1(dtype: str) -> None:
    x = np.abs(samples(dtype))
    x = x[x > 0.0]
    assert same_bits(run("normal_cdf", x, dtype), 1 - run("normal_cdf", -x, dtype), dtype).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_tail_falls_to_0(dtype: str) -> None:
    """Beyond the fit it is not exact, but falls, and its exponential is 0 at the end."""
    tail = run(
        "normal_cdf", -np.linspace(arithmetic.NORMAL_TOP[dtype], 1.1 * arithmetic.NORMAL_END, 5000, dtype=dtype), dtype
    )
    assert (np.diff(tail) <= 0.0).all() and tail[-1] == 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "normal_cdf", "sigmoid"])
def test_bounded_functions(name: str, dtype: str) -> None:
    y = run(name, samples(dtype), dtype)
    assert np.abs(y).max() == 1.0
    assert y.min() == (-1.0 if name == "tanh" else 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sqrt_of_denormals_is_between_0_and_the_root(dtype: str) -> None:
    limits = np.finfo(dtype)
    x = np.append(
        np.arange(1, 1000) * limits.smallest_subnormal, np.linspace(0.0, 1.0, 1000, dtype=dtype) * limits.tiny
    )
    root = run("sqrt", x, dtype)
    assert (root[x > 0.0] > 0.0).all()
    assert (root <= np.sqrt(x) * (1.0 + limits.eps)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_flush(dtype: str) -> None:
    threshold = {"float32": 2.0**-95, "float64": 2.0**-895}[dtype]
    at = np.asarray(threshold, dtype=dtype)
    below = np.nextafter(at, np.asarray(0.0, dtype=dtype))
    x = np.array([at, -at, below, -below, 0.0, -0.0, 1.0, INF, -INF, NAN], dtype=dtype)
    expected = np.array([at, -at, 0.0, 0.0, 0.0, 0.0, 1.0, INF, -INF, NAN], dtype=dtype)
    assert same_bits(run("flush", x, dtype), expected, dtype).all()
    assert same_bits(run("flush_square", np.abs(x), dtype), np.abs(expected), dtype).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_power_abs_by_products(dtype: str) -> None:
    d = samples(dtype)
    a = np.abs(d)
    with np.errstate(all="ignore"):
        expected = {1: a, 2: d * d, 3: (d * d) * a, 4: (d * d) * (d * d), 0: np.ones_like(d)}
    for p, value in expected.items():
        for number in (p, float(p)):
            assert same_bits(run("power_abs", d, dtype, number), value, dtype).all(), p


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.5, 1.5, 2.5, 7.0])
def test_power_abs_by_log_and_exp(p: float, dtype: str) -> None:
    """The error is the exponent's: |p log|d|| units in the last place, and a few."""
    d = np.concatenate([np.geomspace(1e-4, 1e4, 200), -np.geomspace(1e-4, 1e4, 200)]).astype(dtype)
    got = run("power_abs", d, dtype, p)
    eps = float(np.finfo(dtype).eps)
    for x, y in zip(d.tolist(), got.tolist(), strict=True):
        exact = mpmath.power(abs(mpmath.mpf(x)), p)
        assert abs(mpmath.mpf(y) - exact) <= eps * exact * (3.0 + 1.5 * abs(p * math.log(abs(x)))), x
    value = np.asarray(p, dtype=dtype)
    assert same_bits(run("power_abs", d, dtype, value), got, dtype).all()
    ends = np.array([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN], dtype=dtype)
    assert same_bits(run("power_abs", ends, dtype, p), [0.0, 0.0, 1.0, 1.0, INF, INF, NAN], dtype).all()


def test_arithmetic_imports_nothing() -> None:
    tree = ast.parse(Path(arithmetic.__file__).read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert isinstance(node, ast.ImportFrom)
            assert node.module == "algebra"  # its types, under TYPE_CHECKING, which is False


def test_float32_constants_are_float32() -> None:
    """A literal is rounded to the dtype where it is used; a table that changed there would not be what was fitted."""
    for name, table in vars(arithmetic).items():
        if isinstance(table, dict) and set(table) == set(DTYPES):
            values = table["float32"] if isinstance(table["float32"], tuple) else (table["float32"],)
            for value in values:
                if isinstance(value, float):
                    assert float(np.float32(value)) == value, name


def test_constants_are_those_of_the_script() -> None:
    command = [sys.executable, str(SCRIPTS / "fit_polynomials.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
