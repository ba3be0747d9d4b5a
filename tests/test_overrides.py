"""Classes of the caller's: what fastnn would never call is refused at the first instance, what it calls is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import activations, callbacks, initializers, layers, losses, metrics, optimizers, regularizers
from fastnn.errors import ArgumentError, ArgumentTypeError
from nets import Array, every_backend, net, wave


class Steps:
    """A mixin."""

    def train_step(self, data: Any) -> None: ...


def never(self: Any, *args: Any, **kwargs: Any) -> None:
    raise AssertionError("never called")


MODEL_HOOKS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "make_train_function")


@pytest.mark.parametrize(
    ("base", "name", "make"),
    [
        *((fastnn.Sequential, name, lambda cls: cls([layers.Dense(1)])) for name in (*MODEL_HOOKS, "call", "build")),
        *((fastnn.Model, name, lambda cls: cls()) for name in (*MODEL_HOOKS, "__call__")),
        *((layers.Dense, name, lambda cls: cls(1)) for name in ("__call__", "build", "add_weight", "call")),
        (layers.Dropout, "__call__", lambda cls: cls(0.1)),
        (layers.BatchNormalization, "call", lambda cls: cls()),
        (layers.Add, "__call__", lambda cls: cls()),
        (regularizers.Regularizer, "__call__", lambda cls: cls()),
        (regularizers.L2, "__call__", lambda cls: cls(0.1)),
        (activations.Activation, "__call__", lambda cls: cls("relu")),
        (optimizers.Optimizer, "update_step", lambda cls: cls(0.1)),
        (optimizers.SGD, "apply_gradients", lambda cls: cls(0.1)),
        (callbacks.EarlyStopping, "get_monitor_value", lambda cls: cls()),
    ],
)
def test_what_is_never_called_is_refused(base: Any, name: str, make: Any) -> None:
    own = type("Own", (base,), {name: never})
    inherited = type("Inherited", (own,), {})
    for cls in (own, inherited):
        with pytest.raises(ArgumentTypeError, match=rf"{cls.__name__}\.{name} would never be called; \w"):
            make(cls)


def test_what_would_hide_a_method_of_fastnns_is_refused() -> None:
    """But for what only a layer is asked that computes itself, and what fastnn does not call."""

    class Block(layers.Layer):
        def __init__(self, name: str) -> None:
            super().__init__()
            setattr(self, name, layers.Dense(2))

        def call(self, x: Any) -> Any:
            return x

    class Net(fastnn.Model):
        def __init__(self, name: str) -> None:
            super().__init__()
            setattr(self, name, layers.Flatten())

        def call(self, x: Any) -> Any:
            return x

    for cls, name, base in ((Block, "leaves", "Layer"), (Net, "engine", "Model"), (Net, "backend", "Model")):
        with pytest.raises(ArgumentTypeError, match=f'{cls.__name__}.{name}: "{name}" is a name .* every {base}; take'):
            cls(name)
    for cls, name in ((Block, "parameters"), (Block, "bound"), (Net, "activations"), (Net, "flat"), (Net, "graph")):
        assert isinstance(getattr(cls(name), name), layers.Layer)


@pytest.mark.parametrize(
    ("base", "make"),
    [
        (layers.Layer, lambda cls: cls()), (layers.Dense, lambda cls: cls(1)),
        (fastnn.Model, lambda cls: cls()), (fastnn.Sequential, lambda cls: cls([layers.Dense(1)])),
    ],
)  # fmt: skip
def test_names_of_fastnns_own(base: Any, make: Any) -> None:
    """In the body of a class, or of one between, and what constructors keep."""
    model = issubclass(base, fastnn.Model | fastnn.Sequential)
    call = {"call": lambda self, x: x} if base in (layers.Layer, fastnn.Model) else {}
    for name in ("leaves", "symbolic", "calls", *(("engine", "_new_engine") if model else ("bind", "_noted"))):
        for value in (5, never, property(never)):
            own = type("Own", (base,), {name: value, **call})
            for cls in (own, type("Inherited", (own,), {})):
                with pytest.raises(ArgumentTypeError, match=rf'{cls.__name__}\.{name}: "{name}" is a name that fastnn'):
                    make(cls)
    one = make(type("Own", (base,), call))
    for name in ("leaves", "_nodes", "_engine" if model else "_store"):
        with pytest.raises(ArgumentTypeError, match=f'Own.{name}: "{name}" is a name that fastnn uses in every'):
            setattr(one, name, 5)

    class Careful(base):  # type: ignore[misc]
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)

        def fit(self, *args: Any, **kwargs: Any) -> Any:
            return super().fit(*args, **kwargs)

    if call:
        Careful.call = lambda self, x: x * self.nodes
    free = make(Careful)
    free.nodes, free.store, free.calls, free.kind = 5, "a shop", 0, "mine"
    used = free if model else fastnn.Sequential([free])
    shared = fastnn.Model(x := fastnn.Input((1,)), used(x) + used(2.0 * x))
    shared.compile("sgd", "mse", backend="reference")
    shared.fit(wave(9, 1), wave(9, 1), verbose=0)
    assert free.nodes == 5 and free.store == "a shop"


def test_what_is_set_on_an_instance_is_refused() -> None:
    for owner, name in (
        (fastnn.Sequential(), "train_step"), (layers.Dense(1), "call"), (regularizers.L2(0.1), "__call__"),
        (losses.MeanSquaredError(), "call"), (optimizers.SGD(0.1), "apply_gradients"),
    ):  # fmt: skip
        with pytest.raises(ArgumentTypeError, match=rf"{type(owner).__name__}\.{name} would never be called; \w"):
            setattr(owner, name, never)


@pytest.mark.parametrize("name", ["optimizer", "loss", "metrics"])
def test_what_compile_is_given_is_not_set(name: str) -> None:
    for model in (net(), type("Own", (fastnn.Model,), {"call": lambda self, x: x})()):
        with pytest.raises(AttributeError, match=rf"{name} cannot be set; give it to compile\({name}=\.\.\.\)"):
            setattr(model, name, "sgd")


def test_mixins_and_graphs_beside_call() -> None:
    for bases in ((Steps, fastnn.Sequential), (fastnn.Sequential, Steps)):
        with pytest.raises(ArgumentTypeError, match=r"Mixed\.train_step would never be called"):
            type("Mixed", bases, {})()
    x = fastnn.Input((2,))
    with pytest.raises(ArgumentTypeError, match=r"Own\.call would never be called: inputs and outputs say"):
        type("Own", (fastnn.Model,), {"call": never})(x, layers.Dense(1)(x))


def test_losses_and_metrics_of_ones_own_are_refused_by_compile() -> None:
    """On arrays they work."""
    for own in (
        type("Own", (losses.MeanSquaredError,), {"call": never})(),
        type("Own", (metrics.MeanSquaredError,), {"result": never})(),
    ):
        with pytest.raises(ArgumentTypeError, match="metric: Own is a class of your own"):
            net(metrics=[own])


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("inherited", [False, True])
def test_a_model_builds_itself(at_once: bool, inherited: bool) -> None:
    """`build` of a subclass of Model is called before `call`, whether it calls the inherited one or not."""

    class Built(fastnn.Model):
        def build(self, input_shape: Any = None) -> None:
            self.out = layers.Dense(input_shape[-1] + 1)
            if inherited:
                super().build(input_shape)

        def call(self, x: Any) -> Any:
            return self.out(x)

    model = Built()
    model.compile("sgd", "mse", backend="reference")
    if at_once:
        model.build((None, 4))
    model.fit(wave(9, 4), wave(9, 5), verbose=0)
    assert model.output_shape == (None, 5) and len(model.get_weights()) == 2


class Penalty(regularizers.L2):
    def __init__(self) -> None:
        super().__init__(0.25)


class Wide(layers.Dense):
    def __init__(self, factor: int = 1) -> None:
        super().__init__(2 * factor, "tanh", kernel_regularizer=Penalty())

    def area(self) -> int:
        return self.units


class Stack(fastnn.Sequential):
    def __init__(self, own: Any) -> None:
        super().__init__([fastnn.Input((4,)), Wide(2), layers.Dense(1, kernel_initializer=own)])

    def result(self) -> str:  # no name of a model that Keras calls
        return "mine"


def test_classes_that_add_to_others(tmp_path: Path) -> None:
    """They train, and a file holds them as what they are made from; their own initializers it does not hold."""

    def sevens(shape: tuple[int, ...], dtype: Any = None) -> Array:
        return np.full(shape, 7.0, dtype)

    model = Stack(sevens)
    assert model.result() == "mine" and model.layers[0].area() == 4
    plain = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(4, "tanh", kernel_regularizer="l2"), layers.Dense(1)])
    plain.set_weights(model.get_weights())
    X, y = wave(9, 4), wave(9)
    for one in (model, plain):
        one.compile("sgd", "mse", backend="reference")
    penalty = (model.get_weights()[0].astype(float) ** 2).sum()
    assert model.evaluate(X, y, verbose=0) - plain.evaluate(X, y, verbose=0) == pytest.approx(0.24 * penalty, rel=1e-4)
    model.save(tmp_path / "model")
    loaded = fastnn.load_model(tmp_path / "model")
    assert (loaded.predict(X, verbose=0) == model.predict(X, verbose=0)).all()
    assert (fastnn.models.clone_model(model).get_weights()[2] == 7.0).all()
    for unknown in (fastnn.models.clone_model(loaded), fastnn.models.model_from_json(model.to_json())):
        with pytest.raises(ArgumentError, match="initializer: sevens is not in the file or text"):
            unknown.get_weights()


class Sevens(initializers.Initializer):
    calls_made = 0

    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **kwargs: Any) -> Array:
        type(self).calls_made += 1
        return np.full(shape, 7.0, dtype)


class Half(initializers.HeNormal):
    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **kwargs: Any) -> Array:
        return 0.5 * super().__call__(shape, dtype)


@every_backend
def test_initializers_of_ones_own(backend: str) -> None:
    """Called once for each parameter; what they draw is the model's, and new for each draw."""
    Sevens.calls_made = 0
    model = net(layers.Dense(3, kernel_initializer=Sevens(), bias_initializer=Sevens), backend=backend)
    model.fit(wave(9, 4), wave(9, 3), verbose=0)
    assert Sevens.calls_made == 2
    half, whole = (net(layers.Dense(3, kernel_initializer=one), backend=backend) for one in (Half(), "he_normal"))
    assert (half.get_weights()[0] == 0.5 * whole.get_weights()[0]).all()

    def twice(shape: tuple[int, ...], dtype: Any = None) -> Array:
        draw = initializers.HeNormal()
        return np.concatenate([draw((2, shape[1]), dtype), draw((2, shape[1]), dtype)])

    model = net(*(layers.Dense(4, "relu", kernel_initializer=twice) for _ in range(2)), backend=backend)
    first, _, second, _ = model.get_weights()
    assert len({part.tobytes() for part in (first[:2], first[2:], second[:2], second[2:])}) == 4
    with pytest.raises(ArgumentError, match=r"what Half gives has shape \(4, 1\), expected \(4, 3\)"):
        type("Half", (Half,), {"__call__": lambda self, shape, dtype: np.zeros((4, 1))})().fill(np.zeros((4, 3)))


def test_constants_are_arrays_too(tmp_path: Path) -> None:
    table = np.arange(3000.0).reshape(1000, 3)
    rows = layers.Embedding(1000, 3, embeddings_initializer=initializers.Constant(table))
    model = fastnn.Sequential([fastnn.Input((1,)), rows])
    assert (model.get_weights()[0] == table).all()
    model.save(tmp_path / "model")
    assert (fastnn.load_model(tmp_path / "model").get_weights()[0] == table).all()
    constant = initializers.get({"class_name": "Constant", "config": initializers.Constant([1, 2]).get_config()})
    assert constant((3, 2)).tolist() == [[1, 2]] * 3
    with pytest.raises(ArgumentError, match=r"Constant: value has shape \(2,\), the parameter \(3,\)"):
        constant((3,))
    with pytest.raises(ArgumentTypeError, match=r"got an array; give Constant\(array\)"):
        layers.Dense(2, kernel_initializer=np.ones((3, 2)))  # type: ignore[arg-type]
    assert type(layers.Dense(2, bias_initializer=None).bias_initializer) is initializers.GlorotUniform
