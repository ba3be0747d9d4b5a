"""`fastnn train DATA`: read, hold out, train, test, save."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..core.printing import is_terminal, say
from . import options, sources

if TYPE_CHECKING:
    import fastnn

    from .. import layers
    from ..diagnostics import GradientHealth
    from .data import Table

DIVERGED = 1
EPOCHS, MOST_EPOCHS, PATIENCE = 20, 200, 10
HELP = "train a network on a table or on arrays, test it on other rows, and save it"
EPILOG = """\
DATA is one of
  digits        1,797 handwritten digits of 8 x 8 pixels, which come with fastnn
  mnist, fashion_mnist
                70,000 digits or pieces of clothing of 28 x 28 pixels, fetched
                once; FASTNN_DATA names a folder that has them already
  FILE.csv      a table whose first line names the columns; --target says which
                one to predict; it may be packed (.csv.gz, .bz2, .xz). Needs
                pandas: pip install ".[data]"
  -             such a table from standard input
  FILE.npz      arrays X (rows, columns) and y (rows,), written by numpy.savez,
                or x_train, y_train, x_test and y_test

The target
  Texts are classes (cross-entropy, accuracy), floats are quantities (mean
  squared error, R squared). Integers are classes if they are few and come
  often, or are numbered from 0 or 1 and come about as often as each other, else
  a quantity; --task says otherwise. The file of the network keeps the names of
  the classes. A quantity is learnt in standard deviations from its mean, as the
  loss shows it, and predicted in its own unit.

The columns
  Numbers are standardised by the mean and deviation of the training rows,
  inside the network (uint8 arrays are pixels and divided by 255). Each text of
  a text column becomes an input that is 1 or 0. So `fastnn predict` takes a
  table like the one trained on, as it is. A missing value (an empty field, NA,
  NaN, null, what --na says) is an error, or with --impute mean the mean of its
  column. Columns without a name, such as row numbers, are left out. Whole
  numbers that begin with 0, such as 007, are texts.

The rows
  A fifth, chosen by --seed, is held out for the test, unless the file has test
  rows of its own. --patience puts a tenth of the others aside, to stop by: a
  file is trained on so unless --epochs or --patience 0 says otherwise.

What comes out
  Of the rows held out: classes by precision and recall, or the errors in the
  target's unit; beside it what always guessing the most frequent class, or the
  mean, gives, and how well the training rows are predicted. --report writes all
  of it with pictures. `fastnn evaluate` tests the network on other rows.

examples
  fastnn train digits
  fastnn train iris.csv --target species --out iris.safetensors
  fastnn train houses.csv --target price --drop id --impute mean --patience 5
  fastnn train mnist --layers 256,128 --dropout 0.2 --epochs 10 --batch 128
"""


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "train", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data",
        type=sources.name_of,
        metavar="DATA",
        help="digits, mnist, or the path of a .csv or .npz file, or - (see below)",
    )
    rows = parser.add_argument_group("what to learn")
    rows.add_argument("--target", metavar="COLUMN", help="the column (.csv) or array (.npz: y) to predict")
    rows.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="A,B",
        help="columns to leave out, such as names and row numbers",
    )
    rows.add_argument(
        "--task",
        choices=("classes", "regression"),
        help="what the target is (floats: regression, texts: classes, integers: by their values)",
    )
    rows.add_argument("--impute", choices=("mean",), help="fill missing values instead of refusing them")
    options.add_notation(rows)
    _add_network(parser)
    _add_training(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--layers", type=options.widths, default=(128,), metavar="N,N", help="units of each hidden layer (128); 0: none"
    )
    network.add_argument(
        "--activation", default="relu", metavar="NAME", help="of the hidden layers: relu, tanh, gelu ... (relu)"
    )
    network.add_argument(
        "--dropout",
        type=options.share,
        default=0.0,
        metavar="X",
        help="the share of each hidden layer that is left out, against overfitting (0)",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    training = parser.add_argument_group("the training")
    training.add_argument(
        "--optimizer", default="adam", metavar="NAME", help="sgd, rmsprop, adagrad, adam or adamw (adam)"
    )
    training.add_argument("--lr", type=options.rate, metavar="X", help="learning rate (the optimizer's own)")
    training.add_argument(
        "--batch",
        type=options.positive,
        metavar="N",
        help="rows for each update (32; from 4 on for a small table)",
    )
    training.add_argument(
        "--epochs",
        type=options.positive,
        metavar="N",
        help=f"passes over the training rows, at most ({EPOCHS}; {MOST_EPOCHS} where rows are put aside)",
    )
    training.add_argument(
        "--patience",
        type=options.whole,
        metavar="N",
        help="stop after N epochs without progress on rows put aside, and go back to the best epoch; 0: never "
        f"({PATIENCE} for files, unless --epochs is given)",
    )
    training.add_argument(
        "--seed",
        type=options.seed,
        default=0,
        metavar="N",
        help="of the held-out rows, weights and order: the same seed, the same bits (0)",
    )
    options.add_backend(training)
    training.add_argument("--out", type=Path, metavar="FILE", help="where the network goes (DATA.safetensors)")
    training.add_argument(
        "--report", type=Path, metavar="FILE.html", help='a page with all scores and pictures; needs ".[plot]"'
    )
    training.add_argument("--no-plot", action="store_true", help="no curve of the loss on a terminal")


def run(args: argparse.Namespace) -> int:
    """Train as the options say and print what came of it."""
    from . import report
    from .scores import remark, score

    out = args.out or Path(f"{sources.stem(args.data)}.safetensors")
    options.require_folder("--out", out)
    options.require_other("--out", out, args.data)
    if args.report is not None:
        report.require(args.report, out, args.data)
    patience = _patience(args)
    table = _load(args, validation=patience > 0)
    if table.X_val is None:
        patience = 0
    model = _model(table, args)
    quantity = table.schema.classes is None
    notes = [*table.notes(), *_compile(model, table, args, [] if quantity else ["accuracy"])]
    for note in notes:
        say(f"fastnn train: {note}", "stderr")
    if not args.json:
        say(table.describe())

    trained = _fit(model, table, args, patience)
    losses = trained.history["loss"]
    results = model.evaluate(table.X_test, table.y_test, batch_size=1024, verbose=0, return_dict=True)
    diverged = next((loss for loss in (losses[-1], results["loss"]) if not math.isfinite(loss)), None)
    if diverged is not None:
        say(
            f"fastnn train: the training diverged: the loss is {diverged} after epoch {len(losses)}; nothing "
            "was saved; try a smaller --lr",
            "stderr",
        )
        return DIVERGED
    model.metadata["history"] = trained.history
    model.save(out)
    target, classes = table.schema.target, table.schema.classes
    test, train = (score(model, X, y, target, classes) for X, y in ((table.X_test, table.y_test), (table.X, table.y)))
    word = remark(test, train)
    if args.report is not None:
        report.write(args.report, report.Training(table, model, trained.history, test, train, word, trained.health))
    rate = len(table.X) / trained.seconds
    if args.json:
        training = {"epochs": len(losses), "test": results, "samples_per_second": round(rate)}
        training |= {"scores": test.to_json(), "train_scores": train.to_json(), "remark": word}
        origin = {"backend": model.backend, "threads": trained.threads, "seed": args.seed, "notes": notes}
        origin["file"] = str(out)
        options.print_json(
            {"data": args.data, **_of_table(table), "parameters": model.count_params(), **training, **origin}
        )
    else:
        team = options.count(trained.threads, "thread")
        lines = [f"test {test.head()}", f"train {train.results()}", *test.lines()]
        lines += [word] if word else []
        lines += _curve(trained.history) if not args.no_plot and is_terminal(sys.stdout) else []
        lines.append(f"saved {out} · {rate:,.0f} samples/s · {model.backend}, {team}")
        lines += [f"report {args.report}"] if args.report is not None else []
        options.answer("\n".join(lines) + "\n")
    return 0


def _load(args: argparse.Namespace, validation: bool) -> Table:
    from . import data, schema

    return data.load(
        args.data,
        args.seed,
        target=args.target,
        drop=args.drop,
        task=args.task,
        impute=args.impute is not None,
        validation=validation,
        sparing=args.patience is None,
        notation=options.notation(args, schema.USUAL),
    )


def _patience(args: argparse.Namespace) -> int:
    """After how many epochs without progress to stop; 0: never."""
    from .arrays import SETS

    if args.patience is not None:
        return int(args.patience)
    return 0 if args.epochs is not None or args.data in SETS else PATIENCE


def _curve(history: dict[str, list[float]]) -> list[str]:
    """The loss by epoch, as letters."""
    from .. import plotting

    shown: dict[str, list[float]] = {name: history[name] for name in ("loss", "val_loss") if name in history}
    text = plotting.curve(shown, width=min(64, shutil.get_terminal_size().columns))
    return text.splitlines()


def _of_table(table: Table) -> dict[str, object]:
    """What the JSON of a training says of its data."""
    rows = {
        "train": len(table.X),
        "validation": 0 if table.X_val is None else len(table.X_val),
        "test": len(table.X_test),
    }
    return {"target": table.schema.target, "classes": table.schema.classes, "rows": rows}


def _model(table: Table, args: argparse.Namespace) -> fastnn.Sequential:
    """The network: what the data need, the hidden layers, the outputs; `_fit` has one layer more for a quantity."""
    from .. import layers
    from ..models import Sequential
    from . import schema

    model = Sequential([layers.Input(table.X.shape[1:])])
    model.seed = args.seed
    if table.X.ndim > 2:
        model.add(layers.Flatten())
    if table.scaling == "pixels":
        model.add(layers.Rescaling(1 / 255))
    elif table.scaling == "columns":
        model.add(_normalization(table))
    for units in args.layers:
        model.add(layers.Dense(units, activation=args.activation))
        if args.dropout:
            model.add(layers.Dropout(args.dropout))
    model.add(layers.Dense(table.outputs, activation=None if table.schema.classes is None else "softmax"))
    model.metadata[schema.KEY] = table.schema.to_json()
    return model


def _normalization(table: Table) -> layers.Normalization:
    """Standardises the numbers by the training rows, and leaves the zeros and ones of the texts as they are."""
    import numpy as np

    from .. import layers
    from .arrays import flattened

    layer = layers.Normalization()
    layer.adapt(flattened(table.X))
    texts = np.repeat(
        [column.categories is not None for column in table.schema.columns],
        [column.width for column in table.schema.columns],
    )
    if not texts.any():
        return layer
    assert layer.mean is not None and layer.variance is not None
    return layers.Normalization(mean=np.where(texts, 0, layer.mean[0]), variance=np.where(texts, 1, layer.variance[0]))


def _compile(model: fastnn.Sequential, table: Table, args: argparse.Namespace, metrics: list[str]) -> list[str]:
    """Compiles with an optimizer of its own; returns the advice, one text each."""
    from .. import optimizers
    from ..errors import ModelAdvice

    optimizer = optimizers.get(args.optimizer)
    if args.lr is not None:
        optimizer = type(optimizer)(learning_rate=args.lr)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelAdvice)
        model.compile(
            optimizer=optimizer,
            loss="mean_squared_error" if table.schema.classes is None else "sparse_categorical_crossentropy",
            metrics=metrics,
            backend=args.backend,
        )
    texts = [str(warning.message) for warning in caught]
    return [text for text in texts if "learning rate" not in text]  # a training that diverges says so itself


class _Trained(NamedTuple):
    """Results by epoch, the seconds of the median one, since the first may hold compilation, the threads that ran, and
    what watched the network's health, for a report."""

    history: dict[str, list[float]]
    seconds: float
    threads: int
    health: GradientHealth | None


def _fit(model: fastnn.Sequential, table: Table, args: argparse.Namespace, patience: int) -> _Trained:
    """Trains.

    A quantity is trained on standardised, so that a learning rate means the same whatever its unit; a last layer that
    is added then gives it its unit back.
    """
    from ..callbacks import Callback, EarlyStopping, LambdaCallback, TerminateOnNaN

    times: list[float] = []
    callbacks: list[Callback] = [
        LambdaCallback(
            on_epoch_begin=lambda epoch, logs: times.append(-time.perf_counter()),
            on_epoch_end=lambda epoch, logs: times.append(times.pop() + time.perf_counter()),
        ),
        TerminateOnNaN(),
    ]
    if patience:
        callbacks.append(EarlyStopping("val_loss", patience=patience, restore_best_weights=True))
    quantity = table.schema.classes is None
    offset = float(table.y.mean(dtype="float64")) if quantity else 0.0
    scale = (float(table.y.std(dtype="float64")) or 1.0) if quantity else 1.0
    targets = [
        (y.astype("float64") - offset) / scale if quantity else y for y in (table.y, table.y_val) if y is not None
    ]
    health = None
    if args.report is not None:
        from ..diagnostics import ROWS, GradientHealth

        health = GradientHealth(table.X[:ROWS], targets[0][:ROWS], verbose=0)
        callbacks.append(health)
    history = model.fit(
        table.X,
        targets[0],
        epochs=args.epochs or (MOST_EPOCHS if patience else EPOCHS),
        # A small table gets 32 updates an epoch, or 20 epochs would not be enough to learn anything.
        batch_size=args.batch or min(32, max(4, len(table.X) // 32)),
        callbacks=callbacks,
        validation_data=None if table.X_val is None else (table.X_val, targets[1]),
        verbose=0 if args.json else "auto",
    ).history
    threads = model.engine().program.threads
    if quantity:
        _give_unit(model, table, args, scale, offset)
    return _Trained(history, sorted(times)[(len(times) - 1) // 2], threads, health)


def _give_unit(model: fastnn.Sequential, table: Table, args: argparse.Namespace, scale: float, offset: float) -> None:
    """Adds the last layer; the optimizer begins anew, the counts of steps and epochs go on."""
    from ..layers import Rescaling

    counters = model.engine().state.counters.copy()
    model.add(Rescaling(scale, offset))
    _compile(model, table, args, ["r2_score", "mae"])
    model.engine().state.counters[:] = counters
