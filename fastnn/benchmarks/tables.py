"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from . import figures
from .operations import Figures
from .processes import Found, count

if TYPE_CHECKING:
    from rich.table import Table


def _empty(texts: Sequence[str], numbers: Sequence[str], title: str | None = None) -> Table:
    """A table without lines, by the names of its columns."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for name in texts:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def of_operations(rows: Sequence[Figures]) -> Table:
    """A line for each, those of one operation and shape behind one another."""
    numbers = ("threads", "median", "+-", "GFLOP/s", "GB/s", "of peak", "error, eps")
    table = _empty(("operation", "shape", "dtype", "backend"), numbers)
    first: dict[tuple[str, str, str], int] = {}
    for row in rows:
        first.setdefault((row.operation, row.shape, row.dtype), len(first))
    before = None
    for row in sorted(rows, key=lambda row: first[row.operation, row.shape, row.dtype]):
        case = row.operation, row.shape, row.dtype
        if before is not None and case != before:
            table.add_section()
        shown = ("", "", "") if case == before else case
        share = "-" if row.share is None else f"{row.share:.0%}" if row.share <= 1 else "> 100%"
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
    runs = dict.fromkeys(f"{line['name']}: {line['runs']}" for line in found["libraries"])
    parts.append(f"They run on: {'; '.join(runs)}.")
    for threads, limits in found["limits"].items():
        team, peak, bandwidth = count(int(threads)), limits["peak"] / 1e9, limits["bandwidth"] / 1e9
        parts.append(f"The machine, {team}: {peak:.0f} GFLOP/s at most, {bandwidth:.0f} GB/s at this size.")
    parts += [f"- {reason}" for reason in found["missing"]]
    parts += ["; ".join([found["machine"], ", ".join(found["versions"])])]
    if found["variables"]:
        parts.append("with " + " ".join(f"{name}={value}" for name, value in found["variables"].items()))
    return "\n".join([*parts, f"Rounds: {found['rounds']}. Command: {found['command']}"])


def _libraries(found: Found) -> Table:
    title = f"{found['network']['name']}; start in s with warm and cold caches, memory and the plan's in MB"
    numbers = ("threads", "samples/s", "quartiles", "of floor", "warm", "cold", "memory", "plan", "loss")
    table = _empty([""], numbers, title)
    for line in found["libraries"]:
        share, cold, planned = line["floor_share"], line["start_cold"], line["predicted"]
        table.add_row(
            line["name"],
            str(line["threads"]),
            figures.digits(line["samples_per_second"]),
            f"{figures.digits(line['slow'])}-{figures.digits(line['fast'])}",
            "" if share is None else f"{share:.0%}",
            f"{line['start_warm']:.1f}",
            "" if cold is None else f"{cold:.1f}",
            f"{line['memory'] / 1e6:.1f}",
            "" if planned is None else f"{planned / 1e6:.1f}",
            f"{line['loss']:.3f}",
        )
    return table


def _ratios(found: Found) -> Table:
    rivals = list(dict.fromkeys(name for line in found["libraries"] for name in line["ratios"]))
    title = "times as fast as: the median of the rounds (smallest to largest)"
    table = _empty([""], ["threads", *rivals], title)
    for line in found["libraries"]:
        if line["own"]:
            given = [line["ratios"].get(name) for name in rivals]
            cells = ["-" if r is None else "{} ({}-{})".format(*map(figures.times, r)) for r in given]
            table.add_row(line["name"], str(line["threads"]), *cells)
    return table


def _phases(phases: Sequence[Found]) -> Table:
    title = "a step by phases, of its time; the sum of the parts beside the time by the wall"
    names = list(phases[0]["phases"]) if phases else []
    table = _empty([""], ["cores", "threads", *names, "sum", "a step", "without counting"], title)
    for one in phases:
        whole = sum(one["phases"].values())
        shares = [f"{part / whole:.1%}" for part in one["phases"].values()]
        times = f"{whole / one['counted']:.1%}", duration(one["counted"]), duration(one["plain"])
        table.add_row(one["name"], str(one["team"]), str(one["threads"]), *shares, *times)
    return table
