"""What a training prints: one live line an epoch on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError

LIVE_AFTER = 0.2  # seconds: shorter work gets no live display
BAR = 20  # characters at most; it gives way to the numbers
REFRESH = 0.1  # seconds between two pictures of the live line

Logs = dict[str, float]


class Progress:
    """The lines of one `fit`, `evaluate` or `predict`.

    Args:
        verbose: 1 for a live line and a last plain one, 2 for the plain one only.
        epochs: how many there will be; 0 for `evaluate` and `predict`.
        live_after: seconds of work before a live line appears.
    """

    def __init__(self, verbose: int, epochs: int = 0, live_after: float = LIVE_AFTER) -> None:
        self._terminal = verbose == 1 and _is_terminal()
        self._epochs = epochs
        self._live_after = live_after
        self._live: Any = None
        self._start = self._shown = self._busy = 0.0
        self._epoch = self._steps = self._rows = self._done = 0

    def begin(self, steps: int, rows: int, epoch: int = 0) -> None:
        """An epoch of so many steps and rows begins."""
        self._start = time.perf_counter()
        self._epoch, self._steps, self._rows, self._done, self._busy = epoch, steps, rows, 0, 0.0

    def advance(self, done: int, logs: Callable[[], Logs]) -> None:
        """`done` of the steps are finished; `logs` gives the results so far, and is called only to be shown."""
        self._done, now = done, time.perf_counter()
        self._busy = now - self._start
        if not self._terminal:
            return
        if now - self._start < self._live_after or now - self._shown < REFRESH:
            return
        self._shown = now
        self._show(now - self._start, logs())

    def end(self, logs: Logs) -> None:
        """The epoch is over: its line stays."""
        seconds = time.perf_counter() - self._start
        self.close()
        rows = self._rows * self._done / self._steps  # fewer than all where a callback ended it
        rate = f"{rows / max(self._busy or seconds, 1e-9):,.0f} samples/s"  # validation does not count
        parts = [*self._head(self._done), *_values(logs), rate, _duration(seconds)]
        print(" · ".join(parts), flush=True)

    def close(self) -> None:
        """Takes the live line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _head(self, done: int) -> list[str]:
        head = [f"Epoch {self._epoch + 1}/{self._epochs}"] if self._epochs else []
        return [*head, f"{done:,}/{self._steps:,} steps"]

    def _show(self, seconds: float, logs: Logs) -> None:
        from rich.live import Live
        from rich.text import Text

        share = self._done / self._steps
        left = seconds * (1.0 - share) / share
        rate = f"{self._rows * share / seconds:,.0f} samples/s"
        line = "  ".join([*self._head(self._done), *_values(logs), rate, f"{_duration(left)} left"])
        if self._live is None:
            self._live = Live(auto_refresh=False, transient=True)
            self._live.start()
        room = min(BAR, self._live.console.width - len(line) - 2)
        full = round(room * share)
        bar = (("━" * full, "green"), ("━" * (room - full), "bright_black"), "  ") if room >= 5 else ()
        text = Text.assemble(*bar, line)  # where it is too long for the terminal, it takes two lines
        self._live.update(text, refresh=True)


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


def _is_terminal() -> bool:
    return bool(getattr(sys.stdout, "isatty", lambda: False)())


def _values(logs: Logs) -> list[str]:
    return [
        f"{name} {value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{name} {value:.3e}"
        for name, value in logs.items()
    ]


def _duration(seconds: float) -> str:
    if seconds < 1.0:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"
