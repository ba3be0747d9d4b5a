"""What stands between the operations of a step: the step's number, and the factor that limits a gradient."""

from __future__ import annotations

from typing import Any

from ...core.arithmetic import LANES
from .compiler import TYPES, cuda
from .intrinsics import converts, loads, stores, traced
from .templates import Source


def advance(dtype: str) -> Source:
    """One thread: the step is done.

    Arguments: the address of the step's number.
    """
    load, store = loads("integer"), stores("integer")

    def kernel(clock):  # type: ignore[no-untyped-def]
        if cuda.threadIdx.x == 0:
            store(clock, 0, load(clock, 0) + 1)

    return Source(kernel, (TYPES["address"],), (LANES * 2, 1))


def clip_factor(dtype: str) -> Source:
    """One thread: what a gradient is multiplied by, limit / norm where the norm is larger, else 1; then the sum of
    squares begins at 0 again.

    Arguments: the addresses of the factor and of the sum of squares; the limit, float64.
    """
    load, store, put = loads("float64"), stores("float64"), stores(dtype)

    def factor(o: Any, squares: Any, limit: Any) -> Any:
        norm = o.sqrt(squares)
        return o.select(norm > limit, limit / norm, 1.0)

    made, narrowed = traced(factor, "float64", 2), converts("float64", dtype)

    def kernel(place, squares, limit):  # type: ignore[no-untyped-def]
        if cuda.threadIdx.x == 0:
            put(place, 0, narrowed(made(load(squares, 0), limit)))
            store(squares, 0, 0.0)

    return Source(kernel, (*(TYPES["address"],) * 2, TYPES["float64"]), (LANES * 2, 1))
