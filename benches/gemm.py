"""Matrix products of the three forms that training needs, through the backends' operations on prepared arrays, beside
NumPy's OpenBLAS and PyTorch: nn is C = A B (X W), tn is C = A^T B (X^T dZ), nt is C = A B^T (dZ W^T).

A shape is m x n x k: C has m rows and n columns, k is summed over; `/4096` puts the rows of all three matrices 4,096
elements apart. Each figure is GFLOP/s of the best repetition of all rounds. The peak is that of the package,
measured in the same rounds. The error is the largest of all shapes, against a wider product, in eps times the root of k
times the largest value.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import common
from fastnn.benchmarks import figures
from fastnn.benchmarks.figures import Spread
from fastnn.benchmarks.processes import AVX2, ITEMSIZE, LIMITS, Library, Runs, count
from output import Output

PEERS = {"numpy": "NumPy", "torch": "PyTorch"}
FORMS = ("nn", "tn", "nt")
ALL = "all shapes"
EXAMPLES = """\
  python benches/gemm.py                              all shapes: about a quarter of an hour
  python benches/gemm.py --avx2                       every library held to AVX2, OpenBLAS as on Haswell
  python benches/gemm.py --shapes 128x256x784,256x256x256/4096 --forms nn --seconds 1
  python benches/gemm.py --dtype float64 --threads 1
  python benches/gemm.py --tiny                       tries everything, measures nothing"""


class Shape(NamedTuple):
    """C has m rows and n columns, k is summed over; rows lie `stride` elements apart, 0: without a gap."""

    m: int
    n: int
    k: int
    stride: int = 0

    def __str__(self) -> str:
        return f"{self.m} x {self.n} x {self.k}" + (f" /{self.stride}" if self.stride else "")


SHAPES = [
    # From the smallest to the largest.
    Shape(8, 16, 8),
    Shape(16, 16, 16),
    Shape(32, 32, 32),
    Shape(64, 64, 64),
    Shape(128, 128, 128),
    Shape(256, 256, 256),
    Shape(512, 512, 512),
    Shape(1024, 1024, 1024),
    Shape(2048, 2048, 2048),
    # Layers of networks, and the same in other forms: batch x units x fan-in.
    Shape(32, 32, 64),
    Shape(32, 10, 32),
    Shape(64, 128, 784),
    Shape(128, 256, 784),
    Shape(128, 10, 128),
    Shape(256, 64, 64),
    Shape(256, 1024, 784),
    # No side is a multiple of anything.
    Shape(33, 17, 65),
    Shape(127, 129, 131),
    Shape(333, 77, 555),
    Shape(1000, 100, 1000),
    # Tall, wide, deep.
    Shape(4096, 32, 64),
    Shape(16384, 16, 64),
    Shape(2048, 1, 512),
    Shape(16, 4096, 64),
    Shape(32, 2048, 512),
    Shape(1, 512, 2048),
    Shape(16, 16, 16384),
    Shape(64, 64, 8192),
    # Strides that are powers of two.
    Shape(256, 1024, 1024),
    Shape(512, 4096, 1024),
    Shape(64, 64, 64, 1024),
    Shape(256, 256, 256, 4096),
]


def shape(text: str) -> Shape:
    """Of 128x256x784 or 128x256x784/1024.

    Raises:
        argparse.ArgumentTypeError: anything else, or a stride shorter than a row.
    """
    sizes, _, stride = text.partition("/")
    parts = sizes.split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in [*parts, stride or "1"]):
        raise argparse.ArgumentTypeError(f"{text!r}, expected MxNxK, such as 128x256x784, or with a stride, /1024")
    m, n, k = map(int, parts)
    made = Shape(m, n, k, int(stride or 0))
    if stride and made.stride < max(m, n, k):
        raise argparse.ArgumentTypeError(f"{text!r}: the stride is shorter than a row")
    return made


def chosen_forms(text: str) -> list[str]:
    """Of nn,tn,nt.

    Raises:
        argparse.ArgumentTypeError: an unknown form.
    """
    forms = text.split(",")
    if not all(form in FORMS for form in forms):
        raise argparse.ArgumentTypeError(f"{text!r}, expected some of {', '.join(FORMS)}")
    return forms


def ratios(column: Library, cases: list[dict[str, Spread | None]], rivals: list[Library]) -> list[tuple[float, float]]:
    """Against the best rival by case: by the best times and by the medians."""
    found = []
    for times in cases:
        mine, known = times[column.name], [spread for spread in (times[r.name] for r in rivals) if spread]
        if mine and known:
            best, median = min(r.best for r in known), min(r.median for r in known)
            found.append((best / mine.best, median / mine.median))
    return found


def mean_and_least(pairs: list[tuple[float, float]]) -> tuple[str, str]:
    """The geometric mean and the smallest, each by the best and in brackets by the median times."""
    if not pairs:
        return "-", "-"
    means = [math.exp(sum(math.log(pair[kind]) for pair in pairs) / len(pairs)) for kind in (0, 1)]
    least = [min(pair[kind] for pair in pairs) for kind in (0, 1)]
    return f"{means[0]:.2f} ({means[1]:.2f})", f"{least[0]:.2f} ({least[1]:.2f})"


def tables(
    out: Output, cases: list[tuple[str, Shape]], columns: list[Library], runs: Runs, threads: int
) -> list[list[str]]:
    """GFLOP/s by case, as a table; a line of the summary for each library."""
    found = {c.name: runs.get((ALL, c.name, threads), []) for c in columns}
    own, rivals = [c for c in columns if c.own], [c for c in columns if not c.own]
    peaks = [limits["peak"] for limits in runs.get((ALL, LIMITS, threads), [])]
    head = ["m x n x k", "form", *found, *figures.best_heads(columns), *(f"{c.name}, share of the peak" for c in own)]
    lines, spreads = [], []
    for number, (form, size) in enumerate(cases):
        flops = 2 * size.m * size.n * size.k
        times = {
            name: figures.spread([seconds for run in given for seconds in run["times"][number]]) if given else None
            for name, given in found.items()
        }
        spreads.append(times)
        line = [str(size), form, *(figures.digits(flops / r.best / 1e9) if r else "-" for r in times.values())]
        line += figures.best_cells(columns, times)
        lines.append(line + figures.share_cells(columns, times, flops / max(peaks) if peaks else None))
    summary = []
    for column in columns:
        given = found[column.name]
        if given:
            compared = mean_and_least(ratios(column, spreads, rivals)) if column.own else ("", "")
            error, first = max(run["error"] for run in given), min(run["first"] for run in given)
            summary.append([column.name, str(threads), *compared, f"{error:.2f}", f"{first:.2f}"])
    title = f"{count(threads)}, GFLOP/s" + (f"; the peak is {max(peaks) / 1e9:.1f}" if peaks else "")
    out.table(title, head, lines)
    return summary


def main() -> None:
    """Measure and print."""
    made = common.parser(__doc__, EXAMPLES, PEERS, seconds=0.1)
    shapes = made.add_argument_group("which products")
    shapes.add_argument(
        "--shapes",
        type=lambda text: [shape(part) for part in text.split(",")],
        default=SHAPES,
        metavar="MxNxK,MxNxK/S",
        help="shapes of your own, with a stride behind / (the table of this script)",
    )
    shapes.add_argument("--forms", type=chosen_forms, default=list(FORMS), metavar="nn,tn,nt", help="which forms (all)")
    shapes.add_argument("--dtype", choices=tuple(ITEMSIZE), default="float32", help="of all matrices (float32)")
    shapes.add_argument("--avx2", action="store_true", help="hold every library to AVX2, OpenBLAS as on a Haswell")
    args = common.parse(made, PEERS)
    sizes = [size for size in args.shapes if max(size[:3]) <= 256] if args.tiny else args.shapes
    cases = [(form, size) for size in sizes for form in args.forms]
    columns = common.libraries(args, PEERS)
    session = common.session_of(args, AVX2 if args.avx2 else None)
    about = (
        "The three forms that training needs, C = A B, A^T B and A B^T, the best repetition of all rounds; m x n x k."
    )
    heading = f"Matrix products, {args.dtype}" + (", every library held to AVX2" if args.avx2 else "")
    out = Output(session, args, heading, about)
    job = {"cases": [[form, *size] for form, size in cases], "dtype": args.dtype, "seconds": args.seconds}
    limits = common.limits_job(args, args.dtype)
    runs = out.runs(common.run(session, args, "gemm_child.py", columns, {ALL: job}, limits))
    summaries = []
    for threads in args.threads:
        summaries += tables(out, cases, columns, runs, threads)
    head = ["library", "threads", "geometric mean of the ratios", "smallest ratio", "error", "import and first call, s"]
    out.table("all shapes", head, summaries)
    out.end()


if __name__ == "__main__":
    main()
