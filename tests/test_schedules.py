"""Learning-rate schedules: Keras's values, the rates of compiled steps, resuming, and configs."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import optimizers
from fastnn.errors import ArgumentError, FastnnError
from fastnn.optimizers import schedules
from nets import Array, every_backend, net, wave

STEPS = (0, 1, 9, 10, 11, 20, 21, 25, 99, 100, 110, 200)
# Class, arguments, and what Keras 3.15.1 gives at STEPS, in float32.
KERAS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    (
        "ExponentialDecay",
        (0.1, 10, 0.5),
        {},
        "0.1 0.093303 0.053589 0.05 0.046652 0.025 0.023326 0.017678 0.00010467 9.7656e-05 4.8828e-05 9.5367e-08",
    ),
    (
        "ExponentialDecay",
        (0.1, 10, 0.5),
        {"staircase": True},
        "0.1 0.1 0.1 0.05 0.05 0.025 0.025 0.025 0.00019531 9.7656e-05 4.8828e-05 9.5367e-08",
    ),
    (
        "InverseTimeDecay",
        (0.1, 10, 0.5),
        {},
        "0.1 0.095238 0.068965 0.066667 0.064516 0.05 0.04878 0.044444 0.016807 0.016667 0.015385 0.0090909",
    ),
    (
        "InverseTimeDecay",
        (0.1, 10, 0.5),
        {"staircase": True},
        "0.1 0.1 0.1 0.066667 0.066667 0.05 0.05 0.05 0.018182 0.016667 0.015385 0.0090909",
    ),
    (
        "PiecewiseConstantDecay",
        ([10, 20, 99], [1.0, 0.5, 0.1, 0.01]),
        {},
        "1 1 1 1 0.5 0.5 0.1 0.1 0.1 0.01 0.01 0.01",
    ),
    (
        "PolynomialDecay",
        (0.1, 21),
        {},
        "0.1 0.095243 0.057186 0.052429 0.047671 0.0048571 0.0001 0.0001 0.0001 0.0001 0.0001 0.0001",
    ),
    (
        "PolynomialDecay",
        (0.1, 20),
        {"end_learning_rate": 0.01, "power": 2.0},
        "0.1 0.091225 0.037225 0.0325 0.028225 0.01 0.01 0.01 0.01 0.01 0.01 0.01",
    ),
    (
        "PolynomialDecay",
        (0.1, 10),
        {"power": 0.5, "cycle": True},
        "0.1 0.094873 0.031691 0.0001 0.067115 0.0001 0.054817 0.040884 0.01009 0.0001 0.0001 0.0001",
    ),
    (
        "CosineDecay",
        (0.1, 100),
        {},
        "0.1 0.099975 0.098015 0.097553 0.097044 0.090451 0.089508 0.085355 2.4673e-05 0 0 0",
    ),
    (
        "CosineDecay",
        (0.1, 50),
        {"alpha": 0.2},
        "0.1 0.099921 0.093773 0.092361 0.09082 0.072361 0.069948 0.06 0.02 0.02 0.02 0.02",
    ),
    (
        "CosineDecay",
        (0.0, 100),
        {"alpha": 0.1, "warmup_target": 1.0, "warmup_steps": 10},
        "0 0.1 0.9 1 0.99978 0.97798 0.9734 0.95095 0.1266 0.12202 0.1 0.1",
    ),
    (
        "CosineDecay",
        (0.3, 20),
        {"warmup_target": 0.1, "warmup_steps": 20},
        "0.3 0.29 0.21 0.2 0.19 0.1 0.099384 0.085355 0 0 0 0",
    ),
    (
        "CosineDecay",
        (0.3, 20),
        {"warmup_steps": 20},
        "0.3 0.29815 0.17347 0.15 0.12654 0 0 0 0 0 0 0",
    ),
    (
        "CosineDecayRestarts",
        (0.1, 10),
        {},
        "0.1 0.097553 0.0024472 0.1 0.099384 0.05 0.042178 0.014645 0.070933 0.069134 0.05 0.077779",
    ),
    (
        "CosineDecayRestarts",
        (0.1, 8),
        {"t_mul": 1.5, "m_mul": 0.8, "alpha": 0.1},
        "0.1 0.096575 0.080773 0.077177 0.071456 0.0676 0.067162 0.057312 0.012294 0.011652 0.039094 0.026469",
    ),
    (
        "CosineDecayRestarts",
        (0.1, 10),
        {"t_mul": 1.0, "m_mul": 0.5},
        "0.1 0.097553 0.0024472 0.05 0.048776 0.025 0.024388 0.0125 4.7797e-06 9.7656e-05 4.8828e-05 9.5367e-08",
    ),
]

X, Y = wave(24, 4), wave(24)


class Steep(schedules.LearningRateSchedule):
    """A schedule of somebody's own."""

    def __call__(self, step: int) -> float:
        return 0.1 / (step + 1)


@pytest.mark.parametrize(("kind", "arguments", "named", "expected"), KERAS)
def test_values_of_keras(kind: str, arguments: tuple[Any, ...], named: dict[str, Any], expected: str) -> None:
    schedule = schedules.NAMES[kind](*arguments, **named)
    values = [float(word) for word in expected.split()]
    assert [schedule(step) for step in STEPS] == pytest.approx(values, rel=6e-5, abs=1e-7)
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    assert [again(step) for step in STEPS] == [schedule(step) for step in STEPS]


@pytest.mark.parametrize("growth", [1.0, 1.5, 2.0, 3.0, 10.0])
def test_restarts_begin_at_the_top(growth: float) -> None:
    """Where a logarithm is rounded down, a period would begin at its bottom."""
    schedule = schedules.CosineDecayRestarts(0.1, 10, t_mul=growth)
    begin = 0.0
    for restarts in range(8):
        assert schedule(math.ceil(begin)) == pytest.approx(0.1, rel=0.03, abs=0.0)
        if begin.is_integer():
            assert schedule(int(begin)) == 0.1
        begin += 10 * growth**restarts


def weights_by_hand(backend: str, rates: list[float]) -> list[Array]:
    model = net(backend=backend, optimizer=optimizers.SGD(1.0, momentum=0.5))
    assert model.optimizer is not None
    for step, rate in enumerate(rates):
        rows = slice(4 * (step % 6), 4 * (step % 6) + 4)
        model.optimizer.learning_rate = rate
        model.train_on_batch(X[rows], Y[rows])
    return model.get_weights()


def same(a: list[Array], b: list[Array]) -> bool:
    return all((x == y).all() for x, y in zip(a, b, strict=True))


@every_backend
@pytest.mark.parametrize("own", [False, True])
def test_training_takes_the_rate_of_each_step(own: bool, backend: str) -> None:
    schedule = Steep() if own else schedules.ExponentialDecay(0.3, 2, 0.5)
    expected = weights_by_hand(backend, [schedule(step) for step in range(12)])
    told: dict[str, Any] = {"batch_size": 4, "shuffle": False, "verbose": 0}

    model = net(backend=backend, optimizer=optimizers.SGD(schedule, momentum=0.5))
    model.fit(X, Y, epochs=2, **told)
    assert same(model.get_weights(), expected)
    assert model.optimizer is not None and model.optimizer.iterations == 12
    assert model.optimizer.learning_rate == schedule(12)

    model = net(backend=backend, optimizer=optimizers.SGD(schedule, momentum=0.5))
    model.fit(X, Y, epochs=1, **told)
    model.fit(X, Y, epochs=2, initial_epoch=1, **told)
    assert same(model.get_weights(), expected)

    model = net(backend=backend, optimizer=optimizers.SGD(schedule, momentum=0.5))
    for step in range(12):
        rows = slice(4 * (step % 6), 4 * (step % 6) + 4)
        model.train_on_batch(X[rows], Y[rows])
    assert same(model.get_weights(), expected)


@every_backend
def test_weight_decay_follows_the_schedule(backend: str) -> None:
    schedule = schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.0])
    model = net(
        fastnn.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones"),
        optimizer=optimizers.AdamW(schedule, weight_decay=0.5),
        backend=backend,
    )
    for _ in range(3):  # the gradient is 0: only decay moves theta
        model.train_on_batch(np.zeros((2, 4)), model.predict(np.zeros((2, 4)), verbose=0))
    assert all((w == 0.75 * 0.875).all() for w in model.get_weights()[:1])


def test_rates_do_not_depend_on_the_slice() -> None:
    optimizer = optimizers.Adam(schedules.CosineDecay(0.1, 50))
    whole = optimizer.rates(0, 40)
    assert whole is not None and whole.dtype == np.float64
    parts = [optimizer.rates(first, 8) for first in range(0, 40, 8)]
    assert (np.concatenate([part for part in parts if part is not None]) == whole).all()
    assert optimizers.Adam(0.1).rates(0, 4) is None


def test_learning_rate() -> None:
    optimizer = optimizers.Adam(schedules.ExponentialDecay(0.5, 1, 0.5))
    assert optimizer.scheduled and optimizer.learning_rate == 0.5
    model = net(optimizer=optimizer)
    model.fit(X, Y, batch_size=8, verbose=0)
    assert optimizer.learning_rate == 0.5 * 0.5**3
    with pytest.raises(TypeError, match=r"learning_rate comes from ExponentialDecay\(.* and cannot be set"):
        optimizer.learning_rate = 0.1
    fixed = optimizers.SGD(0.1)
    fixed.learning_rate = schedules.ExponentialDecay(0.5, 1, 0.5)
    assert fixed.scheduled and fixed.learning_rate == 0.5


@every_backend
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, "fast"])
def test_a_wrong_rate_changes_nothing(bad: Any, backend: str) -> None:
    class Broken(schedules.LearningRateSchedule):
        def __call__(self, step: int) -> Any:
            return bad

    model = net(backend=backend, optimizer=optimizers.SGD(0.1))
    assert model.optimizer is not None
    model.optimizer.learning_rate = Broken()
    before = model.get_weights()
    with pytest.raises(FastnnError, match="Broken: the learning rate of step 0 is"):
        model.fit(X, Y, verbose=0)
    assert same(model.get_weights(), before)


def test_a_rate_that_overflows_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="the learning rate of step 2000 is inf"):
        optimizers.SGD(schedules.ExponentialDecay(0.1, 1, 2.0)).rates(2000, 1)


def test_config_holds_the_schedule() -> None:
    optimizer = optimizers.Adam(schedules.CosineDecay(0.1, 50, warmup_target=0.2, warmup_steps=5))
    config = json.loads(json.dumps(optimizer.get_config()))
    assert config["learning_rate"]["class_name"] == "CosineDecay"
    again = optimizers.get({"class_name": "Adam", "config": config})
    assert again.get_config() == optimizer.get_config()
    assert (again.rates(0, 60) == optimizer.rates(0, 60)).all()  # type: ignore[union-attr]
    own = optimizers.Adam(Steep()).get_config()
    with pytest.raises(ArgumentError, match=r'schedule "Steep" is not one of .*compile=False'):
        optimizers.Adam.from_config(own)


def test_import_paths() -> None:
    assert fastnn.optimizers.schedules.ExponentialDecay is schedules.ExponentialDecay
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps is 0, expected a number > 0"),
        (lambda: schedules.ExponentialDecay(-0.1, 1, 0.5), "initial_learning_rate is -0.1"),
        (lambda: schedules.ExponentialDecay(0.1, 1, -0.5), "decay_rate is -0.5"),
        (lambda: schedules.ExponentialDecay(0.1, 1, 0.5, "no"), "staircase is 'no', expected True or False"),  # type: ignore[arg-type]
        (lambda: schedules.InverseTimeDecay(0.1, -1, 0.5), "InverseTimeDecay: decay_steps is -1"),
        (lambda: schedules.PolynomialDecay(0.1, 1, power=-1), "power is -1"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1]), "1 values for 2 boundaries, expected 3"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "expected ascending steps"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1, -0.2]), "one of values is -0.2"),
        (lambda: schedules.PiecewiseConstantDecay(3, [0.1]), "boundaries is 3, expected a list of numbers"),  # type: ignore[arg-type]
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps is 0"),
        (lambda: schedules.CosineDecay(0.1, 1, warmup_target=-1), "warmup_target is -1"),
        (lambda: schedules.CosineDecay(0.1, 1, warmup_target=1, warmup_steps=-1), "warmup_steps is -1"),
        (lambda: schedules.CosineDecayRestarts(0.1, 1, t_mul=0.5), "t_mul is 0.5, expected a number >= 1"),
        (lambda: schedules.deserialize(3), "expected a dict of serialize or a schedule, got 3"),  # type: ignore[arg-type]
        (lambda: optimizers.SGD(lambda step: 0.1), "make a subclass of schedules.LearningRateSchedule"),  # type: ignore[arg-type]
        (lambda: optimizers.Adam(0.1, decay=1e-4), r"InverseTimeDecay\(lr, 1, decay\)"),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        make()
