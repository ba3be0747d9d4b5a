"""Callbacks: the order of events, logs, History, LambdaCallback, EarlyStopping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, optimizers
from fastnn.errors import ArgumentError, ArgumentTypeError
from nets import every_backend, net, wave

X, Y = wave(10, 4), wave(10)


class Record(callbacks.Callback):
    """Writes down every event."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.logs: list[dict[str, Any]] = []

    def _note(self, event: str, logs: Any) -> None:
        self.events.append(event)
        self.logs.append(dict(logs or {}))

    def on_train_begin(self, logs: Any = None) -> None:
        self._note("train[", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._note("]train", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._note(f"epoch{epoch}[", logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._note(f"]epoch{epoch}", logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._note("test[", logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._note("]test", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._note("predict[", logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._note("]predict", logs)


class RecordBatches(Record):
    """And every batch."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._note(f"batch{batch}[", logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._note(f"]batch{batch}", logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._note(f"tbatch{batch}[", logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._note(f"]tbatch{batch}", logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._note(f"]pbatch{batch}", logs)


@every_backend
def test_order_of_events(backend: str) -> None:
    model, record = net(metrics=["mae"], backend=backend), Record()
    history = model.fit(X, Y, epochs=2, validation_split=0.2, callbacks=[record], verbose=0)
    epoch = "epoch{0}[ test[ ]test ]epoch{0}"
    assert " ".join(record.events) == f"train[ {epoch.format(0)} {epoch.format(1)} ]train"
    assert record.logs[-1] == {name: values[-1] for name, values in history.history.items()}
    assert list(record.logs[-1]) == ["loss", "mae", "val_loss", "val_mae"]
    assert record.params == {"verbose": 0, "epochs": 2, "steps": 1}
    assert record.model is model and model.history is history


@every_backend
def test_events_of_batches(backend: str) -> None:
    model, record = net(backend=backend), RecordBatches()
    model.fit(X, Y, batch_size=4, callbacks=record, verbose=0)
    batches = "batch0[ ]batch0 batch1[ ]batch1 batch2[ ]batch2"
    assert " ".join(record.events) == f"train[ epoch0[ {batches} ]epoch0 ]train"
    ends = [logs["loss"] for event, logs in zip(record.events, record.logs, strict=True) if event[:6] == "]batch"]
    assert ends[-1] == record.logs[-1]["loss"]  # the mean so far
    assert len(set(ends)) == 3
    record.events.clear()
    model.evaluate(X, Y, batch_size=5, callbacks=[record], verbose=0)
    assert " ".join(record.events) == "test[ tbatch0[ ]tbatch0 tbatch1[ ]tbatch1 ]test"
    record.events.clear()
    model.predict(X, batch_size=5, callbacks=[record], verbose=0)
    assert " ".join(record.events) == "predict[ ]pbatch0 ]pbatch1 ]predict"
    assert record.logs[-2]["outputs"].shape == (5, 1)


@every_backend
def test_looking_at_batches_changes_nothing(backend: str) -> None:
    plain, watched = net(backend=backend), net(backend=backend)
    a = plain.fit(X, Y, batch_size=3, epochs=2, verbose=0).history
    b = watched.fit(X, Y, batch_size=3, epochs=2, callbacks=[RecordBatches()], verbose=0).history
    assert a == b
    assert all((p == q).all() for p, q in zip(plain.get_weights(), watched.get_weights(), strict=True))


def test_old_names_of_the_batch_hooks() -> None:
    class Old(callbacks.Callback):
        seen = 0

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen += 1

    old = Old()
    net().fit(X, Y, batch_size=2, callbacks=[old], verbose=0)
    assert old.seen == 5


def test_a_callback_without_super_init() -> None:
    class Bare(callbacks.Callback):
        def __init__(self) -> None:
            self.losses: list[float] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.losses.append(logs["loss"])
            logs["extra"] = 1.0

    bare = Bare()
    history = net().fit(X, Y, epochs=2, callbacks=[bare], verbose=0)
    assert history.history["loss"] == bare.losses
    assert history.history["extra"] == [1.0, 1.0]


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
def test_stop_training(hook: str) -> None:
    model = net()

    def stop(index: int, logs: Any) -> None:
        model.stop_training = index == 1

    history = model.fit(X, Y, batch_size=2, epochs=5, verbose=0, callbacks=[callbacks.LambdaCallback(**{hook: stop})])
    assert len(history.epoch) == (1 if hook == "on_train_batch_end" else 2)
    assert model.optimizer is not None
    assert model.optimizer.iterations == (2 if hook == "on_train_batch_end" else 10)
    model.fit(X, Y, verbose=0)


def test_lambda_callback_hooks_that_do_not_exist() -> None:
    with pytest.raises(ArgumentError, match="no hook"):
        callbacks.LambdaCallback(on_lunch=print)
    with pytest.raises(ArgumentTypeError, match="expected a function"):
        callbacks.LambdaCallback(on_epoch_end=3)  # type: ignore[arg-type]


def test_history_is_plain_floats() -> None:
    history = net(metrics=["mse", "r2_score"]).fit(X, Y, epochs=2, verbose=0)
    assert history.epoch == [0, 1]
    assert all(type(value) is float for values in history.history.values() for value in values)


def scripted(values: list[float], **arguments: Any) -> tuple[fastnn.Sequential, callbacks.EarlyStopping, int]:
    """A fit whose val_loss is `values`, and whose bias counts the epochs."""

    class Script(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs[arguments.get("monitor", "val_loss")] = values[epoch]
            self.model.set_weights([np.zeros((4, 1)), [epoch]])

    model, stopping = net(optimizer=optimizers.SGD(0.0)), callbacks.EarlyStopping(**arguments)
    history = model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Script(), stopping])
    return model, stopping, len(history.epoch)


@pytest.mark.parametrize(
    ("values", "arguments", "epochs", "best"),
    [
        ([3, 2, 1, 2, 3, 4], {}, 4, 2),
        ([3, 2, 1, 2, 3, 4], {"patience": 2}, 5, 2),
        ([3, 2, 1.9, 1.8, 0], {"min_delta": 0.5, "patience": 1}, 3, 1),
        ([1, 2, 3, 2], {"mode": "max"}, 4, 2),
        ([1, 2, 3, 2, 1], {"monitor": "val_accuracy"}, 4, 2),
        ([1, 2, 3, 2, 1], {"monitor": "r2_score"}, 4, 2),
        ([5, 4, 4.5, 4.5], {"baseline": 1.0, "patience": 2}, 3, 1),
        ([1, 3, 2, 2], {"start_from_epoch": 2}, 4, 2),
        ([4, 3, 2, 1], {}, 4, 3),
    ],
)
def test_early_stopping(values: list[float], arguments: dict[str, Any], epochs: int, best: int) -> None:
    model, stopping, ran = scripted(values, restore_best_weights=True, **arguments)
    assert (ran, stopping.best_epoch) == (epochs, best)
    assert model.get_weights()[1] == best  # also where it did not stop


def test_early_stopping_without_restoring() -> None:
    model, stopping, ran = scripted([3, 1, 2, 2])
    assert ran == 3 and stopping.stopped_epoch == 2
    assert model.get_weights()[1] == 2


def test_early_stopping_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    scripted([3, 1, 2, 2], verbose=1, restore_best_weights=True)
    assert capsys.readouterr().out == "Epoch 3: early stopping\nRestoring the weights of the best epoch: 2\n"


def test_early_stopping_on_what_is_not_there() -> None:
    with pytest.warns(UserWarning, match='no "val_loss" in the results; there are: loss'):
        net().fit(X, Y, verbose=0, callbacks=callbacks.EarlyStopping())
    with pytest.raises(ArgumentError, match="mode is 'least'"):
        callbacks.EarlyStopping(mode="least")
    with pytest.raises(ArgumentError, match="patience is -1"):
        callbacks.EarlyStopping(patience=-1)


def test_validation_freq() -> None:
    model = net(layers.Dense(1))
    every = model.fit(X, Y, epochs=4, validation_split=0.2, validation_freq=2, verbose=0).history
    assert (len(every["loss"]), len(every["val_loss"])) == (4, 2)
    listed = model.fit(X, Y, epochs=4, validation_split=0.2, validation_freq=[1, 2, 4], verbose=0).history
    assert len(listed["val_loss"]) == 3
