"""The plain product: a thread an element of C, for any strides of A and B. The contract's order, and no speed."""

from __future__ import annotations

from ...core import formulas as fo
from ...core.arithmetic import K_CHUNK
from .compiler import TYPES, repeated
from .geometry import THREADS
from .intrinsics import loads, stores, traced
from .templates import Source, map_place


def product(dtype: str) -> Source:
    """C = A B in chunks of K, each from +0 in ascending k, which are added up in order; then the bias, if there is one.

    Arguments: the addresses of C, A, B, of the bias and of the output of the relu whose slope C is multiplied by (0:
    none), which lies as C does; the elements between rows of C, between rows and between
    columns of A, and of B; M, N, K; 1 for a relu; of a map's blocks those beside each other, and the bits of the
    columns of one.
    """
    load, store = loads(dtype), stores(dtype)
    fma = traced(lambda o, a, b, c: o.fma(a, b, c), dtype, 3)
    add = traced(lambda o, a, b: a + b, dtype, 2)
    clipped = traced(lambda o, z: fo.relu(o, z, None), dtype, 1)
    sloped = traced(lambda o, d, s: fo.relu_slope(o, d, s, None), dtype, 2)
    zero = traced(lambda o: o.constant(0.0), dtype, 0)
    minus_zero = traced(lambda o: o.constant(-0.0), dtype, 0)

    def kernel(C, A, B, bias, output, strides, sizes, relu, column_blocks, shift):  # type: ignore[no-untyped-def]
        (cm, am, ak, bk, bn), (M, N, K) = strides, sizes
        m, n = map_place(column_blocks, shift)
        if m < M and n < N:
            total, k, go_on = minus_zero(), 0, True
            while go_on:
                end = min(k + K_CHUNK, K)
                chunk = zero()
                while k < end:
                    chunk = fma(load(A, m * am + k * ak), load(B, k * bk + n * bn), chunk)
                    k += 1
                total = add(total, chunk)
                go_on = k < K
            if bias != 0:
                total = add(total, load(bias, n))
            if relu != 0:
                total = clipped(total)
            if output != 0:
                total = sloped(total, load(output, m * cm + n))
            store(C, m * cm + n, total)

    sizes = repeated("integer", 5), repeated("integer", 3), *(TYPES["integer"],) * 3
    return Source(kernel, (*(TYPES["address"],) * 5, *sizes), (THREADS, 1))
