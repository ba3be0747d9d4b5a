"""What the programs of compiled backends share: the calls that a plan's instructions are, with addresses; what compiled
code is given; how many threads a call repays."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import config
from ..core.instructions import (
    INSTRUCTIONS,
    INVERSE_ROWS,
    Call,
    Place,
    Slot,
    gradient_of,
    operation_of,
    place,
    scalars,
)
from ..core.losses import LOSS_NAMES, METRIC_NAMES, ROW_METRICS
from ..core.operations import OPERATIONS, Argument, Family, Operation
from ..core.plan import Column, Kind, LossEntry, MetricEntry, ParameterEntry, Plan, Role, padded
from ..core.state import State, aligned
from .data import Array, Data, Sums
from .operators import Mode, forward_threads, large_layers, step_threads, threads_for
from .protocol import Backend, Program, exclusive

# Operations on elements: rows of the workspace lie one behind another and are one row to them.
ELEMENTWISE = (Family.ACTIVATION_FORWARD, Family.ACTIVATION_BACKWARD, Family.AFFINE)
# What has code of its own in a compiled program.
OWN_CODE = (Kind.DENSE, Kind.DROPOUT)


class Addressed(NamedTuple):
    """An operation of an instruction on addresses: (address, elements between rows) of each array."""

    operation: Operation
    arrays: tuple[tuple[int, int], ...]
    columns: int
    scalars: tuple[float, ...]
    flat: bool
    per_batch: bool


class CompiledProgram(Program):
    """The fused programs: one call of compiled code each. A backend says how it is given numbers, addresses and calls,
    and how it runs a mode."""

    def __init__(self, backend: Backend, plan: Plan, state: State, threads: int, scratch: int) -> None:
        """threads: that there are. scratch: elements of the scratch of each."""
        super().__init__(backend, plan, state)
        self._data: Callable[[], Data | None] = nothing  # a weak reference, so that data do not live as long as models
        self._workspace: Callable[[], Array | None] = nothing  # a weak reference to that of the buffers
        self._large = large_layers(plan)
        self._threads = min(config.get_num_threads(), threads)
        self._norms, self._scratch = np.empty(len(plan.parameters)), aligned(scratch * self._threads, plan.dtype)
        self._point(
            instructions=plan.instructions,
            parameters=plan.parameters,
            metrics=plan.metrics,
            loss=plan.loss if plan.loss.size else None,
            optimizer=plan.optimizer if plan.optimizer.size else None,
            constants=plan.constants,
            theta=state.theta,
            gradient=state.gradient,
            scalars=state.scalars,
            counters=state.counters,
            norms=self._norms,
            scratch=self._scratch,
        )
        self._point_slots(state.slots)
        self._put(
            instruction_count=len(plan.instructions),
            parameter_count=len(plan.parameters),
            metric_count=len(plan.metrics),
            features=plan.features,
            outputs=plan.outputs,
            output_unit=plan.output_unit,
            fixed_elements=plan.fixed_elements,
            forward_rows=plan.forward_rows,
            scratch_threads=self._threads,
        )

    # what a backend says

    @abstractmethod
    def _put(self, **numbers: int) -> None:
        """Gives numbers by the names of `fnn_program` and `fnn_data` in csrc/fastnn.h."""

    @abstractmethod
    def _point(self, **arrays: Array | None) -> None:
        """Gives addresses of arrays likewise; 0 for None."""

    @abstractmethod
    def _point_slots(self, slots: tuple[Array, ...]) -> None:
        """Gives the addresses of the optimizer's slots."""

    @abstractmethod
    def _set_calls(self, **calls: list[Addressed | None]) -> None:
        """Gives lists of calls by the names of `fnn_program`."""

    @abstractmethod
    def _bind_x(self, X: Array, order: Array | None) -> None:
        """Gives rows of samples, and the order in which they are read."""

    @abstractmethod
    def _bind_y(self, y: Array, w: Array | None, batch_size: int) -> None:
        """Gives their targets and weights, and the rows of a batch."""

    @abstractmethod
    def _launch(
        self,
        mode: Mode,
        threads: int,
        first: int = 0,
        last: int = 0,
        sums: Sums | None = None,
        rates: Sums | None = None,
        stop: bool = False,
        out: Array | None = None,
    ) -> int:
        """Runs a mode; returns how many steps were taken."""

    # programs

    @exclusive
    def forward(self, X: Array, out: Array) -> None:
        rows = X.shape[0]
        threads = self._forward_team(rows, together=rows <= self.plan.forward_rows)
        self._reserve(self.plan.rows_of_blocks(rows, threads))
        self._data = nothing  # what is bound is that of no data until all of it is
        self._bind_x(X, None)
        self._launch(Mode.FORWARD, threads, out=out)

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        self._bind(data)
        self._launch(Mode.GRADIENT, self._step_team(data), 0, 1, sums=sums)

    @exclusive
    def update(self) -> None:
        self._launch(Mode.UPDATE, self._team(self.state.theta.size, 8 * self.state.theta.size))

    @exclusive
    def run_steps(
        self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None = None, stop: bool = False
    ) -> int:
        self._bind(data)
        return self._launch(Mode.STEPS, self._step_team(data), first, last, sums=sums, rates=rates, stop=stop)

    @exclusive
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        self._bind(data)
        team = self._forward_team(min(data.batch_size, data.X.shape[0]))
        self._launch(Mode.SCORE, team, first, last, sums=sums)

    @exclusive
    def find_nonfinite(self, X: Array) -> int:
        if X.dtype not in (np.float32, np.float64) or X.strides[1] != X.itemsize or not X.size:
            return super().find_nonfinite(X)
        threads = self._team(X.shape[0], X.size)
        first_bad = np.full(threads, -1, np.int64)
        self._scan(X, first_bad)
        return int(min((at for at in first_bad if at >= 0), default=-1))

    @abstractmethod
    def _scan(self, X: Array, first_bad: Array) -> None:
        """Leaves the first bad flat index of each thread's rows."""

    # teams

    def _team(self, rows: int, flops: int) -> int:
        return threads_for(flops, rows, self._threads)

    def _forward_team(self, rows: int, together: bool = True) -> int:
        return forward_threads(self.plan, self._large if together else [], rows, self._threads)

    def _step_team(self, data: Data) -> int:
        batch = min(data.batch_size, data.X.shape[0])
        flops, parameters = 3 * self.plan.flops_per_row * batch, self.state.theta.size
        return step_threads(flops, parameters, batch, self._threads)

    # buffers and data

    def _reserve(self, rows: int) -> None:
        """Buffers for a batch of `rows`; their addresses change only when they grow."""
        state = self.state
        state.reserve(rows)
        if self._workspace() is state.workspace:
            return
        values = state.rows * (1 + len(self.plan.metrics))
        self._row_buffers = aligned(values + 2 * padded(state.rows), self.plan.dtype)
        self._row_weights = self._row_buffers[values + padded(state.rows) :]
        self._data = nothing
        self._point(row_values=self._row_buffers, row_scales=self._row_buffers[values:], row_weights=self._row_weights)
        self._set_calls(calls=self._instruction_calls(), gradients=self._gradient_calls(), losses=self._loss_calls())
        # Last, because a Ctrl-C may come between any two lines: until then the next call does all of this again.
        self._put(capacity=state.rows)
        self._point(workspace=state.workspace)
        self._workspace = weakref.ref(state.workspace)

    def _bind(self, data: Data) -> None:
        """Takes the addresses of the data, once as long as it stays the same object."""
        self._reserve(data.batch_size)
        if data is self._data():
            return
        self._data = nothing
        assert data.y is not None
        self._bind_x(data.X, data.order)
        self._bind_y(data.y, data.w, data.batch_size)
        self._row_weights[:] = 1
        self._data = weakref.ref(data)

    # calls

    def _instruction_calls(self) -> list[Addressed | None]:
        """`Slot.WIDTH` for each instruction."""
        calls: list[Addressed | None] = []
        for row in self.plan.instructions.tolist():
            slots: list[Addressed | None] = [None] * Slot.WIDTH
            kind = INSTRUCTIONS[Kind(row[Column.KIND])]
            if row[Column.KIND] not in OWN_CODE:
                slots[Slot.FORWARD] = self._call(row, kind.forward)
                slots[Slot.INFERENCE] = self._call(row, kind.inference or kind.forward)
                if row[Column.GRAD_SRC] >= 0:
                    slots[Slot.BACKWARD] = self._call(row, kind.backward)
            columns: list[tuple[Slot, tuple[Call, ...]]] = [
                (Slot.FORWARD_COLUMNS, kind.forward_columns),
                (Slot.INFERENCE_COLUMNS, kind.inference_columns),
            ]
            if row[Column.GRAD_DST] >= 0:
                columns.append((Slot.BACKWARD_COLUMNS, kind.backward_columns))
            for slot, several in columns:
                for number, call in enumerate(several):
                    slots[slot + number] = self._call(row, call)
            calls += slots
        return calls

    def _call(self, row: list[int], call: Call) -> Addressed:
        operation = operation_of(row, call)
        arrays = self._arrays(row, call.arrays.split(), operation.arguments)
        return Addressed(
            operation,
            arrays,
            int(row[Column.OUTPUTS]),
            scalars(self.plan, row, call, rows=1),
            flat=operation.family in ELEMENTWISE,
            per_batch=call.scalars[:1] == (INVERSE_ROWS,),
        )

    def _gradient_calls(self) -> list[Addressed | None]:
        """One for each parameter: what sums a vector's gradient over the batch, without its result; None for a matrix,
        whose gradient is a product, and for what is not trained."""
        return [self._gradient_call(row) for row in self.plan.parameters.tolist()]

    def _gradient_call(self, row: list[int]) -> Addressed | None:
        if row[ParameterEntry.ROLE] == Role.KERNEL or not row[ParameterEntry.TRAINABLE] or not self.plan.loss.size:
            return None
        operation, names = gradient_of(row)
        arrays = self._arrays(
            self.plan.instructions[row[ParameterEntry.INSTRUCTION]].tolist(), names, operation.arguments[1:]
        )
        columns = int(row[ParameterEntry.COLUMNS])
        return Addressed(operation, ((0, 0), *arrays), columns, (), flat=False, per_batch=False)

    def _loss_calls(self) -> list[Addressed | None]:
        """The gradient of the loss, its values, and those of each metric; None for r2_score, which has sums alone."""
        plan = self.plan
        loss = plan.loss
        if not loss.size:
            return []
        name, width = LOSS_NAMES[loss[LossEntry.CODE]], int(loss[LossEntry.OUTPUTS])

        def rows(entry: LossEntry) -> tuple[int, int]:
            return self._place(Place("rows", int(loss[entry]), width))

        target = self._place(Place("rows", int(loss[LossEntry.TARGET]), int(loss[LossEntry.TARGETS])))
        gradient, itemsize = rows(LossEntry.GRADIENT), plan.dtype.itemsize
        values, apart = int(self._row_buffers.ctypes.data), self.state.rows * itemsize
        scales = values + (1 + len(plan.metrics)) * apart, 1
        places = {"Z": rows(LossEntry.INPUT), "P": rows(LossEntry.PROBABILITY), "dA": gradient, "dZ": gradient}
        places |= {"Y": target, "y": target, "s": scales}

        def call(operation: str, A: LossEntry, number: int, constant: int) -> Addressed:
            row = OPERATIONS[operation]
            result = values + number * apart, 1
            named = places | {"A": rows(A), "l": result, "r": result}
            arrays = tuple(named[argument.name] for argument in row.arguments)
            return Addressed(row, arrays, width, self._spec(constant)[: len(row.scalars)], flat=False, per_batch=False)

        constant = int(loss[LossEntry.CONSTANT])
        calls: list[Addressed | None] = [
            call(f"{name}_{way}", LossEntry.INPUT, 0, constant) for way in ("backward", "forward")
        ]
        for number, metric in enumerate(plan.metrics, 1):
            name, constant = METRIC_NAMES[metric[MetricEntry.CODE]], int(metric[MetricEntry.CONSTANT])
            operation = name if name in ROW_METRICS else f"{name}_forward"
            none = name == "r2_score"
            calls.append(None if none else call(operation, LossEntry.PREDICTION, number, constant))
        return calls

    def _arrays(self, row: list[int], names: list[str], arguments: tuple[Argument, ...]) -> tuple[tuple[int, int], ...]:
        return tuple(self._place(place(row, name)) for name, _ in zip(names, arguments, strict=False))

    def _place(self, where: Place) -> tuple[int, int]:
        """The address of an array, and the elements between its rows."""
        state, plan = self.state, self.plan
        if where.vector == "rows":
            start, apart, vector = plan.fixed_elements + where.start * state.rows, padded(where.width), state.workspace
        else:
            vectors = {"theta": state.theta, "statistics": state.statistics, "batch": state.workspace}
            start, apart, vector = where.start, 0, vectors[where.vector]
        return int(vector.ctypes.data) + start * vector.itemsize, apart


def nothing() -> None:
    """A reference to nothing."""
