"""What a call with one row costs, as in reinforcement learning and in services: predict, train_on_batch, and fit.

Microseconds by NumPy arrays in and out, best and in brackets the median; Adam, mean squared error, the same starting
weights (but scikit-learn's). train is train_on_batch, scikit-learn's partial_fit, PyTorch's eager step; the last two
have no fit of one row. The first loss is that of the first training call: the same work gives the same loss.
"""

from __future__ import annotations

import statistics

import common
from fastnn.benchmarks import figures
from fastnn.benchmarks.processes import count
from output import Output

PEERS = {"keras": "Keras on JAX", "sklearn": "scikit-learn", "torch": "PyTorch"}
EXAMPLES = """\
  python benches/small_calls.py                             4-24-24-2, one row
  python benches/small_calls.py --rows 8 --network 8-64-4   another network, several rows
  python benches/small_calls.py --peers sklearn --threads 1
  python benches/small_calls.py --tiny                      tries everything, measures nothing"""


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, PEERS)
    made.add_argument("--network", type=common.widths, default=[4, 24, 24, 2], metavar="W-W-W", help="(4-24-24-2)")
    made.add_argument("--rows", type=int, default=1, metavar="N", help="of each call (1)")
    args = common.parse(made, PEERS)
    columns = common.libraries(args, PEERS)
    session = common.session_of(args)
    about = "Microseconds of a call, best and in brackets the median; Adam, mean squared error."
    out = Output(session, args, "Calls with one row" if args.rows == 1 else f"Calls with {args.rows} rows", about)
    network = "-".join(map(str, args.network))
    job = {"widths": args.network, "rows": args.rows, "seconds": args.seconds}
    runs = out.runs(common.run(session, args, "small_calls_child.py", columns, {network: job}))
    for threads in args.threads:
        here = {c.name: runs.get((network, c.name, threads), []) for c in columns}
        lines = []
        for call in common.CALLS:
            times = {name: figures.pooled(found, call) for name, found in here.items()}
            line = [call, *(f"{r.best * 1e6:.1f} ({r.median * 1e6:.1f})" if r else "-" for r in times.values())]
            lines.append(line + figures.best_cells(columns, times))
        heads = figures.best_heads(columns)
        for title, name, form in (("import and first calls, s", "first", ".2f"), ("first loss", "loss", ".4f")):
            values_of = [[run[name] for run in found] for found in here.values()]
            cells = [format(statistics.median(values), form) if values else "-" for values in values_of]
            lines.append([title, *cells, *("" for _ in heads)])
        out.table(f"{network}, rows: {args.rows}, {count(threads)}, us", ["call", *here, *heads], lines)
    out.end()


if __name__ == "__main__":
    main()
