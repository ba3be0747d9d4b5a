"""The text of `Sequential.summary`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..layers import Layer, Shape


def text(name: str, layers: Sequence[Layer], shapes: Sequence[Shape]) -> str:
    """A table of layers; "?" stands for what the first X will fix.

    Args:
        name: the model's.
        layers: in order.
        shapes: of one row, what goes in and what comes out of each layer; [] before they are known.
    """
    rows = [("Layer (type)", "Output shape", "Parameters")]
    total = trained = 0
    for index, layer in enumerate(layers):
        known = len(shapes) > index + 1
        sizes = [math.prod(shape) for shape in layer.parameter_shapes(shapes[index])] if known else []
        weights = layer.parameters() if known else []
        size = sum(sizes)
        total += size
        if layer.trains:
            trained += sum(n for n, weight in zip(sizes, weights, strict=True) if not weight.statistic)
        shape = f"({', '.join(('None', *map(str, shapes[index + 1])))})" if known else "?"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, f"{size:,}" if known else "?"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * (sum(widths) + 4)
    itemsize = 8 if any(layer.dtype == "float64" for layer in layers if layer.parameters()) else 4
    counts = ["Total params: ? until the first data"]
    if len(shapes) == len(layers) + 1:
        parts = {"Total": total, "Trainable": trained, "Non-trainable": total - trained}
        counts = [f"{part} params: {count:,} ({_bytes(count * itemsize)})" for part, count in parts.items()]
    return "\n".join([f'Model "{name}"', rule, lines[0], rule, *lines[1:], rule, *counts])


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"
