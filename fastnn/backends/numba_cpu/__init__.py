"""The Numba backend: operations and programs through one compiled worker a dtype."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ... import config
from ...core.formulas import LOSS_NAMES, ROW_METRICS
from ...core.operations import OPERATIONS, Family, Operation
from ...core.plan import I, Kind, Los, Plan, mean_outputs, padded
from ...core.state import State, aligned
from ..data import Array, Data, Sums
from ..operators import GEMMS, TOTALS, CompiledOperator, forward_threads, large_layers, step_threads, threads_for
from ..protocol import Backend, Program, exclusive
from . import call as c
from . import team
from .elementwise import SOURCE_DTYPES
from .optimizers import STEP_BYTES
from .parameters import scratch_size
from .table import LOGITS

# Families that one thread runs.
_ALONE = (*TOTALS, Family.BIAS_BACKWARD, Family.BATCH_MOMENTS, Family.SCALE_BACKWARD)


class _Prepared(partial[None]):
    """A call of compiled code by addresses, and what lies there."""

    kept: Any


class Call:
    """A call block, and what keeps its addresses alive."""

    def __init__(self, entry: int) -> None:
        self.entry = entry
        block = aligned(c.CALL_SIZE, np.int64)
        self.address = int(block.ctypes.data)
        self.block: memoryview[int] = memoryview(block)  # written in less than half of the array's time
        self._sync_area = team.sync_area()
        self.sync = self.block[c.SYNC] = int(self._sync_area.ctypes.data)
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
        made.kept = self, arrays
        return made


class _Calls(threading.local):
    """The call block of a thread's direct calls; what runs them is compiled when there is one."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._direct: Call | None = None

    def new(self) -> Call:
        return Call(team.operations_address(self._dtype))

    def direct(self) -> Call:
        if self._direct is None:
            self._direct = self.new()
        return self._direct


class NumbaOperator(CompiledOperator):
    """One operation, by a call block."""

    def __init__(self, row: Operation, dtype: str, calls: _Calls) -> None:
        super().__init__(row, _ALONE)
        self._dtype, self._calls = np.dtype(dtype), calls
        scalars = "dqqq" if row.family == Family.DROPOUT else "d" * len(row.scalars)
        self._write = c.operation_entries(self._count, scalars).pack_into
        self._kernel = int(row.family), _code(row)
        # Rows, columns and depth, of which the arrays do not have all; a step's depth is how many slots it has.
        slots = self._count - 2 if row.family == Family.OPTIMIZER_STEP else 0
        self._before = () if self._has_rows else (1,)
        self._after = (1, slots)[len(self._before) + len(self._axes) - 1 :]
        self._packs = row.family in GEMMS

    def __call__(self, *arguments: Any) -> None:
        call = self._calls.direct()
        call.run(self._fill(call, arguments), meets=False)

    def prepare(self, *arguments: Any) -> Callable[[], object]:
        call = self._calls.new()
        return call.prepared(self._fill(call, arguments), arguments[: self._count])

    def _fill(self, call: Call, arguments: tuple[Any, ...]) -> int:
        """Writes the call block; gives the number of threads."""
        arrays = arguments[: self._count]
        at: list[int] = []
        for array, strided in zip(arrays, self._strided, strict=True):
            at += array.ctypes.data, array.strides[0] // array.itemsize if strided else 0
        sizes = self._sizes(arrays)
        threads = self._threads(sizes, arrays)
        pack = 0
        if self._packs:
            pack = call.room(scratch_size(self._dtype.itemsize) * threads, self._dtype)
        sizes = *self._before, *sizes, *self._after
        scalars = arguments[self._count :]
        self._write(call.block, 8 * c.OP_FAMILY, *self._kernel, *sizes, *at, *scalars, pack)
        return threads


def _code(row: Operation) -> int:
    if row.family in (Family.CROSSENTROPY_FORWARD, Family.CROSSENTROPY_BACKWARD):
        return row.code - LOGITS
    return ROW_METRICS.index(row.name) if row.family == Family.METRIC else row.code


def _nothing() -> None:
    """A reference to nothing."""


class NumbaProgram(Program):
    """The fused programs: one call of the worker each."""

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        super().__init__(backend, plan, state)
        self._call = Call(team.worker_address(str(plan.dtype)))
        self._data: Callable[[], Data | None] = _nothing  # a weak reference, so that data do not live as long as models
        block = self._call.block
        for at, table in (
            (c.INSTRUCTIONS, plan.instructions),
            (c.PARAMETERS, plan.parameters),
            (c.METRICS, plan.metrics),
            (c.LOSS, plan.loss),
            (c.OPTIMIZER, plan.optimizer),
            (c.CONSTANTS, plan.constants),
            (c.THETA, state.theta),
            (c.GRADIENT_VECTOR, state.gradient),
            (c.SCALARS, state.scalars),
            (c.COUNTERS, state.counters),
            (c.STATISTICS, state.statistics),
        ):
            block[at] = table.ctypes.data
        for at, slot in zip((c.SLOT_0, c.SLOT_1, c.SLOT_2), state.slots, strict=False):
            block[at] = slot.ctypes.data
        block[c.INSTRUCTION_COUNT], block[c.PARAMETER_COUNT] = len(plan.instructions), len(plan.parameters)
        block[c.METRIC_COUNT], block[c.FIXED] = len(plan.metrics), plan.fixed_elements
        block[c.FEATURES], block[c.OUTPUT_UNIT], block[c.OUTPUTS] = plan.features, plan.output_unit, plan.outputs
        block[c.FORWARD_ROWS] = plan.forward_rows
        if plan.loss.size:
            block[c.MEAN] = mean_outputs(LOSS_NAMES[plan.loss[Los.CODE]])
        kinds = plan.instructions[:, I.KIND]
        block[c.STANDARDIZED] = bool(np.isin(kinds, (Kind.STANDARDIZE, Kind.BATCH_NORM)).any())
        self._norms = np.empty(len(plan.parameters))
        block[c.NORMS] = self._norms.ctypes.data
        size = scratch_size(plan.dtype.itemsize) + STEP_BYTES // plan.dtype.itemsize
        self._workspace: Callable[[], Array | None] = _nothing  # a weak reference to that of the buffers
        self._large = large_layers(plan)
        self._threads = min(config.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
        self._scratch = aligned(size * self._threads, plan.dtype)
        block[c.SCRATCH], block[c.SCRATCH_SIZE] = self._scratch.ctypes.data, size

    @exclusive
    def forward(self, X: Array, out: Array) -> None:
        rows = X.shape[0]
        threads = self._forward_team(rows, together=rows <= self.plan.forward_rows)
        self._reserve(self.plan.rows_of_blocks(rows, threads))
        block = self._call.block
        self._bind_x(X)
        block[c.ORDER], block[c.OUT], block[c.ROWS] = 0, out.ctypes.data, X.shape[0]
        self._launch(c.FORWARD, threads)

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        self._run(c.GRADIENT, data, 0, 1, sums)

    @exclusive
    def update(self) -> None:
        self._launch(c.UPDATE, self._team(self.state.theta.size, 8 * self.state.theta.size))

    @exclusive
    def run_steps(
        self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None = None, stop: bool = False
    ) -> int:
        return self._run(c.RUN_STEPS, data, first, last, sums, rates, stop)

    @exclusive
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        self._run(c.SCORE, data, first, last, sums)

    @exclusive
    def find_nonfinite(self, X: Array) -> int:
        if X.dtype not in (np.float32, np.float64) or X.strides[1] != X.itemsize or not X.size:
            return super().find_nonfinite(X)
        threads = self._team(X.shape[0], X.size)
        found = np.full(threads, -1, np.int64)
        block = self._call.block
        block[c.SCAN], block[c.SCAN_ROW], block[c.SCAN_ITEMSIZE] = X.ctypes.data, X.strides[0], X.itemsize
        block[c.SCAN_ROWS], block[c.SCAN_COLUMNS] = X.shape
        block[c.FOUND] = found.ctypes.data
        self._launch(c.FIND_NONFINITE, threads)
        return int(min((at for at in found if at >= 0), default=-1))

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        block = self._call.block
        self._data = _nothing
        block[c.ORDER], block[c.ROWS] = order.ctypes.data, order.size
        self._launch(c.SHUFFLE, 1)

    def _run(
        self,
        mode: int,
        data: Data,
        first: int,
        last: int,
        sums: Sums,
        rates: Sums | None = None,
        stop: bool = False,
    ) -> int:
        """Runs steps; gives how many were taken."""
        self._reserve(data.batch_size)
        if data is not self._data():
            self._bind(data)
        block = self._call.block
        block[c.FIRST], block[c.LAST], block[c.SUMS] = first, last, sums.ctypes.data
        block[c.RATES], block[c.STOP] = 0 if rates is None else rates.ctypes.data, bool(stop)
        batch = min(data.batch_size, data.X.shape[0])
        if mode == c.SCORE:
            self._launch(mode, self._forward_team(batch))
        else:
            flops, parameters = 3 * self.plan.flops_per_row * batch, self.state.theta.size
            self._launch(mode, step_threads(flops, parameters, batch, self._threads))
        return int(block[c.TAKEN])

    def _launch(self, mode: int, threads: int) -> None:
        self._call.block[c.MODE] = mode
        self._call.run(threads)

    def _forward_team(self, rows: int, together: bool = True) -> int:
        return forward_threads(self.plan, self._large if together else [], rows, self._threads)

    def _team(self, rows: int, flops: int) -> int:
        return threads_for(flops, rows, self._threads)

    def _reserve(self, rows: int) -> None:
        """Buffers for a batch of `rows`; their addresses change only when they grow."""
        state, block = self.state, self._call.block
        state.reserve(rows)
        if self._workspace() is not state.workspace:
            values = state.rows * (1 + len(self.plan.metrics))
            self._row_buffers = aligned(values + 2 * padded(state.rows), self.plan.dtype)
            self._weights = self._row_buffers[values + padded(state.rows) :]
            self._data = _nothing
            block[c.ROW_VALUES] = self._row_buffers.ctypes.data
            block[c.ROW_SCALES] = self._row_buffers[values:].ctypes.data
            block[c.ROW_WEIGHTS] = self._weights.ctypes.data
            # Last, because a Ctrl-C may come between any two lines: until then the next call does all of this again.
            block[c.CAPACITY], block[c.WORKSPACE] = state.rows, state.workspace.ctypes.data
            self._workspace = weakref.ref(state.workspace)

    def _bind_x(self, X: Array) -> None:
        self._data = _nothing  # what is bound is that of no data until all of it is
        block = self._call.block
        block[c.X], block[c.X_CODE] = X.ctypes.data, SOURCE_DTYPES.index(str(X.dtype))
        block[c.X_ROW], block[c.X_ELEMENT] = X.strides

    def _bind(self, data: Data) -> None:
        block = self._call.block
        self._bind_x(data.X)
        y = data.y
        assert y is not None
        block[c.Y], block[c.Y_CODE] = y.ctypes.data, SOURCE_DTYPES.index(str(y.dtype))
        block[c.Y_ROW], block[c.Y_ELEMENT] = y.strides
        block[c.W] = 0 if data.w is None else data.w.ctypes.data
        block[c.ORDER] = 0 if data.order is None else data.order.ctypes.data
        block[c.ROWS], block[c.BATCH] = data.X.shape[0], data.batch_size
        self._weights[:] = 1
        self._data = weakref.ref(data)


@cache
def _operators(dtype: str) -> dict[str, NumbaOperator]:
    calls = _Calls(dtype)
    return {name: NumbaOperator(row, dtype, calls) for name, row in OPERATIONS.items()}


class NumbaBackend(Backend):
    """Compiled by Numba, cached on disk, threaded."""

    name = "numba"

    def operations(self, dtype: Any) -> Mapping[str, NumbaOperator]:
        return _operators(np.dtype(dtype).name)

    def program(self, plan: Plan, state: State) -> NumbaProgram:
        return NumbaProgram(self, plan, state)
