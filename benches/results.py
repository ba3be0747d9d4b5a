"""Makes what shows the speed, from the files in benches/results/: RESULTS.md, the picture in light and in dark ink, and
the README's sentence. Nothing of them is typed.

The files are of two kinds. `fastnn compare --json` writes comparisons of trainings, of which the picture and the
sentence are made; the scripts of this folder write their tables, `--json`. Each picture says by a digest of which
comparisons it was made, so that a test finds one that is out of date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fastnn.benchmarks import charts, figures
from fastnn.benchmarks.processes import Found, count
from fastnn.plotting.figures import require_matplotlib

HERE = Path(__file__).resolve().parent
FOLDER, PAGE, README = HERE / "results", HERE / "RESULTS.md", HERE.parent / "README.md"
INKS = {"light": "#1c1e21", "dark": "#e8e6e3"}
BEGIN, END = "<!-- speed: made by `python benches/results.py` -->\n", "<!-- end of speed -->"
EXAMPLES = """\
examples
  fastnn compare --model 64-32-10 --batch 32 --threads 1,2 --json benches/results/64-32-10.json
  python benches/graphs.py --json benches/results/graphs.json
  python benches/results.py                                  makes the pages and the pictures of all files"""


class Results(NamedTuple):
    """What was measured: comparisons, the smallest network first; what scripts printed, by the names of the files; the
    digest of the comparisons' files together."""

    comparisons: list[Found]
    outputs: list[Found]
    digest: str


def load() -> Results:
    """Of all files.

    Raises:
        ValueError: a file is of neither kind.
    """
    comparisons, outputs, digest = [], [], hashlib.sha256()
    for path in sorted(FOLDER.glob("*.json")):
        found: Found = json.loads(path.read_text(encoding="utf-8"))
        if "libraries" in found:
            comparisons.append(found)
            digest.update(path.read_bytes())
        elif "tables" in found:
            outputs.append(found)
        else:
            raise ValueError(f"{path} has neither libraries nor tables; expected a file that --json wrote")
    comparisons.sort(key=lambda one: float(one["network"]["parameters"]))
    return Results(comparisons, outputs, digest.hexdigest())


# --- the sentence ---------------------------------------------------------------------------------------------------


def fastest(found: Found) -> tuple[Found, Found, int]:
    """fastnn's fastest backend and the fastest other library with the most threads, and how many these are."""
    threads = max(line["threads"] for line in found["libraries"])
    lines = figures.ranked(found["libraries"], threads)
    return next(x for x in lines if x["own"]), next(x for x in lines if not x["own"]), threads


def sentence(comparisons: Sequence[Found]) -> str:
    """How many times as fast, where, when, and of what."""
    parts = []
    for found in comparisons:
        mine, rival, _ = fastest(found)
        ratio = mine["ratios"][rival["name"]][0]
        parts.append(f"{ratio:.2f} times as fast as {rival['name']} for {found['network']['name']} rows a batch")
    first = comparisons[0]
    others = sorted({line["name"] for found in comparisons for line in found["libraries"] if not line["own"]})
    text = f"Training with {count(fastest(first)[2])}, beside the fastest of {', '.join(others)}: {'; '.join(parts)} "
    text += f"(medians of {count_rounds(first['rounds'])}, {first['date']}, {first['machine']})."
    if any(found["busy"] for found in comparisons):
        text += " The machine was not idle, so that these figures are rough."
    return textwrap.fill(text + " [All figures](benches/RESULTS.md), with versions and commands.", 140) + "\n"


def count_rounds(rounds: int) -> str:
    """`1 round`, `3 rounds`."""
    return f"{rounds} round{'' if rounds == 1 else 's'}"


def readme(text: str, comparisons: Sequence[Found]) -> str:
    """The README with its sentence made anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + sentence(comparisons) + END + rest.partition(END)[2]


# --- the page -------------------------------------------------------------------------------------------------------


def page(found: Results) -> str:
    """RESULTS.md."""
    begin = "Made by `python benches/results.py` from the files in `benches/results/`, which `fastnn compare` and the\n"
    begin += "scripts of this folder wrote; [README.md](README.md) says how they measure.\n"
    begin += "Figures of two runs compare by their ratios alone.\n"
    trainings = (section(one) for one in found.comparisons)
    return "\n".join(["# Results\n", begin, *trainings, *(printed(one) for one in found.outputs)])


def section(found: Found) -> str:
    """One comparison."""
    network = found["network"]
    what = f"{network['parameters']:,} parameters, {network['activation']}, {network['loss']}, {network['optimizer']}"
    parts = [f"## {network['name']} rows a batch\n", f"{what}. {found['answer']} {capital(found['bits']['text'])}.\n"]
    parts += [figures.markdown(*libraries(found)), "", figures.markdown(*ratios(found)), ""]
    for threads, limits in found["limits"].items():
        peak, bandwidth = limits["peak"] / 1e9, limits["bandwidth"] / 1e9
        parts.append(f"- the machine, {count(int(threads))}: {peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s at this size")
    parts += [f"- {reason}" for reason in found["missing"]]
    if found["busy"]:
        parts.append(f"- **{found['busy']}**")
    parts.append(f"- {found['date']}; {found['machine']}; {', '.join(found['versions'])}")
    parts.append(f"- {count_rounds(found['rounds'])} of fresh processes: `{found['command']}`\n")
    return "\n".join(parts)


def printed(found: Found) -> str:
    """What a script printed."""
    parts = [f"## {found['heading']}\n", f"{found['about']}\n"]
    for table in found["tables"]:
        parts += [f"{capital(table['title'])}:\n", figures.markdown(table["head"], table["rows"]), ""]
    parts += [f"- {reason}" for reason in found["missing"]]
    if found["kernels"]:
        parts.append("- runs on: " + "; ".join(f"{name}: {', '.join(on)}" for name, on in found["kernels"].items()))
    parts += [f"- with `{name}={value}`" for name, value in found["variables"].items()]
    if found["busy"]:
        parts.append(f"- **{found['busy']}**")
    parts.append(f"- {found['date']}; {found['machine']}; {', '.join(found['versions'])}")
    return "\n".join([*parts, f"- `{found['command']}`\n"])


def capital(text: str) -> str:
    """With a capital letter first."""
    return text[:1].upper() + text[1:]


def libraries(found: Found) -> tuple[list[str], list[list[str]]]:
    """The table of speeds."""
    head = ["library", "threads", "samples/s", "quartiles", "of the floor", "start, warm", "start, cold"]
    head += ["memory, MB", "first loss", "runs on"]
    rows = []
    for line in found["libraries"]:
        share, cold = line["floor_share"], line["start_cold"]
        rows.append(
            [
                *(line["name"], str(line["threads"]), figures.digits(line["samples_per_second"])),
                f"{figures.digits(line['slow'])} to {figures.digits(line['fast'])}",
                *("" if share is None else f"{share:.0%}", f"{line['start_warm']:.1f} s"),
                *("" if cold is None else f"{cold:.1f} s", f"{line['memory'] / 1e6:.1f}"),
                *(f"{line['loss']:.3f}", line["runs"]),
            ]
        )
    return head, rows


def ratios(found: Found) -> tuple[list[str], list[list[str]]]:
    """The table of ratios."""
    own = [line for line in found["libraries"] if line["own"]]
    rivals = list(dict.fromkeys(name for line in own for name in line["ratios"]))
    rows = []
    for line in own:
        given = [line["ratios"].get(name) for name in rivals]
        cells = ["-" if r is None else f"{r[0]:.2f} ({r[1]:.2f} to {r[2]:.2f})" for r in given]
        rows.append([line["name"], str(line["threads"]), *cells])
    return ["times as fast as", "threads", *rivals], rows


# --- the picture ----------------------------------------------------------------------------------------------------


def picture(ink: str, found: Results) -> str:
    """A file that stands by itself: what a browser knows of the page's colours, an image does not."""
    svg = charts.trainings(found.comparisons).replace("currentColor", INKS[ink])
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!-- {found.digest} by benches/results.py -->\n{svg}'


def place(ink: str) -> Path:
    """Where the picture lies."""
    return FOLDER / f"training-{ink}.svg"


def main() -> None:
    """Make them all."""
    argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    require_matplotlib()
    found = load()
    PAGE.write_text(page(found), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8"), found.comparisons), encoding="utf-8")
    for ink in INKS:
        place(ink).write_text(picture(ink, found), encoding="utf-8")
    print(f"{PAGE}, {README} and the pictures: {len(found.comparisons)} comparisons, {len(found.outputs)} other files")


if __name__ == "__main__":
    main()
