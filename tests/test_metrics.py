"""Metrics: which accuracy is meant, keys, values against plain NumPy."""

from __future__ import annotations

import json
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
    assert list(logs) == sorted(expected)
    assert logs == pytest.approx(expected, rel=1e-11)
    assert all(type(value) is float for value in logs.values())
    assert model.metrics_names == list(expected)
    assert model.evaluate(p, y, batch_size=5, verbose=0) == [logs[name] for name in expected]


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
        ({"metrics": {"a": "mse"}}, 'metrics names "a", the outputs are'),
        ({"metrics": [lambda a, b: 0]}, "expected a name or a fastnn metric object.*Python code cannot run inside"),
        ({"metrics": ["mae", "mae", metrics.MeanSquaredError("mae_1")]}, 'two results are called "mae_1"'),
        ({"metrics": [metrics.MeanSquaredError("loss")]}, 'two results are called "loss"'),
        ({"metrics": [np.ones(2)]}, "expected a name or a fastnn metric object, got ndarray"),
        ({"metrics": [{"class_name": "R2Score", "config": 3}]}, "its config is int 3, expected a dict"),
        ({"weighted_metrics": {"a": "mse"}}, 'weighted_metrics names "a"'),
        ({"weighted_metrics": ["mse"], "loss": None}, "loss is missing, and metrics need one"),
        ({"weighted_metrics": ["sparse_categorical_accuracy"]}, "reads class numbers"),
        ({"metrics": ["sparse_categorical_accuracy"]}, "reads class numbers"),
        ({"metrics": [losses.CategoricalCrossentropy(from_logits=True)]}, "from logits is not supported"),
        (
            {"metrics": [metrics.BinaryAccuracy(threshold=0.3)]},
            r"BinaryAccuracy\(threshold=0.3\) is not supported in a model",
        ),
        ({"metrics": ["mse"], "loss": "sparse_categorical_crossentropy"}, "use its sparse form"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        net(layers.Dense(C, "softmax"), **arguments)


def test_arguments_of_metrics() -> None:
    with pytest.raises(ArgumentError, match="num_regressors=1 is not supported"):
        metrics.R2Score(num_regressors=1)
    with pytest.raises(TypeError, match="R2Score: name is int 5, expected a text"):
        metrics.R2Score(name=5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="class_aggregation is None"):
        metrics.R2Score(None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="ignore_class=0 is not supported"):
        metrics.SparseCategoricalCrossentropy(ignore_class=0)
    for metric in (
        metrics.R2Score("variance_weighted_average", name="fit"),
        metrics.BinaryAccuracy("right", threshold=0.25),
        metrics.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics.LossMetric(losses.Huber(0.5), "robust"),
    ):
        again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
        assert type(again) is type(metric) and again.get_config() == metric.get_config()
    assert metrics.get("mse").name == "mse"
    assert metrics.get(losses.huber).name == "huber"
    assert metrics.get(metrics.binary_accuracy).name == "binary_accuracy"


def test_a_metric_of_your_own_is_refused() -> None:
    class Mine(metrics.MeanSquaredError):
        def result(self) -> float:
            return 0.0

    with pytest.raises(TypeError, match="metric: Mine is a class of your own"):
        net(metrics=[Mine()])


@every_backend
def test_crossentropy_from_logits(backend: str) -> None:
    y = (wave(N, phase=1.0) > 0).astype(float)
    told: dict[str, Any] = {"loss": losses.BinaryCrossentropy(from_logits=True), "backend": backend}
    smooth = metrics.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)
    model = net(
        layers.Dense(1, dtype="float64"), metrics=["mae", losses.BinaryCrossentropy(from_logits=True), smooth], **told
    )
    z = model.predict(X, verbose=0)[:, 0]
    q = 1 / (1 + np.exp(-z))
    loss, _, crossentropy, smoothed = model.evaluate(X, y, verbose=0)
    assert crossentropy == pytest.approx(loss, rel=1e-12)
    s = y * 0.8 + 0.1
    assert smoothed == pytest.approx(-(s * np.log(q) + (1 - s) * np.log(1 - q)).mean(), rel=1e-12)


# weighted metrics


@every_backend
@pytest.mark.parametrize("negative", [False, True])
def test_weighted_metrics_divide_by_the_sum_of_weights(negative: bool, backend: str) -> None:
    p, y = wave(N, C), wave(N, C, phase=1.0)
    w = np.arange(N) % 4 + 0.5 - (2.0 if negative else 0.0)
    told = ["mse", "mae", "rmse", "r2_score", metrics.R2Score("variance_weighted_average", name="r2_by_variance")]
    model = net(
        layers.Activation("linear", dtype="float64"),
        features=C,
        metrics=["mse", "r2_score"],
        weighted_metrics=told,
        backend=backend,
    )
    rows = ((p - y) ** 2).mean(axis=1)
    errors = (w[:, None] * (y - p) ** 2).sum(axis=0)
    mean = (w[:, None] * y).sum(axis=0) / w.sum()
    spread = (w[:, None] * (y - mean) ** 2).sum(axis=0)
    mse = (w * rows).sum() / w.sum()
    expected = {
        "loss": (w * rows).mean(),
        "mse": rows.mean(),
        "r2_score": (1 - ((y - p) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)).mean(),
        "weighted_mse": mse,
        "mae": (w * np.abs(p - y).mean(axis=1)).sum() / w.sum(),
        "rmse": np.sqrt(mse) if mse >= 0 else mse,
        "weighted_r2_score": (1 - errors / spread).mean(),
        "r2_by_variance": ((1 - errors / spread) * spread).sum() / spread.sum(),
    }
    assert model.metrics_names == list(expected)
    logs = model.evaluate(p, y, batch_size=5, sample_weight=w, verbose=0, return_dict=True)
    assert list(logs) == sorted(expected)
    assert logs == pytest.approx(expected, rel=1e-9)
    assert model.evaluate(p, y, batch_size=5, sample_weight=w, verbose=0) == [logs[name] for name in expected]
    assert model.test_on_batch(p, y, sample_weight=w, return_dict=True) == pytest.approx(expected, rel=1e-9)
    assert model.train_on_batch(p, y, sample_weight=w) == pytest.approx(list(expected.values()), rel=1e-9)
    plain = model.evaluate(p, y, verbose=0, return_dict=True)
    assert plain["weighted_mse"] == pytest.approx(rows.mean(), rel=1e-12) == plain["mse"]
    assert (
        model.evaluate(p, y, sample_weight=np.r_[1.0, -1.0, np.zeros(N - 2)], verbose=0, return_dict=True)["mae"] == 0.0
    )


@every_backend
def test_weighted_metrics_in_fit(backend: str) -> None:
    """class_weight weighs them too; validation has weights of its own; keys are sorted as Keras's are."""
    w = {0: 1.0, 1: 3.0, 2: 0.5}
    rows = np.array([w[int(label)] for label in LABELS])
    model = net(
        layers.Dense(C, "softmax"),
        loss="sparse_categorical_crossentropy",
        optimizer=fastnn.optimizers.SGD(0.0),
        metrics=["acc"],
        weighted_metrics=["acc", "sparse_categorical_crossentropy"],
        backend=backend,
    )
    right = model.predict(X, verbose=0).argmax(axis=1) == LABELS
    told: dict[str, Any] = {"batch_size": 4, "verbose": 0}
    history = model.fit(X, LABELS, class_weight=w, validation_data=(X, LABELS, rows[::-1]), **told).history
    assert list(history) == [
        "acc",
        "loss",
        "sparse_categorical_crossentropy",
        "val_acc",
        "val_loss",
        "val_sparse_categorical_crossentropy",
        "val_weighted_acc",
        "weighted_acc",
    ]
    assert history["acc"] == [pytest.approx(right.mean())]
    assert history["weighted_acc"] == [pytest.approx((rows * right).sum() / rows.sum())]
    assert history["val_weighted_acc"] == [pytest.approx((rows[::-1] * right).sum() / rows.sum())]
    by_weight = history["loss"][0] * N / rows.sum()  # the loss is divided by the rows
    assert history["sparse_categorical_crossentropy"] == [pytest.approx(by_weight, rel=1e-5)]
    again = model.fit(X, LABELS, sample_weight=rows, **told).history
    assert again["weighted_acc"] == history["weighted_acc"]


def test_keys_are_those_of_keras() -> None:
    def keys(**told: Any) -> list[str]:
        return net(**told).metrics_names[1:]

    assert keys(weighted_metrics=["mse"]) == ["mse"]
    assert keys(metrics=["mae"], weighted_metrics=["mse"]) == ["mae", "mse"]
    assert keys(metrics=["mae", "mse"], weighted_metrics="mse") == ["mae", "mse", "weighted_mse"]
    assert keys(metrics=["mae"], weighted_metrics=["mae", "mae"]) == ["mae", "weighted_mae", "weighted_mae_1"]
    assert keys(metrics=["mae", "mae", "mae"]) == ["mae", "mae_1", "mae_2"]
    assert keys(metrics=[["mae"], "mse"]) == ["mae", "mse"]
    assert keys(metrics=[losses.mse, metrics.mse]) == ["mean_squared_error", "mean_squared_error_1"]
