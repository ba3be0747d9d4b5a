"""Layers, activations and initializers: arguments, shapes, distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import activations, initializers, layers, regularizers
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError
from nets import every_backend, net, wave


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(0), "units is 0, expected a whole number of at least 1"),
        (lambda: layers.Dense(2.5), "units is float 2.5, expected a whole number"),  # type: ignore[arg-type]
        (lambda: layers.Dense("a"), "units is str 'a'"),  # type: ignore[arg-type]
        (lambda: layers.Dense(3, activation="rleu"), 'unknown name "rleu"; did you mean "relu"'),
        (lambda: layers.Dense(3, activation="mish"), "of Keras is not supported"),
        (lambda: layers.Dense(3, activation=np.tanh), "expected a name or a fastnn activation"),
        (lambda: layers.Dense(3, kernel_initializer="orthogonal"), "of Keras is not supported"),
        (lambda: layers.Dense(3, init="zeros"), "it is called kernel_initializer"),
        (lambda: layers.Dense(3, kernel_constraint="max_norm"), "kernel_constraint='max_norm' is not supported"),
        (lambda: layers.Dense(3, trainable="no"), "trainable is 'no', expected True or False"),
        (lambda: layers.Dense(3, colour="red"), 'unknown argument "colour"'),
        (lambda: layers.Dense(3, dtype="float16"), 'expected "float32" or "float64"'),
        (lambda: layers.Dense(3, name="a/b"), "without a slash"),
        (lambda: layers.Dense(3, input_shape=(None,)), "sizes that vary"),
        (lambda: layers.Dropout(1.0), r"rate is 1.0, expected a number in \[0, 1\)"),
        (lambda: layers.Dropout(0.5, seed=1), "seed=1 is not supported"),
        (lambda: fastnn.Input(64), "expected a tuple such as"),
        (lambda: fastnn.Input(()), "at least one size"),
        (lambda: fastnn.Input((0,)), "shape is 0"),
        (lambda: fastnn.Input((4,), sparse=True), "sparse=True is not supported"),
        (lambda: fastnn.Sequential([fastnn.Input((2, 3)), layers.Dense(1)]), r"add Flatten\(\)"),
        (lambda: fastnn.Sequential([fastnn.Input((2, 3)), layers.Activation("softmax")]), r"add Flatten\(\)"),
        (lambda: fastnn.Sequential([layers.Dense(1), fastnn.Input((2,))]), "Input comes first"),
        (lambda: fastnn.Sequential([3]), "expected a layer such as"),
        (lambda: fastnn.Sequential(layers.Dense(1)), "expected a list of layers"),  # type: ignore[arg-type]
        (lambda: regularizers.L1(-1), "l1 is -1"),
        (lambda: regularizers.get("l3"), "unknown name"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode is 'fan', expected one of"),
        (lambda: initializers.RandomNormal(stddev=-1), "stddev is -1"),
        (lambda: activations.Activation("relu", 0.5), "has no parameter"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError | TypeError)


def test_what_keras_has_and_is_not_here() -> None:
    with pytest.raises(AttributeError, match="Conv2D of Keras is not supported"):
        _ = layers.Conv2D
    with pytest.raises(AttributeError, match="has no attribute"):
        _ = layers.Danse
    with pytest.raises(AttributeError, match="use Sequential"):
        _ = fastnn.Model


def test_defaults_of_unsupported_arguments_are_accepted() -> None:
    layers.Dense(3, kernel_constraint=None, trainable=True, activity_regularizer=None, lora_rank=None)
    layers.Dropout(0.5, noise_shape=None, seed=None)
    layers.Flatten(data_format=None)


REFERENCE: dict[str, Any] = {
    "linear": lambda z: z,
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z < 0, 0.2 * z, z),
    "elu": lambda z: np.where(z < 0, np.expm1(z), z),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "swish": lambda z: z / (1 + np.exp(-z)),
    "gelu_tanh": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}


@every_backend
@pytest.mark.parametrize("name", REFERENCE)
def test_activations(name: str, backend: str) -> None:
    z = 3.0 * wave(6, 4)
    in_dense = net(layers.Dense(4, name, kernel_initializer="zeros", dtype="float64"), backend=backend)
    in_dense.set_weights([np.eye(4), np.zeros(4)])
    alone = net(layers.Activation(name, dtype="float64"), backend=backend)
    for model in (in_dense, alone):
        np.testing.assert_allclose(model.predict(z, verbose=0), REFERENCE[name](z), rtol=1e-13, atol=1e-15)


@every_backend
def test_activation_with_a_parameter(backend: str) -> None:
    slope = activations.Activation("leaky_relu", 0.5)
    model = net(layers.Activation(slope), backend=backend)
    assert model.predict([[-2.0, 0, 1, 2]], verbose=0).tolist() == [[-1.0, 0, 1, 2]]
    assert activations.get(activations.serialize(slope)) == slope
    assert activations.get(activations.serialize(activations.relu)) is activations.relu


@every_backend
def test_dropout(backend: str) -> None:
    model = net(layers.Dropout(0.25), backend=backend, features=64, loss="mean_absolute_error")
    X = np.ones((400, 64))
    assert (model.predict(X, verbose=0) == 1).all()
    # In training an element is 0 or 4/3: the mean distance to 1 is 1/4 + 3/4 * 1/3.
    loss = model.train_on_batch(X, X)
    assert abs(loss - 0.5) < 0.02
    assert model.evaluate(X, X, verbose=0) == 0.0


MOMENTS = {
    "zeros": (0.0, 0.0, 0.0),
    "ones": (1.0, 0.0, 1.0),
    "random_normal": (0.0, 0.05, np.inf),
    "normal": (0.0, 0.05, np.inf),
    "random_uniform": (0.0, 0.1 / np.sqrt(12), 0.05),
    "uniform": (0.0, 0.1 / np.sqrt(12), 0.05),
    "truncated_normal": (0.0, 0.05 * 0.8796, 0.1),
    "glorot_uniform": (0.0, np.sqrt(2 / 500), np.sqrt(6 / 500)),
    "glorot_normal": (0.0, np.sqrt(2 / 500), 2 * np.sqrt(2 / 500) / 0.8796),
    "he_uniform": (0.0, np.sqrt(2 / 300), np.sqrt(6 / 300)),
    "he_normal": (0.0, np.sqrt(2 / 300), 2 * np.sqrt(2 / 300) / 0.8796),
    "lecun_uniform": (0.0, np.sqrt(1 / 300), np.sqrt(3 / 300)),
    "lecun_normal": (0.0, np.sqrt(1 / 300), 2 * np.sqrt(1 / 300) / 0.8796),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MOMENTS)
def test_initializers(name: str, dtype: str) -> None:
    mean, sd, bound = MOMENTS[name]
    values = initializers.get(name)((300, 200), dtype, seed=7)
    assert values.shape == (300, 200) and values.dtype == dtype
    n = values.size
    assert abs(values.mean(dtype=np.float64) - mean) <= 5 * sd / np.sqrt(n)
    assert abs(values.std(dtype=np.float64) - sd) <= 0.01 * sd
    assert np.abs(values).max() <= bound * (1 + 1e-4)


def test_initializer_seeds() -> None:
    own = initializers.GlorotUniform(seed=3)
    assert (own((5, 4), seed=1, layer=1) == own((5, 4), seed=2, layer=0)).all()
    shared = initializers.GlorotUniform()
    drawn = [shared((5, 4), seed=s, layer=k, number=i) for s, k, i in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1))]
    assert all((drawn[i] != drawn[j]).any() for i in range(4) for j in range(i))
    assert (initializers.Constant(2.5)((3,)) == 2.5).all()


def test_both_dtypes_start_alike() -> None:
    initializer = initializers.HeNormal()
    assert (initializer((5, 4), "float64", seed=1).astype(np.float32) == initializer((5, 4), "float32", seed=1)).all()


def test_types_of_arguments() -> None:
    assert layers.Dense(3.0).units == 3  # type: ignore[arg-type]
    assert layers.Dense(np.int64(3)).units == 3  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        layers.Dense(True)
    with pytest.raises(ArgumentTypeError):
        layers.Dense(None)  # type: ignore[arg-type]
    assert layers.Dense(3, activation=fastnn.activations.relu).activation.name == "relu"
    assert isinstance(layers.Dense(3, kernel_regularizer=regularizers.l2(0.1)).kernel_regularizer, regularizers.L2)
