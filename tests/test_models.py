"""Sequential: building, weights, compiling, summary."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ArgumentError, NotBuiltError
from nets import blobs, classifier, every_backend, net, wave
from support import load


@pytest.mark.parametrize(
    "first",
    [
        [fastnn.Input((4,)), layers.Dense(3)],
        [fastnn.Input(shape=[4]), layers.Dense(3)],
        [fastnn.Input(batch_shape=(None, 4)), layers.Dense(3)],
        [layers.Dense(3, input_shape=(4,))],
        [layers.Dense(3, input_shape=[4])],
        [layers.Dense(3, input_dim=4)],
        [layers.Dense(3, batch_input_shape=(None, 4))],
    ],
)
def test_input_shapes(first: list[Any]) -> None:
    model = fastnn.Sequential(first)
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 3))
    assert [w.shape for w in model.get_weights()] == [(4, 3), (3,)]
    assert model.count_params() == 15


@every_backend
def test_deferred_build(backend: str) -> None:
    model = fastnn.Sequential()
    model.add(layers.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", backend=load(backend))
    assert not model.built
    assert model.get_weights() == []
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "?" in lines[0]
    with pytest.raises(NotBuiltError, match="input shape"):
        model.count_params()
    X, y = blobs()
    model.fit(X, y, verbose=0)
    assert model.input_shape == (None, 4)
    assert model.optimizer is not None and model.optimizer.iterations == 2
    with pytest.raises(ArgumentError, match="built for"):
        model.build((None, 5))


def test_build_by_hand() -> None:
    model = fastnn.Sequential([layers.Dense(2)])
    model.build((None, 7))
    assert model.layers[0].get_weights()[0].shape == (7, 2)
    with pytest.raises(ArgumentError, match="expected such as"):
        fastnn.Sequential([layers.Dense(2)]).build(7)


def test_names_are_numbered_in_the_model() -> None:
    stack = [layers.Dense(2), layers.Dropout(0.5), layers.Dense(2), layers.Dense(2, name="head")]
    model = fastnn.Sequential([fastnn.Input((3,)), *stack])
    assert [layer.name for layer in model.layers] == ["dense", "dropout", "dense_1", "head"]
    assert model.get_layer("head") is model.layers[3]
    assert model.get_layer(index=-1) is model.layers[3]
    with pytest.raises(ArgumentError, match="there are: dense, dropout, dense_1, head"):
        model.get_layer("tail")
    with pytest.raises(ArgumentError, match="two layers"):
        model.add(layers.Dense(2, name="head"))


def test_a_layer_stands_once_in_a_stack() -> None:
    layer = layers.Dense(2)
    with pytest.raises(ArgumentError, match="part of this model already"):
        fastnn.Sequential([layer, layer])


def test_add_and_pop_keep_weights() -> None:
    model = net(layers.Dense(3, "relu"), layers.Dense(2))
    before = model.get_weights()
    model.add(layers.Dense(1))
    assert not model.compiled
    after = model.get_weights()
    assert len(after) == 6
    assert all((a == b).all() for a, b in zip(before, after, strict=False))
    assert model.pop().name == "dense_2"
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.output_shape == (None, 2)
    with pytest.raises(ArgumentError, match="no layers"):
        fastnn.Sequential().pop()


def test_weights_round_trip() -> None:
    model = net(layers.Dense(3, "relu"), layers.Dense(2, use_bias=False))
    values = [wave(*w.shape) for w in model.get_weights()]
    model.set_weights(values)
    assert all((a == b.astype(np.float32)).all() for a, b in zip(model.get_weights(), values, strict=True))
    model.layers[1].set_weights([np.ones((3, 2))])
    assert (model.weights[2] == 1).all()
    dense = model.layers[0]
    assert isinstance(dense, layers.Dense)
    assert (dense.kernel == values[0].astype(np.float32)).all()
    with pytest.raises(ValueError, match="read-only"):
        dense.kernel[:] = 0


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([np.zeros((4, 1))], "got 1, expected a list of 2 arrays"),
        ([np.zeros((1, 4)), np.zeros(1)], r"array 0 has shape \(1, 4\), expected \(4, 1\)"),
        ([np.zeros((4, 1)), ["a"]], "array 1 has dtype"),
        (np.zeros(5), "got ndarray"),
    ],
)
def test_wrong_weights_change_nothing(weights: Any, message: str) -> None:
    model = net()
    before = model.get_weights()
    with pytest.raises(fastnn.FastnnError, match=message):
        model.set_weights(weights)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_weights_views_follow_training() -> None:
    model = net()
    (kernel, _), before = model.weights, model.get_weights()[0]
    model.compile("sgd", "mae", backend=load("reference"))
    model.train_on_batch(wave(3, 4), np.ones(3))
    assert (kernel != before).any()


@every_backend
def test_compiling_again(backend: str) -> None:
    X, y = blobs()
    model = classifier(backend)
    model.fit(X, y, verbose=0)
    weights, optimizer = model.get_weights(), model.optimizer
    assert optimizer is not None and optimizer.iterations == 2
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics="acc", backend=load(backend))
    assert optimizer.iterations == 2
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    model.compile("adam", "sparse_categorical_crossentropy", backend=load(backend))
    assert model.optimizer is not None and model.optimizer.iterations == 0


def test_an_optimizer_has_one_model() -> None:
    optimizer = fastnn.optimizers.Adam()
    net(optimizer=optimizer)
    with pytest.raises(ArgumentError, match="another model"):
        net(optimizer=optimizer)


@pytest.mark.parametrize("kind", [fastnn.optimizers.Adam, fastnn.optimizers.Nadam])
def test_compiling_again_with_the_same_optimizer_goes_on(kind: type[fastnn.optimizers.Optimizer]) -> None:
    """With all that its steps begin with: the running products, too."""
    X, y = blobs()
    weights = []
    for compiles in (1, 2):
        optimizer = kind(0.01)
        model = classifier(optimizer=optimizer)
        for _ in range(compiles):
            model.fit(X, y, epochs=4 // compiles, shuffle=False, verbose=0)
            model.compile(optimizer, "sparse_categorical_crossentropy", backend=load("reference"))
        weights.append(model.get_weights())
    assert all((a == b).all() for a, b in zip(*weights, strict=True))


def test_a_failed_compile_changes_nothing() -> None:
    model = net(layers.Dense(3), metrics=["mae"])
    engine = model.engine()
    for arguments in (
        {"loss": "mze"},
        {"optimizer": "adm", "loss": "mse"},
        {"loss": "mse", "metrics": ["sparse_categorical_accuracy"]},
    ):
        with pytest.raises(ArgumentError):
            model.compile(backend=load("reference"), **arguments)
    assert model.engine() is engine
    assert model.metrics_names == ["loss", "mae"]


@every_backend
def test_predict_is_the_same_for_any_batch(backend: str) -> None:
    model = classifier(backend)
    X = wave(301, 4)
    whole = model.predict(X, verbose=0)
    assert whole.dtype == np.float32 and whole.shape == (301, 3)
    for i in (0, 150, 300):
        assert (model.predict(X[i : i + 1], verbose=0) == whole[i : i + 1]).all()
    assert (model.predict(X, batch_size=7, verbose=0) == whole).all()
    assert (model(X) == whole).all()
    assert (model.predict_on_batch(X) == whole).all()


def test_predict_before_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_BACKEND", "reference")
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    X = wave(5, 4)
    W, b = model.get_weights()
    np.testing.assert_allclose(model.predict(X, verbose=0), X @ W + b, rtol=1e-5, atol=1e-6)
    with pytest.raises(NotBuiltError, match="not compiled"):
        model.fit(X, X[:, :2])


@every_backend
def test_compile_without_a_loss(backend: str, tmp_path: Path) -> None:
    X, y = blobs()
    arguments: list[dict[str, Any]] = [{}, {"loss": None, "optimizer": "adam"}]
    for told in arguments:
        model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, "softmax")])
        model.compile(backend=load(backend), **told)
        assert model.compiled and model.loss is None
        expected = model.predict(X, verbose=0)
        for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(ArgumentError, match="compiled without a loss"):
                call(X, y)
        model.save(tmp_path / "model")
        again = fastnn.load_model(tmp_path / "model", backend=load(backend))
        assert again.compiled and (again.predict(X, verbose=0) == expected).all()
        model.compile("adam", "sparse_categorical_crossentropy", backend=load(backend))
        assert model.fit(X, y, verbose=0)
    with pytest.raises(ArgumentError, match="loss is missing, and metrics need one"):
        model.compile(metrics=["acc"])


def test_float64_model() -> None:
    model = classifier(dtype="float64")
    assert model.dtype == "float64"
    assert model.predict(wave(2, 4), verbose=0).dtype == np.float64
    with pytest.raises(ArgumentError, match="a model has one dtype"):
        fastnn.Sequential([layers.Dense(2), layers.Dense(2, dtype="float64")])


def test_seeds() -> None:
    def weights() -> Any:
        return fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3)]).get_weights()[0]

    fastnn.utils.set_random_seed(5)
    first, second = weights(), weights()
    fastnn.utils.set_random_seed(5)
    assert (weights() == first).all() and (weights() == second).all()
    assert (first != second).any()
    fastnn.config.set_seed(None)
    assert (weights() != weights()).any()


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    model = fastnn.Sequential(
        [fastnn.Input((8, 8)), layers.Flatten(), layers.Dense(32, "relu"), layers.Dropout(0.1), layers.Dense(10)]
    )
    assert model.summary() is None  # type: ignore[func-returns-value]
    out = capsys.readouterr().out
    for text in ("flatten (Flatten)", "(None, 64)", "2,080", "dropout (Dropout)", "(None, 10)", "Total params: 2,410"):
        assert text in out


@every_backend
def test_rows_with_more_dimensions(backend: str) -> None:
    model = fastnn.Sequential([fastnn.Input((2, 3)), layers.Dropout(0.0), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse", backend=load(backend))
    X = wave(9, 2, 3)
    model.fit(X, np.ones(9), verbose=0)
    W, b = model.get_weights()
    np.testing.assert_allclose(model.predict(X, verbose=0), X.reshape(9, 6) @ W + b, rtol=1e-5, atol=1e-6)


@every_backend
def test_a_model_without_weights(backend: str) -> None:
    model = net(layers.Activation("relu"), backend=backend)
    X = wave(5, 4)
    assert (model.predict(X, verbose=0) == np.maximum(X, 0).astype(np.float32)).all()
    before = model.evaluate(X, X, verbose=0)
    model.fit(X, X, verbose=0)
    assert model.evaluate(X, X, verbose=0) == before


def test_get_config_round_trip() -> None:
    model = fastnn.Sequential(
        [
            fastnn.Input((4,)),
            layers.Dense(3, "gelu", kernel_regularizer="l2", kernel_initializer=fastnn.initializers.HeNormal(seed=3)),
            layers.Dropout(0.25),
            layers.Activation("tanh"),
        ],
        name="small",
    )
    again = fastnn.Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.name == "small"
    assert (again.get_weights()[0] == model.get_weights()[0]).all()


def test_names_of_the_module() -> None:
    assert fastnn.models.Sequential is fastnn.Sequential and fastnn.models.load_model is fastnn.load_model
    assert fastnn.models.Model is fastnn.Model
    with pytest.raises(AttributeError, match="has no attribute 'Lunch'"):
        fastnn.models.Lunch  # noqa: B018


def test_what_compile_was_told() -> None:
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    assert (model.loss, model.optimizer, model.metrics, model.metrics_names) == (None, None, [], [])
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"], backend=load("reference"))
    assert isinstance(model.loss, fastnn.losses.MeanSquaredError)
    assert [type(metric) for metric in model.metrics] == [fastnn.metrics.MeanAbsoluteError] * 2
    assert model.metrics_names == ["loss", "mae", "weighted_mae"]


def test_metadata_is_copied() -> None:
    model = net()
    assert model.metadata == {}
    model.metadata["columns"] = ["a", "b"]
    other = pickle.loads(pickle.dumps(model))
    assert other.metadata == model.metadata and other.metadata is not model.metadata
