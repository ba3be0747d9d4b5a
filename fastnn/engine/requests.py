"""What a fit, an evaluation or a prediction is asked for, and the rows that it names, checked."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..backends.data import Data
from ..core.arrays import Array
from ..core.declaration import number, whole
from ..errors import ArgumentError, ArgumentTypeError
from .checks import Checks
from .compiling import Engine
from .model import TrainableModel

BATCH = 32


@dataclass(frozen=True)
class Request:
    """The arguments of `Sequential.fit`, `evaluate` and `predict`, which say what each means, as they were given.

    Attributes:
        where: "fit", "evaluate" or "predict", for messages.
    """

    where: str
    x: object
    y: object = None
    batch_size: int | None = None
    verbose: object = "auto"
    callbacks: Any = None
    sample_weight: object = None
    steps: int | None = None

    @property
    def batch(self) -> int:
        """Rows of a step."""
        return BATCH if self.batch_size is None else whole(self.where, "batch_size", self.batch_size)

    def require_rows(self) -> None:
        """Raises for an x that gives its rows batch by batch: generators, data sets, loaders.

        Raises:
            ArgumentTypeError: such a thing, or nothing.
        """
        x = self.x
        if isinstance(x, np.ndarray):
            return
        if x is None:
            raise ArgumentTypeError(f"{self.where}: x is missing; give an array of rows")
        if isinstance(x, list | tuple | str | bytes | memoryview | array | Mapping) or any(
            hasattr(x, name) for name in ("__array__", "collect", "toarray", "to_numpy")
        ):
            return  # an array, or what is refused as none
        if hasattr(x, "__next__") or hasattr(x, "__iter__") or hasattr(x, "__getitem__"):
            raise ArgumentTypeError(
                f"{self.where}: x is a {type(x).__module__}.{type(x).__name__}, which gives its rows batch by batch; "
                "that is not supported: give arrays of all rows, or call train_on_batch for each batch"
            )


@dataclass(frozen=True)
class FitRequest(Request):
    """The arguments of `Sequential.fit`, as they were given."""

    epochs: int = 1
    validation_split: float = 0.0
    validation_data: object = None
    shuffle: object = True
    class_weight: object = None
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: object = 1

    @property
    def validation_batch(self) -> int:
        """Rows of a step of validation."""
        given = self.validation_batch_size
        return self.batch if given is None else whole(self.where, "validation_batch_size", given)

    def rows(self, model: TrainableModel, engine: Engine) -> tuple[Rows, Rows | None]:
        """The rows to train on, and those to validate on: those given, or the last ones.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be trained on.
        """
        split = number(self.where, "validation_split", self.validation_split, 0.0, 1.0, "[)")
        rows = rows_of(model, engine, self.x, self.y, self.sample_weight, self.class_weight)
        if self.validation_data is not None:
            if not isinstance(self.validation_data, tuple | list) or len(self.validation_data) not in (2, 3):
                raise ArgumentTypeError("fit: validation_data is not (X, y) or (X, y, sample_weight)")
            x, y, w = (*self.validation_data, None)[:3]
            return rows, rows_of(model, engine, x, y, w, None, "validation ")
        if split == 0.0:
            return rows, None
        n = rows.n
        cut = math.floor(n * (1.0 - split))
        if not 0 < cut < n:
            raise ArgumentError(
                f"fit: validation_split={split:g} of {n} rows leaves {cut} to train on and {n - cut} to validate on; "
                "expected at least one of each"
            )
        last = rows.part(cut, n)
        return rows.part(0, cut), last if self.class_weight is None else replace(last, w=())

    def validates(self) -> Callable[[int], bool]:
        """Whether an epoch is validated, by `validation_freq`: every so many epochs, or the epochs listed (from 1).

        Raises:
            ArgumentError, ArgumentTypeError: neither of these.
        """
        frequency = self.validation_freq
        if isinstance(frequency, list | tuple | set):
            listed = {whole(self.where, "validation_freq", epoch) for epoch in frequency}
            return lambda epoch: epoch + 1 in listed
        every = whole(self.where, "validation_freq", frequency)
        return lambda epoch: (epoch + 1) % every == 0


@dataclass
class Rows:
    """Checked arrays of a fit or an evaluation."""

    X: tuple[Array, ...]
    y: tuple[Array, ...]
    w: tuple[Array | None, ...]

    @property
    def n(self) -> int:
        """How many there are."""
        return int(self.X[0].shape[0])

    def data(self, batch_size: int, order: npt.NDArray[np.int64] | None = None) -> Data:
        """What programs take; a batch is never larger than the data."""
        return Data(self.X, self.y, self.w, order, min(batch_size, self.n))

    def part(self, first: int, last: int) -> Rows:
        """The rows first..last - 1, as views."""
        X, y = (tuple(array[first:last] for array in arrays) for arrays in (self.X, self.y))
        return Rows(X, y, tuple(None if w is None else w[first:last] for w in self.w))

    def limited(self, where: str, name: str, steps: int | None, batch_size: int) -> Rows:
        """The rows of the first so many batches; all of them where `steps` is None."""
        return self if steps is None else self.part(0, whole(where, name, steps) * batch_size)


def rows_of(
    model: TrainableModel,
    engine: Engine,
    x: object,
    y: object,
    sample_weight: object,
    class_weight: object,
    prefix: str = "",
) -> Rows:
    """Checks X, y and weights; `prefix` names where they come from.

    Raises:
        ArgumentError, ArgumentTypeError: what cannot be trained on.
    """
    checks = engine.checks
    X = checks.X(model.inputs_of(x), f"{prefix}X")
    n = X[0].shape[0]
    targets = checks.y(_of_losses(checks, y, f"{prefix}y"), n, f"{prefix}y", f"{prefix}X")
    added = len(engine.plan.losses) - len(targets)
    nothing = (np.broadcast_to(np.zeros((1, 1), engine.plan.dtype), (n, 1)),) * added  # an added loss reads no targets
    if sample_weight is None and class_weight is None:
        return Rows(X, (*targets, *nothing), ())
    name, several = f"{prefix}sample_weight", isinstance(sample_weight, list | tuple | Mapping)
    given = [sample_weight] * len(targets)  # one array serves all outputs
    if several and len(checks.outputs) > 1 and not _is_vector(sample_weight):
        given = _of_losses(checks, sample_weight, name)
    return Rows(X, (*targets, *nothing), (*checks.weights(given, class_weight, targets, n, name), *[None] * added))


def _is_vector(given: object) -> bool:
    return isinstance(given, list | tuple) and bool(given) and all(np.ndim(one) == 0 for one in given)


def _of_losses(checks: Checks, given: object, name: str) -> list[object]:
    """What is given for each output with a loss: by name, in order of the outputs, or of one output all of it."""
    names = checks.outputs
    if not checks.targets:  # what is added to the loss is all of it, and Keras reads no targets either
        return []
    if len(names) == 1:
        by_name = not isinstance(given, np.ndarray) and isinstance(given, Mapping) and names[0] in given
        return [given[names[0]] if by_name else given]  # type: ignore[index]
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ArgumentError(f'{name} names "{unknown[0]}", the outputs are {", ".join(names)}')
        return [given.get(names[number]) for number in checks.with_loss]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        raise ArgumentError(
            f"{name} is {type(given).__name__}, expected one array for each of the outputs {', '.join(names)}: a list "
            f"of {len(names)}, or a dict by name"
        )
    return [given[number] for number in checks.with_loss]
