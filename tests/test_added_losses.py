"""`add_loss`, noise in models, and calls in a mode of their own; values against Keras are in test_graph_golden.py."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, ops, random
from fastnn.errors import ArgumentError, ArgumentTypeError

X = np.random.RandomState(0).standard_normal((60, 8)).astype(np.float32)


class Sampling(layers.Layer):
    """With the divergence from the normal distribution."""

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        self.add_loss(-0.5 * ops.mean(1 + log_variance - ops.square(mean) - ops.exp(log_variance)))
        batch, width = ops.shape(mean)
        return mean + ops.exp(0.5 * log_variance) * random.normal((batch, width), seed=random.SeedGenerator(1))


def autoencoder() -> fastnn.Model:
    """A variational one, whose whole loss is added."""
    x = fastnn.Input((8,))
    hidden = layers.Dense(6, activation="relu")(x)
    code = Sampling()([layers.Dense(2)(hidden), layers.Dense(2)(hidden)])
    out = layers.Dense(8)(code)
    model = fastnn.Model(x, out)
    model.add_loss([losses.MeanSquaredError()(x, out), 0.1 * ops.mean(ops.abs(code)) - 0.01])
    return model


def trained(backend: str) -> Any:
    fastnn.utils.set_random_seed(5)
    model = autoencoder()
    model.compile("adam", backend=backend)
    model.fit(X, epochs=2, batch_size=16, verbose=0, validation_data=(X, None), sample_weight=np.ones(60))
    return model


@pytest.mark.parametrize("backend", ["c", "numba"])
def test_same_bits_and_goes_on_from_a_file(backend: str, tmp_path: Path) -> None:
    """The noise of a step is the same on every backend, and in a training that is resumed."""
    model, reference = trained(backend), trained("reference")
    assert list(model.history.history) == ["loss", "val_loss"]
    np.testing.assert_equal(model.history.history, reference.history.history)
    model.save(tmp_path / "model")
    resumed = fastnn.load_model(tmp_path / "model")
    for other in (model, resumed):
        other.fit(X, epochs=1, verbose=0)
    for one, other in zip(model.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.predict(X, verbose=0)[7:9], resumed.predict(X, verbose=0)[7:9])
    np.testing.assert_array_equal(model.predict(X, verbose=0)[:3], model.predict(X[:3], verbose=0))


def test_noise_is_normal_and_never_the_same() -> None:
    x = fastnn.Input((70,))
    model = fastnn.Model(x, [random.normal(ops.shape(x), 1.0, 2.0), random.uniform(ops.shape(x), -1, 3), 0 * x])
    zeros = np.zeros((2000, 70), np.float32)
    normal, uniform, _ = model.predict(zeros, verbose=0)
    for rows, mean, deviation in ((normal, 1.0, 2.0), (uniform, 1.0, 4 / 12**0.5)):
        assert abs(rows.mean() - mean) < 0.02 and abs(rows.std() - deviation) < 0.02
        assert len(np.unique(rows)) > 0.95 * rows.size
    assert uniform.min() > -1 and uniform.max() < 3


def test_a_layer_in_a_mode_of_its_own() -> None:
    x = fastnn.Input((4,))
    drop = layers.Dropout(0.5)
    model = fastnn.Model(x, [drop(x, training=True), drop(x, training=False), drop(x)])
    always, never, usual = model.predict(np.ones((500, 4)), verbose=0)
    assert set(np.unique(always)) == {0.0, 2.0} and abs(always.mean() - 1) < 0.1
    assert (never == 1).all() and (usual == 1).all()
    with pytest.raises(ArgumentError, match="trainable=False"):
        layers.BatchNormalization()(x, training=False)
    with pytest.raises(ArgumentError, match='its "dropout" is in the mode'):
        fastnn.Sequential([fastnn.Input((4,)), layers.Dropout(0.5)])(x, training=False)


@pytest.mark.parametrize(
    "loss", ["mse", "mae", "binary_crossentropy", "categorical_crossentropy", "kl_divergence", "poisson"]
)
def test_a_loss_of_tensors_is_that_of_arrays(loss: str) -> None:
    """What a model trains on and what is added are the same."""
    function = losses.get(loss)
    y, a = fastnn.Input((5,)), fastnn.Input((5,))
    rows = np.random.RandomState(3).dirichlet(np.ones(5), (2, 30))
    model = fastnn.Model([y, a], ops.mean(y, axis=-1))
    model.add_loss(function(y, a))
    model.compile("sgd")
    got = model.evaluate(list(rows), verbose=0)
    np.testing.assert_allclose(got, function(*rows.astype(np.float32)), rtol=1e-5)


Wrong = tuple[Callable[[Any], object], type[Exception], str]
WRONG: dict[str, Wrong] = {
    "no mean": (lambda x: fastnn.Model(x, x).add_loss(x), ArgumentError, "give its mean"),
    "no tensor": (lambda x: fastnn.Model(x, x).add_loss(1.0), ArgumentTypeError, "expected the mean"),  # type: ignore[arg-type]
    "compiled": (lambda x: trained("reference").add_loss(ops.mean(x)), ArgumentError, "before compile"),
    "not in call": (lambda x: layers.Dense(2).add_loss(ops.mean(x)), ArgumentError, "call it in `call`"),
    "computed with": (lambda x: ops.exp(ops.mean(x)), ArgumentError, r"\(test_added_losses.py, line \d+\)"),
    "a sum": (lambda x: ops.sum(x), ArgumentError, "take ops.mean"),
    "an array": (lambda x: losses.mean_squared_error(X, x), ArgumentError, "make it an Input"),
    "of arrays alone": (lambda x: losses.Huber()(x, x), ArgumentError, "or compose it of fastnn.ops"),
    "one size": (lambda x: random.randint(cast(Any, 5), 0, 3), ArgumentTypeError, "expected a tuple such as"),
    "a fixed seed": (lambda x: random.normal((None, 2), seed=1), ArgumentError, "same numbers in every step"),
    "of another input": (
        lambda x: fastnn.Model(x, x).add_loss(ops.mean(fastnn.Input((2,)))), ArgumentError, "depends on the input"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be(case: str) -> None:
    call, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        call(fastnn.Input((8,)))


def test_arrays() -> None:
    found = doctest.testmod(random)
    assert found.attempted == 9 and not found.failed
    generator = random.SeedGenerator(3)
    assert (random.uniform((9,), seed=generator) != random.uniform((9,), seed=generator)).any()
    fastnn.utils.set_random_seed(2)
    first = random.normal((4,))
    fastnn.utils.set_random_seed(2)
    np.testing.assert_array_equal(first, random.normal((4,)))
