"""A comparison as one self-contained page: no network, light and dark, for a screen and for a phone."""

from __future__ import annotations

import html
from collections.abc import Sequence

from . import charts
from .figures import digits
from .processes import Found, count
from .tables import duration

_STYLE = """\
:root { color-scheme: light dark; --paper: #fdfcfb; --ink: #1c1e21; --soft: #5b6068; --line: #d9d9d6; --card: #f3f2ef }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e8e6e3; --soft: #a3a8b0; --line: #3a3e44; --card: #1f2226 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .4rem 0 }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
.answer { font-size: 1.2rem; line-height: 1.4; max-width: 50rem }
.soft, figcaption { color: var(--soft); font-size: .92rem }
.busy { border: 2px solid; padding: .6rem .8rem; font-weight: 700 }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem }
figure { margin: 0; padding: .8rem; background: var(--card); border-radius: .4rem; min-width: 0 }
figure svg { display: block; width: 100%; max-width: 34rem; height: auto; margin: 0 auto; --paper: var(--card) }
figcaption { margin-bottom: .5rem }
figcaption b { color: var(--ink); display: block }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top }
th:first-child, td:first-child { text-align: left; white-space: nowrap }
code { overflow-wrap: anywhere; font-size: .92em }
@media (max-width: 50rem) {
  thead { display: none }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line) }
  td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0; text-align: right }
  td:first-child { font-weight: 700 }
  td:not(:first-child)::before { content: attr(data-name); color: var(--soft); text-align: left; white-space: nowrap }
  td:empty { display: none }
}
"""


def page(found: Found) -> str:
    """The page of what `Comparison.measure` found."""
    network, threads = found["network"], sorted({line["threads"] for line in found["libraries"]})
    what = f"{network['name']}: {network['parameters']:,} parameters, {network['activation']}, {network['loss']}, "
    what += network["optimizer"]
    parts = [
        "<h1>fastnn beside other libraries</h1>",
        f'<p class="soft">{_text(what)}</p>',
        f'<p class="answer">{_text(found["answer"])}</p>',
        f"<p>{_text(found['bits']['text'])}.</p>",
    ]
    if found["busy"]:
        parts.append(f'<p class="busy" role="alert">{_text(found["busy"])}</p>')
    parts += _speed_charts(found, threads)
    parts += ["<h2>Figures</h2>", _libraries(found["libraries"])]
    parts += _survey_charts(found, threads)
    if found.get("phases"):
        parts += ["<h2>Where the time of a step goes</h2>", *_phases(found["phases"])]
    parts += _machine(found)
    title = f"fastnn compare: {network['name']}"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{_text(title)}</title>\n'
        f"<style>\n{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _text(text: object) -> str:
    return html.escape(str(text))


def _figure(title: str, said: str, svg: str) -> str:
    return f"<figure><figcaption><b>{_text(title)}</b>{_text(said)}</figcaption>\n{svg}</figure>"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    lines = []
    for row in rows:
        cells = zip(names, row, strict=True)
        lines.append("<tr>" + "".join(f'<td data-name="{_text(n)}">{_text(cell)}</td>' for n, cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _speed_charts(found: Found, threads: Sequence[int]) -> list[str]:
    shown = []
    for team in threads:
        lines = [line for line in found["libraries"] if line["threads"] == team]
        if any(line["ratios"] for line in lines):
            said = "Median of the ratios of each round; the whiskers are the smallest and the largest."
            shown.append(_figure(f"Ratios, {count(team)}", said, charts.ratios(lines, team)))
        said = "Median of all epochs; the whiskers are quartiles."
        shown.append(_figure(f"Speed, {count(team)}", said, charts.speeds(lines, team)))
    return ["<h2>Speed</h2>", f'<div class="charts">{"".join(shown)}</div>']


def _survey_charts(found: Found, threads: Sequence[int]) -> list[str]:
    if "speeds" not in found:
        return []
    speeds, shown = found["speeds"], []
    team = count(threads[0])
    if speeds["width"]:
        places = [str(max(widths[1:-1], default=widths[-1])) for widths in speeds["widths"]]
        title, label = "Speed by width", "units of the widest hidden layer"
        shown.append(_figure(title, f"{team}.", charts.curves(speeds["width"], places, label, title)))
        title, places = "Speed by batch", [str(batch) for batch in speeds["batches"]]
        shown.append(_figure(title, f"{team}.", charts.curves(speeds["batch"], places, "rows of a batch", title)))
    for name, operations in found["operations"].items():
        if operations["roof"]:
            said = "Every operation of the table, below what the machine can do at most: whole lines with data in the "
            said += f"first cache, the dashed one with data in memory. {team}."
            svg = charts.roofline(operations["reached"], operations["roof"], name)
            shown.append(_figure(f"Operations of {name}", said, svg))
    return ["<h2>Width, batch, operations</h2>", f'<div class="charts">{"".join(shown)}</div>']


def _libraries(lines: Sequence[Found]) -> str:
    names = ["library", "threads", "samples/s", "of the floor", "start, warm", "start, cold", "memory, MB"]
    names += ["by the plan, MB", "first loss", "runs on"]
    rows = []
    for line in lines:
        share, cold, planned = line["floor_share"], line["start_cold"], line["predicted"]
        rows.append(
            [
                *(line["name"], str(line["threads"]), digits(line["samples_per_second"])),
                "" if share is None else f"{share:.0%}",
                f"{line['start_warm']:.1f} s",
                "" if cold is None else f"{cold:.1f} s",
                f"{line['memory'] / 1e6:.1f}",
                "" if planned is None else f"{planned / 1e6:.1f}",
                *(f"{line['loss']:.3f}", line["runs"]),
            ]
        )
    return _table(names, rows)


def _phases(rows: Sequence[Found]) -> list[str]:
    said = "By the clock cycles that the production programs count, % of a step."
    figure = _figure("Phases of a step", said, charts.phases(rows))
    names = ["backend", "cores", "threads used", *rows[0]["phases"], "sum", "a step", "without counting"]
    lines = []
    for row in rows:
        whole = sum(row["phases"].values())
        parts = [duration(part) for part in row["phases"].values()]
        times = f"{whole / row['counted']:.1%}", duration(row["counted"]), duration(row["plain"])
        lines.append([row["name"], str(row["team"]), str(row["threads"]), *parts, *times])
    return [f'<div class="charts">{figure}</div>', _table(names, lines)]


def _machine(found: Found) -> list[str]:
    parts = [f"<p>{_text(found['machine'])}. {_text(', '.join(found['versions']))}.</p>"]
    for threads, limits in found["limits"].items():
        team, peak, bandwidth = count(int(threads)), limits["peak"] / 1e9, limits["bandwidth"] / 1e9
        parts.append(f"<p>{team}: {peak:.0f} GFLOP/s at most, and {bandwidth:.0f} GB/s at the network's size.</p>")
    if found["variables"]:
        held = " ".join(f"{name}={value}" for name, value in found["variables"].items())
        parts.append(f"<p>With <code>{_text(held)}</code></p>")
    parts += [f"<p>{_text(reason)}</p>" for reason in found["missing"]]
    rounds = f"Rounds of fresh processes: {found['rounds']}"
    return ["<h2>Machine and command</h2>", *parts, f"<p>{rounds}. Command: <code>{_text(found['command'])}</code></p>"]
