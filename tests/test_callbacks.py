"""Callbacks: the order of events, their logs, lists of callbacks, History, LambdaCallback, TerminateOnNaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import callbacks, layers
from fastnn.engine.slices import Pace
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError
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
    assert record.params == {"verbose": 0, "epochs": 1, "steps": 2}


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


@every_backend
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("pace", [1, 100])
def test_terminate_on_nan(
    pace: int, watched: bool, backend: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are those after the first step whose loss is not finite, wherever a slice ends."""
    monkeypatch.setattr(Pace, "measured", lambda self, steps, seconds: setattr(self, "steps", pace))
    y = Y.copy()
    y[5] = 1e30  # its square is infinity in float32
    model, same = net(backend=backend), net(backend=backend)
    record = [RecordBatches()] if watched else []
    given = [*record, callbacks.TerminateOnNaN()]
    history = model.fit(X, y, batch_size=1, epochs=3, shuffle=False, verbose=0, callbacks=given)
    for row in range(6):
        same.train_on_batch(X[row : row + 1], y[row : row + 1])
    assert all((a == b).all() for a, b in zip(model.get_weights(), same.get_weights(), strict=True))
    assert model.optimizer is not None and model.optimizer.iterations == 6
    assert history.epoch == [0] and history.history["loss"] == [np.inf]
    assert capsys.readouterr().out == "Batch 5: the loss is inf, the training ends\n"
    for each in record:
        assert each.events[-3:] == ["]batch5", "]epoch0", "]train"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: callbacks.EarlyStopping(mode="least"), "mode is 'least'"),
        (lambda: callbacks.EarlyStopping(patience=-1), "patience is -1"),
        (lambda: callbacks.EarlyStopping(monitor=3), "monitor is 3"),  # type: ignore[arg-type]
        (lambda: callbacks.EarlyStopping(min_delta=float("nan")), "min_delta is nan"),
        (lambda: callbacks.EarlyStopping(patients=1), 'unknown argument "patients"; did you mean "patience"'),
        (lambda: callbacks.ReduceLROnPlateau(factor=1.0), "factor is 1.0"),
        (lambda: callbacks.ReduceLROnPlateau(min_lr=-1), "min_lr is -1"),
        (lambda: callbacks.ReduceLROnPlateau(wait=1), 'unknown argument "wait"'),
        (lambda: callbacks.ModelCheckpoint("a", save_freq="batch"), "save_freq is 'batch'"),
        (lambda: callbacks.ModelCheckpoint("a", save_freq=0), "save_freq is 0"),
        (lambda: callbacks.ModelCheckpoint("a", period=2), 'unknown argument "period"'),
        (lambda: callbacks.CallbackList(add_progbar=True), "add_progbar=True is not supported"),
        (lambda: net().fit(X, Y, callbacks=[callbacks.History]), "give an object, not its class"),  # type: ignore[list-item]
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError | TypeError)


def test_lists_of_callbacks() -> None:
    first, second, own = Record(), Record(), callbacks.History()
    history = net().fit(X, Y, verbose=0, callbacks=[first, [second, own]])  # type: ignore[list-item]
    assert first.events == second.events and history is own
    several = callbacks.CallbackList([first])
    several.append(second)
    assert net().fit(X, Y, verbose=0, callbacks=several).epoch == [0]
    assert first.events == second.events and len(first.events) == 8
    assert isinstance(callbacks.CallbackList(None, add_history=True).history, callbacks.History)


def test_lists_take_logs_by_place_and_by_name() -> None:
    """As loops of one's own pass them on."""
    several = callbacks.CallbackList([kept := callbacks.History()])
    several.on_train_begin({})
    several.on_epoch_end(0, {"loss": 2.0})
    several.on_epoch_end(1, logs={"loss": 1.0})
    several.on_train_end()
    assert kept.history == {"loss": [2.0, 1.0]}


def test_validation_freq() -> None:
    model = net(layers.Dense(1))
    every = model.fit(X, Y, epochs=4, validation_split=0.2, validation_freq=2, verbose=0).history
    assert (len(every["loss"]), len(every["val_loss"])) == (4, 2)
    listed = model.fit(X, Y, epochs=4, validation_split=0.2, validation_freq=[1, 2, 4], verbose=0).history
    assert len(listed["val_loss"]) == 3
