"""The steps of a plan as launches: which kernels, in which order, on which addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.instructions import (
    INSTRUCTIONS,
    Call,
    backward_calls,
    gradient_of,
    operation_of,
    place,
    scalars,
)
from ...core.losses import LOSS_NAMES, METRIC_NAMES, ROW_METRICS
from ...core.operations import OPERATIONS, Argument
from ...core.plan import (
    ACTIVATION_CODE,
    Clip,
    Column,
    InputEntry,
    Kind,
    LossEntry,
    MetricEntry,
    OptimizerEntry,
    ParameterEntry,
    Plan,
)
from ..passes import loss_scale, view_of
from .buffers import Buffers, ByRow, Totals
from .calls import Launch, Launcher, Lies, Steps
from .tables import Tables, penalty_table

Row = Sequence[int]


def _is_relu(row: Row) -> bool:
    return row[Column.KIND] == Kind.ACTIVATION and row[Column.CODE] == ACTIVATION_CODE["relu"]


def _is_clipped(row: Row, after: Row) -> bool:
    """Whether an instruction is a DENSE, and the next a relu in its place."""
    return (
        row[Column.KIND] == Kind.DENSE
        and _is_relu(after)
        and after[Column.SRC] == after[Column.DST] == row[Column.DST]
        and after[Column.OFFSET] == row[Column.OFFSET]
    )


def _is_sloped(row: Row, before: Row) -> bool:
    """Whether an instruction is a DENSE that makes a gradient, and the one before a relu that makes its own there, of
    all of its columns."""
    gradient = row[Column.GRAD_SRC]
    whole = before[Column.GRAD_OFFSET] == 0 and before[Column.INPUTS] == row[Column.INPUTS]
    makes_it = gradient >= 0 and before[Column.GRAD_SRC] == gradient and whole
    return row[Column.KIND] == Kind.DENSE and _is_relu(before) and makes_it


class Network:
    """Makes the launches of a plan's steps.

    Args:
        seed: of the state, which keys random numbers.
    """

    def __init__(
        self, plan: Plan, buffers: Buffers, tables: Tables, launcher: Launcher, totals: Totals, seed: int
    ) -> None:
        self._plan, self._buffers, self._tables, self._launcher = plan, buffers, tables, launcher
        self._totals, self._seed = totals, seed
        self._steps = tables.steps()

    # one operation

    def _operation(
        self,
        name: str,
        arrays: Sequence[Lies],
        sizes: dict[str, int],
        scalars: Sequence[float] = (),
        steps: Steps | None = None,
    ) -> list[Launch]:
        return self._launcher.operation(OPERATIONS[name], arrays, sizes, scalars, steps or self._steps)

    def _lies(self, row: Row, name: str, argument: Argument) -> Lies:
        where = place(row, name)
        if where.vector == "rows":
            return self._buffers.unit(where.start, where.whole, where.offset)
        return self._buffers.part(where.vector, where.start, where.width)

    def _sizes(self, row: Row, pairs: Sequence[tuple[str, Argument]], rows: int) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for name, argument in pairs:
            where = place(row, name)
            if where.vector == "rows":
                sizes[argument.dims[0]] = rows
            if argument.dims != "b":
                sizes[argument.dims[-1]] = where.width
        return sizes

    def _call(self, row: Row, call: Call, rows: int, relu: bool = False, clipped: Row | None = None) -> list[Launch]:
        """One operation of an instruction for a batch; of a DENSE's, a relu, or the slope of the relu before, too."""
        operation = operation_of(row, call)
        pairs = list(zip(call.arrays.split(), operation.arguments, strict=False))
        values: tuple[float, ...] = scalars(self._plan, row, call, rows)
        if row[Column.KIND] in (Kind.DROPOUT, Kind.RANDOM):
            values += self._seed, 0, int(row[Column.LAYER])
        arrays = [self._lies(row, name, argument) for name, argument in pairs]
        sizes = self._sizes(row, pairs, rows)
        if relu or clipped is not None:
            output = 0 if clipped is None else self._buffers.unit(clipped[Column.SAVED], clipped[Column.OUTPUTS])[0]
            return self._launcher.product(operation.family, arrays, sizes, relu, output)
        return self._launcher.operation(operation, arrays, sizes, values, self._steps)

    # parts of a step

    def gather(self, sources: Sequence[tuple[Lies, Lies, int]], order: int, rows: int) -> list[Launch]:
        """The rows of a step.

        Args:
            sources: of each array of the data: where it lies, where its rows are wanted, and its width.
        """
        launches: list[Launch] = []
        for source, batch, width in sources:
            launches += self._launcher.gather(
                batch, source, order, self._tables.address("firsts"), rows, width, self._steps
            )
        return launches

    def sources(
        self, inputs: Sequence[Lies], targets: Sequence[Lies], weights: Sequence[Lies | None]
    ) -> list[tuple[Lies, Lies, int]]:
        """What `gather` is given, from where inputs, targets and weights lie."""
        plan = self._plan
        pairs = [
            (lies, self.input(row), int(row[InputEntry.COLUMNS]))
            for lies, row in zip(inputs, plan.inputs.tolist(), strict=True)
        ]
        pairs += [
            (
                lies,
                self._buffers.unit(int(loss[LossEntry.TARGET]), int(loss[LossEntry.TARGETS])),
                int(loss[LossEntry.TARGETS]),
            )
            for lies, loss in zip(targets, plan.losses.tolist(), strict=False)
        ]
        return pairs + [(lies, self._weights(index), 1) for index, lies in enumerate(weights) if lies is not None]

    def input(self, row: Row) -> Lies:
        """Where the rows of an input are wanted."""
        return self._buffers.unit(int(row[InputEntry.UNIT]), int(row[InputEntry.WHOLE]), int(row[InputEntry.OFFSET]))

    def ones(self, numbers: Sequence[int]) -> list[Launch]:
        """Weights of 1: of the losses of those numbers, and those that no data have."""
        vectors = [self._weights(index) for index in numbers] + [self._buffers.by_row(ByRow.ONES)]
        return [
            launch
            for vector in vectors
            for launch in self._operation("fill", [vector], {"b": self._buffers.rows, "o": 1}, (1.0,))
        ]

    def _weights(self, index: int) -> Lies:
        return self._buffers.by_row(ByRow.WEIGHTS, index)

    def forward(self, rows: int, training: bool) -> list[Launch]:
        """The forward pass."""
        launches: list[Launch] = []
        rows_of_plan = self._plan.instructions.tolist()
        fused = -1
        for index, row in enumerate(rows_of_plan):
            if index == fused:
                continue
            after = rows_of_plan[index + 1] if index + 1 < len(rows_of_plan) else None
            if after is not None and _is_clipped(row, after):
                launches += self._call(row, INSTRUCTIONS[Kind.DENSE].forward, rows, relu=True)
                fused = index + 1
                continue
            kind = INSTRUCTIONS[Kind(row[Column.KIND])]
            if row[Column.KIND] == Kind.DROPOUT and not training:
                width = int(row[Column.OUTPUTS])
                if row[Column.SRC] != row[Column.DST]:
                    pair = [self._buffers.unit(int(row[column]), width) for column in (Column.DST, Column.SRC)]
                    launches += self._operation("copy", pair, {"b": rows, "o": width})
                continue
            for call in kind.forward_columns if training and kind.forward_columns else kind.inference_columns:
                launches += self._call(row, call, rows)
            whole = kind.forward if training or kind.inference is None else kind.inference
            if whole is not None:
                launches += self._call(row, whole, rows)
        return launches

    def losses(self, rows: int) -> list[Launch]:
        """The totals of losses, penalties and metrics."""
        plan, launches = self._plan, list[Launch]()
        for index, loss in enumerate(plan.losses.tolist()):
            name = LOSS_NAMES[loss[LossEntry.CODE]]
            values = self._buffers.by_row(ByRow.VALUES, index)
            launches += self._row_values(
                f"{name}_forward", loss, values, LossEntry.INPUT, rows, loss[LossEntry.CONSTANT]
            )
            launches += self._weighted(self._totals.losses[index], values, self._weights(index), rows)
        for index, (parameter, _, operation) in enumerate(self._totals.penalties, self._totals.first_penalty):
            view = view_of(plan.parameters[parameter])
            w = self._buffers.part("theta", view.start, 1)[0]
            total = self._tables.total(index)
            launches += self._launcher.parameter_sum(operation, total, w, view.stop - view.start, self._steps)
        for row, totals in zip(plan.metrics.tolist(), self._totals.metrics, strict=True):
            launches += self._metric(row, totals, rows)
        return launches

    def _row_values(
        self, operation: str, loss: Row, values: Lies, A: LossEntry, rows: int, constant: int
    ) -> list[Launch]:
        """A loss or a metric of each row, of predictions that lie at A."""
        row = OPERATIONS[operation]
        places = self._loss_places(loss, A) | {"l": values, "r": values}
        arrays = [places[argument.name] for argument in row.arguments]
        sizes = {"b": rows, "c": int(loss[LossEntry.OUTPUTS])}
        return self._operation(operation, arrays, sizes, self._spec(constant)[: len(row.scalars)])

    def _loss_places(self, loss: Row, A: LossEntry) -> dict[str, Lies]:
        width = int(loss[LossEntry.OUTPUTS])
        target = self._buffers.unit(int(loss[LossEntry.TARGET]), int(loss[LossEntry.TARGETS]))
        found = {"Y": target, "y": target}
        for name, entry in {"A": A, "Z": LossEntry.INPUT, "P": LossEntry.PROBABILITY}.items():
            found[name] = self._buffers.unit(int(loss[entry]), width)
        gradient = self._buffers.unit(int(loss[LossEntry.GRADIENT]), width)
        return found | {"dA": gradient, "dZ": gradient}

    def _spec(self, constant: int) -> tuple[float, ...]:
        return tuple(self._plan.constants[constant : constant + 3].tolist())

    def _weighted(self, index: int, values: Lies, weights: Lies, rows: int) -> list[Launch]:
        arrays = [(self._tables.total(index), 1), values, weights]
        return self._operation("weighted_sum", arrays, {"b": rows})

    def _metric(self, row: Row, totals: Sequence[int], rows: int) -> list[Launch]:
        loss = self._plan.losses[row[MetricEntry.LOSS]].tolist()
        ones = self._buffers.by_row(ByRow.ONES)
        weights = self._weights(int(row[MetricEntry.LOSS])) if row[MetricEntry.WEIGHTED] else ones
        name = METRIC_NAMES[row[MetricEntry.CODE]]
        values = self._buffers.by_row(ByRow.SCALES, int(row[MetricEntry.LOSS]))
        if name == "r2_score":
            places = self._loss_places(loss, LossEntry.PREDICTION)
            sums = self._buffers.sums.address + 8 * int(row[MetricEntry.SLOT]), 1
            arrays = [sums, places["A"], places["Y"], weights]
            return self._operation(
                name.replace("score", "sums"), arrays, {"b": rows, "c": int(loss[LossEntry.OUTPUTS])}
            )
        operation = name if name in ROW_METRICS else f"{name}_forward"
        launches = self._row_values(operation, loss, values, LossEntry.PREDICTION, rows, row[MetricEntry.CONSTANT])
        for index, (of, by) in zip(totals, ((values, weights), (weights, ones)), strict=False):
            launches += self._weighted(index, of, by, rows)
        return launches

    def backward(self, rows: int) -> list[Launch]:
        """The gradients of the losses and of every activation, then those of what is trainable."""
        plan, launches = self._plan, list[Launch]()
        for index, loss in enumerate(plan.losses.tolist()):
            name, outputs = LOSS_NAMES[loss[LossEntry.CODE]], int(loss[LossEntry.OUTPUTS])
            share = loss_scale(name, rows, outputs) * float(plan.constants[loss[LossEntry.WEIGHT]])
            scale = self._buffers.by_row(ByRow.SCALES, index)
            launches += self._operation("row_scale", [scale, self._weights(index)], {"b": rows}, (share,))
            row = OPERATIONS[f"{name}_backward"]
            places = self._loss_places(loss, LossEntry.INPUT) | {"s": scale}
            arrays = [places[argument.name] for argument in row.arguments]
            launches += self._operation(
                row.name, arrays, {"b": rows, "c": outputs}, self._spec(loss[LossEntry.CONSTANT])[: len(row.scalars)]
            )
        instructions = plan.instructions.tolist()
        fused = -1
        for index in reversed(range(len(instructions))):
            if index == fused:
                continue
            instruction, before = instructions[index], instructions[index - 1] if index else None
            if instruction[Column.GRAD_DST] >= 0:
                for call in INSTRUCTIONS[Kind(instruction[Column.KIND])].backward_columns:
                    launches += self._call(instruction, call, rows)
            clipped = before if before is not None and _is_sloped(instruction, before) else None
            for call in backward_calls(instruction):
                launches += self._call(instruction, call, rows, clipped=clipped)
            if clipped is not None:
                fused = index - 1
        for parameter in self._trainable():
            launches += self._parameter_gradient(parameter, rows)
        return launches

    def _trainable(self) -> Iterator[Row]:
        return (row for row in self._plan.parameters.tolist() if row[ParameterEntry.TRAINABLE])

    def _parameter_gradient(self, row: Row, rows: int) -> list[Launch]:
        """The gradient of a parameter, of all its uses, and of its penalty."""
        parameters = self._plan.parameters
        view = view_of(row)
        start, size, use = view.start, view.stop - view.start, int(row[ParameterEntry.NEXT])
        launches = self._use_gradient(row if use < 0 else parameters[use].tolist(), "gradient", start, size, rows)
        while use >= 0 and (use := int(parameters[use, ParameterEntry.NEXT])) >= 0:
            launches += self._use_gradient(parameters[use].tolist(), "addend", start, size, rows)
            whole = self._buffers.part("gradient", start, size)
            addend = self._buffers.part("addend", start, size)
            launches += self._operation("add", [whole, whole, addend], {"b": 1, "o": size})
        if row[ParameterEntry.PENALTY] >= 0:
            vectors = [self._buffers.part(vector, start, size) for vector in ("gradient", "theta")]
            shares = self._tables.steps(penalty_table(row))
            launches += self._operation("penalty_backward", vectors, {"p": size}, (), shares)
        return launches

    def _use_gradient(self, row: Row, into: str, start: int, size: int, rows: int) -> list[Launch]:
        """The gradient of a parameter by one instruction that uses it."""
        made = int(row[ParameterEntry.MADE])
        gradient = self._buffers.part(into, start, int(row[ParameterEntry.COLUMNS]))
        if made >= 0:
            return self._operation("copy", [gradient, self._buffers.part("batch", made, size)], {"b": 1, "o": size})
        instruction = self._plan.instructions[row[ParameterEntry.INSTRUCTION]].tolist()
        operation, names = gradient_of(row)
        out, *arguments = operation.arguments
        pairs = list(zip(names, arguments, strict=True))
        sizes = self._sizes(instruction, pairs, rows)
        launches: list[Launch] = []
        if out.updated:
            launches += self._operation("fill", [gradient], {"b": 1, "o": size}, (0.0,))
            sizes["d"] = int(row[ParameterEntry.COLUMNS])
        arrays = [gradient, *(self._lies(instruction, name, argument) for name, argument in pairs)]
        return launches + self._launcher.operation(operation, arrays, sizes, (), self._steps)

    def update(self) -> list[Launch]:
        """The gradient limited, then a step of the optimizer."""
        plan = self._plan
        name, launches = self._tables.optimizer, self._clip()
        weight_decay = float(plan.constants[plan.optimizer[OptimizerEntry.CONSTANT]])
        for row in self._trainable():
            view = view_of(row)
            start, size = view.start, view.stop - view.start
            theta = self._buffers.part("theta", start, size)
            if weight_decay != 0.0 and row[ParameterEntry.DECAY]:
                launches += self._operation("decay_step", [theta], {"p": size}, (), self._tables.steps("decays"))
            slots = [(memory.address + start * self._buffers.size, size) for memory in self._buffers.slots]
            arrays = [theta, *slots, self._buffers.part("gradient", start, size)]
            launches += self._operation(f"{name}_step", arrays, {"p": size})
        return launches

    def _clip(self) -> list[Launch]:
        plan, buffers, launches = self._plan, self._buffers, list[Launch]()
        clip = Clip(plan.optimizer[OptimizerEntry.CLIP])
        if clip == Clip.NONE:
            return launches
        limit = float(plan.constants[plan.optimizer[OptimizerEntry.CLIP_CONSTANT]])
        views = [view_of(row) for row in self._trainable()]
        parts = [(view.start, view.stop - view.start) for view in views]
        if clip == Clip.VALUE:
            return [
                launch
                for start, size in parts
                for launch in self._operation(
                    "clip_value", [buffers.part("gradient", start, size)], {"p": size}, (limit,)
                )
            ]
        always = self._tables.always(buffers.factor.address)
        for group in [parts] if clip == Clip.GLOBAL_NORM else [[part] for part in parts]:
            for start, size in group:
                g = buffers.part("gradient", start, size)[0]
                launches += self._launcher.parameter_sum("sum_squares", buffers.squares.address, g, size, always)
            launches += self._launcher.clip_factor(buffers.factor.address, buffers.squares.address, limit)
            for start, size in group:
                g_p = buffers.part("gradient", start, size)
                launches += self._operation("gradient_scale", [g_p], {"p": size}, (), always)
        return launches

    def advance(self) -> list[Launch]:
        """The step is done."""
        return self._launcher.advance(self._steps)
