"""The CUDA backend: operations and programs on an NVIDIA card, with the bits of every other backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from ...config import dtype_name
from ...core.operations import OPERATIONS, Operation
from ...core.plan import Plan
from ...core.state import State
from ..data import Array
from ..protocol import Backend, Operator
from .calls import Launcher, Lies, Steps
from .device import Card, Memory, card
from .library import loaded
from .program import CudaProgram
from .table import is_stepped


class CudaOperator(Operator):
    """One operation on arrays of the host: they are copied to the card, and what it made is copied back."""

    def __init__(self, row: Operation, dtype: str) -> None:
        super().__init__(row, dtype)
        self._row, self._dtype = row, np.dtype(dtype)

    def _run(self, *arguments: Any) -> None:
        owner, row = card(), self._row
        owner.enter()
        arrays, scalars = arguments[: len(row.arguments)], arguments[len(row.arguments) :]
        sizes = {
            letter: size
            for spec, array in zip(row.arguments, arrays, strict=True)
            for letter, size in zip(spec.dims, array.shape, strict=True)
        }
        there = _There(owner)
        lies = [
            there.lies(array, reads=not spec.output or spec.updated)
            for spec, array in zip(row.arguments, arrays, strict=True)
        ]
        launcher = Launcher(loaded(), self._dtype.name)
        owner.launch(launcher.operation(row, lies, sizes, scalars, self._steps(there, scalars)))
        for spec, array in zip(row.arguments, arrays, strict=True):
            if spec.output:
                there.bring(array)

    def _steps(self, there: _There, scalars: tuple[Any, ...]) -> Steps:
        """One step, whose number is 0."""
        with np.errstate(over="ignore"):
            table = np.array(scalars if is_stepped(self._row) else (), self._dtype)
        named = dict(zip(self._row.scalars, scalars, strict=True))
        step, row = (there.given(np.array([named.get(name, 0)], np.int64)) for name in ("step", "row"))
        return Steps(there.given(np.zeros(1, np.int64)), there.given(table), step, starts=row)

    def _prepare(self, *arguments: Any) -> Callable[[], object]:
        return partial(self._run, *arguments)


class _There:
    """Arrays of the host on the card, as long as an operation runs."""

    def __init__(self, owner: Card) -> None:
        self._card, self._memories = owner, dict[tuple[int, tuple[int, ...]], Memory]()
        self._kept: list[Memory] = []

    def lies(self, array: Array, reads: bool) -> Lies:
        """Where an array is; an output that is an input lies where that does."""
        key = array.ctypes.data, array.shape
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = self._card.allocate(array.nbytes)
        if reads:
            self._card.put(memory.address, np.ascontiguousarray(array))
        return memory.address, array.shape[-1] if array.ndim > 1 else 1

    def given(self, array: Array) -> int:
        """The address of a copy."""
        memory = self._card.allocate(array.nbytes)
        self._kept.append(memory)
        self._card.put(memory.address, array)
        return memory.address

    def bring(self, array: Array) -> None:
        """Copies what the card made back."""
        made = np.empty(array.shape, array.dtype)
        self._card.get(made, self._memories[array.ctypes.data, array.shape].address)
        array[...] = made


@cache
def _operators(dtype: str) -> dict[str, CudaOperator]:
    return {name: CudaOperator(row, dtype) for name, row in OPERATIONS.items()}


class CudaBackend(Backend):
    """Kernels by Numba CUDA, run by cuda.core."""

    name = "cuda"
    moves_weights = True

    def operations(self, dtype: Any) -> Mapping[str, CudaOperator]:
        return _operators(dtype_name("operations", dtype))

    def program(self, plan: Plan, state: State) -> CudaProgram:
        return CudaProgram(self, plan, state)


__all__ = ["CudaBackend"]
