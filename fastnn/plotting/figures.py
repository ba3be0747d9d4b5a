"""Figures whose letters can be read at half a page, and what becomes of them: files, SVG, the cell of a notebook."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ..core.files import path_of, write_atomically
from ..errors import ArgumentError, FastnnError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Okabe and Ito's colours, which people with colour blindness tell apart; lines differ in their dashes, too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
GREY = "#666666"
_STYLE = {
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.labelsize": 13,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "lines.linewidth": 2.2,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "svg.hashsalt": "fastnn",
}
_SUFFIXES = (".png", ".svg", ".pdf")


def require_matplotlib() -> Any:
    """The module.

    Raises:
        FastnnError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise FastnnError(
            'pictures need matplotlib; install it in the checkout of fastnn with: pip install ".[plot]"'
        ) from None
    return matplotlib


@cache
def _class() -> Any:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows."""

        def _repr_html_(self) -> str:
            return svg(self)

    return Picture


def style() -> Any:
    """A context in which figures are made and written."""
    return require_matplotlib().rc_context(_STYLE)


def figure(width: float = 6.4, height: float = 4.0) -> Any:
    """An empty figure of so many inches; it belongs to no window."""
    made = _class()(figsize=(width, height), layout="constrained")
    made.get_layout_engine().set(h_pad=0.08, w_pad=0.06)  # a title is not taken for what stands above it
    return made


def finished(made: Any, file: str | os.PathLike[str] | None) -> Any:
    """The figure, written to a file where one is named.

    Raises:
        ArgumentError: a name that ends in something else. OSError: it cannot be written.
    """
    if file is not None:
        path = path_of("plotting", "file", file)
        suffix = os.path.splitext(os.fspath(file))[1].lower()
        if suffix not in _SUFFIXES:
            raise ArgumentError(f"plotting: file is {os.fspath(file)!r}, expected a name in {', '.join(_SUFFIXES)}")
        content = io.BytesIO()
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
        made.savefig(content, format=suffix[1:], dpi=200, metadata=metadata)
        write_atomically(path, content.getvalue())
    return made


def svg(made: Figure) -> str:
    """A figure as SVG, to stand in a page of HTML.

    Example:
        >>> import fastnn
        >>> picture = fastnn.plotting.svg(fastnn.plotting.curves({"loss": [2.0, 1.0, 0.5]}))
        >>> picture.startswith("<svg")
        True
    """
    content = io.StringIO()
    with style():
        made.savefig(content, format="svg", metadata={"Date": None})
    text = content.getvalue()
    return text[text.index("<svg") :]


def pieces(made: Figure) -> list[str]:
    """A figure as SVGs for a page that lays them out itself, in its own ink on its own paper: one for each panel, and
    one for what explains them all; a panel with a bar of colours stays whole."""
    with style():
        made.draw_without_rendering()
        made.set_layout_engine("none")  # so that panels keep their places while others are hidden
        children = made.get_children()
        whole = any(axes.get_label() == "<colorbar>" for axes in made.axes)
        groups = [children] if whole else [[part] for part in (*made.axes, *made.legends)]
        texts = []
        for group in groups:
            for child in children:
                child.set_visible(child in group)
            content = io.StringIO()
            made.savefig(content, format="svg", metadata={"Date": None}, transparent=True, bbox_inches="tight")
            texts.append(content.getvalue())
        for child in children:
            child.set_visible(True)
    return [_inked(text[text.index("<svg") :]) for text in texts]


def _inked(text: str) -> str:
    """SVG whose black is the page's colour of text, and whose grid is that of its lines."""
    for colour, of_page in (("#000000", "currentColor"), (_STYLE["grid.color"], "var(--line)")):
        text = text.replace(str(colour), of_page)
    return text.replace("<svg ", '<svg fill="currentColor" ', 1)  # for glyphs, which have none of their own if black


def panels(count: int, width: float, height: float, most: int = 3) -> tuple[Any, list[Any]]:
    """An empty figure with so many axes of so many inches, at `most` as many side by side; one alone is wider."""
    columns = min(most, count) if count != 4 else 2
    rows = -(-count // columns)
    made = figure(6.4 if columns == 1 else width * columns, height * rows)
    return made, [made.add_subplot(rows, columns, number + 1) for number in range(count)]


def line(number: int) -> dict[str, Any]:
    """The colour and the dashes of a line."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}


def shortened(names: Sequence[object], most: int = 14) -> list[str]:
    """Names that fit beside a picture."""
    texts = [str(name) for name in names]
    return [text if len(text) <= most else f"{text[: most - 1]}…" for text in texts]
