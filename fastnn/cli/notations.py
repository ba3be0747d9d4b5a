"""Columns that are meant as numbers and were read as texts: numbers written another way, or a word among numbers."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import FastnnError
from .options import count
from .schema import Notation

if TYPE_CHECKING:
    import pandas

MOSTLY, HALF = 0.9, 0.5  # of the values in a column
MANY = 20  # different numbers are no categories
SHOWN = 3
_MISSING = {"na", "n.a.", "n/k", "nd", "nil", "none", "missing", "unknown", "undefined", "not available"}
UNITS = 3  # more different ones are words that begin with a number, as addresses do
_ORDINALS = {"st", "nd", "rd", "th"}
_CODES = ("EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR", "Rs")
_CURRENCIES = "|".join(_CODES) + r"\.?"
_BEGIN = "+-.,$€£¥\u2212\u2013"  # of numbers that do not begin with a digit
_SPACES = " \u00a0\u202f"  # spreadsheets set thousands apart with the other two


class _Kind(NamedTuple):
    what: str
    pattern: str
    cure: str


@cache
def _kinds(notation: Notation) -> tuple[_Kind, ...]:
    """Ways to write a number that are not the one of `notation`; one that says more stands before those it contains."""
    point = "," if notation.decimal == "." else "."
    points = "decimal commas" if point == "," else "decimal points"
    apart, away = "thousands set apart", "take them out of the file"
    return (
        _Kind("percent signs", rf"[+-]?\d[\d.,]*[{_SPACES}]?%", away),
        _Kind(
            "currency signs",
            rf"[+-]?([$€£¥]|{_CURRENCIES})[{_SPACES}]?\d[\d.,]*|[+-]?\d[\d.,]*[{_SPACES}]?([$€£¥]|{_CURRENCIES})",
            away,
        ),
        _Kind("minus signs other than -", r"[\u2212\u2013]\d[\d.,]*", "write - in the file"),
        _Kind(apart, r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d{1,3}(\.\d{3}){2,}", "say --decimal , --thousands ."),
        _Kind(apart, r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d{1,3}(,\d{3}){2,}", "say --thousands ,"),
        _Kind(apart, rf"[+-]?\d{{1,3}}([{_SPACES[1:]}]\d{{3}})+([.,]\d+)?", away),
        _Kind(apart, r"[+-]?\d{1,3}( \d{3})+(\.\d+)?", "say --thousands ' '"),
        _Kind(apart, r"[+-]?\d{1,3}( \d{3})+,\d+", "say --decimal , --thousands ' '"),
        _Kind(apart, r"[+-]?\d{1,3}('\d{3})+(\.\d+)?", 'say --thousands "\'"'),
        _Kind(points, rf"[+-]?\d*{re.escape(point)}\d+([eE][+-]?\d+)?", f"say --decimal {point}"),
        _Kind(
            "units behind numbers", rf"[+-]?\d[\d.,]*[{_SPACES}]?(?P<unit>[^\W\d_][^\d,;:]*[23]?|[°µ'\"″′]\D*)", away
        ),
    )


def _plain(notation: Notation) -> str:
    point = re.escape(notation.decimal)
    return rf"[+-]?(\d+({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"


def require_plain(path: Path, frame: pandas.DataFrame, notation: Notation) -> list[str]:
    """What to tell of columns that were read as texts and hold numbers too, one text each.

    Raises:
        FastnnError: most of a column's values are numbers, in other notations, or with a word among them; it names the
            column, the cell and the option that reads it.
    """
    notes = []
    for name in map(str, frame.columns):
        if frame[name].dtype.kind in "iuf":
            continue
        counts = {str(text): int(rows) for text, rows in frame[name].value_counts(sort=False).items()}
        rows = sum(counts.values())
        kinds = _with_units({text: _kind_of(text.strip(), notation) for text in counts}, notation)
        numbers = [text for text, kind in kinds.items() if kind != _WORD]
        written, known = [text for text in numbers if kinds[text] > 0], sum(counts[text] for text in numbers)
        many = len(numbers) > MANY
        if written and not many and all(kinds[text] == _unit(notation) for text in written):
            if known >= HALF * rows:
                taken = f"and is taken as {count(len(counts), 'text')}"
                notes.append(
                    f"{_cell(path, frame, name, written[0])}, a number with a unit, {taken}; to use the numbers, "
                    "take the unit out of the file"
                )
            continue
        if written and known >= (HALF if many else MOSTLY) * rows:
            text = min(written, key=lambda text: kinds[text])
            raise FastnnError(f"{_cell(path, frame, name, text)}: {_cure(kinds[text], written, notation)}")
        words = [text for text in counts if kinds[text] == _WORD]
        if not words or not numbers or written:
            continue
        often = known >= HALF * rows
        options = " ".join(f"--na {shlex.quote(word)}" for word in words[:SHOWN])
        said = f"{_cell(path, frame, name, words[0])} beside numbers"
        if (many and often) or all(_is_sign(word) or (many and word.strip().lower() in _MISSING) for word in words):
            raise FastnnError(f"{said}; if it stands for a missing value, say {options}, else remove such rows")
        if often:
            notes.append(
                f"{said} and is taken as {count(len(counts), 'text')}; if it is a missing value, say {options}"
            )
    return notes


def _unit(notation: Notation) -> int:
    """What `_kind_of` gives for a number with a unit."""
    return len(_kinds(notation))


def _with_units(kinds: dict[str, int], notation: Notation) -> dict[str, int]:
    """The kinds of a column's texts, where numbers with a unit are words unless they share a few units."""
    suspects = [text for text, kind in kinds.items() if kind == _unit(notation)]
    found = [re.fullmatch(_kinds(notation)[-1].pattern, text.strip()) for text in suspects]
    units = {match["unit"].strip(" .").lower() for match in found if match}
    if len(suspects) > max(2, 2 * len(units)) and len(units) <= UNITS and not units & _ORDINALS:
        return kinds
    return kinds | dict.fromkeys(suspects, _WORD)


_WORD = -1  # no number in any notation


def _kind_of(text: str, notation: Notation) -> int:
    """0 for a number in this notation, 1 and on for those of `_kinds`, or `_WORD`."""
    if not text or not (text[0].isdigit() or text[0] in _BEGIN or text.startswith(_CODES)):
        return _WORD  # as most texts
    patterns = (_plain(notation), *(kind.pattern for kind in _kinds(notation)))
    return next((number for number, pattern in enumerate(patterns) if re.fullmatch(pattern, text)), _WORD)


def _cure(kind: int, written: list[str], notation: Notation) -> str:
    what, _, cure = _kinds(notation)[kind - 1]
    point = cure[-1]
    if what.startswith("decimal") and all(
        re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}{re.escape(point)}\d{{3}}", text.strip()) for text in written
    ):
        return f"{what}, then {cure}, or thousands set apart, then say --thousands {point}"
    return f"{what}; {cure}"


def _is_sign(word: str) -> bool:
    """Whether it says nothing, such as ? or -, or is a spreadsheet's error, such as #DIV/0!"""
    return word.startswith("#") or not any(letter.isalnum() for letter in word)


def cure_of(text: str, notation: Notation) -> str:
    """What to do about a text where a number is expected, the end of a message."""
    kind = _kind_of(text.strip(), notation)
    if kind > 0:
        return f": {_cure(kind, [text], notation)}"
    return f"; if it stands for a missing value, say --na {shlex.quote(text)}" if kind == _WORD else ""


def _cell(path: Path, frame: pandas.DataFrame, name: str, text: str) -> str:
    row = int((frame[name] == text).to_numpy().argmax()) + 1
    return f'{path}: the column "{name}" holds {text!r} in data row {row}'
