"""What is not trainable stays as it is, from the next `compile` on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers
from fastnn.errors import ArgumentError
from nets import blobs, every_backend, net
from support import load

X, Y = blobs()


def moved(model: fastnn.Sequential | fastnn.Model) -> list[bool]:
    """Whether a training changes the kernel of each layer."""
    before = [layer.get_weights()[0] for layer in model.layers]
    model.fit(X, Y, verbose=0)
    return [bool((a != layer.get_weights()[0]).any()) for a, layer in zip(before, model.layers, strict=True)]


def three(backend: str = "reference", optimizer: str = "adamw", **of_first: Any) -> fastnn.Sequential:
    stack = (layers.Dense(5, "tanh", **of_first), layers.Dense(4, "tanh"), layers.Dense(3, "softmax"))
    return net(*stack, backend=backend, optimizer=optimizer, loss="sparse_categorical_crossentropy")


def again(model: fastnn.Sequential, backend: str = "reference") -> fastnn.Sequential:
    model.compile("adamw", "sparse_categorical_crossentropy", backend=load(backend))
    return model


@every_backend
def test_frozen_layers_stay(backend: str) -> None:
    assert moved(three(backend, trainable=False)) == [False, True, True]
    model = three(backend)
    model.layers[1].trainable = False
    with pytest.warns(UserWarning, match="trainable was changed on dense_1 since compile"):
        assert moved(model) == [True, True, True]
    assert moved(model) == [True, True, True]  # it is said once
    assert moved(again(model, backend)) == [True, False, True]
    model.layers[1].trainable = True
    with pytest.warns(UserWarning, match="it takes effect at the next compile"):
        assert moved(model) == [True, False, True]
    assert moved(again(model, backend)) == [True, True, True]


@pytest.mark.filterwarnings("ignore:no layer is trainable")
@every_backend
def test_frozen_models_stay(backend: str) -> None:
    model = three(backend)
    model.trainable = False
    assert [layer.trainable for layer in model.layers] == [False] * 3
    assert moved(again(model, backend)) == [False] * 3
    model.trainable = True
    assert moved(again(model, backend)) == [True] * 3
    whole = fastnn.Sequential([layers.Dense(3, "softmax", input_dim=4)], trainable=False)
    assert whole.layers[0].trainable and not whole.trainable
    assert whole.trainable_weights == [] and moved(again(whole, backend)) == [False]


@every_backend
def test_a_frozen_layer_has_no_penalty(backend: str) -> None:
    """Keras 3 leaves the regularizers of frozen variables out of the loss."""
    plain, frozen, free = (
        three(backend, kernel_regularizer=regularizer, trainable=trainable)
        for regularizer, trainable in ((None, True), ("l2", False), ("l2", True))
    )
    loss = plain.evaluate(X, Y, verbose=0)
    assert frozen.evaluate(X, Y, verbose=0) == loss
    penalty = 0.01 * float((free.get_weights()[0] ** 2).sum())
    assert free.evaluate(X, Y, verbose=0) == pytest.approx(loss + penalty, rel=1e-6)


def test_lists_of_weights() -> None:
    model = three(trainable=False)
    shapes = [w.shape for w in model.weights]
    assert shapes == [(4, 5), (5,), (5, 4), (4,), (4, 3), (3,)]
    assert [w.shape for w in model.trainable_weights] == shapes[2:]
    assert [w.shape for w in model.non_trainable_weights] == shapes[:2]
    assert len(model.trainable_variables) == 4 and len(model.non_trainable_variables) == 2
    first, second = model.layers[:2]
    assert (len(first.trainable_weights), len(first.non_trainable_weights)) == (0, 2)
    assert (len(second.trainable_weights), len(second.non_trainable_weights)) == (2, 0)


def test_configs_summary_and_files(tmp_path: Any) -> None:
    model = three(trainable=False)
    assert fastnn.Sequential.from_config(model.get_config()).get_config() == model.get_config()
    assert model.get_config()["layers"][0]["config"]["trainable"] is False
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert lines[0].endswith(
        "\nTotal params: 64 (256 B)\nTrainable params: 39 (156 B)\nNon-trainable params: 25 (100 B)"
    )
    model.save(tmp_path / "model")
    assert moved(fastnn.load_model(tmp_path / "model", backend=load("reference"))) == [False, True, True]
    config = model.get_config()
    del config["trainable"]
    for entry in config["layers"]:
        del entry["config"]["trainable"]
    assert fastnn.Sequential.from_config(config).trainable  # files of before


def test_gradients_of_frozen_layers_are_not_checked() -> None:
    result = gradcheck.check(three(trainable=False), X, Y)
    assert result and set(result.errors) == {f"dense_{i}/{name}" for i in (1, 2) for name in ("kernel", "bias")}


@pytest.mark.parametrize("value", ["no", None, 2, np.ones(2)])
def test_wrong_values(value: Any) -> None:
    layer = layers.Dense(1)
    with pytest.raises(ArgumentError, match=r"Dense: trainable is .*expected True or False"):
        layer.trainable = value
    with pytest.raises(ArgumentError, match="trainable is"):
        fastnn.Sequential(trainable=value)
    assert layer.trainable is True
