"""`fastnn predict MODEL DATA`: what a saved network says about each row."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.printing import encodable, say
from . import options, sources

if TYPE_CHECKING:
    import fastnn

    from ..core.arrays import Array
    from .schema import Column, Notation, Schema

HELP = "predict for each row of a table or an array with a saved network"
EPILOG = """\
MODEL is a file that `fastnn train` or `model.save` wrote. DATA is
  FILE.csv  a table with the columns that the network was trained on, in any
            order. Other columns, the target too, are not looked at.
            A text that did not occur in training is an error. It may be packed
            (.csv.gz, .bz2, .xz); - is such a table from standard input
  FILE.npz  an array X, x, X_test or x_test (the first that is there), with the
            network's inputs in their order
  digits, mnist, fashion_mnist
            the test rows of these sets (of the digits all)

What comes out, a line for each row, as CSV:
  prediction  the name of the class, or the value (of several: prediction_0 ...)
  p_CLASS     with --probabilities, how likely each class is
An .npz file gets arrays of these names, or probabilities and classes. A network
that `fastnn train` has not made has no names for its outputs: they are given as
they are.

examples
  fastnn predict iris.safetensors new.csv
  fastnn predict iris.safetensors new.csv --probabilities --output answers.csv
  fastnn predict digits.safetensors digits | head
"""
BATCH = 1024


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "predict", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="a file of a network")
    parser.add_argument(
        "data", type=sources.name_of, metavar="DATA", help="a .csv or .npz file, - or digits (see below)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="a .csv or .npz file to write (stdout, as CSV)")
    parser.add_argument("--probabilities", action="store_true", help="give the probability of each class too")
    options.add_use(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict and write."""
    from ..errors import FastnnError
    from ..models import load_model
    from . import schema

    if args.output is not None:
        if args.output.suffix.lower() not in (".csv", ".npz"):
            raise FastnnError(f"--output {args.output}: expected a name that ends in .csv or .npz")
        options.require_folder("--output", args.output)
        options.require_other("--output", args.output, args.model, args.data)
    model = load_model(args.model, backend=args.backend)
    if len(model.inputs) > 1 or len(model.outputs) > 1:
        has = f"{options.count(len(model.inputs), 'input')} and {options.count(len(model.outputs), 'output')}"
        raise FastnnError(
            f"{args.model}: the network has {has}, and tables have one of each; use model.predict in Python"
        )
    trained = schema.of_model(args.model, model)
    if args.probabilities and (trained is None or trained.classes is None):
        raise FastnnError(f"{args.model}: --probabilities is for classes, which this network does not tell apart")
    outputs = model.predict(_inputs(args, model, trained), batch_size=BATCH, verbose=0)
    predictions = _predictions(outputs, trained)
    probabilities = outputs if args.probabilities else None
    if args.output is not None:
        _write(args.output, predictions, probabilities, trained)
    if args.json:
        report: dict[str, object] = {"model": args.model, "data": args.data, "rows": len(outputs)}
        if args.output is not None:
            report["output"] = str(args.output)
        else:
            report["predictions"] = _plain(predictions)
            if probabilities is not None and trained is not None:
                report |= {"classes": trained.classes, "probabilities": _plain(probabilities)}
        options.print_json(report)
    elif args.output is not None:
        options.answer(f"{options.count(len(outputs), 'prediction')} in {args.output}\n")
    else:
        lines = [*_lines(predictions, probabilities, trained)]
        if any(encodable(line, sys.stdout) != line for line in lines):
            encoding = sys.stdout.encoding
            say(f"fastnn predict: {encoding} lacks letters of the classes; --output writes UTF-8", "stderr")
        for line in lines:
            options.answer(line)
    return 0


def _inputs(args: argparse.Namespace, model: fastnn.Sequential | fastnn.Model, trained: Schema | None) -> Array:
    """The rows of DATA in the shape that the network takes."""
    from ..errors import FastnnError
    from . import arrays, data, schema

    columns = () if trained is None else trained.columns
    shape = tuple(size or 1 for size in model.input_shape[1:])
    if arrays.is_table(args.data):
        notation = options.notation(args, schema.USUAL if trained is None else trained.notation)
        X = _table(Path(args.data), columns, math.prod(shape), notation)
    else:
        options.require_usual(args.data, options.notation(args, schema.USUAL))
        X = arrays.inputs(args.data)
        if names := schema.texts(columns):
            raise FastnnError(
                f'{args.data}: the network takes texts ("{names[0]}"), which arrays do not hold; give a .csv file'
            )
    if not len(X):
        raise FastnnError(f"{args.data}: no rows to predict for")
    X = shaped(args.data, X, model)
    if trained is not None and trained.fill is not None:
        data.fill_missing(X, trained.fill)
    cure = "" if trained is None else "; remove such rows, or train with --impute mean"
    data.require_complete(args.data, [X], columns, cure)
    return X


def shaped(data: str, X: Array, model: fastnn.Sequential | fastnn.Model) -> Array:
    """Rows in the shape that a network takes.

    Raises:
        FastnnError: they have other numbers of elements.
    """
    from ..errors import FastnnError

    shape = tuple(size or 1 for size in model.input_shape[1:])
    if math.prod(X.shape[1:]) != math.prod(shape):
        raise FastnnError(f"{data}: rows have shape {X.shape[1:]}, the network was trained on {shape}")
    return X.reshape(len(X), *shape)


def _table(path: Path, columns: Sequence[Column], inputs: int, notation: Notation) -> Array:
    """The inputs (n, inputs) of a .csv file; all of them, in their order, where the network has no names."""
    from ..errors import FastnnError
    from . import frames, schema

    frame = frames.read(path, notation, schema.texts(columns))
    if not columns:
        columns = [schema.Column(str(name)) for name in frame.columns]
        if len(columns) != inputs:
            raise FastnnError(
                f"{path}: {options.count(len(columns), 'column')}; the network has {options.count(inputs, 'input')} "
                "without names, so that the table must have as many"
            )
    frames.require(path, frame, [column.name for column in columns])
    if not len(frame):
        raise FastnnError(f"{path}: no rows to predict for")
    return frames.encode(path, frame, columns, notation)


def _predictions(outputs: Array, trained: Schema | None) -> Array:
    """The classes (n,), or the values (n,) or (n, O)."""
    import numpy as np

    if trained is not None and trained.classes is not None:
        classes: Array = np.asarray(trained.classes)[outputs.argmax(axis=1)]
        return classes
    return outputs.reshape(-1) if outputs.shape[1] == 1 else outputs


def _plain(values: Array) -> list[object]:
    """The values as Python's own, floats with the fewest digits that tell them from their neighbours."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [_plain(row) if row.ndim else float(str(row)) for row in values]


def _lines(predictions: Array, probabilities: Array | None, trained: Schema | None) -> Iterable[str]:
    """CSV: a header and a line for each row."""
    import csv
    import io

    several = predictions.ndim == 2
    names = [f"prediction_{place}" for place in range(predictions.shape[1])] if several else ["prediction"]
    parts = [predictions if several else predictions[:, None]]
    if probabilities is not None and trained is not None and trained.classes is not None:
        names += [f"p_{name}" for name in trained.classes]
        parts.append(probabilities)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for start in range(0, len(predictions), BATCH):
        block = (part[start : start + BATCH] for part in parts)
        writer.writerows([cell for row in rows for cell in row] for rows in zip(*map(_plain, block), strict=True))
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _write(path: Path, predictions: Array, probabilities: Array | None, trained: Schema | None) -> None:
    """A .csv or .npz file, whole or not at all."""
    import io

    import numpy as np

    from ..core.files import write_atomically

    if path.suffix.lower() == ".csv":
        write_atomically(path, "".join(_lines(predictions, probabilities, trained)).encode())
        return
    arrays: dict[str, Any] = {"prediction": predictions}  # the stubs of savez take an unpacked dict for allow_pickle
    if probabilities is not None and trained is not None:
        arrays |= {"probabilities": probabilities, "classes": np.asarray(trained.classes)}
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_atomically(path, content.getvalue())
