"""What networks are made of: activations with their slopes, and weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import activations as known
from ..core.arrays import Array
from ..errors import ArgumentError
from .figures import COLOURS, GREY, finished, panels, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..activations import Activation


class Layered(Protocol):
    """A model."""

    def leaves(self) -> list[Any]:
        """Its layers."""


_USUAL = ("sigmoid", "tanh", "relu", "leaky_relu", "gelu", "silu")
_STEP = 1e-5


def activations(names: Sequence[str | Activation] | str = _USUAL, file: str | os.PathLike[str] | None = None) -> Figure:
    """Activations of one number, each with its derivative and the largest value of that: 0.25 of a sigmoid, 1 of tanh.

    Args:
        names: names or `activations.Activation`s. file: where the picture goes, .png, .svg or .pdf.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: an unknown name, or one that needs a whole row, such as softmax.
        FastnnError: matplotlib is not installed.

    Example:
        >>> import fastnn
        >>> figure = fastnn.plotting.activations(["sigmoid", "tanh"])
        >>> [axes.get_title() for axes in figure.axes]
        ['sigmoid', 'tanh']
    """
    chosen = [known.get(name) for name in ([names] if isinstance(names, str) else names)]
    for one in chosen:
        if one.name in known.BY_ROW:
            raise ArgumentError(f"plotting.activations: {one.name} needs a whole row; give activations of one number")
    if not chosen:
        raise ArgumentError("plotting.activations: there are no names")
    # Even numbers: 0, where some have a kink, is not among them. The largest slope may lie close by.
    x, close = np.linspace(-5.0, 5.0, 1000), np.linspace(-5.0, 5.0, 100_000)
    with style():
        made, places = panels(len(chosen), 3.6, 3.5)
        for axes, one in zip(places, chosen, strict=True):
            slope = _slope(one, x)
            most = round(float(np.abs(_slope(one, close)).max()), 3)
            axes.axhline(0, color=GREY, linewidth=0.8)
            axes.axvline(0, color=GREY, linewidth=0.8)
            axes.axhline(most, color=COLOURS[1], linewidth=1.0, linestyle=":")
            axes.plot(x, one(x), color=COLOURS[0], label="f")
            axes.plot(x, slope, color=COLOURS[1], linestyle="--", label=f"f′, at most {most:g}")
            between = abs(most - round(most)) > 0.2 and most < 3
            axes.set_yticks(sorted({-1.0, 0.0, 1.0, 2.0, 3.0, *([most] if between else [])}))
            axes.set_ylim(-1.3, 3.4)  # with room for the legend
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_title(one.name)
            axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
        return finished(made, file)


def _slope(one: Activation, x: Array) -> Array:
    return (one(x + _STEP) - one(x - _STEP)) / (2 * _STEP)


def weights(model: Layered, file: str | os.PathLike[str] | None = None) -> Figure:
    """Histograms of the weights of each layer that has some, biases beside kernels; statistics are no weights.

    Args:
        model: a model whose input shape is known. file: see `activations`.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: there are no weights. FastnnError: matplotlib is not installed.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(32, "relu"), fastnn.layers.Dense(10)])
        >>> [axes.get_title() for axes in fastnn.plotting.weights(model).axes]
        ['dense', 'dense_1']
    """
    with_some = []
    for layer in model.leaves():
        pairs = zip(layer.parameters(), layer.weights, strict=False)  # there are none before the shape is known
        if own := [weight for parameter, weight in pairs if not parameter.statistic]:
            with_some.append((layer, own))
    if not with_some:
        raise ArgumentError("plotting.weights: there are no weights; the input shape must be known")
    with style():
        made, places = panels(len(with_some), 3.8, 3.4)
        for axes, (layer, own) in zip(places, with_some, strict=True):
            for place, weight in enumerate(own):
                values = np.asarray(weight, np.float64).ravel()
                values = values[np.isfinite(values)]
                label = f"{weight.name} {'x'.join(map(str, np.shape(weight)))}"
                bins = min(40, max(5, int(np.sqrt(values.size)))) if values.size else 1
                share = np.full(values.size, 1.0 / max(1, values.size))
                colour, filled = COLOURS[place % len(COLOURS)], place == 0
                axes.hist(
                    values,
                    bins=bins,
                    weights=share,
                    histtype="stepfilled" if filled else "step",
                    color=colour,
                    alpha=0.55 if filled else 1.0,
                    linewidth=1.8,
                    label=label,
                )
            axes.set_title(layer.name)
            axes.set_xlabel("value")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
            axes.margins(y=0.35)  # for the legend
            axes.legend(loc="upper left", fontsize=10)
        return finished(made, file)
