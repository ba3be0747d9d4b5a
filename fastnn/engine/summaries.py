"""The text of `Sequential.summary`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..core.symbolic import Function, Tensor

if TYPE_CHECKING:
    from .network import Network


def text(model: Network) -> str:
    """A table of layers, with what each is called on where that is not the one before; "?" stands for what the first X
    will fix."""
    known, chain = model.built, model.kind == "Sequential"
    rows = [("Layer (type)", "Output shape", "Parameters", "Connected to")]
    nodes = {id(node.operator): node for node in reversed(model.graph().nodes)} if known else {}
    for operator in model.operators:
        node = nodes.get(id(operator))
        kind = operator.function if isinstance(operator, Function) else type(operator).__name__
        made = node.outputs if node else [operator.output] if known else []  # of a stack, a layer that composes others
        shape = ", ".join(_shape(tensor) for tensor in made) or "?"
        sizes = counted(_leaves(operator)) if known else (0, 0)
        sources = ", ".join(dict.fromkeys(tensor.name for tensor in node.inputs)) if node else ""
        rows.append((f"{operator.name} ({kind})", shape, f"{sizes[0]:,}" if known else "?", "" if chain else sources))
    columns = 3 if chain else 4
    widths = [max(len(row[column]) for row in rows) for column in range(columns)]
    lines = []
    for a, b, c, d in rows:
        line = f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}"
        lines.append(line if chain else f"{line}  {d}".rstrip())
    rule = "-" * (sum(widths) + 2 * (columns - 1))
    counts = ["Total params: ? until the first data"]
    if known:
        itemsize, (total, trained) = (8 if model.dtype == "float64" else 4), counted(model.leaves())
        parts = {"Total": total, "Trainable": trained, "Non-trainable": total - trained}
        counts = [f"{part} params: {count:,} ({_bytes(count * itemsize)})" for part, count in parts.items()]
    return "\n".join([f'Model "{model.name}"', rule, lines[0], rule, *lines[1:], rule, *counts])


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


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"
