"""What fit, evaluate and predict print, on a terminal and elsewhere."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from fastnn.callbacks import Callback, LambdaCallback
from fastnn.engine import progress
from fastnn.engine.progress import Progress
from fastnn.errors import ArgumentError
from nets import every_backend, net, wave

X, Y = wave(10, 4), wave(10)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@every_backend
@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_plain_lines(verbose: Any, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = net(metrics=["mae"], backend=backend)
    model.fit(X, Y, batch_size=4, epochs=2, validation_split=0.2, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    value = r"\d\.\d{4}"
    for number, line in enumerate(lines, 1):
        values = f"loss {value} · mae {value} · val_loss {value} · val_mae {value}"
        assert re.fullmatch(rf"Epoch {number}/2 · 2/2 steps · {values} · [\d,]+ samples/s · \d+ ms", line), line
    assert len(lines) == 2
    model.evaluate(X, Y, verbose=verbose)
    line = capsys.readouterr().out
    assert re.fullmatch(rf"1/1 steps · loss {value} · mae {value} · [\d,]+ samples/s · \d+ ms\n", line), line
    model.predict(X, verbose=verbose)
    assert capsys.readouterr().out == ""


def test_a_training_that_a_callback_ends(capsys: pytest.CaptureFixture[str]) -> None:
    model = net()
    stop = LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 1))
    model.fit(X, Y, batch_size=2, epochs=3, callbacks=stop)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith("Epoch 1/3 · 2/5 steps · loss ")


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    model = net()
    model.fit(X, Y, verbose=0, validation_split=0.2)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_short_work_has_no_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that a busy machine does not move."""
    stream, ticks = Terminal(), itertools.count()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("fastnn.engine.progress.time.perf_counter", lambda: next(ticks) / 1e4)
    net().fit(X, Y, verbose=1)
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    shown = Progress(1, epochs=3)
    shown.begin(steps=100, rows=1000, epoch=1)
    asked = []

    def logs() -> dict[str, float]:
        asked.append(now[0])
        return {"loss": 0.5, "mae": 2e-5}

    for now[0], done in ((0.1, 10), (1.0, 25), (1.05, 26)):
        shown.advance(done, logs)
    assert asked == [1.0]  # not before 0.2 s, and not at every slice
    text = stream.getvalue()
    assert "Epoch 2/3  25/100 steps  loss 0.5000  mae 2.000e-05  250 samples/s  3.0 s left" in text
    now[0] = 1.6
    shown.advance(100, logs)
    now[0] = 2.0  # 0.4 s of validation
    shown.end({"loss": 0.25})
    assert stream.getvalue().endswith("Epoch 2/3 · 100/100 steps · loss 0.2500 · 625 samples/s · 2.0 s\n")
    assert shown._live is None


def test_live_line_goes_away_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(progress, "LIVE_AFTER", 0.0)
    monkeypatch.setattr(Progress.__init__, "__defaults__", (0, 0.0))
    monkeypatch.setattr(progress, "REFRESH", 0.0)
    closed, close = [], Progress.close

    def watched(self: Progress) -> None:
        closed.append(self._live)
        close(self)

    monkeypatch.setattr(Progress, "close", watched)

    class Fail(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        net().fit(X, Y, batch_size=2, callbacks=[Fail()], verbose=1)
    assert closed[0] is not None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (1.25, "1.2 s"), (75, "1:15 min"), (3725, "1:02:05 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert progress._duration(seconds) == text


def test_numbers() -> None:
    values = {"a": 0.0, "b": 1.5, "c": 1e-6, "d": 123456.0, "e": float("nan")}
    assert progress._values(values) == ["a 0.0000", "b 1.5000", "c 1.000e-06", "d 1.235e+05", "e nan"]


def test_verbosity() -> None:
    assert [progress.verbosity("fit", v) for v in ("auto", 0, 1, 2, True, False)] == [1, 0, 1, 2, 1, 0]
    with pytest.raises(ArgumentError, match="verbose is 'loud'"):
        progress.verbosity("fit", "loud")


def test_rich_is_imported_only_to_be_shown() -> None:
    code = (
        "import sys, numpy as np, fastnn; from fastnn import layers;"
        "m = fastnn.Sequential([layers.Dense(1, input_dim=2)]); m.compile('sgd', 'mse', backend='reference');"
        "m.fit(np.ones((4, 2)), np.ones(4)); assert 'rich' not in sys.modules"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (done.stderr, time.perf_counter() - start)
