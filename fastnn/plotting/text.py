"""A curve of letters, for terminals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_MARKS = "*o+x"
_LOGARITHMIC = 20.0  # what spans so much has a logarithmic axis


def curve(series: Mapping[str, Sequence[float]], width: int = 64, height: int = 10) -> str:
    """Lines of numbers by epoch as a block of ASCII letters.

    Args:
        series: name -> a number for each epoch. width, height: of the block, in letters.

    Returns:
        Lines of text; "" where nothing is finite or there are fewer than two epochs.

    Example:
        >>> import fastnn
        >>> print(fastnn.plotting.curve({"loss": [4.0, 2.0, 1.0, 0.5, 0.5]}, width=24, height=6))
          4 |***
            |   ****
        0.5 |       ***********
            +------------------
             1     epoch      5
             * loss
    """
    known = {name: list(values) for name, values in series.items() if any(map(math.isfinite, values))}
    finite = [value for values in known.values() for value in values if math.isfinite(value)]
    epochs = max(map(len, known.values()), default=0)
    if epochs < 2:
        return ""
    low, high = min(finite), max(finite)
    logarithmic = low > 0 and high > _LOGARITHMIC * low

    def scaled(value: float) -> float:
        return math.log(value) if logarithmic else value

    top, bottom = f"{high:.4g}", f"{low:.4g}"
    margin = max(len(top), len(bottom))
    columns, rows = max(8, width - margin - 3), max(3, height - 3)
    span = scaled(high) - scaled(low) or 1.0
    board = [[" "] * columns for _ in range(rows)]
    for mark, values in reversed(list(zip(_MARKS, known.values(), strict=False))):  # the first lies on top
        for column in range(columns):
            value = values[min(len(values) - 1, round(column * (epochs - 1) / (columns - 1)))]
            if math.isfinite(value):
                row = round((scaled(high) - scaled(value)) / span * (rows - 1))
                board[row][column] = mark
    lines = []
    for number, letters in enumerate(board):
        label = top if number == 0 else bottom if number == rows - 1 else ""
        lines.append(f"{label:>{margin}} |{''.join(letters)}".rstrip())
    last = str(epochs)
    lines.append(f"{'':>{margin}} +{'-' * columns}")
    legend = "   ".join(f"{mark} {name}" for mark, name in zip(_MARKS, known, strict=False))
    legend += "   (logarithmic)" if logarithmic else ""
    lines.append(f"{'':>{margin}}  1{'epoch':^{columns - 1 - len(last)}}{last}")
    lines.append(f"{'':>{margin}}  {legend}")
    return "\n".join(lines)
