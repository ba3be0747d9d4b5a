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
from ...core.rowwise import MOST_VECTORS
from ...core.state import State
from ...core.steps import MOST_SCALARS, MOST_SLOTS
from ...core.store import aligned
from ...errors import BackendError
from ..compiled import Addressed, CompiledProgram
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
_SCALARS = ffi.typeof(f"double[{MOST_SCALARS}]")
_STATUS = {
    lib.FNN_NULL: "a buffer is missing",
    lib.FNN_BAD_SIZE: "a size is negative, or more than the buffers hold",
    lib.FNN_BAD_CODE: "unknown code of an instruction, activation, loss, metric, optimizer, clip or dtype",
    lib.FNN_BAD_LEVEL: "unknown instruction set, or not on this processor",
}
# Families whose functions take the operation's code after the sizes.
_CODED = (
    Family.ACTIVATION_FORWARD,
    Family.ACTIVATION_BACKWARD,
    Family.LOSS_FORWARD,
    Family.LOSS_BACKWARD,
    Family.CROSSENTROPY_FORWARD,
    Family.CROSSENTROPY_BACKWARD,
    Family.METRIC,
    Family.OPTIMIZER_STEP,
    Family.INVERSE_DEVIATION,
    Family.ROW_WISE_FORWARD,
    Family.ROW_WISE_BACKWARD,
    Family.VECTOR_BACKWARD,
    Family.BINARY,
    Family.BINARY_BACKWARD,
)
# Of families with arrays that not all have: how many there may be, and how many come behind them.
_ROOM = {
    Family.OPTIMIZER_STEP: (2 + MOST_SLOTS, 1),
    Family.ROW_WISE_FORWARD: (2 + MOST_VECTORS, 0),
    Family.ROW_WISE_BACKWARD: (3 + MOST_VECTORS, 0),
}


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
    """One function of the library."""

    def __init__(self, row: Operation, dtype: str, scratch: _Scratch) -> None:
        super().__init__(row, dtype)
        self._function = getattr(lib, f"fnn_{row.family.name.lower()}_{SUFFIX[dtype]}")
        self._dtype, self._scratch = dtype, scratch
        self._reals = ffi.typeof("float[]" if dtype == "float32" else "double[]")
        kinds = (ffi.typeof("double[]") if spec.total else self._reals for spec in row.arguments)
        self._arrays = tuple(zip(kinds, self._strided, strict=True))
        self._pack = _SCRATCH[dtype] if row.family in GEMMS else 0  # elements for each thread
        self._code = (row.code,) if row.family in _CODED else ()
        # Some functions have room for the most slots or vectors, and take all scalars as one. Crossentropies have no
        # parameter.
        missing, self._behind = _ROOM.get(row.family, (self._count, 0))
        self._missing = (ffi.NULL,) * (missing - self._count)
        self._vector = row.family in _ROOM
        self._first = self._count + (row.family in (Family.CROSSENTROPY_FORWARD, Family.CROSSENTROPY_BACKWARD))

    def _run(self, *arguments: Any) -> None:
        _check(self._function(*self._given(arguments, self._scratch.room)), self._name)

    def _prepare(self, *arguments: Any) -> Callable[[], object]:
        # The function refuses no call of it: sizes are those of arrays, the code is the row's, and nothing is missing.
        return partial(self._function, *self._given(arguments, partial(aligned, dtype=self._dtype)))

    def _given(self, arguments: tuple[Any, ...], room: Callable[[int], Array]) -> list[Any]:
        """The function's arguments, which keep alive what they point at."""
        arrays = arguments[: self._count]
        given: list[Any] = []
        for array, (kind, strided) in zip(arrays, self._arrays, strict=True):
            if strided:  # its first row: only contiguous memory has an address
                given += ffi.from_buffer(kind, array[:1]), array.strides[0] // array.itemsize
            else:
                given.append(ffi.from_buffer(kind, array))
        place = len(given) - self._behind
        given[place:place] = self._missing
        sizes = self._sizes(arrays)
        given += sizes
        threads = self._threads(sizes, arrays)
        if self._pack:
            given.append(ffi.from_buffer(self._reals, room(self._pack * threads)))
        scalars = arguments[self._first :]
        if self._vector:
            vector = ffi.new(_SCALARS)
            vector[0 : len(scalars)] = scalars
            scalars = (vector,)
        return [*given, *self._code, *scalars, threads]


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

    def _launch(
        self,
        mode: Mode,
        threads: int,
        first: int = 0,
        last: int = 0,
        sums: Sums | None = None,
        rates: Sums | None = None,
        stop: bool = False,
        outs: Sequence[Array] = (),
    ) -> int:
        function, program, data = self._functions[mode], self._program, self._c_data
        if mode == Mode.STEPS:
            taken, given = self._taken, _doubles(rates)
            status = function(program, data, first, last, _doubles(sums), taken, given, stop, threads)
        elif mode == Mode.SCORE:
            status = function(program, data, first, last, _doubles(sums), threads)
        elif mode == Mode.GRADIENT:
            status = function(program, data, _doubles(sums), threads)
        elif mode == Mode.UPDATE:
            status = function(program, threads)
        else:
            for number, out in enumerate(outs):
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
