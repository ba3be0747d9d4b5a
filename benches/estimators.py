"""The estimators beside scikit-learn's, with the same arguments and data: wall times, and accuracy on rows held out.

A row's name is rows x columns, hidden layers, dtype; batches have 200 rows. The share of the floor is that of peers.py:
of the flops at the fma peak and Adam's bytes at the bandwidth, which benchmarks/limits.py measures in the same rounds.
"""

from __future__ import annotations

import argparse
import sys

import common
from estimators_child import CLASSES
from fastnn.benchmarks import figures
from fastnn.benchmarks.figures import Spread
from fastnn.benchmarks.networks import Network
from fastnn.benchmarks.processes import LIMITS, Found, Library, Runs, Session, count
from output import Output

BATCH = 200
HIDDEN = ((100,), (100, 50), (256, 128, 64))
SIZES = ((5_000, 8), (20_000, 20), (50_000, 50))
LARGE = (10_000, 784, (100,))
EXAMPLES = """\
  python benches/estimators.py                               all: about an hour
  python benches/estimators.py --cases 1,2 --threads 1       a part of it
  python benches/estimators.py --cases 4 --dtypes float32    one network alone
  python benches/estimators.py --tiny                        tries everything, measures nothing"""


Case = tuple[int, int, tuple[int, ...]]


def cases() -> list[Case]:
    """Rows, columns and hidden layers of each case."""
    found: list[Case] = [(*size, hidden) for size in SIZES for hidden in HIDDEN]
    return [*found, LARGE]


def job(rows: int, columns: int, hidden: tuple[int, ...], dtype: str, tiny: bool, seconds: float) -> Found:
    """What a child is told: epochs enough for half a second or so of scikit-learn's."""
    rows = 400 if tiny else rows
    parameters = sum(a * b for a, b in zip((columns, *hidden), (*hidden, CLASSES), strict=True))
    epochs = 1 if tiny else max(3, min(50, round(1.5e10 / (6 * rows * parameters))))
    told = {"measure": "fit", "rows": rows, "columns": columns, "hidden": hidden, "dtype": dtype}
    return told | {"epochs": epochs, "seconds": seconds}


def floor(told: Found, limits: list[Found]) -> float | None:
    """The fewest possible seconds of a job's fit."""
    least = figures.floor(network_of(told), 2, limits, told["dtype"])
    return None if least is None else least * told["epochs"]


def network_of(told: Found) -> Network:
    """The network that a job trains."""
    widths = [told["columns"], *told["hidden"], CLASSES]
    return Network("-".join(map(str, widths)), widths, BATCH, told["rows"])


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, {})
    listed = "; ".join(
        f"{number} {rows}x{columns} {hidden}" for number, (rows, columns, hidden) in enumerate(cases(), 1)
    )
    chosen = made.add_argument_group("what to train")
    chosen.add_argument(
        "--cases",
        type=common.whole_numbers,
        default=[*range(1, 1 + len(cases()))],
        metavar="N,N",
        help=f"{listed} (all)",
    )
    chosen.add_argument("--dtypes", default="float32,float64", metavar="A,B", help="of X (float32,float64)")
    args = common.parse(made, {})
    if max(args.cases) > len(cases()):
        made.error(f"--cases: there are {len(cases())}")
    columns = [*common.own_libraries(args), Library("scikit-learn", "sklearn", "", sys.executable)]
    session = common.session_of(args)
    made_of = "the same arguments and data, batches of 200 rows; the accuracy is that of rows held out"
    out = Output(
        session, args, "The estimators beside scikit-learn's", f"`MLPClassifier` of both libraries: {made_of}."
    )
    for dtype in args.dtypes.split(","):
        some = [cases()[number - 1] for number in args.cases]
        jobs = {f"{r:,}x{c}, {h}, {dtype}": job(r, c, h, dtype, args.tiny, args.seconds) for r, c, h in some}
        runs: Runs = {}
        for name, told in jobs.items():
            limits = common.limits_job(args, dtype, [network_of(told).parameters])
            runs |= out.runs(common.run(session, args, "estimators_child.py", columns, {name: told}, limits))
        for threads in args.threads:
            lines, predictions = [], []
            for name, told in jobs.items():
                here = {c.name: runs.get((name, c.name, threads), []) for c in columns}
                line, times = cells(columns, here, "fit")
                line += figures.share_cells(columns, times, floor(told, runs.get((name, LIMITS, threads), [])))
                scores = ", ".join(f"{found[0]['score']:.3f}" for found in here.values() if found)
                lines.append([name, str(told["epochs"]), *line, scores])
                predictions.append([name, *cells(columns, here, "predict")[0]])
            own = [f"{c.name}, share of the floor" for c in columns if c.own]
            heads = [*(c.name for c in columns), *figures.best_heads(columns)]
            what = "rows x columns, hidden, dtype"
            out.table(f"fit, {count(threads)}, s", [what, "epochs", *heads, *own, "accuracy"], lines)
            out.table(f"predict, {count(threads)}, s", [what, *heads], predictions)
    others(session, out, args, columns)
    out.end()


def others(session: Session, out: Output, args: argparse.Namespace, columns: list[Library]) -> None:
    """The table of what is not a fit of many rows; the search has as many cores as jobs."""
    base = job(5_000, 20, (100,), "float64", args.tiny, args.seconds)
    lines = []
    for name, measure, threads in (
        ("partial_fit of a row of 20 columns", "partial_fit", 1),
        (f"GridSearchCV, 24 fits, n_jobs=2, {base['rows']:,}x20", "search", 2),
    ):
        on = argparse.Namespace(**vars(args) | {"threads": [threads]})
        runs = out.runs(common.run(session, on, "estimators_child.py", columns, {name: base | {"measure": measure}}))
        here = {c.name: runs.get((name, c.name, threads), []) for c in columns}
        lines.append([name, count(threads), *cells(columns, here, measure)[0]])
    heads = ["what", "on", *(c.name for c in columns), *figures.best_heads(columns)]
    out.table("partial_fit and a grid search, s", heads, lines)


def cells(
    columns: list[Library], here: dict[str, list[Found]], name: str
) -> tuple[list[str], dict[str, Spread | None]]:
    """The best times, and the ratios; the times beside them."""
    times = {column: figures.pooled(found, name) for column, found in here.items()}
    return [f"{t.best:.3g}" if t else "-" for t in times.values()] + figures.best_cells(columns, times), times


if __name__ == "__main__":
    main()
