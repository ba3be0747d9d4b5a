"""A `call` that is another one in training: two graphs over the same weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import diagnostics, gradcheck, layers, ops
from fastnn.errors import ArgumentError
from nets import every_backend
from support import Array

X: Array = np.random.RandomState(0).standard_normal((60, 6)).astype(np.float32)
Y: Array = X[:, :1] - X[:, 1:2]


class Branch(layers.Layer):
    """Adds a branch in training, which standardizes by the batch; another layer otherwise."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.always, self.noise = layers.Dense(units, "tanh"), layers.Dense(units, kernel_regularizer="l2")
        self.norm, self.otherwise = layers.BatchNormalization(), layers.Dense(units)

    def call(self, x: Any, training: Any = None) -> Any:
        x = self.always(x)
        return x + self.norm(self.noise(x), training=training) if training else x - self.otherwise(x)


class Net(fastnn.Model):
    """Two heads, of which one has a factor in training, with a loss in each mode and one in both."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.last, self.head = Branch(5), layers.Dense(1), layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.branch(x, training=training)
        self.add_loss(0.1 * ops.mean(ops.abs(x)))
        if not training:
            self.add_loss(ops.mean(x * x))
        return {"value": self.last(x) * (3.0 if training else 1.0), "label": self.head(x)}


class Gives(layers.Layer):
    def __init__(self, training: Any, inference: Any) -> None:
        super().__init__()
        self.what = inference, training

    def call(self, x: Any, training: bool = False) -> Any:
        return self.what[training](x)


def net(**options: Any) -> fastnn.Model:
    fastnn.utils.set_random_seed(3)
    model = Net()
    model.compile("adam", {"value": "mse", "label": "mae"}, metrics={"value": ["mae"]}, **options)
    return model


def graph(backend: str = "auto") -> fastnn.Model:
    """Tensors, with a layer that is called twice."""
    fastnn.utils.set_random_seed(3)
    x, branch = fastnn.Input((6,)), Branch(6)
    model = fastnn.Model(x, layers.Dense(1)(branch(branch(x))))
    model.compile("adam", "mse", backend=backend)
    return model


TARGETS = {"value": Y, "label": X[:, :2]}


@every_backend
def test_backends_have_the_bits_of_the_reference(backend: str) -> None:
    """Of training, validation, evaluation, prediction, and single batches."""

    def seen(backend: str) -> tuple[Any, ...]:
        model, other = net(backend=backend), graph(backend)
        history = model.fit(
            X, TARGETS, epochs=2, verbose=0, validation_data=(X[:9], {k: v[:9] for k, v in TARGETS.items()})
        )
        more = other.fit(X, Y, epochs=2, verbose=0).history, other.test_on_batch(X, Y), other.train_on_batch(X, Y)
        outs = [*model.predict(X, verbose=0).values(), other.predict(X, verbose=0), *model.get_weights()]
        return history.history, model.evaluate(X, TARGETS, verbose=0), more, [out.tobytes() for out in outs]

    assert seen(backend) == seen("reference")


def test_each_mode_is_what_call_says() -> None:
    """By hand, from the weights; the mean of the batch moves in training, and is in no prediction."""
    model = net()
    model.build((None, 6))
    w = {layer.name: layer.get_weights() for layer in model.leaves() if layer.parameters()}
    always, trains, norm, otherwise, last, head = w.values()
    h = np.tanh(X @ always[0] + always[1])

    def value(x: Array) -> Array:
        made: Array = x @ last[0] + last[1]
        return made

    inference = h - (h @ otherwise[0] + otherwise[1])
    predicted = model.predict(X, verbose=0)
    np.testing.assert_allclose(predicted["value"], value(inference), rtol=1e-4, atol=1e-5)
    branch = h @ trains[0] + trains[1]
    training = h + norm[0] * (branch - branch.mean(0)) / np.sqrt(branch.var(0) + 1e-3) + norm[1]
    penalty = 0.01 * (trains[0] ** 2).sum()
    parts = [
        (model.test_on_batch(X, TARGETS, return_dict=True), inference, 1.0, (inference**2).mean()),
        (model.train_on_batch(X, TARGETS, return_dict=True), training, 3.0, 0.0),
    ]
    for logs, x, factor, more in parts:
        mse = ((factor * value(x) - Y) ** 2).mean()
        mae = np.abs(x @ head[0] + head[1] - X[:, :2]).mean()
        wanted = [mse, mae, mse + mae + penalty + 0.1 * np.abs(x).mean() + more]
        np.testing.assert_allclose([logs[key] for key in ("value_loss", "label_loss", "loss")], wanted, rtol=1e-4)
    after = {layer.name: layer.get_weights() for layer in model.leaves()}
    changed = {
        name for name, before in w.items() if any((a != b).any() for a, b in zip(before, after[name], strict=True))
    }
    assert changed == {
        "dense",
        "dense_1",
        "batch_normalization",
        "dense_3",
        "dense_4",
    }  # the one of inference is not trained
    assert (after["batch_normalization"][2] != norm[2]).all()


def test_what_models_show() -> None:
    model, other = net(), graph()
    model.fit(X, TARGETS, verbose=0)
    assert list(model.activations(X)) == ["dense", "dense_2", "dense_3", "dense_4"]
    assert "dense_1/kernel" in model.gradients(X, TARGETS) and "dense_2/kernel" not in model.gradients(X, TARGETS)
    assert list(other.activations(X)) == ["dense", "dense_2", "dense#2", "dense_2#2", "dense_3"]
    assert model.count_params() == 35 + 30 + 20 + 30 + 6 + 12
    x = fastnn.Input((6,), dtype="float64")
    checked = fastnn.Model(x, layers.Dense(1, dtype="float64")(Gives(lambda x: x * x, lambda x: x)(x)))
    checked.compile("sgd", "mse")
    assert gradcheck.check(checked, X[:8], Y[:8], verbose=0)
    assert diagnostics.gradient_health(model, X, TARGETS).layers[1].name == "dense_1"


def test_files_and_copies(tmp_path: Path) -> None:
    """What goes on from a copy has the bits of what it was copied from, in both modes."""
    model, other = net(), graph()
    model.fit(X, TARGETS, verbose=0)
    other.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "weights")
    again = net()
    again.build((None, 6))
    again.load_weights(tmp_path / "weights")
    other.save(tmp_path / "model")
    cloned = fastnn.models.clone_model(other)
    cloned.set_weights(other.get_weights())
    described = fastnn.models.model_from_json(other.to_json())
    described.set_weights(other.get_weights())
    for one in (cloned, described):
        assert one.predict(X, verbose=0).tobytes() == other.predict(X, verbose=0).tobytes()
    copies = copy.deepcopy(model), copy.deepcopy(other)
    logs = model.fit(X, TARGETS, verbose=0).history, other.fit(X, Y, verbose=0).history
    scores = model.evaluate(X, TARGETS, verbose=0), other.evaluate(X, Y, verbose=0)
    pairs = [(again, fastnn.models.load_model(tmp_path / "model")), copies]
    for pair in pairs:
        assert (pair[0].fit(X, TARGETS, verbose=0).history, pair[1].fit(X, Y, verbose=0).history) == logs
        assert (pair[0].evaluate(X, TARGETS, verbose=0), pair[1].evaluate(X, Y, verbose=0)) == scores


def test_losses_of_a_layer_stay_of_its_mode() -> None:
    """In a description of the model, too."""

    class Adds(layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            if training:
                self.add_loss(5.0 + ops.mean(0.0 * x))
            return x * 2.0 if training else x

    x = fastnn.Input((6,))
    model = fastnn.Model(x, layers.Dense(1, kernel_initializer="zeros")(Adds()(x)))
    for one in (model, fastnn.models.clone_model(model)):
        one.compile("sgd", "mse")
        np.testing.assert_allclose(one.train_on_batch(X, 0 * Y), 5.0, rtol=1e-6)
        np.testing.assert_allclose(one.evaluate(X, 0 * Y, verbose=0), 0.0, atol=1e-6)


REFUSED: list[tuple[Any, Any, str]] = [
    (lambda x: x[:, :2], lambda x: x, r"call returns \(None, 2\) with training=True and \(None, 6\) otherwise"),
    (lambda x: (x, 2 * x), lambda x: x, r"returns \[\(None, 6\), \(None, 6\)\] with training=True and \(None, 6\)"),
    (lambda x: {"a": x}, lambda x: {"b": 2 * x}, r"returns {'a': \(None, 6\)} with training=True and {'b'"),
    (lambda x: layers.Dense(6)(x), lambda x: x, r"call makes layers of its own \(dense\)"),
]


@pytest.mark.parametrize(("training", "inference", "message"), REFUSED)
def test_refused(training: Any, inference: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        fastnn.Sequential([fastnn.Input((6,)), Gives(training, inference), layers.Dense(1)])


def test_layers_without_weights_may_be_made_inside() -> None:
    """They are what they do: of two modes that differ in one alone, each has its own."""

    def made(name: str) -> Any:
        return lambda x: layers.concatenate([layers.Activation(name)(x), layers.Dropout(0.5)(x)])

    model = fastnn.Sequential([fastnn.Input((6,)), Gives(made("tanh"), made("relu"))])
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict(X, verbose=0), np.hstack([np.maximum(X, 0), X]))
    loss = model.train_on_batch(X, np.hstack([np.tanh(X), 0 * X]))
    np.testing.assert_allclose(loss, 2 * (X**2).mean() / 2, rtol=0.2)  # what is kept is doubled, half of it


def test_a_mode_is_not_fixed_from_outside() -> None:
    with pytest.raises(ArgumentError, match="its call is another one in training"):
        graph()(fastnn.Input((6,)), training=False)
