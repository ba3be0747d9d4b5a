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
from ...formulas import LOSS_NAMES, ROW_METRICS
from ...operations import OPERATIONS, Argument, Family, Operation
from ...plan import I, Kind, Los, Plan, mean_outputs, padded
from ...state import State, aligned
from ..protocol import Array, Backend, Data, Program, Sums, exclusive
from . import call as c
from . import team
from .elementwise import SOURCE_DTYPES
from .gemm_blocks import pack_size
from .network import FORWARD_ROWS
from .parameters import scratch_size
from .table import LOGITS
from .workspace import ROW_BLOCK

# A thread more must save this much arithmetic, or its barriers cost more than they give.
FLOPS_PER_THREAD = 1_000_000


class Call:
    """A call block, and what keeps its addresses alive."""

    def __init__(self, entry: int) -> None:
        self.entry = entry
        self.block = aligned(c.CALL_SIZE, np.int64)
        self.doubles = self.block.view(np.float64)
        self.address = int(self.block.ctypes.data)
        self.sync = team.sync_area()
        self.block[c.SYNC] = self.sync.ctypes.data
        self.lock = threading.Lock()
        self._room = aligned(0, np.float64)

    def __reduce__(self) -> Any:
        raise TypeError("a call block holds addresses and cannot be copied")

    def room(self, size: int, dtype: Any) -> int:
        """The address of at least `size` elements that the call may write, and nobody keeps."""
        if self._room.size < size:
            self._room = aligned(size, dtype)
        return int(self._room.ctypes.data)

    def run(self, threads: int) -> None:
        team.launch(self.entry, self.address, self.sync, threads)


def _stride(spec: Argument, array: Array) -> int:
    """Elements between rows: a vector over the batch has a row for each element, another one serves every row."""
    return array.strides[0] // array.itemsize if array.ndim > 1 or spec.dims == "b" else 0


def _run_operation(shared: Callable[[], Call], row: Operation, *arguments: Any) -> None:
    """One operation; the call block is shared by all operations of a dtype."""
    call = shared()
    with call.lock:
        _marshal(call, row, arguments)


def _marshal(call: Call, row: Operation, arguments: tuple[Any, ...]) -> None:
    """Fills the call block: (address, row stride) of each array, sizes, scalars; and runs it."""
    block, specs = call.block, row.arguments
    block[c.OP_FAMILY], block[c.OP_CODE] = row.family, _code(row)
    dims: dict[str, int] = {}
    arrays = arguments[: len(specs)]
    for number, (spec, array) in enumerate(zip(specs, arrays, strict=True)):
        block[c.OP_ARRAYS + 2 * number] = array.ctypes.data
        block[c.OP_ARRAYS + 2 * number + 1] = _stride(spec, array)
        dims.update(zip(spec.dims, array.shape, strict=True))
    sizes = _sizes(row, dims)
    block[c.OP_SIZES : c.OP_SIZES + len(sizes)] = sizes
    scalars = arguments[len(specs) :]
    if row.family == Family.DROPOUT:
        rate, seed, step, layer = scalars
        call.doubles[c.OP_SCALARS] = rate
        block[c.OP_SCALARS + 1 : c.OP_SCALARS + 4] = seed, step, layer
    else:
        call.doubles[c.OP_SCALARS : c.OP_SCALARS + len(scalars)] = scalars
    threads = threads_for(row.flops(dims), sizes[0], config.get_num_threads())
    if row.family <= Family.DENSE_FORWARD:
        block[c.OP_PACK] = call.room(pack_size(arrays[0].itemsize) * threads, arrays[0].dtype)
    call.run(threads)


def _code(row: Operation) -> int:
    if row.family in (Family.CROSSENTROPY_FORWARD, Family.CROSSENTROPY_BACKWARD):
        return row.code - LOGITS
    return ROW_METRICS.index(row.name) if row.family == Family.METRIC else row.code


def _sizes(row: Operation, d: dict[str, int]) -> tuple[int, ...]:
    """(rows, columns, depth) as `operations.py` reads them."""
    match row.family:
        case Family.GEMM_NN | Family.GEMM_TN | Family.GEMM_NT:
            return d["m"], d["n"], d["k"]
        case Family.DENSE_FORWARD:
            return d["b"], d["o"], d["i"]
        case Family.OPTIMIZER_STEP:
            return 1, d["p"], len(row.arguments) - 2
        case Family.WEIGHTED_SUM | Family.ROW_SCALE:
            return d["b"], 1
        case _:
            return d.get("b", 1), next(d[letter] for letter in "ocp" if letter in d)


def threads_for(flops: int, rows: int, most: int) -> int:
    """How many threads the work repays."""
    return max(1, min(most, flops // FLOPS_PER_THREAD, -(-rows // ROW_BLOCK)))


def _nothing() -> None:
    """A reference to no data."""


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
        for at, slot in zip((c.SLOT_0, c.SLOT_1), state.slots, strict=False):
            block[at] = slot.ctypes.data
        block[c.INSTRUCTION_COUNT], block[c.PARAMETER_COUNT] = len(plan.instructions), len(plan.parameters)
        block[c.METRIC_COUNT], block[c.FIXED] = len(plan.metrics), plan.fixed_elements
        block[c.FEATURES], block[c.OUTPUT_UNIT], block[c.OUTPUTS] = plan.features, plan.output_unit, plan.outputs
        if plan.loss.size:
            block[c.MEAN] = mean_outputs(LOSS_NAMES[plan.loss[Los.CODE]])
        block[c.STANDARDIZED] = np.isin(plan.instructions[:, I.KIND], (Kind.STANDARDIZE, Kind.BATCH_NORM)).any()
        self._norms = np.empty(len(plan.parameters))
        block[c.NORMS] = self._norms.ctypes.data
        size = scratch_size(plan.dtype.itemsize)
        self._threads = min(config.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
        self._scratch = aligned(size * self._threads, plan.dtype)
        block[c.SCRATCH], block[c.SCRATCH_SIZE] = self._scratch.ctypes.data, size

    @exclusive
    def forward(self, X: Array, out: Array) -> None:
        threads = self._team(X.shape[0], self.plan.flops_per_row * X.shape[0])
        self._reserve(FORWARD_ROWS * threads)
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
        block[c.RATES], block[c.STOP] = 0 if rates is None else rates.ctypes.data, stop
        work = self.plan.flops_per_row * min(data.batch_size, data.X.shape[0])
        self._launch(mode, self._team(data.batch_size, (1 if mode == c.SCORE else 3) * work))
        return int(block[c.TAKEN])

    def _launch(self, mode: int, threads: int) -> None:
        self._call.block[c.MODE] = mode
        self._call.run(threads)

    def _team(self, rows: int, flops: int) -> int:
        return threads_for(flops, rows, self._threads)

    def _reserve(self, rows: int) -> None:
        """Buffers for a batch of `rows`; their addresses change only when they grow."""
        state, block = self.state, self._call.block
        state.reserve(rows)
        if block[c.WORKSPACE] != state.workspace.ctypes.data:
            values = state.rows * (1 + len(self.plan.metrics))
            self._row_buffers = aligned(values + 2 * padded(state.rows), self.plan.dtype)
            self._weights = self._row_buffers[values + padded(state.rows) :]
            self._data = _nothing
            block[c.ROW_VALUES] = self._row_buffers.ctypes.data
            block[c.ROW_SCALES] = self._row_buffers[values:].ctypes.data
            block[c.ROW_WEIGHTS] = self._weights.ctypes.data
            # Last, because a Ctrl-C may come between any two lines: until then the next call does all of this again.
            block[c.CAPACITY], block[c.WORKSPACE] = state.rows, state.workspace.ctypes.data

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


class NumbaBackend(Backend):
    """Compiled by Numba, cached on disk, threaded."""

    name = "numba"

    def operations(self, dtype: Any) -> Mapping[str, Callable[..., None]]:
        @cache
        def shared() -> Call:  # compiled when the first of them is called
            return Call(team.operations_address(str(np.dtype(dtype))))

        return {name: partial(_run_operation, shared, row) for name, row in OPERATIONS.items()}

    def program(self, plan: Plan, state: State) -> NumbaProgram:
        return NumbaProgram(self, plan, state)
