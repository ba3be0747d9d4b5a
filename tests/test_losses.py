"""Losses: names, values against plain NumPy, gradients, and what ties them together."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers, losses
from fastnn.errors import ArgumentError, FastnnError
from nets import Array, every_backend, net, wave
from support import load

C = 3
ONEHOT = np.eye(C)[[0, 2, 1, 1, 0, 2, 2]]
SOFT = np.exp(wave(7, C)) / np.exp(wave(7, C)).sum(axis=1, keepdims=True)
BINARY = (wave(7, C) > 0).astype(float)
REAL = wave(7, C, phase=2.0)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def crossentropy(p: Array, y: Array) -> Array:
    return np.asarray(-(y * np.log(p)).sum(axis=1))


def binary(p: Array, y: Array) -> Array:
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1))


def huber(e: Array, delta: float) -> Array:
    e = np.abs(e)
    return np.asarray(np.where(e <= delta, e * e / 2, delta * (e - delta / 2)).mean(axis=1))


def missing(z: Array, labels: Array) -> Array:
    return np.asarray(np.maximum(1 - labels * z, 0))


def categorical_hinge(z: Array, y: Array) -> Array:
    return np.asarray(np.maximum(((1 - y) * z).max(axis=1) - (y * z).sum(axis=1) + 1, 0))


def unit(x: Array) -> Array:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


# name: loss, last activation, targets, loss of each row from the logits
CASES: dict[str, tuple[Any, str | None, Array, Any]] = {
    "mse": ("mse", None, REAL, lambda z, y: ((z - y) ** 2).mean(axis=1)),
    "mae": ("mae", None, REAL, lambda z, y: np.abs(z - y).mean(axis=1)),
    "lp1": (losses.Lp(p=1), None, REAL, lambda z, y: np.abs(z - y).mean(axis=1)),
    "lp2": (losses.Lp(p=2), None, REAL, lambda z, y: ((z - y) ** 2).mean(axis=1)),
    "lp2.5": (losses.Lp(p=2.5), None, REAL, lambda z, y: (np.abs(z - y) ** 2.5).mean(axis=1)),
    "lp3": (losses.Lp(p=3), None, REAL, lambda z, y: (np.abs(z - y) ** 3).mean(axis=1)),
    "lp4": (losses.Lp(p=4), None, REAL, lambda z, y: (np.abs(z - y) ** 4).mean(axis=1)),
    "huber": ("huber", None, REAL, lambda z, y: huber(z - y, 1.0)),
    "huber_delta": (losses.Huber(delta=0.3), None, REAL, lambda z, y: huber(z - y, 0.3)),
    "bce": ("binary_crossentropy", "sigmoid", BINARY, lambda z, y: binary(sigmoid(z), y)),
    "bce_logits": (losses.BinaryCrossentropy(from_logits=True), None, SOFT, lambda z, y: binary(sigmoid(z), y)),
    "bce_smooth": (
        losses.BinaryCrossentropy(label_smoothing=0.2),
        "sigmoid",
        BINARY,
        lambda z, y: binary(sigmoid(z), y * 0.8 + 0.1),
    ),
    "cce": ("categorical_crossentropy", "softmax", SOFT, lambda z, y: crossentropy(softmax(z), y)),
    "cce_logits": (
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        None,
        ONEHOT,
        lambda z, y: crossentropy(softmax(z), y * 0.9 + 0.1 / C),
    ),
    "cce_probabilities": (
        "categorical_crossentropy",
        "softplus",
        ONEHOT,
        lambda z, y: crossentropy(np.log1p(np.exp(z)) / np.log1p(np.exp(z)).sum(axis=1, keepdims=True), y),
    ),
    "scce": (
        "sparse_categorical_crossentropy",
        "softmax",
        ONEHOT.argmax(axis=1),
        lambda z, y: crossentropy(softmax(z), np.eye(C)[y]),
    ),
    "scce_logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        None,
        ONEHOT.argmax(axis=1),
        lambda z, y: crossentropy(softmax(z), np.eye(C)[y]),
    ),
    "kld": ("kl_divergence", "softmax", SOFT, lambda z, y: (y * np.log(y / softmax(z))).sum(axis=1)),
    "mape": ("mape", None, REAL, lambda z, y: 100 * np.abs((z - y) / y).mean(axis=1)),
    "msle": ("msle", "exponential", SOFT, lambda z, y: (np.log((1 + np.exp(z)) / (1 + y)) ** 2).mean(axis=1)),
    "log_cosh": ("log_cosh", None, 3 * REAL, lambda z, y: np.log(np.cosh(z - y)).mean(axis=1)),
    "hinge": ("hinge", None, BINARY, lambda z, y: missing(z, 2 * y - 1).mean(axis=1)),
    "squared_hinge": ("squared_hinge", None, REAL, lambda z, y: (missing(z, y) ** 2).mean(axis=1)),
    "categorical_hinge": ("categorical_hinge", None, ONEHOT, lambda z, y: categorical_hinge(z, y)),
    "categorical_hinge_soft": ("categorical_hinge", None, SOFT, lambda z, y: categorical_hinge(z, y)),
    "poisson": ("poisson", "exponential", SOFT, lambda z, y: (np.exp(z) - y * np.log(np.exp(z) + 1e-7)).mean(axis=1)),
    "poisson_deviance": (
        "poisson_deviance",
        "exponential",
        SOFT,
        lambda z, y: (y * np.log(y / np.exp(z)) - y + np.exp(z)).mean(axis=1),
    ),
    "poisson_deviance_apart": (
        "poisson_deviance",
        "softplus",
        SOFT,
        lambda z, y: (y * np.log(y / np.log1p(np.exp(z))) - y + np.log1p(np.exp(z))).mean(axis=1),
    ),
    "quantile": (
        losses.Quantile(0.3),
        None,
        REAL,
        lambda z, y: np.maximum(0.3 * (y - z), -0.7 * (y - z)).mean(axis=1),
    ),
    "cosine_similarity": ("cosine_similarity", None, REAL, lambda z, y: -(unit(z) * unit(y)).sum(axis=1)),
}


def model_of(case: str, backend: str) -> fastnn.Sequential:
    loss, activation, _, _ = CASES[case]
    stack = (layers.Dense(5, "tanh", dtype="float64"), layers.Dense(C, activation, dtype="float64"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastnn.ModelAdvice)  # softplus is no distribution: that is the case
        return net(*stack, loss=loss, backend=backend)


@every_backend
@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient(case: str, backend: str) -> None:
    _, _, y, formula = CASES[case]
    model, X = model_of(case, backend), wave(7, 4)
    W1, b1, W2, b2 = model.get_weights()
    expected = formula(np.tanh(X @ W1 + b1) @ W2 + b2, y).mean()
    assert model.evaluate(X, y, verbose=0) == pytest.approx(expected, rel=1e-12)
    assert gradcheck.check(model, X, y), case


@every_backend
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", ["bce", "bce_logits", "cce", "cce_logits", "scce", "scce_logits"])
def test_huge_logits_are_finite(case: str, dtype: str, backend: str) -> None:
    loss, activation, y, _ = CASES[case]
    model = net(layers.Dense(C, activation, dtype=dtype), loss=loss, backend=backend, features=C)
    model.set_weights([1e4 * np.eye(C), np.zeros(C)])
    X = np.sign(wave(7, C, phase=1.0))
    value = model.train_on_batch(X, y)
    assert np.isfinite(value)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    if "smooth" not in case and case != "bce_logits":
        assert value > 100  # not clipped: a wrong class at a gap of 2e4 costs 2e4


@every_backend
def test_two_unit_softmax_is_a_sigmoid(backend: str) -> None:
    X, y = wave(9, 4), (wave(9, phase=1.0) > 0).astype(int)
    two = net(layers.Dense(2, "softmax", dtype="float64"), loss="sparse_categorical_crossentropy", backend=backend)
    one = net(layers.Dense(1, "sigmoid", dtype="float64"), loss="binary_crossentropy", backend=backend)
    W, b = two.get_weights()
    one.set_weights([W[:, 1:] - W[:, :1], b[1:] - b[:1]])
    assert one.evaluate(X, y, verbose=0) == pytest.approx(two.evaluate(X, y, verbose=0), rel=1e-12)
    np.testing.assert_allclose(one.predict(X, verbose=0)[:, 0], two.predict(X, verbose=0)[:, 1], rtol=1e-12)


@every_backend
def test_kl_is_crossentropy_less_entropy(backend: str) -> None:
    X = wave(7, 4)
    kl, ce = model_of("kld", backend), model_of("cce", backend)
    ce.set_weights(kl.get_weights())
    entropy = -(SOFT * np.log(SOFT)).sum(axis=1).mean()
    assert kl.evaluate(X, SOFT, verbose=0) == pytest.approx(ce.evaluate(X, SOFT, verbose=0) - entropy, rel=1e-12)
    kl.train_on_batch(X, SOFT)
    ce.train_on_batch(X, SOFT)
    for a, b in zip(kl.get_weights(), ce.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@every_backend
def test_softmax_as_a_hidden_layer_and_before_mse(backend: str) -> None:
    stack = (layers.Dense(4, "softmax"), layers.Dense(C), layers.Activation("softmax"))
    with pytest.warns(fastnn.ModelAdvice, match="softmax inside"):
        model = net(*stack, loss="mse", backend=backend)
    assert gradcheck.check(model, wave(7, 4), SOFT)


@every_backend
@pytest.mark.parametrize("regularizer", ["l1", "l2", fastnn.regularizers.L1L2(0.02, 0.03)])
def test_penalties(regularizer: Any, backend: str) -> None:
    model = net(
        layers.Dense(2, kernel_regularizer=regularizer, bias_regularizer="l2", dtype="float64"), backend=backend
    )
    model.set_weights([wave(4, 2), np.array([0.5, -0.25])])
    X = wave(6, 4)
    y = model.predict(X, verbose=0)
    penalty = fastnn.regularizers.get(regularizer)
    assert penalty is not None
    W = np.abs(wave(4, 2))
    expected = penalty.l1 * W.sum() + penalty.l2 * (W * W).sum() + 0.01 * (0.25 + 0.0625)
    assert model.evaluate(X, y, verbose=0) == pytest.approx(expected, rel=1e-12)
    assert gradcheck.check(model, X, y)


@every_backend
def test_kinks(backend: str) -> None:
    """abs'(0) = 0: a perfect prediction and a weight of 0 stay where they are."""
    model = net(layers.Dense(1, kernel_initializer="zeros", kernel_regularizer="l1"), loss="mae", backend=backend)
    model.train_on_batch(wave(3, 4), np.zeros(3))
    assert all((w == 0).all() for w in model.get_weights())


@every_backend
def test_rows_without_a_direction_and_with_ties(backend: str) -> None:
    """A row of zeros has no angle, and its slope is finite; outputs that tie for the largest share its slope."""
    op = load(backend).operations("float64")
    A, y, s, value = np.zeros((2, 20)), np.zeros((2, 20)), np.ones(2), np.full(2, np.nan)
    y[:, 3], gradient = 1.0, np.full((2, 20), np.nan)
    op["cosine_similarity_forward"](value, A, y, 0.0, 1.0, 0.0)
    op["cosine_similarity_backward"](gradient, A, y, s, 0.0, 1.0, 0.0)
    assert (value == 0.0).all() and (gradient == -1e7 * y).all()
    A[1, 3], A[0, [2, 7, 19]] = 2.0, 0.25
    op["categorical_hinge_forward"](value, A, y, 0.0, 1.0, 0.0)
    op["categorical_hinge_backward"](gradient, A, y, s, 0.0, 1.0, 0.0)
    assert value.tolist() == [1.25, 0.0]
    assert gradient[0].sum() == pytest.approx(0.0) and (gradient[0, [2, 7, 19]] == 1 / 3).all()
    assert (gradient[1] == 0.0).all()


def test_names() -> None:
    for name, kind in {
        "mse": losses.MeanSquaredError,
        "mae": losses.MeanAbsoluteError,
        "mean_squared_error": losses.MeanSquaredError,
        "bce": losses.BinaryCrossentropy,
        "kld": losses.KLDivergence,
        "huber": losses.Huber,
        "MSLE": losses.MeanSquaredLogarithmicError,
        "logcosh": losses.LogCosh,
        "CategoricalCrossentropy": losses.CategoricalCrossentropy,
    }.items():
        assert type(losses.get(name)) is kind
    loss = losses.get({"class_name": "Huber", "config": {"delta": 0.5}})
    assert isinstance(loss, losses.Huber) and loss.delta == 0.5
    assert losses.Huber.from_config(loss.get_config()).get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.get("mze"), 'unknown name "mze"; did you mean "mse"'),
        (lambda: losses.get("dice"), '"dice" of Keras is not supported'),
        (lambda: losses.get(None), "loss is missing"),
        (lambda: losses.get(3), "expected a name or a fastnn loss object, got int 3"),  # type: ignore[arg-type]
        (lambda: losses.get(lambda a, b: a), "got function .*Python code cannot run inside compiled"),
        (lambda: losses.Lp(p=0.5), "p is 0.5, expected a number >= 1"),
        (lambda: losses.Huber(delta=0), "delta is 0, expected a number > 0"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), r"label_smoothing is 2, expected a number in \[0, 1\]"),
        (lambda: losses.BinaryCrossentropy(from_logits="yes"), "expected True or False"),  # type: ignore[arg-type]
        (
            lambda: losses.MeanSquaredError(reduction="total"),
            "reduction is 'total', expected one of sum_over_batch_size",
        ),
        (lambda: net(loss=losses.MeanSquaredError(reduction="sum")), "trains on the mean over the batch"),
        (lambda: losses.MeanSquaredError(dtype="float64"), "dtype='float64' is not supported"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0), "ignore_class=0 is not supported"),  # type: ignore[call-arg]
        (lambda: losses.Huber(delt=2), 'unknown argument "delt"; did you mean "delta"'),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        make()


def test_a_dict_of_losses_names_outputs() -> None:
    with pytest.raises(ArgumentError, match='loss names "a", the outputs are "dense"'):
        net(loss={"a": "mse"})
    assert isinstance(net(loss={"dense": "mse"}).loss, fastnn.losses.MeanSquaredError)
