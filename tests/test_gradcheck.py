"""The public gradient checker: it passes right gradients, fails wrong ones, and leaves the model alone."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers
from fastnn.backends.protocol import Program
from fastnn.core import formulas
from fastnn.errors import ArgumentError, NotBuiltError
from nets import blobs, classifier, every_backend, net, wave


@every_backend
@pytest.mark.parametrize("activation", [*formulas.ACTIVATIONS, "softmax", "linear"])
def test_activations(activation: str, backend: str) -> None:
    inside: Any = pytest.warns(fastnn.ModelAdvice, match="softmax inside") if activation == "softmax" else nullcontext()
    with inside:
        model = net(layers.Dense(5, activation), layers.Activation("tanh"), layers.Dense(2), backend=backend)
    result = gradcheck.check(model, wave(6, 4), wave(6, 2))
    assert result, result
    assert result.worst < 1e-7
    assert list(result.errors) == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]


@every_backend
def test_dropout_penalties_and_weights(backend: str) -> None:
    model = net(
        layers.Dense(6, "tanh", kernel_regularizer="l1", bias_regularizer="l2"),
        layers.Dropout(0.4),
        layers.Dense(2, use_bias=False),
        backend=backend,
        loss="huber",
    )
    assert gradcheck.check(model, wave(6, 4), wave(6, 2), sample_weight=wave(6, phase=1.0), elements=0)


@every_backend
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("kind", [layers.BatchNormalization, layers.LayerNormalization])
def test_normalizations(kind: type[layers.Layer], trainable: bool, backend: str) -> None:
    """In training mode: the slopes go through the mean and the variance; what is kept of the batches is no weight."""
    model = net(
        layers.Rescaling(0.5, 0.1),
        kind(gamma_regularizer="l2"),
        layers.Dense(5, "tanh"),
        kind(beta_initializer="random_normal", scale=False, trainable=trainable),
        layers.Dense(2),
        backend=backend,
    )
    before = model.get_weights()
    result = gradcheck.check(model, 3.0 + wave(6, 4), wave(6, 2), sample_weight=1.5 + wave(6, phase=1.0))
    assert result, result
    first, second = (layer.name for layer in model.layers if isinstance(layer, kind))
    assert {f"{first}/gamma", f"{first}/beta"} < set(result.errors)
    assert (f"{second}/beta" in result.errors) == trainable
    assert not any("moving" in name for name in result.errors)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_model_is_unchanged() -> None:
    X, y = blobs()
    model = classifier()
    model.fit(X, y, verbose=0)
    weights = model.get_weights()
    assert gradcheck.check(model, X[:5], y[:5], backend="reference")
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    assert model.dtype == "float32"
    assert model.optimizer is not None and model.optimizer.iterations == 2
    model.optimizer.learning_rate = 0.0
    model.fit(X, y, verbose=0)
    assert model.optimizer.iterations == 4
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    gradients = Program._parameter_gradients

    def wrong(self: Any, rows: int, share: float) -> None:
        gradients(self, rows, share)
        self.state.gradient[1] *= 1.001

    monkeypatch.setattr(Program, "_parameter_gradients", wrong)
    result = gradcheck.check(classifier(), *blobs(6))
    assert not result
    said = capsys.readouterr().out
    assert said.startswith("gradcheck: a gradient is wrong: the largest error is ") and "dense/kernel" in said
    assert repr(result).startswith(said) and "  dense/bias   " in repr(result) and "<td>" in result._repr_html_()
    monkeypatch.undo()
    right = gradcheck.check(classifier(), *blobs(6), verbose=0)
    assert right.verdict.startswith("the gradients are right: ") and capsys.readouterr().out == ""
    assert result.errors["dense/kernel"] > result.tolerance > result.errors["dense/bias"]


def test_wrong_arguments() -> None:
    model = net()
    with pytest.raises(ArgumentError, match="step is 0"):
        gradcheck.check(model, wave(2, 4), np.ones(2), step=0)
    with pytest.raises(ArgumentError, match="X has shape"):
        gradcheck.check(model, wave(2, 3), np.ones(2))
    model.add(layers.Dense(1))
    with pytest.raises(NotBuiltError, match="not compiled"):
        gradcheck.check(model, wave(2, 4), np.ones(2))
