"""Files: what was saved comes back to the bit, and what is no model of ours is refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, models, optimizers
from fastnn.callbacks import Callback
from fastnn.errors import ArgumentError, ArgumentTypeError, BackendError, FileError, NotBuiltError
from fastnn.optimizers.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay
from nets import Array, blobs, classifier, every_backend, net
from support import load

X, Y = blobs()

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda: optimizers.SGD(ExponentialDecay(0.1, 3, 0.5, staircase=True)),
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9, clipnorm=0.5),
    "rmsprop": lambda: optimizers.RMSprop(clipvalue=0.01),
    "adagrad": lambda: optimizers.Adagrad(PiecewiseConstantDecay([5], [0.1, 0.01])),
    "adam": lambda: optimizers.Adam(CosineDecay(0.01, 8, warmup_target=0.1, warmup_steps=3), global_clipnorm=0.5),
    "adamw": lambda: optimizers.AdamW(weight_decay=0.1, amsgrad=True),
    "nadam": lambda: optimizers.Nadam(0.02),
    "ftrl": lambda: optimizers.Ftrl(0.1, l1_regularization_strength=0.01),
}


def demanding(name: str, backend: str, seed: int = 1) -> fastnn.Sequential:
    """A model whose training depends on all that a state holds."""
    stack = (
        layers.Dense(6, "relu"),
        layers.BatchNormalization(momentum=0.9),
        layers.Dropout(0.3),
        layers.Dense(3, "softmax"),
    )
    told = {"optimizer": OPTIMIZERS[name](), "loss": "sparse_categorical_crossentropy", "metrics": ["acc"]}
    return net(*stack, backend=backend, seed=seed, weighted_metrics=["acc"], **told)


def all_of(model: fastnn.Sequential | fastnn.Model) -> list[Array]:
    """All that a training goes on from."""
    state = model.engine().state
    return [state.theta, state.statistics, *state.slots, state.scalars, state.counters]


def same(a: list[Array], b: list[Array]) -> bool:
    return all((p == q).all() for p, q in zip(a, b, strict=True))


@every_backend
@pytest.mark.parametrize("way", ["save", "save_weights"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stop_save_load_resume(name: str, way: str, backend: str, tmp_path: Path) -> None:
    whole, part = demanding(name, backend), demanding(name, backend)
    a = whole.fit(X, Y, batch_size=16, epochs=4, verbose=0).history
    part.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    if way == "save":
        part.save(tmp_path / "part")
        again = fastnn.load_model(tmp_path / "part", backend=load(backend))
    else:
        part.save_weights(tmp_path / "part")
        again = demanding(name, backend, seed=2)
        again.load_weights(tmp_path / "part")
    assert same(all_of(again), all_of(part)) and again.seed == part.seed
    for model in (part, again):
        b = model.fit(X, Y, batch_size=16, initial_epoch=2, epochs=4, verbose=0).history
        assert {key: values[2:] for key, values in a.items()} == b
        assert same(all_of(model), all_of(whole))
        assert model.optimizer is not None and whole.optimizer is not None
        assert model.optimizer.get_config() == whole.optimizer.get_config()
        assert model.optimizer.learning_rate == whole.optimizer.learning_rate


@every_backend
def test_resume_in_the_middle_of_an_epoch(backend: str, tmp_path: Path) -> None:
    """Batches one by one, with a file between any two of them."""
    model, again = demanding("adam", backend), demanding("adam", backend)
    for first in range(0, 60, 20):
        batch = X[first : first + 20], Y[first : first + 20]
        again.save(tmp_path / "model")
        again = fastnn.load_model(tmp_path / "model", backend=load(backend))  # type: ignore[assignment]
        assert model.train_on_batch(*batch) == again.train_on_batch(*batch)
    assert same(all_of(model), all_of(again))


def test_everything_comes_back(tmp_path: Path) -> None:
    optimizer = optimizers.AdamW(0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = net(
        layers.Flatten(),
        layers.Dense(5, fastnn.activations.Activation("leaky_relu", 0.05), kernel_regularizer="l2", dtype="float64"),
        layers.Dense(3, use_bias=False, name="head", dtype="float64"),
        layers.Activation("softmax"),
        optimizer=optimizer,
        loss=losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["acc", metrics.R2Score(), losses.Huber(delta=0.5)],
        weighted_metrics=["acc"],
    )
    model.metadata = {"classes": ["a", "b", "c"], "columns": {"first": [0, 1.5, None]}}
    model.fit(X, np.eye(3)[Y], verbose=0)
    assert model.optimizer is not None
    model.optimizer.learning_rate = 0.125
    model.save(tmp_path / "model.safetensors")
    again = fastnn.models.load_model(str(tmp_path / "model.safetensors"), backend=load("reference"))
    assert again.get_config() == model.get_config()
    assert again.dtype == "float64" and again.metadata == model.metadata
    assert again.optimizer is not None and again.optimizer.learning_rate == 0.125
    assert again.optimizer.excluded == ("bias",)
    assert again.metrics_names == model.metrics_names
    assert again.metrics_names == ["loss", "acc", "r2_score", "huber_loss", "weighted_acc"]
    assert again.evaluate(X, np.eye(3)[Y], verbose=0) == model.evaluate(X, np.eye(3)[Y], verbose=0)


def test_without_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_BACKEND", "reference")
    model = classifier()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model")
    plain = fastnn.load_model(tmp_path / "model", compile=False)
    assert not plain.compiled
    assert (plain.predict(X, verbose=0) == model.predict(X, verbose=0)).all()
    plain.save(tmp_path / "plain")
    assert not fastnn.load_model(tmp_path / "plain").compiled


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    model = classifier()
    model.save(path)
    before = path.read_bytes()
    model.fit(X, Y, verbose=0)

    def fail(*arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        model.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    model.save(path)
    assert path.read_bytes() != before
    with pytest.raises(ArgumentError, match="is there already"):
        model.save(path, overwrite=False)
    with pytest.raises(NotBuiltError, match="input shape"):
        fastnn.Sequential([layers.Dense(1)]).save(path)


def test_errors_name_the_file_and_not_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "absent" / "model", tmp_path / ("n" * 300), tmp_path / "folder"):
        with pytest.raises(OSError) as caught:
            classifier().save(path)
        assert caught.value.filename == str(path) and ".tmp" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_normalization_comes_back(tmp_path: Path) -> None:
    normal = layers.Normalization()
    normal.adapt(X)
    model = net(normal, layers.LayerNormalization(), layers.Dense(3))
    model.save(tmp_path / "model")
    again = fastnn.load_model(tmp_path / "model", backend="reference")
    assert same(again.get_weights(), model.get_weights())
    assert (again.predict(X, verbose=0) == model.predict(X, verbose=0)).all()


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5"])
def test_a_note_for_names_of_keras(name: str, tmp_path: Path) -> None:
    model = classifier()
    with pytest.warns(UserWarning, match="fastnn's own format under any name: Keras cannot read"):
        model.save(tmp_path / name)
    assert same(fastnn.load_model(tmp_path / name, backend="reference").get_weights(), model.get_weights())
    with pytest.warns(UserWarning, match="Keras cannot read"):
        model.save_weights(tmp_path / name)
    model.load_weights(tmp_path / name)


def test_metadata_that_is_no_json(tmp_path: Path) -> None:
    model = classifier()
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (np.zeros(2), float("nan"), {1: 2}, (1, 2), {"a": {3}}, deep):
        model.metadata = {"good": 1, "bad": value}
        with pytest.raises(ArgumentTypeError, match=r"model.metadata\['bad'\] is no JSON value"):
            model.save(tmp_path / "model")
    model.metadata = []  # type: ignore[assignment]
    with pytest.raises(ArgumentTypeError, match="expected a dict"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_a_model_that_is_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_BACKEND", "reference")
    trained = demanding("adam", "reference")
    trained.fit(X, Y, verbose=0)
    trained.save_weights(tmp_path / "weights")
    bare = models.clone_model(trained)
    bare.load_weights(tmp_path / "weights")
    assert same(bare.get_weights(), trained.get_weights())
    bare.save_weights(tmp_path / "bare")
    other = demanding("adam", "reference", seed=3)
    before = other.seed
    other.load_weights(tmp_path / "bare")
    assert same(other.get_weights(), trained.get_weights())
    assert other.optimizer is not None and other.optimizer.iterations == 0 and other.seed == before


def test_weights_of_a_whole_model(tmp_path: Path) -> None:
    """And of layers with other names: what counts is their order."""
    saved = classifier()
    saved.fit(X, Y, verbose=0)
    saved.save(tmp_path / "model")
    model = net(layers.Dense(8, "tanh", name="body"), layers.Dense(3, name="head"), optimizer="adam")
    model.load_weights(tmp_path / "model")
    assert same(all_of(model), all_of(saved))
    wide = classifier(dtype="float64")
    wide.load_weights(tmp_path / "model")
    assert same(all_of(wide), all_of(saved)) and wide.dtype == "float64"
    wide.set_weights([1e300 * np.ones_like(w) for w in wide.get_weights()])
    wide.save_weights(tmp_path / "wide")
    with pytest.raises(FileError, match=r'"weights/dense/kernel" is 1e\+300 at \(0, 0\), which does not fit float32'):
        model.load_weights(tmp_path / "wide")
    assert same(all_of(model), all_of(saved))


def test_weights_of_another_optimizer(tmp_path: Path) -> None:
    saved = classifier(optimizer="rmsprop")
    saved.fit(X, Y, verbose=0)
    saved.save_weights(tmp_path / "weights")
    for optimizer in ("adam", "sgd"):
        model = classifier(optimizer=optimizer)
        with pytest.warns(UserWarning, match="its optimizer is rmsprop, the model is compiled with "):
            model.load_weights(tmp_path / "weights")
        assert same(model.get_weights(), saved.get_weights())
        assert model.optimizer is not None and model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: (layers.Dense(8, "relu"), layers.Dense(4)),
            r'"dense_1/kernel" has shape \(8, 3\), .* "dense_1/kernel" of shape \(8, 4',
        ),
        (
            lambda: (layers.Dense(8, "relu", use_bias=False), layers.Dense(3)),
            r'"dense/bias" .* "dense_1/kernel" of shape \(8, 3\)',
        ),
        (lambda: (layers.Dense(8),), 'the model has no place for "dense_1/kernel"'),
        (
            lambda: (layers.Dense(8, "relu"), layers.Dense(3, "relu"), layers.Dense(3)),
            'it does not hold "dense_2/kernel"',
        ),
        (
            lambda: (layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(3)),
            '"batch_normalization/gamma"',
        ),
    ],
)
def test_weights_of_other_layers(make: Any, message: str, tmp_path: Path) -> None:
    classifier().save_weights(tmp_path / "weights")
    model = net(*make())
    before = [array.copy() for array in all_of(model)]
    with pytest.raises(FileError, match=message):
        model.load_weights(tmp_path / "weights")
    assert same(all_of(model), before)


def test_saving_and_loading_during_a_training(tmp_path: Path) -> None:
    class Reload(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.save_weights(tmp_path / "weights")
            self.model.set_weights([0 * w for w in self.model.get_weights()])
            self.model.load_weights(tmp_path / "weights")

    model, plain = classifier(), classifier()
    a = model.fit(X, Y, epochs=2, verbose=0, callbacks=Reload()).history
    assert a == plain.fit(X, Y, epochs=2, verbose=0).history


@every_backend
def test_saving_while_another_thread_trains(backend: str, tmp_path: Path) -> None:
    """Files hold what the model was between two steps: here every step adds the rate to every weight."""
    rate = 2.0**-10
    model = net(
        layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        features=256,
        backend=backend,
        optimizer=optimizers.SGD(rate),
        loss="mae",
    )
    data = np.ones((64, 256)), np.full(64, 1e6)
    training = threading.Thread(target=model.fit, args=data, kwargs={"batch_size": 8, "epochs": 20, "verbose": 0})
    training.start()
    while training.is_alive():
        model.save(tmp_path / "model")
        again = fastnn.load_model(tmp_path / "model", backend=load(backend))
        assert again.optimizer is not None
        assert (again.get_weights()[0] == again.optimizer.iterations * rate).all()
    training.join()


def test_arguments(tmp_path: Path) -> None:
    path = tmp_path / "model"
    model = classifier()
    models.save_model(model, path)
    model.save_weights(tmp_path / "weights")
    ways: list[Any] = [model.save, model.save_weights, model.load_weights, fastnn.load_model]
    for where in ways:
        for wrong in (3, None, b"model", memoryview(b"model")):
            with pytest.raises(ArgumentTypeError, match="filepath is "):
                where(wrong)
        for unusable in ("", "a\0b", "\ud800"):
            with pytest.raises(ArgumentError, match=r"filepath is .*, expected the path of a file"):
                where(unusable)
    with pytest.raises(ArgumentError, match="is there already"):
        model.save_weights(path, overwrite=False)
    with pytest.raises(ArgumentError, match="skip_mismatch=True is not supported"):
        model.load_weights(path, skip_mismatch=True)
    with pytest.raises(ArgumentTypeError, match=r"custom_objects\['a'\] is 1; only layers with `call`"):
        fastnn.load_model(path, custom_objects={"a": 1})  # type: ignore[dict-item]
    with pytest.raises(ArgumentError, match='unknown argument "save_format"'):
        model.save(path, save_format="h5")
    with pytest.raises(ArgumentTypeError, match="expected a model"):
        models.save_model(path, path)  # type: ignore[arg-type]
    with pytest.raises((ArgumentError, BackendError), match="abacus"):
        fastnn.load_model(path, backend="abacus")
    with pytest.raises(NotBuiltError, match="input shape"):
        fastnn.Sequential([layers.Dense(1)]).load_weights(path)
    with pytest.raises(FileError, match="it holds weights alone; build the model"):
        fastnn.load_model(tmp_path / "weights")
    assert fastnn.load_model(path, custom_objects={}, safe_mode=False, backend="reference")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_diverged_comes_back(bad: float, tmp_path: Path) -> None:
    """Whatever `set_weights` takes can be saved and loaded; what does not fit the dtype it does not take."""
    model = classifier()
    weights = model.get_weights()
    weights[0][1, 2] = bad
    model.set_weights(weights)
    model.fit(X, Y, verbose=0)  # the optimizer's state, too
    model.save(tmp_path / "model")
    model.save_weights(tmp_path / "weights")
    told = 'NaN or infinity in [0-9]+ of its tensors, the first is "weights/dense/kernel": what was saved had diverged'
    with pytest.warns(UserWarning, match=told):
        loaded = fastnn.load_model(tmp_path / "model", backend="reference")
    other = classifier()
    with pytest.warns(UserWarning, match=told):
        other.load_weights(tmp_path / "weights")
    for again in (loaded, other):
        for one, expected in zip(all_of(again), all_of(model), strict=True):
            np.testing.assert_array_equal(one, expected)
    weights[0] = weights[0].astype(np.float64)
    weights[0][1, 2] = -1e300
    with pytest.raises(ArgumentError, match=r"array 0 is -1e\+300 at \(1, 2\), which does not fit float32"):
        model.set_weights(weights)


def test_names_that_no_file_holds() -> None:
    for make in (
        lambda n: layers.Dense(1, name=n),
        lambda n: fastnn.Sequential(name=n),
        lambda n: fastnn.Input((1,), name=n),
    ):
        with pytest.raises(ArgumentError, match="lone surrogate"):
            make("a\ud800")
    for callback in (fastnn.callbacks.ModelCheckpoint, fastnn.callbacks.CSVLogger):
        with pytest.raises(ArgumentError, match="expected the path of a file"):
            callback("a\ud800")
