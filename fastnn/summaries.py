"""The text of `Sequential.summary`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .layers import Layer, Shape


def text(name: str, layers: Sequence[Layer], shapes: Sequence[Shape]) -> str:
    """A table of layers; "?" stands for what the first X will fix.

    Args:
        name: the model's.
        layers: in order.
        shapes: of one row, what goes in and what comes out of each layer; [] before they are known.
    """
    rows = [("Layer (type)", "Output shape", "Parameters")]
    total = frozen = 0
    for index, layer in enumerate(layers):
        known = len(shapes) > index + 1
        sizes = [math.prod(shape) for _, shape, _ in layer.parameters(shapes[index])] if known else []
        total += sum(sizes)
        frozen += 0 if layer.trains else sum(sizes)
        shape = f"({', '.join(('None', *map(str, shapes[index + 1])))})" if known else "?"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, f"{sum(sizes):,}" if known else "?"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * (sum(widths) + 4)
    known = len(shapes) == len(layers) + 1
    itemsize = 8 if any(layer.dtype == "float64" for layer in layers if layer.parameters((1,))) else 4
    count = f"{total:,} ({_bytes(total * itemsize)})" if known else "? until the first data"
    counts = [f"Parameters: {count}"]
    if frozen:
        counts += [f"Trainable: {total - frozen:,}", f"Not trainable: {frozen:,}"]
    return "\n".join([f'Model "{name}"', rule, lines[0], rule, *lines[1:], rule, *counts])


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"
