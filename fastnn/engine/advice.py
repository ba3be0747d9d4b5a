"""What a model probably does not mean: the rules of thumb that textbooks give, at `compile`, and before and after a
training."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..core.arrays import Array
from ..core.symbolic import Function
from ..layers import Activation, BatchNormalization, Dense, Layer, LayerNormalization, Normalization, Rescaling
from ..layers.merging import Merge
from ..losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    LogCosh,
    Loss,
    Lp,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from ..metrics import Metric
from ..optimizers import Optimizer

if TYPE_CHECKING:
    from .compiling import Recipe

# What moves and scales outputs, so that they are no longer those of an activation before it.
_MAPS = (BatchNormalization, LayerNormalization, Normalization, Rescaling)

_REGRESSION = (MeanSquaredError, MeanAbsoluteError, Huber, LogCosh, Lp)
_RANGES = {
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
    "exponential": (0.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "exp": (0.0, math.inf),
    "abs": (0.0, math.inf),
    "square": (0.0, math.inf),
    "sqrt": (0.0, math.inf),
}
_UNKNOWN = "unknown"  # what merges values or is another function may give anything
_HUGE_RATE = 100.0
_LARGE = 1e5  # of most targets
_OUTSIDE = 0.01  # a share of targets that is no accident
_ROSE = 1000.0  # times
_ALIKE = 1e-6  # of the spread of y
_LEARNED = 0.97  # of the loss without X: what is above has learned next to nothing

Rule = Callable[[str, int | None, Loss], str | None]


def _over_classes(loss: Loss) -> bool:
    return isinstance(loss, CategoricalCrossentropy | SparseCategoricalCrossentropy)


def _crossentropy(loss: Loss) -> bool:
    return _over_classes(loss) or isinstance(loss, BinaryCrossentropy)


def _from_logits(loss: Loss) -> bool:
    return bool(getattr(loss, "from_logits", False))


def sigmoid_over_classes(last: str, units: int | None, loss: Loss) -> str | None:
    """A sigmoid gives independent probabilities, these losses want a distribution."""
    if last != "sigmoid" or not _over_classes(loss) or _from_logits(loss):
        return None
    return (
        f'the last activation is sigmoid, but {type(loss).__name__} wants probabilities that sum to 1; use "softmax", '
        'or "binary_crossentropy" if classes do not exclude each other'
    )


def not_probabilities(last: str, units: int | None, loss: Loss) -> str | None:
    """A cross-entropy reads probabilities."""
    if last in ("softmax", "sigmoid", "linear", _UNKNOWN) or not _crossentropy(loss) or _from_logits(loss):
        return None
    cure = "softmax" if _over_classes(loss) else "sigmoid"
    return f'the last activation is {last}, but {type(loss).__name__} wants probabilities; use "{cure}"'


def logits_unsaid(last: str, units: int | None, loss: Loss) -> str | None:
    """Linear outputs are logits, and the loss must have from_logits=True."""
    if last != "linear" or not _crossentropy(loss) or _from_logits(loss):
        return None
    cure = "softmax" if _over_classes(loss) else "sigmoid"
    return (
        f"the last layer is linear, but {type(loss).__name__} wants probabilities; end with "
        f'activation="{cure}", or give {type(loss).__name__}(from_logits=True)'
    )


def logits_twice(last: str, units: int | None, loss: Loss) -> str | None:
    """Probabilities are not logits."""
    if last not in ("softmax", "sigmoid") or not _from_logits(loss):
        return None
    return (
        f"the last activation is {last}, so its outputs are not logits, but {type(loss).__name__} has "
        "from_logits=True; leave one of them out"
    )


def softmax_of_one(last: str, units: int | None, loss: Loss) -> str | None:
    """The softmax of one number is 1."""
    if last != "softmax" or units != 1:
        return None
    return 'the softmax of one unit is always 1; use activation="sigmoid", or one unit for each class'


RULES: tuple[Rule, ...] = (sigmoid_over_classes, not_probabilities, logits_unsaid, logits_twice, softmax_of_one)


def linear_twice(layers: Sequence[Layer]) -> str | None:
    """Two linear maps in a row are one, also with a linear one between them: BatchNormalization, as it predicts.

    A narrow one before a wider one is a bottleneck, as the code of an autoencoder.
    """
    before: Dense | None = None
    for layer in layers:
        if isinstance(layer, Dense):
            if before is not None and before.units >= layer.units:
                return (
                    f'"{before.name}" and "{layer.name}" follow each other without an activation: together they are '
                    f'one linear map; give "{before.name}" an activation such as "relu"'
                )
            before = layer if layer.activation.name == "linear" else None
        elif isinstance(layer, LayerNormalization) or _activation(layer) != "linear":
            before = None
    return None


def binary_on_logits(last: str, units: int | None, metrics: Sequence[Metric]) -> str | None:
    """Binary accuracy cuts at 1/2, logits at 0."""
    if last != "linear" or units != 1 or not any("accuracy" in metric.spec_name + metric.name for metric in metrics):
        return None
    return (
        "accuracy of one linear output counts outputs above 0.5, but a logit says yes above 0; end with "
        'activation="sigmoid"'
    )


def softmax_inside(layers: Sequence[Layer]) -> str | None:
    """The outputs of a softmax sum to 1: of many units each passes on next to nothing."""
    names = [layer.activation.name if isinstance(layer, Dense) else _activation(layer) for layer in layers]
    last = max((place for place, layer in enumerate(layers) if isinstance(layer, Dense)), default=0)
    if "softmax" not in names[:last]:
        return None
    name = layers[names.index("softmax")].name
    return (
        f'"{name}" has a softmax inside the network: its outputs sum to 1, and little is left of its inputs; use "relu"'
    )


def huge_rate(optimizer: Optimizer) -> str | None:
    """No network trains with such steps, unless gradients are cut to size."""
    rate = optimizer.learning_rate
    if rate < _HUGE_RATE or optimizer.clipnorm or optimizer.clipvalue or optimizer.global_clipnorm:
        return None
    return f"the learning rate is {rate:g}, with which no network learns; try 0.001 or 0.01"


def never_adapted(layers: Sequence[Layer]) -> str | None:
    """Such a layer gives what it gets."""
    for layer in layers:
        if not isinstance(layer, Normalization) or layer.known or not layer.built:
            continue
        mean, variance = layer.weights  # a file or another model may have them
        if not mean.any() and (variance == 1.0).all():
            return f'"{layer.name}" was never adapted, so it changes nothing; call adapt(X) before fit'
    return None


def nothing_trains(trained: Collection[Layer] | None) -> str | None:
    """All weights were frozen when it was compiled."""
    if trained is None or any(layer.parameters() for layer in trained):
        return None
    return "no layer is trainable, so fit changes nothing; set trainable = True on some, and compile again"


def units_alike(layers: Sequence[Layer]) -> str | None:
    """Units that begin alike stay alike."""
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    for layer in dense[:-1]:
        kernel = np.asarray(layer.kernel)
        first = kernel[0, 0]
        if not layer.trains or (layer.units == 1 and first):
            continue
        alike = layer.bias is None or (np.asarray(layer.bias) == layer.bias[0]).all()
        if alike and (kernel[0] == first).all() and (kernel == first).all():
            return (
                f'all weights of "{layer.name}" are {first:g}, so its units are alike and stay alike; leave '
                "kernel_initializer out"
            )
    return None


def out_of_range(last: str, loss: Loss, y: Array) -> str | None:
    """What the last activation never gives cannot be learned."""
    if not isinstance(loss, _REGRESSION) or last not in _RANGES:
        return None
    (low, high), span = _RANGES[last], 1e-3
    outside = np.mean((y < low - span) | (y > high + span)) if y.min() < low - span or y.max() > high + span else 0.0
    if outside < _OUTSIDE:
        return None
    given = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
    return (
        f"the last activation is {last}, which gives {given}, but y runs from {y.min():g} to {y.max():g}; make the "
        "last layer linear"
    )


def large_targets(layers: Sequence[Layer], last: str, loss: Loss, y: Array) -> str | None:
    """Outputs begin near 0, and steps are of the size of the learning rate, or of the errors."""
    dense = [layer for layer in layers if isinstance(layer, Dense | Rescaling | Normalization | BatchNormalization)]
    if not isinstance(loss, _REGRESSION) or last != "linear" or not dense or not isinstance(dense[-1], Dense):
        return None
    bias = 0.0 if dense[-1].bias is None else dense[-1].bias.astype(np.float64)
    if np.ptp(y) == 0 or np.median(np.abs(y - bias)) < _LARGE:
        return None
    return (
        f"y runs from {y.min():g} to {y.max():g}, and outputs begin near 0; train on (y - y.mean()) / y.std(), and end "
        "the model with Rescaling(y.std(), y.mean()) afterwards"
    )


def diverged(losses: Sequence[float], least: float) -> str | None:
    """The loss is no number, or far above what it was, or what outputs of 0 would have."""
    last = losses[-1]
    if math.isfinite(last) and not (last > _ROSE * least and (len(losses) == 1 or last > _ROSE * losses[0])):
        return None
    return f"the loss is {last:.3g}: the training diverged; try a smaller learning rate, or X and y scaled to about 1"


def predictions_alike(predictions: Array, y: Array, illness: Callable[[], str | None]) -> str | None:
    """Whatever comes in, the same comes out."""
    spread = np.ptp(y, axis=0).max()
    if not np.isfinite(predictions).all() or spread == 0 or np.ptp(predictions, axis=0).max() > _ALIKE * spread:
        return None
    cause = illness() or "nothing of X was learned; its scale, the initial weights or the learning rate may be wrong"
    return f"the predictions are the same for all rows: {cause}"


def no_better_than_guessing(losses: Sequence[float], guessing: float, illness: Callable[[], str | None]) -> str | None:
    """The loss stayed at what one prediction for all rows has, and the network shows why."""
    last = losses[-1]
    nowhere = last > _LEARNED * guessing and (last < guessing / _LEARNED or last > _LEARNED * losses[0])
    if not nowhere or not (cause := illness()):
        return None
    return f"the loss is {last:.4g}, and {guessing:.4g} without X: {cause}"


class Seen(NamedTuple):
    """What a training shows of an output: its targets (n, O) before; its losses by epoch and predictions after, and
    what gives the verdict on the network's health where that is ill."""

    y: Array
    losses: Sequence[float] = ()
    predictions: Array | None = None
    weight: float = 1.0
    illness: Callable[[], str | None] = lambda: None


def advice(
    layers: Sequence[Layer],
    chains: Sequence[Sequence[Layer]],
    recipe: Recipe,
    seen: Mapping[int, Seen] | None = None,
) -> list[str]:
    """What to say of a training, one text for each rule that applies.

    Args:
        layers: all of the model. chains: those that lead to each output.
        seen: None at `compile`; before and after a training what it shows of outputs that have a loss.
    """
    texts: list[str | None] = []
    if seen is None:
        texts.append(huge_rate(recipe.optimizer))
    elif all(one.predictions is None for one in seen.values()):
        texts += [never_adapted(layers), nothing_trains(recipe.trained)]
    for number, (chain, loss) in enumerate(zip(chains, recipe.losses, strict=True)):
        if loss is None:
            continue
        if seen is None:
            metrics = [entry.metric for entry in recipe.entries if entry.output == number]
            texts += _of_output(chain, loss, metrics)
        elif number not in seen:
            continue
        elif seen[number].predictions is None:
            y, last = seen[number].y, _last(chain)[0]
            texts += [units_alike(chain), out_of_range(last, loss, y), large_targets(chain, last, loss, y)]
        else:
            texts.append(_after(loss, seen[number], alone=len(chains) == 1))
    return list(dict.fromkeys(text for text in texts if text))


def _after(loss: Loss, seen: Seen, alone: bool) -> str | None:
    """Of what goes wrong together, the first cause."""
    assert seen.predictions is not None
    least = math.inf
    if alone and isinstance(loss, MeanSquaredError):
        least = seen.weight * float(np.mean(np.square(seen.y, dtype=np.float64)))
    elif alone and isinstance(loss, _REGRESSION):
        least = seen.weight * float(np.mean(np.abs(seen.y), dtype=np.float64))
    elif alone and _crossentropy(loss):
        least = seen.weight * math.log(max(2, seen.predictions.shape[1]))
    return (
        diverged(seen.losses, least)
        or predictions_alike(seen.predictions, seen.y, seen.illness)
        or (no_better_than_guessing(seen.losses, _guessing(loss, seen), seen.illness) if alone else None)
    )


def _guessing(loss: Loss, seen: Seen) -> float:
    """The least loss of one prediction for all rows; infinite where it is not known."""
    y = seen.y
    if isinstance(loss, MeanSquaredError):
        return seen.weight * float(y.var(axis=0).mean())
    if isinstance(loss, SparseCategoricalCrossentropy):
        return seen.weight * _entropy(np.unique(y, return_counts=True)[1] / y.size)
    if isinstance(loss, CategoricalCrossentropy):
        return seen.weight * _entropy(y.mean(axis=0))
    if isinstance(loss, BinaryCrossentropy):
        share = np.clip(y.mean(axis=0), 0.0, 1.0)
        return seen.weight * _entropy(np.stack([share, 1.0 - share])) / int(share.size)
    return math.inf


def _entropy(shares: Array) -> float:
    known = shares[shares > 0]
    return -float((known * np.log(known)).sum())


def _of_output(layers: Sequence[Layer], loss: Loss, metrics: Sequence[Metric]) -> list[str | None]:
    last, units = _last(layers)
    texts = [linear_twice(layers), softmax_inside(layers)]
    if layers:
        texts += [rule(last, units, loss) for rule in RULES]
    if _crossentropy(loss) and _from_logits(loss):
        texts.append(binary_on_logits(last, units, metrics))
    return texts


def _last(layers: Sequence[Layer]) -> tuple[str, int | None]:
    """The last activation, "linear" where another map follows it, and the units of the last Dense layer."""
    name = ""
    for layer in reversed(layers):
        if isinstance(layer, Dense):
            return name or layer.activation.name, layer.units
        name = name or _last_name(layer)
    return name or "linear", None


def _last_name(layer: Layer | Function) -> str:
    """What a layer or a function at the end is; "" where it leaves values as they are."""
    if isinstance(layer, Function):
        known = layer.function in (*_RANGES, "softmax", "identity")
        return layer.function.replace("identity", "") if known else _UNKNOWN
    if isinstance(layer, Merge):
        return _UNKNOWN
    return "linear" if isinstance(layer, _MAPS) else _activation(layer).replace("linear", "")


def _activation(layer: Layer) -> str:
    return layer.activation.name if isinstance(layer, Activation) else "linear"
