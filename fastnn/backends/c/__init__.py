"""The C backend: the functions of `csrc/fastnn.h`, with the bits of every other backend."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import config
from ...core.operations import OPERATIONS, Family, Operation
from ...core.plan import Plan, largest, padded
from ...core.state import State, aligned
from ...core.steps import MOST_SCALARS, MOST_SLOTS
from ...errors import BackendError
from ..data import Array, Data, Sums
from ..operators import GEMMS, TOTALS, CompiledOperator, forward_threads, large_layers, step_threads, threads_for
from ..protocol import Backend, Program, exclusive


def why_not_built() -> str:
    """Why the extension module is missing, and what to do."""
    import json
    from importlib import metadata
    from pathlib import Path

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
)


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
        super().__init__(row, TOTALS)
        self._function = getattr(lib, f"fnn_{row.family.name.lower()}_{SUFFIX[dtype]}")
        self._dtype, self._scratch = dtype, scratch
        self._reals = ffi.typeof("float[]" if dtype == "float32" else "double[]")
        kinds = (ffi.typeof("double[]") if spec.total else self._reals for spec in row.arguments)
        self._arrays = tuple(zip(kinds, self._strided, strict=True))
        self._pack = _SCRATCH[dtype] if row.family in GEMMS else 0  # elements for each thread
        self._code = (row.code,) if row.family in _CODED else ()
        # An optimizer's function has room for all slots, and a vector of scalars. Crossentropies have no parameter.
        self._steps = row.family == Family.OPTIMIZER_STEP
        self._no_slots = (ffi.NULL,) * (2 + MOST_SLOTS - self._count) if self._steps else ()
        self._first = self._count + (row.family in (Family.CROSSENTROPY_FORWARD, Family.CROSSENTROPY_BACKWARD))

    def __call__(self, *arguments: Any) -> None:
        _check(self._function(*self._given(arguments, self._scratch.room)), self._name)

    def prepare(self, *arguments: Any) -> Callable[[], object]:
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
        given[-1:-1] = self._no_slots  # after theta and the slots, before the gradient
        sizes = self._sizes(arrays)
        given += sizes
        threads = self._threads(sizes, arrays)
        if self._pack:
            given.append(ffi.from_buffer(self._reals, room(self._pack * threads)))
        scalars = arguments[self._first :]
        if self._steps:
            vector = ffi.new(_SCALARS)
            vector[0 : len(scalars)] = scalars
            scalars = (vector,)
        return [*given, *self._code, *scalars, threads]


@cache
def _operators(dtype: str) -> dict[str, COperator]:
    scratch = _Scratch(dtype)
    return {name: COperator(row, dtype, scratch) for name, row in OPERATIONS.items()}


# What the entries of a program point at, where it is not int64.
_POINTERS = {
    "constants": "double *", "theta": "void *", "gradient": "void *", "statistics": "void *", "scalars": "double *",
}  # fmt: skip


# --- programs -------------------------------------------------------------------------------------------------------


def _nothing() -> None:
    """A reference to nothing."""


class CProgram(Program):
    """The fused programs: one call of the library each."""

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        super().__init__(backend, plan, state)
        suffix = SUFFIX[plan.dtype.name]
        self._functions = {
            name: getattr(lib, f"fnn_{name}_{suffix}")
            for name in ("run_steps", "gradient", "update", "score", "forward")
        }
        self._program = program = ffi.new("fnn_program *")
        self._c_data = ffi.new("fnn_data *")
        self._predicted = ffi.new("fnn_data *")
        self._taken = ffi.new("int64_t *")
        self._data: Callable[[], Data | None] = _nothing  # a weak reference, so that data do not live as long as models
        for name, table in (
            ("instructions", plan.instructions),
            ("parameters", plan.parameters),
            ("metrics", plan.metrics),
            ("loss", plan.loss),
            ("optimizer", plan.optimizer),
            ("constants", plan.constants),
            ("theta", state.theta),
            ("gradient", state.gradient),
            ("statistics", state.statistics),
            ("scalars", state.scalars),
            ("counters", state.counters),
        ):
            if table.size or name not in ("loss", "optimizer"):
                setattr(program, name, ffi.cast(_POINTERS.get(name, "int64_t *"), table.ctypes.data))
        for number, slot in enumerate(state.slots):
            program.slots[number] = _address(slot)
        program.instruction_count, program.parameter_count = len(plan.instructions), len(plan.parameters)
        program.metric_count = len(plan.metrics)
        program.features, program.outputs, program.output_unit = plan.features, plan.outputs, plan.output_unit
        program.fixed_elements, program.forward_rows = plan.fixed_elements, plan.forward_rows
        self._workspace: Callable[[], Array | None] = _nothing  # a weak reference to that of the buffers
        self._large = large_layers(plan)
        self._threads = min(config.get_num_threads(), os.cpu_count() or 1)
        self._scratch = aligned(_SCRATCH[plan.dtype.name] * self._threads, plan.dtype)
        program.scratch, program.scratch_threads = _address(self._scratch), self._threads

    @exclusive
    def forward(self, X: Array, out: Array) -> None:
        rows = X.shape[0]
        threads = self._forward_team(rows, together=rows <= self.plan.forward_rows)
        self._reserve(self.plan.rows_of_blocks(rows, threads))
        self._bind_x(self._predicted, X)
        _check(self._functions["forward"](self._program, self._predicted, _address_as(out), threads), "forward")

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        self._bind(data)
        team = self._step_team(data)
        _check(self._functions["gradient"](self._program, self._c_data, _doubles(sums), team), "gradient")

    @exclusive
    def update(self) -> None:
        team = self._team(self.state.theta.size, 8 * self.state.theta.size)
        _check(self._functions["update"](self._program, team), "update")

    @exclusive
    def run_steps(
        self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None = None, stop: bool = False
    ) -> int:
        self._bind(data)
        team = self._step_team(data)
        given = ffi.NULL if rates is None else _doubles(rates)
        steps = self._program, self._c_data, first, last, _doubles(sums), self._taken, given, stop, team
        _check(self._functions["run_steps"](*steps), "run_steps")
        return int(self._taken[0])

    @exclusive
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        self._bind(data)
        team = self._forward_team(min(data.batch_size, data.X.shape[0]))
        _check(self._functions["score"](self._program, self._c_data, first, last, _doubles(sums), team), "score")

    @exclusive
    def find_nonfinite(self, X: Array) -> int:
        if X.dtype not in (np.float32, np.float64) or X.strides[1] != X.itemsize or not X.size:
            return super().find_nonfinite(X)
        threads = self._team(X.shape[0], X.size)
        found = np.full(threads, -1, np.int64)
        find = getattr(lib, f"fnn_find_nonfinite_{SUFFIX[X.dtype.name]}")
        most = float(largest(X.dtype, self.plan.dtype))
        status = find(ffi.cast("int64_t *", found.ctypes.data), _address(X), X.strides[0], *X.shape, most, threads)
        _check(status, "find_nonfinite")
        return int(min((at for at in found if at >= 0), default=-1))

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        _, epoch, seed = (int(counter) for counter in self.state.counters)
        _check(lib.fnn_shuffle(ffi.cast("int64_t *", order.ctypes.data), order.size, seed, epoch), "shuffle")

    def _forward_team(self, rows: int, together: bool = True) -> int:
        return forward_threads(self.plan, self._large if together else [], rows, self._threads)

    def _team(self, rows: int, flops: int) -> int:
        return threads_for(flops, rows, self._threads)

    def _step_team(self, data: Data) -> int:
        batch = min(data.batch_size, data.X.shape[0])
        flops, parameters = 3 * self.plan.flops_per_row * batch, self.state.theta.size
        return step_threads(flops, parameters, batch, self._threads)

    def _reserve(self, rows: int) -> None:
        """Buffers for a batch of `rows`; their addresses change only when they grow."""
        state, program = self.state, self._program
        state.reserve(rows)
        if self._workspace() is not state.workspace:
            values = state.rows * (1 + len(self.plan.metrics))
            self._row_buffers = aligned(values + 2 * padded(state.rows), self.plan.dtype)
            self._row_weights = self._row_buffers[values + padded(state.rows) :]
            self._data = _nothing
            program.row_values = _address(self._row_buffers)
            program.row_scales = _address(self._row_buffers[values:])
            program.row_weights = _address(self._row_weights)
            # Last, because a Ctrl-C may come between any two lines: until then the next call does all of this again.
            program.capacity = state.rows
            program.workspace = _address(state.workspace)
            self._workspace = weakref.ref(state.workspace)

    def _bind_x(self, c_data: Any, X: Array) -> None:
        c_data.x, c_data.x_code, c_data.rows = _address(X), SOURCE_DTYPES[X.dtype.name], X.shape[0]
        c_data.x_row, c_data.x_element = X.strides

    def _bind(self, data: Data) -> None:
        """Takes the addresses of the data, once as long as it stays the same object."""
        self._reserve(data.batch_size)
        if data is self._data():
            return
        self._data = _nothing
        c_data, y = self._c_data, data.y
        assert y is not None
        self._bind_x(c_data, data.X)
        c_data.y, c_data.y_code = _address(y), SOURCE_DTYPES[y.dtype.name]
        c_data.y_row, c_data.y_element = y.strides
        c_data.w = ffi.NULL if data.w is None else _address(data.w)
        c_data.order = ffi.NULL if data.order is None else ffi.cast("int64_t *", data.order.ctypes.data)
        c_data.batch = data.batch_size
        self._row_weights[:] = 1
        self._data = weakref.ref(data)


def _doubles(sums: Sums) -> Any:
    return ffi.cast("double *", sums.ctypes.data)


def _address_as(out: Array) -> Any:
    return ffi.cast("float *" if out.itemsize == 4 else "double *", out.ctypes.data)


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
        return _operators(np.dtype(dtype).name)

    def program(self, plan: Plan, state: State) -> CProgram:
        return CProgram(self, plan, state)


__all__ = ["CBackend", "ffi", "level", "lib"]
