"""One network, trained by fastnn's backends and by other libraries, in rounds of fresh processes."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import figures, networks
from .networks import OPTIMIZERS, PEERS, Network
from .processes import AVX2, LIMITS, Found, Library, Runs, Session, count, machine, rounds, say

CHECKED_FLOPS = 4e9  # of two steps: what the reference may take part in
WIDTHS, BATCHES = (0.25, 0.5, 1.0, 2.0), (1, 8, 32, 128, 512)  # of a survey


@dataclass
class Comparison:
    """What is to be compared, and how.

    Attributes:
        network: what is trained. task: activation, loss and optimizer, and the file of the data where there is one.
        backends, peers: by their names. rounds: fresh processes of each. seconds: of repeating epochs in each.
        cold, phases, survey: whether those are measured, too. avx2: whether every library is held to it.
    """

    network: Network
    task: Mapping[str, Any]
    backends: Sequence[str]
    peers: Sequence[str]
    threads: Sequence[int]
    rounds: int = 3
    seconds: float = 0.5
    cold: bool = True
    phases: bool = False
    survey: bool = False
    avx2: bool = False
    unavailable: Mapping[str, str] = field(default_factory=dict)  # backends that were asked for, and why they cannot be

    def measure(self, command: str) -> Found:
        """Everything as one object, for JSON, a terminal and a page."""
        session = Session(variables=AVX2 if self.avx2 else None)
        session.missing |= {f"fastnn {name}": reason for name, reason in self.unavailable.items()}
        own = [Library(f"fastnn {name}", "fastnn", name, sys.executable) for name in self.backends]
        fast = [column for column in own if column.backend != "reference"]
        columns = [*fast, *(Library(PEERS[name], name, "", sys.executable) for name in self.peers)]
        where = self.network.name
        job = self.network._asdict() | dict(self.task) | {"seconds": self.seconds, "epochs": 1}
        limits = {"dtype": "float32", "sizes": [self.network.parameters], "seconds": 0.2}
        runs = rounds(session, self.rounds, self.threads, "training", columns, {where: job}, limits)
        lines = [line for team in self.threads for column in columns if (line := self._line(column, team, runs))]
        self._ratios(lines, runs)
        if self.cold:
            self._cold(session, columns, job, lines)
        found: Found = {
            "command": command,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": machine(),
            "network": self.network._asdict() | {"parameters": self.network.parameters} | dict(self.task),
            "rounds": self.rounds,
            "libraries": lines,
            "limits": self._limits(runs),
            "bits": self._bits(session, own, job),
        }
        if self.phases:
            found["phases"] = self._phases(session, fast, job)
        if self.survey:
            found |= self._survey(session, fast, lines)
        found |= {"answer": answer(lines, self.threads), "versions": session.versions, "missing": session.reasons()}
        return found | {"busy": session.neighbours.told(), "variables": session.variables}

    def _line(self, column: Library, threads: int, runs: Runs) -> Found | None:
        """What is known of a library with so many threads."""
        found = runs.get((self.network.name, column.name, threads))
        if not found:
            return None
        result, rows = figures.summary(found), self.network.rows
        times = [seconds for run in found for seconds in run["epochs"]]
        low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (times[0],) * 3
        limits = runs.get((self.network.name, LIMITS, threads), [])
        least = figures.floor(self.network, OPTIMIZERS[self.task["optimizer"]], limits)
        return {
            "name": column.name,
            "own": column.own,
            "backend": column.backend,
            "threads": threads,
            "samples_per_second": rows / result.epoch.median,
            "slow": rows / high,
            "fast": rows / low,
            "floor_share": least / result.epoch.median if least and column.own else None,
            "start_warm": result.first,
            "start_cold": None,
            "memory": statistics.median(run["grown"] for run in found),
            "predicted": found[0]["predicted"] or None,
            "loss": result.loss,
            "runs": found[0]["runs"],
        }

    def _ratios(self, lines: list[Found], runs: Runs) -> None:
        """How many times as fast each of fastnn's is as each peer: the median of the rounds' ratios, their smallest and
        their largest."""

        def medians(line: Found) -> list[float]:
            found = runs[self.network.name, line["name"], line["threads"]]
            return [statistics.median(run["epochs"]) for run in found]

        for line in lines:
            rivals = [other for other in lines if not other["own"] and other["threads"] == line["threads"]]
            line["ratios"] = {}
            for rival in rivals if line["own"] else []:
                pairs = zip(medians(line), medians(rival), strict=False)
                ratios = [theirs / mine for mine, theirs in pairs]
                line["ratios"][rival["name"]] = [statistics.median(ratios), min(ratios), max(ratios)]

    def _cold(self, session: Session, columns: Sequence[Library], job: Found, lines: list[Found]) -> None:
        """The first use with empty caches of compiled code, once."""
        for column in columns:
            mine = [line for line in lines if line["name"] == column.name]
            if mine:
                say(f"{column.name}: a cold start")
                team = mine[0]["threads"]
                found = session.measure("training", column, "a cold start", team, job | {"epochs": 0}, cold=True)
                usual = self.network.rows / mine[0]["samples_per_second"]
                mine[0]["start_cold"] = None if found is None else max(0.0, found["first"] - usual)

    def _limits(self, runs: Runs) -> Found:
        found = {}
        for team in self.threads:
            given = runs.get((self.network.name, LIMITS, team), [])
            if given:
                size = str(self.network.parameters)
                bandwidth = max(run["bandwidth"][size] for run in given)
                found[str(team)] = {"peak": max(run["peak"] for run in given), "bandwidth": bandwidth}
        return found

    def _bits(self, session: Session, own: Sequence[Library], job: Found) -> Found:
        """Whether theta is the same after two steps on every backend and with every number of threads."""
        short = job | {"rows": 2 * self.network.batch, "epochs": 0, "seconds": 0.0}
        columns = [column for column in own if column.backend != "reference"]
        if 2 * self.network.step_flops <= CHECKED_FLOPS or len(columns) < len(own):
            columns.append(Library("fastnn reference", "fastnn", "reference", sys.executable))
        digests = {}
        for column in columns:
            for team in self.threads if column.backend != "reference" else self.threads[:1]:
                say(f"{column.name}: bits")
                found = session.measure("training", column, f"bits, {count(team)}", team, short)
                if found is not None:
                    digests[f"{column.backend}, {count(team)}"] = found["bits"]
        equal = len(set(digests.values())) == 1
        names = ", ".join(dict.fromkeys(name.partition(",")[0] for name in digests))
        if len(digests) < 2:
            text = "theta was computed by one backend alone, so there is nothing to compare its bits with"
        elif equal:
            text = f"theta is equal to the last bit on {names}, with {_threads(self.threads)}"
        else:
            text = "THETA DIFFERS: " + "; ".join(f"{name}: {digest}" for name, digest in digests.items())
        return {"equal": equal, "text": text, "digests": digests}

    def _phases(self, session: Session, columns: Sequence[Library], job: Found) -> list[Found]:
        found = []
        for team in self.threads:
            for column in columns:
                say(f"{column.name}: phases")
                one = session.measure("phases", column, f"phases, {count(team)}", team, job | {"seconds": 1.0})
                if one is not None:
                    found.append({"name": column.name, "team": team, **one})
        return found

    def _survey(self, session: Session, columns: Sequence[Library], lines: Sequence[Found]) -> Found:
        """Speed against width and batch, of fastnn's backends and the fastest peer; what every operation reaches."""
        team = self.threads[0]
        best = next((line for line in figures.ranked(lines, team) if not line["own"]), None)
        peers = {PEERS[name]: name for name in self.peers}
        chosen = list(columns)
        if best is not None:
            chosen.append(Library(best["name"], peers[best["name"]], "", sys.executable))
        first, *hidden, last = self.network.widths
        wide = [[first, *(max(1, round(factor * width)) for width in hidden), last] for factor in WIDTHS]
        by_width = [networks.own(widths, self.network.batch) for widths in wide]
        by_batch = [networks.own(self.network.widths, batch) for batch in BATCHES]
        task = {name: value for name, value in self.task.items() if name != "data"} | {"seconds": 0.1, "epochs": 2}
        speeds: Found = {"widths": [n.widths for n in by_width], "batches": list(BATCHES), "width": {}, "batch": {}}
        operations = {}
        for column in chosen:
            say(f"{column.name}: other widths and batches")
            several = [_short(network) for network in (*by_width, *by_batch)]
            found = session.measure("surveys", column, "other networks", team, task | {"networks": several})
            if found is not None:
                speeds["width"][column.name] = found["speeds"][: len(by_width)]
                speeds["batch"][column.name] = found["speeds"][len(by_width) :]
        for column in columns:
            say(f"{column.name}: every operation")
            found = session.measure("surveys", column, "operations", team, {})
            if found is not None:
                operations[column.name] = {"reached": found["operations"], "roof": found["roof"]}
        return {"speeds": speeds, "operations": operations}


def _short(network: Network) -> Found:
    """A network whose epoch is a tenth of the usual one."""
    steps = max(2, network.rows // network.batch // 10)
    return network._replace(rows=network.batch * steps)._asdict()


def _threads(threads: Sequence[int]) -> str:
    return " and ".join(count(team) for team in threads)


def answer(lines: Sequence[Found], threads: Sequence[int]) -> str:
    """The comparison in a sentence."""
    team = threads[-1]
    order = figures.ranked(lines, team)
    mine = next((line for line in order if line["own"]), None)
    rival = next((line for line in order if not line["own"]), None)
    if mine is None:
        return "fastnn was not measured."
    text = f"With {count(team)} {mine['name']} trains {figures.digits(mine['samples_per_second'])} samples/s"
    if rival is None:
        return f"{text}; there was no other library to compare it with."
    ratio, low, high = mine["ratios"][rival["name"]]
    word = f"{ratio:.2f} times as fast as" if abs(ratio - 1) >= 0.02 else "as fast as"
    rounds = f" ({low:.2f} to {high:.2f} by rounds)" if low < high else ""
    return f"{text}, {word} {rival['name']}, the fastest of the others{rounds}."
