"""What changes with the epochs: losses, metrics, and the health of layers."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..core.files import path_of
from ..errors import ArgumentError, ArgumentTypeError
from .figures import finished, line, panels, shortened, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..core.declaration import Config

Series = dict[str, list[float]]


class WithHistory(Protocol):
    """What `fit` returned."""

    history: dict[str, list[float]]


class WithMetadata(Protocol):
    """A model, whose metadata may hold the results of its training."""

    metadata: Config


class Health(Protocol):
    """A `diagnostics.Health`."""

    @property
    def layers(self) -> Sequence[Any]:
        """What was seen of each layer."""


class Watch(Protocol):
    """A `diagnostics.GradientHealth`."""

    epochs: list[int]
    healths: list[Any]


Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Sequence[float]] | WithHistory | WithMetadata"

_LOGARITHMIC = 50.0  # a loss that falls to so small a part has a logarithmic axis


def log(source: Source) -> Series:
    """Results by epoch.

    Args:
        source: what `fit` returned, its dict, the file of a `callbacks.CSVLogger`, or a model in whose metadata
            "history" is such a dict, as in those that `fastnn train` saves.

    Returns:
        Name -> a number for each epoch, NaN where there is none.

    Raises:
        ArgumentError: there are no results. ArgumentTypeError: something else. OSError: the file cannot be read.

    Example:
        >>> import fastnn
        >>> fastnn.plotting.log({"loss": [2.0, 1.0], "val_loss": [3.0]})
        {'loss': [2.0, 1.0], 'val_loss': [3.0]}
    """
    if isinstance(source, str | os.PathLike):
        return _read(source)
    given: Any = source if isinstance(source, Mapping) else getattr(source, "history", None)
    if not isinstance(given, Mapping):
        given = getattr(source, "metadata", {}).get("history") or getattr(given, "history", None)
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            f"plotting: {type(source).__name__} holds no results by epoch; give what fit returned, or the file of a "
            "CSVLogger"
        )
    series = {
        str(name): [math.nan if value is None else float(value) for value in values] for name, values in given.items()
    }
    if not any(series.values()):
        raise ArgumentError("plotting: there are no epochs yet")
    return series


def _read(file: str | os.PathLike[str]) -> Series:
    path_of("plotting", "source", file)
    with open(file, newline="", encoding="utf-8") as opened:
        start = opened.readline()
        opened.seek(0)
        rows = list(csv.DictReader(opened, delimiter=max(",;\t", key=start.count)))
    names = [name for name in (rows[0] if rows else {}) if name and name != "epoch"]
    if not rows or not names:
        raise ArgumentError(f"{os.fspath(file)}: expected a table of results with a line for each epoch")
    series = {name: [_number(row[name]) for row in rows] for name in names}
    return {name: values for name, values in series.items() if not all(map(math.isnan, values))}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:  # "NA", or a vector
        return math.nan


def curves(source: Source, file: str | os.PathLike[str] | None = None) -> Figure:
    """Losses and metrics by epoch, those of training and of validation in one panel.

    Args:
        source: see `log`. file: where the picture goes, .png, .svg or .pdf.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError, ArgumentTypeError: see `log`. FastnnError: matplotlib is not installed.

    Example:
        >>> import fastnn
        >>> figure = fastnn.plotting.curves({"loss": [2.0, 1.0, 0.5], "val_loss": [2.0, 1.5, 1.6]})
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['training', 'validation', 'best: epoch 2']
    """
    series = log(source)
    names = [name for name in series if not name.startswith("val_")]
    names += [name for name in series if name.startswith("val_") and name.removeprefix("val_") not in names]
    names.sort(key=lambda name: name != "loss")
    with style():
        made, places = panels(len(names), 5.0, 4.0, most=2)
        for axes, name in zip(places, names, strict=True):
            both = [(name, "training"), (f"val_{name}", "validation")]
            drawn = [(series[key], label) for key, label in both if key in series]
            for place, (values, label) in enumerate(drawn):
                _draw(axes, range(1, len(values) + 1), values, label, place)
            if name == "loss" and _falls_far([value for values, _ in drawn for value in values]):
                axes.set_yscale("log")
            axes.set_title(name)
            axes.set_xlabel("epoch")
            if max(len(values) for values, _ in drawn) > 1:
                axes.set_xlim(left=1)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(drawn) > 1:
                _mark_best(axes, name, drawn[1][0])
                axes.legend()
        return finished(made, file)


def _draw(axes: Any, xs: Sequence[float], values: Sequence[float], label: str, number: int) -> None:
    alone = sum(map(math.isfinite, values)) < 2  # a line of one point would not be seen
    axes.plot(xs, values, label=label, marker="o" if alone else None, **line(number))


def _falls_far(values: Sequence[float]) -> bool:
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > _LOGARITHMIC * min(finite)


def _mark_best(axes: Any, name: str, values: Sequence[float]) -> None:
    """A point where the loss of validation is least."""
    finite = [(value, epoch) for epoch, value in enumerate(values, 1) if math.isfinite(value)]
    if name == "loss" and finite:
        value, epoch = min(finite)
        axes.plot([epoch], [value], "o", color=line(1)["color"], markersize=8, label=f"best: epoch {epoch}")


_PANELS = (
    ("gradients", "gradient of weights, RMS", True),
    ("outputs", "activations, RMS", True),
    ("update", "update / weight", True),
    ("dead", "dead (relu) or saturated units", False),
)


def health(source: Health | Watch, file: str | os.PathLike[str] | None = None) -> Figure:
    """The health of layers: gradients, activations, sizes of steps, and shares of dead or saturated units.

    Args:
        source: a `diagnostics.GradientHealth` that has watched a training, for lines by epoch; or one `Health`, for
            lines by layer. file: see `curves`.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: it has not looked at anything yet. FastnnError: matplotlib is not installed.

    Example:
        >>> import fastnn
        >>> X, y = fastnn.datasets.load_digits()
        >>> model = fastnn.Sequential([fastnn.layers.Dense(8, "relu"), fastnn.layers.Dense(10, "softmax")])
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> watch = fastnn.diagnostics.GradientHealth(X, y, verbose=0)
        >>> history = model.fit(X, y, epochs=2, callbacks=[watch], verbose=0)
        >>> len(fastnn.plotting.health(watch).axes)
        4
    """
    given: Any = source
    one = hasattr(given, "layers")
    epochs, healths = ([0], [given]) if one else (given.epochs, given.healths)
    if not healths:
        raise ArgumentError("plotting.health: nothing was looked at yet; give the callback to fit first")
    names = [layer.name for layer in healths[0].layers if not math.isnan(layer.weights)]
    with style():
        made, places = panels(len(_PANELS), 5.0, 3.8, most=2)
        handles: list[Any] = []
        for axes, (what, title, logarithmic) in zip(places, _PANELS, strict=True):
            by_name = {
                name: [_value(next(layer for layer in each.layers if layer.name == name), what) for each in healths]
                for name in names
            }
            if one:
                axes.plot(range(len(names)), [values[0] for values in by_name.values()], marker="o", **line(0))
                axes.set_xticks(range(len(names)), shortened(names), rotation=45, ha="right")
            else:
                for place, (name, values) in enumerate(by_name.items()):
                    if any(map(math.isfinite, values)):
                        _draw(axes, epochs, values, name, place)
                axes.set_xlabel("epochs trained")
                axes.xaxis.get_major_locator().set_params(integer=True)
                handles = max(handles, axes.get_legend_handles_labels()[0], key=len)
            if logarithmic:
                axes.set_yscale("log", nonpositive="mask")
            else:
                axes.set_ylim(-0.02, 1.02)
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
            axes.set_title(title)
        if handles:
            made.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
        made.suptitle(f"health: {healths[-1].verdict}", fontsize=14)
        return finished(made, file)


def _value(layer: Any, what: str) -> float:
    if what == "dead" and math.isnan(layer.dead):
        return float(layer.saturated) if layer.hidden else math.nan
    return float(getattr(layer, what))
