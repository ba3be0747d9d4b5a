"""Times to ratios, shares and Markdown tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .networks import Network
from .processes import ITEMSIZE, Found, Library


class Spread(NamedTuple):
    """The smallest and the median of some times, in seconds."""

    best: float
    median: float


def spread(seconds: Sequence[float]) -> Spread:
    """Of the times of all rounds together."""
    return Spread(min(seconds), statistics.median(seconds))


def pooled(runs: Sequence[Found], name: str) -> Spread | None:
    """Of the times that all rounds give by a name; None where there are none."""
    seconds = [value for run in runs for value in run[name]]
    return spread(seconds) if seconds else None


class Result(NamedTuple):
    """Of one library on one network: seconds of an epoch and of the first use, the mean loss of the first epoch."""

    epoch: Spread
    first: float
    loss: float


def summary(runs: list[Found]) -> Result:
    """All epochs of all rounds together."""
    epoch = spread([seconds for run in runs for seconds in run["epochs"]])
    first = max(0.0, statistics.median(run["first"] for run in runs) - epoch.median)
    return Result(epoch, first, statistics.median(run["loss"] for run in runs))


def floor(network: Network, slots: int, limits: list[Found], dtype: str = "float32") -> float | None:
    """The fewest seconds that an epoch can take, by the best peak and bandwidth of all rounds; None without them."""
    if not limits:
        return None
    peak = max(found["peak"] for found in limits)
    bandwidth = max(found["bandwidth"][str(network.parameters)] for found in limits)
    moved = 2 * (1 + slots) * network.parameters * ITEMSIZE[dtype]
    return float(network.rows / network.batch * (network.step_flops / peak + moved / bandwidth))


def best_cells(columns: Sequence[Library], times: Mapping[str, Spread | None]) -> list[str]:
    """The ratio of each of fastnn's backends to the best peer; nothing where there is no peer."""
    rivals = [times.get(c.name) for c in columns if not c.own]
    return [ratio(times.get(c.name), rivals) for c in columns if c.own and rivals]


def best_heads(columns: Sequence[Library]) -> list[str]:
    """The heads of `best_cells`."""
    own, rivals = [c for c in columns if c.own], [c for c in columns if not c.own]
    return [f"{c.name} / best peer, best (median)" for c in own if rivals]


def share_cells(columns: Sequence[Library], times: Mapping[str, Spread | None], least: float | None) -> list[str]:
    """How much of the fewest possible seconds each of fastnn's backends reaches; None: they are not known."""
    mine = [times.get(c.name) for c in columns if c.own]
    return [f"{least / spread.best:.0%}" if least and spread else "-" for spread in mine]


def ratio(mine: Spread | None, rivals: Sequence[Spread | None]) -> str:
    """How many times as fast as the best rival: by the best time, and in brackets by the median."""
    there = [rival for rival in rivals if rival]
    if mine is None or not there:
        return "-"
    best, median = min(r.best for r in there) / mine.best, min(r.median for r in there) / mine.median
    return f"{best:.2f} ({median:.2f})"


def threads_gain(one: Spread | None, more: Spread | None) -> str:
    """How many times as fast more threads are, by medians; marked where they lose over 3 %."""
    if one is None or more is None:
        return "-"
    gain = one.median / more.median
    return f"{gain:.2f}" + (" (slower)" if gain < 0.97 else "")


def ranked(lines: Sequence[Found], threads: int) -> list[Found]:
    """The lines of a comparison with so many threads, the fastest first."""
    some = [line for line in lines if line["threads"] == threads]
    return sorted(some, key=lambda line: float(line["samples_per_second"]), reverse=True)


def times(ratio: float) -> str:
    """A ratio: hundredths, whole numbers from 100 on."""
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}"


def digits(value: float) -> str:
    """Three digits; thousands as k from 10,000 on."""
    if not math.isfinite(value):
        return "-"
    rounded = float(f"{value:.3g}")
    return f"{rounded / 1000:,.6g}k" if rounded >= 10_000 else f"{rounded:,.6g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
