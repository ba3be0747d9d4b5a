"""The C backend: the functions of `csrc/fastnn.h`, with the bits of every other backend."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config import dtype_name
from ...core.operations import OPERATIONS, Family, Operation
from ...core.plan import Plan, largest
from ...core.state import State
from ...core.store import aligned
from ...errors import BackendError
from ..compiled import Addressed, CompiledProgram, Run
from ..data import Array, Sums
from ..operators import GEMMS, CompiledOperator, Mode
from ..protocol import Backend, exclusive


def why_not_built() -> str:
    """Why the extension module is missing, and what to do."""
    import json
    from importlib import metadata
    from pathlib import Path

    if sys.maxsize < 1 << 32:
        return "it needs a 64-bit machine, and this is a 32-bit Python"
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "csrc" / "build.py").exists():
        try:
            installed = json.loads(metadata.distribution("fastnn-dense").read_text("direct_url.json") or "{}")
        except metadata.PackageNotFoundError:
            installed = {}
        if not installed.get("dir_info", {}).get("editable") or installed["url"] != checkout.as_uri():
            return (
                f"{checkout} is the checkout, not the installed package; run Python in another folder, or install the "
                "checkout in place with: pip install -e ."
            )
    return "no C compiler found when fastnn was installed; install gcc or clang and then fastnn again"


try:
    from ._fastnn import ffi, lib  # type: ignore[import-not-found]
except ModuleNotFoundError as error:
    if error.name != f"{__name__}._fastnn":
        raise
    raise ImportError(f"not built: {why_not_built()}") from error

LEVELS = ("avx512", "avx2", "portable")
SUFFIX = {"float32": "f32", "float64": "f64"}
_SCRATCH = {"float32": lib.FNN_SCRATCH_F32, "float64": lib.FNN_SCRATCH_F64}
SOURCE_DTYPES = {
    name: getattr(lib, f"FNN_{name.upper()}")
    for name in (
        "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
        "float64",
    )
}  # fmt: skip
_CALL = ffi.typeof("fnn_call *")
_NO_SIZES = (1, 1, 0)  # rows, columns and depth of what has none
_STATUS = {
    lib.FNN_NULL: "a buffer is missing",
    lib.FNN_BAD_SIZE: "a size is negative, or more than the buffers hold",
    lib.FNN_BAD_CODE: "unknown code of an instruction, activation, loss, metric, optimizer, clip or dtype",
    lib.FNN_BAD_LEVEL: "unknown instruction set, or not on this processor",
}
# The fields of a call that the last scalars of a family are.
_FIELDS = {Family.DROPOUT: ("seed", "step", "layer"), Family.UNIFORM: ("seed", "step", "layer", "k")}


def level() -> str:
    """The instruction set in use: "avx512", "avx2" or "portable"."""
    return str(ffi.string(lib.fnn_level()).decode())


def _check(status: int, where: str) -> None:
    if status:
        raise BackendError(f"c: {where}: {_STATUS[status]}")


def _address(array: Array) -> Any:
    return ffi.cast("void *", array.ctypes.data)


# --- operations -----------------------------------------------------------------------------------------------------


class _Scratch(threading.local):
    """What the direct calls of a thread pack into; it grows with what they need."""

    def __init__(self, dtype: str) -> None:
        self._buffer = aligned(0, dtype)

    def room(self, size: int) -> Array:
        if self._buffer.size < size:
            self._buffer = aligned(size, self._buffer.dtype)
        return self._buffer


class COperator(CompiledOperator):
    """One operation of the library."""

    def __init__(self, row: Operation, dtype: str, scratch: _Scratch) -> None:
        super().__init__(row, dtype)
        self._function = getattr(lib, f"fnn_operate_{SUFFIX[dtype]}")
        self._dtype, self._scratch = dtype, scratch
        self._reals = ffi.typeof("float[]" if dtype == "float32" else "double[]")
        kinds = (ffi.typeof("double[]") if spec.total else self._reals for spec in row.arguments)
        arrays = list(zip(range(self._count), kinds, self._strided, strict=True))
        if row.family == Family.OPTIMIZER_STEP:  # the gradient before the slots, of which there may be several
            arrays.insert(1, arrays.pop())
        self._arrays = tuple(arrays)
        self._pack = _SCRATCH[dtype] if row.family in GEMMS else 0  # elements for each thread
        self._code, self._fields = (int(row.family), row.code), _FIELDS.get(row.family, ())

    def _run(self, *arguments: Any) -> None:
        call, threads, _ = self._given(arguments, self._scratch.room)
        _check(self._function(call, threads), self._name)

    def _prepare(self, *arguments: Any) -> Callable[[], object]:
        # The library refuses no call of it: sizes are those of arrays, the code is the row's, and nothing is missing.
        call, threads, kept = self._given(arguments, partial(aligned, dtype=self._dtype))
        made = partial(self._function, call, threads)
        made.kept = kept  # type: ignore[attr-defined]
        return made

    def _given(self, arguments: tuple[Any, ...], room: Callable[[int], Array]) -> tuple[Any, int, list[Any]]:
        """A call, how many threads it gets, and what keeps alive what it points at."""
        arrays, scalars = arguments[: self._count], arguments[self._count :]
        kept, apart = [], []
        for number, kind, strided in self._arrays:
            array = arrays[number]
            # Of one with rows the first: only contiguous memory has an address.
            kept.append(ffi.from_buffer(kind, array[:1] if strided else array))
            apart.append(array.strides[0] // array.itemsize if strided else 0)
        sizes = self._sizes(arrays)
        threads = self._threads(sizes, arrays)
        rows, columns, depth = (*sizes, *_NO_SIZES[len(sizes) :]) if self._has_rows else (1, sizes[0], 0)
        end = len(scalars) - len(self._fields)
        call = ffi.new(_CALL, (*self._code, kept, apart, rows, columns, depth, scalars[:end]))
        for name, value in zip(self._fields, scalars[end:], strict=True):
            setattr(call, name, value)
        if self._pack:
            kept.append(ffi.from_buffer(self._reals, room(self._pack * threads)))
            call.scratch = kept[-1]
        return call, threads, kept


@cache
def _operators(dtype: str) -> dict[str, COperator]:
    scratch = _Scratch(dtype)
    return {name: COperator(row, dtype, scratch) for name, row in OPERATIONS.items()}


# What the fields of the structs point at, where it is not a void or int64_t.
_POINTERS = {
    "constants": "double *", "scalars": "double *", "norms": "double *",
    **dict.fromkeys(("theta", "gradient", "addend", "scratch", "workspace"), "void *"),
    **dict.fromkeys(("row_values", "row_scales", "row_weights"), "void *"),
}  # fmt: skip


# --- programs -------------------------------------------------------------------------------------------------------


class CProgram(CompiledProgram):
    """One call of the library each."""

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        suffix = SUFFIX[plan.dtype.name]
        self._functions = [getattr(lib, f"fnn_{name}_{suffix}") for name in _FUNCTIONS]
        self._program, self._c_data = ffi.new("fnn_program *"), ffi.new("fnn_data *")
        self._c_arrays = ffi.new("fnn_array[]", len(plan.inputs) + 2 * len(plan.losses))
        self._c_outs, self._c_data.arrays = ffi.new("void *[]", len(plan.outputs)), self._c_arrays
        self._taken = ffi.new("int64_t *")
        super().__init__(backend, plan, state, os.cpu_count() or 1, _SCRATCH[plan.dtype.name])

    def _put(self, **numbers: int) -> None:
        for name, value in numbers.items():
            setattr(self._program, name, value)

    def _point(self, **arrays: Array | None) -> None:
        for name, array in arrays.items():
            address = 0 if array is None else array.ctypes.data
            setattr(self._program, name, ffi.cast(_POINTERS.get(name, "int64_t *"), address))

    def _point_slots(self, slots: tuple[Array, ...]) -> None:
        for number, slot in enumerate(slots):
            self._program.slots[number] = _address(slot)

    def _set_calls(self, **calls: list[Addressed | None]) -> None:
        self._records = {name: _records(several) for name, several in calls.items()}
        for name, records in self._records.items():
            setattr(self._program, name, records)

    def _bind_arrays(
        self, arrays: Sequence[Array | None], order: Array | None, shares: Array | None, rows: int, batch_size: int
    ) -> None:
        data = self._c_data
        for number, array in enumerate(arrays):
            place = self._c_arrays[number]
            place.data = ffi.NULL if array is None else _address(array)
            if array is not None:
                place.row, place.element, place.code = array.strides[0], array.strides[-1], _CODES[array.dtype]
        data.rows, data.batch = rows, batch_size
        data.order = ffi.NULL if order is None else ffi.cast("int64_t *", order.ctypes.data)
        data.shares = _doubles(shares)

    def _launch(self, mode: Mode, threads: int, run: Run) -> int:
        function, program, data = self._functions[mode], self._program, self._c_data
        first, last, sums = run.first, run.last, _doubles(run.sums)
        if mode == Mode.STEPS:
            status = function(program, data, first, last, sums, self._taken, _doubles(run.rates), run.stop, threads)
        elif mode == Mode.SCORE:
            status = function(program, data, first, last, sums, threads)
        elif mode == Mode.GRADIENT:
            status = function(program, data, sums, threads)
        elif mode == Mode.UPDATE:
            status = function(program, threads)
        else:
            for number, out in enumerate(run.outs):
                self._c_outs[number] = _address(out)
            status = function(program, data, self._c_outs, first, threads)
        _check(status, _FUNCTIONS[mode])
        return int(self._taken[0])

    def _scan(self, X: Array, first_bad: Array) -> None:
        find = getattr(lib, f"fnn_find_nonfinite_{SUFFIX[X.dtype.name]}")
        most, out = float(largest(X.dtype, self.plan.dtype)), ffi.cast("int64_t *", first_bad.ctypes.data)
        _check(find(out, _address(X), X.strides[0], *X.shape, most, first_bad.size), "find_nonfinite")

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        _, epoch, seed = (int(counter) for counter in self.state.counters)
        shuffle(order, seed, epoch)


def shuffle(order: npt.NDArray[np.int64], seed: int, epoch: int) -> None:
    """Fills `order`, of contiguous elements, with `core.random.permutation`."""
    _check(lib.fnn_shuffle(ffi.cast("int64_t *", order.ctypes.data), order.size, seed, epoch), "shuffle")


_FUNCTIONS = ("run_steps", "gradient", "score", "update", "forward")  # by mode
_CODES = {np.dtype(name): code for name, code in SOURCE_DTYPES.items()}


def _records(calls: list[Addressed | None]) -> Any:
    """An array of `fnn_call`."""
    made = ffi.new("fnn_call[]", max(1, len(calls)))
    for call, one in zip(made, calls, strict=False):
        if one is None:
            call.family = -1
            continue
        call.family, call.code, call.n = int(one.operation.family), one.operation.code, one.columns
        call.k, call.flat, call.per_batch = one.depth, one.flat, one.per_batch
        for number, (address, apart) in enumerate(one.arrays):
            call.array[number], call.ld[number] = ffi.cast("void *", address), apart
        call.scalar[0 : len(one.scalars)] = one.scalars
    return made


def _doubles(array: Sums | None) -> Any:
    return ffi.NULL if array is None else ffi.from_buffer("double[]", array)


class CBackend(Backend):
    """Compiled when fastnn was installed, for every instruction set; FASTNN_CPU forces one.

    Raises:
        BackendError: FASTNN_CPU names no instruction set, or one that this processor lacks.
    """

    name = "c"

    def __init__(self) -> None:
        wanted = os.environ.get("FASTNN_CPU", "").strip()
        if wanted and level() != wanted:
            known = ", ".join(LEVELS)
            _check(lib.fnn_set_level(wanted.encode()), f"FASTNN_CPU is {wanted!r}, expected one of {known}")

    def operations(self, dtype: Any) -> Mapping[str, COperator]:
        return _operators(dtype_name("operations", dtype))

    def program(self, plan: Plan, state: State) -> CProgram:
        return CProgram(self, plan, state)


__all__ = ["CBackend", "ffi", "level", "lib"]
