"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from . import figures
from .operations import Figures
from .processes import Found

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


def of_comparison(found: Found) -> str:
    """What a comparison found, for a terminal."""
    parts = [found["answer"], "", text(_libraries(found))]
    parts += [text(_ratios(found))] if any(line["ratios"] for line in found["libraries"]) else []
    if "phases" in found:
        parts.append(text(_phases(found["phases"])))
    parts += [found["bits"]["text"] + "."]
    for threads, limits in found["limits"].items():
        peak, bandwidth = limits["peak"] / 1e9, limits["bandwidth"] / 1e9
        team = f"{threads} thread{'' if threads == '1' else 's'}"
        parts.append(f"The machine, {team}: {peak:.0f} GFLOP/s at most, {bandwidth:.0f} GB/s at this size.")
    parts += [f"- {reason}" for reason in found["missing"]]
    parts += ["; ".join([found["machine"], ", ".join(found["versions"])])]
    if found["variables"]:
        parts.append("with " + " ".join(f"{name}={value}" for name, value in found["variables"].items()))
    rounds = f"{found['rounds']} round{'' if found['rounds'] == 1 else 's'}"
    return "\n".join([*parts, f"{rounds}. Command: {found['command']}"])


def _libraries(found: Found) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=found["network"]["name"], title_justify="left")
    for name in ("library", "threads", "samples/s", "quartiles", "of the floor", "start, warm", "cold"):
        table.add_column(name, justify="left" if name == "library" else "right", no_wrap=True)
    for name in ("memory, MB", "plan, MB", "first loss", "runs on"):
        table.add_column(name, justify="left" if name == "runs on" else "right", no_wrap=True)
    for line in found["libraries"]:
        share = "" if line["floor_share"] is None else f"{line['floor_share']:.0%}"
        cold = "" if line["start_cold"] is None else f"{line['start_cold']:.1f} s"
        planned = "" if line["predicted"] is None else f"{line['predicted'] / 1e6:.1f}"
        table.add_row(
            line["name"],
            str(line["threads"]),
            figures.digits(line["samples_per_second"]),
            f"{figures.digits(line['slow'])} to {figures.digits(line['fast'])}",
            *(share, f"{line['start_warm']:.1f} s", cold, f"{line['memory'] / 1e6:.1f}", planned),
            *(f"{line['loss']:.3f}", line["runs"]),
        )
    return table


def _ratios(found: Found) -> Table:
    from rich import box
    from rich.table import Table

    rivals = list(dict.fromkeys(name for line in found["libraries"] for name in line["ratios"]))
    title = "times as fast as: the median of the rounds (smallest to largest)"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for name in ("", "threads", *rivals):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for line in found["libraries"]:
        if line["own"]:
            given = [line["ratios"].get(name) for name in rivals]
            cells = ["-" if r is None else f"{r[0]:.2f} ({r[1]:.2f} to {r[2]:.2f})" for r in given]
            table.add_row(line["name"], str(line["threads"]), *cells)
    return table


def _phases(phases: Sequence[Found]) -> Table:
    from rich import box
    from rich.table import Table

    title = "a step by phases, of its time; the sum of the parts beside the time by the wall"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    names = list(phases[0]["phases"]) if phases else []
    for name in ("", "threads", *names, "sum", "a step", "without counting"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for one in phases:
        whole = sum(one["phases"].values())
        shares = [f"{part / whole:.1%}" for part in one["phases"].values()]
        times = f"{whole / one['counted']:.1%}", duration(one["counted"]), duration(one["plain"])
        table.add_row(one["name"], str(one["threads"]), *shares, *times)
    return table
