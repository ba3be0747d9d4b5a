"""`fastnn compare`: a training on fastnn's backends beside other libraries, in one command."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.printing import say
from ..errors import FastnnError
from . import options

if TYPE_CHECKING:
    from ..benchmarks.comparing import Comparison

HELP = "train one network on each backend and with other libraries, and compare: speed, bits, start, memory"
EPILOG = """\
Every figure comes from fresh processes, each held to as many cores as it has
threads; a round visits all libraries before the next begins, so that a slow
minute of the machine hits all. Ratios are those of one run: of each round, and
their median. A library that is not installed is left out, and said so.

  start, warm, cold   seconds of imports, compilation and first use before the
                      first usual epoch; cold: with empty caches of compiled code
  memory              MB that the process grew by, beside what the plan has of
                      theta, gradient, slots and workspace
  of the floor        how much of the time is needed at least, for the flops at
                      the measured peak and the optimizer's bytes

OpenBLAS chooses its kernels by the processor: OPENBLAS_CORETYPE and
OPENBLAS_L2_SIZE, which some machines set, do not hold here. --avx2 holds every
library to AVX2.

examples
  fastnn compare                                  784-256-128-10, batch 128: two or three minutes
  fastnn compare --model 64-32-10 --batch 32 --threads 1,2 --phases
  fastnn compare --table iris.csv --target species --peers sklearn
  fastnn compare --phases --html report.html --json out.json
"""


# Not compile, which needs a C++ compiler and half a minute each time.
PEERS = "jax,torch,sklearn,keras,numpy"


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "compare", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what is trained")
    what.add_argument(
        "--model",
        type=options.model,
        metavar="N-N-N",
        help="units from inputs to outputs, on random rows (784-256-128-10); with --table: the hidden ones alone (128)",
    )
    what.add_argument("--batch", type=options.positive, metavar="N", help="rows for each update (128)")
    what.add_argument("--table", metavar="FILE", help="train on a table, as `fastnn train` reads it")
    what.add_argument("--target", metavar="COLUMN", help="the column of the table to predict")
    beside = parser.add_argument_group("what is compared")
    beside.add_argument("--backends", metavar="A,B", help="of fastnn (all that are available); reference: its bits")
    beside.add_argument("--peers", default=PEERS, metavar="A,B", help=f'({PEERS}); "": none')
    beside.add_argument("--threads", type=options.threads, metavar="N,N", help="how many (as many as fastnn takes)")
    beside.add_argument("--avx2", action="store_true", help="hold every library to AVX2")
    how = parser.add_argument_group("how it is measured")
    how.add_argument("--rounds", type=options.positive, default=3, metavar="N", help="fresh processes of each (3)")
    how.add_argument(
        "--seconds", type=options.rate, default=0.5, metavar="X", help="of repeating epochs in each process (0.5)"
    )
    how.add_argument(
        "--no-cold",
        action="store_true",
        help="leave out the start with empty caches, for which Numba compiles everything: half a minute, or minutes",
    )
    how.add_argument(
        "--phases", action="store_true", help="where the time of a step goes: gather, forward, loss, backward, update"
    )
    how.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help='a page with charts, for which more is measured; needs matplotlib: pip install ".[plot]"',
    )
    how.add_argument("--json", metavar="FILE", help="everything as one JSON object; - prints that instead of text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    from ..benchmarks import tables

    for option, path in (("--html", args.html), ("--json", None if args.json in (None, "-") else Path(args.json))):
        if path is not None:
            options.require_folder(option, path)
            options.require_other(option, path, *([args.table] if args.table else []))
    if args.html is not None and args.json is not None and args.html.resolve() == Path(args.json).resolve():
        raise FastnnError(f"--json {args.json}: --html names the same file; name another one")
    if args.html is not None:
        from ..plotting.figures import require_matplotlib

        require_matplotlib()
    command = "fastnn " + shlex.join(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        found = _comparison(args, Path(folder)).measure(command)
    if args.html is not None:
        from ..benchmarks import report

        args.html.write_text(report.page(found), encoding="utf-8")
    if args.json == "-":
        options.print_json(found)
    else:
        if args.json is not None:
            Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
        options.answer(tables.of_comparison(found) + "\n")
    if found["busy"]:
        say(f"fastnn compare: {found['busy']}", "stderr")
    return 0 if found["bits"]["equal"] or len(found["bits"]["digests"]) < 2 else 1


def _comparison(args: argparse.Namespace, folder: Path) -> Comparison:
    """What the options ask for; the rows of a table go into a file in a folder."""
    from .. import config
    from ..benchmarks import networks
    from ..benchmarks.comparing import Comparison
    from ..benchmarks.operations import timeable, usual_backends
    from ..benchmarks.training import USUAL

    reasons = timeable()
    asked = args.backends.split(",") if args.backends else usual_backends()
    wrong = [name for name in asked if name not in reasons]
    if wrong:
        raise FastnnError(f"--backends: unknown {', '.join(wrong)}; known: {', '.join(reasons)}")
    missing = {name: reasons[name] for name in asked if reasons[name]}
    if asked and len(missing) == len(asked):
        told = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        raise FastnnError(f"--backends: none of them can be timed: {told}")
    peers = [name for name in args.peers.split(",") if name]
    unknown = [name for name in peers if name not in networks.PEERS]
    if unknown:
        raise FastnnError(f"--peers: unknown {', '.join(unknown)}; known: {', '.join(networks.PEERS)}")
    task: dict[str, Any] = dict(USUAL)
    if args.table is None:
        if args.target is not None:
            raise FastnnError("--target is for --table; without a table the rows are random")
        network = networks.own(args.model or [784, 256, 128, 10], args.batch or 128)
    else:
        network, more = _of_table(args, folder)
        task |= more
    return Comparison(
        network,
        task,
        backends=[name for name in asked if name not in missing],
        peers=peers,
        threads=args.threads or [config.get_num_threads()],
        rounds=args.rounds,
        seconds=args.seconds,
        cold=not args.no_cold,
        phases=args.phases or args.html is not None,
        survey=args.html is not None,
        avx2=args.avx2,
        unavailable=missing,
    )


def _of_table(args: argparse.Namespace, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The network for a table, whose standardised rows go into a file, in whole batches."""
    import numpy as np

    from ..benchmarks.networks import Network
    from . import data, sources
    from .arrays import flattened

    table = data.load(sources.name_of(args.table), seed=0, target=args.target)
    X = flattened(table.X).astype(np.float32)
    if table.scaling == "pixels":
        X /= np.float32(255)
    elif table.scaling == "columns":
        deviation = X.std(axis=0)
        X = (X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    classes = table.schema.classes is not None
    y = table.y.astype(np.int64) if classes else table.y.astype(np.float32).reshape(-1, 1)
    if not classes:
        y = (y - y.mean()) / (y.std() or 1)
    batch = min(args.batch or min(128, max(4, len(X) // 32)), len(X))
    rows = len(X) // batch * batch
    np.savez(folder / "rows.npz", X=np.ascontiguousarray(X[:rows]), y=np.ascontiguousarray(y[:rows]))
    widths = [X.shape[1], *(args.model or [128]), table.outputs]
    name = f"{Path(args.table).name}: {'-'.join(map(str, widths))}, {batch}"
    task = {"data": str(folder / "rows.npz")} | ({} if classes else {"loss": "mean_squared_error"})
    return Network(name, widths, batch, rows), task
