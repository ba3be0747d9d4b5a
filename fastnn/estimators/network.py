"""From an estimator's parameters to a model: its layers, its loss, its optimizer, its first weights."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import layers, losses, metrics, optimizers, regularizers
from ..core.arrays import Array
from ..engine import compiling
from ..losses import Loss
from ..models import Sequential
from ..optimizers import Optimizer

# What scikit-learn calls an activation, and what fastnn does.
ACTIVATIONS = {
    "identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "softmax": "softmax",
    "exp": "exponential",
}  # fmt: skip


class Objective(NamedTuple):
    """What is minimised.

    Attributes:
        loss: its mean over the outputs is multiplied by `weight`.
        averaged: whether it is told as a mean over the outputs, though it is their sum that is minimised.
    """

    loss: Loss
    weight: float
    out_activation: str
    averaged: bool = False


def classes(outputs: int, exclusive: bool) -> Objective:
    """Of class numbers, of which a row has one of three or more; else of answers, yes or no, one by one."""
    if exclusive:
        return Objective(losses.SparseCategoricalCrossentropy(), 1.0, "softmax")
    return Objective(losses.BinaryCrossentropy(), float(outputs), "logistic")


def numbers(loss: object, outputs: int) -> Objective:
    """Of numbers: the sum of a loss over the outputs."""
    if loss == "squared_error":
        return Objective(losses.MeanSquaredError(), outputs / 2, "identity", averaged=outputs > 1)
    if loss == "poisson":
        return Objective(losses.PoissonDeviance(), float(outputs), "exp")
    known = {"absolute_error": losses.MeanAbsoluteError, "huber": losses.Huber, "quantile": losses.Quantile}
    made = loss if isinstance(loss, Loss) else known[str(loss)]()
    counts = isinstance(made, losses.PoissonDeviance | losses.Poisson)
    return Objective(made, float(outputs), "exp" if counts else "identity")


class Shape(NamedTuple):
    """What a model is made of.

    Attributes:
        units: features, the widths of hidden layers, outputs. decay: half of what an L2 penalty's slope is. moments:
            means and variances that features are standardised by, or None.
    """

    units: tuple[int, ...]
    activation: str
    dropout: float
    decay: float
    dtype: str
    moments: tuple[Array, Array] | None


def model(shape: Shape, objective: Objective, seed: int) -> Sequential:
    """A model whose weights are 0, not compiled."""
    stack: list[Any] = [layers.Input((shape.units[0],))]
    if shape.moments is not None:
        mean, variance = shape.moments
        stack.append(layers.Normalization(mean=mean, variance=variance, dtype=shape.dtype))
    last = len(shape.units) - 1
    for number, width in enumerate(shape.units[1:], 1):
        function = ACTIVATIONS[objective.out_activation if number == last else shape.activation]
        penalty = regularizers.L2(shape.decay) if shape.decay else None
        stack.append(
            layers.Dense(width, function, kernel_initializer="zeros", kernel_regularizer=penalty, dtype=shape.dtype)
        )
        if shape.dropout and number < last:
            stack.append(layers.Dropout(shape.dropout, dtype=shape.dtype))
    made = Sequential(stack)
    made.seed = seed
    return made


def compile_for(made: Sequential, objective: Objective, optimizer: Optimizer, backend: str) -> None:
    """Compiles a model anew, on the weights that it has; there is no advice on what the estimator chose."""
    told = [metrics.MeanSquaredError()] if objective.averaged else None
    recipe = compiling.recipe(
        optimizer, objective.loss, None, backend, told, [made.output_names[0]], [objective.weight]
    )
    made.take(recipe)


def weights(made: Sequential) -> tuple[list[Array], list[Array]]:
    """Views of the W and of the b of each Dense."""
    pairs = [made.parameters_of(layer) for layer in made.layers if isinstance(layer, layers.Dense)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def draw(made: Sequential, activation: str, random: np.random.RandomState) -> None:
    """Begins with uniform weights and biases, by scikit-learn's bounds and in its order.

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    for W_io, b_o in zip(*weights(made), strict=True):
        bound = math.sqrt((2.0 if activation == "logistic" else 6.0) / sum(W_io.shape))
        W_io[...] = random.uniform(-bound, bound, W_io.shape)
        b_o[...] = random.uniform(-bound, bound, b_o.shape)


def optimizer_of(given: object, rate: float) -> Optimizer:
    """A new optimizer: an equal one, or one of a name at a learning rate."""
    if isinstance(given, str):
        made = optimizers.get(given)
        made.learning_rate = rate
        return made
    assert isinstance(given, Optimizer)  # the parameter's constraint
    return type(given).from_config(given.get_config())


def told_loss(logs: dict[str, Any], objective: Objective, outputs: int) -> float:
    """The loss as scikit-learn tells it: of squared errors the mean over the outputs."""
    loss = float(logs["loss"])
    return loss - (outputs - 1) / 2 * float(logs["mean_squared_error"]) if objective.averaged else loss
