"""The contract executed plainly in NumPy: the same bits as every other backend, and no speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy.typing as npt

from ...config import dtype_name
from ...core.algebra import NumpyAlgebra
from ...core.operations import OPERATIONS, Operation
from ..protocol import Backend, Operator
from . import binary, elementwise, gemm, normalization, optimizers, rowwise, softmax
from .environment import guarded


class ReferenceOperator(Operator):
    """One operation over arrays."""

    def __init__(self, row: Operation, dtype: str, run: Callable[..., None]) -> None:
        super().__init__(row, dtype)
        self._guarded = guarded(run)

    def _run(self, *arguments: object) -> None:
        self._guarded(*arguments)

    def _prepare(self, *arguments: object) -> Callable[[], object]:
        return partial(self._guarded, *arguments)


class ReferenceBackend(Backend):
    """Every operation by the formulas of `core/formulas.py` over arrays; programs are those of `protocol.Program`."""

    name = "reference"

    def operations(self, dtype: npt.DTypeLike) -> Mapping[str, ReferenceOperator]:
        """The operations by name, for arrays of one dtype."""
        return _operators(dtype_name("operations", dtype))


@cache
def _operators(dtype: str) -> dict[str, ReferenceOperator]:
    o = NumpyAlgebra(dtype)
    families = (gemm, elementwise, softmax, optimizers, normalization, rowwise, binary)
    return {
        name: ReferenceOperator(OPERATIONS[name], dtype, run)
        for family in families
        for name, run in family.operations(o).items()
    }


__all__ = ["ReferenceBackend"]
