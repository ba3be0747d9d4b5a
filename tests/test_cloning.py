"""Models from descriptions: configs, JSON, clones."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fastnn
from fastnn import initializers, layers, models, regularizers
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError
from fastnn.layers import merging
from nets import blobs

X, Y = blobs()

EVERY_LAYER: list[layers.Layer] = [
    layers.Reshape((2, -1), name="first"),
    layers.Flatten(),
    layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0]),
    layers.Normalization(axis=None, mean=1.5, variance=2.0, name="one"),
    layers.Normalization(name="adapted"),
    layers.Rescaling(0.5, offset=-1),
    layers.Dense(
        5,
        "tanh",
        kernel_initializer=initializers.RandomNormal(0.1, 0.2, seed=3),
        kernel_regularizer=regularizers.L1L2(0.1, 0.2),
        bias_regularizer="l1",
        use_bias=True,
        trainable=False,
    ),
    layers.BatchNormalization(
        axis=1,
        momentum=0.5,
        epsilon=0.1,
        center=True,
        scale=False,
        beta_initializer="ones",
        gamma_initializer="he_normal",
        moving_mean_initializer=initializers.Constant(0.5),
        moving_variance_initializer=initializers.Constant(2.0),
        beta_regularizer="l2",
        gamma_regularizer="l1",
    ),
    layers.LayerNormalization(
        axis=[-1], epsilon=0.1, center=False, scale=True, gamma_initializer="ones", gamma_regularizer="l1"
    ),
    layers.Activation(fastnn.activations.Activation("elu", 0.5)),
    layers.ReLU(negative_slope=0.1),
    layers.LeakyReLU(0.2),
    layers.ELU(0.7),
    layers.PReLU(alpha_initializer=initializers.Constant(0.25), alpha_regularizer="l2"),
    layers.UnitNormalization(axis=1),
    layers.Dropout(0.2),
    layers.Dense(3, name="logits"),
    layers.Softmax(name="last"),
]


def every_layer() -> fastnn.Sequential:
    """A model of all kinds of layers, none with the defaults alone."""
    stack = [type(layer).from_config(layer.get_config()) for layer in EVERY_LAYER]
    return fastnn.Sequential([fastnn.Input((4,)), *stack], name="all")


def test_the_list_is_complete() -> None:
    """Those that merge, and embeddings, are tried in test_graphs.py."""
    elsewhere = layers.InputLayer, layers.Embedding, layers.GlobalAveragePooling1D, merging.Merge
    kinds = {kind for kind in layers.CLASSES.values() if not issubclass(kind, elsewhere)}
    assert {type(layer) for layer in EVERY_LAYER} == kinds


@pytest.mark.parametrize("layer", EVERY_LAYER, ids=lambda layer: type(layer).__name__)
def test_configs_of_layers(layer: layers.Layer) -> None:
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config and set(config) >= {"name", "dtype", "trainable"}
    assert again is not layer and repr(again) == repr(layer)


def test_json() -> None:
    model = every_layer()
    text = model.to_json()
    again = models.model_from_json(text)
    assert again.get_config() == model.get_config() and again.name == "all"
    assert again.built and not again.compiled and again.to_json() == text
    assert "\n  " in model.to_json(indent=2)
    deferred = fastnn.Sequential([layers.Dense(2)])
    assert not models.model_from_json(deferred.to_json()).built


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a text that to_json"),
        ('{"class_name": "Dense", "config": {}}', "not a text that to_json"),
        ('{"module": "keras", "class_name": "Sequential", "config": {}}', "this text is of Keras itself"),
        ('{"class_name": "Sequential"}', "is not valid: 'config'"),
        ('{"class_name": "Sequential", "config": 3}', "is not valid"),
        ('{"class_name": "Sequential", "config": {"name": "a", "input_shape": null, "layers": 3}}', "is not valid"),
        (
            '{"class_name": "Sequential", "config": {"name": "a", "input_shape": null, '
            '"layers": [{"class_name": "Conv2D", "config": {}}]}}',
            'unknown layer "Conv2D"',
        ),
        (None, "expected the text of to_json, got NoneType"),
    ],
)
def test_wrong_json(text: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        models.model_from_json(text)
    assert isinstance(caught.value, ValueError | TypeError)


def test_clones() -> None:
    fastnn.utils.set_random_seed(1)
    model = every_layer()
    model.compile("sgd", "categorical_crossentropy", backend="reference")
    clone = models.clone_model(model)
    fastnn.config.set_seed(None)
    assert clone.get_config() == model.get_config()
    assert clone.built and not clone.compiled and clone.seed != model.seed
    assert all(mine is not theirs for mine, theirs in zip(clone.layers, model.layers, strict=True))
    assert (clone.get_weights()[-2] != model.get_weights()[-2]).any()
    model.set_weights([w + 1 for w in model.get_weights()])
    assert (clone.layers[7].moving_variance == 2.0).all()


def test_what_a_clone_does_not_take_over() -> None:
    normalization = layers.Normalization()
    normalization.adapt(X)
    clone: Any = models.clone_model(fastnn.Sequential([normalization]))
    assert not clone.built and clone.layers[0].mean is None  # what was adapted is a weight
    built = fastnn.Sequential([layers.Dense(2, input_shape=(4,))])
    assert models.clone_model(built).input_shape == (None, 4)


def test_clones_with_other_layers() -> None:
    def doubled(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        return type(layer).from_config(config | {"units": 2 * config["units"]} if "units" in config else config)

    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, "relu"), layers.Dense(1)])
    clone = models.clone_model(model, clone_function=doubled)
    assert [w.shape for w in clone.get_weights()] == [(4, 6), (6,), (6, 2), (2,)]
    shared = models.clone_model(model, clone_function=lambda layer: layer)
    assert all((a == b).all() for a, b in zip(shared.get_weights(), model.get_weights(), strict=True))
    with pytest.raises(ArgumentTypeError, match="expected a layer"):
        models.clone_model(model, clone_function=lambda layer: 3)  # type: ignore[arg-type, return-value]


def test_wrong_arguments_of_clones() -> None:
    with pytest.raises(ArgumentTypeError, match="expected a model, got Dense"):
        models.clone_model(layers.Dense(1))  # type: ignore[arg-type]
    model = every_layer()
    with pytest.raises(ArgumentError, match=r"call_function=.* is not supported"):
        models.clone_model(model, call_function=print)
    with pytest.raises(ArgumentError, match="input_tensors=3 is not supported"):
        models.clone_model(model, input_tensors=3)  # type: ignore[arg-type]


def test_what_two_inner_models_share_stays_one(tmp_path: Any) -> None:
    x = fastnn.Input((3,))
    inner = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)], name="inner")
    middle = fastnn.Model(x, layers.Dense(2)(inner(x)), name="middle")
    outer = fastnn.Model(x, [middle(x), inner(x)], name="outer")
    model = fastnn.Model(x, layers.Concatenate()([*outer(x), middle(x)]))
    model.save(tmp_path / "model.safetensors")
    saved = models.load_model(tmp_path / "model.safetensors")
    for made in (saved, models.clone_model(model), models.model_from_json(model.to_json())):
        made.set_weights(model.get_weights())
        assert made.count_params() == model.count_params() == 14
        assert (made.predict([[1.0, 2.0, 3.0]], verbose=0) == model.predict([[1.0, 2.0, 3.0]], verbose=0)).all()
