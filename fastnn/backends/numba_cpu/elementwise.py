"""Elementwise kernels: activations, losses' penalties, row scales, the gather with its conversions, sums over
parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from ...core import arithmetic as ar
from ...core import formulas
from ...core.plan import largest
from .frame import Frame, choose, kernel
from .lanes import FLOATS, I32, I64, LANES, SUFFIX, Lanes, Value, call_intrinsic


def map_kernel(formula: Callable[..., Value], sources: int) -> Callable[..., None]:
    """Body of dst[i] = formula(lanes, src_0[i], ..., scalars...) over n contiguous elements."""

    def emit(f: Frame, dst: Any, *rest: Any) -> None:
        addresses, n, scalars = rest[:sources], rest[sources], rest[sources + 1 :]
        splats = [f.lanes.splat(scalar) for scalar in scalars]

        def body(index: Any, mask: Any) -> None:
            values = [f.load(f.at(address, index), mask) for address in addresses]
            f.store(formula(f.lanes, *values, *splats), f.at(dst, index), mask)

        f.each(n, body)

    return emit


# activation_forward(zero, code, A, Z, n, p): A = f(Z)
activation_forward = choose(
    "activation_forward", 3, 1, [map_kernel(activation.forward, 1) for activation in formulas.ACTIVATIONS.values()]
)

# activation_backward(zero, code, dZ, dA, S, n, p): dZ = dA * f' from the saved S
activation_backward = choose(
    "activation_backward", 4, 1, [map_kernel(activation.backward, 2) for activation in formulas.ACTIVATIONS.values()]
)

# affine(zero, A, Z, n, scale, offset)
affine = kernel("affine", 3, 2, map_kernel(formulas.affine, 1))

# scale(zero, s, w, n, factor): rows row_scale and gradient_scale
scale = kernel("scale", 3, 1, map_kernel(lambda o, w, factor: w * factor, 1))

# clip_value(zero, g, g, n, limit)
clip_value = kernel("clip_value", 3, 1, map_kernel(lambda o, g, limit: formulas.clip(o, g, -limit, limit), 1))

# penalty_backward(zero, g, g, w, n, l1, two_l2)
penalty_backward = kernel("penalty_backward", 4, 2, map_kernel(formulas.penalty_slope, 2))

# decay_step(zero, theta, theta, n, factor)
decay_step = kernel("decay_step", 3, 1, map_kernel(formulas.decay, 1))

# add(zero, dst, a, b, n)
add = kernel("add", 4, 0, map_kernel(lambda o, a, b: a + b, 2))

# copy(zero, dst, src, n)
copy = kernel("copy", 3, 0, map_kernel(lambda o, x: x, 1))


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
_BITS = {"bool": 8, "float16": 16, "float32": 32, "float64": 64}


def _source(name: str) -> tuple[Any, int]:
    bits = _BITS.get(name) or int(name.lstrip("uint"))
    if name.startswith("float"):
        return {16: ir.IntType(16), 32: ir.FloatType(), 64: ir.DoubleType()}[bits], bits // 8
    return ir.IntType(bits), bits // 8


def _widen_half(builder: Any, half: Any) -> Any:
    """float32 from the bits of a float16, exactly; the compiler's own conversion calls a library that not every CPU's
    code finds."""
    vector = isinstance(half.type, ir.VectorType)
    integer, real = (ir.VectorType(type_, LANES) if vector else type_ for type_ in (I32, ir.FloatType()))

    def all_lanes(type_: Any, value: Any) -> Any:
        return ir.Constant(type_, [value] * LANES if vector else value)

    bits = builder.zext(half, integer)
    size = builder.and_(bits, all_lanes(integer, 0x7FFF))
    moved = builder.bitcast(builder.shl(size, all_lanes(integer, 13)), real)
    finite = builder.bitcast(builder.fmul(moved, all_lanes(real, 2.0**112)), integer)
    special = builder.or_(builder.bitcast(moved, integer), all_lanes(integer, 0x7F800000))
    is_special = builder.icmp_unsigned(">=", size, all_lanes(integer, 0x7C00))
    sign = builder.shl(builder.and_(bits, all_lanes(integer, 0x8000)), all_lanes(integer, 16))
    return builder.bitcast(builder.or_(builder.select(is_special, special, finite), sign), real)


def _convert(builder: Any, value: Any, name: str, target: Any, bits: int) -> Any:
    if name == "float16":
        value, name = _widen_half(builder, value), "float32"
    if name.startswith("float"):
        own = _BITS[name]
        if own == bits:
            return value
        return builder.fpext(value, target) if own < bits else builder.fptrunc(value, target)
    signed = not name.startswith(("u", "bool"))
    return builder.sitofp(value, target) if signed else builder.uitofp(value, target)


def _gather_row(name: str) -> Callable[..., None]:
    """Body of dst[i] = src[i] over one row, `stride` bytes between elements."""

    def emit(f: Frame, dst: Any, src: Any, n: Any, stride: Any) -> None:
        type_, size = _source(name)
        bits = f.itemsize * 8
        builder = f.builder
        vector = ir.VectorType(type_, LANES)
        with builder.if_else(builder.icmp_signed("==", stride, I64(size))) as (contiguous, strided):
            with contiguous:
                whole = builder.and_(n, I64(-LANES))
                with f.loop(whole, LANES) as index:
                    value = builder.load(f.pointer(f.at(src, index, size), vector), align=1)
                    f.store(Value(f.lanes, _convert(builder, value, name, f.lanes.type, bits)), f.at(dst, index))
                with f.loop(n, 1, whole) as index:
                    value = builder.load(f.pointer(f.at(src, index, size), type_), align=1)
                    f.store_scalar(_convert(builder, value, name, FLOATS[f.dtype], bits), f.at(dst, index))
            with strided, f.loop(n) as index:
                address = builder.add(src, builder.mul(index, stride))
                value = builder.load(f.pointer(address, type_), align=1)
                f.store_scalar(_convert(builder, value, name, FLOATS[f.dtype], bits), f.at(dst, index))

    return emit


# gather_row(zero, source code, dst, src, n, stride in bytes)
gather_row = choose("gather_row", 4, 0, [_gather_row(name) for name in SOURCE_DTYPES])


def _first_above(f: Frame, src: Any, n: Any, limit: float) -> Any:
    """The index of the first element with |x| > limit or NaN, or -1: whole blocks first, then the guilty one."""
    builder, lanes = f.builder, f.lanes
    found = f.variable(I64(-1))
    stop = builder.append_basic_block("stop")

    def search(start: Any, end: Any) -> None:
        with f.loop(end, 1, start) as index:
            x = f.load_scalar(f.at(src, index))
            size = call_intrinsic(builder, f"llvm.fabs.{SUFFIX[f.dtype]}", x.type, [x])
            bad = builder.fcmp_unordered(">", size, ir.Constant(x.type, limit))
            with builder.if_then(bad):
                builder.store(index, found)
                builder.branch(stop)
                builder.position_at_end(builder.append_basic_block("unreachable"))

    step = 8 * LANES
    whole = builder.and_(n, I64(-step))
    bits = ir.IntType(LANES)
    with f.loop(whole, step) as index:
        any_bad = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [0] * LANES)
        for part in range(8):
            x = f.load(f.at(src, builder.add(index, I64(part * LANES))))
            any_bad = builder.or_(any_bad, (~(lanes.abs(x) <= limit)).ir)
        with builder.if_then(builder.icmp_unsigned("!=", builder.bitcast(any_bad, bits), bits(0)), likely=False):
            search(index, builder.add(index, I64(step)))
    search(whole, n)
    builder.branch(stop)
    builder.position_at_end(stop)
    return builder.load(found)


def _find_nonfinite(f: Frame, wide: Any, src: Any, n: Any) -> Any:
    found = f.variable(I64(-1))
    with f.builder.if_else(f.builder.icmp_signed("==", wide, I64(1))) as branches:
        for branch, dtype in zip(branches, ("float64", "float32"), strict=True):
            with branch:
                limit = float(largest(np.dtype(dtype), np.dtype(f.dtype)))
                f.builder.store(_first_above(Frame(f.builder, dtype), src, n, limit), found)
    return f.builder.load(found)


# find_nonfinite(zero, 1 for float64 data and 0 for float32, x, n) -> index or -1
find_nonfinite = kernel("find_nonfinite", 3, 0, _find_nonfinite, result="integer")


# --- sums in float64 ------------------------------------------------------------------------------------------------


def _block_sum(accumulate: Callable[[Lanes, Value, Value], Value]) -> Callable[..., Any]:
    """Body of the sum over n parameters: 16 lanes inside blocks of 4096, block totals in order, all float64."""

    def emit(f: Frame, w: Any, n: Any) -> Any:
        builder = f.builder
        wide = Lanes(builder, "float64")
        total = f.variable(ir.Constant(ir.DoubleType(), 0.0))
        lane = f.variable(wide.constant(0.0).ir)
        with f.loop(n, ar.BLOCK) as start:
            builder.store(wide.constant(0.0).ir, lane)
            end = builder.add(start, I64(ar.BLOCK))
            end = builder.select(builder.icmp_signed("<", end, n), end, n)
            address = f.at(w, start)
            with f.blocks(builder.sub(end, start)) as (index, mask):
                x = f.load(f.at(address, index), mask)
                x = x if f.dtype == "float64" else Value(wide, builder.fpext(x.ir, wide.type))
                builder.store(accumulate(wide, Value(wide, builder.load(lane)), x).ir, lane)
            block = wide.tree(Value(wide, builder.load(lane)), lambda a, b: a + b)
            builder.store(builder.fadd(builder.load(total), block), total)
        return builder.load(total)

    return emit


# sum_abs(zero, w, n), sum_squares(zero, w, n) -> float64
sum_abs = kernel("sum_abs", 2, 0, _block_sum(lambda o, lane, w: lane + o.abs(w)), result="double")
sum_squares = kernel("sum_squares", 2, 0, _block_sum(lambda o, lane, w: o.fma(w, w, lane)), result="double")


def _weighted_sum(f: Frame, total: Any, values: Any, stride: Any, weights: Any, weight_stride: Any, rows: Any) -> None:
    """total = fma(w, l, total) in row order, float64; weights may be address 0: ones."""
    builder, double = f.builder, ir.DoubleType()

    def wide(address: Any) -> Any:
        value = f.load_scalar(address)
        return value if f.dtype == "float64" else builder.fpext(value, double)

    pointer = f.pointer(total, double)
    running = f.variable(builder.load(pointer))
    with builder.if_else(builder.icmp_signed("==", weights, I64(0))) as (plain, weighted):
        with plain, f.loop(rows) as index:
            value = wide(f.at(values, builder.mul(index, stride)))
            builder.store(builder.fadd(builder.load(running), value), running)
        with weighted, f.loop(rows) as index:
            value, weight = (
                wide(f.at(values, builder.mul(index, stride))),
                wide(f.at(weights, builder.mul(index, weight_stride))),
            )
            made = call_intrinsic(builder, "llvm.fma.f64", double, [weight, value, builder.load(running)])
            builder.store(made, running)
    builder.store(builder.load(running), pointer)


# weighted_sum(zero, total address, values, stride, weights or 0, stride, rows)
weighted_sum = kernel("weighted_sum", 6, 0, _weighted_sum)
