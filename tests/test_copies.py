"""Copies and pickles of models: the same weights, optimizer, counters and seed, and nothing shared."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.core.store import ALIGNMENT
from nets import blobs, classifier, every_backend, net

X, Y = blobs()
COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


def same(a: fastnn.Sequential, b: fastnn.Sequential) -> bool:
    return all((p == q).all() for p, q in zip(a.get_weights(), b.get_weights(), strict=True))


@every_backend
@every_copy
def test_a_copy_goes_on_as_its_model_does(copied: Callable[[Any], Any], backend: str) -> None:
    stack = (layers.Dense(6, "relu", kernel_regularizer="l2"), layers.Dropout(0.3), layers.Dense(3, "softmax"))
    model = net(*stack, backend=backend, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["acc"])
    model.fit(X, Y, epochs=2, verbose=0)
    other = copied(model)
    assert other.get_config() == model.get_config() and other.seed == model.seed
    assert other.optimizer is not model.optimizer and other.optimizer.iterations == 4
    assert other.layers[0]._model is other
    before = model.get_weights()
    history = other.fit(X, Y, epochs=4, initial_epoch=2, verbose=0).history
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert not same(model, other)
    assert model.fit(X, Y, epochs=4, initial_epoch=2, verbose=0).history == history
    assert same(model, other)
    other.optimizer.learning_rate = 0.5
    assert model.optimizer is not None and model.optimizer.learning_rate == 0.001


@every_copy
def test_a_copy_is_aligned(copied: Callable[[Any], Any]) -> None:
    model = classifier()
    model.fit(X, Y, verbose=0)
    for engine in (copied(model).engine(), copied(model.engine())):
        assert all(vector.ctypes.data % ALIGNMENT == 0 for vector in (engine.state.theta, *engine.state.slots))
        assert engine.checks.inputs[0].scan._engine() is engine
        assert not engine._programs and not engine.ran


@every_copy
def test_copies_of_models_in_any_state(copied: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_BACKEND", "reference")
    model = fastnn.Sequential([layers.Dense(2)])
    assert not copied(model).built
    model.build((None, 4))
    assert same(copied(model), model)
    model.compile("sgd", "mse", backend="reference")
    assert copied(model).fit(X, X[:, :2], verbose=0)
    history = model.fit(X, X[:, :2], verbose=0)
    assert copied(history).model.predict(X, verbose=0).shape == (60, 2)
    assert (copied(model.layers[0]).get_weights()[0] == model.get_weights()[0]).all()


@every_copy
def test_a_copy_of_an_optimizer_is_free(copied: Callable[[Any], Any]) -> None:
    optimizer = optimizers.Adam(0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    net(optimizer=optimizer)
    optimizer.learning_rate = 0.25
    other = copied(optimizer)
    assert other.get_config() == optimizer.get_config() and other.learning_rate == 0.25
    assert other.excluded == ("bias",)
    net(optimizer=other)


def test_pickles_name_layers_by_their_public_place() -> None:
    assert pickle.loads(b"cfastnn.layers\nDense\n.") is layers.Dense
    layer = layers.BatchNormalization(momentum=0.5)
    assert pickle.loads(pickle.dumps(layer)).get_config() == layer.get_config()
