"""What `fastnn train` trains on: rows read, targets told apart, rows held out, missing values filled."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core import random
from ..core.arrays import Array
from ..errors import FastnnError
from . import arrays, dates, frames, notations, options, sources
from .options import count
from .schema import USUAL, Column, Notation, Schema

HELD_OUT = 0.2
VALIDATION = 0.1
MOST_CLASSES = 10_000
FEW_CLASSES = 10  # integers that may be classes by how often each comes; more must be numbered from 0 or 1, too
_ENOUGH = 20  # rows, of which one tells when to stop
_SEQUENCE = 10  # rows: fewer are numbered by accident
_KEY = re.compile(
    r"(?i:(.*[\W_])?(id|nr|no|num|number|index|idx|key|row|row ?number|unnamed: ?\d+|#)\.?)|.*[a-z](Id|ID|Nr|No)"
)
_LARGEST_DEVIATION = 1e18  # its square, a weight of the model, is a float32
_SMALLEST_DEVIATION = 1e-6  # layers.Normalization divides by 1e-7 at least
_RESOLUTION = 2.0**-17  # a deviation of so small a part of the mean is below 1 % exact in float32


@dataclass(frozen=True)
class Table:
    """Rows to train on, to stop by and to test on, with numbers for all values and for all targets."""

    name: str
    schema: Schema
    scaling: str
    """What the model does to its inputs: "pixels", "columns", or "" where they are ready."""
    otherwise: str
    """How to say that the target is something else, where its values decided."""
    found: tuple[str, ...]
    """What a user should know of the file."""
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    X_val: Array | None = None
    y_val: Array | None = None

    @property
    def outputs(self) -> int:
        """Units of the last layer."""
        if self.schema.classes is not None:
            return len(self.schema.classes)
        return int(self.y.shape[1]) if self.y.ndim == 2 else 1

    def describe(self) -> str:
        """Two lines: what was read, and what the rows are for."""
        inputs = int(np.prod(self.X.shape[1:]))
        columns = len(self.schema.columns) or inputs
        became = f" ({count(inputs, 'input')})" if inputs != columns else ""
        classes = self.schema.classes
        kind = "a quantity" if self.outputs == 1 else f"{self.outputs} quantities"
        if classes is not None:
            kind = f"{len(classes):,} classes"
        rows = f"{count(len(self.X), 'row')} to train on, {len(self.X_test):,} held out to test"
        validation = "" if self.X_val is None else f", {len(self.X_val):,} to stop by"
        target = f'target "{self.schema.target}": {kind}'
        return f"{self.name}: {count(columns, 'column')}{became}; {target}{self.otherwise}\n{rows}{validation}"

    def notes(self) -> list[str]:
        """What a user should know of the file, and of columns that float32 hardly tells apart."""
        if self.scaling != "columns":
            return [*self.found]
        mean, deviation = _moments(self.X)
        places = _first_inputs(self.schema.columns, len(mean))
        faint = [
            f'"{name}" ({mean[i]:.6g}, give or take {deviation[i]:.2g})'
            for i, name in places.items()
            if 0 < deviation[i] < max(_SMALLEST_DEVIATION, abs(mean[i]) * _RESOLUTION)
        ]
        if not faint:
            return [*self.found]
        return [
            *self.found,
            f"float32 hardly sees the differences in {frames.some(faint)}; subtract the mean in the file, and scale",
        ]


def load(
    data: str,
    seed: int = 0,
    *,
    target: str | None = None,
    drop: Sequence[str] = (),
    task: str | None = None,
    impute: bool = False,
    validation: bool = False,
    sparing: bool = False,
    notation: Notation = USUAL,
) -> Table:
    """Read `data` and hold out a fifth of its rows by `seed`, unless it has test rows of its own.

    Args:
        data: a name of `arrays.SETS`, or the path of an .npz or .csv file.
        seed: which rows are held out.
        target: the column or array to predict. drop: columns to leave out.
        task: "classes" or "regression"; None: floats are regression, integers what their values say, texts classes.
        impute: whether a missing value becomes the mean of its column's training rows; else it is an error.
        validation: whether a tenth of the training rows is put aside too. sparing: only where there are enough.
        notation: how a table writes numbers and what is missing.

    Returns:
        The table; y is int64 (n,) for classes, else float32.

    Raises:
        FastnnError: no such file, no such columns, or rows that do not fit together.
    """
    try:
        if arrays.is_table(data):
            name, columns, parts, found = _of_table(Path(data), target, drop, notation)
        else:
            if drop:
                raise FastnnError(f"{data}: --drop is for .csv files; leave columns out when you write the .npz file")
            options.require_usual(data, notation)
            name, parts = arrays.train(data, target)
            columns, found = (), []
    except MemoryError as error:
        raise FastnnError(f"{data}: not enough memory: {error}") from None
    scaling = "pixels" if parts[0].dtype == np.uint8 else "" if data == "digits" else "columns"
    otherwise = ""
    if task is None and data not in arrays.SETS:
        task, otherwise, said = _task(name, np.concatenate(parts[1::2]))
        found += said
    classes, parts[1::2] = _targets(f"{data}: {name}", parts[1::2], task)
    if not impute:
        require_complete(data, parts[0::2], columns, "; fill them with --impute mean, or remove such rows")
    rows = _split(data, parts, seed, validation and not (sparing and len(parts[0]) < _ENOUGH))
    if scaling == "columns":
        _require_scalable(data, rows[0], columns)
        found += _row_numbers(parts[0], columns)
    fill = _fill(data, rows[0], columns) if impute else None
    if fill is not None:
        for X in rows[0::2]:
            fill_missing(X, fill)
    schema = Schema(name, columns, classes, fill, notation)
    return Table(sources.stem(data), schema, scaling, otherwise, tuple(found), *rows)


def _of_table(
    path: Path, target: str | None, drop: Sequence[str], notation: Notation
) -> tuple[str, tuple[Column, ...], list[Array], list[str]]:
    """The target's name, the columns, X and y of a .csv file, and what to tell of its columns."""
    frame = frames.read(path, notation)
    if target is None:
        names = ", ".join(map(str, frame.columns))
        raise FastnnError(f"{path}: which column to predict? name it with --target; there are: {names}")
    dropped = [name for text in drop for name in ([text] if text in frame.columns else text.split(","))]
    frames.require(path, frame, [target, *dropped])
    frame = frame.drop(columns=dropped)
    found = notations.require_plain(path, frame, notation)
    y = frame[target]
    frame = frame.drop(columns=target)
    if not len(frame.columns) or len(frame) < 2:
        raise FastnnError(
            f"{path}: {count(len(frame), 'row')} and {count(len(frame.columns), 'column')} beside the target; expected "
            "at least 2 rows and 1 column"
        )
    missing = int(y.isna().sum())
    if missing:
        raise FastnnError(f'{path}: the target "{target}" is missing in {count(missing, "row")}; remove them')
    of_dates = dates.found_in(frame)
    columns = frames.columns_of(path, frame, of_dates)
    texts = y.dtype.kind not in "iuf"
    X = frames.encode(path, frame, columns, notation)
    return target, columns, [X, y.to_numpy(str if texts else y.dtype)], [*found, *of_dates.values()]


def _task(name: str, y: Array) -> tuple[str | None, str, list[str]]:
    """What the values of a target say that it is, how to say otherwise, and what to tell of it where that is not
    obvious."""
    whole = y.dtype.kind == "f" and bool((np.isfinite(y) & (y == np.rint(y)) & (np.abs(y) < 2.0**53)).all())
    if y.ndim != 1 or not (y.dtype.kind in "iu" or whole):
        return None, "", []
    values, counts = np.unique(y.astype(np.int64) if whole else y, return_counts=True)
    numbered = int(values[0]) in (0, 1) and int(values[-1]) - int(values[0]) == len(values) - 1
    classes, held = _are_classes(counts, numbered), f'"{name}" holds {count(len(values), "different integer")}'
    if whole:
        told = f"{held}, written with decimals, and is taken as a quantity; if they are classes, say --task classes"
        return None, "", [told] if classes and len(values) <= FEW_CLASSES else []
    if not classes:
        return "regression", "", [f"{held} and is taken as a quantity; if they are classes, say --task classes"]
    obvious = len(values) <= 2 or (numbered and len(values) <= FEW_CLASSES)
    told = f"{held} and is taken as classes; if they are a quantity, say --task regression"
    return "classes", "" if len(values) < 2 else "; --task regression takes it as a quantity", [] if obvious else [told]


def _are_classes(counts: Array, numbered: bool) -> bool:
    """Whether integers are classes by how often each comes, and by whether they are numbered from 0 or 1 on.

    Few that come often, or many that are numbered and come about as often as each other: their counts vary by chance
    and by half of their mean.
    """
    different, mean = len(counts), float(counts.mean())
    if different <= 2:
        return True
    if different <= FEW_CLASSES:
        return mean >= (2 if numbered else 5)
    return numbered and mean >= 5 and float(counts.var()) <= mean + (mean / 2) ** 2


def _targets(what: str, ys: list[Array], task: str | None) -> tuple[tuple[str | int, ...] | None, list[Array]]:
    """The classes, and each y as their numbers; or None, and each y as float32."""
    kind = ys[0].dtype.kind
    if any((y.dtype.kind == "U") != (kind == "U") or (y.dtype.kind == "f") != (kind == "f") for y in ys):
        raise FastnnError(f"{what} is {ys[0].dtype}, of the test rows {ys[1].dtype}; expected the same")
    if task == "regression" or (task is None and kind == "f"):
        if kind == "U":
            raise FastnnError(f"{what} holds texts; expected numbers for --task regression")
        for y in ys:
            arrays.require_finite(what, y, nan=False)
        return None, [y.astype(np.float32) for y in ys]
    for y in ys:
        if y.ndim != 1:
            raise FastnnError(f"{what} has shape {y.shape}; expected one class a row, shape (rows,)")
        if kind == "f" and not ((y == np.rint(y)) & (np.abs(y) < 2.0**53)).all():
            raise FastnnError(
                f"{what} holds fractions, NaN or too large numbers; expected whole ones for --task classes"
            )
    values = np.unique(np.concatenate([y.astype(np.int64) if kind == "f" else y for y in ys]))
    rows = sum(map(len, ys))
    if len(values) < 2:
        raise FastnnError(f"{what} is {values.tolist()[0]!r} in all rows; expected at least 2 classes")
    if frames.too_many(len(values), rows, MOST_CLASSES):
        what = (
            f"{what} holds {len(values):,} different {'texts' if kind == 'U' else 'integers'} in {count(rows, 'row')}"
        )
        cure = "expected classes that occur many times" if kind == "U" else "if it is a quantity, say --task regression"
        raise FastnnError(f"{what}; {cure}")
    return tuple(values.tolist()), [np.searchsorted(values, y).astype(np.int64) for y in ys]


def _split(data: str, parts: Sequence[Array], seed: int, validation: bool) -> list[Array]:
    """X and y, X_test and y_test, and with `validation` X_val and y_val."""
    X, y = parts[:2]
    tested = 0 if len(parts) == 4 else max(1, round(len(X) * HELD_OUT))
    validated = max(1, round((len(X) - tested) * VALIDATION)) if validation else 0
    if tested + validated >= len(X):
        raise FastnnError(f"{data}: {count(len(X), 'row')}; expected at least {tested + validated + 1}")
    if not tested + validated:
        return [*parts]
    order = random.permutation(seed, 0, len(X), random.Purpose.HOLD_OUT)
    test, val, train = order[:tested], order[tested : tested + validated], order[tested + validated :]
    rows = [X[train], y[train], *(parts[2:] or (X[test], y[test]))]
    return [*rows, X[val], y[val]] if validation else rows


def _first_inputs(columns: Sequence[Column], width: int) -> dict[int, str]:
    """The first input of each column, and what to call the column."""
    if not columns:
        return {place: f"column {place}" for place in range(width)}
    places, place = {}, 0
    for column in columns:
        places[place] = column.name
        place += column.width
    return places


def _row_numbers(X: Array, columns: Sequence[Column]) -> list[str]:
    """What to tell of inputs that number the rows: whole numbers in order with few gaps, or all different under a name
    such as Id."""
    flat = arrays.flattened(X)
    if len(flat) < _SEQUENCE:
        return []
    steps = np.diff(flat[:_SEQUENCE].astype(np.float64), axis=0)
    ordered = np.logical_or(np.all(steps > 0, axis=0), np.all(steps < 0, axis=0))
    widths = {column.name: column.categories is None for column in columns}
    told = []
    for place, name in _first_inputs(columns, flat.shape[1]).items():
        key = bool(columns) and _KEY.fullmatch(name) is not None
        if not widths.get(name, True) or not (ordered[place] or key):
            continue
        values = flat[:, place].astype(np.float64)
        step = np.diff(values)
        in_order = (step > 0).all() or (step < 0).all()
        dense = in_order and abs(values[-1] - values[0]) <= 2 * len(values)
        if (values == np.rint(values)).all() and (dense or (key and len(np.unique(values)) == len(values))):
            cure = f'with --drop "{name}"' if columns else "when you write the file"
            told.append(f'"{name}" numbers the rows, which says nothing of new ones; leave it out {cure}')
    return told


def require_complete(data: str, Xs: Sequence[Array], columns: Sequence[Column], cure: str) -> None:
    """Raises where values are missing (NaN), with how many of them in which columns.

    Args:
        data: the file. Xs: arrays (n, ...) of the same columns. columns: what they are called; () without names.
        cure: what to do, the end of the text.
    """
    if Xs[0].dtype.kind != "f":
        return
    counts = np.sum([np.isnan(arrays.flattened(X)).sum(axis=0) for X in Xs], axis=0)
    if counts.any():
        names = _first_inputs(columns, len(counts))
        missing = [f'{counts[place]:,} in "{name}"' for place, name in names.items() if counts[place]]
        raise FastnnError(f"{data}: missing values: {frames.some(missing)}{cure}")


def _fill(data: str, X: Array, columns: Sequence[Column]) -> tuple[float, ...]:
    """The mean of each input over the rows where it is known: of a category the share of rows that have it."""
    flat = arrays.flattened(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of an input that is missing everywhere
        mean = np.asarray(np.nanmean(flat, axis=0, dtype=np.float64))
    for place, name in _first_inputs(columns, flat.shape[1]).items():
        if np.isnan(mean[place]):
            raise FastnnError(f'{data}: "{name}" has no value in any training row; leave it out')
    return tuple(mean.tolist())


def fill_missing(X: Array, fill: Sequence[float]) -> None:
    """Writes the means in place of NaN."""
    if X.dtype.kind == "f":
        flat = arrays.flattened(X)
        np.copyto(flat, np.asarray(fill, X.dtype), where=np.isnan(flat))


def _moments(X: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each input, float64."""
    flat = arrays.flattened(X)
    with np.errstate(over="ignore", invalid="ignore"):
        return flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)


def _require_scalable(data: str, X: Array, columns: Sequence[Column]) -> None:
    largest = np.fmax.reduce(np.abs(arrays.flattened(X)), axis=0)
    for place, name in _first_inputs(columns, len(largest)).items():
        if largest[place] > _LARGEST_DEVIATION:
            raise FastnnError(f'{data}: the values in "{name}" are too large to scale: up to {largest[place]:.3g}')
