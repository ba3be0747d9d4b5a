"""The contract executed plainly in NumPy: the same bits as every other backend, and no speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy.typing as npt

from ...core.algebra import NumpyAlgebra
from ..protocol import Backend, Operator
from . import binary, elementwise, gemm, normalization, optimizers, rowwise, softmax
from .environment import guarded


class ReferenceOperator(Operator):
    """One operation over arrays."""

    def __init__(self, run: Callable[..., None]) -> None:
        self._run = guarded(run)

    def prepare(self, *arguments: object) -> Callable[[], object]:
        return partial(self._run, *arguments)


class ReferenceBackend(Backend):
    """Every operation by the formulas of `core/formulas.py` over arrays; programs are those of `protocol.Program`."""

    name = "reference"

    def operations(self, dtype: npt.DTypeLike) -> Mapping[str, ReferenceOperator]:
        """The operations by name, for arrays of one dtype."""
        o = NumpyAlgebra(dtype)
        families = (gemm, elementwise, softmax, optimizers, normalization, rowwise, binary)
        return {name: ReferenceOperator(run) for family in families for name, run in family.operations(o).items()}


__all__ = ["ReferenceBackend"]
