"""What has no name any more goes at once, without the garbage collector: models, their weights and their programs."""

from __future__ import annotations

import copy
import gc
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from nets import every_backend, net, wave
from support import load

X, Y = wave(32, 4), wave(32)


def stack(backend: str) -> Any:
    return net(layers.Dense(3, "relu"), layers.BatchNormalization(), layers.Dense(1), backend=backend, optimizer="adam")


def graph(backend: str) -> Any:
    """Models in a model, each of which is used by itself."""
    x, z = fastnn.Input((4,)), fastnn.Input((2,))
    code = layers.Dense(2, "relu")(x)
    encoder, decoder = fastnn.Model(x, code), fastnn.Model(z, layers.Dense(1)(z) * 2.0)
    whole = fastnn.Model(x, layers.add([decoder(encoder(x)), layers.Dense(1)(code)]))
    whole.compile("adam", "mse", backend=backend)
    assert encoder.predict(X, verbose=0).shape == (32, 2)
    return whole


class Composed(fastnn.Model):
    def __init__(self) -> None:
        super().__init__()
        self.parts = [layers.Dense(3, "relu"), layers.Dense(1)]

    def call(self, x: Any) -> Any:
        return self.parts[1](self.parts[0](x))


def subclass(backend: str) -> Any:
    made = Composed()
    made.compile("adam", "mse", backend=backend)
    return made


def shared(backend: str) -> Any:
    """Weights of two models in one store, to which they moved."""
    one = stack(backend)
    one.fit(X, Y, verbose=0)
    other = fastnn.Sequential([fastnn.Input((4,)), *one.layers[:1], layers.Dense(1)])
    other.compile("sgd", "mse", backend=backend)
    one.fit(X, Y, verbose=0)
    return other


def counted() -> Counter[str]:
    """How many there are of what a model consists of."""
    names = {"Sequential", "Model", "Composed", "Store", "State", "Engine", "Dense", "InputLayer", "Node", "Tensor"}
    return Counter(name for one in gc.get_objects() if (name := type(one).__name__) in names)


def used(model: Any, path: Path) -> list[Any]:
    """Calls of all kinds; gives what scripts keep of them."""
    stops = callbacks.EarlyStopping(monitor="loss", restore_best_weights=True)
    history = model.fit(X, Y, epochs=2, validation_split=0.5, verbose=0, callbacks=[stops])
    model.evaluate(X, Y, verbose=0), model.predict(X, verbose=0), model(X), model.train_on_batch(X, Y)
    model.save_weights(path), model.load_weights(path)
    copied = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    copied.fit(X, Y, verbose=0)
    return [history, stops, model.get_weights()]


@every_backend
@pytest.mark.parametrize("make", [stack, graph, subclass, shared])
def test_nothing_is_left(make: Callable[[str], Any], backend: str, tmp_path: Path) -> None:
    """Whatever is kept of what models gave."""
    load(backend)
    gc.freeze()  # what is there already need not be looked through
    used(make(backend), tmp_path / "weights")
    gc.collect()
    before = counted()
    gc.disable()
    try:
        kept = [used(make(backend), tmp_path / "weights") for _ in range(2)]
        assert counted() == before
        assert kept[0][0].model is None and len(kept[0][0].history["loss"]) == 2
        del kept
        assert gc.collect() == 0
    finally:
        gc.enable()
        gc.unfreeze()


@every_backend
def test_a_layer_keeps_its_weights(backend: str) -> None:
    """When its model has gone; another model takes it with them."""
    model = stack(load(backend).name)
    layer, expected = model.layers[0], model.layers[0](X)
    (kernel, bias), parts = layer.get_weights(), [layer.output, model.inputs]
    del model
    assert (layer.get_weights()[0] == kernel).all() and (layer(X) == expected).all() and not layer.is_bound
    with pytest.raises(fastnn.errors.NotBuiltError, match="after its model has gone"):
        layer.set_weights([kernel, bias])
    for again in (fastnn.Sequential([fastnn.Input((4,)), layer]), fastnn.Model(parts[1], parts[0])):
        assert layer.is_bound
        np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    del again, parts
    with pytest.raises(fastnn.errors.ArgumentError, match="its weights have other shapes"):
        fastnn.Sequential([fastnn.Input((5,)), layer])


def test_a_callback_does_not_hold_its_model() -> None:
    model = stack("reference")
    history = model.fit(X, Y, verbose=0)
    assert history.model is model
    copied = copy.deepcopy(history)
    del model
    assert history.model is None and copied.model.predict(X, verbose=0).shape == (32, 1)
