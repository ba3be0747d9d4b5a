"""The graphs of graphs.py, each said once: a function of what a library makes of a Dense layer, of a table and of a
concatenation. Adding is `+` everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fastnn.benchmarks.networks import CLASSES

BINARY, SQUARED = "binary_crossentropy", "mean_squared_error"


class Makes(Protocol):
    """What a library has to say."""

    def dense(self, x: Any, name: str, units: int, activation: str = "linear") -> Any: ...
    def table(self, codes: Any, name: str, rows: int, width: int) -> Any: ...
    def concatenate(self, values: Sequence[Any]) -> Any: ...


class GraphNetwork(NamedTuple):
    """`inputs` are the widths of those of numbers, then how many classes each of the others has; `losses` and `widths`
    those of the outputs, which are logits."""

    outputs: Callable[..., list[Any]]
    numbers: list[int]
    classes: list[int]
    losses: list[str]
    widths: list[int]
    batch: int
    rows: int


def wide_and_deep(made: Makes, wide: Any, deep: Any) -> list[Any]:
    """A linear part beside a deep one."""
    hidden = made.dense(made.dense(deep, "deep_1", 64, "relu"), "deep_2", 64, "relu")
    return [made.dense(made.concatenate([wide, hidden]), "out", 1)]


def residual(made: Makes, x: Any) -> list[Any]:
    """Six blocks of 128."""
    x = made.dense(x, "first", 128)
    for number in range(6):
        x = x + made.dense(x, f"block_{number}", 128, "relu")
    return [made.dense(x, "out", 10)]


def two_heads(made: Makes, x: Any) -> list[Any]:
    """An agent's value and policy."""
    x = made.dense(made.dense(x, "hidden_1", 64, "relu"), "hidden_2", 64, "relu")
    return [made.dense(x, "value", 1), made.dense(x, "policy", 4)]


def entities(made: Makes, numbers: Any, *codes: Any) -> list[Any]:
    """A table with columns of classes."""
    tables = [made.table(column, f"table_{number}", 100, 8) for number, column in enumerate(codes)]
    x = made.concatenate([*tables, numbers])
    return [made.dense(made.dense(made.dense(x, "hidden_1", 64, "relu"), "hidden_2", 64, "relu"), "out", 1)]


GRAPHS = {
    "wide and deep, 256": GraphNetwork(wide_and_deep, [32, 32], [], [BINARY], [1], 256, 256 * 200),
    "residual 6 x 128, 128": GraphNetwork(residual, [64], [], [CLASSES], [10], 128, 128 * 150),
    "two heads, 128": GraphNetwork(two_heads, [32], [], [SQUARED, CLASSES], [1, 4], 128, 128 * 300),
    "entity embeddings, 256": GraphNetwork(entities, [20], [100] * 8, [SQUARED], [1], 256, 256 * 150),
}
