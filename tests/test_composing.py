"""Subclasses of `Layer` with `call`, `build` and weights of their own, in stacks, graphs and subclassed models."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers, ops
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError, NotBuiltError
from nets import every_backend
from support import Array

X: Array = np.random.RandomState(0).standard_normal((60, 6)).astype(np.float32)
Y: Array = X[:, 0] - X[:, 1]


class Scaled(layers.Layer):
    """A Dense with a relu, and a factor that is never below 0."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any = None) -> None:
        self.w = self.add_weight(shape=(input_shape[-1], self.units), regularizer="l2", name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")
        self.g = self.add_weight(initializer="ones", name="g")
        super().build(input_shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return ops.relu(ops.matmul(x, self.w) + self.b) * ops.exp(self.g)


class Net(fastnn.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Scaled(4)
        self.dropout = layers.Dropout(0.2)
        self.last = layers.Dense(1)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.inner(x)
        if training:
            x = self.dropout(x, training=training)
        return self.last(x)


def stacked(*inner: Any, **kwargs: Any) -> fastnn.Sequential:
    fastnn.utils.set_random_seed(4)
    model = fastnn.Sequential([fastnn.Input((6,)), *inner, layers.Dense(1)])
    model.compile("adam", "mse", **kwargs)
    return model


@every_backend
def test_it_is_what_its_formula_says(backend: str) -> None:
    """The bits of the reference, and a gradient that differences confirm."""
    wanted = stacked(Scaled(4), backend="reference")
    model = stacked(Scaled(4), backend=backend)
    assert model.fit(X, Y, epochs=2, verbose=0).history == wanted.fit(X, Y, epochs=2, verbose=0).history
    w, b, g = (layer.astype(float) for layer in model.layers[0].get_weights())
    np.testing.assert_allclose(
        model.predict(X, verbose=0),
        np.maximum(X @ w + b, 0) * np.exp(g) @ model.layers[1].get_weights()[0] + model.layers[1].get_weights()[1],
        rtol=1e-5,
        atol=1e-6,
    )


def test_gradient() -> None:
    x = fastnn.Input((6,))
    model = fastnn.Model(x, layers.Dense(1, dtype="float64")(Scaled(4, dtype="float64")(x)))
    model.compile("sgd", "mse")
    assert gradcheck.check(model, X[:8], Y[:8])


def test_files_and_copies(tmp_path: Path) -> None:
    x = fastnn.Input((6,))
    model = fastnn.Model(x, layers.Dense(1)(Scaled(4)(x)))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model")
    others = (fastnn.models.load_model(tmp_path / "model"), copy.deepcopy(model))
    history = model.fit(X, Y, verbose=0).history
    assert all(other.fit(X, Y, verbose=0).history == history for other in others)
    stack = stacked(Scaled(4))
    stack.save_weights(tmp_path / "weights")
    again = stacked(Scaled(4))
    again.layers[0].set_weights([np.zeros_like(weights) for weights in again.layers[0].get_weights()])
    again.load_weights(tmp_path / "weights")
    assert (again.predict(X, verbose=0) == stack.predict(X, verbose=0)).all()


class Block(layers.Layer):
    """Made with plain values alone, and says nothing of its config."""

    def __init__(self, units: int, activation: Any = "relu", *, deep: Any = (1, {"a": None})) -> None:
        super().__init__()
        self.inner = [Scaled(units), layers.Dense(units, activation)]

    def call(self, x: Any) -> Any:
        return self.inner[1](self.inner[0](x))


class Told(Block):
    """Says it itself, as it must where a config holds no argument of it."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(2, activation)
        self.name = kwargs.get("name", "told")

    def get_config(self) -> dict[str, Any]:
        return {"name": super().get_config()["name"], "activation": "tanh"}


def test_classes_of_ones_own_in_files(tmp_path: Path) -> None:
    """A stack's layers are made again with what they were made with, by classes that the caller gives."""
    assert Block(2, deep=[3]).get_config() == {"units": 2, "activation": "relu", "deep": [3]}
    assert Scaled(4, name="s").get_config() == {"units": 4, "name": "s", "trainable": True, "dtype": "float32"}
    assert copy.deepcopy(Scaled(4, trainable=False)).get_config()["trainable"] is False
    with pytest.raises(ArgumentError, match=r"Block: it was made with more than texts.*write Block.get_config"):
        stacked(Block(2, fastnn.activations.relu)).get_config()
    model = stacked(Block(3), fastnn.Sequential([Told(fastnn.activations.tanh), Scaled(4, name="s")]))
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "stack")
    with pytest.raises(FastnnError, match=r'"Block" is a class of your own; give custom_objects={"Block": Block}, or'):
        fastnn.models.load_model(tmp_path / "stack")
    with pytest.raises(ArgumentTypeError, match="only layers with `call` can be of classes of one's own"):
        fastnn.models.load_model(tmp_path / "stack", custom_objects={"Block": layers.Dense})
    own = {"Block": Block, "Told": Told, "Scaled": Scaled}
    again, history = fastnn.models.load_model(tmp_path / "stack", own), model.fit(X, Y, verbose=0).history
    assert again.fit(X, Y, verbose=0).history == history
    others = [fastnn.models.model_from_json(model.to_json(), own), fastnn.models.clone_model(model)]
    for other in [*others, fastnn.Sequential.from_config(model.get_config(), own)]:
        other.set_weights(again.get_weights())
        assert (other.predict(X, verbose=0) == model.predict(X, verbose=0)).all() and type(other.layers[0]) is Block
    other = type("Block", (layers.Layer,), {"call": lambda self, x: x})()
    with pytest.raises(ArgumentError, match="clone_model: there are two classes Block"):
        fastnn.models.clone_model(stacked(Block(2), other))


@pytest.mark.parametrize(
    ("base", "use"),
    [
        (layers.Layer, lambda made: made(fastnn.Input((6,)))),
        (layers.Dense, lambda made: stacked(made)),
        (fastnn.Model, lambda made: made.compile("adam", "mse")),
        (fastnn.Sequential, lambda made: made.add(layers.Dense(1))),
        (fastnn.callbacks.EarlyStopping, lambda made: stacked(layers.ReLU()).fit(X, Y, callbacks=[made], verbose=0)),
        (fastnn.regularizers.L2, lambda made: stacked(layers.Dense(1, kernel_regularizer=made))),
        (
            fastnn.initializers.GlorotNormal,
            lambda made: stacked(layers.Dense(1, kernel_initializer=made)).get_weights(),
        ),
        (fastnn.optimizers.schedules.CosineDecay, lambda made: made(3)),
    ],
)
def test_a_forgotten_init(base: type, use: Any) -> None:
    own: dict[str, Any] = {"__init__": lambda self: setattr(self, "mine", 1)}
    if base in (layers.Layer, fastnn.Model):
        own["call"] = lambda self, x: x
    made = type("Mine", (base,), own)()
    with pytest.raises(NotBuiltError, match=r"Mine.__init__ does not begin with super\(\).__init__\(\), which sets"):
        use(made)
    with pytest.raises(AttributeError, match="'Mine' object has no attribute 'yours'"):
        made.yours  # noqa: B018


def test_views(capsys: pytest.CaptureFixture[str]) -> None:
    inner = Scaled(4)
    with pytest.raises(NotBuiltError, match="set_weights before"):
        inner.set_weights([])
    model = stacked(inner)
    model.summary()
    assert "scaled (Scaled)  (None, 4)             29" in capsys.readouterr().out
    assert [view.shape for view in inner.weights] == [(6, 4), (4,), ()] and inner.count_params() == 29
    inner.g.assign(0.5)
    assert inner.g.numpy() == 0.5 and inner.get_weights()[2] == 0.5
    inner.trainable = False
    model.compile("adam", "mse")
    before = inner.get_weights()
    model.fit(X, Y, verbose=0)
    assert not inner.trainable_weights and all((a == b).all() for a, b in zip(before, inner.weights, strict=True))


def test_refused_data_leave_no_shape() -> None:
    """A model that no data have fixed takes the next ones' shape, with what it was compiled with."""
    for model in (Net(), fastnn.Sequential([Scaled(4), layers.Dense(1)])):
        model.compile("adam", "mse")
        with pytest.raises(ArgumentError, match="X is nan"):
            model.fit(np.full((9, 3), np.nan), Y[:9], verbose=0)
        for ask in (model.predict, model.predict_on_batch, model.__call__):
            with pytest.raises(ArgumentError, match="X has no rows"):
                ask(np.empty((0, 3)))
        assert not model.built
        model.fit(X, Y, verbose=0)
        assert model.input_shape == (None, 6) and len(model.get_weights()) == 5
        model.build((None, 6))
        with pytest.raises(ArgumentError, match=r"build: input_shape is .*7.*, the model is built for .*6"):
            model.build((None, 7))


class Decides(fastnn.Model):
    def call(self, x: Any) -> Any:
        return x if x > 0 else -x


class Bare(layers.Layer):
    def make(self) -> None:
        self.add_weight((3,))


class Wrong(layers.Layer):
    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.w = self.add_weight(shape)

    def call(self, x: Any) -> Any:
        return x + self.w


class Gives(layers.Layer):
    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def call(self, x: Any) -> Any:
        return self.what(x)


class Partly(layers.Layer):
    """A weight that is never trained, one that is, and a layer, all but one made in `build`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(6)

    def build(self, input_shape: Any = None) -> None:
        self.still = self.add_weight((6,), "ones", trainable=False)
        self.moves = self.add_weight((6,), "ones")

    def call(self, x: Any, training: Any = None) -> Any:
        return self.dense(x) * self.still * self.moves


def test_what_is_frozen_stays() -> None:
    """A weight made with trainable=False, whatever its layer or model is; all of a layer made so, until that thaws."""
    for inner in (Partly(), Partly(trainable=False)):
        model = stacked(inner)
        for trains in (inner.trainable, False, True):
            model.trainable = True
            inner.trainable = trains
            model.compile("sgd", "mse")
            before = inner.get_weights()
            model.fit(X, Y, verbose=0)
            changed = [bool((a != b).any()) for a, b in zip(before, inner.get_weights(), strict=True)]
            assert sorted(changed) == [False, trains, trains, trains] and not inner.still.trainable
            assert (inner.still.numpy() == 1).all() and len(inner.trainable_weights) == 3 * trains


REFUSED: list[tuple[Any, str]] = [
    (lambda: Decides().predict(X, verbose=0), r"cannot decide by it \(test_composing.py, line \d+\); use ops.where"),
    (lambda: stacked(Gives(lambda x: None)), "call returned NoneType, expected a symbolic tensor"),
    (lambda: stacked(Gives(lambda x: np.ones(3))), "call returned ndarray, expected a symbolic tensor"),
    (lambda: stacked(Gives(lambda x: (x, x))), "has several outputs, a stack takes one"),
    (lambda: stacked(Gives(lambda x: layers.Dense(3)(x))), r"call makes layers of its own \(dense\)"),
    (lambda: Bare().make(), "Bare has no `call`, which would read the weight"),
    (lambda: Wrong((3, 4))(fastnn.Input((4,))), r"is a matrix \(3, 4\), for ops.matmul"),
    (lambda: Wrong((1, 2, 3)), r"add_weight: shape is \(1, 2, 3\)"),
    (lambda: Wrong((3,))(fastnn.Input((4,))), "do not fit each other"),
    (lambda: ops.matmul(fastnn.Input((4,)), Wrong((3, 4)).w), r"expected \(B, K\) and \(K, N\)"),
    (lambda: Wrong((3,))(X), "a layer with `call` takes symbolic tensors"),
    (lambda: Wrong((3,)).add_weight((3,), constraint="x"), "constraint"),
    (lambda: Wrong((3,)).add_loss(0.0), "call it in `call`"),  # type: ignore[arg-type]
    (lambda: Wrong((3,)).w.numpy(), "it has no weights before"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        call()
    assert isinstance(caught.value, ArgumentError | ArgumentTypeError | NotBuiltError)


class Factors(layers.Layer):
    """What a factorization machine sums, by a weight for each column: a matrix is taken as it is, by ops.matmul."""

    def build(self, input_shape: Any = None) -> None:
        self.w = [self.add_weight((3,), name=f"w{k}") for k in range(input_shape[-1])]

    def call(self, x: Any) -> Any:
        parts = [x[:, k : k + 1] for k in range(len(self.w))]
        both = sum((part * w for part, w in zip(parts[1:], self.w[1:], strict=True)), parts[0] * self.w[0])
        alone = [ops.square(part) * ops.square(w) for part, w in zip(parts, self.w, strict=True)]
        return 0.5 * ops.sum(ops.square(both) - layers.add(alone), axis=1, keepdims=True)


class Reader(layers.Layer):
    """Its call reads the weights of another layer, or its own matrix, as `use` says."""

    def __init__(self, use: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use, self.dense = use, layers.Dense(3)

    def build(self, input_shape: Any = None) -> None:
        self.w = self.add_weight((6, 3), name="w")

    def call(self, x: Any) -> Any:
        return self.use(self, x, self.dense(x))


def test_what_a_factorization_machine_does_instead_of_squaring_a_matrix() -> None:
    x = fastnn.Input((6,))
    model = fastnn.Model(x, Factors(dtype="float64")(x))
    model.compile("sgd", "mse", backend="reference")
    w = np.array(model.get_weights())
    wanted = 0.5 * ((X @ w) ** 2 - X.astype(float) ** 2 @ w**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    assert gradcheck.check(model, X[:8], Y[:8])


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda own, x, h: x @ ops.square(own.w),
            r"instead of ops.matmul\(x, f\(W\)\) add .* range\(6\).* shape \(3,\)",
        ),
        (lambda own, x, h: x @ (2 * own.w), "for ops.matmul as it is; arithmetic takes weights of shape"),
        (lambda own, x, h: h @ own.w.T, r"products with a transposed weight .* a second weight of shape \(3, 6\)"),
        (
            lambda own, x, h: h @ ops.transpose(own.w),
            "ops.transpose of Keras is not supported; .* takes a weight as it is",
        ),
        (
            lambda own, x, h: x @ own.dense.kernel,
            "a `call` cannot read them; to share them there, call the layer itself",
        ),
        (
            lambda own, x, h: h @ np.ones((3, 6)),
            r"ndarray \(3, 6\), .* weights of another layer are shared by calling it",
        ),
    ],
)
def test_weights_that_are_not_taken_as_they_are(use: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        Reader(use)(fastnn.Input((6,)))
