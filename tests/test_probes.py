"""What every layer gives, gradients of weights and inputs, and steps by gradients from elsewhere."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.errors import ArgumentError, ArgumentTypeError, NotBuiltError
from nets import Array, blobs, classifier, every_backend, net, wave
from support import assert_same_bits, load

X, Y, G = wave(37, 4), wave(37, 2, phase=1.0), wave(37, 2, phase=2.0)


def graph(backend: str, dtype: str = "float32") -> Any:
    """Two inputs, a shared layer, branches that meet, two outputs."""
    fastnn.config.set_seed(3)
    a, b = fastnn.Input((4,), name="first"), fastnn.Input((4,), name="second")
    shared = layers.Dense(6, "relu", name="shared", kernel_regularizer="l2", dtype=dtype)
    one, other = shared(a), shared(b)
    normed = layers.BatchNormalization(dtype=dtype)(one)
    kept = layers.Dropout(0.3)(layers.Dense(6, "tanh", name="deep", dtype=dtype)(normed))
    met = layers.Add(name="met")([kept, other])
    outputs = [layers.Dense(2, name="left", dtype=dtype)(met), layers.Dense(1, "sigmoid", name="right", dtype=dtype)(b)]
    model = fastnn.Model([a, b], outputs)
    fastnn.config.set_seed(None)
    model.compile("adam", ["mse", "binary_crossentropy"], loss_weights=[1.0, 0.5], backend=load(backend))
    return model


def answers(backend: str) -> list[tuple[str, Array]]:
    """All that probes give of one graph, and its weights after a step."""
    model, x, y = graph(backend), [X, X[::-1]], [Y, (Y[:, 0] > 0) * 1.0]
    of_loss = model.gradients(x, y)
    again, dX = model.gradients(x, y, inputs=True)
    of_outputs, dX_of_outputs = model.gradients(x, output_gradient=[G, None], inputs=True)
    assert all((of_loss[name] == again[name]).all() for name in of_loss)
    model.apply_gradients(of_loss)
    found = [*model.activations(x).items(), *of_loss.items(), *of_outputs.items()]
    arrays = [*dX, *dX_of_outputs, *model.get_weights()]
    return [*found, *((str(number), array) for number, array in enumerate(arrays))]


def test_backends_agree() -> None:
    expected = answers("reference")
    layers_of_calls = {name for name, _ in expected[:8]}
    assert layers_of_calls == {"shared", "shared#2", "batch_normalization", "deep", "dropout", "met", "left", "right"}
    for backend in ("c", "numba"):
        for (name, got), (_, wanted) in zip(answers(backend), expected, strict=True):
            assert_same_bits(got, wanted, f"{backend}: {name}")


@every_backend
def test_activations(backend: str) -> None:
    model = net(layers.Dense(5, "relu"), layers.Dropout(0.5), layers.Reshape((5, 1)), layers.Flatten(), backend=backend)
    found = model.activations(X)
    assert {name: array.shape for name, array in found.items()} == {
        "dense": (37, 5),
        "dropout": (37, 5),
        "reshape": (37, 5, 1),
        "flatten": (37, 5),
    }
    W, b = model.get_weights()
    np.testing.assert_allclose(found["dense"], np.maximum(X @ W + b, 0), rtol=1e-5, atol=1e-6)
    assert (found["dropout"] == found["dense"]).all() and (found["flatten"] == model.predict(X, verbose=0)).all()
    model.set_weights([W * 2, b])  # it has no weights of its own
    assert (model.activations(X)["flatten"] == model.predict(X, verbose=0)).all()


@every_backend
def test_gradients_are_slopes(backend: str) -> None:
    """Those by the inputs, of the loss and of the outputs, against central differences in float64."""
    stack = (
        layers.Dense(6, "tanh", dtype="float64", kernel_regularizer="l2"),
        layers.LayerNormalization(dtype="float64"),
    )
    model = net(stack[0], stack[1], layers.Dense(2, "softmax", dtype="float64"), backend=backend)
    x, y, g, h = X[:5], np.abs(Y[:5]), G[:5], 1e-6

    def slopes(function: Any) -> Array:
        found = np.zeros(x.shape)
        for place in np.ndindex(*x.shape):
            step = np.zeros(x.shape)
            step[place] = h
            found[place] = (function(x + step) - function(x - step)) / (2 * h)
        return found

    of_loss = model.gradients(x, y, inputs=True)[1]
    of_outputs = model.gradients(x, output_gradient=g, inputs=True)[1]
    np.testing.assert_allclose(of_loss, slopes(lambda x: model.test_on_batch(x, y)), atol=1e-8)
    np.testing.assert_allclose(of_outputs, slopes(lambda x: (model.predict_on_batch(x) * g).sum()), atol=1e-8)
    # The gradient of the loss is that of the outputs, but for the penalty and a rounding.
    residual = 2 * (model.predict_on_batch(x) - y) / y.size
    ours, theirs = model.gradients(x, output_gradient=residual), model.gradients(x, y)
    W = model.get_weights()[0]
    np.testing.assert_allclose(ours["dense/kernel"] + 0.02 * W, theirs["dense/kernel"], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(ours["dense_1/kernel"], theirs["dense_1/kernel"], rtol=1e-9, atol=1e-15)


@every_backend
@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5))]
)
def test_a_loop_by_hand_is_train_on_batch(optimizer: Any, backend: str) -> None:
    """To the bit: dropout, penalties, schedules and the slots too."""
    stack = [(layers.Dense(6, "relu", kernel_regularizer="l1"), layers.Dropout(0.5), layers.Dense(2)) for _ in range(2)]
    config = optimizers.serialize(optimizers.get(optimizer))
    hand, fit = (net(*one, backend=backend, optimizer=optimizers.deserialize(config)) for one in stack)
    for _ in range(3):
        hand.apply_gradients(hand.gradients(X, Y))
        fit.train_on_batch(X, Y)
    assert all((a == b).all() for a, b in zip(hand.get_weights(), fit.get_weights(), strict=True))
    assert hand.optimizer is not None and hand.optimizer.iterations == 3


def test_without_a_loss() -> None:
    """A loop whose loss is the caller's: the least squares of a line."""
    model = net(layers.Dense(1, dtype="float64"), loss=None, optimizer=optimizers.SGD(0.5), backend="c")
    y = X @ np.array([[1.0], [-2.0], [0.5], [3.0]])
    for _ in range(300):
        error = model.predict_on_batch(X) - y
        model.apply_gradients(model.gradients(X, output_gradient=2 * error / len(X)))
    np.testing.assert_allclose(model.get_weights()[0], [[1.0], [-2.0], [0.5], [3.0]], atol=1e-6)


def test_frozen_layers_and_class_numbers() -> None:
    codes = fastnn.Input((1,))
    rows = layers.Flatten()(layers.Embedding(5, 3, name="table")(codes))
    model = fastnn.Model(codes, layers.Dense(1, trainable=False)(rows))
    model.compile("sgd", "mse", backend="reference")
    found, dX = model.gradients(np.array([[1], [2]]), np.ones(2), inputs=True)
    assert list(found) == ["table/embeddings"] and not dX.any() and found["table/embeddings"][1:3].any()


def test_probes_follow_the_model() -> None:
    """They are forgotten where weights move or layers change, and copies make their own."""
    model = classifier("c")
    x, y = blobs()
    before = model.gradients(x, y)["dense/kernel"]
    shared = fastnn.Sequential([fastnn.Input((4,)), model.layers[0], layers.Dense(2)])
    shared.activations(x)  # connects the layers
    assert (model.gradients(x, y)["dense/kernel"] == before).all()
    clone = fastnn.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert (clone.activations(x)["dense"] == model.activations(x)["dense"]).all()
    model.add(layers.Dense(1))
    assert list(model.activations(x)) == ["dense", "dense_1", "dense_2"]


def test_what_is_refused() -> None:
    model = net(layers.Dense(2))
    for arguments, message in (((X,), "give y.*or output_gradient"), ((X[:, :3], Y), "X has shape")):
        with pytest.raises(ArgumentError, match=message):
            model.gradients(*arguments)
    with pytest.raises(ArgumentError, match=r"output_gradient has shape \(37, 3\), expected \(37, 2\)"):
        model.gradients(X, output_gradient=wave(37, 3))
    with pytest.raises(ArgumentError, match="sample_weight is of the loss"):
        model.gradients(X, output_gradient=G, sample_weight=np.ones(37))
    found = model.gradients(X, Y)
    with pytest.raises(ArgumentError, match='the dict lacks "dense/bias"'):
        model.apply_gradients({"dense/kernel": found["dense/kernel"]})
    with pytest.raises(ArgumentError, match='the dict names "danse/bias"'):
        model.apply_gradients(found | {"danse/bias": 0})
    with pytest.raises(ArgumentError, match=r'"dense/bias" has shape \(3,\), expected \(2,\)'):
        model.apply_gradients(found | {"dense/bias": np.ones(3)})
    with pytest.raises(ArgumentTypeError, match="got list, expected a dict by weight"):
        model.apply_gradients(list(found.values()))  # type: ignore[arg-type]
    bare = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    assert bare.gradients(X, output_gradient=G).keys() == {"dense/kernel", "dense/bias"}
    with pytest.raises(NotBuiltError, match="not compiled"):
        bare.gradients(X, Y)
    with pytest.raises(NotBuiltError, match="not compiled"):
        bare.apply_gradients(found)
    several = graph("reference")
    with pytest.raises(ArgumentError, match="output_gradient is ndarray, expected one array for each of the outputs"):
        several.gradients([X, X], output_gradient=G)
    with pytest.raises(ArgumentError, match='output_gradient names "middle"'):
        several.gradients([X, X], output_gradient={"middle": G})


def test_models_in_models_and_composed_layers() -> None:
    """Layers go by the names of what they are in, and their weights as `summary` has them."""

    class Block(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(4, "relu", name="inner")

        def call(self, x: Any) -> Any:
            return x + 2.0 * self.inner(x)

    part = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(4, "tanh", name="deep")], name="part")
    model = net(part, Block(), layers.Dense(2, name="last"), optimizer="adam", backend="c")
    found = model.activations(X)
    assert {name.rpartition("/")[2] for name in found} >= {"deep", "inner", "last"} and "part/deep" in found
    assert (found["last"] == model.predict(X, verbose=0)).all()
    gradients = model.gradients(X, Y)
    assert sum(gradient.size for gradient in gradients.values()) == model.count_params()
    model.apply_gradients(gradients)
    model.summary(costs=True, print_fn=len)


def test_copies_have_probes_of_their_own() -> None:
    model = classifier("c")
    before = model.activations(X)
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    model.set_weights([weight * 2 for weight in model.get_weights()])
    for other in (copied, pickled):
        assert (other.activations(X)["dense"] == before["dense"]).all()
    assert (model.activations(X)["dense"] != before["dense"]).any()
