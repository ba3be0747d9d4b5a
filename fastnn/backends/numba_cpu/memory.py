"""Scalars at addresses, and what follows from a dtype, for which a number of it stands."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .lanes import I64, ITEMSIZE


def pointer(builder: Any, address: Any, index: Any, type_: Any) -> Any:
    return builder.inttoptr(builder.add(address, builder.mul(index, I64(8))), type_.as_pointer())


@intrinsic
def integer_at(typing: Any, address: Any, index: Any) -> Any:
    """The int64 at address + 8 index."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(pointer(builder, *values, I64))

    return types.intp(types.intp, types.intp), generate


@intrinsic
def double_at(typing: Any, address: Any, index: Any) -> Any:
    """The float64 at address + 8 index."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(pointer(builder, *values, ir.DoubleType()))

    return types.float64(types.intp, types.intp), generate


@intrinsic
def set_integer(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Stores an int64 at address + 8 index."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], pointer(builder, values[0], values[1], I64))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def set_double(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Stores a float64 at address + 8 index."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], pointer(builder, values[0], values[1], ir.DoubleType()))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float64), generate


@intrinsic
def itemsize(typing: Any, dtype: Any) -> Any:
    """Bytes of an element."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return I64(ITEMSIZE[str(signature.args[0])])

    return types.intp(dtype), generate


@intrinsic
def real(typing: Any, dtype: Any, value: Any) -> Any:
    """A float64 rounded once to the dtype."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.cast(builder, values[1], types.float64, signature.return_type)

    return dtype(dtype, types.float64), generate
