"""Every kernel by its name, before it is compiled. Imports the compiler."""

from __future__ import annotations

from ...core.operations import OPERATIONS
from . import control, dropout, embedding, gemm, product, small, totals
from .chains import chain_kernels
from .specs import Columns, Map, Own, Rows
from .table import specs
from .templates import Source, by_columns, by_rows, mapped
from .tiles import kernels

_OWN = {
    "product": product.product,
    "weighted_sum": totals.weighted_sum,
    "r2_sums": totals.r2_sums,
    "sum_abs": totals.sum_abs,
    "sum_squares": totals.sum_squares,
    "add_blocks": totals.add_blocks,
    "dropout": dropout.dropout,
    "uniform": dropout.uniform,
    "embedding_forward": embedding.embedding_forward,
    "embedding_backward": embedding.embedding_backward,
    "gather": embedding.gather,
    "advance": control.advance,
    "clip_factor": control.clip_factor,
}


def source(name: str, dtype: str) -> Source:
    """The kernel of a name of `names()` for a dtype."""
    if name in _OWN:
        return _OWN[name](dtype)
    if name in kernels(dtype):
        return gemm.gemm(dtype, *kernels(dtype)[name])
    if name in chain_kernels():
        return small.steps(dtype, *chain_kernels()[name])
    spec, operation = specs()[name], OPERATIONS[name]
    if isinstance(spec, Map):
        return mapped(operation, dtype, spec)
    if isinstance(spec, Rows):
        return by_rows(operation, dtype, spec)
    assert isinstance(spec, Columns)
    return by_columns(operation, dtype, spec)


def names(dtype: str) -> list[str]:
    """Of all kernels of a dtype."""
    return [
        *_OWN,
        *kernels(dtype),
        *chain_kernels(),
        *(name for name, spec in specs().items() if not isinstance(spec, Own)),
    ]
