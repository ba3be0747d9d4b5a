"""Columns of a table that hold dates or times, which a network sees as texts, or as numbers that are none."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from .notations import MANY, MOSTLY

if TYPE_CHECKING:
    import pandas

_MONTHS = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY, _MONTH, _YEAR = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])", r"(1[5-9]|2[01])\d\d"
_TIME = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d+)?)?( ?[ap]\.?m\.?)?( ?(z|utc|gmt|[+-]\d\d:?\d\d))?"
_ANY = rf"({_YEAR}|\d\d)"
_DATES = (
    rf"{_YEAR}(?P<apart>[-/.]){_MONTH}((?P=apart){_DAY})?",
    rf"{_DAY}(?P<apart>[-/.]){_MONTH}(?P=apart){_ANY}",
    rf"{_MONTH}(?P<apart>[-/.]){_DAY}(?P=apart){_ANY}",
    rf"{_MONTH}[-/.]{_YEAR}",
    rf"{_DAY}(st|nd|rd|th)?[-/. ]*{_MONTHS}[-/., ]*{_ANY}",
    rf"{_MONTHS}[-/. ]*({_DAY}(st|nd|rd|th)?[-/., ]+)?{_ANY}",
    rf"{_YEAR}[-/. ]*{_MONTHS}([-/. ]*{_DAY})?",
    rf"{_YEAR}[- ]?(q[1-4]|w[0-5]?\d)",
    rf"q[1-4][-/ ]?{_YEAR}",
)
_WEEKDAY = r"((mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? )?"
_FORMS = [re.compile(rf"{_WEEKDAY}{form}([t ,]+{_TIME})?") for form in _DATES] + [re.compile(_TIME)]
_DIGITS = re.compile(rf"{_YEAR}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")  # 20240131
_LOOKED_AT = 1000  # different texts
_PARTS = "put what matters of them, such as the year, the month or the hour, into columns of numbers"


def found_in(frame: pandas.DataFrame) -> dict[str, str]:
    """What to say of each column that holds dates or times: what it is, and what to do, by its name."""
    told = {}
    for name in map(str, frame.columns):
        values = frame[name].dropna()
        cure = f"{_PARTS}, or leave it out with --drop {shlex.quote(name)}"
        if values.dtype.kind in "iuf":
            if _are_digits(values):
                told[name] = (
                    f'"{name}" holds dates written as whole numbers, between which there is no distance; {cure}'
                )
            continue
        different = [str(value) for value in values.unique()[:_LOOKED_AT]]
        if different and sum(map(_is_date, different)) >= MOSTLY * len(different):
            told[name] = (
                f'"{name}" holds dates or times, such as {different[0]!r}: each is a category of its own, without '
                f"order, and new ones are not known; {cure}"
            )
    return told


def _is_date(text: str) -> bool:
    plain = text.strip().lower()
    return any(character.isdigit() for character in plain) and any(form.fullmatch(plain) for form in _FORMS)


def _are_digits(values: pandas.Series) -> bool:
    different = values.unique()
    if len(different) <= MANY or not all(float(value).is_integer() for value in different[:MANY]):
        return False
    return all(_DIGITS.fullmatch(f"{value:.0f}") for value in different)
