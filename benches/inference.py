"""Predictions of many rows in one call, samples a second: NumPy arrays in, probabilities as NumPy arrays out.

The error is the largest difference from float64 over 256 rows: the same weights give the same probabilities (but
scikit-learn's two-class network has one output, so that its weights are others). The share of the peak counts the flops
of the matrix products alone, against the fma peak that is measured in the same rounds.
"""

from __future__ import annotations

import statistics

import common
from fastnn.benchmarks import figures
from fastnn.benchmarks.processes import LIMITS, Found, Runs, count
from output import Output

PEERS = {
    "jax": "JAX",
    "torch": "PyTorch",
    "compile": "PyTorch compile",
    "keras": "Keras on JAX",
    "sklearn": "scikit-learn",
    "numpy": "NumPy",
    "onnx": "onnxruntime",
}
EXAMPLES = """\
  python benches/inference.py                               six networks, 8,192 rows a call
  python benches/inference.py --peers onnx,torch --networks 3 --rows 1024
  python benches/inference.py --tiny                        tries everything, measures nothing"""


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, PEERS, seconds=1.0)
    common.add_network_options(made)
    made.add_argument("--rows", type=int, default=8192, metavar="N", help="of each call (8192)")
    args = common.parse(made, PEERS)
    rows = 256 if args.tiny else args.rows
    chosen = common.chosen_networks(made, args)
    columns = common.libraries(args, PEERS)
    own = [c for c in columns if c.own]
    session = common.session_of(args)
    about = f"`predict` of {rows:,} rows in one call, from arrays to arrays."
    out = Output(session, args, "Predictions of many rows", about)
    runs: Runs = {}
    for network in chosen:
        job = {"widths": network.widths, "rows": rows, "seconds": args.seconds}
        limits = common.limits_job(args)
        runs |= out.runs(common.run(session, args, "inference_child.py", columns, {network.name: job}, limits))
    for threads in args.threads:
        lines, firsts = [], []
        for network in chosen:
            here = {c.name: runs.get((network.name, c.name, threads), []) for c in columns}
            times = {name: figures.pooled(found, "times") for name, found in here.items()}
            peaks = [found["peak"] for found in runs.get((network.name, LIMITS, threads), [])]
            name = "-".join(map(str, network.widths))
            line = [name, *(figures.digits(rows / r.best) if r else "-" for r in times.values())]
            line += figures.best_cells(columns, times)
            least = network.forward_flops * rows / max(peaks) if peaks else None
            lines.append(line + figures.share_cells(columns, times, least))
            firsts.append([name, *(first_use(found) for found in here.values())])
        names = [c.name for c in columns]
        head = ["network", *names, *figures.best_heads(columns), *(f"{c.name}, share of the peak" for c in own)]
        out.table(f"{count(threads)}, {rows:,} rows, samples/s", head, lines)
        out.table(f"First use with {count(threads)}, s (error)", ["network", *names], firsts)
    out.end()


def first_use(found: list[Found]) -> str:
    """Seconds until the first answer, and the largest error."""
    if not found:
        return "-"
    return f"{statistics.median(run['first'] for run in found):.1f} ({max(run['error'] for run in found):.0e})"


if __name__ == "__main__":
    main()
