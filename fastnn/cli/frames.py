"""Tables of text: a .csv file with a header becomes a matrix of numbers, by pandas."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..core.arrays import Array
from ..errors import FastnnError, FileError, nearest
from . import sources
from .options import count
from .schema import Column, Notation

if TYPE_CHECKING:
    import pandas

SUFFIXES = (".csv", ".tsv", ".txt")
SEPARATORS = ",;\t"
MOST_CATEGORIES = 1000
FEW = 20  # a column of that many different texts is never taken for a key
_CODE = re.compile(rb"0(?<![\d.eE]0)(?<![eE][+-]0)\d")  # the 0 first, which is what the search looks for
_CHUNK = 2**20  # bytes
LARGEST = float(np.finfo(np.float32).max)


def read(path: Path, notation: Notation, text: Sequence[str] | None = None) -> pandas.DataFrame:
    """The table of a file: numbers as numbers, all else as texts; columns without a name, row numbers, are left out.

    Args:
        path: the file, or a pipe: UTF-8, a header, fields separated by commas, semicolons or tabs, perhaps packed.
        notation: how it writes numbers and what is missing.
        text: the columns that hold texts; None to find out: whole numbers that begin with 0 are texts, as in codes.

    Returns:
        A pandas.DataFrame.

    Raises:
        FastnnError: pandas is not installed. FileError: not such a table.
    """
    try:
        import pandas
    except ImportError:
        raise FastnnError(
            'reading .csv files needs pandas; install it in the checkout of fastnn with: pip install ".[data]"'
        ) from None
    open_file = sources.opener(path)
    separator, names = _header(path, open_file)
    columns = [name for name in names if name]

    def table(texts: Sequence[str]) -> pandas.DataFrame:
        with warnings.catch_warnings(), open_file() as file:
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # of rows that are longer than the header
            frame = pandas.read_csv(
                file,
                sep=separator,
                encoding="utf-8-sig",
                skipinitialspace=True,
                low_memory=False,
                index_col=False,
                na_values=[*notation.na],
                decimal=notation.decimal,
                thousands=notation.thousands or None,
                header=0,
                names=[name or f"\0{place}" for place, name in enumerate(names)],
                dtype=dict.fromkeys((name for name in texts if name in columns), str),
            )
        return frame[columns]

    try:
        frame = table(text or ())
        if text is not None:
            return frame
        words = [name for name in columns if frame[name].dtype.kind not in "iuf"]
        maybe = [name for name in columns if name not in words] if _has_codes(open_file) else []
        # Again as they stand: pandas makes truth values of true and TRUE, beside empty fields too.
        texts = table([*words, *maybe]) if words or maybe else frame
        codes = [name for name in maybe if texts[name].str.fullmatch(r"[+-]?0\d+").any()]
        return frame.assign(**{name: texts[name] for name in (*words, *codes)})
    except pandas.errors.ParserWarning:
        raise FileError(f"{path}: rows have more fields than the {len(names)} names in the first line") from None
    except ValueError as error:  # what pandas raises of its own is one
        line = str(error).strip().rpartition("\n")[2].removeprefix("Error tokenizing data. C error: ")
        raise FileError(f"{path}: cannot be read as a table: {line}") from None


def _has_codes(open_file: Callable[[], BinaryIO]) -> bool:
    """Whether a field may begin with 0 and another digit; most files of numbers have none and are read once."""
    with open_file() as file:
        return any(_CODE.search(b"".join(lines)) for lines in iter(lambda: file.readlines(_CHUNK), []))


def _header(path: Path, open_file: Callable[[], BinaryIO]) -> tuple[str, list[str]]:
    """The separator and the names in the first line."""
    try:
        with io.TextIOWrapper(open_file(), encoding="utf-8-sig", newline="") as file:
            line = next((line for line in file if line.strip()), "")
    except UnicodeError:
        raise FileError(f"{path}: not UTF-8 text; save the table as UTF-8") from None
    if not line:
        raise FileError(f"{path}: empty; expected a first line with the names of the columns")
    separator = max(SEPARATORS, key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    double = next((name for name in names if name and names.count(name) > 1), None)
    if double is not None:
        raise FileError(f'{path}: two columns are called "{double}"; give each a name of its own')
    if not any(names) or all(_is_number(name) for name in names if name):
        raise FileError(f"{path}: the first line holds {line.strip()[:40]!r}, expected the names of the columns")
    return separator, names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def require(path: Path, frame: pandas.DataFrame, names: Sequence[str]) -> None:
    """Raises a FastnnError that names the columns which the table lacks."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        there = [str(name) for name in frame.columns]
        hint = nearest(missing[0], there) if len(missing) == 1 else f"; known: {', '.join(there)}"
        named = ", ".join(f'"{name}"' for name in missing)
        raise FastnnError(f"{path}: lacks the column{'s' if len(missing) > 1 else ''} {named}{hint}")


def columns_of(path: Path, frame: pandas.DataFrame, of_dates: Mapping[str, str]) -> tuple[Column, ...]:
    """What to make of each column of a table that is trained on.

    Args:
        of_dates: what to say of columns that hold dates.

    Raises:
        FastnnError: an empty column, or one of so many different texts that it is a name or a key.
    """
    columns = []
    for name in map(str, frame.columns):
        values = frame[name].dropna()
        if values.empty:
            raise FastnnError(f'{path}: the column "{name}" is empty; leave it out with --drop "{name}"')
        if values.dtype.kind in "iuf":
            columns.append(Column(name))
            continue
        categories = sorted(set(values))
        if too_many(len(categories), len(values), MOST_CATEGORIES):
            if name in of_dates:
                raise FastnnError(f"{path}: the column {of_dates[name]}")
            raise FastnnError(
                f'{path}: the column "{name}" holds {len(categories):,} different texts in '
                f"{count(len(values), 'row')}, such as {categories[0]!r}: a name or a key, not a category; "
                f'leave it out with --drop "{name}"'
            )
        columns.append(Column(name, tuple(categories)))
    return tuple(columns)


def too_many(different: int, rows: int, most: int) -> bool:
    """Whether that many different values in so many rows are no categories."""
    return different > most or different > max(FEW, rows // 2)


def some(texts: Sequence[str], most: int = 8) -> str:
    """A list that ends early."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def encode(path: Path, frame: pandas.DataFrame, columns: Sequence[Column], notation: Notation) -> Array:
    """The inputs (n, widths) float32 of a table's columns; NaN, in all inputs of its column, where a value is missing.

    Math:
        numbers as they are; of a text the input of its category is 1, those of the other categories 0.

    Raises:
        FastnnError: a text among numbers, a number that is infinite or too large, or a category that is not known.
    """
    import pandas

    X = np.zeros((len(frame), sum(column.width for column in columns)), np.float32)
    place = 0
    for name, categories in columns:
        values = frame[name]
        if categories is None:
            X[:, place] = _numbers(path, name, values, notation)
            place += 1
            continue
        codes = pandas.Index(categories, dtype=object).get_indexer(values.astype(object))
        missing = values.isna().to_numpy()
        unknown = (codes < 0) & ~missing
        if unknown.any():
            row = int(np.argmax(unknown))
            raise FastnnError(
                f'{path}: the column "{name}" holds {values.iloc[row]!r} in data row {row + 1}, which was not among '
                f"the texts trained on: {some([repr(text) for text in categories])}"
            )
        known = np.flatnonzero(codes >= 0)
        X[known, place + codes[known]] = 1
        X[missing, place : place + len(categories)] = np.nan
        place += len(categories)
    return X


def _numbers(path: Path, name: str, values: pandas.Series, notation: Notation) -> Array:
    """A column as float64 (n,)."""
    if values.dtype.kind not in "iuf":
        from .notations import cure_of

        wrong = next((row for row, value in enumerate(values) if not _is_number(str(value))), 0)
        text = str(values.iloc[wrong])
        raise FastnnError(
            f'{path}: the column "{name}" holds {text!r} in data row {wrong + 1}, expected a number'
            + cure_of(text, notation)
        )
    numbers: Array = values.to_numpy(np.float64)
    bad = np.abs(numbers) > LARGEST
    if bad.any():
        row = int(np.argmax(bad))
        raise FastnnError(
            f'{path}: the column "{name}" holds {numbers[row]} in data row {row + 1}, which float32 cannot hold; '
            "scale it down or remove the row"
        )
    return numbers
