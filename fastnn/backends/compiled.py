"""What the programs of compiled backends share: the calls that a plan's instructions are, with addresses; what compiled
code is given; how many threads a call repays."""

from __future__ import annotations

import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import config
from ..core.instructions import (
    INSTRUCTIONS,
    INVERSE_ROWS,
    Call,
    Place,
    Slot,
    backward_calls,
    gradient_of,
    operation_of,
    place,
    scalars,
)
from ..core.losses import LOSS_NAMES, METRIC_NAMES, ROW_METRICS
from ..core.operations import OPERATIONS, Argument, Family, Operation
from ..core.plan import Column, Kind, LossEntry, MetricEntry, ParameterEntry, Phase, Plan, Role, padded
from ..core.state import State
from ..core.store import aligned
from .crew import Crew
from .data import Array, Data, Sums
from .operators import Mode, forward_threads, large_layers, step_threads, threads_for
from .protocol import Backend, Program, exclusive, reading

# Operations on elements: rows of the workspace lie one behind another and are one row to them, unless they are parts.
ELEMENTWISE = (
    Family.ACTIVATION_FORWARD,
    Family.ACTIVATION_BACKWARD,
    Family.AFFINE,
    Family.BINARY,
    Family.BINARY_BACKWARD,
    Family.FILL,
)
# What has code of its own in a compiled program.
OWN_CODE = (Kind.DENSE, Kind.DROPOUT, Kind.RANDOM)


class Run(NamedTuple):
    """What a mode is run with: the first step, or row of random numbers, and that behind the last step; where sums and
    predictions go; the rate of each step; whether to end after one that makes the loss NaN."""

    first: int = 0
    last: int = 0
    sums: Sums | None = None
    rates: Sums | None = None
    stop: bool = False
    outs: Sequence[Array] = ()


class Addressed(NamedTuple):
    """An operation of an instruction on addresses: (address, elements between rows) of each array."""

    operation: Operation
    arrays: tuple[tuple[int, int], ...]
    columns: int
    depth: int
    scalars: tuple[float, ...]
    flat: bool
    per_batch: bool


# The part of a slice that a trial of a crew takes.
_TRIAL = 8


class CompiledProgram(Program):
    """The fused programs: one call of compiled code each. A backend says how it is given numbers, addresses and calls,
    and how it runs a mode."""

    seconds = 0.0  # that the programs of this process have trained, all together
    interpreted = False

    def __init__(self, backend: Backend, plan: Plan, state: State, threads: int, scratch: int) -> None:
        """threads: that there are. scratch: elements of the scratch of each."""
        super().__init__(backend, plan, state)
        self._data: Callable[[], Data | None] = nothing  # a weak reference, so that data do not live as long as models
        self._workspace: Callable[[], Array | None] = nothing  # a weak reference to that of the buffers
        self._large = large_layers(plan)
        self._threads = min(config.get_num_threads(), threads)
        self._crew = Crew(self._threads)
        self._laps: npt.NDArray[np.int64] | None = None
        self._norms = np.empty(len(plan.parameters))
        self._scratch = aligned(scratch * self._threads, plan.dtype, zeroed=False)  # megabytes, written before read
        shared = (plan.parameters[:, ParameterEntry.NEXT] >= 0).any()  # whose gradients are added
        self._addend = aligned(plan.layout.size, plan.dtype) if shared else None
        self._point(
            instructions=plan.instructions,
            parameters=plan.parameters,
            metrics=plan.metrics,
            loss=plan.losses if plan.losses.size else None,
            inputs=plan.inputs,
            outputs=plan.outputs,
            optimizer=plan.optimizer if plan.optimizer.size else None,
            constants=plan.constants,
            theta=state.theta,
            gradient=state.gradient,
            scalars=state.scalars,
            counters=state.counters,
            norms=self._norms,
            addend=self._addend,
            scratch=self._scratch,
        )
        self._point_slots(state.slots)
        self._put(
            instruction_count=len(plan.instructions),
            parameter_count=len(plan.parameters),
            metric_count=len(plan.metrics),
            loss_count=len(plan.losses),
            input_count=len(plan.inputs),
            output_count=len(plan.outputs),
            reads_in_place=int(plan.reads_in_place),
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
    def _bind_arrays(
        self, arrays: Sequence[Array | None], order: Array | None, shares: Array | None, rows: int, batch_size: int
    ) -> None:
        """Gives the inputs, and for steps the targets and the weights of each loss; the order in which they are read,
        what multiplies the penalties of each step, how many rows there are, and those of a batch."""

    @abstractmethod
    def _launch(self, mode: Mode, threads: int, run: Run) -> int:
        """Runs a mode; returns how many steps were taken."""

    # programs

    @reading
    def forward(self, inputs: Sequence[Array], outs: Sequence[Array], first: int = 0) -> None:
        rows = inputs[0].shape[0]
        threads = self._crew.team(self._forward_team(rows, together=rows <= self.plan.forward_rows))
        self._reserve(self.plan.rows_of_blocks(rows, threads))
        self._data = nothing  # what is bound is that of no data until all of it is
        self._bind_arrays(inputs, None, None, rows, rows)
        self._launch(Mode.FORWARD, threads, Run(first, outs=outs))

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        self._bind(data)
        wanted, begun = self._step_team(data), time.perf_counter()
        self._launch(Mode.GRADIENT, self._crew.team(wanted), Run(0, 1, sums))
        self._crew.ran(wanted, 1, time.perf_counter() - begun)

    @exclusive
    def update(self) -> None:
        self._launch(Mode.UPDATE, self._team(self.state.theta.size, 8 * self.state.theta.size), Run())

    @exclusive
    def run_steps(
        self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None = None, stop: bool = False
    ) -> int:
        self._bind(data)
        self.batch = min(data.batch_size, data.rows)
        wanted, trial = self._step_team(data), last
        if self._crew.trying:
            trial = min(last, first + max(1, (last - first) // _TRIAL))
        taken = self._steps(wanted, first, trial, sums, rates, stop)
        if trial < last and taken == trial - first:
            taken += self._steps(wanted, trial, last, sums, None if rates is None else rates[taken:], stop)
        return taken

    def _steps(self, wanted: int, first: int, last: int, sums: Sums, rates: Sums | None, stop: bool) -> int:
        """Steps of a team that the crew chooses."""
        self.threads = self._crew.team(wanted)
        begun = time.perf_counter()
        taken = self._launch(Mode.STEPS, self.threads, Run(first, last, sums, rates, stop))
        seconds = time.perf_counter() - begun
        CompiledProgram.seconds += seconds
        self._crew.ran(wanted, taken, seconds)
        return taken

    @reading
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        self._bind(data)
        team = self._crew.team(self._forward_team(min(data.batch_size, data.rows)))
        self._launch(Mode.SCORE, team, Run(first, last, sums))

    @reading
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

    def count_phases(self, wanted: bool = True) -> npt.NDArray[np.int64]:
        """Whether steps from now on count the cycles of each phase, which costs some per cent of a small step.

        Returns:
            (threads, `Phase.WIDTH`), which the steps add to; a thread that has no part in them adds nothing.
        """
        if self._laps is None:
            self._laps = aligned(self._threads * Phase.WIDTH, np.int64)
        self._point(laps=self._laps if wanted else None)
        return self._laps.reshape(self._threads, Phase.WIDTH)

    # teams

    def _team(self, rows: int, flops: int) -> int:
        return threads_for(flops, rows, self._threads)

    def _forward_team(self, rows: int, together: bool = True) -> int:
        return forward_threads(self.plan, self._large if together else [], rows, self._threads)

    def _step_team(self, data: Data) -> int:
        batch = min(data.batch_size, data.rows)
        flops, parameters = 3 * self.plan.flops_per_row * batch, self.state.theta.size
        return step_threads(flops, parameters, batch, self._threads)

    # buffers and data

    def _reserve(self, rows: int) -> None:
        """Buffers for a batch of `rows`; their addresses change only when they grow."""
        state = self.state
        state.reserve(rows)
        if self._workspace() is state.workspace:
            return
        losses = len(self.plan.losses)
        values, each = state.rows * (losses + len(self.plan.metrics)), padded(losses * state.rows)
        self._row_buffers = aligned(values + 2 * each, self.plan.dtype)
        self._row_weights = self._row_buffers[values + each :]
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
        weights = data.w or (None,) * len(data.y)
        self._bind_arrays((*data.X, *data.y, *weights), data.order, data.shares, data.rows, data.batch_size)
        self._row_weights[:] = 1
        self._data = weakref.ref(data)

    # calls

    def _instruction_calls(self) -> list[Addressed | None]:
        """`Slot.WIDTH` for each instruction."""
        calls: list[Addressed | None] = []
        for row in self.plan.instructions.tolist():
            slots: list[Addressed | None] = [None] * Slot.WIDTH
            kind = INSTRUCTIONS[Kind(row[Column.KIND])]
            several: list[tuple[Slot, Sequence[Call]]] = [
                (Slot.FORWARD, (kind.forward,) if kind.forward else ()),
                (Slot.INFERENCE, (inference,) if (inference := kind.inference or kind.forward) else ()),
                (Slot.BACKWARD, backward_calls(row)),
            ]
            if row[Column.KIND] in OWN_CODE:
                several = []
            several += [
                (Slot.FORWARD_COLUMNS, kind.forward_columns),
                (Slot.INFERENCE_COLUMNS, kind.inference_columns),
                (Slot.BACKWARD_COLUMNS, kind.backward_columns if row[Column.GRAD_DST] >= 0 else ()),
            ]
            for slot, its_calls in several:
                for number, call in enumerate(its_calls):
                    slots[slot + number] = self._call(row, call)
            calls += slots
        return calls

    def _call(self, row: list[int], call: Call) -> Addressed:
        operation = operation_of(row, call)
        arrays = self._arrays(row, call.arrays.split(), operation.arguments)
        places = [place(row, name) for name in call.arrays.split()]
        return Addressed(
            operation,
            arrays,
            max(where.width for where in places[:2]),
            place(row, "table").width if row[Column.KIND] == Kind.EMBEDDING else 0,
            scalars(self.plan, row, call, rows=1),
            flat=operation.family in ELEMENTWISE and all(where.whole == where.width for where in places),
            per_batch=call.scalars[:1] == (INVERSE_ROWS,),
        )

    def _gradient_calls(self) -> list[Addressed | None]:
        """One for each parameter, and each use of one: what sums a vector's gradient over the batch, without its
        result; None for a matrix, whose gradient is a product, and for what nobody wants."""
        return [self._gradient_call(row) for row in self.plan.parameters.tolist()]

    def _gradient_call(self, row: list[int]) -> Addressed | None:
        if row[ParameterEntry.INSTRUCTION] < 0:
            return None
        instruction = self.plan.instructions[row[ParameterEntry.INSTRUCTION]].tolist()
        if row[ParameterEntry.ROLE] in (Role.KERNEL, Role.TABLE) or instruction[Column.GRAD_DST] < 0:
            return None
        operation, names = gradient_of(row)
        arrays = self._arrays(instruction, names, operation.arguments[1:])
        columns = int(row[ParameterEntry.COLUMNS])
        return Addressed(operation, ((0, 0), *arrays), columns, 0, (), flat=False, per_batch=False)

    def _loss_calls(self) -> list[Addressed | None]:
        """The gradient of each loss and its values, then those of each metric; None for r2_score, which has sums
        alone."""
        plan, losses = self.plan, self.plan.losses.tolist()
        calls: list[Addressed | None] = []
        for number, loss in enumerate(losses):
            name, constant = LOSS_NAMES[loss[LossEntry.CODE]], loss[LossEntry.CONSTANT]
            for way in ("backward", "forward"):
                calls.append(self._loss_call(f"{name}_{way}", number, LossEntry.INPUT, number, constant))
        for number, metric in enumerate(plan.metrics.tolist(), len(losses)):
            name, constant = METRIC_NAMES[metric[MetricEntry.CODE]], metric[MetricEntry.CONSTANT]
            operation = name if name in ROW_METRICS else f"{name}_forward"
            of = metric[MetricEntry.LOSS]
            one = None
            if name != "r2_score":
                one = self._loss_call(operation, of, LossEntry.PREDICTION, number, constant)
            calls.append(one)
        return calls

    def _loss_call(self, operation: str, number: int, A: LossEntry, result: int, constant: int) -> Addressed:
        """An operation of the loss of a number, which reads predictions at A; `result`: which of the row values."""
        loss, row = self.plan.losses[number].tolist(), OPERATIONS[operation]
        width, targets, rows = loss[LossEntry.OUTPUTS], loss[LossEntry.TARGETS], self.state.rows

        def lies(entry: LossEntry, width: int = width) -> tuple[int, int]:
            return self._place(Place("rows", loss[entry], width, width))

        itemsize = self.plan.dtype.itemsize
        values, apart = int(self._row_buffers.ctypes.data), rows * itemsize
        scales = values + (len(self.plan.losses) + len(self.plan.metrics)) * apart + number * apart, 1
        gradient, target = lies(LossEntry.GRADIENT), lies(LossEntry.TARGET, targets)
        results = values + result * apart, 1
        places = {"Z": lies(LossEntry.INPUT), "P": lies(LossEntry.PROBABILITY), "A": lies(A)}
        places |= {"dA": gradient, "dZ": gradient, "Y": target, "y": target, "s": scales, "l": results, "r": results}
        arrays = tuple(places[argument.name] for argument in row.arguments)
        return Addressed(row, arrays, width, 0, self._spec(constant)[: len(row.scalars)], flat=False, per_batch=False)

    def _arrays(self, row: list[int], names: list[str], arguments: tuple[Argument, ...]) -> tuple[tuple[int, int], ...]:
        return tuple(self._place(place(row, name)) for name, _ in zip(names, arguments, strict=False))

    def _place(self, where: Place) -> tuple[int, int]:
        """The address of an array, and the elements between its rows."""
        state, plan = self.state, self.plan
        if where.vector == "rows":
            start = plan.fixed_elements + where.start * state.rows + where.offset
            apart, vector = padded(where.whole), state.workspace
        else:
            vectors = {"theta": state.theta, "statistics": state.statistics, "batch": state.workspace}
            start, apart, vector = where.start, 0, vectors[where.vector]
        return int(vector.ctypes.data) + start * vector.itemsize, apart


def nothing() -> None:
    """A reference to nothing."""
