"""What a script found: tables on stdout and, for `results.py`, in a file of JSON."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fastnn.benchmarks import figures
from fastnn.benchmarks.processes import LIMITS, Found, Runs, Session, machine


def add_json_option(made: argparse.ArgumentParser) -> None:
    """`--json FILE`."""
    made.add_argument_group("what to write").add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="the tables with all that is needed to read them, for results.py: benches/results/NAME.json",
    )


class Output:
    """The tables of one run.

    Args:
        session: whose processes measured. args: the script's options. heading: the section's in RESULTS.md.
        about: what was measured, in a sentence or two.
    """

    def __init__(self, session: Session, args: argparse.Namespace, heading: str, about: str) -> None:
        self._session, self._args, self._heading, self._about = session, args, heading, about
        self._tables: list[Found] = []
        self._kernels: dict[str, list[str]] = {}

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table under its title, and keeps it."""
        self._tables.append({"title": title, "head": list(head), "rows": [list(row) for row in rows]})
        print(f"{title}\n\n{figures.markdown(head, rows)}", end="\n\n", flush=True)

    def runs(self, runs: Runs) -> Runs:
        """The same runs; keeps on which kernels each library ran, as its processes tell."""
        for (_, name, _), found in runs.items():
            told = [text for one in found if (text := one.get("runs"))]
            if name != LIMITS and told:
                self._kernels[name] = list(dict.fromkeys([*self._kernels.get(name, []), *told]))
        return runs

    def end(self) -> None:
        """Prints the last lines, and writes the file if one is asked for."""
        command = f"python benches/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".rstrip()
        print(self._session.footer(command))
        if self._args.json is None:
            return
        found: Found = {
            "heading": self._heading,
            "about": self._about,
            "command": command,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": machine(),
            "tables": self._tables,
            "kernels": self._kernels,
            "versions": self._session.versions,
            "missing": self._session.reasons(),
            "busy": self._session.neighbours.told(),
            "variables": self._session.variables,
        }
        self._args.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
