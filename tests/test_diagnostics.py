"""Verdicts on networks that are built to be ill, and on healthy ones."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import diagnostics, layers, optimizers
from fastnn.errors import ArgumentError, NotBuiltError
from fastnn.initializers import Constant, RandomNormal
from nets import every_backend, net
from support import TWINS, load

SPARSE = "sparse_categorical_crossentropy"
X, Y = fastnn.datasets.load_digits()
ROWS, LABELS = X[:256], Y[:256]


def network(*stack: Any, backend: str = "c", optimizer: Any = "adam", last: str = "glorot_uniform") -> Any:
    layer = layers.Dense(10, "softmax", kernel_initializer=last)
    return net(*stack, layer, features=64, loss=SPARSE, optimizer=optimizer, backend=backend)


def deep(count: int, activation: str, kernel: Any = "glorot_uniform") -> list[Any]:
    return [layers.Dense(64, activation, kernel_initializer=kernel) for _ in range(count)]


def dense(activation: str = "relu", **more: Any) -> list[Any]:
    return [layers.Dense(64, activation, **more)]


ILL: list[tuple[Any, str, str]] = [
    (
        lambda: network(*deep(10, "sigmoid")),
        "vanishing",
        r'of layer 1 of 10, "dense", are \de-0\d of.*try relu with he_n',
    ),
    (lambda: network(*deep(8, "relu", RandomNormal(stddev=0.01))), "vanishing", "try he_normal weights, shortcuts"),
    (lambda: network(*deep(10, "relu", RandomNormal(stddev=1.0))), "exploding", r"are \de\+0\d times the last hidden"),
    (lambda: network(*dense(bias_initializer=Constant(-200.0))), "dead units", '100% of the units of "dense" are 0'),
    (
        lambda: network(*dense(), *dense(bias_initializer=Constant(-20.0))),
        "dead units",
        '100% of the units of "dense_1"',
    ),
    (lambda: network(*dense("tanh", kernel_initializer=RandomNormal(stddev=3.0))), "saturated", "where tanh is flat"),
    (lambda: network(*dense("sigmoid", kernel_initializer=RandomNormal(stddev=9.0))), "saturated", "where sigmoid is"),
    (
        lambda: network(*dense(kernel_initializer="zeros"), last="zeros"),
        "symmetric",
        'all units of "dense" have the same',
    ),
    (lambda: network(*dense("sigmoid", kernel_initializer="ones"), last="zeros"), "symmetric", "stay one unit"),
    (lambda: network(*dense(), optimizer=optimizers.SGD(1e-9)), "not learning", "try a larger learning rate"),
    (lambda: network(*dense(), optimizer=optimizers.Adam(1.0)), "not learning", "try a smaller learning rate"),
]

HEALTHY: list[Any] = [
    lambda: network(*dense()),
    lambda: network(),
    lambda: network(*deep(3, "sigmoid")),
    lambda: network(*deep(4, "tanh"), optimizer="sgd"),
    lambda: network(*deep(20, "relu", "he_normal")),
    lambda: network(*deep(8, "selu", "lecun_normal")),
    lambda: network(*dense(), *dense(), optimizer=optimizers.Adam(0.01)),
    lambda: network(layers.Dense(1024, "relu"), *dense(), optimizer=optimizers.Adam(0.01)),
    lambda: network(*dense(), optimizer=optimizers.SGD(0.1, momentum=0.9)),
    lambda: network(layers.Dense(64), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5), *dense()),
    lambda: network(*dense(), last="zeros"),
    lambda: network(*dense("tanh", kernel_initializer="zeros", bias_initializer="random_normal"), last="zeros"),
    lambda: network(*dense(kernel_regularizer="l2"), optimizer=optimizers.RMSprop(clipnorm=1.0)),
    lambda: network(*dense(), optimizer=optimizers.Ftrl(0.05)),
]


@pytest.mark.parametrize(("make", "verdict", "text"), ILL)
def test_ill_networks(make: Any, verdict: str, text: str) -> None:
    health = diagnostics.gradient_health(make(), ROWS, LABELS)
    assert not health and health.verdict == verdict and re.search(text, health.text), health
    assert repr(health).startswith(f"{verdict}: ") and "dense" in health._repr_html_()


@pytest.mark.parametrize("make", HEALTHY)
def test_healthy_networks(make: Any) -> None:
    """At the beginning, early and later."""
    model = make()
    for epochs in (0, 1, 5):
        if epochs:
            model.fit(X[:1400], Y[:1400], epochs=epochs, verbose=0)
        health = diagnostics.gradient_health(model, ROWS, LABELS)
        assert health and health.verdict == "healthy", health


def test_a_loss_that_is_not_finite() -> None:
    model = net(backend="reference")
    model.set_weights([np.full((4, 1), 3e38), [0.0]])
    health = diagnostics.gradient_health(model, np.ones((20, 4)), np.ones(20))
    assert health.verdict == "exploding" and "NaN or infinity" in health.text


@every_backend
def test_figures(backend: str) -> None:
    """Of a step that is computed by hand; the model, its averages too, stays as it is."""
    model = network(*dense(), layers.BatchNormalization(), backend=backend, optimizer=optimizers.SGD(0.5))
    weights, counters = model.get_weights(), model.engine().state.counters.copy()
    health = diagnostics.gradient_health(model, ROWS, LABELS)
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    assert (model.engine().state.counters == counters).all()
    first, last = health.layers[0], health.layers[2]
    A, g = model.activations(ROWS)["dense"], model.gradients(ROWS, LABELS)["dense/kernel"]

    def rms(array: Any) -> float:
        return float(np.sqrt(np.square(array, dtype=np.float64).mean()))

    got = (first.weights, first.gradients, first.outputs, first.mean, first.update, first.dead, first.zeros)
    dead, zeros = (A == 0).all(axis=0).mean(), (A == 0).mean()
    wanted = (rms(weights[0]), rms(g), rms(A), A.mean(), 0.5 * rms(g) / rms(weights[0]), dead, zeros)
    np.testing.assert_allclose(got, wanted, rtol=1e-4)
    assert [one.name for one in health.layers] == ["dense", "batch_normalization", "dense_1"]
    assert np.isnan(first.saturated) and not last.hidden and np.isnan(last.output_gradients)


def test_backends_agree() -> None:
    texts = {
        repr(diagnostics.gradient_health(network(*deep(4, "tanh"), backend=name), ROWS, LABELS)) for name, _ in TWINS
    }
    texts.add(repr(diagnostics.gradient_health(network(*deep(4, "tanh"), backend="reference"), ROWS, LABELS)))
    assert len(texts) == 1


def test_the_callback(capsys: Any) -> None:
    """It changes nothing of a training, and says once what is wrong."""
    plain, watched = network(*deep(10, "sigmoid")), network(*deep(10, "sigmoid"))
    watch = diagnostics.GradientHealth(X, Y, every=2)
    with pytest.raises(ArgumentError, match="nothing was looked at yet"):
        _ = watch.health
    for model, callbacks in ((plain, []), (watched, [watch])):
        model.fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
    assert all((a == b).all() for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True))
    assert watch.epochs == [0, 2, 4] and watch.health.verdict == "vanishing" and len(watch.healths) == 3
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and said[0].startswith("Before the training: vanishing: gradients of layer 1 of 10")


def test_graphs() -> None:
    """Two inputs, a shared layer, two outputs."""
    a, b = fastnn.Input((64,)), fastnn.Input((64,))
    shared = layers.Dense(16, "relu", name="shared")
    one, other = shared(a), shared(b)
    outputs = [
        layers.Dense(10, "softmax", name="left")(layers.Add()([one, other])),
        layers.Dense(1, name="right")(other),
    ]
    model = fastnn.Model([a, b], outputs)
    model.compile("adam", [SPARSE, "mse"], backend=load("c"))
    health = diagnostics.gradient_health(model, [ROWS, ROWS], [LABELS, LABELS / 10])
    assert health and {one.name for one in health.layers} == {"shared", "shared#2", "add", "left", "right"}


def test_what_is_refused() -> None:
    with pytest.raises(NotBuiltError, match="not compiled"):
        diagnostics.gradient_health(fastnn.Sequential([layers.Dense(1)]), ROWS, LABELS)
    with pytest.raises(ArgumentError, match="every is 0"):
        diagnostics.GradientHealth(X, Y, every=0)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: network(*deep(10, "sigmoid")), "the predictions are the same for all rows: vanishing: gradients of"),
        (lambda: network(*dense(bias_initializer=Constant(-20.0))), "the predictions are the same for all rows: dead"),
        (
            lambda: network(*dense(kernel_initializer="zeros"), last="zeros"),
            "the predictions are.*: symmetric: all units",
        ),
        (lambda: network(*dense(), optimizer=optimizers.SGD(1e-9)), "the loss is .*: not learning: a step changes"),
    ],
)
@pytest.mark.filterwarnings("ignore:all weights of")
def test_fit_names_the_illness(make: Any, line: str, capsys: Any) -> None:
    make().fit(X, Y, epochs=2, verbose=2)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and re.match(line, said[-1]), said


def test_fit_is_silent_where_something_is_learned(capsys: Any) -> None:
    network(*dense()).fit(X, Y, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 1
