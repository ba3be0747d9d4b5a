"""The rule table of advice: each rule both ways."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, optimizers
from fastnn.initializers import Constant
from nets import every_backend, net, wave

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

WARNS += [
    (lambda: [layers.Dense(5, "softmax"), layers.Dense(3)], "mse", '"dense" has a softmax inside the network'),
    (
        lambda: [*dense(None, 5), layers.Softmax(), layers.Dropout(0.1), layers.Dense(3)],
        "mse",
        '"softmax" has a softmax',
    ),
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
    (lambda: [layers.Dense(2), layers.Dense(8, "relu"), layers.Dense(3)], "mse"),  # the code of an autoencoder
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


# What is seen before a training, and after one

X, Y = wave(60, 4), wave(60, 4) @ np.array([1.0, -2.0, 0.5, 1.0])
HIDDEN: Any = {"activation": "tanh", "kernel_initializer": "zeros"}


def normalization(**known: Any) -> layers.Normalization:
    return layers.Normalization(**known)


BEFORE: list[tuple[Any, Any, str]] = [
    (lambda: dense(None, 1), 3e6 * Y + 1e6, "y runs from .*, and outputs begin near 0; train on"),
    (lambda: [*dense("relu"), *dense(None, 1)], 3e6 + Y, "y runs from "),
    (lambda: [layers.Dense(5, **HIDDEN), *dense(None, 1)], Y, 'all weights of "dense" are 0'),
    (lambda: [layers.Dense(5, "relu", kernel_initializer="ones"), *dense(None, 1)], Y, 'all weights of "dense" are 1'),
    (lambda: [normalization(), *dense(None, 1)], Y, '"normalization" was never adapted'),
    (lambda: dense("relu", 1), Y, "the last activation is relu, which gives at least 0, but y runs from -"),
    (lambda: split("relu", 1), Y, "the last activation is relu"),
    (lambda: dense("sigmoid", 1), np.abs(Y) + 2, "the last activation is sigmoid, which gives 0 to 1"),
    (lambda: dense("tanh", 1), 3 * Y, "the last activation is tanh, which gives -1 to 1"),
]

NOTHING_BEFORE: list[tuple[Any, Any]] = [
    (lambda: dense(None, 1), Y),
    (lambda: dense(None, 1), np.append(Y[:-1], 1e30)),  # one outlier
    (lambda: dense(None, 1), np.full(60, 1e6)),
    (lambda: [*dense(None, 1), layers.Rescaling(3e6, 1e6)], 3e6 * Y + 1e6),
    (lambda: [layers.Dense(1, bias_initializer=Constant(3e6))], 3e6 + Y),
    (lambda: [layers.Dense(1, kernel_initializer="zeros")], Y),
    (lambda: [layers.Dense(5, **HIDDEN, bias_initializer="random_normal"), *dense(None, 1)], Y),
    (lambda: [normalization(mean=0.0, variance=1.0), *dense(None, 1)], Y),
    (lambda: dense("relu", 1), np.abs(Y)),
    (lambda: dense("tanh", 1), np.sign(Y)),
    (lambda: [*dense("relu", 1), layers.Rescaling(-1.0)], -np.abs(Y)),
]


@every_backend
@pytest.mark.parametrize(("stack", "y", "message"), BEFORE)
def test_warns_before_a_training(stack: Any, y: Any, message: str, backend: str) -> None:
    """At the first fit, once."""
    model = net(*stack(), backend=backend)
    with pytest.warns(fastnn.ModelAdvice, match=message) as caught:
        model.fit(X, y, verbose=0)
    assert len(caught) == 1 and caught[0].filename == __file__
    model.fit(X, y, verbose=0)


@pytest.mark.parametrize(("stack", "y"), NOTHING_BEFORE)
def test_does_not_warn_before_a_training(stack: Any, y: Any) -> None:
    net(*stack()).fit(X, y, verbose=0)


def test_ends_of_graphs() -> None:
    """Functions are activations, too; what merges values may give anything."""
    x = fastnn.Input((4,))
    one, two, many = layers.Dense(1)(x), layers.Dense(1, "sigmoid")(x), layers.Dense(3, "softmax")(x)
    for out, loss in (
        (fastnn.ops.sigmoid(one), BINARY), (1.0 - two, BINARY), (two * two, BINARY),
        (layers.average([two, two]), BINARY),
        (layers.average([many, many]), SPARSE), (layers.concatenate([two, two]), BINARY),
    ):  # fmt: skip
        fastnn.Model(x, out).compile("sgd", loss, backend="reference")
    for out, told in (
        (fastnn.ops.relu(one), "relu, which gives at least 0"),
        (fastnn.ops.exp(one), "exp, which gives"),
    ):
        model = fastnn.Model(x, out)
        model.compile("sgd", "mse", backend="reference")
        with pytest.warns(fastnn.errors.ModelAdvice, match=f"the last activation is {told}"):
            model.fit(wave(64, 4), wave(64), verbose=0)


def test_nothing_is_trained() -> None:
    model = net(layers.Dense(2, trainable=False), layers.Rescaling(2.0), backend="reference")
    with pytest.warns(fastnn.errors.ModelAdvice, match="no layer is trainable, so fit changes nothing"):
        model.fit(wave(9, 4), wave(9, 2), verbose=0)


def test_a_subclass_is_told_once() -> None:
    """When it is compiled what is known then, when its layers are connected the rest."""

    class Own(fastnn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [layers.Dense(3), layers.Dense(1)]

        def call(self, x: Any) -> Any:
            return self.parts[1](self.parts[0](x))

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = Own()
        model.compile(optimizers.Adam(1e10), "mse", backend="reference")
        model.build((None, 4))
    assert [str(one.message)[:12] for one in told] == ["the learning", '"dense" and ']


def test_weights_that_were_set_count() -> None:
    """Not how they would have begun."""
    model = net(layers.Dense(5, **HIDDEN), layers.Dense(1))
    model.set_weights([wave(*weight.shape) for weight in model.get_weights()])
    model.fit(X, Y, verbose=0)
    late = layers.Normalization()
    model = net(late, layers.Dense(1))
    late.adapt(X)
    model.fit(X, Y, verbose=0)


def test_huge_rates() -> None:
    with pytest.warns(fastnn.ModelAdvice, match=r"the learning rate is 1e\+10, with which no network learns"):
        net(optimizer=optimizers.SGD(1e10))
    net(optimizer=optimizers.SGD(1e10, clipvalue=1e-12))
    net(optimizer=optimizers.Adadelta(1.0))


DEAD = Constant(-9.0)
AFTER: list[tuple[Any, Any, Any, Any, int, str]] = [
    (lambda: dense(None, 1), Y, 5.0, "mse", 3, "the loss is .*: the training diverged"),
    (lambda: dense(None, 1), Y, 90.0, "mse", 1, "the loss is "),
    (lambda: dense("softmax", 2), (Y > 0).astype(int), 90.0, SPARSE, 4, ""),
    (
        lambda: [layers.Dense(3, "relu", bias_initializer=Constant(-9.0)), *dense(None, 1)],
        Y,
        0.01,
        "mse",
        1,
        "the pred",
    ),
    (lambda: dense(None, 1), Y, 0.01, "mse", 1, ""),
    (lambda: dense(None, 1), np.ones(60), 0.01, "mse", 1, ""),
]


@every_backend
@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize(("stack", "y", "rate", "loss", "epochs", "line"), AFTER)
def test_a_line_after_a_training(
    stack: Any, y: Any, rate: float, loss: str, epochs: int, line: str, verbose: int, backend: str, capsys: Any
) -> None:
    model = net(*stack(), loss=loss, optimizer=optimizers.SGD(rate), backend=backend)
    model.fit(3 * X, y, epochs=epochs, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (0 if not verbose else epochs + bool(line))
    if line and verbose:
        assert re.match(line, lines[-1])


def test_alike_rows_have_alike_predictions(capsys: Any) -> None:
    net(layers.Dense(1)).fit(np.ones((60, 4)), Y, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 1
