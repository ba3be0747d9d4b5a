"""Small data for the tests of the command line, and a way to call it inside this process."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from fastnn.cli import main

Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *argv: str) -> tuple[int, str, str]:
    """A command's exit code, and what it wrote to stdout and stderr."""
    code = main(argv)
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def blobs(n: int = 90, columns: int = 4) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Three well separated classes, with columns of very different scale."""
    y = np.arange(n) % 3
    X = np.sin(1.7 * np.arange(n * columns).reshape(n, columns)) * 0.1 + y[:, None]
    return X * 10.0 ** np.arange(columns) + 5, y


def flats(n: int = 60) -> list[dict[str, Any]]:
    """Numbers, texts and row numbers; the price follows from size and city, the kind from size."""
    rows = []
    for i in range(n):
        size, city = 20 + 37 * i % 100, ("Oslo", "Bergen", "Å, the village")[i // 2 % 3]
        price = 1000.0 * size + 20_000.5 * (city == "Oslo")
        kind = "small" if size < 60 else "large"
        rows.append({"": i, "size": size, "city": city, "rooms": size // 20, "kind": kind, "price": price})
    return rows


def write(name: str, rows: list[dict[str, Any]], separator: str = ",") -> None:
    """A table with the keys of its first row as the header."""
    with open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)


def lines(text: str) -> list[list[str]]:
    """The fields of a table, the header first."""
    return list(csv.reader(io.StringIO(text)))
