"""`fastnn train DATA`: read, hold out, scale, train, test, save."""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import fastnn

from .. import config, saving
from ..callbacks import Callback
from ..errors import FastnnError
from . import data

DIVERGED = 1
HELP = "train a dense network on a data set, test it on rows it has not seen, and save it"
EPILOG = """\
DATA is one of
  digits         1,797 handwritten digits of 8 x 8 pixels, which come with fastnn
  mnist.npz      an archive with x_train and y_train (or X_train), and x_test and y_test if it has its own test rows
  any .npz file  with X (rows, columns) and y (rows,), written by numpy.savez("name.npz", X=X, y=y)

What happens to it: integers in y are class numbers from 0 (cross-entropy, accuracy); floats are quantities (mean
squared error, R squared). A fifth of the rows, chosen by --seed, is held out for the test, unless the file has its
own test rows. uint8 columns are pixels and are divided by 255; all others are standardised with the mean and standard
deviation of the training rows, so the saved network expects standardised columns too.

examples
  fastnn train digits
  fastnn train mnist.npz --layers 256,128 --epochs 10 --batch 128
  fastnn train flights.npz --layers 64,64 --optimizer adamw --lr 0.002 --out flights.safetensors
"""


def add_parser(commands: Any) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "train", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", metavar="DATA", help="digits, or the path of an .npz file (see below)")
    parser.add_argument(
        "--layers", type=_widths, default=(128,), metavar="N,N", help="units of each hidden layer (128); 0 for none"
    )
    parser.add_argument(
        "--activation", default="relu", metavar="NAME", help="of the hidden layers: relu, tanh, ... (relu)"
    )
    parser.add_argument("--epochs", type=_positive, default=20, metavar="N", help="passes over the training rows (20)")
    parser.add_argument("--batch", type=_positive, default=32, metavar="N", help="rows for each update (32)")
    parser.add_argument(
        "--optimizer", default="adam", metavar="NAME", help="sgd, rmsprop, adagrad, adam or adamw (adam)"
    )
    parser.add_argument("--lr", type=_rate, default=None, metavar="X", help="learning rate (the optimizer's default)")
    parser.add_argument(
        "--backend", default=None, metavar="NAME", help="which one computes; `fastnn info` lists them (auto)"
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="of the held-out rows, weights and order: the same seed, the same bits (0)",
    )
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="where the network goes (DATA.safetensors)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train as the options say and print one last line with the result."""
    out = args.out or Path(f"{Path(args.data).stem}.safetensors")
    try:
        if not out.parent.is_dir() or out.is_dir():
            raise FastnnError(f"--out {out}: expected a file in a folder that exists")
        saving.require_writable(out)
    except OSError as error:
        raise FastnnError(f"--out {out}: cannot be written: {error.strerror}") from None
    table = data.load(args.data, args.seed)
    fastnn.utils.set_random_seed(args.seed)
    model = _model(table, args)
    print(table.describe(), flush=True)

    clock = _EpochClock()
    losses = model.fit(table.X, table.y, epochs=args.epochs, batch_size=args.batch, callbacks=[clock]).history["loss"]
    scores = model.evaluate(table.X_test, table.y_test, batch_size=1024, verbose=0, return_dict=True)
    diverged = next((loss for loss in (losses[-1], scores["loss"]) if not math.isfinite(loss)), None)
    if diverged is not None:
        print(
            f"fastnn train: the training diverged: the loss is {diverged} after epoch {len(losses)}; nothing "
            "was saved; try a smaller --lr",
            file=sys.stderr,
        )
        return DIVERGED
    model.save(out)
    # The median epoch: the first one may hold compilation.
    rate = len(table.X) / statistics.median(clock.seconds)
    threads = 1 if model.backend == "reference" else min(fastnn.get_num_threads(), config.available_cores())
    parts = [
        "test " + " · ".join(f"{name} {scores[key]:.4g}" for name, key in _reported(table)),
        f"{rate:,.0f} samples/s",
        f"{model.backend}, {threads} thread{'s' if threads != 1 else ''}",
        f"saved {out}",
    ]
    print(" · ".join(parts))
    return 0


def _reported(table: data.Table) -> list[tuple[str, str]]:
    """What the last line calls a score, and its key in the logs."""
    return [("accuracy", "accuracy")] if table.classes else [("r2", "r2_score"), ("mae", "mae")]


def _model(table: data.Table, args: argparse.Namespace) -> fastnn.Sequential:
    hidden = [fastnn.layers.Dense(units, activation=args.activation) for units in args.layers]
    last = fastnn.layers.Dense(table.outputs, activation="softmax" if table.classes else None)
    model = fastnn.Sequential([fastnn.Input((table.X.shape[1],)), *hidden, last])
    optimizer = fastnn.optimizers.get(args.optimizer)
    if args.lr is not None:
        optimizer = type(optimizer)(learning_rate=args.lr)
    model.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy" if table.classes else "mean_squared_error",
        metrics=[key for _, key in _reported(table)],
        **({"backend": args.backend} if args.backend else {}),
    )
    return model


class _EpochClock(Callback):
    """Takes the time of each epoch, and ends a training whose loss is no longer finite."""

    def __init__(self) -> None:
        super().__init__()
        self.start = 0.0
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self.start)
        self.model.stop_training = not math.isfinite((logs or {})["loss"])


def _widths(text: str) -> tuple[int, ...]:
    if text == "0":
        return ()
    try:
        widths = tuple(int(part) for part in text.split(","))
    except ValueError:
        widths = (0,)
    if min(widths) < 1:
        raise argparse.ArgumentTypeError(f"expected positive whole numbers such as 256,128, got {text!r}")
    return widths


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2**32 - 1, got {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return rate
