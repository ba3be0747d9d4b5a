"""Charts of a comparison as SVG for a page: drawn by matplotlib, in the page's own ink, readable without colour."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from .figures import digits, ranked, times
from .processes import Found, count

WIDTH = 4.9  # inches of every chart: a phone shrinks them little, and two stand beside each other on a screen
INK, PAPER = "#010203", "#fdfcfb"  # what stand for the page's colours of text and ground, which the browser knows
# On light and on dark paper; each has a mark and a line of its own, too.
COLOURS = ("#2f7fc1", "#d0691e", "#3d9a55", "#9a66c9", "#8a8a3a", "#777f88")
MARKS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "--")


Chart = TypeVar("Chart", bound=Callable[..., str])


def _styled(chart: Chart) -> Chart:
    """Draws in the page's style, whatever the user's own is."""

    @wraps(chart)
    def drawn(*given: Any) -> str:
        from matplotlib import rc_context, rcParamsDefault

        style = dict(rcParamsDefault) | {"font.size": 11, "svg.fonttype": "path", "hatch.linewidth": 0.6}
        style |= {"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": chart.__name__}
        inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        with rc_context(style | dict.fromkeys(inks, INK)):
            return chart(*given)

    return cast(Chart, drawn)


def _axes(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Any, title: str) -> str:
    """The element, with a title that a screen reader says."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(
        r'<svg ([^>]*?)width="[^"]+" height="[^"]+"', rf'<svg \1role="img" aria-label="{title}"', text, count=1
    )
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Names of clips and glyphs hold on the whole page.
    own = re.sub(r"\W", "", title)
    text = re.sub(r'id="([^"]+)"', rf'id="{own}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}-", text)
    return text.replace(INK, "currentColor").replace(PAPER, "var(--paper)")


@_styled
def speeds(lines: Sequence[Found], threads: int) -> str:
    """How fast each library trains, as bars from 0, with the quartiles."""
    shown = ranked(lines, threads)
    figure, axes = _axes(0.7 + 0.42 * len(shown))
    for place, line in enumerate(shown):
        value, own = line["samples_per_second"], line["own"]
        error = [[value - min(line["slow"], value)], [max(line["fast"], value) - value]]
        axes.barh(
            place,
            value,
            color=COLOURS[0] if own else COLOURS[5],
            hatch="" if own else "////",
            edgecolor=INK,
            linewidth=0.6,
            xerr=error,
            ecolor=INK,
            capsize=3,
        )
        axes.text(max(line["fast"], value), place, f"  {digits(value)}", va="center", ha="left")
    axes.set_yticks(range(len(shown)), [line["name"] for line in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(max(line["fast"], line["samples_per_second"]) for line in shown))
    _plain(axes, "x")
    axes.set_xlabel("samples a second")
    return _svg(figure, f"Samples a second, threads: {threads}")


@_styled
def trainings(comparisons: Sequence[Found]) -> str:
    """Networks beside each other: how fast the fastest backend and each peer train them, with the most threads."""
    from matplotlib.figure import Figure

    shown = [_fastest(found) for found in comparisons]
    rows = max(map(len, shown))
    figure = Figure(figsize=(2 * WIDTH, 1.0 + 0.3 * rows), layout="constrained")
    for axes, found, lines in zip(figure.subplots(1, len(shown), squeeze=False)[0], comparisons, shown, strict=True):
        top = lines[0]["samples_per_second"]
        for place, line in enumerate(lines):
            value, own = line["samples_per_second"], line["own"]
            axes.barh(place, value, 0.72, color=COLOURS[0] if own else COLOURS[5])
            axes.text(value + 0.03 * top, place, digits(value), va="center", fontweight="bold" if own else "normal")
        axes.set_yticks(range(len(lines)), ["fastnn" if line["own"] else line["name"] for line in lines])
        axes.set_ylim(rows - 0.4, -0.6)
        axes.set_xlim(0, 1.4 * top)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        widths, batch = "-".join(map(str, found["network"]["widths"])), found["network"]["batch"]
        axes.set_title(f"{widths}\n{batch:,} rows a batch", fontsize=11, loc="left")
    rough = ", on a busy machine: rough" if any(found["busy"] for found in comparisons) else ""
    figure.supxlabel(f"samples a second in training, {count(shown[0][0]['threads'])}{rough}", fontsize=11)
    return _svg(figure, "Samples a second in training")


def _fastest(found: Found) -> list[Found]:
    """The lines with the most threads, the fastest first, and of fastnn's the fastest alone."""
    lines = ranked(found["libraries"], max(line["threads"] for line in found["libraries"]))
    mine = next((line for line in lines if line["own"]), None)
    return [line for line in lines if not line["own"] or line is mine]


@_styled
def ratios(lines: Sequence[Found], threads: int) -> str:
    """How many times as fast as each peer fastnn is, as bars from 1, on a logarithmic axis."""
    own = [line for line in lines if line["own"] and line["threads"] == threads and line["ratios"]]
    rivals = sorted(dict.fromkeys(name for line in own for name in line["ratios"]), key=lambda name: _least(own, name))
    figure, axes = _axes(0.9 + 0.36 * len(rivals) * (len(own) + 0.5))
    thick, most = 0.8 / len(own), 1.0
    for number, line in enumerate(own):
        for place, name in enumerate(rivals):
            if name not in line["ratios"]:
                continue
            ratio, low, high = line["ratios"][name]
            at, most = place + (number - (len(own) - 1) / 2) * thick, max(most, high)
            label = line["name"] if place == 0 else None
            axes.barh(
                at,
                ratio - 1,
                thick * 0.9,
                left=1,
                color=COLOURS[number],
                hatch=HATCHES[number],
                edgecolor=INK,
                linewidth=0.6,
                xerr=[[ratio - low], [high - ratio]],
                ecolor=INK,
                capsize=2,
                label=label,
            )
            axes.text(max(high, 1.0), at, f"  {times(ratio)}", va="center", ha="left")
    axes.axvline(1, color=INK, linewidth=1.2)
    axes.set_xscale("log")
    lows = [line["ratios"][name][1] for line in own for name in rivals if name in line["ratios"]]
    axes.set_xlim(min(0.7, 0.8 * min(lows)), most * most**0.3 * 1.5)
    _ticks(axes, (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
    axes.set_yticks(range(len(rivals)), rivals)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as")
    figure.legend(loc="outside upper left", ncols=len(own), frameon=False, handlelength=1.6)
    return _svg(figure, f"Times as fast, threads: {threads}")


def _least(lines: Sequence[Found], name: str) -> float:
    return float(min(line["ratios"][name][0] for line in lines if name in line["ratios"]))


def _ticks(axes: Any, values: Sequence[float]) -> None:
    low, high = axes.get_xlim()
    shown = [value for value in values if low <= value <= high]
    while len(shown) > 7:
        shown = [value for value in shown if value == 1 or value not in shown[1::2]]
    axes.set_xticks(shown, [f"{value:g}" for value in shown])
    axes.set_xticks([], minor=True)


def _plain(axes: Any, which: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    if axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(5))


def short(value: float) -> str:
    """A number of an axis: 0.5, 20k, 3M."""
    for letter, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


@_styled
def curves(series: Mapping[str, Sequence[float]], places: Sequence[str], label: str, title: str) -> str:
    """Samples a second of several libraries over a row of networks."""
    figure, axes = _axes(3.4)
    for number, (name, values) in enumerate(series.items()):
        axes.plot(
            range(len(values)),
            values,
            color=COLOURS[number if name.startswith("fastnn") else 2],
            marker=MARKS[number],
            linestyle=DASHES[number],
            label=name,
            markersize=6,
        )
    axes.set_yscale("log")
    _plain(axes, "y")
    axes.set_xticks(range(len(places)), places)
    axes.set_xlabel(label)
    axes.set_ylabel("samples a second")
    axes.grid(color=INK, alpha=0.15)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, columnspacing=1.2, handletextpad=0.4)
    return _svg(figure, title)


@_styled
def phases(rows: Sequence[Found]) -> str:
    """A step of each backend, one bar of its phases."""
    figure, axes = _axes(1.3 + 0.6 * len(rows))
    names = list(rows[0]["phases"])
    for place, row in enumerate(rows):
        whole, left = sum(row["phases"].values()), 0.0
        for number, name in enumerate(names):
            part = 100 * row["phases"][name] / whole
            label = name if place == 0 else None
            axes.barh(
                place,
                part,
                0.62,
                left=left,
                color=COLOURS[number],
                hatch=HATCHES[number],
                edgecolor=PAPER,
                linewidth=0.8,
                label=label,
            )
            if part >= 9:
                box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
                axes.text(left + part / 2, place, f"{part:.0f}", va="center", ha="center", bbox=box)
            left += part
    axes.set_yticks(
        range(len(rows)), [f"{row['name']}\n{row['team']} core{'s' if row['team'] > 1 else ''}" for row in rows]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of a training step")
    figure.legend(loc="outside upper left", ncols=3, frameon=False, columnspacing=1.2, handletextpad=0.5)
    return _svg(figure, "Phases of a training step")


def _name(axes: Any, text: str, point: Sequence[float], place: tuple[int, int], aligned: str) -> None:
    """Names a point, so many typographic points beside it, on ground of its own."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
    line = {"arrowstyle": "-", "color": INK, "linewidth": 0.7}
    where = {"xytext": place, "textcoords": "offset points", "ha": aligned, "fontsize": 9}
    axes.annotate(text, point, bbox=box, arrowprops=line, zorder=5, **where)


# Which operations of the table have a mark of their own, by how their names begin or end; one that is named, and where
# its name stands, apart from the others'.
_KINDS = {
    "products": (("gemm_", "dense_"), "gemm_nn", (-4, -44), "center"),
    "activations and softmax": (("_forward", "_backward"), "softmax_forward", (22, -42), "left"),
    "optimizers": (("_step",), "adam_step", (0, -58), "center"),
    "others": (("",), "", (0, 0), "center"),
}


def kind_of(operation: str) -> str:
    """One of `_KINDS`."""
    tests = ((kind, words) for kind, (words, *_) in _KINDS.items())
    return next(
        kind for kind, words in tests if any(operation.startswith(word) or operation.endswith(word) for word in words)
    )


@_styled
def roofline(operations: Mapping[str, Sequence[float]], roof: Found, name: str) -> str:
    """Every operation by its flops for a byte and what it reaches, below the roof of the machine."""
    figure, axes = _axes(3.9)
    peak = roof["peak"]
    intensities = [place for place, _ in operations.values()]
    low, high = 0.6 * min(intensities), 2.5 * max(intensities)
    for bandwidth, dashes, right in ((roof["cache"], "-", True), (roof["memory"], "--", False)):
        ridge = peak / bandwidth
        axes.plot([low, ridge, high], [low * bandwidth, peak, peak], color=INK, linewidth=1.3, linestyle=dashes)
        beside, side = ((-6, 4), "right") if right else ((8, -10), "left")
        middle = ridge / 3
        point = middle, middle * bandwidth
        axes.annotate(f"{bandwidth:.0f} GB/s", point, xytext=beside, textcoords="offset points", ha=side)
    corner = peak / roof["cache"], peak
    axes.annotate(f"{peak:.0f} GFLOP/s", corner, xytext=(0, 5), textcoords="offset points")
    for number, (kind, (_, named, place, aligned)) in enumerate(_KINDS.items()):
        points = [point for operation, point in operations.items() if kind_of(operation) == kind]
        if points:
            axes.scatter(
                *zip(*points, strict=True),
                marker=MARKS[number],
                s=26,
                facecolors=COLOURS[number] if number % 2 == 0 else "none",
                edgecolors=COLOURS[number],
                linewidths=1.1,
                label=kind,
            )
        if named in operations:
            _name(axes, named, operations[named], place, aligned)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    _plain(axes, "x")
    _plain(axes, "y")
    axes.set_xlabel("flops for each byte that is moved")
    axes.set_ylabel("GFLOP/s")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, columnspacing=1.2, handletextpad=0.2)
    return _svg(figure, f"Roofline of {name}")
