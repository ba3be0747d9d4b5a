"""Losses, metrics and activations of arrays: values, shapes, a model's bits, and what is refused."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import activations, config, layers, losses, metrics
from fastnn.errors import FastnnError
from nets import Array, every_backend, net, wave
from support import load

N, C = 7, 3
LABELS = np.arange(N) * 2 % C
ONEHOT = np.eye(C)[LABELS]
REAL = wave(N, C, phase=2.0)
P = np.exp(wave(N, C)) / np.exp(wave(N, C)).sum(axis=1, keepdims=True)
Z = 3 * wave(N, C)
W = np.arange(N) - 1.0


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Makes a backend the default one."""
    load(backend)
    monkeypatch.setenv("FASTNN_BACKEND", backend)


def by_default(test: Callable[..., None]) -> Callable[..., None]:
    marked: Callable[..., None] = pytest.mark.usefixtures("default")(every_backend(test))
    return marked


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def binary(p: Array, y: Array) -> Array:
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=-1))


def huber(e: Array, delta: float) -> Array:
    e = np.abs(e)
    return np.asarray(np.where(e <= delta, e * e / 2, delta * (e - delta / 2)).mean(axis=-1))


# Loss, its function's call, targets, predictions, the value of each row.
LOSSES: dict[str, tuple[losses.Loss, Callable[[Any, Any], Array] | None, Array, Array, Array]] = {
    "mse": (losses.MeanSquaredError(), losses.mse, REAL, Z, ((Z - REAL) ** 2).mean(axis=1)),
    "mae": (losses.MeanAbsoluteError(), losses.mae, REAL, Z, np.abs(Z - REAL).mean(axis=1)),
    "lp": (losses.Lp(3.5), None, REAL, Z, (np.abs(Z - REAL) ** 3.5).mean(axis=1)),
    "huber": (losses.Huber(0.5), lambda y, a: losses.huber(y, a, 0.5), REAL, Z, huber(Z - REAL, 0.5)),
    "kld": (losses.KLDivergence(), losses.kld, P[::-1], P, (P[::-1] * np.log(P[::-1] / P)).sum(axis=1)),
    "bce": (losses.BinaryCrossentropy(), losses.bce, ONEHOT, P, binary(P, ONEHOT)),
    "bce_logits": (
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
        lambda y, a: losses.binary_crossentropy(y, a, True, 0.2),
        ONEHOT,
        Z,
        binary(1 / (1 + np.exp(-Z)), ONEHOT * 0.8 + 0.1),
    ),
    "cce": (
        losses.CategoricalCrossentropy(),
        losses.categorical_crossentropy,
        ONEHOT,
        2 * P,
        -(ONEHOT * np.log(P)).sum(axis=1),
    ),
    "cce_logits": (
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
        lambda y, a: losses.categorical_crossentropy(y, a, from_logits=True, label_smoothing=0.3),
        ONEHOT,
        Z,
        -((ONEHOT * 0.7 + 0.1) * np.log(softmax(Z))).sum(axis=1),
    ),
    "scce": (
        losses.SparseCategoricalCrossentropy(),
        losses.sparse_categorical_crossentropy,
        LABELS,
        P,
        -np.log(P[np.arange(N), LABELS]),
    ),
    "scce_logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda y, a: losses.sparse_categorical_crossentropy(y, a, from_logits=True),
        LABELS[:, None],
        Z,
        -np.log(softmax(Z)[np.arange(N), LABELS]),
    ),
}


@by_default
@pytest.mark.parametrize("case", LOSSES)
def test_losses(case: str, backend: str) -> None:
    loss, function, y, a, rows = LOSSES[case]
    values = loss.call(y, a)
    assert values.dtype == np.float64 and values.shape == (N,)
    np.testing.assert_allclose(values, rows, rtol=1e-12)
    if function is not None:
        assert (function(y, a) == values).all()
    assert loss(y, a) == pytest.approx(rows.mean(), rel=1e-12)
    assert type(loss(y, a)) is np.float64 and type(loss(y, a.astype(np.float32))) is np.float32
    assert loss(y, a, sample_weight=W) == pytest.approx((W * rows).mean(), rel=1e-12)
    assert loss(y, a, W[:, None]) == loss(y, a, W)
    assert loss(y, a, 2) == pytest.approx(2 * rows.mean(), rel=1e-12)
    kind, given = type(loss), loss.get_config()
    reduced = {how: kind.from_config(given | {"reduction": how}) for how in ("none", "sum", "mean_with_sample_weight")}
    np.testing.assert_allclose(reduced["none"](y, a, W), W * rows, rtol=1e-12)
    assert reduced["sum"](y, a, W) == pytest.approx((W * rows).sum(), rel=1e-12)
    assert reduced["mean_with_sample_weight"](y, a, W) == pytest.approx((W * rows).sum() / W.sum(), rel=1e-12)


@by_default
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LOSSES)
def test_losses_have_a_models_bits(case: str, dtype: str, backend: str) -> None:
    loss, _, y, a, _ = LOSSES[case]
    a = a.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastnn.ModelAdvice)  # a linear output with crossentropy
        model = net(layers.Activation("linear", dtype=dtype), features=C, loss=loss, backend=backend)
    assert loss(y, a) == np.dtype(dtype).type(model.evaluate(a, y, verbose=0))


def test_losses_of_other_shapes() -> None:
    y, a = wave(2, 3, 4), wave(2, 3, 4, phase=1.0)
    np.testing.assert_allclose(losses.mse(y, a), ((y - a) ** 2).mean(axis=2), rtol=1e-12)
    assert losses.MeanSquaredError()(y, a) == pytest.approx(((y - a) ** 2).mean(), rel=1e-12)
    assert losses.mse(y[0, 0], a[0, 0]).shape == ()
    column = losses.mse(y[0, 0], a[0, 0][:, None])
    np.testing.assert_allclose(column, (y[0, 0] - a[0, 0]) ** 2, rtol=1e-12)
    assert (losses.mse(y[0, 0][:, None], a[0, 0]) == column).all()
    assert losses.mse([[0, 1], [0, 0]], [[1, 1], [1, 0]]).tolist() == [0.5, 0.5]
    assert losses.mse([[0, 1]], [[1, 1]]).dtype == config.floatx()
    assert losses.mse(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    assert losses.sparse_categorical_crossentropy(1, P[0]) == pytest.approx(-np.log(P[0, 1]), rel=1e-12)
    assert np.isnan(losses.MeanSquaredError()([[np.nan]], [[1.0]]))


def test_a_loss_of_ones_own_works_on_arrays_only() -> None:
    class Mine(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Array:
            return np.asarray(np.abs(np.asarray(y_pred) - y_true).max(axis=-1))

    assert Mine()(REAL, Z, W) == pytest.approx((W * np.abs(Z - REAL).max(axis=1)).mean(), rel=1e-12)
    with pytest.raises(TypeError, match="loss: Mine is a class of your own; Python code cannot run"):
        net(loss=Mine())


@by_default
def test_functions_train_a_model(backend: str) -> None:
    by_name = net(loss="mae", metrics=["mean_squared_error"], backend=backend)
    by_function = net(loss=losses.mean_absolute_error, metrics=[losses.mse], backend=backend)
    X, y = wave(9, 4), wave(9)
    assert by_name.fit(X, y, verbose=0).history == by_function.fit(X, y, verbose=0).history
    assert losses.get(losses.huber).get_config() == losses.Huber().get_config()
    model = net(layers.Dense(2), metrics=["cosine_similarity", losses.hinge], backend=backend)
    scores = model.evaluate(X, wave(9, 2), verbose=0, return_dict=True)
    assert scores["cosine_similarity"] == pytest.approx(
        -losses.CosineSimilarity()(wave(9, 2), model.predict(X, verbose=0)), rel=1e-6
    )
    assert list(scores) == ["cosine_similarity", "hinge", "loss"]
    assert metrics.get(losses.cosine_similarity)([[1.0, 0.0]], [[2.0, 0.0]]) == -1.0  # the loss as it is


# Metric, targets, predictions, the value of each row.
METRICS: dict[str, tuple[metrics.Metric, Array, Array, Array]] = {
    "mse": (metrics.MeanSquaredError(), REAL, Z, ((Z - REAL) ** 2).mean(axis=1)),
    "mae": (metrics.MeanAbsoluteError(), REAL, Z, np.abs(Z - REAL).mean(axis=1)),
    "binary": (metrics.BinaryAccuracy(), ONEHOT, P, ((P > 0.5) == ONEHOT).mean(axis=1)),
    "threshold": (metrics.BinaryAccuracy(threshold=0.3), ONEHOT, P, ((P > 0.3) == ONEHOT).mean(axis=1)),
    "categorical": (metrics.CategoricalAccuracy(), ONEHOT, P, (P.argmax(axis=1) == LABELS) * 1.0),
    "sparse": (metrics.SparseCategoricalAccuracy(), LABELS, P, (P.argmax(axis=1) == LABELS) * 1.0),
    "accuracy": (metrics.Accuracy(), LABELS[:, None], LABELS[::-1, None], (LABELS[::-1] == LABELS) * 1.0),
    "bce": (metrics.BinaryCrossentropy(label_smoothing=0.2), ONEHOT, P, binary(P, ONEHOT * 0.8 + 0.1)),
    "cce": (metrics.CategoricalCrossentropy(from_logits=True), ONEHOT, Z, -np.log(softmax(Z))[np.arange(N), LABELS]),
    "scce": (metrics.SparseCategoricalCrossentropy(), LABELS, P, -np.log(P[np.arange(N), LABELS])),
    "scce_logits": (
        metrics.SparseCategoricalCrossentropy(from_logits=True),
        LABELS,
        Z,
        -np.log(softmax(Z)[np.arange(N), LABELS]),
    ),
    "kld": (metrics.KLDivergence(), P[::-1], P, (P[::-1] * np.log(P[::-1] / P)).sum(axis=1)),
    "cosine": (metrics.CosineSimilarity(), ONEHOT, P, (ONEHOT * P).sum(axis=1) / np.linalg.norm(P, axis=1)),
    "loss": (metrics.LossMetric(losses.Huber(0.5)), REAL, Z, huber(Z - REAL, 0.5)),
    "sparse_loss": (
        metrics.LossMetric(losses.SparseCategoricalCrossentropy()),
        LABELS,
        P,
        -np.log(P[np.arange(N), LABELS]),
    ),
}


@by_default
@pytest.mark.parametrize("case", METRICS)
def test_metrics(case: str, backend: str) -> None:
    metric, y, a, rows = METRICS[case]
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric(y, a) == pytest.approx(rows.mean(), rel=1e-12)
    assert type(metric.result()) is float
    metric.update_state(y[:3], a[:3], sample_weight=W[:3])
    total, weight = rows.sum() + (W[:3] * rows[:3]).sum(), N + W[:3].sum()
    assert metric.result() == pytest.approx(total / weight, rel=1e-12)
    metric.reset_state()
    assert metric(y, a, W) == pytest.approx((W * rows).sum() / W.sum(), rel=1e-12)


@by_default
def test_metrics_that_are_no_means(backend: str) -> None:
    weight = W[:, None]
    root = metrics.RootMeanSquaredError()
    root.update_state(REAL[:4], Z[:4])
    assert root(REAL[4:], Z[4:]) == pytest.approx(np.sqrt(((Z - REAL) ** 2).mean()), rel=1e-12)
    r2 = metrics.R2Score()
    r2.update_state(REAL[:4], Z[:4], W[:4])
    mean = (weight * REAL).sum(axis=0) / W.sum()
    ratio = (weight * (REAL - Z) ** 2).sum(axis=0) / (weight * (REAL - mean) ** 2).sum(axis=0)
    assert r2(REAL[4:], Z[4:], W[4:]) == pytest.approx((1 - ratio).mean(), rel=1e-9)
    with pytest.raises(FastnnError, match="y_pred has 1 outputs, 3 before"):
        r2(REAL[:, :1], Z[:, :1])
    assert metrics.R2Score()([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]) == pytest.approx(0.5, rel=1e-12)


def test_rows_of_one_number() -> None:
    """(n,) beside (n,) are n rows of one output, so that weights and further rows count as they should."""
    accuracy = metrics.Accuracy()
    assert accuracy([1, 2, 3], [1, 2, 4]) == pytest.approx(2 / 3)
    assert accuracy([1, 2], [1, 3]) == pytest.approx(3 / 5)
    assert metrics.BinaryAccuracy()([1, 1, 0], [0.9, 0.2, 0.1], sample_weight=[1, 0, 2]) == 1.0
    assert metrics.MeanSquaredError()([1.0, 2.0], [1.0, 4.0], [3.0, 1.0]) == 1.0
    assert metrics.CategoricalAccuracy()([0, 0, 1], [0.1, 0.7, 0.2]) == 0.0  # one row of three classes
    assert metrics.binary_accuracy([1, 1, 0], [0.35, 0.5, 0.4], threshold=0.3).tolist() == [1.0, 1.0, 0.0]
    assert (metrics.binary_accuracy(ONEHOT, P) == ((P > 0.5) == ONEHOT)).all()
    assert metrics.categorical_accuracy(ONEHOT, P).tolist() == METRICS["categorical"][3].tolist()
    assert metrics.sparse_categorical_accuracy(LABELS, P).tolist() == METRICS["sparse"][3].tolist()
    assert metrics.mean_squared_error is losses.mean_squared_error


def test_metrics_keep_their_rows_apart() -> None:
    """A metric in a model and on arrays, its copy, and another one do not mix."""
    metric = metrics.MeanSquaredError()
    model = net(metrics=[metric])
    model.evaluate(wave(5, 4), wave(5), verbose=0)
    assert metric.result() == 0.0
    metric.update_state([1.0], [3.0])
    other = copy.deepcopy(metric)
    other.update_state([1.0], [1.0])
    assert (metric.result(), other.result()) == (4.0, 2.0)
    assert pickle.loads(pickle.dumps(metric)).result() == 4.0


ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[[Array], Array]]] = {
    "linear": (activations.linear, lambda z: z),
    "relu": (activations.relu, lambda z: np.maximum(z, 0)),
    "relu_slope": (lambda z: activations.relu(z, negative_slope=0.1), lambda z: np.where(z < 0, 0.1 * z, z)),
    "leaky_relu": (activations.leaky_relu, lambda z: np.where(z < 0, 0.2 * z, z)),
    "leaky_relu_slope": (lambda z: activations.leaky_relu(z, 0.4), lambda z: np.where(z < 0, 0.4 * z, z)),
    "elu": (activations.elu, lambda z: np.where(z < 0, np.expm1(z), z)),
    "elu_alpha": (lambda z: activations.elu(z, alpha=2.0), lambda z: np.where(z < 0, 2 * np.expm1(z), z)),
    "selu": (
        activations.selu,
        lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
    ),
    "sigmoid": (activations.sigmoid, lambda z: 1 / (1 + np.exp(-z))),
    "tanh": (activations.tanh, np.tanh),
    "softplus": (activations.softplus, lambda z: np.log1p(np.exp(z))),
    "silu": (activations.silu, lambda z: z / (1 + np.exp(-z))),
    "gelu_tanh": (
        lambda z: activations.gelu(z, approximate=True),
        lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    ),
    "relu6": (lambda z: activations.relu(3 * z, max_value=6), lambda z: np.clip(3 * z, 0, 6)),
    "celu_alpha": (lambda z: activations.celu(z, alpha=2.0), lambda z: np.where(z < 0, 2 * np.expm1(z / 2), z)),
    "softmax": (activations.softmax, softmax),
    "softmax_axis": (
        lambda z: activations.softmax(z, axis=1),
        lambda z: np.moveaxis(softmax(np.moveaxis(z, 1, -1)), -1, 1),
    ),
}


@by_default
@pytest.mark.parametrize("case", ACTIVATIONS)
def test_activations(case: str, backend: str) -> None:
    run, formula = ACTIVATIONS[case]
    z = 3 * wave(2, 3, 5)
    before = z.copy()
    result = run(z)
    assert result.dtype == np.float64 and result.shape == z.shape
    np.testing.assert_allclose(result, formula(z), rtol=1e-12, atol=1e-15)
    assert (z == before).all() and not np.shares_memory(result, z)
    assert run(z.astype(np.float32)).dtype == np.float32
    turned = np.asfortranarray(z[:, ::-1])
    assert (run(turned) == run(turned.copy())).all()
    assert run(np.zeros((0, 3))).shape == (0, 3)


@by_default
@pytest.mark.parametrize("name", [*activations.NAMES, ("leaky_relu", 0.3), ("elu", 0.5), ("celu", 2.0)])
def test_activations_have_a_models_bits(name: Any, backend: str) -> None:
    activation = activations.Activation(*name) if isinstance(name, tuple) else activations.get(name)
    model = net(layers.Activation(activation), features=C, backend=backend)
    assert (activation(Z.astype(np.float32)) == model.predict(Z, verbose=0)).all()
    assert activation.__name__ == activation.name


def test_activations_of_numbers_and_lists() -> None:
    assert activations.relu(-3.0) == 0.0 and activations.relu(-3.0).shape == ()
    assert activations.relu([-1, 2]).tolist() == [0.0, 2.0]
    assert activations.relu([-1, 2]).dtype == config.floatx()
    again = pickle.loads(pickle.dumps(activations.relu))
    assert again == activations.relu and again(np.array([-1.0]), negative_slope=0.5)[0] == -0.5
    assert repr(activations.relu) == "Activation('relu')"
    assert repr(activations.Activation("elu", 0.5)) == "Activation('elu', 0.5)"
    assert activations.deserialize(activations.serialize(activations.get("elu"))) == activations.elu


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.mse(np.ones((4, 3)), np.ones((4, 1))), r"y_true has shape \(4, 3\) and y_pred \(4, 1\)"),
        (lambda: losses.mse(np.ones((4, 3)), np.ones((3, 3))), "expected the same shape for both"),
        (lambda: losses.mse(1.0, 2.0), "expected predictions in rows"),
        (lambda: losses.mse(["a"], [1.0]), "y_true has dtype .*, expected real numbers"),
        (lambda: losses.mse([1.0], None), "y_pred is None"),  # type: ignore[arg-type]
        (lambda: losses.MeanSquaredError()(REAL, Z, W[:3]), r"sample_weight has shape \(3,\), expected \(7,\)"),
        (lambda: losses.MeanSquaredError()([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]), r"expected \(\): one weight"),
        (lambda: losses.sparse_categorical_crossentropy(ONEHOT, P), "expected a class number for each row"),
        (lambda: losses.sparse_categorical_crossentropy(LABELS + 1, P), "other values than the class numbers 0 to 2"),
        (lambda: losses.sparse_categorical_crossentropy(LABELS - 1, P), "other values than the class numbers 0 to 2"),
        (lambda: losses.sparse_categorical_crossentropy(LABELS / 2, P), "other values than the class numbers 0 to 2"),
        (lambda: losses.sparse_categorical_crossentropy(LABELS, P, ignore_class=1), "ignore_class=1 is not supported"),
        (lambda: losses.binary_crossentropy(ONEHOT, P, axis=0), "axis=0 is not supported"),
        (lambda: metrics.Accuracy()([1, 0], P[:2]), "expected the same shape for both"),
        (lambda: metrics.MeanSquaredError().update_state(REAL, Z, W[:3]), "MeanSquaredError: sample_weight has shape"),
        (lambda: activations.softmax(1.0), r"softmax: x has shape \(\), which has no axis -1"),
        (lambda: activations.softmax(np.ones(3), axis=1), "has no axis 1"),
        (
            lambda: activations.softmax(np.ones(3), axis="rows"),  # type: ignore[arg-type]
            "axis is str 'rows', expected a whole number",
        ),
        (lambda: activations.relu([1.0], max_value=5.0), "max_value=5.0 is not supported"),
        (lambda: activations.celu([1.0], alpha=0.0), "celu: parameter is 0.0, expected a number > 0"),
        (lambda: activations.relu([1.0], threshold=1), "threshold=1.0 is not supported"),
        (lambda: activations.relu("text"), "x has dtype .*, expected real numbers"),
        (lambda: activations.get(lambda x: x), "got function .*Python code cannot run inside compiled steps"),  # type: ignore[arg-type]
        (lambda: layers.Dense(1, activation=np.tanh), "Python code cannot run inside compiled steps"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError | TypeError)
