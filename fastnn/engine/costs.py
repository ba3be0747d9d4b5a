"""What a pass of a plan costs: floating-point operations and bytes, counted from the operation table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.instructions import INSTRUCTIONS, backward_calls, gradient_of, operation_of, place
from ..core.losses import LOSS_NAMES
from ..core.operations import OPERATIONS, Argument, Operation
from ..core.plan import Column, Kind, LossEntry, ParameterEntry, Plan


@dataclass
class Cost:
    """Of a batch: flops, and bytes if every array is read or written once."""

    forward_flops: int = 0
    forward_bytes: int = 0
    backward_flops: int = 0
    backward_bytes: int = 0

    def add(self, operation: Operation, dims: dict[str, int], itemsize: int, backward: bool) -> None:
        """One more operation."""
        flops, moved = operation.flops(dims), operation.bytes(dims, itemsize)
        if backward:
            self.backward_flops += flops
            self.backward_bytes += moved
        else:
            self.forward_flops += flops
            self.forward_bytes += moved

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def by_call(plan: Plan, rows: int) -> dict[int, Cost]:
    """The cost of one batch, forward in training and backward, by the number of the call; that of the losses is -1.

    Args:
        plan: one with losses has a backward pass. rows: of the batch.
    """
    costs: dict[int, Cost] = {}
    itemsize = plan.dtype.itemsize
    for row in plan.instructions.tolist():
        cost, kind = costs.setdefault(row[Column.LAYER], Cost()), INSTRUCTIONS[Kind(row[Column.KIND])]
        forward = [*kind.forward_columns, *([kind.forward] if kind.forward else [])]
        backward = [*kind.backward_columns, *backward_calls(row)] if row[Column.GRAD_DST] >= 0 else []
        for calls, back in ((forward, False), (backward, True)):
            for call in calls:
                operation = operation_of(row, call)
                cost.add(operation, _dims(row, call.arrays.split(), operation.arguments, rows), itemsize, back)
    if not len(plan.losses):
        return costs
    for parameter in plan.parameters.tolist():
        if parameter[ParameterEntry.TRAINABLE] and parameter[ParameterEntry.MADE] < 0:
            row = plan.instructions[parameter[ParameterEntry.INSTRUCTION]].tolist()
            operation, names = gradient_of(parameter)
            dims = _dims(row, names, operation.arguments[1:], rows)
            shape = parameter[ParameterEntry.ROWS], parameter[ParameterEntry.COLUMNS]
            dims |= dict(zip(operation.arguments[0].dims, shape[-len(operation.arguments[0].dims) :], strict=True))
            costs[row[Column.LAYER]].add(operation, dims, itemsize, True)
    of_loss = costs.setdefault(-1, Cost())
    for loss in plan.losses.tolist():
        dims = {"b": rows, "c": loss[LossEntry.OUTPUTS]}
        name = LOSS_NAMES[loss[LossEntry.CODE]]
        of_loss.add(OPERATIONS[f"{name}_forward"], dims, itemsize, False)
        of_loss.add(OPERATIONS[f"{name}_backward"], dims, itemsize, True)
    return costs


def _dims(row: list[int], names: Sequence[str], arguments: Sequence[Argument], rows: int) -> dict[str, int]:
    """The dimensions of an operation of an instruction by their letters."""
    dims = {"b": rows}
    for name, argument in zip(names, arguments, strict=False):
        where = place(row, name)
        if argument.dims == "b":
            continue
        if len(argument.dims) == 2:
            deep = row[Column.TABLE if name == "table" else Column.INPUTS]
            dims[argument.dims[0]] = rows if where.vector == "rows" else deep
        dims[argument.dims[-1]] = where.width
    return dims


__all__ = ["Cost", "by_call"]
