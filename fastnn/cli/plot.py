"""`fastnn plot WHAT`: pictures of activations, trainings, weights and predictions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options, sources

if TYPE_CHECKING:
    from ..diagnostics import Health
    from .scores import Scores

HELP = "draw activations, a training, weights, a confusion matrix, or predictions"
EPILOG = """\
WHAT is one of
  activations [NAME ...]   functions and their derivatives (six usual ones)
  curves LOG.csv|MODEL     losses and metrics by epoch, of the file of a
                           CSVLogger or a network that `fastnn train` wrote
  weights MODEL            histograms of the weights of each layer
  health MODEL DATA        gradients, activations, size of a step and dead units
                           by layer, in a step on the first 256 rows
  confusion MODEL DATA     which classes are taken for which
  predictions MODEL DATA   predicted against true values of a quantity

DATA is what `fastnn evaluate` takes. Needs matplotlib: pip install ".[plot]" in
the checkout. `fastnn train --report` writes a page with all of them.

examples
  fastnn plot activations sigmoid relu --out activations.svg
  fastnn plot curves iris.safetensors
  fastnn plot confusion digits.safetensors digits --out digits.png
"""
_KINDS = {
    "activations": (0, 99),
    "curves": (1, 1),
    "weights": (1, 1),
    **dict.fromkeys(("health", "confusion", "predictions"), (2, 2)),
}
_EXPECTED = ("nothing", "one file", "MODEL and DATA")


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "plot", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", metavar="WHAT", choices=_KINDS, help="see below")
    parser.add_argument("sources", nargs="*", metavar="SOURCE", type=sources.name_of, help="names or files, see below")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a .png, .svg or .pdf file (WHAT.png)")
    options.add_use(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw and write."""
    from ..errors import FastnnError
    from ..plotting.figures import require_matplotlib

    least, most = _KINDS[args.what]
    if not least <= len(args.sources) <= most:
        raise FastnnError(f"{args.what}: got {options.count(len(args.sources), 'name')}, expected {_EXPECTED[least]}")
    out = args.out or Path(f"{args.what}.png")
    options.require_folder("--out", out)
    options.require_other("--out", out, *args.sources)
    require_matplotlib()
    said = _draw(args, out)
    if args.json:
        options.print_json({"what": args.what, "file": str(out)} | ({"verdict": said} if said else {}))
    else:
        options.answer((f"{said}\n" if said else "") + f"saved {out}\n")
    return 0


def _draw(args: argparse.Namespace, out: Path) -> str:
    """Draws; gives what there is to say of it."""
    from .. import plotting
    from ..errors import FastnnError
    from ..models import load_model
    from .scores import ClassScores

    if args.what == "activations":
        if args.sources:
            plotting.activations(args.sources, out)
        else:
            plotting.activations(file=out)
    elif args.what == "curves":
        source: Any = args.sources[0]
        if sources.suffix(source) not in (".csv", ".tsv", ".txt"):
            source = load_model(source, backend="reference")
            if "history" not in source.metadata:
                raise FastnnError(f"{args.sources[0]}: `fastnn train` has not made it, so it holds no results by epoch")
        plotting.curves(source, out)
    elif args.what == "weights":
        plotting.weights(load_model(args.sources[0], backend="reference"), out)
    elif args.what == "health":
        health = _health(args)
        plotting.health(health, out)
        return f"{health.verdict}: {health.text}"
    else:
        scores = _scores(args)
        if isinstance(scores, ClassScores) != (args.what == "confusion"):
            kind, instead = ("classes", "confusion") if args.what == "predictions" else ("a quantity", "predictions")
            raise FastnnError(f"{args.sources[0]}: it predicts {kind}; draw {instead}")
        if isinstance(scores, ClassScores):
            plotting.confusion(scores.matrix, scores.classes, out)
        else:
            plotting.predictions(scores.y, scores.predicted, scores.target, out)
    return ""


def _scores(args: argparse.Namespace) -> Scores:
    from .evaluate import scored

    args.model, args.data = args.sources
    return scored(args)


def _health(args: argparse.Namespace) -> Health:
    from ..diagnostics import ROWS, gradient_health
    from .evaluate import opened, rows

    args.model, args.data = args.sources
    model, trained = opened(args)
    X, y = rows(args, model, trained)
    return gradient_health(model, X[:ROWS], y[:ROWS])
