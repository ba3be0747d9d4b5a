"""BatchNormalization and LayerNormalization: formulas, weights, moving averages, freezing, copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers, optimizers
from fastnn.errors import ArgumentError, FastnnError, NotBuiltError
from nets import Array, blobs, every_backend, net, wave
from support import load

X = 3.0 * wave(12, 4) + np.array([1.0, -2.0, 0.0, 100.0])
ZERO = np.zeros((12, 4))


def standardized(x: Array, axis: int, epsilon: float) -> Array:
    result: Array = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + epsilon)
    return result


def parts(model: fastnn.Sequential) -> list[Any]:
    """Its layers, whose attributes depend on their classes."""
    return list(model.layers)


def batch_norm(backend: str = "reference", **arguments: Any) -> fastnn.Sequential:
    layer = layers.BatchNormalization(dtype="float64", **arguments)
    return net(layer, backend=backend, optimizer=optimizers.SGD(0.125))


# BatchNormalization


@every_backend
def test_training_takes_the_moments_of_the_batch(backend: str) -> None:
    model = batch_norm(backend, momentum=0.75, epsilon=0.5)
    (layer,) = parts(model)
    expected = standardized(X, 0, 0.5)
    assert model.train_on_batch(X, ZERO) == pytest.approx((expected**2).mean(), rel=1e-12)
    np.testing.assert_allclose(layer.moving_mean, 0.25 * X.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance, 0.75 + 0.25 * X.var(0), rtol=1e-12)
    # The gradients of mse against zeros at gamma = 1, beta = 0 are 2 A A / 48 and 2 A / 48, summed over the batch.
    np.testing.assert_allclose(layer.gamma, 1 - 0.125 * (expected**2).sum(0) / 24, rtol=1e-12)
    np.testing.assert_allclose(layer.beta, -0.125 * expected.sum(0) / 24, atol=1e-12)


@every_backend
def test_predictions_take_the_moving_averages(backend: str) -> None:
    model = batch_norm(backend)
    weights = [wave(4), wave(4, phase=1.0), wave(4, phase=2.0), 1.5 + wave(4, phase=3.0)]
    before = model.predict(X, verbose=0)
    np.testing.assert_allclose(before, X / np.sqrt(1.001), rtol=1e-12)
    model.set_weights(weights)
    gamma, beta, mean, variance = weights
    expected = gamma * (X - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-12)
    assert model.evaluate(X, expected, verbose=0) == pytest.approx(0.0, abs=1e-20)
    assert all((a == b).all() for a, b in zip(model.get_weights(), weights, strict=True))


@every_backend
def test_a_row_does_not_depend_on_those_beside_it(backend: str) -> None:
    stack = (layers.Dense(7), layers.BatchNormalization(), layers.ReLU(), layers.LayerNormalization(), layers.Dense(2))
    model = net(*stack, backend=backend)
    model.fit(X, X[:, :2], epochs=2, verbose=0)
    together = model.predict(X, verbose=0)
    assert all((model.predict(X[i : i + 1], verbose=0) == together[i]).all() for i in range(len(X)))


@every_backend
def test_a_batch_of_one_row_gives_beta(backend: str) -> None:
    model = batch_norm(backend, beta_initializer="ones", momentum=0.0)
    assert model.train_on_batch(X[:1], ZERO[:1]) == 1.0
    assert (parts(model)[0].moving_variance == 0).all() and (parts(model)[0].moving_mean == X[0]).all()


@every_backend
@pytest.mark.parametrize(("momentum", "share"), [(1.0, 0.0), (0.0, 1.0)])
def test_ends_of_momentum(momentum: float, share: float, backend: str) -> None:
    model = batch_norm(backend, momentum=momentum)
    model.train_on_batch(X, ZERO)
    np.testing.assert_allclose(parts(model)[0].moving_mean, share * X.mean(0), rtol=1e-12)


@every_backend
def test_frozen_layers_use_and_keep_the_moving_averages(backend: str) -> None:
    model = batch_norm(backend)
    model.train_on_batch(X, ZERO)
    kept = model.get_weights()
    parts(model)[0].trainable = False
    model.compile("sgd", "mse", backend=load(backend))
    predicted = model.predict(X, verbose=0)
    assert model.train_on_batch(X, predicted) == 0.0
    assert all((a == b).all() for a, b in zip(model.get_weights(), kept, strict=True))
    parts(model)[0].trainable = True
    assert model.train_on_batch(X, predicted) == 0.0  # not before it is compiled again
    model.compile("sgd", "mse", backend=load(backend))
    assert model.train_on_batch(X, predicted) > 0.0


@every_backend
def test_no_optimizer_touches_moving_averages(backend: str) -> None:
    """Weight decay and penalties are for gamma and beta."""
    told: dict[str, Any] = {"gamma_regularizer": "l2", "beta_regularizer": "l1", "momentum": 1.0}
    model = net(layers.BatchNormalization(**told), backend=backend, optimizer=optimizers.AdamW(weight_decay=0.5))
    model.fit(X, ZERO, epochs=3, verbose=0)
    layer = parts(model)[0]
    assert (layer.moving_mean == 0).all() and (layer.moving_variance == 1).all()
    assert (layer.gamma != 1).all()


def test_penalties_count_and_frozen_ones_do_not() -> None:
    told: dict[str, Any] = {"gamma_regularizer": "l2", "beta_regularizer": "l1", "beta_initializer": "ones"}
    for kind in (layers.BatchNormalization, layers.LayerNormalization):
        plain, free = net(kind(beta_initializer="ones")), net(kind(**told))
        frozen = net(kind(**told, trainable=False))
        loss = plain.evaluate(X, ZERO, verbose=0)
        assert free.evaluate(X, ZERO, verbose=0) == pytest.approx(loss + 4 * 0.01 + 4 * 0.01, rel=1e-6)
        assert frozen.evaluate(X, ZERO, verbose=0) == loss


# LayerNormalization


@every_backend
def test_layer_normalization(backend: str) -> None:
    model = net(layers.LayerNormalization(epsilon=0.5, dtype="float64"), backend=backend)
    expected = standardized(X, 1, 0.5)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-12)
    assert model.train_on_batch(X, ZERO) == pytest.approx((expected**2).mean(), rel=1e-12)
    gamma, beta = wave(4), wave(4, phase=1.0)
    model.set_weights([gamma, beta])
    np.testing.assert_allclose(model.predict(X, verbose=0), gamma * expected + beta, rtol=1e-12)


@every_backend
def test_gradients(backend: str) -> None:
    stack = (
        layers.LayerNormalization(),
        layers.Dense(3, "tanh", use_bias=False),
        layers.BatchNormalization(gamma_regularizer="l2"),
        layers.Activation("tanh"),
        layers.BatchNormalization(scale=False),
        layers.LayerNormalization(center=False),
        layers.Rescaling(0.5, 1.0),
        layers.Dense(3, "softmax"),
    )
    model = net(*stack, backend=backend, loss="sparse_categorical_crossentropy")
    result = gradcheck.check(model, *blobs(7))
    assert result, result
    assert {"batch_normalization/gamma", "batch_normalization_1/beta", "layer_normalization/gamma"} <= set(
        result.errors
    )


# the weights of both


def test_weights_and_their_names() -> None:
    model = net(layers.BatchNormalization(), layers.Dense(2), layers.LayerNormalization())
    batch, dense, row = parts(model)
    assert [w.tolist() for w in batch.weights] == [[1.0] * 4, [0.0] * 4, [0.0] * 4, [1.0] * 4]
    for name, weight in zip(("gamma", "beta", "moving_mean", "moving_variance"), batch.weights, strict=True):
        assert np.shares_memory(getattr(batch, name), weight) and not getattr(batch, name).flags.writeable
    assert (row.gamma == 1).all() and (row.beta == 0).all() and row.gamma.shape == (2,)
    assert (batch.count_params(), row.count_params(), model.count_params()) == (16, 4, 30)
    assert [len(layer.trainable_weights) for layer in parts(model)] == [2, 2, 2]
    assert [len(layer.non_trainable_weights) for layer in parts(model)] == [2, 0, 0]
    assert [w.shape for w in model.non_trainable_variables] == [(4,), (4,)]
    batch.trainable = False
    assert (len(batch.trainable_weights), len(batch.non_trainable_weights)) == (0, 4)
    assert dense.trains


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"scale": False}, ["beta", "moving_mean", "moving_variance"]),
        ({"center": False}, ["gamma", "moving_mean", "moving_variance"]),
        ({"scale": False, "center": False}, ["moving_mean", "moving_variance"]),
    ],
)
def test_what_is_left_out(arguments: dict[str, Any], names: list[str]) -> None:
    model = net(layers.BatchNormalization(**arguments))
    (layer,) = parts(model)
    assert [getattr(layer, name) is not None for name in names] == [True] * len(names)
    assert len(layer.weights) == len(names)
    assert (layer.gamma is None) == ("gamma" not in names) and (layer.beta is None) == ("beta" not in names)
    row = parts(net(layers.LayerNormalization(**arguments)))[0]
    assert len(row.weights) == len(names) - 2


def test_summary_counts_what_trains() -> None:
    model = net(layers.Normalization(), layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(2))
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert lines[0].endswith("Total params: 54 (216 B)\nTrainable params: 38 (152 B)\nNon-trainable params: 16 (64 B)")


def test_before_the_model_is_built() -> None:
    layer = layers.BatchNormalization()
    assert layer.weights == layer.trainable_weights == layer.non_trainable_weights == []
    for name in ("gamma", "moving_mean"):
        with pytest.raises(NotBuiltError, match="has no weights before"):
            getattr(layer, name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.BatchNormalization(axis=0), r"axis=0 is not supported, expected -1"),
        (lambda: layers.LayerNormalization(axis=[1, 2]), r"axis=\[1, 2\] is not supported"),
        (lambda: layers.Softmax(axis=0), "axis=0 is not supported"),
        (lambda: layers.BatchNormalization(momentum=1.5), r"momentum is 1.5, expected a number in \[0, 1\]"),
        (lambda: layers.BatchNormalization(epsilon=-1), "epsilon is -1, expected a number >= 0"),
        (lambda: layers.BatchNormalization(center="yes"), "center is 'yes', expected True or False"),  # type: ignore[arg-type]
        (lambda: layers.BatchNormalization(renorm=True), "renorm=True is not supported"),  # type: ignore[call-arg]
        (lambda: layers.BatchNormalization(synchronized=True), "synchronized=True is not supported"),  # type: ignore[call-arg]
        (
            lambda: layers.BatchNormalization(gamma_constraint="max_norm"),  # type: ignore[call-arg]
            "gamma_constraint='max_norm' is not supported",
        ),
        (lambda: layers.LayerNormalization(rms_scaling=True), "rms_scaling=True is not supported"),  # type: ignore[call-arg]
        (lambda: layers.LayerNormalization(momentum=0.5), 'unknown argument "momentum"'),  # type: ignore[call-arg]
        (
            lambda: layers.Normalization(mean=[1.0, 2.0], variance=1.0),
            r"have shapes \(2,\) and \(\), expected one number",
        ),
        (
            lambda: layers.Normalization(mean=0.0, variance=1e39),
            r"the variance is up to 1e\+39, which does not fit float32",
        ),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        make()


def test_defaults_of_unsupported_arguments_are_accepted() -> None:
    layers.BatchNormalization(renorm=False, renorm_clipping=None, renorm_momentum=0.99, synchronized=False)  # type: ignore[call-arg]
    layers.BatchNormalization(gamma_constraint=None, beta_constraint=None)  # type: ignore[call-arg]
    layers.LayerNormalization(rms_scaling=False)  # type: ignore[call-arg]
    layers.Normalization(invert=False)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [layers.BatchNormalization, layers.LayerNormalization, layers.Normalization])
def test_rows_of_more_dimensions(kind: type[layers.Layer]) -> None:
    with pytest.raises(ArgumentError, match=rf'{kind.__name__} 0 ".*: the rows that come in have shape \(2, 3\)'):
        fastnn.Sequential([fastnn.Input((2, 3)), kind()])


COPIES: dict[str, Callable[[Any, Any], Any]] = {
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "file": lambda model, path: model.save(path / "model") or fastnn.load_model(path / "model", backend="reference"),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_and_files_go_on_as_their_model(copied: Any, tmp_path: Any) -> None:
    layer = layers.Normalization()
    layer.adapt(X)
    stack = (layer, layers.Dense(5), layers.BatchNormalization(scale=False), layers.ReLU(), layers.LayerNormalization())
    model = net(*stack, layers.Dense(1), optimizer="adam")
    model.fit(X, X[:, :1], epochs=2, verbose=0)
    other = copied(model, tmp_path)
    assert other.get_config() == model.get_config()
    assert (other.predict(X, verbose=0) == model.predict(X, verbose=0)).all()
    assert not np.shares_memory(parts(other)[2].moving_mean, parts(model)[2].moving_mean)
    histories = [each.fit(X, X[:, :1], epochs=2, verbose=0).history for each in (model, other)]
    assert histories[0] == histories[1]
    assert all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    assert (parts(other)[0].mean == parts(model)[0].mean).all()


def test_another_stack_keeps_moving_averages() -> None:
    model = net(layers.Dense(3), layers.BatchNormalization())
    model.fit(X, ZERO[:, :3], epochs=2, verbose=0)
    before = model.get_weights()
    model.add(layers.Dense(2))
    assert all((a == b).all() for a, b in zip(before, model.get_weights()[:6], strict=True))
