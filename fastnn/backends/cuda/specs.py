"""How an operation is computed: by element, by row or by column, from formulas over the algebra.

A formula gets an algebra `o` and the fields `e` of its element: `e.Z` is the element of the array Z here (of a vector
over the batch that of the row, of one over the columns that of the column), `e.epsilon` a scalar, by the names of the
operation's row; `e.sums` what was summed before, `e.column` the column's number and `e.inverse_columns` 1 / columns,
once rounded. What the templates in `templates.py` are filled with; imports no compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...core.arithmetic import INFINITY

Formula = Callable[..., Any]


class Map(NamedTuple):
    """Each element by itself: `formula(o, e)` gives the elements of all outputs."""

    formula: Formula


class Fold(NamedTuple):
    """What is taken over a row in 16 lanes: `step(o, lane, e)` is the lane after an element. Lanes begin at `start` and
    are joined at distances 8, 4, 2, 1."""

    step: Formula
    start: float = 0.0
    join: Formula = lambda o, a, b: a + b


def largest(step: Formula) -> Fold:
    """Of values that a step keeps by `x > lane`."""
    return Fold(step, -INFINITY, lambda o, a, b: o.select(b > a, b, a))


def maximum_of(element: Formula) -> Fold:
    """The largest of what a formula gives, from -inf; NaN never exceeds."""

    def step(o: Any, lane: Any, e: Any) -> Any:
        x = element(e)
        return o.select(x > lane, x, lane)

    return largest(step)


def sum_of(element: Formula) -> Fold:
    """The sum of what a formula (e) gives."""
    return Fold(lambda o, lane, e: lane + element(e))


class Rows(NamedTuple):
    """Each row by 16 threads: folds, of which each reads those before it; then `element(o, e)` for the outputs with
    columns and `result(o, e)` for those without."""

    folds: tuple[Fold, ...] = ()
    element: Formula | None = None
    result: Formula | None = None


class Columns(NamedTuple):
    """Each column by a thread: sums over the batch by the rule of the GEMM, of which each reads those before it;
    `terms` are (o, total, e) -> total; then `result(o, e)` for all outputs."""

    terms: tuple[Formula, ...]
    result: Formula


class Own(NamedTuple):
    """A kernel of its own, by its name in `sources`."""

    name: str


Spec = Map | Rows | Columns | Own
MOST_FOLDS, MOST_TERMS = 4, 2
