"""The networks of the tables, what is trained of them, and the options that choose."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import NamedTuple

from common import whole_numbers


class Network(NamedTuple):
    """Widths from input to output, and rows an epoch: whole batches, near a second or less for the slowest peer."""

    name: str
    widths: list[int]
    batch: int
    rows: int

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def forward_flops(self) -> int:
        """Of the GEMMs that predict one row."""
        return 2 * sum(fan_in * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def step_flops(self) -> int:
        """Of the GEMMs of a training step: forward, dW, and dX of all layers but the first."""
        return self.batch * (3 * self.forward_flops - 2 * self.widths[0] * self.widths[1])


ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus")  # of the hidden layers
CLASSES = "sparse_categorical_crossentropy"  # the loss of a softmax on integer labels
LOSSES = (CLASSES, "binary_crossentropy", "mean_squared_error", "mean_absolute_error", "huber")
OPTIMIZERS = {"adam": 2, "sgd": 0, "momentum": 1, "rmsprop": 1, "adagrad": 1}  # slots of a parameter

NETWORKS = [
    Network("64-32-10, 32", [64, 32, 10], 32, 32 * 1500),
    Network("784-128-10, 64", [784, 128, 10], 64, 64 * 400),
    Network("784-256-128-10, 128", [784, 256, 128, 10], 128, 128 * 160),
    Network("32-(64 x 8)-2, 256", [32, *[64] * 8, 2], 256, 256 * 200),
    Network("784-1024-1024-10, 256", [784, 1024, 1024, 10], 256, 256 * 24),
    Network("1024-4096-4096-16, 512", [1024, 4096, 4096, 16], 512, 512 * 2),
]


def widths(text: str) -> list[int]:
    """Of an option such as 784-256-10.

    Raises:
        argparse.ArgumentTypeError: fewer than two whole numbers.
    """
    parts = text.split("-")
    if len(parts) < 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}, expected widths from input to output, such as 784-256-128-10")
    return [int(part) for part in parts]


def add_options(made: argparse.ArgumentParser, default: int | None = None) -> None:
    """The options that choose networks: unless told, the row `default`, or all."""
    chosen = made.add_argument_group("which networks")
    chosen.add_argument(
        "--networks",
        type=whole_numbers,
        default=None if default is None else [default],
        metavar="N,N",
        help="rows of the table: "
        + "; ".join(f"{number} {row.name}" for number, row in enumerate(NETWORKS, 1))
        + f" ({default or 'all'})",
    )
    chosen.add_argument(
        "--network",
        type=widths,
        action="append",
        metavar="W-W-W",
        help="a network of your own instead; may be repeated",
    )
    chosen.add_argument("--batch", type=int, default=128, metavar="N", help="batch of --network (128)")


def chosen(made: argparse.ArgumentParser, args: argparse.Namespace) -> list[Network]:
    """The networks that the options choose, with --tiny of two steps; ends the script with a message if there is no
    such row."""
    rows = _rows(made, args)
    return [network._replace(rows=2 * network.batch) for network in rows] if args.tiny else rows


def _rows(made: argparse.ArgumentParser, args: argparse.Namespace) -> list[Network]:
    if args.network:
        if args.batch < 1:
            made.error(f"--batch is {args.batch}, expected at least 1")
        rows = []
        for w in args.network:
            # As much work an epoch as the third row of the table.
            named = Network(f"{'-'.join(map(str, w))}, {args.batch}", w, args.batch, 0)
            steps = max(2, min(1500, round(NETWORKS[2].step_flops * 160 / named.step_flops)))
            rows.append(named._replace(rows=args.batch * steps))
        return rows
    if args.networks is None:
        return NETWORKS
    if max(args.networks) > len(NETWORKS):
        made.error(f"--networks is {args.networks}, expected numbers from 1 to {len(NETWORKS)}")
    return [NETWORKS[number - 1] for number in args.networks]
