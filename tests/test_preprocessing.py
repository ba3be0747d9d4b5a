"""Normalization and Rescaling: moments that are given or read off data, in models and alone."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ArgumentError, FastnnError
from nets import Array, every_backend, net, wave
from support import load

X = 3.0 * wave(12, 4) + np.array([1.0, -2.0, 0.0, 100.0])
DATA = np.array([[1.0, 10.0, -5.0, 2.0], [3.0, 30.0, -5.0, 2.5], [5.0, 20.0, -5.0, 4.5]])
MOMENTS = DATA.mean(0), DATA.var(0)
EXPECTED = (DATA - MOMENTS[0]) / np.maximum(np.sqrt(MOMENTS[1]), 1e-7)


def parts(model: fastnn.Sequential) -> list[Any]:
    """Its layers, whose attributes depend on their classes."""
    return list(model.layers)


def adapted(when: str, backend: str) -> fastnn.Sequential:
    """A model that starts with a Normalization, adapted at some time."""
    layer = layers.Normalization(dtype="float64")
    if when == "alone":
        layer.adapt(DATA)
    deferred = fastnn.Sequential([layer])
    if when == "not built":
        layer.adapt(DATA)
    deferred.compile("sgd", "mse", backend=load(backend))
    if when != "alone":
        deferred.build((None, 4))
    if when == "built":
        layer.adapt(DATA)
    if when == "after use":
        deferred.fit(DATA, DATA, verbose=0)
        layer.adapt(DATA)
    return deferred


@every_backend
@pytest.mark.parametrize("when", ["alone", "not built", "built", "after use"])
def test_adapt_at_any_time(when: str, backend: str) -> None:
    model = adapted(when, backend)
    np.testing.assert_allclose(model.predict(DATA, verbose=0), EXPECTED, rtol=1e-12, atol=1e-12)
    (layer,) = parts(model)
    assert layer.mean.shape == layer.variance.shape == (1, 4)
    for weight, moment in zip(layer.get_weights(), MOMENTS, strict=True):
        np.testing.assert_allclose(weight, moment, rtol=1e-15)
    before = layer.get_weights()
    model.fit(DATA, np.zeros((3, 4)), verbose=0)
    assert all((a == b).all() for a, b in zip(layer.get_weights(), before, strict=True))
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 2
    layer.adapt(2.0 * DATA)
    np.testing.assert_allclose(model.predict(2.0 * DATA, verbose=0), EXPECTED, rtol=1e-12, atol=1e-12)


def test_training_sees_normalized_rows() -> None:
    layer = layers.Normalization()
    layer.adapt(X)
    inside = net(layer, layers.Dense(2))
    outside = net(layers.Dense(2))
    outside.set_weights(inside.layers[1].get_weights())
    inside.fit(X, np.zeros((12, 2)), epochs=3, verbose=0)
    outside.fit(layer(X), np.zeros((12, 2)), epochs=3, verbose=0)
    for mine, theirs in zip(inside.layers[1].weights, outside.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


def test_moments_are_of_float64() -> None:
    """Where float32 would leave no digit of the variance, and with more rows than a chunk."""
    data = (1e4 + 1e-2 * wave(9001, 3)).astype(np.float32)
    for given in (data, np.asfortranarray(data), data[::-1][::-1], data.tolist()):
        layer = layers.Normalization(dtype="float64")
        layer.adapt(given)
        exact = data.astype(np.float64)
        np.testing.assert_allclose(layer.mean[0], exact.mean(0), rtol=1e-14)  # type: ignore[index]
        np.testing.assert_allclose(layer.variance[0], exact.var(0), rtol=1e-9)  # type: ignore[index]
    layer = layers.Normalization()
    layer.adapt(np.array([[0], [255]], np.uint8))
    assert layer.mean == 127.5 and layer.variance == 127.5**2


def test_one_mean_for_all_features() -> None:
    layer = layers.Normalization(axis=None, dtype="float64")
    layer.adapt([1.0, 2.0, 3.0, 4.0, 5.0])
    assert layer.mean == 3.0 and layer.variance == 2.0
    np.testing.assert_allclose(layer(DATA), (DATA - 3.0) / np.sqrt(2.0))
    model = net(layer)
    assert parts(model)[0].mean.shape == (1, 4)  # one for each column by now
    layer.adapt(DATA[:, :2])
    np.testing.assert_allclose(model.get_weights()[0], np.full(4, DATA[:, :2].mean()))


@every_backend
def test_given_moments(backend: str) -> None:
    each = layers.Normalization(mean=MOMENTS[0], variance=MOMENTS[1].tolist(), dtype="float64")
    np.testing.assert_allclose(net(each, backend=backend).predict(DATA, verbose=0), EXPECTED, rtol=1e-12, atol=1e-12)
    one = net(layers.Normalization(mean=2.0, variance=4.0, dtype="float64"), backend=backend)
    assert (one.predict(DATA, verbose=0) == (DATA - 2.0) / 2.0).all()
    with pytest.raises(ArgumentError, match="its mean and variance were given"):
        each.adapt(DATA)
    with pytest.raises(ArgumentError, match="have 4 features, the rows that come in 3"):
        fastnn.Sequential([fastnn.Input((3,)), layers.Normalization(mean=MOMENTS[0], variance=MOMENTS[1])])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Normalization(axis=0), "axis=0 is not supported"),
        (lambda: layers.Normalization(invert=True), "invert=True is not supported"),  # type: ignore[call-arg]
        (lambda: layers.Normalization(mean=1.0), "mean and variance go together"),
        (lambda: layers.Normalization(axis=None, mean=[1.0], variance=[1.0]), "expected one number each"),
        (lambda: layers.Normalization(mean=0.0, variance=-1.0), "variance is -1.0, expected numbers >= 0"),
        (lambda: layers.Normalization(mean=np.nan, variance=1.0), "the mean is up to nan, which does not fit"),
        (lambda: layers.Rescaling([1.0, 2.0]), "scale is list"),  # type: ignore[arg-type]
        (lambda: layers.Rescaling(np.inf), "scale is inf"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        make()


class Frame:
    """As much of a data frame as is looked at."""

    columns = ("age", "pay")

    def to_numpy(self) -> Array:
        return np.array([[30.0, 1.0], [np.nan, 2.0]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0, 2.0], [np.inf, 3.0]], r"\.adapt: data is inf at row 1, column 0; remove such rows"),
        (Frame(), r"data is nan at row 1, column 0 \('age'\)"),
        (np.ones((2, 3, 4)), r"data has shape \(2, 3, 4\), expected \(n, I\)"),
        (np.ones((0, 4)), r"data has shape \(0, 4\), expected \(n, I\) with at least one row"),
        (["a"], "expected real numbers"),
        (None, "data is None"),
        ([[1e20], [-1e20]], r"the variance is up to 1e\+40, which does not fit float32"),
        ([[1.7e308], [1.7e308]], "the mean is up to inf, which does not fit float32"),
    ],
)
def test_data_that_cannot_be_adapted_to(data: Any, message: str) -> None:
    layer = layers.Normalization()
    with pytest.raises(FastnnError, match=message):
        layer.adapt(data)
    assert layer.mean is None


def test_another_number_of_features() -> None:
    layer = layers.Normalization()
    model = net(layer)
    with pytest.raises(ArgumentError, match="data has 3 features, the model was built for 4"):
        layer.adapt(np.ones((5, 3)))
    assert (model.get_weights()[1] == 1).all()
    other = layers.Normalization()
    other.adapt(np.ones((5, 3)))
    deferred = fastnn.Sequential([other, layers.Dense(1)])
    with pytest.raises(ArgumentError, match='Normalization 0 "normalization": its mean and variance have 3 features'):
        deferred.predict(X, verbose=0)


def test_an_adapted_layer_alone_is_copied() -> None:
    layer = layers.Normalization()
    layer.adapt(X)
    again = pickle.loads(pickle.dumps(layer))
    assert (again(X) == layer(X)).all()


# Rescaling


@every_backend
def test_rescaling(backend: str) -> None:
    model = net(layers.Rescaling(1 / 255, offset=-0.5, dtype="float64"), backend=backend, loss="mae")
    pixels = np.array([[0, 51, 102, 255]], np.uint8)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), [[-0.5, -0.3, -0.1, 0.5]], rtol=1e-14)
    deep = fastnn.Sequential([fastnn.Input((2, 2)), layers.Rescaling(2.0), layers.Flatten()])
    assert (deep.predict(np.ones((3, 2, 2)), verbose=0) == 2.0).all()


def test_regression_as_tutorials_write_it() -> None:
    """Adapted alone, looked at, then first in a model that is built by its data."""
    fastnn.utils.set_random_seed(1)
    features, labels = X.astype(np.float32), X @ [1.0, -2.0, 0.5, 0.1]
    normalizer = fastnn.layers.Normalization(axis=-1)
    normalizer.adapt(features)
    np.testing.assert_allclose(normalizer(features[:1]), (X[:1] - X.mean(0)) / X.std(0), rtol=1e-5)
    model = fastnn.Sequential([normalizer, fastnn.layers.Dense(units=1)])
    assert model.predict(features[:10], verbose=0).shape == (10, 1) and model.layers[1].weights[0].shape == (4, 1)
    model.compile(optimizer=fastnn.optimizers.Adam(learning_rate=0.1), loss="mean_absolute_error", backend="reference")
    losses = model.fit(features, labels, epochs=40, verbose=0, validation_split=0.2).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    one = fastnn.layers.Normalization(input_shape=[1], axis=None)
    one.adapt(features[:, 0])
    single = fastnn.Sequential([one, fastnn.layers.Dense(units=1)])
    assert single.built and single.predict(features[:5, 0], verbose=0).shape == (5, 1)
    fastnn.config.set_seed(None)
