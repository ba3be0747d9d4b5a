"""Callbacks that write files: `ModelCheckpoint` the model, `CSVLogger` the results."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..core.declaration import refuse, whole
from ..core.files import path_of
from ..core.printing import say
from ..errors import ArgumentError
from .base import Callback, Logs
from .monitor import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, as the training goes on; each file is written completely or not at all.

    Args:
        filepath: the file; "{epoch:02d}-{val_loss:.2f}" and the like take the epoch, from 1, and results of the logs.
        monitor: a key of the logs, such as "val_loss".
        verbose: 1 prints what is saved.
        save_best_only: whether to save only what is better than all before.
        save_weights_only: whether to write `save_weights`, which `load_weights` reads, instead of `save`.
        mode: "min", "max", or "auto" by the metric that `monitor` names.
        save_freq: "epoch", or after how many batches; {batch} of the file is then their number in the epoch, from 1.
        initial_value_threshold: with `save_best_only`, the value that the first file must beat.

    Raises:
        ArgumentError, ArgumentTypeError: an argument out of range, unknown, or of another type, or a result that the
            name of the file asks for and the logs do not have.
        OSError: a file cannot be written.

    Example:
        >>> import fastnn, pathlib, tempfile
        >>> X, y = fastnn.datasets.load_digits()
        >>> model = fastnn.Sequential([fastnn.layers.Dense(10, "softmax")])
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "best.safetensors"
        ...     keep = fastnn.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
        ...     history = model.fit(X, y, epochs=2, callbacks=[keep], verbose=0)
        ...     path.exists()
        True
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        **kwargs: object,
    ) -> None:
        where = "ModelCheckpoint"
        known = ("filepath", "monitor", "save_best_only", "save_weights_only", "mode", "save_freq")
        refuse(where, kwargs, {}, known)
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = _path(where, "filepath", filepath)
        self.verbose = verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ArgumentError(f'{where}: save_freq is {save_freq!r}, expected "epoch" or a number of batches')
        self.save_freq = save_freq if isinstance(save_freq, str) else whole(where, "save_freq", save_freq)
        self._epoch = self._batches = 0

    def looks_at_batches(self, event: str) -> bool:
        """Whether it saves between batches."""
        return event == "train" and self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Saves after every `save_freq` batches, whichever epoch they are of."""
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save({"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Saves after an epoch."""
        if self.save_freq == "epoch":
            self._save(dict(logs or {}))

    def _save(self, logs: dict[str, object]) -> None:
        try:
            path = self.filepath.format(**{"epoch": self._epoch + 1, **logs})
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ArgumentError(
                f'ModelCheckpoint: filepath "{self.filepath}" cannot be filled in ({type(error).__name__}: {error}); '
                f"there are: {', '.join(['epoch', *logs])}"
            ) from None
        if self.save_best_only and not self._improved(logs):
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose > 0:
            say(f"Epoch {self._epoch + 1}: saved to {path}")

    def _improved(self, logs: dict[str, object]) -> bool:
        current, before = self.current(logs, "it is saved however good it is"), self.best
        if current is None:
            return True
        improved = self.better(current, before)
        if improved:
            self.best = current
        if self.verbose > 0:
            best = "" if before is None else f" (best before: {before:.5f})"
            say(f"Epoch {self._epoch + 1}: {self.monitor} {current:.5f} is {'' if improved else 'not '}better{best}")
        return improved


class CSVLogger(Callback):
    """Writes the results of each epoch to a CSV file, a line each; the file is complete after every epoch.

    Args:
        filename: the file. separator: between the columns.
        append: whether to go on with a file that is there; its header is not written again.

    Raises:
        OSError: it cannot be written.

    Example:
        >>> import fastnn, pathlib, tempfile
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "log.csv"
        ...     history = model.fit([[1.0]], [[1.0]], epochs=2, callbacks=[fastnn.callbacks.CSVLogger(path)], verbose=0)
        ...     path.read_text().splitlines()[0]
        'epoch,loss,val_loss'
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = _path("CSVLogger", "filename", filename)
        self.separator = separator
        self.append = append
        self.keys: list[str] | None = None
        self._header = True

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begins the file, or finds its end."""
        self.keys = None
        path = Path(self.filename)
        self._header = not (self.append and path.is_file() and path.stat().st_size > 0)
        with open(path, "a" if self.append else "w"):
            pass  # a file that cannot be written is an error before the first epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes a line; results that the first epoch did not have, "val_" excepted, get no column."""
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]  # validation may come in a later epoch
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._header:
                writer.writerow(["epoch", *self.keys])
                self._header = False
            writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])


def _cell(value: object) -> object:
    """A value as one cell: a number or text as it is, a vector as its text."""
    if isinstance(value, str) or not isinstance(value, Iterable) or np.ndim(value) == 0:  # type: ignore[arg-type]
        return value
    return f'"[{", ".join(map(str, value))}]"'


def _path(where: str, name: str, value: object) -> str:
    path_of(where, name, value)
    return os.fspath(value)  # type: ignore[no-any-return,call-overload]
