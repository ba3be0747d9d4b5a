"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from .operations import Figures

if TYPE_CHECKING:
    from rich.table import Table


def of_operations(rows: Sequence[Figures]) -> Table:
    """A line for each, those of one operation and shape behind one another."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("operation", "shape", "dtype", "backend"):
        table.add_column(name, no_wrap=True)
    for name in ("threads", "median", "+-", "GFLOP/s", "GB/s", "of peak", "error, eps"):
        table.add_column(name, justify="right", no_wrap=True)
    first: dict[tuple[str, str, str], int] = {}
    for row in rows:
        first.setdefault((row.operation, row.shape, row.dtype), len(first))
    before = None
    for row in sorted(rows, key=lambda row: first[row.operation, row.shape, row.dtype]):
        case = row.operation, row.shape, row.dtype
        if before is not None and case != before:
            table.add_section()
        shown = ("", "", "") if case == before else case
        share = "-" if row.share is None else f"{row.share:.0%}"
        speed = f"{row.gflops:.1f}" if row.gflops else "-"
        spread = f"{row.spread / row.seconds:.0%}"
        cells = str(row.threads), duration(row.seconds), spread, speed, f"{row.gbytes:.1f}", share, f"{row.error:.2g}"
        table.add_row(*shown, row.backend, *cells)
        before = case
    return table


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def text(table: Table) -> str:
    """Its lines, as wide as they are, without colours."""
    from rich.console import Console

    stream = StringIO()
    Console(file=stream, width=500, no_color=True).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
