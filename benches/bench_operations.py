"""Every row of the operation table, on every backend that is there: `pytest benches/`.

`-m full` takes every named shape instead of one; `-k "gemm and float32"` picks rows; FASTNN_NUM_THREADS sets the
threads.
"""

from __future__ import annotations

from typing import Any

import pytest

from fastnn.benchmarks import operations
from fastnn.benchmarks.operations import Figures
from fastnn.core.operations import OPERATIONS

DTYPES = ("float32", "float64")
PLAIN = "layer"
SHAPES = [
    pytest.param(name, marks=[pytest.mark.full, *([pytest.mark.plain] if name == PLAIN else [])])
    for name in operations.SHAPES
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", operations.usual_backends())
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(benchmark: Any, table: list[Figures], name: str, backend: str, dtype: str, shape: str) -> None:
    """Times one operation, prepared for its arrays, whose bits are those of the reference."""
    operation = OPERATIONS[name]
    sizes = operations.given_shape(operation, shape)
    error = operations.verified(operation, backend, dtype, sizes)
    benchmark(operations.prepared(operation, backend, dtype, sizes))
    if benchmark.stats:  # not with --benchmark-disable
        stats = benchmark.stats.stats
        table.append(operations.figures(operation, backend, dtype, sizes, stats.data, error))
        row = table[-1]
        benchmark.extra_info |= {
            "shape": row.shape,
            "threads": row.threads,
            "GFLOP/s": round(row.gflops, 2),
            "GB/s": round(row.gbytes, 2),
            "share of the peak": None if row.share is None else round(row.share, 3),
            "error": row.error,
        }
