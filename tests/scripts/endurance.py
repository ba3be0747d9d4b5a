"""A day's calls in an hour: memory, open files and threads must not grow.

    python tests/scripts/endurance.py                       all, on the default backend: about an hour
    python tests/scripts/endurance.py --share 0.01          a hundredth of it: a minute
    python tests/scripts/endurance.py --backend numba predict train_on_batch

Each part is run for a tenth of its calls first, after which everything that is made once is there; what the rest adds
is printed. Exit code 1 if a part has left more than 4 MB, a file or a thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastnn
from fastnn import layers

X = np.random.RandomState(0).standard_normal((64, 20)).astype(np.float32)
Y = X[:, :1]
MOST_BYTES = 4 * 2**20


class Held(NamedTuple):
    """What the process holds."""

    bytes: int
    files: int
    threads: int


def held() -> Held:
    """Now; memory is what is resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), threading.active_count())


def model(backend: str) -> fastnn.Sequential:
    """A small compiled network."""
    made = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(32, "relu"), layers.Dropout(0.1), layers.Dense(1)])
    made.compile("adam", "mse", backend=backend)
    return made


@contextmanager
def predicts(backend: str) -> Iterator[Callable[[int], object]]:
    """Of several sizes."""
    one = model(backend)
    yield lambda number: one.predict(X[: 1 + number % 64], verbose=0)


@contextmanager
def trains(backend: str) -> Iterator[Callable[[int], object]]:
    """A step a call, of several sizes."""
    one = model(backend)
    yield lambda number: one.train_on_batch(X[: 1 + number % 64], Y[: 1 + number % 64])


@contextmanager
def models(backend: str) -> Iterator[Callable[[int], object]]:
    """A new model, trained and forgotten."""
    yield lambda number: model(backend).fit(X, Y, verbose=0)


@contextmanager
def graphs(backend: str) -> Iterator[Callable[[int], object]]:
    """A new graph of two inputs and a layer that both share, by name."""
    rows = {"a": X, "b": X[::-1].copy()}

    def call(number: int) -> None:
        a, b = (fastnn.Input((20,), name=name) for name in rows)
        shared = layers.Dense(8, "relu")
        made = fastnn.Model({"a": a, "b": b}, layers.Dense(1)(layers.add([shared(a), shared(b)])))
        made.compile("adam", "mse", backend=backend)
        made.fit(rows, Y, verbose=0)
        made.predict(rows, verbose=0)

    yield call


@contextmanager
def saves(backend: str) -> Iterator[Callable[[int], object]]:
    """Saved over the same file, and loaded."""
    one = model(backend)
    one.train_on_batch(X, Y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"

        def save(number: int) -> None:
            one.save(path)
            fastnn.models.load_model(path).predict(X, verbose=0)

        yield save


PARTS = {"predict": (predicts, 1_000_000), "train_on_batch": (trains, 100_000), "models": (models, 10_000)}
PARTS |= {"graphs": (graphs, 10_000)}
PARTS |= {"saves": (saves, 1_000)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--backend", default="auto", help="of fastnn (auto)")
    parser.add_argument("--share", type=float, default=1.0, help="of the calls (1)")
    args = parser.parse_args()
    failed = False
    for name in args.parts or PARTS:
        made, calls = PARTS[name]
        calls = max(20, int(calls * args.share))
        with made(args.backend) as call:
            before = held()
            for number in range(calls):
                if number == calls // 10:
                    before = held()
                call(number)
            after = held()
        grown = Held(*(now - then for now, then in zip(after, before, strict=True)))
        bad = grown.bytes > MOST_BYTES or grown.files > 0 or grown.threads > 0
        failed |= bad
        print(
            f"{name:15} {calls:9,} calls: {grown.bytes / 2**20:+.1f} MB, {grown.files:+} files, "
            f"{grown.threads:+} threads{' GROWS' if bad else ''}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
