"""Metrics: which accuracy is meant, keys, values against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics
from fastnn.errors import ArgumentError, FastnnError
from nets import every_backend, net, wave

N, C = 23, 3
X = wave(N, 4)
LABELS = np.arange(N) * 2 % C
ONEHOT = np.eye(C)[LABELS]


@every_backend
@pytest.mark.parametrize("name", ["accuracy", "acc", metrics.Accuracy(name="right")])
def test_accuracy_is_what_fits(name: Any, backend: str) -> None:
    key = name if isinstance(name, str) else "right"
    sparse = net(layers.Dense(C, "softmax"), loss="sparse_categorical_crossentropy", metrics=[name], backend=backend)
    right = (sparse.predict(X, verbose=0).argmax(axis=1) == LABELS).mean()
    assert sparse.evaluate(X, LABELS, verbose=0, return_dict=True)[key] == pytest.approx(right)
    assert sparse.evaluate(X, LABELS[:, None], verbose=0, return_dict=True)[key] == pytest.approx(right)

    categorical = net(layers.Dense(C, "softmax"), loss="categorical_crossentropy", metrics=[name], backend=backend)
    assert categorical.evaluate(X, ONEHOT, verbose=0, return_dict=True)[key] == pytest.approx(right)

    binary = net(layers.Dense(1, "sigmoid"), loss="binary_crossentropy", metrics=name, backend=backend)
    y = LABELS > 0
    right = ((binary.predict(X, verbose=0)[:, 0] > 0.5) == y).mean()
    assert binary.evaluate(X, y, verbose=0, return_dict=True)[key] == pytest.approx(right)


@every_backend
def test_values(backend: str) -> None:
    p = 1 / (1 + np.exp(-wave(N, C)))
    y = (wave(N, C, phase=1.0) > 0).astype(float)
    model = net(
        layers.Activation("linear", dtype="float64"),
        features=C,
        loss="mse",
        metrics=[
            "mse",
            "mae",
            "rmse",
            "r2_score",
            "binary_accuracy",
            "categorical_accuracy",
            "binary_crossentropy",
            "categorical_crossentropy",
            "kl_divergence",
            "huber",
            losses.Lp(p=3, name="cubic"),
            metrics.BinaryCrossentropy(name="smooth", label_smoothing=0.2),
        ],
        backend=backend,
    )
    q, s = p / p.sum(axis=1, keepdims=True), y * 0.8 + 0.1
    clipped = np.clip(y, 1e-7, 1)
    expected = {
        "loss": ((p - y) ** 2).mean(),
        "mse": ((p - y) ** 2).mean(),
        "mae": np.abs(p - y).mean(),
        "rmse": np.sqrt(((p - y) ** 2).mean()),
        "r2_score": (1 - ((y - p) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)).mean(),
        "binary_accuracy": ((p > 0.5) == y).mean(),
        "categorical_accuracy": (p.argmax(axis=1) == y.argmax(axis=1)).mean(),
        "binary_crossentropy": -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(),
        "categorical_crossentropy": -(y * np.log(q)).sum(axis=1).mean(),
        "kl_divergence": (clipped * np.log(clipped / p)).sum(axis=1).mean(),
        "huber": ((p - y) ** 2).mean() / 2,
        "cubic": (np.abs(p - y) ** 3).mean(),
        "smooth": -(s * np.log(p) + (1 - s) * np.log(1 - p)).mean(),
    }
    logs = model.evaluate(p, y, batch_size=5, verbose=0, return_dict=True)
    assert list(logs) == list(expected) == model.metrics_names
    assert logs == pytest.approx(expected, rel=1e-11)
    assert all(type(value) is float for value in logs.values())


@every_backend
def test_sparse_crossentropy_as_a_metric(backend: str) -> None:
    model = net(
        layers.Dense(C, "softmax", dtype="float64"),
        loss=losses.SparseCategoricalCrossentropy(),
        metrics=["sparse_categorical_crossentropy", "sparse_categorical_accuracy"],
        backend=backend,
    )
    logs = model.evaluate(X, LABELS, verbose=0, return_dict=True)
    assert logs["sparse_categorical_crossentropy"] == pytest.approx(logs["loss"], rel=1e-9)


@every_backend
def test_r2_of_equal_targets_is_0(backend: str) -> None:
    model = net(metrics=[metrics.R2Score()], backend=backend)
    assert model.evaluate(X, np.ones(N), verbose=0, return_dict=True)["r2_score"] == 0.0


@every_backend
def test_training_metrics_are_those_before_each_update(backend: str) -> None:
    y = wave(N, phase=3.0)
    model = net(layers.Dense(1, dtype="float64"), metrics=["mae"], backend=backend)
    W, b = model.get_weights()
    expected = np.abs(X @ W + b - y[:, None]).mean()
    assert model.train_on_batch(X, y)[1] == pytest.approx(expected, rel=1e-12)
    history = model.fit(X, y, batch_size=N, verbose=0, epochs=2).history
    assert history["mae"][1] < history["mae"][0] < expected


@every_backend
def test_weights_do_not_touch_metrics(backend: str) -> None:
    y, w = wave(N), np.abs(wave(N, phase=2.0))
    model = net(metrics=["mse"], backend=backend)
    plain = model.evaluate(X, y, verbose=0, return_dict=True)
    weighted = model.evaluate(X, y, sample_weight=w, verbose=0, return_dict=True)
    assert weighted["mse"] == plain["mse"]
    assert weighted["loss"] != plain["loss"]


def test_keys() -> None:
    assert net(metrics=["acc", "MAE", "MeanSquaredError"]).metrics_names == ["loss", "acc", "MAE", "MeanSquaredError"]
    assert net(metrics=[metrics.RootMeanSquaredError(), metrics.R2Score()]).metrics_names[1:] == [
        "root_mean_squared_error",
        "r2_score",
    ]
    assert net(metrics=[["mae"]]).metrics_names == ["loss", "mae"]
    assert net(metrics=losses.Huber()).metrics_names == ["loss", "huber_loss"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["acuracy"]}, 'unknown name "acuracy"; did you mean "accuracy"'),
        ({"metrics": ["auc"]}, '"auc" of Keras is not supported'),
        ({"metrics": {"a": "mse"}}, "metrics is a dict"),
        ({"metrics": [lambda a, b: 0]}, "expected a name or a fastnn metric object"),
        ({"metrics": ["mae", "mae"]}, 'two metrics are called "mae"'),
        ({"weighted_metrics": ["mae"]}, r"weighted_metrics=\['mae'\] is not supported"),
        ({"metrics": ["sparse_categorical_accuracy"]}, "reads class numbers"),
        ({"metrics": [losses.BinaryCrossentropy(from_logits=True)]}, "is not supported as a metric"),
        ({"metrics": ["mse"], "loss": "sparse_categorical_crossentropy"}, "use its sparse form"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        net(layers.Dense(C, "softmax"), **arguments)


def test_unsupported_arguments_of_metrics() -> None:
    with pytest.raises(ArgumentError, match="threshold"):
        metrics.BinaryAccuracy(threshold=0.3)
    metrics.BinaryAccuracy(threshold=0.5)
    with pytest.raises(ArgumentError, match="from_logits"):
        metrics.CategoricalCrossentropy(from_logits=True)
    assert isinstance(metrics.get({"class_name": "R2Score", "config": {"name": "fit"}}), metrics.R2Score)
    assert fastnn.metrics.get("mse").name == "mse"
