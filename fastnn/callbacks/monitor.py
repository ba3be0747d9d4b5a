"""What callbacks that watch one result share: which way is better, and by how much."""

from __future__ import annotations

import warnings

from ..core.declaration import number
from ..errors import ArgumentError, ArgumentTypeError
from .base import Callback, Logs


class Monitor(Callback):
    """A callback that watches one result.

    Args:
        monitor: a key of the logs, such as "val_loss".
        mode: "min", "max", or "auto": by what the metric of that name measures.
        min_delta: a smaller change is no improvement.
        best: the value to beat; None for the first one.

    Raises:
        ArgumentError: an unknown mode, or a `min_delta` that is not finite.
        ArgumentTypeError: `monitor` is not text.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0, best: float | None = None) -> None:
        super().__init__()
        where = type(self).__name__
        if not isinstance(monitor, str):
            raise ArgumentTypeError(f'{where}: monitor is {monitor!r}, expected a key of the logs such as "val_loss"')
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f'{where}: mode is {mode!r}, expected "auto", "min" or "max"')
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(number(where, "min_delta", min_delta))
        self.best = None if best is None else number(where, "the value to beat", best)

    def current(self, logs: Logs, otherwise: str) -> float | None:
        """The value of `monitor` in the logs, or None after a warning that names what there is."""
        value: float | None = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f'{type(self).__name__}: there is no "{self.monitor}" in the results, so {otherwise}; '
                f"there are: {', '.join(logs or {})}",
                stacklevel=3,
            )
        return value

    def better(self, value: float, reference: float | None) -> bool:
        """Whether `value` improves on `reference` by more than `min_delta`."""
        return reference is None or (value - reference) * self._sign() > self.min_delta

    def _sign(self) -> float:
        """+1 where more is better, -1 where less is.

        Raises:
            ArgumentError: mode is "auto", and no metric has this name.
        """
        if self.mode != "auto":
            return 1.0 if self.mode == "max" else -1.0
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return -1.0
        for metric in self.model.metrics:
            if metric.name == name:
                return 1.0 if metric.maximize else -1.0
        raise ArgumentError(
            f'{type(self).__name__}: no metric is called "{name}", so whether more of it is better is not known; '
            'give mode="max" or mode="min"'
        )
