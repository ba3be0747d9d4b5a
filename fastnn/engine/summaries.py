"""The text of `Sequential.summary`, and the table that a notebook shows of a model."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..core.plan import ParameterEntry
from ..core.symbolic import Function, Tensor
from ..core.tables import as_html, as_text
from ..errors import NotBuiltError
from .graph import Flat, Graph

if TYPE_CHECKING:
    from .costs import Cost

_HEADINGS = ("Layer (type)", "Output shape", "Parameters")
_COSTS = ("Forward flops", "Backward flops", "Forward bytes", "Backward bytes")
_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Summarized(Protocol):
    """What a summary asks of a model."""

    name: str
    kind: str

    @property
    def built(self) -> bool:
        """Whether the input shape is known."""

    @property
    def dtype(self) -> str:
        """Of the weights."""

    @property
    def traces(self) -> bool:
        """Whether it is a subclass, whose layers are listed without their sources."""

    @property
    def listed(self) -> list[Any]:
        """What the table lists, in order."""

    def leaves(self) -> list[Any]:
        """The layers in order, those of models in it too."""

    def layer_graph(self) -> Graph:
        """The calls between inputs and outputs."""

    def flat_graph(self) -> Flat:
        """The graph with the models in it taken apart."""

    def engine(self) -> Any:
        """The plan and state."""


def text(model: Summarized, costs: int = 0) -> str:
    """A table of layers, with what each is called on where that is not the one before; "?" stands for what the first X
    will fix.

    Args:
        costs: rows of a batch whose costs are told; 0 for none.
    """
    headings, rows = _table(model)
    counts = _counts(model)
    numbers = {2}
    if costs:
        more, said = _costs(model, costs)
        headings, rows = [*headings, *_COSTS], [[*row, *cells] for row, cells in zip(rows, more, strict=True)]
        numbers |= set(range(len(headings) - len(_COSTS), len(headings)))
        counts += said
    head, *lines = as_text([headings, *rows], left=set(range(len(headings))) - numbers)
    rule = "-" * max(map(len, (head, *lines)))
    return "\n".join([f'Model "{model.name}"', rule, head, rule, *lines, rule, *counts])


def page(model: Summarized) -> str:
    """The same as HTML."""
    headings, rows = _table(model)
    name, counts = html.escape(model.name), "<br>".join(map(html.escape, _counts(model)))
    return f"<p>{model.kind} <b>{name}</b></p>{as_html(headings, rows)}<p>{counts}</p>"


def _table(model: Summarized) -> tuple[list[str], list[list[str]]]:
    known, chain = model.built, model.kind == "Sequential" or model.traces
    nodes = {id(node.operator): node for node in reversed(model.layer_graph().nodes)} if known else {}
    rows = []
    for operator in model.listed:
        node = nodes.get(id(operator))
        kind = operator.function if isinstance(operator, Function) else type(operator).__name__
        made = node.outputs if node else _made(operator)
        shape = ", ".join(_shape(tensor) for tensor in made) or "?"
        used = known and bool(made)
        sizes = counted(_leaves(operator)) if used else (0, 0)
        sources = ", ".join(dict.fromkeys(tensor.name for tensor in node.inputs)) if node else ""
        row = [f"{operator.name} ({kind})", shape, f"{sizes[0]:,}" if used else "?"]
        rows.append(row if chain else [*row, sources])
    return [*_HEADINGS, *([] if chain else ["Connected to"])], rows


def _made(operator: Any) -> Sequence[Tensor]:
    """What a layer gave that composes others, and is not in the graph itself; nothing of one that was not called."""
    try:
        return [operator.output]
    except NotBuiltError:
        return []


def _counts(model: Summarized) -> list[str]:
    if not model.built:
        return ["Total params: ? until the first data"]
    itemsize, (total, trained) = (8 if model.dtype == "float64" else 4), counted(model.leaves())
    parts = {"Total": total, "Trainable": trained, "Non-trainable": total - trained}
    return [f"{part} params: {count:,} ({_bytes(count * itemsize)})" for part, count in parts.items()]


def _costs(model: Summarized, batch: int) -> tuple[list[list[str]], list[str]]:
    """What each layer costs, as cells, and lines that sum it up."""
    from .costs import Cost, by_call

    plan, calls = model.engine().plan, model.flat_graph().calls
    found = by_call(plan, batch)
    of_name: dict[str, Cost] = {}
    for number, call in enumerate(calls):
        name = call.label.partition("/")[0]
        of_name[name] = of_name.get(name, Cost()) + found.get(number, Cost())
    total = sum(found.values(), Cost())
    labels = model.flat_graph().labels
    cells = []
    for operator in model.listed:
        leaves = [labels[leaf] for leaf in _leaves(operator) if leaf in labels]
        names = dict.fromkeys(label.partition("/")[0] for label in leaves or [operator.name])
        cells.append(_cells(sum((of_name.get(name, Cost()) for name in names), Cost())))
    flops, moved = _short(total.forward_flops), _bytes(total.forward_bytes)
    said = [f"A batch of {batch:,} rows, forward: {flops} flops, {moved} read and written"]
    if not len(plan.losses):
        return cells, [*said, "Backward: compile the model with a loss to see it"]
    trained = plan.parameters[plan.parameters[:, ParameterEntry.TRAINABLE] == 1]
    count = int((trained[:, ParameterEntry.ROWS] * trained[:, ParameterEntry.COLUMNS]).sum())
    said.append(f"Backward: {_short(total.backward_flops)} flops, {_bytes(total.backward_bytes)} read and written")
    passes = (total.forward_flops + total.backward_flops) / max(1, total.forward_flops)
    said.append(f"A gradient costs {passes:.1f} forward passes; by finite differences it would take {count + 1:,}")
    return cells, said


def _cells(cost: Cost) -> list[str]:
    flops = [_short(cost.forward_flops), _short(cost.backward_flops)]
    return [*flops, _bytes(cost.forward_bytes), _bytes(cost.backward_bytes)]


def counted(layers: Any) -> tuple[int, int]:
    """How many numbers the parameters of layers hold, and how many of those are trained."""
    total = trained = 0
    for layer in layers:
        for shape, weight in zip(layer.shapes(), layer.parameters(), strict=True):
            size = math.prod(shape)
            total += size
            trained += size if layer.trains and not weight.statistic else 0
    return total, trained


def _leaves(operator: Any) -> list[Any]:
    """The layers that an operator is, of a model those in it; a function has none."""
    if hasattr(operator, "leaves"):
        return list(operator.leaves())
    return [operator] if hasattr(operator, "parameters") else []


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(('None', *map(str, tensor.row)))})"


def _short(count: int) -> str:
    """A count with three digits and a unit."""
    for size, letter in _UNITS:
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    if count < 1024**2:
        return f"{count / 1024:.1f} KiB"
    return f"{count / 1024**2:.1f} MiB" if count < 1024**3 else f"{count / 1024**3:.1f} GiB"
