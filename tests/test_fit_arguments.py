"""The arguments of fit, evaluate and predict: what they mean, in which order results come, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.errors import ArgumentError, ArgumentTypeError
from nets import Array, every_backend, net, wave

N = 23
X, Y = wave(N, 4), wave(N, 2, phase=1.0)


def linear(**arguments: Any) -> fastnn.Sequential:
    return net(layers.Dense(2, dtype="float64"), optimizer=optimizers.SGD(0.1), **arguments)


def weights_of(model: fastnn.Sequential) -> Array:
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is float 2.5"),
        ({"epochs": -1}, "epochs is -1"),
        ({"verbose": 3}, "verbose is 3"),
        ({"shuffle": "batch"}, "shuffle is 'batch'"),
        ({"validation_split": 1.0}, "validation_split is 1.0"),
        ({"validation_split": 0.99}, "at least one of each"),
        ({"validation_data": (X,)}, "validation_data is not"),
        ({"validation_freq": 0}, "validation_freq is 0"),
        ({"callbacks": [3]}, "not a fastnn.callbacks.Callback"),
        (
            {"steps_per_epoch": 3},
            "steps_per_epoch=3 is not .* 23 rows at batch_size=32 make 1 steps",
        ),
        ({"nb_epoch": 3}, "it is called epochs"),
        ({"workers": 4}, 'unknown argument "workers"'),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    model = linear()
    if "validation_freq" in arguments:
        arguments = {**arguments, "validation_split": 0.5}
    before = weights_of(model)
    with pytest.raises(fastnn.FastnnError, match=message) as caught:
        model.fit(X, Y, **{"verbose": 0, **arguments})
    assert isinstance(caught.value, ValueError | TypeError)
    assert (weights_of(model) == before).all()


def test_unknown_arguments_of_evaluate_and_predict() -> None:
    model = linear()
    with pytest.raises(ArgumentError, match='unknown argument "workers"'):
        model.evaluate(X, Y, workers=3)
    with pytest.raises(ArgumentError, match='unknown argument "workers"'):
        model.predict(X, workers=3)
    with pytest.raises(ArgumentError, match="training=True is not supported"):
        model(X, training=True)


@every_backend
def test_steps(backend: str) -> None:
    """The first batches only, where data are scored or predicted."""
    model = linear(backend=backend, metrics=["mae"])
    assert model.evaluate(X, Y, batch_size=5, steps=2, verbose=0) == model.evaluate(X[:10], Y[:10], 5, verbose=0)
    assert model.evaluate(X, Y, batch_size=5, steps=99, verbose=0) == model.evaluate(X, Y, 5, verbose=0)
    assert (model.predict(X, batch_size=5, steps=2, verbose=0) == model.predict(X[:10], verbose=0)).all()
    held = (X, Y)
    history = model.fit(
        X, Y, steps_per_epoch=1, validation_data=held, validation_steps=2, validation_batch_size=5, verbose=0
    ).history
    scores = model.evaluate(X[:10], Y[:10], batch_size=5, verbose=0)
    assert [history["val_loss"][0], history["val_mae"][0]] == scores


@pytest.mark.parametrize("steps", [0, 1.5, "all"])
def test_steps_that_are_none(steps: Any) -> None:
    model = linear()
    with pytest.raises(fastnn.FastnnError, match="evaluate: steps is "):
        model.evaluate(X, Y, steps=steps, verbose=0)
    with pytest.raises(fastnn.FastnnError, match="predict: steps is "):
        model.predict(X, steps=steps, verbose=0)
    with pytest.raises(fastnn.FastnnError, match="validation_steps is "):
        model.fit(X, Y, validation_split=0.5, validation_steps=steps, verbose=0)


class Batches:
    """A data set of Keras: an object with a length, whose items are batches."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return X, Y


@pytest.mark.parametrize("given", [iter([(X, Y)]), Batches(), ((X, Y) for _ in range(3)), range(5), {1.0, 2.0}])
def test_data_batch_by_batch(given: Any) -> None:
    model = linear()
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ArgumentTypeError, match=r"which gives its rows batch by batch; .* call train_on_batch"):
            call(given, verbose=0)
        with pytest.raises(ArgumentTypeError, match="x is missing"):
            call(None, verbose=0)  # type: ignore[arg-type]


@every_backend
def test_schedules_of_the_learning_rate(backend: str) -> None:
    """Each step has its rate, in slices, one by one, and over the epochs."""

    def model(rate: Any) -> fastnn.Sequential:
        return net(layers.Dense(2), optimizer=optimizers.SGD(rate), backend=backend)

    decay = optimizers.schedules.ExponentialDecay(0.2, decay_steps=3, decay_rate=0.5)
    scheduled, one_by_one, by_hand = model(decay), model(decay), model(0.2)
    history = scheduled.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert by_hand.optimizer is not None and scheduled.optimizer is not None
    for step in range(12):
        rows = slice(step % 6 * 4, step % 6 * 4 + 4)
        by_hand.optimizer.learning_rate = 0.2 * 0.5 ** (step / 3)
        assert one_by_one.train_on_batch(X[rows], Y[rows]) == by_hand.train_on_batch(X[rows], Y[rows])
    assert (weights_of(scheduled) == weights_of(by_hand)).all()
    assert (weights_of(scheduled) == weights_of(one_by_one)).all()
    assert scheduled.optimizer.learning_rate == pytest.approx(0.2 * 0.5**4)
    assert len(history["loss"]) == 2


def test_order_of_results() -> None:
    """Logs are sorted by name; `evaluate` lists results as `metrics_names` has them; both as Keras 3.15.1."""
    model = linear(metrics=["mse", "mae"], weighted_metrics=["mae"])
    names = ["loss", "mse", "mae", "weighted_mae"]
    assert model.metrics_names == names and [metric.name for metric in model.metrics] == ["mse", "mae", "mae"]
    history = model.fit(X, Y, validation_split=0.5, sample_weight=np.arange(N), verbose=0).history
    assert list(history) == sorted([*names, *(f"val_{name}" for name in names)])
    results = model.evaluate(X, Y, sample_weight=np.arange(N), verbose=0, return_dict=True)
    assert list(results) == sorted(names)
    assert model.evaluate(X, Y, sample_weight=np.arange(N), verbose=0) == [results[name] for name in names]
    assert results["mae"] != results["weighted_mae"]
