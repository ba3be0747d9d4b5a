"""The rule table of advice: each rule both ways."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import fastnn
from fastnn import layers, losses
from nets import net

SPARSE, CATEGORICAL, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"
LOGITS = {
    SPARSE: losses.SparseCategoricalCrossentropy(from_logits=True),
    CATEGORICAL: losses.CategoricalCrossentropy(from_logits=True),
    BINARY: losses.BinaryCrossentropy(from_logits=True),
}


def dense(activation: str | None, units: int = 3) -> list[Any]:
    return [layers.Dense(units, activation)]


def split(activation: str, units: int = 3) -> list[Any]:
    return [layers.Dense(units), layers.Activation(activation), layers.Dropout(0.1)]


WARNS: list[tuple[Any, Any, str]] = [
    (lambda: dense("sigmoid"), SPARSE, "the last activation is sigmoid"),
    (lambda: dense("sigmoid"), CATEGORICAL, "the last activation is sigmoid"),
    (lambda: split("sigmoid"), CATEGORICAL, "the last activation is sigmoid"),
    (lambda: dense("relu"), SPARSE, 'the last activation is relu.*use "softmax"'),
    (lambda: dense("tanh", 1), BINARY, 'the last activation is tanh.*use "sigmoid"'),
    (lambda: dense(None), SPARSE, r"the last layer is linear.*from_logits=True"),
    (lambda: dense(None), CATEGORICAL, r"the last layer is linear.*from_logits=True"),
    (lambda: dense(None, 1), BINARY, r'end with activation="sigmoid"'),
    (lambda: dense("softmax"), LOGITS[SPARSE], "has from_logits=True"),
    (lambda: dense("softmax"), LOGITS[CATEGORICAL], "has from_logits=True"),
    (lambda: dense("sigmoid", 1), LOGITS[BINARY], "has from_logits=True"),
    (lambda: dense("softmax", 1), "mse", "the softmax of one unit is always 1"),
    (lambda: [layers.Dense(5), layers.Dense(3)], "mse", '"dense" and "dense_1" follow each other'),
    (lambda: [layers.Dense(5), layers.Dropout(0.1), layers.Dense(3)], "mse", "one linear map"),
    (lambda: [layers.Dense(5), layers.Activation("linear"), layers.Dense(3)], "mse", "one linear map"),
    # What predicts as a linear map does not help, though BatchNormalization is none in training.
    (lambda: [layers.Dense(5), layers.BatchNormalization(), layers.Dense(3)], "mse", "one linear map"),
    (lambda: [layers.Dense(5), layers.Rescaling(2.0), layers.Flatten(), layers.Dense(3)], "mse", "one linear map"),
    (lambda: [layers.Dense(5), layers.Normalization(), layers.Reshape((5,)), layers.Dense(3)], "mse", "one linear map"),
    (lambda: dense("leaky_relu"), SPARSE, "the last activation is leaky_relu"),
    (lambda: [*dense(None), layers.ReLU()], CATEGORICAL, 'the last activation is relu.*use "softmax"'),
    (lambda: [*dense(None), layers.ELU(0.5)], SPARSE, "the last activation is elu"),
    (lambda: [*dense(None), layers.Softmax()], LOGITS[SPARSE], "the last activation is softmax.*has from_logits=True"),
    (lambda: [*dense(None, 1), layers.Softmax()], "mse", "the softmax of one unit is always 1"),
    (lambda: [*dense("softmax"), layers.Rescaling(2.0)], SPARSE, "the last layer is linear"),
    (lambda: [*dense("sigmoid", 1), layers.BatchNormalization()], BINARY, "the last layer is linear"),
]

SILENT: list[tuple[Any, Any]] = [
    (lambda: dense("softmax"), SPARSE),
    (lambda: split("softmax"), SPARSE),
    (lambda: dense("softmax"), CATEGORICAL),
    (lambda: dense("sigmoid", 1), BINARY),
    (lambda: dense("sigmoid", 5), BINARY),  # multi-label
    (lambda: dense("relu"), "mse"),  # targets that are not negative
    (lambda: dense(None), "mse"),
    (lambda: dense(None), LOGITS[SPARSE]),
    (lambda: dense(None), LOGITS[CATEGORICAL]),
    (lambda: dense(None, 1), LOGITS[BINARY]),
    (lambda: dense("relu"), LOGITS[SPARSE]),
    (lambda: dense("softmax"), "kl_divergence"),
    (lambda: [layers.Dense(5, "relu"), layers.Dense(3)], "mse"),
    (lambda: [layers.Dense(5), layers.Activation("relu"), layers.Dense(3)], "mse"),
    (lambda: [layers.Dense(5), layers.BatchNormalization(), layers.ReLU(), layers.Dense(3)], "mse"),
    (lambda: [layers.Dense(5), layers.LayerNormalization(), layers.Dense(3)], "mse"),  # divides by a row's deviation
    (lambda: [layers.Dense(5), layers.LeakyReLU(), layers.Dense(3)], "mse"),
    (lambda: [layers.Normalization(), layers.Dense(3)], "mse"),
    (lambda: [*dense(None), layers.Softmax()], SPARSE),
    (lambda: [*dense("softmax"), layers.Dropout(0.1), layers.Flatten(), layers.Reshape((3,))], SPARSE),
    (lambda: [*dense("relu"), layers.Rescaling(2.0)], "mse"),
    (lambda: [*dense("softmax"), layers.BatchNormalization()], LOGITS[SPARSE]),
]


@pytest.mark.parametrize(("stack", "loss", "message"), WARNS)
def test_warns(stack: Any, loss: Any, message: str) -> None:
    with pytest.warns(fastnn.ModelAdvice, match=message) as caught:
        net(*stack(), loss=loss)
    assert len(caught) == 1
    assert caught[0].filename == net.__code__.co_filename  # the line that calls compile


@pytest.mark.parametrize(("stack", "loss"), SILENT)
def test_does_not_warn(stack: Any, loss: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(*stack(), loss=loss)


def test_accuracy_of_a_logit() -> None:
    with pytest.warns(fastnn.ModelAdvice, match="accuracy of one linear output"):
        net(layers.Dense(1), loss=LOGITS[BINARY], metrics=["accuracy"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(layers.Dense(1), loss=LOGITS[BINARY], metrics=["mae"])


def test_advice_is_given_at_compile_only() -> None:
    with pytest.warns(fastnn.ModelAdvice):
        model = net(layers.Dense(3, "sigmoid"), loss=SPARSE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit([[0, 1, 0, 1]], [2], verbose=0)
    assert issubclass(fastnn.ModelAdvice, UserWarning)
