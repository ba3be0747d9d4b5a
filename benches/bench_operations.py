"""Every row of the operation table, on every backend that is there: `pytest benches/bench_operations.py`.

GFLOP/s and GB/s stand in `extra_info`, and so in `--benchmark-json`; compilation happens before the clock starts.
`-k "gemm and float32"` picks rows; FASTNN_NUM_THREADS sets the threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import backends
from fastnn.core.operations import OPERATIONS, Family, Operation

DTYPES = ("float32", "float64")
# Dimension letters at the size of a middling network's batch.
SIZES = {"m": 256, "n": 256, "k": 784, "b": 256, "i": 784, "o": 256, "c": 10, "p": 2**20, "t": 31, "1": 1}
FAST = [name for name, reason in backends.available().items() if not reason and name != "reference"]


def arrays(operation: Operation, dtype: str) -> list[np.ndarray[Any, Any]]:
    """Arguments with plain values: probabilities where a loss reads them, labels where it compares them."""
    generator = np.random.default_rng(0)
    made = []
    for argument in operation.arguments:
        shape = tuple(SIZES[letter] for letter in argument.dims)
        values = generator.random(shape) + 0.01
        if argument.name == "y":
            values = generator.integers(0, SIZES["c"], shape).astype(float)
        elif argument.dims == "bc":
            values /= values.sum(axis=1, keepdims=True)
        made.append(values.astype(np.float64 if argument.total else dtype))
    return made


def scalars(operation: Operation) -> tuple[float, ...]:
    """One plain value for each scalar of a row."""
    if operation.family == Family.DROPOUT:
        return (0.5, 1, 2, 3)
    plain = {"keep": 1.0, "add": 0.0, "p": 1.5, "delta": 1.0, "epsilon": 1e-7}
    return tuple(plain.get(name, 0.01) for name in operation.scalars)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(benchmark: Any, name: str, backend: str, dtype: str) -> None:
    """Times one operation, prepared for its arrays."""
    operation = OPERATIONS[name]
    call = backends.get(backend).operations(dtype)[name].prepare(*arrays(operation, dtype), *scalars(operation))
    call()
    benchmark(call)
    if benchmark.stats:
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["GFLOP/s"] = round(operation.flops(SIZES) / seconds / 1e9, 2)
        benchmark.extra_info["GB/s"] = round(operation.bytes(SIZES, np.dtype(dtype).itemsize) / seconds / 1e9, 2)
