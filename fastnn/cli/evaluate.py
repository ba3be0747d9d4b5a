"""`fastnn evaluate MODEL DATA`: how well a saved network predicts rows whose target is known."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options, sources

if TYPE_CHECKING:
    import fastnn

    from ..core.arrays import Array
    from .schema import Notation, Schema
    from .scores import Scores

HELP = "test a saved network on rows whose target is known"
EPILOG = """\
MODEL is a file that `fastnn train` wrote. DATA is
  FILE.csv  a table with the columns that the network was trained on and the
            target, in any order; packed, or - from standard input, as for
            `fastnn predict`
  FILE.npz  arrays X_test and y_test, x_test and y_test, or X and y
  digits, mnist, fashion_mnist
            the test rows of these sets (of the digits all)

What comes out: of classes the accuracy and what always guessing the most
frequent one gives, a matrix with a row for each true class and a column for
each prediction, precision (of the rows predicted so, how many are) and recall
(of the rows that are so, how many are predicted); of a quantity the errors in
its own unit, and what always guessing the mean gives. Rows that the network
was trained on say little of new ones.

examples
  fastnn evaluate iris.safetensors new.csv
  fastnn evaluate digits.safetensors digits --json
"""


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "evaluate", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="a file of a network that `fastnn train` wrote")
    parser.add_argument(
        "data", type=sources.name_of, metavar="DATA", help="a .csv or .npz file, - or digits (see below)"
    )
    options.add_use(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Test and print."""
    scores = scored(args)
    if args.json:
        options.print_json({"model": args.model, "data": args.data, "rows": scores.rows, **scores.to_json()})
    else:
        options.answer("\n".join([f"{options.count(scores.rows, 'row')}: {scores.head()}", *scores.lines()]) + "\n")
    return 0


def scored(args: argparse.Namespace) -> Scores:
    """How MODEL predicts the rows of DATA.

    Raises:
        FastnnError: a model that `fastnn train` has not made, or rows that it was not trained for.
    """
    from .scores import score

    model, trained = opened(args)
    X, y = rows(args, model, trained)
    return score(model, X, y, trained.target, trained.classes)


def opened(args: argparse.Namespace) -> tuple[fastnn.Sequential | fastnn.Model, Schema]:
    """MODEL, and what its file says of the data.

    Raises:
        FastnnError: `fastnn train` has not made it.
    """
    from ..errors import FastnnError
    from ..models import load_model
    from . import schema

    model = load_model(args.model, backend=args.backend)
    trained = schema.of_model(args.model, model)
    if trained is None:
        raise FastnnError(
            f"{args.model}: `fastnn train` has not made it, so that what its outputs stand for is not known; use "
            "model.evaluate in Python"
        )
    return model, trained


def rows(args: argparse.Namespace, model: fastnn.Sequential | fastnn.Model, trained: Schema) -> tuple[Array, Array]:
    """The inputs of DATA in the shape that the network takes, and its targets: numbers of classes, or quantities."""
    from . import arrays, data, predict, schema

    if arrays.is_table(args.data):
        X, target = _table(Path(args.data), trained, options.notation(args, trained.notation))
        X = predict.shaped(args.data, X, model)
        if trained.fill is not None:
            data.fill_missing(X, trained.fill)
        data.require_complete(args.data, [X], trained.columns, "; remove such rows, or train with --impute mean")
    else:
        options.require_usual(args.data, options.notation(args, schema.USUAL))
        target_name = trained.target if args.data not in arrays.SETS else None
        _, parts = arrays.train(args.data, target_name)
        X, target = parts[-2:]
        X = predict.shaped(args.data, X, model)
    return X, _targets(f"{args.data}: {trained.target}", target, trained)


def _table(path: Path, trained: Schema, notation: Notation) -> tuple[Array, Array]:
    from ..errors import FastnnError
    from . import frames, schema

    named = trained.classes is not None and isinstance(trained.classes[0], str)
    frame = frames.read(path, notation, [*schema.texts(trained.columns), *([trained.target] if named else [])])
    frames.require(path, frame, [*(column.name for column in trained.columns), trained.target])
    target = frame[trained.target]
    if not len(frame):
        raise FastnnError(f"{path}: no rows to test on")
    if missing := int(target.isna().sum()):
        raise FastnnError(f'{path}: the target "{trained.target}" is missing in {options.count(missing, "row")}')
    if not named and target.dtype.kind not in "iuf":
        raise FastnnError(f'{path}: the target "{trained.target}" holds texts, expected numbers as in training')
    values: Array = target.to_numpy(str if named else target.dtype)
    return frames.encode(path, frame, trained.columns, notation), values


def _targets(what: str, values: Array, trained: Schema) -> Array:
    """Targets as the network's: numbers of classes, or float32."""
    import numpy as np

    from ..errors import FastnnError
    from . import arrays

    if trained.classes is None:
        if values.dtype.kind not in "biuf":
            raise FastnnError(f"{what} holds texts, expected numbers as in training")
        arrays.require_finite(what, values, nan=False)
        return values
    known: dict[Any, int] = {name: number for number, name in enumerate(trained.classes)}
    plain = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values.tolist()]
    unknown = next((value for value in plain if value not in known), None)
    if unknown is not None:
        names = ", ".join(repr(name) for name in trained.classes[:8])
        raise FastnnError(f"{what} holds {unknown!r}, which was not among the classes trained on: {names}")
    return np.array([known[value] for value in plain], np.int64)


__all__ = ["add_parser", "opened", "rows", "run", "scored"]
