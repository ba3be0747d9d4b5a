"""What fit, evaluate and predict print, on a terminal and elsewhere."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from fastnn.callbacks import Callback, EarlyStopping, LambdaCallback
from fastnn.engine import progress
from fastnn.engine.progress import Progress
from fastnn.errors import ArgumentError
from fastnn.optimizers import SGD
from nets import every_backend, net, wave

X, Y = wave(10, 4), wave(10)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Encoded(io.TextIOWrapper):
    """A stream of an encoding, and perhaps a terminal."""

    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.seek(0)
        return self.read()


class Failing(Terminal):
    """A terminal that takes some writes, and then none."""

    def __init__(self, error: Exception, most: int) -> None:
        super().__init__()
        self.error, self.most = error, most

    def write(self, text: str) -> int:
        self.most -= 1
        if self.most < 0:
            raise self.error
        return super().write(text)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live line for work however short."""
    monkeypatch.setattr(Progress.__init__, "__defaults__", (0, -1.0))
    monkeypatch.setattr(progress, "REFRESH", -1.0)
    monkeypatch.setenv("TERM", "xterm")


def picture(width: int, monkeypatch: pytest.MonkeyPatch, share: float = 0.5, **environment: str) -> str:
    """The live line of a terminal that wide, without its control codes."""
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for name, value in {"TERM": "xterm", "COLUMNS": str(width), **environment}.items():
        monkeypatch.setenv(name, value)
    shown = Progress(1, epochs=100)
    shown.begin(steps=12_345, rows=400_000, epoch=9)
    now[0] = 75.0
    shown.advance(round(12_345 * share), lambda: {"loss": 0.5, "mean_absolute_error": 2e-5, "accuracy": 0.5})
    text = stream.getvalue()
    shown.close()
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


@every_backend
@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_plain_lines(verbose: Any, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = net(metrics=["mae"], backend=backend)
    model.fit(X, Y, batch_size=4, epochs=2, validation_split=0.2, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    value = r"\d\.\d{4}"
    for number, line in enumerate(lines, 1):
        values = f"loss {value} · mae {value} · val_loss {value} · val_mae {value}"
        assert re.fullmatch(rf"Epoch {number}/2 · 2/2 steps · {values} · [\d,]+ samples/s · [\d.]+ ms", line), line
    assert len(lines) == 2
    model.evaluate(X, Y, verbose=verbose)
    line = capsys.readouterr().out
    assert re.fullmatch(rf"1/1 steps · loss {value} · mae {value} · [\d,]+ samples/s · [\d.]+ ms\n", line), line
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


@pytest.mark.parametrize("width", [20, 21, 30, 40, 60, 80, 100, 200])
def test_the_live_line_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    line = picture(width, monkeypatch)
    assert "\n" not in line and len(line) < width
    bar = re.match("(━+)(─+) ", line)
    assert bar and abs(len(bar[1]) - len(bar[2])) <= 1 and len(bar[1] + bar[2]) >= progress.LEAST_BAR
    assert ("loss 0.5" in line) == (width >= 60)
    assert ("samples/s" in line) == (width == 200)


def test_the_bar_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = (picture(80, monkeypatch, share, NO_COLOR="1") for share in (0.25, 0.75))
    assert first.count("━") < last.count("━") and first.count("─") > last.count("─")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert picture(80, monkeypatch, TERM="dumb") == ""


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("encoding", ["ascii", "cp932", "cp1252", "latin-1", "gbk", "utf-8"])
def test_what_cannot_be_encoded_is_replaced(encoding: str, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Encoded(encoding, terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    model = net(backend="reference")
    model.name = "größe\udcff"
    model.fit(X, Y, batch_size=2, epochs=2)
    model.evaluate(X, Y)
    model.summary()
    assert sys.stdout is stream
    text = stream.text()
    dot = "-" if encoding in ("ascii", "cp932") else "·"
    assert f"Epoch 2/2 {dot} 5/5 steps {dot} loss " in text
    assert ("\x1b" in text) == terminal and "\x1b[?25l" not in text
    full, rest = "━─" if encoding == "utf-8" else "=-"
    assert not terminal or (full in text and f"{rest}\x1b" in text)
    assert 'Model "gr' in text


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("most", [0, 1, 4])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("closed")]
)
def test_a_stream_that_fails_ends_only_the_display(
    error: Exception, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Failing(error, most)
    monkeypatch.setattr(sys, "stdout", stream)
    model = net(backend="reference")
    stop = EarlyStopping("loss", min_delta=1e9, patience=1, verbose=1)
    assert len(model.fit(X, Y, batch_size=2, epochs=3, callbacks=[stop]).epoch) == 2
    model.evaluate(X, Y)
    model.summary()
    assert sys.stdout is stream and not progress._terminal.locked()


def test_no_stream_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, told = io.StringIO(), Encoded("ascii", False)
    closed.close()
    for stream in (None, closed, Failing(OSError(28, "No space left"), 2), SimpleNamespace(write=len), told):
        monkeypatch.setattr(sys, "stdout", stream)
        net(backend="reference", optimizer=SGD(90.0)).fit(X, Y, epochs=9)  # of which a line after it tells
    assert "the training diverged" in told.text()


@pytest.mark.usefixtures("_at_once")
def test_one_live_line_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one, of another thread or of a callback, gets plain lines above it."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    other = net(backend="reference")
    inner = LambdaCallback(on_train_batch_end=lambda batch, logs: other.evaluate(X, Y))
    net(backend="reference").fit(X, Y, batch_size=2, callbacks=[inner])
    assert stream.getvalue().count("1/1 steps · loss") == 5 and sys.stdout is stream


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
    [(2e-5, "0.02 ms"), (0.00123, "1.2 ms"), (0.0123, "12 ms"), (1.25, "1.2 s"), (75, "1:15 min"), (3725, "1:02:05 h")],
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


def lines_of(epochs: int, capsys: pytest.CaptureFixture[str], losses: Any, **more: Any) -> list[str]:
    """What a training of so many epochs prints, whose losses are made up."""
    shown = Progress(1, epochs, **more)
    for epoch, loss in enumerate(losses):
        shown.begin(1, 1, epoch)
        shown.end({"loss": 1.0, "val_loss": loss})
    shown.finish()
    return [re.sub(r" · 0/1.*", "", line) for line in capsys.readouterr().out.splitlines()]


def test_many_epochs_fit_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    falling = [1 / (1 + epoch) for epoch in range(1000)]
    assert len(lines_of(19, capsys, falling[:19])) == 19
    assert lines_of(20, capsys, falling[:20]) == [f"Epoch {n}/20" for n in (1, *range(2, 21, 2))]
    assert lines_of(60, capsys, falling[:60]) == [f"Epoch {n}/60" for n in (1, 10, 20, 30, 40, 50, 60)]
    assert all(len(lines_of(epochs, capsys, falling[:epochs])) <= 12 for epochs in (21, 99, 101, 200, 999))
    # One that was stopped: the last, and which was the best.
    rising = [0.5, 0.25, *(1.0 + epoch for epoch in range(11))]
    assert lines_of(100, capsys, [float("nan"), *rising[1:]])[-1] == "Best val_loss: epoch 2, 0.2500"
    assert lines_of(100, capsys, rising) == [
        "Epoch 1/100",
        "Epoch 10/100",
        "Epoch 13/100",
        "Best val_loss: epoch 2, 0.2500",
    ]


def test_verbose_2_prints_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    net().fit(X, Y, epochs=25, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 25


def test_the_live_line_stays_between_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where epochs are short and few have a line."""
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setenv("TERM", "xterm")
    shown = Progress(1, epochs=100)
    for epoch in range(9):
        shown.begin(1, 1, epoch)
        now[0] += 0.15
        shown.advance(1, lambda: {"loss": 0.5})
        shown.end({"loss": 1.0 / (epoch + 1)})
    assert shown._live is not None and "Epoch 9/100  1/1 steps" in stream.getvalue()
    assert stream.getvalue().count(" · ") == 4  # the line of the first epoch alone
    shown.finish()
    assert shown._live is None and stream.getvalue().endswith("150 ms\n")


def test_notebooks(tmp_path: Any) -> None:
    """One output that changes in place, in a real kernel."""
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = """
import numpy as np, fastnn
from fastnn import layers
model = fastnn.Sequential([layers.Dense(1, input_dim=4)])
model.compile("sgd", "mse", backend="reference")
X = np.ones((40, 4)); y = np.ones(40)
history = model.fit(X, y, epochs=60, batch_size=4, validation_split=0.5)
model.evaluate(X, y, verbose=0)
"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(part) for part in (code, "model", "history")])
    client.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    first, model, history = (cell.outputs for cell in book.cells)
    shown = [output for output in first if output.output_type == "display_data"]
    assert len(shown) == 1 and shown[0].data["text/plain"].startswith("Epoch 60/60 · 5/5 steps · loss ")
    assert not [output for output in first if output.output_type == "stream"]
    assert "<table" in model[0].data["text/html"] and history[0].data["text/html"]
