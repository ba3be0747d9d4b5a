"""The layers of a subclassed model are those that its attributes hold, as in Keras 3.15.1, run beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers

X = np.linspace(-1.0, 1.0, 24).reshape(8, 3)


class Block(layers.Layer):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.one, self.two = layers.Dense(units, "relu"), layers.Dense(units)

    def call(self, x: Any) -> Any:
        return x + self.two(self.one(x))


class Net(fastnn.Model):
    """Its layers are made in another order than they are called, and one is not called at all."""

    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(1)
        self.blocks = [Block(3), Block(3)]
        self.parts = {"b": layers.Dense(2, "relu", name="bb"), "a": layers.Dense(3, "tanh", name="aa")}
        self.inner = fastnn.Sequential([layers.Dense(4, "relu"), layers.Dense(3)])
        self.unused = layers.Dense(2)
        self.again = self.blocks[0]

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        x = self.inner(self.parts["a"](x)) + self.parts["b"](x)[:, :1]
        return self.head(2.0 * x)


def test_layers_of_a_subclass() -> None:
    """In the order of the attributes, models and layers that compose others as one each; weights in that order, too."""
    model = Net()
    expected = [model.head, *model.blocks, *model.parts.values(), model.inner, model.unused]
    assert model.layers == expected  # before the input shape is known, too
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert model.layers == expected
    names = ["dense", "block", "block_1", "bb", "aa", "sequential"]
    assert [layer.name for layer in model.layers][:-1] == names
    shapes = [(3, 1), (1,), *[(3, 3), (3,)] * 4, (3, 2), (2,), (3, 3), (3,), (3, 4), (4,), (4, 3), (3,)]
    assert [array.shape for array in model.get_weights()] == shapes
    for name, index in zip(names, range(len(names)), strict=True):
        assert model.get_layer(name) is model.get_layer(index=index) is expected[index]
    leaf = model.blocks[1].two
    assert model.get_layer(leaf.name) is leaf
    with pytest.raises(fastnn.errors.ArgumentError, match='no layer "nobody"; there are: dense, block, block_1, bb'):
        model.get_layer("nobody")


def test_summary_of_a_subclass() -> None:
    """It lists these, with the weights and the costs of what each composes, and none of one that is not used."""
    model = Net()
    assert summary(model).count("?") == 1 + 2 * len(model.layers)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    rows = {line.split()[0]: line.split()[2:] for line in summary(model).splitlines() if "(" in line}
    assert rows["block"] == rows["block_1"] == ["(None,", "3)", "24"]
    assert rows["sequential"] == ["(None,", "3)", "31"] and rows["dense"] == ["(None,", "1)", "4"]
    assert [row for row in rows.values() if "?" in row] == [["?", "?"]]


def summary(model: fastnn.Model) -> str:
    said: list[str] = []
    model.summary(print_fn=said.append)
    return "\n".join(said)


def test_trainable_of_a_subclass() -> None:
    """A layer that composes others passes it on to them, and the model to all, called or not."""
    model = Net()
    model.build((None, 3))
    count = len(model.trainable_weights)
    model.blocks[0].trainable = False
    assert len(model.trainable_weights) == count - 4
    model.trainable = False
    assert model.trainable_weights == [] and not model.unused.trainable
    model.trainable = True
    assert len(model.trainable_weights) == count and model.unused.trainable
