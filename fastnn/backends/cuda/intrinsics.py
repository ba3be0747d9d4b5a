"""What kernels are written with beside Python: memory by addresses, folds of 16 lanes, Philox."""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir

from ...core.arithmetic import LANES
from ...core.random import MULTIPLIERS, ROUNDS, WEYL
from .compiler import emits, repeated
from .scalars import FLOATS, I8, I32, I64, ITEMSIZE, Scalars, Value

GLOBAL, SHARED = 1, 3  # NVVM's address spaces
_SHARED_NAME = "fnn_shared"


def load(builder: Any, address: Any, type_: Any) -> Any:
    """An IR value of global memory."""
    return builder.load(builder.inttoptr(address, type_.as_pointer(GLOBAL)), align=_size(type_))


def store(builder: Any, value: Any, address: Any) -> None:
    """Writes an IR value to global memory."""
    builder.store(value, builder.inttoptr(address, value.type.as_pointer(GLOBAL)), align=_size(value.type))


def shared(builder: Any, place: Any, type_: Any) -> Any:
    """The pointer to so many bytes into the block's shared memory, which is one array."""
    module = builder.module
    whole = module.globals.get(_SHARED_NAME)
    if whole is None:
        whole = ir.GlobalVariable(module, ir.ArrayType(I8, 0), _SHARED_NAME, addrspace=SHARED)
        whole.linkage, whole.align = "external", 16
    return builder.bitcast(builder.gep(whole, [I32(0), place], inbounds=True), type_.as_pointer(SHARED))


def offset(builder: Any, address: Any, elements: Any, size: int) -> Any:
    """The IR address of an element, whose number is signed."""
    return builder.add(address, builder.mul(elements, I64(size)))


def _size(type_: Any) -> int:
    return 4 if type_ in (I32, FLOATS["float32"]) else 8


def down(builder: Any, value: Any, lanes: int) -> Any:
    """The IR value that the lane so many further has, in groups of 16 lanes; all lanes of the warp must come here."""
    return _shuffled(builder, value, "down", lanes)


def first(builder: Any, value: Any) -> Any:
    """The IR value of the group's lane 0."""
    return _shuffled(builder, value, "idx", 0)


def _shuffled(builder: Any, value: Any, mode: str, lane: int) -> Any:
    # The mask of a segment of 16 lanes in bits 8 to 12, the last lane of it in bits 0 to 4.
    segment = (32 - LANES) << 8 | (LANES - 1)
    assembly = f"shfl.sync.{mode}.b32 $0, $1, {lane}, {segment}, 0xffffffff;"
    function = ir.FunctionType(I32, [I32])

    def word(bits: Any) -> Any:
        return builder.call(ir.InlineAsm(function, assembly, "=r,r", side_effect=True), [bits])

    if value.type == FLOATS["float32"]:
        return builder.bitcast(word(builder.bitcast(value, I32)), value.type)
    bits = builder.bitcast(value, I64)
    low, high = (builder.trunc(half, I32) for half in (bits, builder.lshr(bits, I64(32))))
    low, high = (builder.zext(word(half), I64) for half in (low, high))
    return builder.bitcast(builder.or_(low, builder.shl(high, I64(32))), value.type)


def folded(scalars: Scalars, lane: Value, join: Any) -> Value:
    """What joining lane i with lane i + h for h = 8, 4, 2, 1 leaves in lane 0, in every lane."""
    half = LANES // 2
    while half:
        lane = join(lane, scalars.value(down(scalars.builder, lane.ir, half)))
        half //= 2
    return scalars.value(first(scalars.builder, lane.ir))


@cache
def loads(kind: str) -> Any:
    """An intrinsic (address, element) -> what lies there; of "float32", "float64", "integer" or "int32"."""
    type_ = FLOATS.get(kind) or {"integer": I64, "int32": I32}[kind]

    @emits(kind, 2)
    def load_element(builder: Any, address: Any, element: Any) -> Any:
        return load(builder, offset(builder, address, element, _size(type_)), type_)

    return load_element


@cache
def stores(kind: str) -> Any:
    """An intrinsic (address, element, value), likewise."""
    type_ = FLOATS.get(kind) or {"integer": I64, "int32": I32}[kind]

    @emits("nothing", 3)
    def store_element(builder: Any, address: Any, element: Any, value: Any) -> None:
        store(builder, value, offset(builder, address, element, _size(type_)))

    return store_element


@cache
def traced(formula: Any, dtype: str, count: int) -> Any:
    """An intrinsic of `count` values of a dtype from a formula (o, *values) -> value."""

    @emits(dtype, count)
    def formula_of(builder: Any, *values: Any) -> Any:
        o = Scalars(builder, dtype)
        return o.coerce(formula(o, *map(o.value, values)))

    return formula_of


@cache
def wholes(dtype: str) -> Any:
    """An intrinsic from an integer of at most 31 bits to a dtype."""

    @emits(dtype, 1)
    def whole(builder: Any, value: Any) -> Any:
        return builder.sitofp(builder.trunc(value, I32), FLOATS[dtype])

    return whole


@cache
def converts(before: str, after: str) -> Any:
    """An intrinsic from a value of a dtype to one of another, widened exactly or rounded once."""

    @emits(after, 1)
    def converted(builder: Any, value: Any) -> Any:
        return Scalars(builder, after).converted(Scalars(builder, before).value(value)).ir

    return converted


def folds(join: Any, dtype: str) -> Any:
    """An intrinsic from a lane's value to what joining all 16 by a formula (o, a, b) leaves, in every lane."""

    @emits(dtype, 1)
    def of_lanes(builder: Any, lane: Any) -> Any:
        o = Scalars(builder, dtype)
        return folded(o, o.value(lane), lambda a, b: join(o, a, b)).ir

    return of_lanes


@cache
def advanced(dtype: str) -> Any:
    """An intrinsic (address, elements) -> address of an element."""

    @emits("address", 2)
    def element_address(builder: Any, address: Any, elements: Any) -> Any:
        return offset(builder, address, elements, ITEMSIZE[dtype])

    return element_address


@emits(repeated("uint32", 4), 6)
def philox(builder: Any, c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Philox4x32 of a counter and a key: four words of 32 bits."""

    def product(a: Any, multiplier: int) -> tuple[Any, Any]:
        whole = builder.mul(builder.zext(a, I64), I64(multiplier))
        return builder.trunc(builder.lshr(whole, I64(32)), I32), builder.trunc(whole, I32)

    for turn in range(ROUNDS):
        keys = (builder.add(key, I32(turn * weyl & 0xFFFFFFFF)) for key, weyl in zip((k0, k1), WEYL, strict=True))
        (high0, low0), (high1, low1) = product(c0, MULTIPLIERS[0]), product(c2, MULTIPLIERS[1])
        left, right = (
            builder.xor(builder.xor(high, word), key)
            for high, word, key in zip((high1, high0), (c1, c3), keys, strict=True)
        )
        c0, c1, c2, c3 = left, low1, right, low0
    words = ir.Constant(ir.ArrayType(I32, 4), ir.Undefined)
    for index, word in enumerate((c0, c1, c2, c3)):
        words = builder.insert_value(words, word, index)
    return words
