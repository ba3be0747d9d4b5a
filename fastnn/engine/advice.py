"""What a model probably does not mean: the rules of thumb that textbooks give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..layers import Activation, BatchNormalization, Dense, Layer, LayerNormalization, Normalization, Rescaling
from ..losses import BinaryCrossentropy, CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy
from ..metrics import Metric

if TYPE_CHECKING:
    from .compiling import Recipe

# What moves and scales outputs, so that they are no longer those of an activation before it.
_MAPS = (BatchNormalization, LayerNormalization, Normalization, Rescaling)

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
    if last in ("softmax", "sigmoid", "linear") or not _crossentropy(loss) or _from_logits(loss):
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
    """Two linear maps in a row are one, also with a linear one between them: BatchNormalization, as it predicts."""
    before: Dense | None = None
    for layer in layers:
        if isinstance(layer, Dense):
            if before is not None:
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


def advice(chains: Sequence[Sequence[Layer]], recipe: Recipe) -> list[str]:
    """What to warn of, one text for each rule that applies; `chains`: the layers that lead to each output."""
    texts: dict[str, None] = {}
    for number, (layers, loss) in enumerate(zip(chains, recipe.losses, strict=True)):
        if loss is not None:
            metrics = [entry.metric for entry in recipe.entries if entry.output == number]
            texts |= dict.fromkeys(_of_output(layers, loss, metrics))
    return list(texts)


def _of_output(layers: Sequence[Layer], loss: Loss, metrics: Sequence[Metric]) -> list[str]:
    last, units = _last(layers)
    texts = [linear_twice(layers)]
    if layers:
        texts += [rule(last, units, loss) for rule in RULES]
    if _crossentropy(loss) and _from_logits(loss):
        texts.append(binary_on_logits(last, units, metrics))
    return [text for text in texts if text]


def _last(layers: Sequence[Layer]) -> tuple[str, int | None]:
    """The last activation, "linear" where another map follows it, and the units of the last Dense layer."""
    name = ""
    for layer in reversed(layers):
        if isinstance(layer, Dense):
            return name or layer.activation.name, layer.units
        if not name and _activation(layer) != "linear":
            name = _activation(layer)
        elif not name and isinstance(layer, _MAPS):
            name = "linear"
    return name or "linear", None


def _activation(layer: Layer) -> str:
    return layer.activation.name if isinstance(layer, Activation) else "linear"
