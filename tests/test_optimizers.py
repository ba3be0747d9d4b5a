"""Optimizers: steps against plain NumPy, hyper-parameters, and the view of a model's state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.errors import ArgumentError, FastnnError
from nets import Array, every_backend, net, wave

Step = Callable[[Array, Array, dict[str, Any], int], Array]


def sgd(lr: float = 0.01, mu: float = 0.0, nesterov: bool = False) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        s["m"] = mu * s.get("m", 0.0) - lr * g
        return np.asarray(w + (mu * s["m"] - lr * g if nesterov else s["m"]))

    return step


def rmsprop(lr: float = 1e-3, rho: float = 0.9, eps: float = 1e-7, mu: float = 0.0, centered: bool = False) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        s["v"] = rho * s.get("v", 0.0) + (1 - rho) * g * g
        s["a"] = rho * s.get("a", 0.0) + (1 - rho) * g * centered
        s["m"] = mu * s.get("m", 0.0) + lr * g / np.sqrt(s["v"] - s["a"] ** 2 + eps)
        return np.asarray(w - s["m"])

    return step


def adagrad(lr: float = 1e-3, start: float = 0.1, eps: float = 1e-7) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        s["v"] = s.get("v", start) + g * g
        return np.asarray(w - lr * g / np.sqrt(s["v"] + eps))

    return step


def adam(
    lr: float = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-7,
    decay: float = 0.0,
    amsgrad: bool = False,
) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        w = w - lr * decay * w
        s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * g * g
        s["u"] = np.maximum(s.get("u", 0.0), s["v"]) if amsgrad else s["v"]
        rate = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
        return np.asarray(w - rate * s["m"] / (np.sqrt(s["u"]) + eps))

    return step


def adamax(lr: float, b1: float, b2: float, eps: float = 1e-7) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
        s["u"] = np.maximum(b2 * s.get("u", 0.0), np.abs(g))
        return np.asarray(w - lr / (1 - b1**t) * s["m"] / (s["u"] + eps))

    return step


def nadam(lr: float, b1: float, b2: float, eps: float = 1e-7) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        now, after = (b1 * (1 - 0.5 * 0.96**at) for at in (t, t + 1))
        s["U"] = s.get("U", 1.0) * now
        s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * g * g
        m = after * s["m"] / (1 - s["U"] * after) + (1 - now) * g / (1 - s["U"])
        return np.asarray(w - lr * m / (np.sqrt(s["v"] / (1 - b2**t)) + eps))

    return step


def adadelta(lr: float, rho: float, eps: float = 1e-7) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        s["v"] = rho * s.get("v", 0.0) + (1 - rho) * g * g
        delta = np.sqrt(s.get("d", 0.0) + eps) * g / np.sqrt(s["v"] + eps)
        s["d"] = rho * s.get("d", 0.0) + (1 - rho) * delta**2
        return np.asarray(w - lr * delta)

    return step


def lion(lr: float, b1: float, b2: float) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        m = s.get("m", 0.0)
        s["m"] = b2 * m + (1 - b2) * g
        return np.asarray(w - lr * np.sign(b1 * m + (1 - b1) * g))

    return step


def ftrl(
    lr: float, p: float, start: float = 0.1, l1: float = 0.0, l2: float = 0.0, shrink: float = 0.0, beta: float = 0.0
) -> Step:
    def step(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
        before = s.get("v", start)
        s["v"] = before + g * g
        s["z"] = s.get("z", 0.0) + g + 2 * shrink * w - (s["v"] ** p - before**p) / lr * w
        return np.asarray((np.clip(s["z"], -l1, l1) - s["z"]) / (s["v"] ** p / lr + 2 * (l2 + beta / (2 * lr))))

    return step


CASES: dict[str, tuple[Any, Step]] = {
    "sgd": ("sgd", sgd()),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), sgd(0.1, 0.9)),
    "nesterov": (lambda: optimizers.SGD(0.1, 0.8, True), sgd(0.1, 0.8, True)),
    "rmsprop": ("rmsprop", rmsprop()),
    "rmsprop_rho": (lambda: optimizers.RMSprop(0.01, rho=0.5, epsilon=1e-3), rmsprop(0.01, 0.5, 1e-3)),
    "adagrad": ("adagrad", adagrad()),
    "adagrad_start": (lambda: optimizers.Adagrad(0.1, 0.5), adagrad(0.1, 0.5)),
    "adam": ("adam", adam()),
    "adam_betas": (lambda: optimizers.Adam(0.01, 0.7, 0.9, 1e-3), adam(0.01, 0.7, 0.9, 1e-3)),
    "adamw": ("adamw", adam(decay=0.004)),
    "adamw_decay": (lambda: optimizers.AdamW(0.01, weight_decay=0.3), adam(0.01, decay=0.3)),
    "adam_decay": (lambda: optimizers.Adam(0.01, weight_decay=0.3), adam(0.01, decay=0.3)),
    "amsgrad": (lambda: optimizers.Adam(0.1, beta_2=0.5, amsgrad=True), adam(0.1, b2=0.5, amsgrad=True)),
    "adamax": (lambda: optimizers.Adamax(0.01, 0.8, 0.7), adamax(0.01, 0.8, 0.7)),
    "nadam": (lambda: optimizers.Nadam(0.01, 0.8, 0.7), nadam(0.01, 0.8, 0.7)),
    "rmsprop_momentum": (lambda: optimizers.RMSprop(0.01, momentum=0.8), rmsprop(0.01, mu=0.8)),
    "rmsprop_centered": (lambda: optimizers.RMSprop(0.01, centered=True), rmsprop(0.01, centered=True)),
    "rmsprop_both": (lambda: optimizers.RMSprop(0.01, 0.8, 0.7, centered=True), rmsprop(0.01, 0.8, 1e-7, 0.7, True)),
    "adadelta": (lambda: optimizers.Adadelta(0.5, 0.8), adadelta(0.5, 0.8)),
    "lion": (lambda: optimizers.Lion(0.01, 0.8, 0.7), lion(0.01, 0.8, 0.7)),
    "ftrl": (
        lambda: optimizers.Ftrl(0.2, -0.5, 0.3, 0.01, 0.02, 0.03, 0.04),
        ftrl(0.2, 0.5, 0.3, 0.01, 0.02, 0.03, 0.04),
    ),
    "ftrl_power": (lambda: optimizers.Ftrl(0.2, -0.3), ftrl(0.2, 0.3)),
}


@every_backend
@pytest.mark.parametrize("case", CASES)
def test_steps(case: str, backend: str) -> None:
    made, step = CASES[case]
    optimizer = made if isinstance(made, str) else made()
    model = net(layers.Dense(2, dtype="float64"), optimizer=optimizer, backend=backend)
    X, y = wave(6, 4), wave(6, 2, phase=1.0)
    W, b = model.get_weights()
    slots: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for t in range(1, 6):
        dZ = 2 * (X @ W + b - y) / y.size
        W, b = step(W, X.T @ dZ, slots[0], t), step(b, dZ.sum(axis=0), slots[1], t)
        model.train_on_batch(X, y)
    np.testing.assert_allclose(model.get_weights()[0], W, rtol=1e-11)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-11)
    assert model.optimizer is not None and model.optimizer.iterations == 5


@every_backend
def test_learning_rate_changes_between_and_during_epochs(backend: str) -> None:
    X, y = wave(8, 4), wave(8)

    class Freeze(fastnn.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 0.1 if batch == 0 else 0.0

    model = net(backend=backend, optimizer=optimizers.SGD(0.5))
    assert model.optimizer is not None and model.optimizer.learning_rate == 0.5
    one_step = net(backend=backend, optimizer=optimizers.SGD(0.1))
    model.fit(X, y, batch_size=2, shuffle=False, verbose=0, callbacks=Freeze())
    one_step.train_on_batch(X[:2], y[:2])
    assert all((a == b).all() for a, b in zip(model.get_weights(), one_step.get_weights(), strict=True))
    assert model.optimizer.learning_rate == 0.0
    before = model.get_weights()
    model.fit(X, y, verbose=0)
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
    model.optimizer.learning_rate = 0.1
    model.fit(X, y, verbose=0)
    assert any((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))


@every_backend
def test_exclude_from_weight_decay(backend: str) -> None:
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = net(
        layers.Dense(1, kernel_initializer="ones", bias_initializer="ones"), optimizer=optimizer, backend=backend
    )
    X = np.zeros((2, 4))
    model.train_on_batch(X, np.ones((2, 1)))  # the gradient is 0: only decay moves theta
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel, 0.95, rtol=1e-6)
    assert bias == 1.0
    with pytest.raises(ArgumentError, match="before compile"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])
    with pytest.raises(ArgumentError, match="var_list is not supported"):
        optimizers.AdamW().exclude_from_weight_decay(var_list=[kernel])


def test_hyper_parameters_are_fixed_once_compiled() -> None:
    optimizer = optimizers.Adam()
    optimizer.beta_1 = 0.8
    net(optimizer=optimizer)
    with pytest.raises(ArgumentError, match="beta_1 is fixed once a model is compiled"):
        optimizer.beta_1 = 0.7
    with pytest.raises(ArgumentError, match="learning_rate is -1"):
        optimizer.learning_rate = -1


def test_config_round_trip() -> None:
    for name in (kind.__name__ for kind in optimizers.CLASSES):
        optimizer = optimizers.get(name.lower())
        optimizer.learning_rate = 0.25
        again = optimizers.get({"class_name": name, "config": optimizer.get_config()})
        assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()
        assert again.learning_rate == 0.25
    assert isinstance(optimizers.get(optimizers.Adam), optimizers.Adam)
    assert repr(optimizers.SGD(0.5)).startswith("SGD(learning_rate=0.5, momentum=0.0")


def test_get_serialize_deserialize() -> None:
    optimizer = optimizers.SGD(0.5, momentum=0.9, clipvalue=2.0)
    again = optimizers.deserialize(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert type(again) is optimizers.SGD and again.get_config() == optimizer.get_config()
    keras = {"module": "keras.optimizers", "class_name": "SGD", "registered_name": None, "config": {
        "name": "sgd", "learning_rate": 0.5, "weight_decay": None, "clipnorm": None, "global_clipnorm": None,
        "clipvalue": 2.0, "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
        "loss_scale_factor": None, "gradient_accumulation_steps": None, "momentum": 0.9, "nesterov": False,
    }}  # fmt: skip
    assert optimizers.get(keras).get_config() == optimizer.get_config()


def test_old_attributes_name_the_new_ones() -> None:
    optimizer = optimizers.Adam()
    with pytest.raises(AttributeError, match=r"no attribute 'lr'; it is called learning_rate"):
        optimizer.lr  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'lr'; it is called learning_rate"):
        optimizer.lr = 0.1
    with pytest.raises(AttributeError, match=r"no attribute 'momentum'$"):
        optimizer.momentum  # noqa: B018


def test_an_optimizer_of_your_own_is_refused() -> None:
    class Mine(optimizers.Adam):
        """Its steps are those of Adam."""

    with pytest.raises(TypeError, match="optimizer: Mine is a class of your own; Python code cannot run"):
        net(optimizer=Mine(0.1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.get("adm"), 'unknown name "adm"; did you mean "adam"'),
        (lambda: optimizers.get("lamb"), '"lamb" of Keras is not supported'),
        (lambda: optimizers.get(3), "expected a name or a fastnn optimizer object"),  # type: ignore[arg-type]
        (lambda: optimizers.Adam(lr=0.1), 'unknown argument "lr"; it is called learning_rate'),  # type: ignore[call-arg]
        (lambda: optimizers.Adam(use_ema=True), "use_ema=True is not supported"),  # type: ignore[call-arg]
        (lambda: optimizers.Adam(amsgrad="yes"), "amsgrad"),  # type: ignore[arg-type]
        (lambda: optimizers.RMSprop(momentum=-0.1), r"momentum is -0.1, expected a number in \[0, 1\]"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power is 0.5, expected a number <= 0"),
        (lambda: optimizers.Lion(beta_1=0.0), r"beta_1 is 0.0, expected a number in \(0, 1\]"),
        (lambda: optimizers.Adam(lambda step: 0.1), "expected a number or a schedule"),  # type: ignore[arg-type]
        (lambda: optimizers.Adam("fast"), "learning_rate is str 'fast', expected a number"),  # type: ignore[arg-type]
        (lambda: optimizers.Adam(float("nan")), "learning_rate is nan"),
        (lambda: optimizers.Adam(-0.1), "learning_rate is -0.1, expected a number >= 0"),
        (lambda: optimizers.Adam(beta_1=1.0), r"beta_1 is 1.0, expected a number in \[0, 1\)"),
        (lambda: optimizers.SGD(momentum=1.5), r"momentum is 1.5, expected a number in \[0, 1\]"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "initial_accumulator_value is -1"),
        (lambda: optimizers.AdamW(weight_decay=-1), "weight_decay is -1"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError | TypeError)
