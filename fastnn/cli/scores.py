"""How good predictions are, in more than one number: by class or in the target's unit, beside what guessing gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.arrays import Array
from ..core.tables import as_text
from . import options

MOST_CLASSES = 12  # in a matrix; of more, those that are hardest to tell apart
_WORST = 6
_DEVIATIONS = 3.0  # of chance, beyond which two shares are different
_PART = 0.02  # a smaller difference of accuracies is none to speak of
_LARGER = 1.25  # times the error of the training rows
_WIDTH = 14  # letters of a name
_GUESS = 0.02  # better than guessing by less is hardly better


@dataclass(frozen=True)
class ClassScores:
    """Of predicted classes: `matrix[t, p]` rows of class t were predicted as p."""

    classes: tuple[str | int, ...]
    matrix: Array

    @property
    def rows(self) -> int:
        """How many there were."""
        return int(self.matrix.sum())

    @property
    def accuracy(self) -> float:
        """The share of rows that are right."""
        return float(np.trace(self.matrix)) / self.rows

    @property
    def guess(self) -> tuple[str | int, float]:
        """The most frequent class, and the accuracy of always predicting that."""
        counts = self.matrix.sum(axis=1)
        return self.classes[int(counts.argmax())], float(counts.max()) / self.rows

    def by_class(self) -> list[dict[str, Any]]:
        """Of each class precision, recall, F1 and rows; None where it was never predicted, or never there."""
        found = []
        for number, name in enumerate(self.classes):
            right, predicted, there = (
                int(self.matrix[number, number]),
                int(self.matrix[:, number].sum()),
                int(self.matrix[number].sum()),
            )
            precision, recall = right / predicted if predicted else None, right / there if there else None
            both = 2 * right / (predicted + there) if predicted + there else None
            found.append({"class": name, "precision": precision, "recall": recall, "f1": both, "rows": there})
        return found

    def results(self) -> str:
        """The accuracy."""
        return f"accuracy {options.number(self.accuracy)}"

    def head(self) -> str:
        """The accuracy, and that of guessing."""
        name, share = self.guess
        return f"{self.results()} · always guessing {name!r} gives {options.number(share)}"

    def lines(self) -> list[str]:
        """The matrix with precision and recall; of many classes, or on a narrow terminal, what is confused most."""
        if len(self.classes) > MOST_CLASSES:
            return self._worst()
        names, table = [_shortened(name) for name in self.classes], self.by_class()
        rows = [["", *names, "recall"]]
        for name, counts, one in zip(names, self.matrix, table, strict=True):
            rows.append([name, *(f"{count:,}" for count in counts), _share(one["recall"])])
        rows.append(["precision", *(_share(one["precision"]) for one in table), ""])
        for rows[0][0] in ("true \\ predicted", "true \\ pred."):
            if options.fits(lines := as_text(rows)):
                return lines
        return self._worst()

    def _worst(self) -> list[str]:
        known = [one for one in self.by_class() if one["f1"] is not None]
        worst = sorted(known, key=lambda one: one["f1"])[:_WORST]
        rows = [["hardest classes", "precision", "recall", "rows"]]
        for one in worst:
            cells = [_share(one["precision"]), _share(one["recall"]), f"{one['rows']:,}"]
            rows.append([_shortened(one["class"]), *cells])
        wrong = self.matrix - np.diag(np.diag(self.matrix))
        pairs = np.argsort(wrong, axis=None)[::-1][:_WORST]
        rows_of_pairs = [["most confused", "as", "rows"]]
        for true, predicted in zip(*np.unravel_index(pairs, wrong.shape), strict=True):
            if wrong[true, predicted]:
                names = [_shortened(self.classes[int(true)]), _shortened(self.classes[int(predicted)])]
                rows_of_pairs.append([*names, f"{wrong[true, predicted]:,}"])
        return [*as_text(rows), *(as_text(rows_of_pairs) if len(rows_of_pairs) > 1 else [])]

    def parted(self, train: ClassScores) -> str:
        """A word where training rows are predicted much better than these, or both hardly better than by guessing."""
        gap, guess = train.accuracy - self.accuracy, self.guess[1]
        if self.accuracy < guess + _GUESS * (1 - guess) and train.accuracy < guess + 2 * _GUESS:
            return _NO_BETTER
        chance = math.sqrt(max(self.accuracy * (1 - self.accuracy), 0.01) / self.rows)
        return _OVERFITTED if gap > max(_PART, _DEVIATIONS * chance) else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        name, share = self.guess
        return {
            "accuracy": self.accuracy,
            "guess": {"class": name, "accuracy": share},
            "by_class": self.by_class(),
            "confusion": self.matrix.tolist(),
        }


_NO_BETTER = "hardly better than guessing: the columns may say little of the target, or the network learns too slowly"
_OVERFITTED = (
    "the training rows are known better than new ones (overfitting): more rows, --dropout 0.2, smaller --layers or "
    "--patience may help"
)


@dataclass(frozen=True)
class QuantityScores:
    """Of predicted quantities: (n,) or (n, targets) true values and predictions, float64."""

    target: str
    y: Array
    predicted: Array

    @property
    def rows(self) -> int:
        """How many there were."""
        return len(self.y)

    @property
    def mae(self) -> float:
        """The mean absolute error."""
        return float(np.abs(self.y - self.predicted).mean())

    @property
    def rmse(self) -> float:
        """The root of the mean squared error."""
        return math.sqrt(float(np.square(self.y - self.predicted).mean()))

    @property
    def r2(self) -> float:
        """1 - squared error / variance, the mean over targets; NaN where the target does not vary."""
        variance = self.y.var(axis=0)
        error = np.square(self.y - self.predicted).mean(axis=0)
        with np.errstate(all="ignore"):
            return float(np.mean(np.where(variance > 0, 1.0 - error / variance, np.nan)))

    @property
    def guess(self) -> float:
        """The mean absolute error of always predicting the mean."""
        return float(np.abs(self.y - self.y.mean(axis=0)).mean())

    def results(self) -> str:
        """The errors in the target's unit."""
        return f"r2 {options.number(self.r2)} · mae {options.number(self.mae)}"

    def head(self) -> str:
        """The errors in the target's unit, and that of guessing."""
        return f"{self.results()} · always guessing the mean gives mae {options.number(self.guess)}"

    def lines(self) -> list[str]:
        """How the errors are spread."""
        errors = np.abs(self.y - self.predicted)
        half, most = (options.number(float(np.quantile(errors, share))) for share in (0.5, 0.9))
        largest, rmse = options.number(float(errors.max())), options.number(self.rmse)
        return [
            f'errors in "{self.target}": half of the rows within {half}, nine tenths within {most}, the largest '
            f"{largest}; rmse {rmse}"
        ]

    def parted(self, train: QuantityScores) -> str:
        """A word where training rows are predicted much better than these, or both hardly better than by guessing."""
        if self.mae > (1 - _GUESS) * self.guess and train.mae > (1 - 2 * _GUESS) * train.guess:
            return _NO_BETTER
        errors = np.abs(self.y - self.predicted)
        chance = float(errors.std()) / math.sqrt(self.rows)
        apart = self.mae > _LARGER * train.mae and self.mae - train.mae > _DEVIATIONS * chance
        return _OVERFITTED if apart else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"r2": self.r2, "mae": self.mae, "rmse": self.rmse, "guess": {"mae": self.guess}}


Scores = ClassScores | QuantityScores


def remark(test: Scores, train: Scores) -> str:
    """A word where rows held out and rows trained on part, or nothing was learned; else ""."""
    if isinstance(test, ClassScores):
        assert isinstance(train, ClassScores)
        return test.parted(train)
    assert isinstance(train, QuantityScores)
    return test.parted(train)


def score(model: Any, X: Array, y: Array, target: str, classes: tuple[str | int, ...] | None) -> Scores:
    """How a model predicts rows; y: numbers of classes, or a quantity in its unit."""
    outputs = model.predict(X, batch_size=1024, verbose=0)
    if classes is None:
        shape = (len(y), -1) if y.ndim == 2 and y.shape[1] > 1 else (len(y),)
        return QuantityScores(target, y.reshape(shape).astype(np.float64), outputs.reshape(shape).astype(np.float64))
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(matrix, (y, outputs.argmax(axis=1)), 1)
    return ClassScores(classes, matrix)


def _shortened(name: object) -> str:
    text = str(name)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 2]}.."


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
