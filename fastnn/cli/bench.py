"""`fastnn bench [OPERATION ...]`: how fast single operations are here, and that they are right."""

from __future__ import annotations

import argparse
import csv
import fnmatch
import io
import sys
from typing import TYPE_CHECKING

from ..core.printing import say
from ..errors import FastnnError, nearest
from . import options

if TYPE_CHECKING:
    from ..benchmarks.operations import Figures

HELP = "time single operations, as the operation table has them, on each backend"
EPILOG = """\
OPERATION is a name or a pattern of the operation table (fastnn/README.md), such
as gemm_nn, 'relu_*' or '*_step'; without one, some that matter are timed.

The columns
  threads     how many of those that there are the operation takes
  +-          the distance of the quartiles, of the median
  of peak     the share of what this machine can do at most: of its fused
              multiply-adds, or of the bytes that it moves, whichever is nearer;
              above 100%: others kept the machine busy while that was measured,
              three times
  error       the largest difference from the reference, in eps of the largest
              element: of float32 against float64. The bits are those of the
              reference, or the command ends with code 1

examples
  fastnn bench
  fastnn bench gemm_nn --shapes 256x256x784,1024x1024x1024 --threads 1,2
  fastnn bench '*_forward' --backend c --dtype float64
  fastnn bench '*' --shapes layer --csv operations.csv
"""
SOME = ("gemm_nn", "gemm_tn", "gemm_nt", "relu_forward", "gelu_forward", "softmax_forward",
        "sparse_softmax_crossentropy_forward", "layer_norm_forward", "dropout", "sgd_step", "adam_step")  # fmt: skip
WRONG = 1


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "bench", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help="names or patterns (see below)")
    parser.add_argument(
        "--shapes",
        default="layer",
        metavar="A,B",
        help="256x256x784 and so on, or small, layer, large, tall, odd (layer)",
    )
    parser.add_argument("--backend", metavar="A,B", help="which ones (all that are available, but not reference)")
    parser.add_argument("--dtype", choices=("float32", "float64", "both"), default="float32", help="(float32)")
    parser.add_argument(
        "--threads", type=options.threads, metavar="N,N", help="how many there are (as many as fastnn takes)"
    )
    parser.add_argument(
        "--seconds", type=options.rate, default=0.2, metavar="X", help="of repeating, for each figure (0.2)"
    )
    parser.add_argument("--csv", metavar="FILE", help="write the figures there, too; - instead of the table")
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from .. import config
    from ..benchmarks import operations, tables
    from ..benchmarks.processes import Neighbours, machine
    from ..core.operations import OPERATIONS

    chosen = backends_of(args.backend)
    dtypes = ("float32", "float64") if args.dtype == "both" else (args.dtype,)
    names = _operations(args.operations)
    try:
        cases = [
            (OPERATIONS[name], dtype, operations.given_shape(OPERATIONS[name], shape))
            for name in names
            for shape in args.shapes.split(",")
            for dtype in dtypes
        ]
    except ValueError as error:
        raise FastnnError(f"--shapes: {error}") from None
    rows: list[Figures] = []
    neighbours = Neighbours()
    try:
        for threads in args.threads or [config.get_num_threads()]:
            config.set_num_threads(threads)
            for case in cases:
                operation, dtype, sizes = case
                if not args.json and sys.stderr is not None and sys.stderr.isatty():
                    say(f"{operation.name}, {dtype}", "stderr")
                rows += operations.measured(operation, chosen, dtype, sizes, args.seconds)
    except operations.WrongResult as error:
        say(f"fastnn bench: wrong: {error}", "stderr")
        return WRONG
    finally:
        config.set_num_threads(None)
    if args.csv is not None:
        _write_csv(args.csv, rows)
    told = neighbours.told()
    if args.json:
        options.print_json({"machine": machine(), "busy": told, "figures": [row._asdict() for row in rows]})
    elif args.csv != "-":
        options.answer(tables.text(tables.of_operations(rows)) + f"\n{machine()}\n")
    if told:
        say(f"fastnn bench: {told}", "stderr")
    return 0


def backends_of(text: str | None) -> list[str]:
    """The backends that an option names, or all that are available but the reference.

    Raises:
        FastnnError: one is unknown or not available.
    """
    from ..benchmarks.operations import timeable, usual_backends

    if text is None:
        return usual_backends() or ["reference"]
    reasons = timeable()
    for name in (chosen := text.split(",")):
        if name not in reasons:
            raise FastnnError(f"there is no backend {name!r}{nearest(name, list(reasons))}")
        if reasons[name]:
            raise FastnnError(f"the backend {name!r} cannot be timed: {reasons[name]}")
    return chosen


def _operations(patterns: list[str]) -> list[str]:
    from ..core.operations import OPERATIONS

    found: dict[str, None] = {}
    for pattern in patterns or SOME:
        names = fnmatch.filter(OPERATIONS, pattern)
        if not names:
            hint = nearest(pattern, list(OPERATIONS))
            hint = hint if hint.startswith("; did") else "; fastnn/README.md lists them"
            raise FastnnError(f"there is no operation {pattern!r}{hint}")
        found |= dict.fromkeys(names)
    return list(found)


def _write_csv(path: str, rows: list[Figures]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(rows[0]._fields)
    writer.writerows(rows)
    if path == "-":
        options.answer(stream.getvalue())
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(stream.getvalue())
