"""Names of Keras that fastnn lacks can be imported; used, they say what there is instead. And what scripts take for
granted beside them."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.core.keras_names import NAMES
from fastnn.errors import AbsentError, ArgumentError, ArgumentTypeError, NotBuiltError
from nets import every_backend, net, wave


def test_every_name_of_keras_can_be_imported() -> None:
    """What fastnn lacks is refused when it is called, subclassed or asked, is of no kind, and is not listed."""
    there = set()
    for namespace, names in NAMES.items():
        above, _, last = f"fastnn.{namespace}".rstrip(".").rpartition(".")
        module = getattr(importlib.import_module(above), last) if above else fastnn
        for name in names:
            value = getattr(module, name)
            full = f"{namespace}.{name}".lstrip(".")
            if type(value).__name__ != "Placeholder":
                there.add(full)
                continue
            refusal = rf"^{full} of Keras is not supported"
            for use in (lambda v: v(3), lambda v: type("Own", (v,), {}), lambda v: v.anything):
                with pytest.raises(AbsentError, match=refusal):
                    use(value)
            assert not isinstance(3, value) and not hasattr(value, "anything")
            assert value is getattr(module, name) and name not in dir(module)
            assert name not in getattr(module, "__all__", ())
    assert {"Sequential", "layers.Dense", "constraints", "applications.vgg16"} <= there and "layers.LSTM" not in there
    assert not {"constraints", "mixed_precision"} & {*dir(fastnn), *fastnn.__all__}
    assert dir(fastnn.datasets) == fastnn.datasets.__all__


def test_imports_of_scripts() -> None:
    code = """
import fastnn.applications.vgg16
from fastnn import constraints, export, mixed_precision, saving, tree, Variable
from fastnn.constraints import MaxNorm
from fastnn.datasets import cifar10
from fastnn.layers import LSTM, Conv2D
from fastnn.layers.experimental.preprocessing import RandomFlip
from fastnn.optimizers.legacy import Adam
from fastnn.preprocessing.image import ImageDataGenerator
from fastnn.utils import plot_model
from fastnn.wrappers.scikit_learn import KerasClassifier
"""
    here: dict[str, Any] = {}
    exec(code, here)
    for name, message in {
        "MaxNorm": "constraints.MaxNorm of Keras is not supported; weights have penalties",
        "Conv2D": "layers.Conv2D of Keras is not supported; there are Dense, Activation",
        "Adam": "optimizers.legacy.Adam of Keras is not supported; its optimizers are in fastnn.optimizers",
        "plot_model": "utils.plot_model of Keras is not supported; use model.summary",
    }.items():
        with pytest.raises(AbsentError, match=message):
            here[name]()
    with pytest.raises(AbsentError, match=r"datasets\.cifar10\.load_data of Keras is not supported"):
        here["cifar10"].load_data()
    with pytest.raises(AbsentError, match=r"ops\.nn\.conv of Keras is not supported"):
        fastnn.ops.nn.conv(1)
    for module in (fastnn, fastnn.utils, fastnn.initializers, fastnn.models, fastnn.ops, here["tree"]):
        with pytest.raises(AttributeError, match="has no attribute 'danse'"):
            _ = module.danse
    with pytest.raises(ImportError):
        importlib.import_module("fastnn.danse")
    with pytest.raises(ImportError, match="cannot import name 'Danse'"):
        exec("from fastnn.layers import Danse")


def test_placeholders_as_arguments() -> None:
    for told in (
        {"optimizer": fastnn.optimizers.Muon},
        {"loss": fastnn.losses.Dice},
        {"metrics": [fastnn.metrics.AUC]},
    ):
        with pytest.raises(AbsentError, match="of Keras is not supported; there are"):
            net(**told)
    with pytest.raises(AbsentError, match=r"initializers\.Orthogonal of Keras is not supported; there are zeros"):
        layers.Dense(2, kernel_initializer=fastnn.initializers.Orthogonal)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3, kernel_constraint="non_neg"),  # type: ignore[call-arg]
        lambda: layers.Embedding(3, 2, embeddings_constraint="max_norm"),  # type: ignore[call-arg]
        lambda: layers.BatchNormalization(gamma_constraint="non_neg"),  # type: ignore[call-arg]
        lambda: layers.Dense(3, activity_regularizer="l2"),  # type: ignore[call-arg]
        lambda: layers.Dropout(0.5, seed=1),  # type: ignore[call-arg]
        lambda: fastnn.optimizers.SGD(use_ema=True),  # type: ignore[call-arg]
        lambda: fastnn.optimizers.Adam(gradient_accumulation_steps=2),  # type: ignore[call-arg]
    ],
)
def test_what_changes_a_training_is_not_to_be_left_out(make: Any) -> None:
    with pytest.raises(ArgumentError, match="is not supported, and without it the result is another; ") as caught:
        make()
    assert "leave it out" not in str(caught.value)


@every_backend
def test_data_in_lists_of_one(backend: str) -> None:
    X, y, w = wave(20, 4), wave(20), 1.0 + wave(20) ** 2
    models = [net(layers.Dense(1), backend=backend), net(layers.Dense(1), backend=backend)]
    data: list[Any] = [([X], [y], [w]), (X, y, w)]
    for given, model in zip(data, models, strict=True):
        model.fit(given[0], given[1], sample_weight=given[2], validation_data=(given[0], given[1]), verbose=0)
        model.train_on_batch(given[0], given[1])
        model.evaluate(given[0], given[1], verbose=0)
    assert (models[0].predict([X], verbose=0) == models[1].predict(X, verbose=0)).all()
    late = fastnn.Sequential([layers.Flatten(), layers.Dense(1)])  # its input shape comes from the data
    late.compile("sgd", "mse", backend="reference")
    late.fit([X.reshape(20, 2, 2)], y, verbose=0)
    assert late.input_shape == (None, 2, 2)


def test_weights_are_variables() -> None:
    model: Any = net(layers.Dense(3))
    bias, kernel = model.layers[0].bias, model.layers[0].kernel
    assert (bias.name, bias.path, model.weights[0].path) == ("bias", "dense/bias", "dense/kernel")
    bias.assign([1, 2, 3])
    assert bias.tolist() == model.get_weights()[1].tolist() == [1, 2, 3] and (model.layers[0].bias == bias).all()
    bias.assign_sub([2, 2, 2.0])
    bias.assign_add(2)
    assert bias.tolist() == [1, 2, 3]
    with pytest.raises(ArgumentTypeError, match="assign_add: value has dtype"):
        bias.assign_add("text")
    for plain in (bias.numpy(), bias.value, bias * 2, wave(2, 4) @ kernel, model.get_weights()[0], copy.deepcopy(bias)):
        assert type(plain) is np.ndarray
    assert type(pickle.loads(pickle.dumps(bias))) is np.ndarray and type(bias.sum()) is np.float32
    rate = model.optimizer.learning_rate
    rate.assign(0.5)
    assert model.optimizer.learning_rate == model.optimizer.get_config()["learning_rate"] == 0.5
    assert type(rate.numpy()) is type(copy.deepcopy(rate)) is type(pickle.loads(pickle.dumps(rate))) is float
    copied = bias.numpy()
    copied[:] = 0
    assert bias[0] == 1
    layer, late = net(layers.Dense(3)).layers[0], model.layers[0].kernel
    with pytest.raises(NotBuiltError, match="assign after its model has gone"):
        layer.bias.assign([1, 2, 3])
    late.assign(np.ones_like(late))
    assert bias.tolist() == [1, 2, 3]
    with pytest.raises(ArgumentError, match=r"dense/bias\.assign: array 0 has shape \(2,\), expected \(3,\)"):
        bias.assign([1, 2])
    with pytest.raises(ArgumentError, match="a part or a copy of a weight"):
        bias[:2].assign([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        bias[0] = 5


def test_module_paths_of_an_older_keras() -> None:
    from_old = {"utils.np_utils": "to_categorical", "layers.advanced_activations": "LeakyReLU", "layers.merge": "add"}
    for path, name in from_old.items():
        found = getattr(importlib.import_module(f"fastnn.{path}"), name)
        assert found is getattr(importlib.import_module(f"fastnn.{path.partition('.')[0]}"), name)
    with pytest.raises(AbsentError, match=r"layers\.Conv2D of Keras is not supported"):
        importlib.import_module("fastnn.layers.convolutional").Conv2D(3)


def test_first_lines_of_older_scripts() -> None:
    for line in ("from fastnn import keras", "import fastnn.keras as keras", "from fastnn.keras.layers import Dense"):
        with pytest.raises(ImportError, match="import fastnn as keras"):
            exec(line)
    with pytest.raises(AttributeError, match=r"Sequential.predict_classes has left Keras; use predict\(X\).argmax"):
        fastnn.Sequential().predict_classes(np.ones((1, 3)))  # type: ignore[attr-defined]
