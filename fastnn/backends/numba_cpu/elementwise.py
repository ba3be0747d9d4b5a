"""Elementwise kernels: activations, losses' penalties, row scales, the gather with its conversions, sums over
parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_

import numpy as np

from ...core import arithmetic as ar
from ...core import formulas
from ...core.plan import largest
from .declare import Arguments, Body, choose, declare, kernel
from .frame import Frame
from .integers import Integer, Pointer
from .lanes import LANES, Lanes, Mask, Unsigned, Value


def mapped(formula: Callable[..., Value]) -> Body:
    """Body of first[i] = formula(lanes, second[i], ..., scalars...) over n contiguous elements."""

    def body(f: Frame, a: Arguments) -> None:
        dst, *sources = (argument for argument in a if isinstance(argument, Pointer))
        scalars = [f.lanes.splat(argument) for argument in a if isinstance(argument, Value)]

        def element(index: Integer, mask: Mask) -> None:
            made = formula(f.lanes, *((source + index).load(mask) for source in sources), *scalars)
            (dst + index).store(made, mask)

        f.each(a.n, element)

    return body


# A = f(Z), and dZ = dA * f' from the saved S.
activation_forward = choose(
    "activation_forward", "*A *Z n; p", [mapped(activation.forward) for activation in formulas.ELEMENTWISE.values()]
)
activation_backward = choose(
    "activation_backward",
    "*dZ *dA *S n; p",
    [mapped(activation.backward) for activation in formulas.ELEMENTWISE.values()],
)

affine = declare("affine", "*A *Z n; scale offset", mapped(formulas.affine))
# Rows row_scale and gradient_scale.
scale = declare("scale", "*s *w n; factor", mapped(lambda o, w, factor: w * factor))
clip_value = declare("clip_value", "*dst *g n; limit", mapped(lambda o, g, limit: ar.clip(o, g, -limit, limit)))
penalty_backward = declare("penalty_backward", "*dst *g *w n; l1 two_l2", mapped(formulas.penalty_slope))
decay_step = declare("decay_step", "*dst *theta n; factor", mapped(formulas.decay))
add = declare("add", "*dst *a *b n", mapped(lambda o, a, b: a + b))
copy = declare("copy", "*dst *src n", mapped(lambda o, x: x))


# --- gather: rows of any real dtype into rows of the model's --------------------------------------------------------

# The position of a dtype is its code in a data call; see `NumbaProgram`.
SOURCE_DTYPES = (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
)


def _widen_half(half: Unsigned) -> Value:
    """float32 from the bits of a float16, exactly; the compiler's own conversion calls a library that not every CPU's
    code finds."""
    single = Lanes(half.lanes.builder, "float32", half.lanes.width)
    bits = half.to(32)
    size = bits & 0x7FFF
    moved = single.from_bits(size << 13)
    finite = single.to_bits(moved * 2.0**112)
    special = single.to_bits(moved) | 0x7F800000
    is_special = size >= 0x7C00
    sign = (bits & 0x8000) << 16
    return single.from_bits(single.select(is_special, special, finite) | sign)


def _converted(lanes: Lanes, value: Value, dtype: str) -> Value:
    """What was loaded of a dtype as reals of the model's."""
    if dtype == "float16":
        return lanes.convert(_widen_half(value))
    return lanes.convert(value) if dtype.startswith("float") else lanes.real(value)


def _gather(dtype: str) -> Body:
    """Body of dst[i] = src[i] over one row, `stride` bytes between elements, wherever they lie."""

    def body(f: Frame, a: Arguments) -> None:
        src = a.src.cast(dtype, aligned=False)

        def one(index: Integer, place: Pointer) -> None:
            a.dst[index] = _converted(f.scalar, place[0], dtype)

        with f.if_else(a.stride == src.itemsize) as (contiguous, strided):
            with contiguous:
                whole = a.n & -LANES
                with f.loop(whole, LANES) as index:
                    converted = _converted(f.lanes, (src + index).load(), dtype)
                    (a.dst + index).store(converted)
                with f.loop(a.n, 1, whole) as index:
                    one(index, src + index)
            with strided, f.loop(a.n) as index:
                one(index, src.offset(index * a.stride))

    return body


gather_row = choose("gather_row", "*dst uint8*src n stride", [_gather(dtype) for dtype in SOURCE_DTYPES])


def _gather_column(dtype: str) -> Body:
    """Body of the first elements of rows first .. last - 1, or of those of the order, to numbers `apart` elements
    apart."""

    def body(f: Frame, a: Arguments) -> None:
        src = a.src.cast(dtype, aligned=False)

        def one(row: Integer, source: Integer) -> None:
            a.dst[(row - a.first) * a.apart] = _converted(f.scalar, src.offset(source * a.row_bytes)[0], dtype)

        with f.if_else(a.order == 0) as (as_it_lies, ordered):
            with as_it_lies, f.loop(a.last, 1, a.first) as row:
                one(row, row)
            with ordered, f.loop(a.last, 1, a.first) as row:
                one(row, a.order[row])

    return body


gather_column = choose(
    "gather_column",
    "*dst apart uint8*src row_bytes int64*order first last",
    [_gather_column(dtype) for dtype in SOURCE_DTYPES],
)


def _first_above(f: Frame, src: Pointer, n: Integer, limit: float) -> Integer:
    """The index of the first element with |x| > limit or NaN, or -1: whole blocks first, then the guilty one."""
    first = f.variable(f.integer(-1))
    stop = f.builder.append_basic_block("stop")

    def search(start: Integer, end: Integer) -> None:
        with f.loop(end, 1, start) as index, f.when(~(f.scalar.abs(src[index]) <= limit)):
            first.value = index
            f.builder.branch(stop)
            f.builder.position_at_end(f.builder.append_basic_block("unreachable"))

    step = 8 * LANES
    whole = n & -step
    with f.loop(whole, step) as index:
        parts = ((src + (index + part * LANES)).load() for part in range(8))
        bad = reduce(or_, (~(f.lanes.abs(x) <= limit) for x in parts))
        with f.when(bad.packed() != 0, likely=False):
            search(index, index + step)
    search(whole, n)
    f.builder.branch(stop)
    f.builder.position_at_end(stop)
    return first.value


@kernel("wide uint8*x n", result="int64")
def find_nonfinite(f: Frame, a: Arguments) -> Integer:
    """The index of the first of n numbers, float64 if `wide` is 1, else float32, that is no finite real of the dtype;
    or -1."""
    first = f.variable(f.integer(-1))
    with f.if_else(a.wide == 1) as branches:
        for branch, dtype in zip(branches, ("float64", "float32"), strict=True):
            with branch:
                limit = float(largest(np.dtype(dtype), np.dtype(f.dtype)))
                inner = Frame(f.builder, dtype)
                first.value = _first_above(inner, Pointer(inner.lanes, a.x.ir, dtype), a.n, limit)
    return first.value


# --- sums in float64 ------------------------------------------------------------------------------------------------


def _block_sum(accumulate: Callable[[Lanes, Value, Value], Value]) -> Body:
    """Body of the sum over n parameters: 16 lanes inside blocks of 4096, block totals in order, all float64."""

    def body(f: Frame, a: Arguments) -> Value:
        wide = Lanes(f.builder, "float64")
        total, lane = f.variable(wide.scalar.constant(0.0)), f.variable(wide.constant(0.0))
        with f.loop(a.n, ar.BLOCK) as start:
            lane.value = wide.constant(0.0)
            end = (start + ar.BLOCK).least(a.n)
            block = a.w + start
            with f.blocks(end - start) as (index, mask):
                x = wide.convert((block + index).load(mask))
                lane.value = accumulate(wide, lane.value, x)
            made = wide.tree(lane.value, lambda a, b: a + b)
            total.value = total.value + made
        return total.value

    return body


sum_abs = declare("sum_abs", "*w n", _block_sum(lambda o, lane, w: lane + o.abs(w)), "float64")
sum_squares = declare("sum_squares", "*w n", _block_sum(lambda o, lane, w: o.fma(w, w, lane)), "float64")


@kernel("float64*total *values stride *weights weight_stride rows")
def weighted_sum(f: Frame, a: Arguments) -> None:
    """total = fma(w, l, total) in row order, float64; weights may be address 0: ones."""
    wide = Lanes(f.builder, "float64", None)
    running = f.variable(a.total[0])
    with f.if_else(a.weights == 0) as (plain, weighted):
        with plain, f.loop(a.rows) as row:
            value = wide.convert(a.values[row * a.stride])
            running.value = running.value + value
        with weighted, f.loop(a.rows) as row:
            value, weight = wide.convert(a.values[row * a.stride]), wide.convert(a.weights[row * a.weight_stride])
            running.value = wide.fma(weight, value, running.value)
    a.total[0] = running.value
