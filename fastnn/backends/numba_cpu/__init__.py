"""The Numba backend: operations and programs through one compiled worker a dtype."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ...config import dtype_name
from ...core.losses import ROW_METRICS
from ...core.operations import OPERATIONS, Family, Operation
from ...core.plan import Plan
from ...core.state import State
from ...core.store import aligned
from ..arguments import WHOLE_SCALARS
from ..compiled import Addressed, CompiledProgram, Run, nothing
from ..data import Array
from ..operators import GEMMS, CompiledOperator, Mode
from ..protocol import Backend, exclusive
from . import call, team
from .elementwise import SOURCE_DTYPES
from .optimizers import STEP_BYTES
from .table import LOGITS, ArrayEntry, CallEntry, Entry
from .update import scratch_size


class _Prepared(partial[None]):
    """A call of compiled code by addresses, and what lies there."""

    arrays: Any


class Call:
    """A call block, and what keeps its addresses alive."""

    def __init__(self, entry: int) -> None:
        self.entry = entry
        block = aligned(Entry.WIDTH, np.int64)
        self.address = int(block.ctypes.data)
        self.block: memoryview[int] = memoryview(block)  # written in less than half of the array's time
        self._sync_area = team.sync_area()
        self.sync = self.block[Entry.SYNC] = int(self._sync_area.ctypes.data)
        self._room, self._room_address = aligned(0, np.float64), 0

    def __reduce__(self) -> Any:
        raise TypeError("a call block holds addresses and cannot be copied")

    def room(self, size: int, dtype: Any) -> int:
        """The address of at least `size` elements that the call may write, and nobody keeps."""
        if self._room.size < size:
            self._room = aligned(size, dtype)
            self._room_address = int(self._room.ctypes.data)
        return self._room_address

    def run(self, threads: int, meets: bool = True) -> None:
        team.launch(self.entry, self.address, self.sync, threads, meets)

    def prepared(self, threads: int, arrays: Any) -> Callable[[], object]:
        """What runs an operation again and again."""
        if threads > 1:
            made = _Prepared(team.launch, self.entry, self.address, self.sync, threads, False)
        else:
            made = _Prepared(team.alone(), self.entry, self.address)
        made.arrays = self, arrays
        return made


class _Calls(threading.local):
    """The call block of a thread's direct calls; what runs them is compiled when there is one."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._direct: Call | None = None

    def new(self) -> Call:
        return Call(team.operations_address(self._dtype))

    def taken(self) -> Call:
        """The call block, out of a signal handler's reach until it is given back."""
        call, self._direct = self._direct, None
        return call or self.new()

    def give_back(self, call: Call) -> None:
        self._direct = call


class NumbaOperator(CompiledOperator):
    """One operation, by a call block."""

    def __init__(self, row: Operation, dtype: str, calls: _Calls) -> None:
        super().__init__(row, dtype)
        self._dtype, self._calls = np.dtype(dtype), calls
        scalars = "".join("q" if name in WHOLE_SCALARS else "d" for name in row.scalars)
        self._write = call.operation_entries(self._count, scalars).pack_into
        self._kernel = int(row.family), _code(row)
        # Rows, columns and depth, of which the arrays do not have all; a step's depth is how many slots it has.
        slots = self._count - 2 if row.family == Family.OPTIMIZER_STEP else 0
        self._before = () if self._has_rows else (1,)
        self._after = (1, slots)[len(self._before) + len(self._axes) - 1 :]
        self._packs = row.family in GEMMS

    def _run(self, *arguments: Any) -> None:
        call = self._calls.taken()
        call.run(self._fill(call, arguments), meets=False)
        self._calls.give_back(call)

    def _prepare(self, *arguments: Any) -> Callable[[], object]:
        call = self._calls.new()
        return call.prepared(self._fill(call, arguments), arguments[: self._count])

    def _fill(self, call: Call, arguments: tuple[Any, ...]) -> int:
        """Writes the call block; gives the number of threads."""
        arrays = arguments[: self._count]
        places: list[int] = []
        for array, strided in zip(arrays, self._strided, strict=True):
            places += array.ctypes.data, array.strides[0] // array.itemsize if strided else 0
        sizes = self._sizes(arrays)
        threads = self._threads(sizes, arrays)
        scratch = 0
        if self._packs:
            scratch = call.room(scratch_size(self._dtype.itemsize) * threads, self._dtype)
        sizes = *self._before, *sizes, *self._after
        scalars = arguments[self._count :]
        self._write(call.block, 8 * CallEntry.FAMILY, *self._kernel, *sizes, 0, *places, *scalars, scratch, 0)
        return threads


def _code(row: Operation) -> int:
    if row.family in (Family.CROSSENTROPY_FORWARD, Family.CROSSENTROPY_BACKWARD):
        return row.code - LOGITS
    return ROW_METRICS.index(row.name) if row.family == Family.METRIC else row.code


class NumbaProgram(CompiledProgram):
    """One call of the worker each."""

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        self._block = Call(team.worker_address(str(plan.dtype)))
        tables = aligned((len(plan.inputs) + 2 * len(plan.losses)) * ArrayEntry.WIDTH + len(plan.outputs), np.int64)
        self._arrays_table: memoryview[int] = memoryview(tables)
        self._outs_table = self._arrays_table[tables.size - len(plan.outputs) :]
        self._block.block[Entry.ARRAYS] = tables.ctypes.data
        self._block.block[Entry.OUTS] = tables[tables.size - len(plan.outputs) :].ctypes.data
        scratch = scratch_size(plan.dtype.itemsize) + STEP_BYTES // plan.dtype.itemsize
        super().__init__(backend, plan, state, numba.config.NUMBA_NUM_THREADS, scratch)

    def _put(self, **numbers: int) -> None:
        for name, value in numbers.items():
            self._block.block[_ENTRIES[name]] = value

    def _point(self, **arrays: Array | None) -> None:
        for name, array in arrays.items():
            self._block.block[_ENTRIES[name]] = 0 if array is None else array.ctypes.data

    def _point_slots(self, slots: tuple[Array, ...]) -> None:
        for which, slot in zip((Entry.SLOT_0, Entry.SLOT_1, Entry.SLOT_2), slots, strict=False):
            self._block.block[which] = slot.ctypes.data

    def _set_calls(self, **calls: list[Addressed | None]) -> None:
        self._records = {name: _records(several) for name, several in calls.items()}
        self._point(**self._records)

    def _bind_arrays(
        self, arrays: Sequence[Array | None], order: Array | None, shares: Array | None, rows: int, batch_size: int
    ) -> None:
        block, table = self._block.block, self._arrays_table
        for place, array in enumerate(arrays):
            first = place * ArrayEntry.WIDTH
            table[first] = 0 if array is None else array.ctypes.data
            if array is not None:
                table[first + ArrayEntry.ROW] = array.strides[0]
                table[first + ArrayEntry.ELEMENT] = array.strides[-1]
                table[first + ArrayEntry.CODE] = _CODES[array.dtype]
        block[Entry.ROWS], block[Entry.BATCH] = rows, batch_size
        block[Entry.ORDER] = 0 if order is None else order.ctypes.data
        block[Entry.SHARES] = 0 if shares is None else shares.ctypes.data

    def _launch(self, mode: Mode, threads: int, run: Run) -> int:
        block = self._block.block
        block[Entry.MODE], block[Entry.FIRST], block[Entry.LAST], block[Entry.STOP] = (
            mode,
            run.first,
            run.last,
            run.stop,
        )
        block[Entry.RATES] = 0 if run.rates is None else run.rates.ctypes.data
        if run.sums is not None:
            block[Entry.SUMS] = run.sums.ctypes.data
        for index, out in enumerate(run.outs):
            self._outs_table[index] = out.ctypes.data
        self._block.run(threads)
        return block[Entry.TAKEN]

    def _scan(self, X: Array, first_bad: Array) -> None:
        self._point(scan=X, first_bad=first_bad)
        self._put(scan_row=X.strides[0], scan_itemsize=X.itemsize, scan_rows=X.shape[0], scan_columns=X.shape[1])
        self._put(mode=Mode.FIND_NONFINITE)
        self._block.run(first_bad.size)

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        self._data = nothing
        self._point(order=order)
        self._put(rows=order.size, mode=Mode.SHUFFLE)
        self._block.run(1)


_ENTRIES = {entry.name.lower(): int(entry) for entry in call.Entry}
_CODES = {np.dtype(name): code for code, name in enumerate(SOURCE_DTYPES)}


def _records(calls: list[Addressed | None]) -> npt.NDArray[np.int64]:
    """A record of `CallEntry` for each."""
    made = np.zeros((len(calls), CallEntry.WIDTH), np.int64)
    made[:, CallEntry.FAMILY] = -1
    for record, one in zip(made, calls, strict=True):
        if one is None:
            continue
        record[CallEntry.FAMILY], record[CallEntry.CODE] = one.operation.family, _code(one.operation)
        record[CallEntry.COLUMNS], record[CallEntry.DEPTH] = one.columns, one.depth
        record[CallEntry.FLAT], record[CallEntry.PER_BATCH] = one.flat, one.per_batch
        record[CallEntry.ARRAYS :][: 2 * len(one.arrays)] = np.ravel(one.arrays)
        record[CallEntry.SCALARS :][: len(one.scalars)] = np.array(one.scalars, np.float64).view(np.int64)
    return made


@cache
def _operators(dtype: str) -> dict[str, NumbaOperator]:
    calls = _Calls(dtype)
    return {name: NumbaOperator(row, dtype, calls) for name, row in OPERATIONS.items()}


class NumbaBackend(Backend):
    """Compiled by Numba, cached on disk, threaded."""

    name = "numba"

    def operations(self, dtype: Any) -> Mapping[str, NumbaOperator]:
        return _operators(dtype_name("operations", dtype))

    def program(self, plan: Plan, state: State) -> NumbaProgram:
        return NumbaProgram(self, plan, state)
