"""What predictions are like: a confusion matrix, predicted against true values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.arrays import Array, numeric
from ..errors import ArgumentError
from .figures import COLOURS, GREY, figure, finished, shortened, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

_MOST_NUMBERS = 20  # classes: a matrix of more has colours alone
_FEW = 5000  # points: of more, a part is drawn


def confusion(
    matrix: ArrayLike, classes: Sequence[str | int | float] | None = None, file: str | os.PathLike[str] | None = None
) -> Figure:
    """A confusion matrix: a row for each true class, a column for each prediction.

    Args:
        matrix: (C, C) counts. classes: their names. file: where the picture goes, .png, .svg or .pdf.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: not a square matrix, or another number of names. FastnnError: matplotlib is not installed.

    Example:
        >>> import fastnn
        >>> figure = fastnn.plotting.confusion([[9, 1], [2, 8]], classes=["cat", "dog"])
        >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
        ['cat', 'dog']
    """
    counts = numeric(matrix, "plotting.confusion: matrix")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ArgumentError(f"plotting.confusion: matrix has shape {counts.shape}, expected (classes, classes)")
    count = len(counts)
    names = shortened(range(count) if classes is None else classes)
    if len(names) != count:
        raise ArgumentError(f"plotting.confusion: {len(names)} names for {count} classes")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(10.0, max(4.6, 1.8 + 0.55 * count))
    with style():
        made = figure(size, size + 0.8)
        axes = made.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        made.colorbar(image, ax=axes, location="bottom", shrink=0.8, aspect=30, label="share of the true class")
        axes.grid(False)
        if count <= _MOST_NUMBERS:
            turned = max(map(len, names)) > 3
            axes.set_xticks(range(count), names, rotation=45 if turned else 0, ha="right" if turned else "center")
            axes.set_yticks(range(count), names)
            for row in range(count):
                for column in range(count):
                    if counts[row, column]:
                        colour = "white" if shares[row, column] > 0.55 else "#111111"  # on any paper
                        text = f"{counts[row, column]:,.0f}"
                        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=11)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(f"{float(np.trace(counts)) / max(1.0, float(counts.sum())):.1%} are right")
        return finished(made, file)


def predictions(
    y: ArrayLike, predicted: ArrayLike, unit: str = "", file: str | os.PathLike[str] | None = None
) -> Figure:
    """Predicted against true values, and the line on which they would be equal.

    Args:
        y, predicted: (n,) or (n, 1) numbers. unit: what they are, for the axes. file: see `confusion`.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: not as many. FastnnError: matplotlib is not installed.

    Example:
        >>> import fastnn
        >>> figure = fastnn.plotting.predictions([1.0, 2.0, 3.0], [1.1, 2.1, 2.7], unit="cm")
        >>> figure.axes[0].get_xlabel()
        'true cm'
    """
    true, made_of_it = (_vector(values, name) for values, name in ((y, "y"), (predicted, "predicted")))
    if true.size != made_of_it.size or not true.size:
        raise ArgumentError(f"plotting.predictions: {true.size} values of y and {made_of_it.size} predictions")
    some = np.linspace(0, true.size - 1, min(true.size, _FEW)).astype(np.int64)
    low, high = float(min(true.min(), made_of_it.min())), float(max(true.max(), made_of_it.max()))
    with style():
        made = figure(5.6, 5.0)
        axes = made.add_subplot()
        axes.plot([low, high], [low, high], color=GREY, linewidth=1.4, linestyle="--", label="equal")
        axes.scatter(
            true[some], made_of_it[some], s=16, color=COLOURS[0], alpha=0.45 if some.size > 200 else 0.8, linewidths=0
        )
        error = np.abs(true - made_of_it).mean(dtype=np.float64)
        axes.set_title(f"off by {error:.4g} in the mean")
        axes.set_xlabel(f"true {unit}".strip())
        axes.set_ylabel(f"predicted {unit}".strip())
        axes.legend(loc="upper left")
        return finished(made, file)


def _vector(values: Any, name: str) -> Array:
    array = numeric(values, f"plotting.predictions: {name}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ArgumentError(f"plotting.predictions: {name} has shape {array.shape}, expected (n,)")
    return array.astype(np.float64)
