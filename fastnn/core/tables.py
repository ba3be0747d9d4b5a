"""Tables for people: aligned text, and HTML for a notebook or a page."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence


def as_text(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """A line for each row, in columns as wide as their cells.

    Args:
        rows: cells, as many in each. left: the columns that begin at the left, as names do; numbers end at the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if at in left else ">" for at in range(len(widths))]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def as_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `<table>`; the texts of the cells are escaped."""
    first = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{body}</table>"


__all__ = ["as_html", "as_text"]
