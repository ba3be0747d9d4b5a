"""`fastnn train --report FILE.html`: one page with all that a training gave, which needs nothing from elsewhere."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.tables import as_html
from . import options
from .scores import MOST_CLASSES, ClassScores, Scores

if TYPE_CHECKING:
    from ..diagnostics import GradientHealth
    from .data import Table

_CSS = """
:root { color-scheme: light dark; --text: #1a1a1a; --page: #ffffff; --line: #cccccc; --faint: #555555; }
@media (prefers-color-scheme: dark) {
  :root { --text: #eeeeee; --page: #16181b; --line: #44484d; --faint: #aaaaaa; }
}
body { color: var(--text); background: var(--page); font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; }
.answer { font-size: 1.2rem; } .faint { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid var(--line);
  text-align: right; } th:first-child, td:first-child { text-align: left; }
.charts { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0.5rem 0; }
figure { border: 1px solid var(--line); flex: 1 1 24rem; margin: 0; max-width: 100%; min-width: min(100%, 18rem);
  padding: 0.5rem; }
svg { display: block; height: auto; margin: auto; max-width: 100%; }
@media (max-width: 40rem) { th, td { padding: 0.25rem 0.4rem; } }
"""


class Training(NamedTuple):
    """What a page tells of."""

    table: Table
    model: Any
    history: dict[str, list[float]]
    test: Scores
    train: Scores
    word: str
    health: GradientHealth | None


def require(path: Path, *others: object) -> None:
    """Finds out before the work whether a page can be made.

    Raises:
        FastnnError: it cannot.
    """
    from ..errors import FastnnError
    from ..plotting.figures import require_matplotlib

    if path.suffix.lower() not in (".html", ".htm"):
        raise FastnnError(f"--report {path}: expected a name that ends in .html")
    options.require_folder("--report", path)
    options.require_other("--report", path, *map(str, others))
    require_matplotlib()


def write(path: Path, training: Training) -> None:
    """The page, whole or not at all."""
    from ..core.files import write_atomically

    write_atomically(path, page(training).encode())


def page(training: Training) -> str:
    """The page as HTML."""
    from .. import plotting

    table, test, train = training.table, training.test, training.train
    parts = [
        f"<h1>{_text(table.name)}: {_text(table.schema.target)}</h1>",
        f'<p class="answer">On {test.rows:,} rows held out: {_text(test.head())}.</p>',
        f"<p>On the {train.rows:,} rows trained on: {_text(train.results())}."
        + (f" <b>{_text(training.word[0].upper() + training.word[1:])}.</b>" if training.word else "")
        + "</p>",
        f'<p class="faint">{"<br>".join(map(_text, table.describe().splitlines()))}</p>',
    ]
    if isinstance(test, ClassScores):
        parts += [
            "<h2>Which classes are taken for which</h2>",
            _figure(plotting.confusion(test.matrix, test.classes)),
            "<h2>By class</h2>",
            _by_class(test),
        ]
    else:
        parts += ["<h2>Errors</h2>", *(f"<p>{_text(line)}</p>" for line in test.lines())]
        if test.y.ndim == 1:
            parts.append(_figure(plotting.predictions(test.y, test.predicted, table.schema.target)))
    epochs = len(training.history["loss"])
    parts += [f"<h2>The training: {options.count(epochs, 'epoch')}</h2>", _figure(plotting.curves(training.history))]
    if training.health is not None:
        health = training.health.health
        parts += ["<h2>Its health</h2>", f"<p>{_text(health.verdict.capitalize())}: {_text(health.text)}.</p>"]
        parts.append(_figure(plotting.health(training.health)))
    parts += ["<h2>The network</h2>", f'<div class="wide">{training.model._repr_html_()}</div>']
    parts.append(_figure(plotting.weights(training.model)))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{_CSS}</style>'
    title = f"<title>{_text(table.name)}: {_text(table.schema.target)}</title>"
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}{title}</head><body>\n{body}\n</body></html>\n'


def _by_class(scores: ClassScores) -> str:
    rows = scores.by_class()
    if len(rows) > MOST_CLASSES:
        rows.sort(key=lambda one: one["f1"] if one["f1"] is not None else 2.0)
    cells = [
        [
            str(one["class"]),
            *("-" if one[key] is None else f"{one[key]:.3f}" for key in ("precision", "recall", "f1")),
            f"{one['rows']:,}",
        ]
        for one in rows
    ]
    return f'<div class="wide">{as_html(["class", "precision", "recall", "F1", "rows"], cells)}</div>'


def _figure(picture: Any) -> str:
    from ..plotting.figures import pieces

    return f'<div class="charts">{"".join(f"<figure>{piece}</figure>" for piece in pieces(picture))}</div>'


def _text(text: object) -> str:
    return html.escape(str(text))
