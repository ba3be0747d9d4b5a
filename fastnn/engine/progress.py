"""What a training prints: a live line on a terminal or in a notebook, and plain lines, of which many epochs get few."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

from ..core.printing import is_terminal, say, write
from ..errors import ArgumentError
from .notebook import Notebook, in_notebook

LIVE_AFTER = 0.2  # seconds: shorter work gets no live display
BAR, LEAST_BAR = 20, 5  # characters; it gives way to the numbers
CELL = 100  # characters of a line of a notebook
REFRESH = 0.1  # seconds between two pictures of the live line
MANY = 20  # epochs, from which on not each has a line
LINES = 10  # that many of them have, about

Logs = dict[str, float]

_terminal = threading.Lock()  # held by whoever has the one live line: two would write over each other


class Progress:
    """The lines of one `fit`, `evaluate` or `predict`; a stream that fails ends them, and nothing else.

    In a notebook one line is shown, which changes in place.

    Args:
        verbose: 1 for a live line and plain ones, from 20 epochs on so many that they fit a screen: the first, every so
            many, the last, and which was the best; 2 for a plain line an epoch.
        epochs: how many there will be; 0 for `evaluate` and `predict`.
        live_after: seconds of work before a live line appears.
    """

    def __init__(self, verbose: int, epochs: int = 0, live_after: float = LIVE_AFTER) -> None:
        self._shows, self._moves = True, verbose == 1 and is_terminal(sys.stdout)
        self._notebook = Notebook() if verbose == 1 and in_notebook() else None
        self._epochs = epochs
        self._every = _spacing(epochs) if verbose == 1 and epochs >= MANY else 1
        self._live_after = live_after
        self._live: Any = None
        self._start = self._since = self._shown = self._busy = 0.0
        self._epoch = self._steps = self._rows = self._done = 0
        self._first = True
        self._held = ""  # the line of the last epoch, if it was not printed
        self._best: tuple[float, str, int] | None = None

    def begin(self, steps: int, rows: int, epoch: int = 0) -> None:
        """An epoch of so many steps and rows begins."""
        self._start = time.perf_counter()
        if self._every == 1 or self._first:
            self._since = self._start
        self._epoch, self._steps, self._rows, self._done, self._busy = epoch, steps, rows, 0, 0.0

    def advance(self, done: int, logs: Callable[[], Logs]) -> None:
        """`done` of the steps are finished; `logs` gives the results so far, and is called only to be shown."""
        self._done, now = done, time.perf_counter()
        self._busy = now - self._start
        if not (self._moves or self._notebook) or not self._shows:
            return
        if now - self._since < self._live_after or now - self._shown < REFRESH:
            return
        self._shown = now
        if self._notebook:
            self._shows = self._notebook.show(_folded([*self._head(done), *_values(logs()), self._left()]))
        else:
            self._show(logs())

    def end(self, logs: Logs) -> None:
        """The epoch is over: its line stays, if it is one of those that do."""
        now = time.perf_counter()
        seconds = now - self._start
        rows = self._rows * self._done / self._steps  # fewer than all where a callback ended it
        rate = f"{rows / max(self._busy or seconds, 1e-9):,.0f} samples/s"  # validation does not count
        parts = [*self._head(self._done), *_values(logs), rate, _duration(seconds)]
        line = _folded(parts) if self._notebook else " · ".join(parts)
        if self._every > 1:
            self._note_best(logs)
        if self._notebook:
            self._held = line
            if not self._epochs or now - self._shown >= REFRESH:
                self._shown = now
                self._shows = self._shows and self._notebook.show(line)
            return
        if self._first or (self._epoch + 1) % self._every == 0:
            self._first, self._since = False, now
            self._print(line)
        else:
            self._held = line

    def finish(self) -> None:
        """The training is over: the last line, if it is not there, and which epoch was the best, if it is another."""
        best = ""
        if self._best is not None and self._best[2] != self._epoch:
            value, name, epoch = self._best
            best = f"Best {name}: epoch {epoch + 1}, {_values({name: value})[0].removeprefix(name).strip()}"
        if self._notebook:
            text = "\n".join(filter(None, (self._held, best)))
            self._shows = self._shows and self._notebook.show(text)
            return
        for line in filter(None, (self._held, best)):
            self._print(line)

    def _note_best(self, logs: Logs) -> None:
        least, name, _ = self._best or (math.nan, "loss", 0)
        if name == "loss" and "val_loss" in logs:
            least, name = math.nan, "val_loss"
        if name in logs and not logs[name] >= least and math.isfinite(logs[name]):  # of NaN anything is better
            self._best = logs[name], name, self._epoch

    def _print(self, line: str) -> None:
        self._held = ""
        self.close()
        self._shows = self._shows and say(line)

    def note(self, text: str) -> None:
        """A line behind the last one."""
        self._shows = self._shows and say(text)

    def close(self) -> None:
        """Takes the live line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            _terminal.release()

    def _head(self, done: int) -> list[str]:
        head = [f"Epoch {self._epoch + 1}/{self._epochs}"] if self._epochs else []
        return [*head, f"{done:,}/{self._steps:,} steps"]

    def _left(self) -> str:
        share = self._done / self._steps
        return f"{_duration(self._busy * (1.0 - share) / share)} left"

    def _show(self, logs: Logs) -> None:
        from rich.text import Text

        if self._live is None and not self._begin_live():
            return
        share = self._done / self._steps
        left, rate = self._left(), f"{self._rows * share / self._busy:,.0f} samples/s"
        head, values = self._head(self._done), _values(logs)
        parts = [*head, *values, rate, left]
        width = self._live.console.width - 1  # some terminals wrap a line that is full
        for part in (rate, *values[:0:-1], left, *values[:1], head[-1]):  # what is missed least goes first
            if len("  ".join(parts)) > width - LEAST_BAR - 2:
                parts.remove(part)
        line = "  ".join(parts)
        room = min(BAR, width - len(line) - 2)
        full = round(room * share)
        # Other encodings have such letters too, but as wide as two.
        wide, thin = "━─" if self._live.console.encoding.startswith("utf") else "=-"
        bar = ((wide * full, "green"), (thin * (room - full), "bright_black"), "  ") if room >= LEAST_BAR else ()
        text = Text.assemble(*bar, line, no_wrap=True)
        text.truncate(width)
        self._live.update(text, refresh=True)
        if self._live.console.file.failed:
            self._shows = False
            self.close()

    def _begin_live(self) -> bool:
        """Whether the terminal was free for it."""
        from rich.console import Console
        from rich.live import Live

        console = Console(file=cast("IO[str]", _Screen(sys.stdout)), force_terminal=True)
        # A process that is killed must not leave a terminal without a cursor.
        console.show_cursor = lambda show=True: False  # type: ignore[method-assign]
        errors_too = is_terminal(sys.stderr)
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stderr=errors_too)
        if not _terminal.acquire(blocking=False):
            return False
        self._live = live
        live.start()
        return True


class _Screen:
    """What rich writes to: takes what `stream` cannot encode, and says so once it fails."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.encoding = stream, getattr(stream, "encoding", None) or "utf-8"
        self.failed = False

    def write(self, text: str) -> int:
        """Gives the text to the stream."""
        if not self.failed:
            try:
                write(self._stream, text)
            except Exception:  # as in `say`
                self.failed = True
        return len(text)

    def flush(self) -> None:
        """Nothing to do: `write` does it."""

    def isatty(self) -> bool:
        """It is only made for a terminal."""
        return True


def _spacing(epochs: int) -> int:
    """Every how many epochs one has a line: 1, 2, 5, 10, 20 and so on."""
    every = next(step * 10**power for power in range(10) for step in (1, 2, 5) if epochs <= LINES * step * 10**power)
    return int(every)


def verbosity(where: str, verbose: object) -> int:
    """0, 1 or 2 from the argument `verbose`: "auto" and 1 are live on a terminal and plain elsewhere.

    Raises:
        ArgumentError: anything else.
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1
    if isinstance(verbose, int) and verbose in (0, 1, 2):
        return int(verbose)
    raise ArgumentError(f'{where}: verbose is {verbose!r}, expected "auto", 0, 1 or 2')


def _folded(parts: Sequence[str]) -> str:
    """Parts in lines that a notebook's cell does not break."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 3 <= CELL:
            lines[-1] += f" · {part}"
        else:
            lines.append(f"  {part}")
    return "\n".join(lines)


def _values(logs: Logs) -> list[str]:
    return [
        f"{name} {value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{name} {value:.3e}"
        for name, value in logs.items()
    ]


def _duration(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds * 1e3:.2g} ms"
    if seconds < 1.0:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"
