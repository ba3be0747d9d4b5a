"""Layers, activations and initializers: arguments, shapes, distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import activations, initializers, layers, regularizers
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError, NotBuiltError
from nets import Array, every_backend, net, wave


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(0), "units is 0, expected a whole number of at least 1"),
        (lambda: layers.Dense(2.5), "units is float 2.5, expected a whole number"),  # type: ignore[arg-type]
        (lambda: layers.Dense("a"), "units is str 'a'"),  # type: ignore[arg-type]
        (lambda: layers.Dense(3, activation="rleu"), 'unknown name "rleu"; did you mean "relu"'),
        (lambda: layers.Dense(3, activation="glu"), "of Keras is not supported"),
        (lambda: layers.Dense(3, activation=np.tanh), "expected a name or a fastnn activation"),  # type: ignore[arg-type]
        (lambda: layers.Dense(3, kernel_initializer="orthogonal"), "of Keras is not supported"),
        (lambda: layers.Dense(3, init="zeros"), "it is called kernel_initializer"),  # type: ignore[call-arg]
        (
            lambda: layers.Dense(3, kernel_constraint="max_norm"),  # type: ignore[call-arg]
            "'max_norm' is not supported, .*; weights have",
        ),
        (lambda: layers.Dense(3, trainable="no"), "trainable is 'no', expected True or False"),  # type: ignore[arg-type]
        (lambda: layers.Dense(3, colour="red"), 'unknown argument "colour"'),  # type: ignore[call-arg]
        (lambda: layers.Dense(3, dtype="float16"), 'expected "float32" or "float64"'),
        (lambda: layers.Dense(3, name="a/b"), "without a slash"),
        (lambda: layers.Dense(3, input_shape=(None,)), "sizes that vary"),  # type: ignore[arg-type]
        (lambda: layers.Dropout(1.0), r"rate is 1.0, expected a number in \[0, 1\)"),
        (lambda: layers.Dropout(0.5, seed=1), "seed=1 is not supported"),  # type: ignore[call-arg]
        (lambda: layers.ReLU(max_value=5.0), "max_value=5.0 is not supported"),
        (lambda: layers.ReLU(6.0, 0.1), "max_value=6.0 is not supported"),
        (lambda: layers.ReLU(threshold=0.5), "threshold=0.5 is not supported"),
        (lambda: layers.ReLU(negative_slope=-1), "negative_slope is -1, expected a number >= 0"),
        (lambda: layers.LeakyReLU(-0.1), "negative_slope is -0.1, expected a number >= 0"),
        (lambda: layers.LeakyReLU(None), "negative_slope is NoneType None"),  # type: ignore[arg-type]
        (lambda: layers.ELU("a"), "alpha is str 'a'"),  # type: ignore[arg-type]
        (lambda: layers.Reshape(4), "target_shape is 4, expected a tuple such as"),  # type: ignore[arg-type]
        (lambda: layers.Reshape(()), r"target_shape is \(\), expected a tuple such as"),
        (lambda: layers.Reshape((0, 2)), "target_shape is 0, expected a whole number of at least 1"),
        (lambda: layers.Reshape((-1, -1)), r"target_shape is \(-1, -1\), expected one -1 at most"),
        (
            lambda: fastnn.Sequential([fastnn.Input((4,)), layers.Reshape((3, 2))]),
            r'Reshape 0 "reshape": .* shape \(4,\), 4 elements, which do not make \(3, 2\)',
        ),
        (lambda: fastnn.Sequential([fastnn.Input((4,)), layers.Reshape((3, -1))]), r"do not make \(3, -1\)"),
        (lambda: layers.Dense(2)(layers.Dense(3)), "expected a symbolic tensor such as Input"),  # type: ignore[arg-type]
        (lambda: fastnn.Input(64), "expected a tuple such as"),  # type: ignore[arg-type]
        (lambda: fastnn.Input((0,)), "shape is 0"),
        (lambda: fastnn.Input((4,), sparse=True), "sparse=True is not supported"),
        (lambda: fastnn.Sequential([fastnn.Input((2, 3)), layers.Dense(1)]), r"add Flatten\(\)"),
        (lambda: fastnn.Sequential([fastnn.Input((2, 3)), layers.Activation("softmax")]), r"add Flatten\(\)"),
        (lambda: fastnn.Sequential([layers.Dense(1), fastnn.Input((2,))]), "Input comes first"),
        (lambda: fastnn.Sequential([3]), "expected a layer such as"),  # type: ignore[list-item]
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


def test_defaults_of_unsupported_arguments_are_accepted() -> None:
    layers.Dense(3, kernel_constraint=None, trainable=True, activity_regularizer=None, lora_rank=None)  # type: ignore[call-arg]
    layers.Dropout(0.5, noise_shape=None, seed=None)  # type: ignore[call-arg]
    layers.Flatten(data_format=None)  # type: ignore[call-arg]
    assert layers.ReLU(max_value=None, threshold=0).activation.name == "relu"
    assert layers.ReLU.from_config(layers.ReLU(6).get_config()).activation.name == "relu6"


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


ALONE: list[tuple[layers.Activation, Any]] = [
    (layers.ReLU(dtype="float64"), REFERENCE["relu"]),
    (layers.ReLU(negative_slope=0.5, dtype="float64"), lambda z: np.where(z < 0, 0.5 * z, z)),
    (layers.LeakyReLU(dtype="float64"), lambda z: np.where(z < 0, 0.3 * z, z)),
    (layers.LeakyReLU(0.1, dtype="float64"), lambda z: np.where(z < 0, 0.1 * z, z)),
    (layers.ELU(dtype="float64"), REFERENCE["elu"]),
    (layers.ELU(0.5, dtype="float64"), lambda z: np.where(z < 0, 0.5 * np.expm1(z), z)),
    (layers.Softmax(dtype="float64"), REFERENCE["softmax"]),
]


@every_backend
@pytest.mark.parametrize(("layer", "function"), ALONE, ids=[f"{n}-{layer.name}" for n, (layer, _) in enumerate(ALONE)])
def test_activation_layers(layer: layers.Activation, function: Any, backend: str) -> None:
    z = 3.0 * wave(6, 4)
    model = net(type(layer).from_config(layer.get_config()), backend=backend)
    np.testing.assert_allclose(model.predict(z, verbose=0), function(z), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(layer(z), function(z), rtol=1e-13, atol=1e-15)


def test_the_old_name_of_a_slope() -> None:
    with pytest.warns(UserWarning, match="LeakyReLU: alpha is called negative_slope now") as caught:
        layer = layers.LeakyReLU(alpha=0.1)  # type: ignore[call-arg]
    assert layer.negative_slope == 0.1 and layer.get_config()["negative_slope"] == 0.1
    assert caught[0].filename == __file__
    assert [layers.LeakyReLU().name, layers.ReLU().name, layers.ELU().name] == ["leaky_re_lu", "re_lu", "elu"]


@every_backend
def test_reshape(backend: str) -> None:
    stack = (layers.Reshape((2, -1), input_shape=(4,)), layers.Reshape((4, 1)), layers.Reshape([-1]), layers.Dense(3))
    model = net(*stack, backend=backend)
    plain = net(layers.Dense(3), backend=backend)
    plain.set_weights(model.get_weights())
    X = wave(5, 4)
    assert (model.predict(X, verbose=0) == plain.predict(X, verbose=0)).all()
    assert [layer.input.row for layer in model.layers] == [(4,), (2, 2), (4, 1), (4,)]


def test_layers_are_functions_of_arrays() -> None:
    X = wave(5, 4)
    model = net(layers.Dense(6, "tanh"), layers.BatchNormalization(), layers.Dense(3, "softmax"), layers.Dropout(0.5))
    model.fit(X, wave(5, 3), verbose=0)
    found: Array = X
    for layer in model.layers:
        found = layer(found, training=False)
        assert found.dtype == np.float32
    np.testing.assert_array_equal(found, model.predict(X, verbose=0))
    image = wave(5, 2, 3)
    assert (layers.Flatten(dtype="float64")(image) == image.reshape(5, 6)).all()
    assert (layers.Reshape((3, -1), dtype="float64")(image) == image.reshape(5, 3, 2)).all()


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (layers.ReLU(dtype="float64"), REFERENCE["relu"]),
        (layers.Activation("tanh", dtype="float64"), np.tanh),
        (layers.Rescaling(2.0, 1.0, dtype="float64"), lambda z: 2 * z + 1),
        (layers.Dropout(0.5, dtype="float64"), lambda z: z),
    ],
)
def test_what_works_point_by_point_takes_any_rank(layer: layers.Layer, function: Any) -> None:
    for z in (wave(6), wave(2, 3), wave(2, 3, 2), np.array(-0.5)):
        got = layer(z)
        assert got.shape == z.shape
        np.testing.assert_allclose(got, function(z), rtol=1e-13)
    assert layers.Softmax()([1.0, 2.0, 1.0]).shape == (3,)


NET = net()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Dense(2)(np.ones((3, 4))), 'Dense "dense": it has no weights before its model knows'),
        (lambda: layers.Normalization()(np.ones((3, 4))), r"has no mean and variance yet; call adapt\(data\) first"),
        (lambda: NET.layers[0](np.ones((3, 5))), r"x has rows of shape \(5,\), the model was built for \(4,\)"),
        (lambda: net().layers[0](np.ones((3, 5))), r"x has rows of shape \(5,\), for which its weights have other"),
        (lambda: net().layers[0](np.ones(4)), r"x has shape \(4,\), expected \(B, ...\) with at least one row"),
        (lambda: net().layers[0](np.ones((0, 4))), r"x has shape \(0, 4\), expected"),
        (lambda: net().layers[0](np.ones((3, 4)), training=True), "training=True is not supported; fit a model"),
        (lambda: layers.Flatten()("text"), "expected real numbers"),
        (lambda: layers.Softmax()(np.ones((2, 3, 4))), r"softmax of rows of shape \(3, 4\)"),
        (lambda: layers.Reshape((3, 3))(np.ones((2, 4))), "which do not make"),
    ],
)
def test_wrong_calls(call: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        call()
    assert isinstance(caught.value, ValueError | TypeError | NotBuiltError)


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


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "random_normal", "ones"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_values_do_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch, name: str, dtype: str) -> None:
    initializer = initializers.get(name)
    whole = initializer((37, 11), dtype, seed=5, layer=1, number=2)
    monkeypatch.setattr(initializers.base, "_PIECE", 50)
    pieces = np.full((37, 11), np.nan, dtype)
    initializer.fill(pieces, seed=5, layer=1, number=2)
    np.testing.assert_array_equal(pieces, whole)


def test_both_dtypes_start_alike() -> None:
    initializer = initializers.HeNormal()
    assert (initializer((5, 4), "float64", seed=1).astype(np.float32) == initializer((5, 4), "float32", seed=1)).all()


def test_initializers_have_two_names() -> None:
    assert initializers.he_normal is initializers.HeNormal and initializers.glorot_uniform().get_config() == {
        "seed": None
    }


def test_types_of_arguments() -> None:
    assert layers.Dense(3.0).units == 3  # type: ignore[arg-type]
    assert layers.Dense(np.int64(3)).units == 3  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        layers.Dense(True)
    with pytest.raises(ArgumentTypeError):
        layers.Dense(None)  # type: ignore[arg-type]
    assert layers.Dense(3, activation=fastnn.activations.relu).activation.name == "relu"
    assert isinstance(layers.Dense(3, kernel_regularizer=regularizers.l2(0.1)).kernel_regularizer, regularizers.L2)
