"""Files: what was saved comes back to the bit, and what is no model of ours is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fastnn
from fastnn import layers, losses, metrics, optimizers, saving
from fastnn.errors import ArgumentError, FileError, NotBuiltError
from nets import blobs, classifier, every_backend, net
from support import load

X, Y = blobs()

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda: optimizers.SGD(),
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9),
    "rmsprop": lambda: optimizers.RMSprop(),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adam": lambda: optimizers.Adam(),
    "adamw": lambda: optimizers.AdamW(weight_decay=0.1),
}


@every_backend
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stop_save_load_resume(name: str, backend: str, tmp_path: Path) -> None:
    def model() -> fastnn.Sequential:
        stack = (layers.Dense(6, "relu"), layers.Dropout(0.3), layers.Dense(3, "softmax"))
        told = {"optimizer": OPTIMIZERS[name](), "loss": "sparse_categorical_crossentropy", "metrics": ["acc"]}
        return net(*stack, backend=backend, **told)

    whole, part = model(), model()
    a = whole.fit(X, Y, epochs=4, verbose=0).history
    part.fit(X, Y, epochs=2, verbose=0)
    assert part.optimizer is not None
    part.save(tmp_path / "part")
    again = fastnn.load_model(tmp_path / "part", backend=load(backend))
    b = again.fit(X, Y, initial_epoch=2, epochs=4, verbose=0).history
    assert {key: values[2:] for key, values in a.items()} == b
    assert all((p == q).all() for p, q in zip(whole.get_weights(), again.get_weights(), strict=True))
    assert again.optimizer is not None and whole.optimizer is not None
    assert again.optimizer.iterations == whole.optimizer.iterations
    assert again.optimizer.get_config() == whole.optimizer.get_config()
    assert again.seed == whole.seed


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
    )
    model.fit(X, np.eye(3)[Y], verbose=0)
    assert model.optimizer is not None
    model.optimizer.learning_rate = 0.125
    model.save(tmp_path / "model.safetensors")
    again = fastnn.models.load_model(str(tmp_path / "model.safetensors"), backend=load("reference"))
    assert again.get_config() == model.get_config()
    assert again.dtype == "float64"
    assert again.optimizer is not None and again.optimizer.learning_rate == 0.125
    assert again.optimizer.excluded == ("bias",)
    assert again.metrics_names == model.metrics_names == ["loss", "acc", "r2_score", "huber_loss"]
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
    for path in (tmp_path / "absent" / "model", tmp_path / ("n" * 250), tmp_path / "folder"):
        with pytest.raises(OSError) as caught:
            classifier().save(path)
        assert caught.value.filename == str(path) and ".tmp" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, dict[str, Any], dict[str, str]]:
    """A good file, its tensors and its metadata."""
    path = tmp_path / "model"
    model = classifier()
    model.save(path)
    description = {"model": {"class_name": "Sequential", "config": model.get_config()}}
    told = saving._compile_config(model)
    return path, load_file(path), {"format": saving.FORMAT, "fastnn": json.dumps({**description, "compile": told})}


def test_the_parts_make_a_good_file(parts: tuple[Path, dict[str, Any], dict[str, str]]) -> None:
    path, tensors, metadata = parts
    save_file(tensors, path, metadata)
    fastnn.load_model(path, backend="reference")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: t.pop("weights/dense/bias"), 'the tensor "weights/dense/bias" is missing'),
        (lambda t, m: t.pop("optimizer/momentum/dense/bias"), 'the tensor "optimizer/momentum/dense/bias" is missing'),
        (
            lambda t, m: t.update({"weights/dense/bias": np.zeros(9, np.float32)}),
            r"is float32 \(9,\), expected float32 \(8,\)",
        ),
        (lambda t, m: t.update({"weights/dense/bias": np.zeros(8)}), r"is float64 \(8,\), expected float32"),
        (lambda t, m: t.update(extra=np.zeros(1)), 'the tensor "extra" has no place'),
        (lambda t, m: m.pop("format"), "not a file of a fastnn model"),
        (lambda t, m: m.pop("fastnn"), "not a file of a fastnn model"),
        (lambda t, m: m.update(fastnn="{"), "not a file of a fastnn model"),
        (lambda t, m: m.update(fastnn="[]"), "description of the model is not valid"),
        (lambda t, m: m.update(fastnn=m["fastnn"].replace('"Dense"', '"Danse"')), 'unknown layer "Danse"'),
        (lambda t, m: m.update(fastnn=m["fastnn"].replace('"units": 8', '"units": -8')), "units is -8"),
        (lambda t, m: m.update(fastnn=m["fastnn"].replace('"Adam"', '"Eve"')), 'unknown name "Eve"'),
    ],
)
def test_damaged_files(change: Any, message: str, parts: tuple[Path, dict[str, Any], dict[str, str]]) -> None:
    path, tensors, metadata = parts
    change(tensors, metadata)
    save_file(tensors, path, metadata)
    with pytest.raises(FileError, match=message) as caught:
        fastnn.load_model(path, backend="reference")
    assert str(path) in str(caught.value)


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(FileError, match="no such file"):
        fastnn.load_model(path)
    classifier().save(path)
    content = path.read_bytes()
    for wrong in (b"", b"hello", content[:100], content[:-1], b"\xff" * 8 + content):
        path.write_bytes(wrong)
        with pytest.raises(FileError, match="not a file of a fastnn model, or damaged"):
            fastnn.load_model(path)
