"""What a gradient costs beside a forward pass, for growing numbers of weights, and what finite differences would cost.

By backpropagation it is a small multiple of a forward pass, however many weights there are; by differences it is one
more pass for each weight, which is computed here and not waited for. Times are the best of several rounds in this
process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastnn
from fastnn import layers
from fastnn.benchmarks.processes import Session
from fastnn.benchmarks.processors import runs_on
from fastnn.plotting.figures import figure, finished, line, style
from output import Output, add_json_option

WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
EXAMPLES = """\
  python benches/gradient_cost.py                       a table, for networks of 64-W-W-10
  python benches/gradient_cost.py --out cost.svg        and a picture
  python benches/gradient_cost.py --tiny                tries everything, measures nothing"""


def best(call: Callable[[], object], seconds: float) -> float:
    """The least seconds of a call, tried for so long."""
    call()
    least, end = float("inf"), time.perf_counter() + seconds
    while True:
        begun = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - begun)
        if time.perf_counter() >= end:
            return least


def measured(width: int, batch: int, backend: str, seconds: float) -> tuple[int, float, float]:
    """The weights of a network, and the seconds of a scored batch and of a gradient."""
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential(
        [fastnn.Input((64,)), layers.Dense(width, "relu"), layers.Dense(width, "relu"), layers.Dense(10, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", backend=backend)
    random = np.random.default_rng(0)
    X, y = random.normal(size=(batch, 64)).astype(np.float32), random.integers(0, 10, batch)
    forward = best(lambda: model.test_on_batch(X, y), seconds)
    return model.count_params(), forward, best(lambda: model.gradients(X, y), seconds)


def draw(found: list[tuple[int, float, float]], out: Path) -> None:
    """Seconds by the number of weights, both axes logarithmic."""
    with style():
        made = figure(6.8, 4.6)
        axes = made.add_subplot()
        weights = [count for count, _, _ in found]
        lines = {
            "finite differences (computed)": [(count + 1) * forward for count, forward, _ in found],
            "gradient by backpropagation": [gradient for _, _, gradient in found],
            "forward pass": [forward for _, forward, _ in found],
        }
        for number, (label, seconds) in enumerate(lines.items()):
            axes.plot(weights, seconds, label=label, marker="o", markersize=4, **line(number))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("weights")
        axes.set_ylabel("seconds")
        axes.legend(loc="upper left")
        finished(made, out)


def main() -> None:
    """Measure, print, and draw where a file is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"examples\n{EXAMPLES}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="rows (128)")
    parser.add_argument("--backend", default="c", metavar="NAME", help="(c)")
    parser.add_argument("--seconds", type=float, default=0.3, metavar="S", help="for each time (0.3)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a .png, .svg or .pdf file")
    parser.add_argument("--tiny", action="store_true", help="try everything, measure nothing")
    add_json_option(parser)
    args = parser.parse_args()
    session = Session()
    session.versions.append(f"fastnn {fastnn.__version__}")
    about = "A scored batch and a gradient of 64-W-W-10, by backpropagation and, computed, by finite differences."
    out = Output(session, args, "What a gradient costs", about)
    widths, seconds = (WIDTHS[:2], 0.0) if args.tiny else (WIDTHS, args.seconds)
    found = [measured(width, args.batch, args.backend, seconds) for width in widths]
    head = ["weights", "forward, us", "gradient, us", "gradient / forward", "finite differences, s"]
    rows = [
        [
            *(f"{count:,}", f"{forward * 1e6:.0f}", f"{gradient * 1e6:.0f}"),
            *(f"{gradient / forward:.1f}", f"{(count + 1) * forward:.3g}"),
        ]
        for count, forward, gradient in found
    ]
    out.table(f"{args.batch} rows, {args.backend}", head, rows)
    kernels = runs_on({"library": "fastnn", "backend": args.backend})
    out.runs({("", f"fastnn {args.backend}", 1): [{"runs": kernels}]})
    out.end()
    if args.out is not None:
        draw(found, args.out)


if __name__ == "__main__":
    main()
