"""Callbacks that write files: ModelCheckpoint and CSVLogger."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks
from fastnn.errors import ArgumentError
from nets import Array, every_backend, net, wave
from support import load

X, Y = wave(10, 4), wave(10)


class Results(callbacks.Callback):
    """Gives the epochs results that a test wants, and keeps the weights that they end with."""

    def __init__(self, **values: list[Any]) -> None:
        super().__init__()
        self.values = values
        self.weights: list[list[Array]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.update({name: given[epoch] for name, given in self.values.items()})
        self.weights.append(self.model.get_weights())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(a: list[Array], b: list[Array]) -> bool:
    return all((p == q).all() for p, q in zip(a, b, strict=True))


@every_backend
@pytest.mark.parametrize("weights_only", [False, True])
def test_every_epoch(weights_only: bool, backend: str, tmp_path: Path) -> None:
    results = Results(val_loss=[3.0, 2.0, 2.5])
    saving = callbacks.ModelCheckpoint(tmp_path / "runs" / "{epoch:02d}-{val_loss:.2f}", save_weights_only=weights_only)
    net(backend=backend).fit(X, Y, epochs=3, verbose=0, callbacks=[results, saving])
    assert names(tmp_path / "runs") == ["01-3.00", "02-2.00", "03-2.50"]
    path = tmp_path / "runs" / "02-2.00"
    if weights_only:
        model = net(backend=backend, seed=2)
        model.load_weights(path)
    else:
        model = fastnn.load_model(path, backend=load(backend))  # type: ignore[assignment]
    assert same(model.get_weights(), results.weights[1])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["01", "02", "04"]),
        ({"initial_value_threshold": 2.4}, ["02", "04"]),
        ({"mode": "max"}, ["01"]),
        ({"monitor": "val_mae"}, ["01", "02"]),
        ({"monitor": "val_acc"}, ["01", "03"]),
    ],
)
def test_the_best_only(arguments: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    results = Results(val_loss=[3, 2, 2.5, 1], val_mae=[3, 2, 2, 4], val_acc=[1, 1, 2, 1])
    saving = callbacks.ModelCheckpoint(str(tmp_path / "{epoch:02d}"), save_best_only=True, **arguments)
    net(metrics=["mae", "acc"]).fit(X, Y, epochs=4, verbose=0, callbacks=[results, saving])
    assert names(tmp_path) == expected


def test_the_best_of_several_fits(tmp_path: Path) -> None:
    saving = callbacks.ModelCheckpoint(tmp_path / "{val_loss}", save_best_only=True)
    for values in ([3.0, 2.0], [2.5, 1.0]):
        net().fit(X, Y, epochs=2, verbose=0, callbacks=[Results(val_loss=values), saving])
    assert names(tmp_path) == ["1.0", "2.0", "3.0"]


def test_after_batches(tmp_path: Path) -> None:
    """Batches are counted on over the epochs, as Keras does."""
    saving = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=2)
    model = net()
    model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=saving)
    assert names(tmp_path) == ["1-2", "2-1", "2-3", "3-2"]
    again = fastnn.load_model(tmp_path / "2-1", backend="reference")
    assert again.optimizer is not None and again.optimizer.iterations == 4
    every_epoch = callbacks.ModelCheckpoint(tmp_path / "model")
    assert saving.looks_at_batches("train") and not saving.looks_at_batches("test")
    assert not every_epoch.looks_at_batches("train")


def test_checkpoints_say_what_they_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saving = callbacks.ModelCheckpoint(tmp_path / "best", save_best_only=True, verbose=1)
    net().fit(X, Y, epochs=2, verbose=0, callbacks=[Results(val_loss=[3, 4]), saving])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: val_loss 3.00000 is better",
        f"Epoch 1: saved to {tmp_path / 'best'}",
        "Epoch 2: val_loss 4.00000 is not better (best before: 3.00000)",
    ]


def test_what_a_checkpoint_cannot_do(tmp_path: Path) -> None:
    def run(path: Path, **arguments: Any) -> None:
        net().fit(X, Y, verbose=0, callbacks=callbacks.ModelCheckpoint(path, **arguments))

    with pytest.raises(ArgumentError, match=r"cannot be filled in \(KeyError: 'val_loss'\); there are: epoch, loss"):
        run(tmp_path / "{val_loss:.2f}")
    with pytest.raises(ArgumentError, match="cannot be filled in"):
        run(tmp_path / "{epoch:lunch}")
    with pytest.raises(IsADirectoryError):
        run(tmp_path)
    assert names(tmp_path) == []
    with pytest.warns(UserWarning, match='no "val_loss" in the results, so it is saved however good it is'):
        run(tmp_path / "model", save_best_only=True)
    assert names(tmp_path) == ["model"]


def test_csv(tmp_path: Path) -> None:
    """The columns and the text of Keras 3.15.1."""
    path = tmp_path / "log.csv"
    model = net(metrics=["mae"])
    first = Results(loss=[0.5, 0.25], mae=[1.0, 0.5])
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[first, callbacks.CSVLogger(path)])
    text = "epoch,loss,mae,val_loss,val_mae\r\n0,0.5,1.0,NA,NA\r\n1,0.25,0.5,NA,NA\r\n"
    assert path.read_bytes().decode() == text
    second = Results(extra=[0, 0, [1, 2]], loss=[0, 0, np.float64(0.125)], mae=[0, 0, np.array(2.0)])
    appending = callbacks.CSVLogger(str(path), append=True, separator=";")
    model.fit(X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[second, appending])
    assert path.read_bytes().decode() == text + '2;"""[1, 2]""";0.125;2.0;NA;NA;NA\r\n'


def test_csv_of_a_real_training(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    logger = callbacks.CSVLogger(path, append=True)
    history = net().fit(X, Y, epochs=2, validation_split=0.2, verbose=0, callbacks=logger).history
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]
    net().fit(X, Y, epochs=1, verbose=0, callbacks=callbacks.CSVLogger(path))
    assert path.read_text().splitlines()[0] == "epoch,loss,val_loss"  # begun anew
    with pytest.raises(OSError, match="absent"):
        net().fit(X, Y, verbose=0, callbacks=callbacks.CSVLogger(tmp_path / "absent" / "log.csv"))
