"""Callbacks that watch a result or set the learning rate, with the values of Keras 3.15.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, metrics, optimizers
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError
from nets import net, wave

X, Y = wave(10, 4), wave(10)


class Script(callbacks.Callback):
    """Gives a result of every epoch the value that a test wants, and makes the bias count the epochs."""

    def __init__(self, values: list[float], monitor: str = "val_loss") -> None:
        super().__init__()
        self.values, self.monitor = values, monitor

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.monitor] = self.values[epoch]
        self.model.set_weights([np.zeros((4, 1)), [epoch]])


def scripted(values: list[float], *watching: callbacks.Monitor, rate: float = 0.0) -> tuple[fastnn.Sequential, Any]:
    """A fit whose monitored result is `values`."""
    monitor = watching[0].monitor
    names = [name for name in [monitor.removeprefix("val_")] if name != "loss"]
    model = net(optimizer=optimizers.SGD(rate), metrics=names)
    return model, model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Script(values, monitor), *watching])


@pytest.mark.parametrize(
    ("values", "arguments", "epochs", "best"),
    [
        ([3, 2, 1, 2, 3, 4], {}, 4, 2),
        ([3, 2, 1, 2, 3, 4], {"patience": 2}, 5, 2),
        ([3, 2, 1.9, 1.8, 0], {"min_delta": 0.5, "patience": 1}, 3, 1),
        ([1, 2, 3, 2], {"mode": "max"}, 4, 2),
        ([1, 2, 3, 2, 1], {"monitor": "val_accuracy"}, 4, 2),
        ([1, 2, 3, 2, 1], {"monitor": "r2_score"}, 4, 2),
        ([3, 2, 1, 2, 1], {"monitor": "mae"}, 4, 2),
        ([5, 4, 4.5, 4.5], {"baseline": 1.0, "patience": 2}, 3, 1),
        ([1, 3, 2, 2], {"start_from_epoch": 2}, 4, 2),
        ([4, 3, 2, 1], {}, 4, 3),
        ([2, float("nan"), float("nan")], {"patience": 1}, 2, 0),
    ],
)
def test_early_stopping(values: list[float], arguments: dict[str, Any], epochs: int, best: int) -> None:
    stopping = callbacks.EarlyStopping(restore_best_weights=True, **arguments)
    model, history = scripted(values, stopping)
    assert (len(history.epoch), stopping.best_epoch) == (epochs, best)
    assert model.get_weights()[1] == best  # also where it did not stop


def test_early_stopping_without_restoring() -> None:
    stopping = callbacks.EarlyStopping()
    model, history = scripted([3, 1, 2, 2], stopping)
    assert len(history.epoch) == 3 and stopping.stopped_epoch == 2
    assert model.get_weights()[1] == 2


def test_early_stopping_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    scripted([3, 1, 2, 2], callbacks.EarlyStopping(verbose=1, restore_best_weights=True))
    assert capsys.readouterr().out == "Epoch 3: early stopping\nRestoring the weights of the best epoch: 2\n"


@pytest.mark.parametrize(
    "watching", [callbacks.EarlyStopping(), callbacks.ReduceLROnPlateau(), callbacks.EarlyStopping("val_mae")]
)
def test_watching_what_is_not_there(watching: callbacks.Monitor) -> None:
    with pytest.warns(UserWarning, match=f'no "{watching.monitor}" in the results, so .*; there are: loss'):
        net().fit(X, Y, verbose=0, callbacks=watching)


def test_which_way_is_better_of_a_result_without_a_metric() -> None:
    with pytest.raises(ArgumentError, match=r'no metric is called "extra", .* give mode="max" or mode="min"'):
        net().fit(X, Y, epochs=2, verbose=0, callbacks=[Script([1, 2], "extra"), callbacks.EarlyStopping("extra")])
    named = net(metrics=[metrics.BinaryAccuracy(name="hits")])
    watching = callbacks.EarlyStopping("hits", patience=5)
    named.fit(X, Y, epochs=2, verbose=0, callbacks=[Script([1, 2], "hits"), watching])
    assert watching.best == 2


@pytest.mark.parametrize(
    ("values", "arguments", "rates"),  # as Keras 3.15.1 has them
    [
        ([3, 2, 2, 2, 2, 2, 2], {"patience": 2}, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        ([3, 2, 2, 2, 2, 2, 2], {"patience": 1, "factor": 0.5, "cooldown": 2}, [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ([3, 2, 2, 2, 2, 2, 2], {"patience": 1, "factor": 0.5, "min_lr": 0.2}, [1, 1, 1, 0.5, 0.25, 0.2, 0.2, 0.2]),
        ([1, 0.9999, 0.9998, 0.5, 0.5], {"patience": 0, "factor": 0.5}, [1, 1, 0.5, 0.5, 0.5, 0.25]),
        ([1, 2, 2, 3, 2, 2], {"patience": 1, "factor": 0.5, "monitor": "val_acc"}, [1, 1, 1, 0.5, 0.5, 0.25, 0.125]),
        (
            [1, 2, 2, 3, 2, 2],
            {"patience": 2, "factor": 0.5, "mode": "max", "min_delta": 1},
            [1, 1, 1, 0.5, 0.5, 0.5, 0.25],
        ),
    ],
)
def test_reduce_on_plateau(values: list[float], arguments: dict[str, Any], rates: list[float]) -> None:
    model, history = scripted(values, callbacks.ReduceLROnPlateau(**arguments), rate=1.0)
    assert model.optimizer is not None
    assert [*history.history["learning_rate"], model.optimizer.learning_rate] == pytest.approx(rates)


def test_reduce_on_plateau_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    scripted([1, 1], callbacks.ReduceLROnPlateau(patience=1, verbose=1), rate=1.0)
    assert capsys.readouterr().out == "Epoch 2: the learning rate is 0.1 from here on\n"


def halved(epoch: int, rate: float = 8.0) -> float:
    return rate / 2


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda epoch: 1.0 / (epoch + 1), [1.0, 0.5, 1 / 3]),
        (lambda epoch, rate: np.float32(rate * 0.5), [0.5, 0.25, 0.125]),
        (halved, [0.5, 0.25, 0.125]),
        (int, [0.0, 1.0, 2.0]),  # it does not tell how many arguments it takes
        (optimizers.schedules.ExponentialDecay(1.0, 1, 0.5), [1.0, 0.5, 0.25]),
    ],
)
def test_learning_rate_scheduler(schedule: Any, rates: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    model = net(optimizer=optimizers.SGD(1.0))
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks.LearningRateScheduler(schedule, verbose=1))
    assert history.history["learning_rate"] == pytest.approx(rates)
    assert capsys.readouterr().out.splitlines()[0] == f"Epoch 1: the learning rate is {rates[0]:g}"


def test_rates_of_epochs_are_used() -> None:
    model, same = net(optimizer=optimizers.SGD(1.0)), net(optimizer=optimizers.SGD(0.25))
    model.fit(X, Y, verbose=0, callbacks=callbacks.LearningRateScheduler(lambda epoch: 0.25))
    same.fit(X, Y, verbose=0)
    assert all((a == b).all() for a, b in zip(model.get_weights(), same.get_weights(), strict=True))


@pytest.mark.parametrize("given", ["fast", -1.0, float("nan"), None])
def test_rates_that_are_none(given: Any) -> None:
    with pytest.raises(FastnnError, match="the rate that schedule gave for epoch 0 is "):
        net().fit(X, Y, verbose=0, callbacks=callbacks.LearningRateScheduler(lambda epoch: given))
    with pytest.raises(ArgumentTypeError, match="expected a function"):
        callbacks.LearningRateScheduler(0.1)  # type: ignore[arg-type]


def test_errors_of_a_schedule_are_its_own() -> None:
    """A TypeError inside a schedule is not taken for a wrong number of arguments."""

    def broken(epoch: int, rate: float) -> float:
        return len(epoch)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"has no len\(\)"):
        net().fit(X, Y, verbose=0, callbacks=callbacks.LearningRateScheduler(broken))


def test_rates_where_the_optimizer_has_a_schedule() -> None:
    model = net(optimizer=optimizers.SGD(optimizers.schedules.InverseTimeDecay(0.1, 1, 1.0)))
    with pytest.raises(TypeError, match="cannot be set"):
        model.fit(X, Y, verbose=0, callbacks=callbacks.LearningRateScheduler(lambda epoch: 0.1))


def test_terminate_on_nan_with_an_error() -> None:
    y = Y.copy()
    y[5] = 1e30
    with pytest.raises(callbacks.NonFiniteLossError, match="the loss is inf at batch 5; a smaller learning rate"):
        net().fit(X, y, batch_size=1, shuffle=False, verbose=0, callbacks=callbacks.TerminateOnNaN(raise_error=True))
    history = net().fit(X, Y, epochs=2, verbose=0, callbacks=callbacks.TerminateOnNaN())
    assert history.epoch == [0, 1]
